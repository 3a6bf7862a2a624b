//! The schemas that are not derived say what the parsers take.

use std::collections::BTreeSet;

use posthaste_domain::{
    access::workspace::Workspace,
    delivery::{attempt, format},
    endpoint::lane::{self, Lane},
    event::{
        catalogue,
        event_type::{EventPattern, EventType},
    },
    webhook::{filter, profile},
};

use super::*;
use crate::{WaitingReason, WebhookAnswer};

fn with(body: &Value, name: &str, value: Value) -> String {
    let mut body = body.clone();
    body[name] = value;
    body.to_string()
}

#[test]
fn the_example_of_every_setting_has_them_all() {
    let document = in_json();
    let settings =
        document["components"]["schemas"]["RegisterWebhook"]["properties"].as_object().unwrap();
    let example = example::everything();
    for name in settings.keys() {
        assert!(example.get(name).is_some_and(|value| !value.is_null()), "{name}");
    }
}

#[test]
fn the_answer_about_a_webhook_has_the_documented_fields_and_no_others() {
    let mut webhook = example::webhook(42, &example::everything()).unwrap();
    // These settings are no choice of the owner's, so no answer has them.
    webhook.settings.has_held = true;
    let answer = WebhookAnswer::of(&webhook, &Lane::default(), example::NOW);
    let unknown = example::webhook(42, &example::of_unknown_types()).unwrap().settings;
    let answer = answer.with_secret(&example::secret()).with_warnings(example::warnings(&unknown));
    let answer = serde_json::to_value(answer).unwrap();
    let document = in_json();
    let documented = document["components"]["schemas"]["Webhook"]["properties"].as_object();
    let answered: BTreeSet<&String> = answer.as_object().unwrap().keys().collect();
    assert_eq!(answered, documented.unwrap().keys().collect());
}

/// Checks values that lie deeper than one level: the document and the parser have to agree on every
/// one of these.
#[test]
fn the_document_and_the_parser_agree_on_nested_values() {
    let register =
        |name: &'static str, values: Vec<Value>| values.into_iter().map(move |value| (name, value));
    let rows = |count: usize| -> Value {
        (0..count)
            .map(|row| (format!("p{row}"), json!({})))
            .collect::<serde_json::Map<_, _>>()
            .into()
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
    .chain(register("description", vec![json!("x".repeat(1024)), json!("x".repeat(1025))]))
    .chain(register(
        "timeoutSeconds",
        vec![json!(0), json!(1), json!(30), json!(31), json!(1.5), json!(null)],
    ))
    .chain(register(
        "url",
        vec![json!(null), json!(format!("https://example.com/{}", "x".repeat(2029)))],
    ))
    .chain(register(
        "events",
        vec![json!([]), json!(vec!["*"; 100]), json!(vec!["*"; 101]), json!(null)],
    ))
    .chain(register(
        "retrySchedule",
        vec![
            json!([]),
            json!(vec![1; 30]),
            json!(vec![1; 31]),
            json!([1, 604_800]),
            json!([0]),
            json!([604_801]),
            json!(["1"]),
        ],
    ))
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
    .chain(register(
        "events",
        vec![json!(["a b"]), json!(["a.*.b"]), json!(["*"]), json!(["order.*"]), json!([""])],
    ))
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
        let parsed = parse("registerWebhook", &body)
            .err()
            .filter(|error| error.code != "unknown_event_type");
        let valid = validator
            .is_valid("/components/schemas/RegisterWebhook", &serde_json::from_str(&body).unwrap());
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
    let texts = [
        "a",
        "order.created",
        "A_B-9",
        "",
        ".",
        "a.",
        "a..b",
        "a b",
        "*",
        "a.*",
        "a*",
        ".*",
        "a.*.b",
        "ä",
        "-a",
    ];
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
        let mut is = |schema: &str| {
            validator.is_valid(&format!("/components/schemas/{schema}"), &json!(text))
        };
        assert_eq!(is("EventTypeName"), EventType::parse(text).is_ok(), "{text}");
        assert_eq!(is("Workspace"), Workspace::parse(text).is_ok(), "{text}");
        // 129 and 130 characters can be a prefix and its `.*`, which the length alone does not tell
        // from a name.
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
    assert_eq!(
        of("Status"),
        all(attempt::Status::ALL.iter().map(|status| status.name()).collect())
    );
    assert_eq!(of("HealthState"), all(lane::State::NAMES.iter().map(|(name, _)| *name).collect()));
    let reasons = of("WaitingReason");
    for (name, reason) in lane::Reason::NAMES {
        assert_eq!(json!(WaitingReason::from(reason)), name, "the same as of the table");
        assert!(reasons.as_array().unwrap().contains(&json!(name)));
    }
    let statuses = &document["components"]["schemas"]["EventType"]["properties"]["status"]["enum"];
    for built_in in catalogue::all() {
        assert!(
            statuses.as_array().unwrap().contains(&json!(built_in.status)),
            "{}",
            built_in.name
        );
    }
}
