//! The complaints about every body: codes, messages and fields are public, so none of them changes
//! by accident.

use std::fmt::Write;

use super::*;

/// Each body: its operation, what it has to have, and the names of its fields.
fn bodies() -> [(&'static str, Value, &'static [&'static str]); 8] {
    let settings = &[
        "url",
        "events",
        "description",
        "method",
        "profile",
        "format",
        "timing",
        "filters",
        "rateLimit",
        "retrySchedule",
        "successStatuses",
        "timeoutSeconds",
        "headers",
        "enabled",
    ];
    let webhook = json!({ "url": "https://example.com/", "events": ["*"] });
    let event = json!({ "type": "order.created", "data": {} });
    [
        ("registerWebhook", webhook, settings),
        ("changeWebhook", json!({}), settings),
        ("rotateSecret", json!({}), &["overlapSeconds"]),
        ("publishEvents", event, &["type", "data", "subject", "timestamp", "reference", "events"]),
        ("putEventType", json!({}), &["description", "schema", "sample"]),
        ("sendTest", json!({}), &["type"]),
        ("startReplay", json!({ "since": "2026-01-15T09:30:00Z" }), &["since", "until", "status"]),
        (
            "createKey",
            json!({ "scopes": ["events:read"] }),
            &["scopes", "name", "environment", "workspace"],
        ),
    ]
}

/// Values of every type, and texts, numbers and lists that are too large for anything.
fn values() -> [Value; 12] {
    [
        Value::Null,
        json!(true),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(99_999_999_999_u64),
        json!("a b"),
        json!("x".repeat(3000)),
        json!([]),
        json!([[]]),
        json!({}),
        json!({ "a": 1 }),
    ]
}

/// These values lie deeper, or only one field can have them.
const NESTED: &[(&str, &str, &str)] = &[
    ("registerWebhook", "url", r#""http://example.com""#),
    ("registerWebhook", "url", r#""https://localhost""#),
    ("registerWebhook", "url", r#""https://example.com/***""#),
    ("registerWebhook", "events", r#"["a b"]"#),
    ("registerWebhook", "events", r#"["*", 1]"#),
    ("registerWebhook", "events", r#"["order.create"]"#),
    ("registerWebhook", "method", r#""slack", "profile": "spektr""#),
    ("registerWebhook", "method", r#""https", "profile": "slack""#),
    ("registerWebhook", "method", r#""smtp", "profile": "other""#),
    ("registerWebhook", "format", r#""slack""#),
    ("registerWebhook", "filters", r#"{"a": {"x y": "never"}}"#),
    ("registerWebhook", "filters", r#"{"a": {"*": "sometimes"}}"#),
    ("registerWebhook", "filters", r#"{"a": {"*": "never", "*": "never"}}"#),
    ("registerWebhook", "filters", r#"{"a": {}, "a": {}}"#),
    ("registerWebhook", "filters", r#"{"": {}}"#),
    ("registerWebhook", "filters", r#"{"risk": {"service_runs": "never"}}"#),
    ("registerWebhook", "rateLimit", r#"{"requests": 0, "per": "second"}"#),
    ("registerWebhook", "rateLimit", r#"{"requests": 1001, "per": "second"}"#),
    ("registerWebhook", "rateLimit", r#"{"requests": 1.5, "per": "second"}"#),
    ("registerWebhook", "rateLimit", r#"{"requests": 1, "per": "hour"}"#),
    ("registerWebhook", "rateLimit", r#"{"requests": null, "per": "second"}"#),
    ("registerWebhook", "rateLimit", r#"{"requests": 1}"#),
    ("registerWebhook", "rateLimit", r#"{"requests": 1, "per": "second", "pre": 2}"#),
    ("registerWebhook", "rateLimit", r#"{"requests": 1, "requests": 1, "per": "second"}"#),
    ("registerWebhook", "retrySchedule", "[0]"),
    ("registerWebhook", "retrySchedule", "[604801]"),
    ("registerWebhook", "retrySchedule", "[1.5]"),
    ("registerWebhook", "successStatuses", r#""3xx""#),
    ("registerWebhook", "successStatuses", "[199]"),
    ("registerWebhook", "successStatuses", "[410]"),
    ("registerWebhook", "successStatuses", "[200.5]"),
    ("registerWebhook", "timeoutSeconds", "31"),
    ("registerWebhook", "headers", r#"{"Host": "x"}"#),
    ("registerWebhook", "headers", r#"{"a": " x"}"#),
    ("registerWebhook", "headers", r#"{"a": "***"}"#),
    ("registerWebhook", "headers", r#"{"a": "x", "A": "y"}"#),
    ("registerWebhook", "headers", r#"{"a": "x", "a": "y"}"#),
    ("rotateSecret", "overlapSeconds", "604801"),
    ("publishEvents", "timestamp", r#""1969-12-31T23:59:59Z""#),
    ("publishEvents", "timestamp", "1768469400"),
    ("publishEvents", "type", r#""webhook.disabled""#),
    ("publishEvents", "data", "\"\u{ffff}\""),
    ("publishEvents", "data", "{\"a\": \"\u{ffff}\"}"),
    ("publishEvents", "events", r#"[{"type": "order.created", "data": {}}]"#),
    ("putEventType", "schema", r#"{"type": "text"}"#),
    ("putEventType", "sample", r#"{}, "schema": {"required": ["id"]}"#),
    ("startReplay", "until", r#""2026-01-15T09:30:00Z""#),
    ("startReplay", "status", r#""none""#),
    ("createKey", "scopes", r#"["all"]"#),
    ("createKey", "scopes", r#"["events:read", 1]"#),
    ("createKey", "environment", r#""prod""#),
    ("createKey", "workspace", r#""a#b""#),
];

/// These bodies are refused, or taken, as a whole.
const WHOLE: &[(&str, &str)] = &[
    ("registerWebhook", "{}"),
    ("registerWebhook", "[]"),
    ("registerWebhook", ""),
    ("registerWebhook", r#"{"events": ["*"]}"#),
    ("registerWebhook", r#"{"url": "https://example.com"}"#),
    ("registerWebhook", r#"{"urls": "https://example.com", "events": ["*"]}"#),
    ("rotateSecret", ""),
    ("rotateSecret", "[]"),
    ("publishEvents", "{}"),
    ("publishEvents", r#"{"type": "a"}"#),
    ("publishEvents", r#"{"data": {}}"#),
    ("publishEvents", r#"{"events": []}"#),
    ("publishEvents", r#"{"events": 1}"#),
    ("publishEvents", r#"{"events": [1]}"#),
    ("publishEvents", r#"{"events": [null]}"#),
    ("publishEvents", r#"{"events": [{"type": "a", "data": {}}, {"type": "a"}]}"#),
    ("publishEvents", r#"{"events": [{"type": "a", "data": []}]}"#),
    ("publishEvents", r#"{"events": [{"type": "a", "data": {}, "dta": {}}]}"#),
    ("publishEvents", r#"{"events": [{"type": "a", "data": {}, "data": {}}]}"#),
    ("publishEvents", r#"{"events": [{"type": "a", "data": {}}], "event": {}}"#),
    ("sendTest", ""),
    ("sendTest", "[]"),
    ("startReplay", "{}"),
    ("createKey", "{}"),
];

fn line(operation: &str, body: &str, lines: &mut String) {
    let shown = body.replace(&"x".repeat(3000), "x…");
    let said = match parse(operation, body) {
        Ok(()) => "taken".to_owned(),
        Err(Invalid { kind, code, message, field }) => {
            format!("{kind:?} {code}, {}: {message}", field.as_deref().unwrap_or("no field"))
        }
    };
    let said = said.replace(&"x".repeat(3000), "x…");
    writeln!(lines, "{operation} {shown}\n    {said}").unwrap();
}

/// A body with one more field, which can be one that it has.
fn with(body: &Value, name: &str, value: &str) -> String {
    let members = body.to_string();
    let members = members.trim_start_matches('{').strip_suffix('}').unwrap_or_default();
    let comma = if members.is_empty() { "" } else { "," };
    format!(r#"{{{members}{comma}"{name}":{value}}}"#)
}

#[test]
fn every_complaint_stays_what_it_is() {
    let mut lines = String::new();
    for (operation, body, fields) in bodies() {
        for name in fields {
            let mut others = body.clone();
            others.as_object_mut().unwrap().remove(*name);
            for value in values() {
                line(operation, &with(&others, name, &value.to_string()), &mut lines);
            }
            line(operation, &with(&json!({ *name: 1 }), name, "1"), &mut lines);
            // The name without its last letter, which nobody knows and which is near.
            line(operation, &with(&body, &name[..name.len() - 1], "1"), &mut lines);
        }
    }
    for (operation, name, value) in NESTED {
        let (_, mut body, _) = bodies().into_iter().find(|(known, ..)| known == operation).unwrap();
        body.as_object_mut().unwrap().remove(*name);
        line(operation, &with(&body, name, value), &mut lines);
    }
    for (operation, body) in WHOLE {
        line(operation, body, &mut lines);
    }
    insta::assert_snapshot!(lines);
}
