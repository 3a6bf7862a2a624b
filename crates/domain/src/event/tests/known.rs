use super::*;

#[test]
fn only_events_of_known_types_have_a_schema_to_fit() {
    let body = r#"{"events":[{"type":"made.up","data":{}},{"type":"process_run_end","data":{}},{"type":"our.own","data":{}}]}"#;
    let published = NewEvent::parse_call(body.as_bytes()).unwrap();
    let own_type = OwnEventType::parse("our.own", br#"{"description":"Ours"}"#).unwrap();
    let own = HashMap::from([(EventType::parse("our.own").unwrap(), own_type)]);
    assert_eq!(published.of_known_types(&own), 2);
    assert_eq!(published.of_known_types(&HashMap::new()), 1);
    assert_eq!(field_and_code(published.check_types(&own)).0, "events[0].type");
}
