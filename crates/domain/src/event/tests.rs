use super::*;

mod known;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap()
}

fn one(body: &str) -> Result<Event, Invalid> {
    let id = EventId::new(at(1_700_000_000_000), &[1; 10]);
    match NewEvent::parse_call(body.as_bytes())? {
        Published::One(event) => {
            Ok(event.accept(id, Workspace::parse("acme").unwrap(), at(1_700_000_000_000)))
        }
        Published::Many(_) => panic!("one event was expected"),
    }
}

fn arrived(message: &str) -> Result<Arrived, Invalid> {
    let origin = Origin { message_id: "m", sent: at(1_700_000_000_000), kept: None };
    Arrived::parse(message, origin, &Workspace::parse("default").unwrap())
}

fn field_and_code(result: Result<impl Sized, Invalid>) -> (String, &'static str) {
    let invalid = result.err().expect("an error");
    (invalid.field.unwrap_or_default(), invalid.code)
}

#[test]
fn data_is_kept_byte_for_byte() {
    for data in [
        r#"{"a":1.0,"b":1e2,"a":123456789012345678901234567890}"#,
        "{ \"z\" :\n\t[ \"\\u00e9\\/\" ] }",
        "{}",
    ] {
        let event = one(&format!(r#"{{"type":"order.created","data":{data}}}"#)).unwrap();
        assert_eq!(event.data.get(), data);
        let message = serde_json::to_string(&event).unwrap();
        assert!(message.contains(data), "{message}");
        assert_eq!(arrived(&message).unwrap().event.data.get(), data);
    }
}

#[test]
fn a_queue_message_of_an_event() {
    let event =
        one(
            r#"{"type":"order.created","subject":"c-1","timestamp":"2023-07-18T15:32:13Z","data":{"id":7}}"#
        ).unwrap();
    insta::assert_snapshot!(serde_json::to_string(&event).unwrap());
    let read = arrived(&serde_json::to_string(&event).unwrap()).unwrap().event;
    assert_eq!(serde_json::to_string(&read).unwrap(), serde_json::to_string(&event).unwrap());
}

#[test]
fn an_event_sent_straight_to_the_queue_needs_no_id() {
    let body = r#"{"workspace":"acme","type":"order.created","data":{}}"#;
    let event = arrived(body).unwrap().event;
    assert_eq!(event.id, EventId::of_message("m", at(1_700_000_000_000)));
    assert_eq!(event.timestamp, at(1_700_000_000_000));
    assert_eq!(
        field_and_code(arrived(r#"{"type":"a","data":{}}"#)),
        ("workspace".into(), "missing_field")
    );
    assert_eq!(
        field_and_code(arrived(r#"{"workspace":"a#b","type":"a","data":{}}"#)),
        ("workspace".into(), "wrong_type")
    );
}

#[test]
fn data_has_at_most_50_levels_however_it_comes() {
    let nested =
        |levels: usize| format!(r#"{{"a":{}{}}}"#, "[".repeat(levels - 1), "]".repeat(levels - 1));
    for event_type in ["nobody.knows", "order.created"] {
        let deepest = format!(r#"{{"type":"{event_type}","data":{}}}"#, nested(50));
        assert_eq!(one(&deepest).err(), None, "{event_type}");
        let deeper =
            format!(r#"{{"events":[{{"type":"{event_type}","data":{}}}]}}"#, nested(100_000));
        assert_eq!(
            field_and_code(NewEvent::parse_call(deeper.as_bytes())),
            ("events[0].data".into(), "too_deep")
        );
        let straight =
            format!(r#"{{"workspace":"acme","type":"{event_type}","data":{}}}"#, nested(51));
        assert_eq!(field_and_code(arrived(&straight)), ("data".into(), "too_deep"));
        let envelope =
            format!(r#"{{"detail-type":"{event_type}","id":"a","detail":{}}}"#, nested(51));
        assert_eq!(field_and_code(arrived(&envelope)), ("detail".into(), "too_deep"));
    }
}

/// The version before accepted deeper data, and its events are on the queue while this one takes
/// over.
#[test]
fn data_that_was_accepted_with_more_levels_is_still_taken() {
    let id = EventId::new(at(1_700_000_000_000), &[1; 10]);
    let data = format!(r#"{{"a":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    let accepted =
        format!(r#"{{"workspace":"acme","id":"{id}","type":"nobody.knows","data":{data}}}"#);
    let arrived = arrived(&accepted).unwrap();
    assert_eq!(
        (arrived.event.id, arrived.event.data.get(), arrived.unchecked),
        (id, data.as_str(), false)
    );
}

#[test]
fn a_timestamp_in_seconds_is_refused_with_a_hint() {
    let timestamp = |text: &str| one(&format!(r#"{{"type":"a","data":{{}},"timestamp":{text}}}"#));
    for seconds in ["0", "1768469400", "978307199999"] {
        let invalid = timestamp(seconds).unwrap_err();
        assert_eq!(
            (invalid.code, invalid.field.as_deref()),
            ("invalid_timestamp", Some("timestamp"))
        );
        assert!(invalid.message.contains("multiply it by 1000"), "{}", invalid.message);
    }
    assert_eq!(
        timestamp("978307200000").unwrap().timestamp,
        "2001-01-01T00:00:00Z".parse().unwrap()
    );
    assert_eq!(timestamp(r#""1970-01-21T11:14:29Z""#).unwrap().timestamp, at(1_768_469_000));
}

#[test]
fn a_timestamp_is_rfc_3339_or_milliseconds() {
    let timestamp = |text: &str| {
        one(&format!(r#"{{"type":"a","data":{{}},"timestamp":{text}}}"#))
            .map(|event| event.timestamp)
    };
    assert_eq!(timestamp("1672531199000"), Ok(at(1_672_531_199_000)));
    assert_eq!(timestamp(r#""2022-12-31T23:59:59Z""#), Ok(at(1_672_531_199_000)));
    assert_eq!(timestamp(r#""2023-01-01T01:59:59+02:00""#), Ok(at(1_672_531_199_000)));
    assert_eq!(timestamp("null"), Ok(at(1_700_000_000_000)));
    for bad in
        ["-1", "1.5", "99999999999999999", r#""yesterday""#, "true", r#""1969-12-31T23:59:59Z""#]
    {
        assert_eq!(
            field_and_code(timestamp(bad)),
            ("timestamp".into(), "invalid_timestamp"),
            "{bad}"
        );
    }
}

#[test]
fn what_is_wrong_is_named() {
    assert_eq!(field_and_code(one("{}")), ("type".into(), "missing_field"));
    assert_eq!(
        field_and_code(one(r#"{"type":"a b","data":{}}"#)),
        ("type".into(), "invalid_event_type")
    );
    assert_eq!(field_and_code(one(r#"{"type":"a"}"#)), ("data".into(), "missing_field"));
    assert_eq!(field_and_code(one(r#"{"type":"a","data":[]}"#)), ("data".into(), "wrong_type"));
    assert_eq!(
        field_and_code(one(r#"{"type":"a","data":{},"dat":1}"#)),
        ("dat".into(), "unknown_field")
    );
    assert_eq!(
        field_and_code(one(&format!(
            r#"{{"type":"a","data":{{}},"subject":"{}"}}"#,
            "x".repeat(257)
        ))),
        ("subject".into(), "too_long")
    );
    assert_eq!(
        field_and_code(one(r#"{"type":"a","data":{},"workspace":"other"}"#)),
        ("workspace".into(), "unknown_field")
    );
}

#[test]
fn a_list_takes_1_to_100_events_and_names_the_one_at_fault() {
    let many = |body: String| NewEvent::parse_call(body.as_bytes());
    let events = |count: usize| {
        format!(r#"{{"events":[{}]}}"#, vec![r#"{"type":"a","data":{}}"#; count].join(","))
    };
    assert!(matches!(many(events(100)), Ok(Published::Many(events)) if events.len() == 100));
    assert_eq!(field_and_code(many(events(101))), ("events".into(), "wrong_count"));
    assert_eq!(field_and_code(many(events(0))), ("events".into(), "wrong_count"));
    assert_eq!(
        field_and_code(many(r#"{"events":[{"type":"a","data":{}},{"type":"a"}]}"#.into())),
        ("events[1].data".into(), "missing_field")
    );
    assert_eq!(
        field_and_code(many(r#"{"events":[3]}"#.into())),
        ("events[0]".into(), "wrong_type")
    );
    assert_eq!(
        field_and_code(many(r#"{"events":[],"type":"a"}"#.into())),
        ("type".into(), "unknown_field")
    );
}

#[test]
fn sizes_are_bounded() {
    let padded =
        |bytes: usize| format!(r#"{{"type":"a","data":{{"x":"{}"}}}}"#, "x".repeat(bytes - 28));
    assert_eq!(padded(MAX_EVENT_BYTES).len(), MAX_EVENT_BYTES);
    assert!(one(&padded(MAX_EVENT_BYTES)).is_ok());
    assert_eq!(field_and_code(one(&padded(MAX_EVENT_BYTES + 1))), (String::new(), "too_large"));
    let largest = serde_json::to_string(&one(&padded(MAX_EVENT_BYTES)).unwrap()).unwrap();
    assert!(arrived(&largest).is_ok(), "what ingest accepts fan-out takes");
    assert_eq!(
        field_and_code(arrived(&padded(MAX_MESSAGE_BYTES + 1))),
        (String::new(), "too_large")
    );
    let list = format!(r#"{{"events":[{}]}}"#, padded(MAX_EVENT_BYTES + 1));
    assert_eq!(
        field_and_code(NewEvent::parse_call(list.as_bytes())),
        ("events[0]".into(), "too_large")
    );
    assert_eq!(
        field_and_code(NewEvent::parse_call(&vec![b' '; MAX_PUBLISH_BYTES + 1])),
        (String::new(), "too_large")
    );
}

#[test]
fn a_message_may_name_the_test_mode_of_a_workspace() {
    let read = |body: &str| arrived(body).map(|arrived| arrived.event.workspace.to_string());
    let straight = r#"{"workspace":"acme~test","type":"a","data":{}}"#;
    let envelope = r#"{"detail-type":"a","detail":{"workspace":"acme~test","data":{}}}"#;
    assert_eq!([straight, envelope].map(|body| read(body).unwrap()), ["acme~test"; 2]);
    let wrong = field_and_code(read(&envelope.replace("~test", "~live")));
    assert_eq!(wrong, ("detail.workspace".into(), "wrong_type"));
}

#[test]
fn what_ingest_sent_is_not_checked_again() {
    let event = one(r#"{"type":"order.created","data":{}}"#).unwrap();
    let read = arrived(&serde_json::to_string(&event).unwrap()).unwrap();
    assert_eq!((read.event.id, read.unchecked), (event.id, false));
    assert!(arrived(r#"{"workspace":"acme","type":"order.created","data":{}}"#).unwrap().unchecked);
}

#[test]
fn an_id_tells_about_when_its_message_was_sent() {
    let with_id = |id: EventId| {
        arrived(&format!(r#"{{"workspace":"acme","type":"a","data":{{}},"id":"{id}"}}"#))
            .map(|arrived| arrived.event.id)
    };
    let of = |ms| EventId::new(at(ms), &[1; 10]);
    let day = 24 * 60 * 60 * 1000;
    for good in [
        of(1_700_000_000_000),
        of(1_700_000_000_000 - 29 * day),
        of(1_700_000_000_000 + 59 * 60 * 1000),
    ] {
        assert_eq!(with_id(good), Ok(good));
    }
    for bad in [of(0), of(1_700_000_000_000 - 31 * day), of(1_700_000_000_000 + day), EventId::LAST]
    {
        assert_eq!(field_and_code(with_id(bad)), ("id".into(), "invalid_id"), "{bad}");
    }
}

#[test]
fn the_envelope_of_an_eventbridge_rule_is_recognised() {
    let envelope = |detail_type: &str, detail: &str| {
        format!(
            r#"{{"version":"0","id":"6a7e8feb-b491-4cf7-a9f1-bf3703467718","detail-type":"{detail_type}","source":"aws.ec2","account":"111122223333","time":"2017-12-22T18:43:48Z","region":"us-west-1","resources":[],"detail":{detail}}}"#
        )
    };
    let foreign =
        arrived(&envelope("EC2 Instance State-change Notification", r#"{"n": 1.0}"#)).unwrap();
    assert!(foreign.unchecked);
    insta::assert_snapshot!(
        "an_event_of_an_aws_service",
        serde_json::to_string(&foreign.event).unwrap()
    );
    let ours =
        envelope("order.created", r#"{"workspace":"acme","subject":"c-1","data":{"n": 1.0}}"#);
    insta::assert_snapshot!(
        "an_event_of_ones_own_over_eventbridge",
        serde_json::to_string(&arrived(&ours).unwrap().event).unwrap()
    );
    assert_eq!(
        field_and_code(arrived(&envelope("a..b", "{}"))),
        ("detail-type".into(), "invalid_event_type")
    );
    assert_eq!(field_and_code(arrived(&envelope("a", "[]"))), ("detail".into(), "wrong_type"));
    let no_data = envelope("a", r#"{"workspace":"acme"}"#);
    assert_eq!(field_and_code(arrived(&no_data)), ("detail.data".into(), "missing_field"));
}

/// A type whose schema was stored when its bounds could still be passed by, under a property with
/// the name of a keyword.
fn stored_before_its_bounds() -> OwnEventType {
    let stored = r##"{"name":"invoice.paid","schema":{"properties":{"default":{"$ref":"#/$defs/a"}},
        "$defs":{"a":{"properties":{"default":{"$ref":"#/$defs/a"}}}}}}"##;
    serde_json::from_str(stored).unwrap()
}

#[test]
fn an_event_whose_stored_schema_is_none_any_more_is_refused_and_not_taken_unchecked() {
    let own = stored_before_its_bounds();
    let call = NewEvent::parse_call(
        br#"{"events":[{"type":"a","data":{}},{"type":"invoice.paid","data":{}}]}"#,
    )
    .unwrap();
    let complaint = call.check(&[(own.name.clone(), own.clone())].into()).unwrap_err();
    assert_eq!(
        (complaint.code, complaint.field.as_deref()),
        (UNUSABLE_SCHEMA, Some("events[1].data"))
    );
    assert!(
        complaint.message.ends_with("store it again with PUT /event-types/invoice.paid"),
        "{complaint}"
    );
    let sent = Timestamp::from_second(1_700_000_000).unwrap();
    let body = r#"{"workspace":"acme","type":"invoice.paid","data":{}}"#;
    let origin = Origin { message_id: "1", sent, kept: None };
    let arrived = Arrived::parse(body, origin, &Workspace::parse("default").unwrap()).unwrap();
    assert_eq!(arrived.event.check(Some(&own.compile())).unwrap_err().code, UNUSABLE_SCHEMA);
}

#[test]
fn the_events_of_a_call_have_one_budget() {
    let body = br#"{"schema":{"properties":{"list":{"items":{"type":"integer","minimum":0}}}}}"#;
    let own = OwnEventType::parse("invoice.paid", body).unwrap();
    let own = [(own.name.clone(), own)].into();
    let data = format!(r#"{{"list":[{}0]}}"#, "1,".repeat(100_000));
    let call = |count: usize| {
        let event = format!(r#"{{"type":"invoice.paid","data":{data}}}"#);
        NewEvent::parse_call(
            format!(r#"{{"events":[{}]}}"#, vec![event; count].join(",")).as_bytes(),
        )
        .unwrap()
    };
    assert_eq!(call(4).check(&own), Ok(()));
    let complaint = call(5).check(&own).unwrap_err();
    assert_eq!(
        (complaint.code, complaint.field.as_deref()),
        ("too_costly", Some("events[4].data"))
    );
    assert!(complaint.message.contains("publish fewer events in one call"), "{complaint}");
}

#[test]
fn the_schemas_of_a_call_have_one_budget() {
    let types = |count: usize, schema: &str| -> HashMap<EventType, OwnEventType> {
        let body = format!(r#"{{"schema":{schema}}}"#);
        let own =
            |at: usize| OwnEventType::parse(&format!("invoice.n{at}"), body.as_bytes()).unwrap();
        (0..count).map(own).map(|own| (own.name.clone(), own)).collect()
    };
    let complaint = |types: &HashMap<EventType, OwnEventType>| {
        let event =
            |at: usize| format!(r#"{{"type":"invoice.n{}","data":{{}}}}"#, at % types.len());
        let events: Vec<String> = (0..100).map(event).collect();
        let call =
            NewEvent::parse_call(format!(r#"{{"events":[{}]}}"#, events.join(",")).as_bytes())
                .unwrap();
        call.check(types)
            .err()
            .map(|invalid| (invalid.code, invalid.field.unwrap(), invalid.message))
    };
    let large = format!(r#"{{"description":"{}"}}"#, "x".repeat(64 * 1024 - 18));
    assert_eq!(large.len(), 64 * 1024);
    assert_eq!(complaint(&types(4, &large)), None, "a schema counts once");
    let (code, field, message) = complaint(&types(5, &large)).unwrap();
    assert_eq!((code, field.as_str()), ("too_costly", "events[4].data"));
    insta::assert_snapshot!(message);
    let patterns: Vec<String> = (0..20).map(|at| format!(r#"{{"pattern":"a{at}"}}"#)).collect();
    let patterns = format!(r#"{{"anyOf":[{}]}}"#, patterns.join(","));
    let weighed = complaint(&types(20, &patterns)).map(|(code, field, _)| (code, field));
    assert_eq!(
        weighed,
        Some(("too_costly", "events[12].data".to_owned())),
        "patterns count more than their bytes"
    );
}
