//! The documented fields are those that the parsers know, with the bounds that they keep.

use std::iter;

use posthaste_domain::{
    api_key::Environment,
    attempt, catalogue,
    event_type::{EventPattern, EventType},
    filter, format, lane, profile,
    rate_limit::Period,
    workspace::Workspace,
};

use super::*;

/// Each operation with a body: its schema, and a body that is taken and has only what is required.
fn bodies() -> [(&'static str, &'static str, Value); 9] {
    let webhook = json!({ "url": "https://example.com/", "events": ["*"] });
    let event = json!({ "type": "order.created", "data": {} });
    [
        ("registerWebhook", "RegisterWebhook", webhook),
        ("changeWebhook", "ChangeWebhook", json!({})),
        ("rotateSecret", "RotateSecret", json!({})),
        ("publishEvents", "NewEvent", event.clone()),
        ("publishEvents", "NewEvents", json!({ "events": [event] })),
        ("putEventType", "PutEventType", json!({})),
        ("sendTest", "SendTest", json!({})),
        ("startReplay", "StartReplay", json!({ "since": "2026-01-15T09:30:00Z" })),
        ("createKey", "NewKey", json!({ "scopes": ["events:read"] })),
    ]
}

fn with(body: &Value, name: &str, value: Value) -> String {
    let mut body = body.clone();
    body[name] = value;
    body.to_string()
}

fn code(operation: &str, body: &str) -> Option<&'static str> {
    parse(operation, body).err().map(|invalid| invalid.code)
}

#[test]
fn the_documented_fields_are_those_that_are_known() {
    let document = in_json();
    for (operation, schema, body) in bodies() {
        let schema_json = &document["components"]["schemas"][schema];
        assert_eq!(schema_json["additionalProperties"], json!(false), "{schema}");
        assert_eq!(code(operation, &body.to_string()), None, "{schema}");
        let names: Vec<&String> = schema_json["properties"].as_object().unwrap().keys().collect();
        for name in &names {
            // Not a value of any field: a known one is refused as the wrong type, or with what it says.
            let refused = code(operation, &with(&body, name, json!([[[]]])));
            assert!(refused.is_some_and(|code| code != "unknown_field"), "{schema}: {name} {refused:?}");
        }
        for unknown in ["header", "secret", "id", "eventz", "key"] {
            assert!(!names.iter().any(|name| *name == unknown));
            assert_eq!(code(operation, &with(&body, unknown, json!(1))), Some("unknown_field"), "{schema}: {unknown}");
        }
        let required = schema_json["required"].as_array().into_iter().flatten();
        let required: Vec<&str> = required.map(|name| name.as_str().unwrap()).collect();
        let given: Vec<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
        for name in &given {
            assert!(required.contains(name), "{schema}: {name}");
            let mut less = body.clone();
            less.as_object_mut().unwrap().remove(*name);
            assert_eq!(code(operation, &less.to_string()), Some("missing_field"), "{schema}: {name}");
        }
        assert_eq!(required.len(), given.len(), "{schema}");
    }
}

/// What a parser knows and the document does not would be a field that these, in everyday use, lack.
#[test]
fn the_stored_settings_are_the_documented_fields() {
    let webhook = example::webhook(42, &example::everything()).unwrap();
    let stored = serde_json::to_value(&webhook.settings).unwrap();
    let document = in_json();
    let documented = document["components"]["schemas"]["RegisterWebhook"]["properties"].as_object().unwrap();
    let stored: Vec<&String> = stored.as_object().unwrap().keys().collect();
    // A method chooses a profile, and is not stored; headers are stored sealed, next to the settings.
    let documented: Vec<&String> =
        documented.keys().filter(|name| !["method", "headers"].contains(&name.as_str())).collect();
    assert!(!webhook.headers.is_empty());
    assert_eq!(sorted(stored), sorted(documented));
    let example = example::everything();
    assert_eq!(
        example.as_object().unwrap().len(),
        documented_count(&document),
        "the example everySetting has them all"
    );
}

fn documented_count(document: &Value) -> usize {
    document["components"]["schemas"]["RegisterWebhook"]["properties"].as_object().unwrap().len()
}

fn sorted<T: Ord>(mut list: Vec<T>) -> Vec<T> {
    list.sort();
    list
}

