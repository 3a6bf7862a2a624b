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

#[test]
fn data_is_checked_against_the_schema_of_its_type() {
    let check = |body: &str, own: Option<&OwnEventType>| {
        let own = own.map(|own| (own.name.clone(), own.clone())).into_iter().collect();
        NewEvent::parse_call(body.as_bytes()).unwrap().check(&own)
    };
    let run = r#"{"type":"process_run_start","data":{"processType":"risk","processName":7,"processId":"1","contextId":"2"}}"#;
    assert_eq!(field_and_code(check(run, None)), ("data.processName".into(), "wrong_type"));
    let list = format!(r#"{{"events":[{{"type":"a","data":{{}}}},{run}]}}"#);
    assert_eq!(
        field_and_code(check(&list, None)),
        ("events[1].data.processName".into(), "wrong_type")
    );
    let operational = r#"{"type":"webhook.disabled","data":{}}"#;
    assert_eq!(field_and_code(check(operational, None)), ("type".into(), "reserved_event_type"));
    let body = br#"{"schema":{"type":"object","required":["total"]}}"#;
    let own = OwnEventType::parse("invoice.paid", body).unwrap();
    assert_eq!(
        field_and_code(check(r#"{"type":"invoice.paid","data":{}}"#, Some(&own))),
        ("data.total".into(), "missing_field")
    );
    assert_eq!(
        check(r#"{"type":"invoice.paid","data":{}}"#, None),
        Ok(()),
        "a type that nobody described"
    );
}