#[test]
fn null_is_taken_where_the_document_says_so() {
    let document = in_json();
    for (operation, schema, body) in bodies() {
        for (name, property) in document["components"]["schemas"][schema]["properties"].as_object().unwrap() {
            let nullable = property.to_string().contains(r#""null""#);
            assert_eq!(code(operation, &with(&body, name, Value::Null)).is_none(), nullable, "{schema}: {name}");
        }
    }
}

/// The bounds of a field: a value on each bound, and one beyond it.
fn bounds(document: &Value, name: &str, property: &Value) -> Vec<(Value, Value)> {
    let property = match property["$ref"].as_str().or_else(|| property["oneOf"][0]["$ref"].as_str()) {
        Some(reference) => &document["components"]["schemas"][reference.rsplit('/').next().unwrap()],
        None => property,
    };
    let number = |bound: &str| property[bound].as_u64();
    let text = |length: u64| match name {
        "url" => Value::from(format!("https://example.com/{}", "x".repeat(usize::try_from(length).unwrap() - 20))),
        _ => Value::from("x".repeat(usize::try_from(length).unwrap())),
    };
    let item = match name {
        "scopes" => json!("events:read"),
        "events" if property["items"]["$ref"].as_str().unwrap().ends_with("Pattern") => json!("*"),
        "events" => json!({ "type": "a", "data": {} }),
        _ => json!(1),
    };
    let list =
        |length: u64| Value::from(iter::repeat_n(item.clone(), usize::try_from(length).unwrap()).collect::<Vec<_>>());
    let mut bounds = Vec::new();
    bounds.extend(number("maximum").map(|most| (json!(most), json!(most + 1))));
    bounds.extend(number("minimum").map(|least| (json!(least), json!(least.wrapping_sub(1).cast_signed()))));
    bounds.extend(number("maxLength").map(|most| (text(most), text(most + 1))));
    bounds.extend(number("maxItems").map(|most| (list(most), list(most + 1))));
    bounds.extend(number("minItems").map(|least| (list(least), list(least - 1))));
    bounds
}

#[test]
fn the_documented_bounds_are_the_parsers() {
    let document = in_json();
    let mut seen = Vec::new();
    for (operation, schema, body) in bodies() {
        for (name, property) in document["components"]["schemas"][schema]["properties"].as_object().unwrap() {
            for (taken, refused) in bounds(&document, name, property) {
                assert_eq!(code(operation, &with(&body, name, taken.clone())), None, "{schema}: {name} {taken}");
                assert!(code(operation, &with(&body, name, refused.clone())).is_some(), "{schema}: {name} {refused}");
                seen.push(format!("{schema}.{name}"));
            }
        }
    }
    for name in ["url", "events", "description", "retrySchedule", "timeoutSeconds"] {
        assert!(seen.contains(&format!("RegisterWebhook.{name}")), "{name}");
    }
    assert!(seen.contains(&"NewEvents.events".to_owned()) && seen.contains(&"NewEvent.subject".to_owned()), "{seen:?}");
}

/// What lies deeper than one level: the document and the parser have to agree on every one of these.
#[test]
fn the_document_and_the_parser_agree_on_nested_values() {
    let register = |name: &'static str, values: Vec<Value>| values.into_iter().map(move |value| (name, value));
    let rows = |count: usize| -> Value {
        (0..count).map(|row| (format!("p{row}"), json!({}))).collect::<serde_json::Map<_, _>>().into()
    };
    let cells = |count: usize| -> Value {
        let cells: serde_json::Map<_, _> =
            (0..count).map(|cell| (format!("order.x{cell}.*"), json!("never"))).collect();
        json!({ "p": cells })
    };
    let limit = |requests: i64, per: &str| json!({ "requests": requests, "per": per });
    let cases = register(
        "rateLimit",
        vec![
            limit(1, "second"),
            limit(1000, "minute"),
            limit(0, "second"),
            limit(1001, "second"),
            limit(1, "hour"),
            json!({ "requests": 1 }),
            json!({ "requests": 1, "per": "second", "burst": 1 }),
        ],
    )
    .chain(register("retrySchedule", vec![json!([]), json!([1, 604_800]), json!([0]), json!([604_801]), json!(["1"])]))
    .chain(register(
        "successStatuses",
        vec![
            json!("2xx"),
            json!([200, 499]),
            json!([199]),
            json!([500]),
            json!("200"),
            json!([]),
            json!(vec![200; 20]),
            json!(vec![200; 21]),
        ],
    ))
    .chain(register(
        "filters",
        vec![
            json!({}),
            rows(50),
            rows(51),
            cells(100),
            cells(101),
            json!({ "": {} }),
            json!({ "p": { "*": "sometimes" } }),
            json!({ "p": { "a*": "never" } }),
            json!({ "p": [] }),
        ],
    ))
    .chain(register("events", vec![json!(["a b"]), json!(["a.*.b"]), json!(["*"]), json!(["order.*"]), json!([""])]))
    .chain(register(
        "headers",
        vec![
            json!({}),
            many_headers(20),
            many_headers(21),
            json!({ "Authorization": "Bearer a b" }),
            json!({ "x".repeat(64): "" }),
            json!({ "x".repeat(65): "" }),
            json!({ "a b": "" }),
            json!({ "": "" }),
            json!({ "a": " b" }),
            json!({ "a": "b\n" }),
            json!({ "a": "b\tc" }),
            json!({ "a": "x".repeat(1025) }),
            json!({ "a": null }),
            json!([]),
        ],
    ))
    .chain(register("format", vec![json!("spektr"), json!("xml")]))
    .chain(register("profile", vec![json!("spektr"), json!("other")]))
    .chain(register("timing", vec![json!("process_end"), json!("never")]));
    let mut validator = examples::Validator::new();
    let mut seen = [0, 0];
    for (name, value) in cases {
        let body = with(&json!({ "url": "https://example.com/", "events": ["*"] }), name, value);
        let parsed = parse("registerWebhook", &body).err().filter(|error| error.code != "unknown_event_type");
        let valid = validator.is_valid("/components/schemas/RegisterWebhook", &serde_json::from_str(&body).unwrap());
        assert_eq!(parsed.is_none(), valid, "{body}: {parsed:?}");
        seen[usize::from(valid)] += 1;
    }
    assert!(seen[0] > 15 && seen[1] > 10, "{seen:?}");
}

fn many_headers(count: usize) -> Value {
    (0..count).map(|at| (format!("x-{at}"), json!("y"))).collect::<serde_json::Map<_, _>>().into()
}

#[test]
fn names_have_the_documented_patterns() {
    let document = in_json();
    let texts =
        ["a", "order.created", "A_B-9", "", ".", "a.", "a..b", "a b", "*", "a.*", "a*", ".*", "a.*.b", "ä", "-a"];
    let long = [
        "x".repeat(64),
        "x".repeat(65),
        "x".repeat(128),
        "x".repeat(129),
        format!("{}.*", "x".repeat(128)),
        "x".repeat(131),
    ];
    let mut validator = examples::Validator::new();
    for text in texts.into_iter().chain(long.iter().map(String::as_str)) {
        let mut is = |schema: &str| validator.is_valid(&format!("/components/schemas/{schema}"), &json!(text));
        assert_eq!(is("EventTypeName"), EventType::parse(text).is_ok(), "{text}");
        assert_eq!(is("Workspace"), Workspace::parse(text).is_ok(), "{text}");
        // 129 and 130 characters can be a prefix and its `.*`, which the length alone does not tell from a name.
        if text.len() != 129 {
            assert_eq!(is("EventPattern"), EventPattern::parse(text).is_ok(), "{text}");
        }
    }
    assert_eq!(document["components"]["schemas"]["EventPattern"]["maxLength"], 130);
}

#[test]
fn the_documented_names_are_those_of_the_tables() {
    let document = in_json();
    let of = |schema: &str| document["components"]["schemas"][schema]["enum"].clone();
    let all = |names: Vec<&str>| json!(names);
    assert_eq!(of("Profile"), all(profile::Profile::NAMES.iter().map(|(name, _)| *name).collect()));
    assert_eq!(of("Method"), all(profile::Method::NAMES.iter().map(|(name, _)| *name).collect()));
    assert_eq!(of("Format"), all(format::Format::NAMES.iter().map(|(name, _)| *name).collect()));
    assert_eq!(of("Timing"), all(filter::Timing::NAMES.iter().map(|(name, _)| *name).collect()));
    assert_eq!(of("Rule"), all(filter::Rule::NAMES.iter().map(|(name, _)| *name).collect()));
    assert_eq!(of("Status"), all(attempt::Status::ALL.iter().map(|status| status.name()).collect()));
    assert_eq!(of("HealthState"), all(lane::State::NAMES.iter().map(|(name, _)| *name).collect()));
    assert_eq!(of("WaitingReason"), all(lane::Reason::NAMES.iter().map(|(name, _)| *name).collect()));
    // These two have no table: a new one does not compile here.
    let environments = [Environment::Live, Environment::Test].map(|environment| match environment {
        Environment::Live | Environment::Test => environment,
    });
    assert_eq!(of("Environment"), json!(environments));
    let periods = [Period::Second, Period::Minute].map(|period| match period {
        Period::Second | Period::Minute => period,
    });
    assert_eq!(document["components"]["schemas"]["RateLimit"]["properties"]["per"]["enum"], json!(periods));
    let statuses = &document["components"]["schemas"]["EventType"]["properties"]["status"]["enum"];
    for built_in in catalogue::all() {
        assert!(statuses.as_array().unwrap().contains(&json!(built_in.status)), "{}", built_in.name);
    }
}
