//! The complaints about every body: codes, messages and fields are public, so none of them changes
//! by accident.

use std::{collections::BTreeSet, fmt::Write};

use super::*;

/// A body that an operation takes, to which fields are added.
struct Body {
    operation: &'static str,
    /// The fields that it has to have.
    needed: Value,
    /// The names of the fields that it can have, as the document has them.
    names: Vec<String>,
}

fn bodies() -> Vec<Body> {
    let document = in_json();
    let event = json!({ "type": "order.created", "data": {} });
    let needed = [
        ("registerWebhook", json!({ "url": "https://example.com/", "events": ["*"] })),
        ("changeWebhook", json!({})),
        ("rotateSecret", json!({})),
        ("publishEvents", event),
        ("publishEvents", json!({ "spektrId": "c-1", "type": "process_run_end", "data": {} })),
        ("publishEvents", json!({ "spektrId": "c-1", "eventType": "alert_created", "data": {} })),
        ("putEventType", json!({})),
        ("sendTest", json!({})),
        ("startSimulation", json!({ "kind": "trickle" })),
        ("startReplay", json!({ "since": "2026-01-15T09:30:00Z" })),
        ("changeWorkspace", json!({})),
        ("createKey", json!({ "scopes": ["events:read"] })),
        ("createPortalLink", json!({ "scopes": ["events:read"] })),
        ("startRedrive", json!({ "queue": "turns" })),
    ];
    let bodies = needed.map(|(operation, needed)| Body {
        operation,
        names: names(&document, operation, &needed),
        needed,
    });
    let with_bodies = operations(&document)
        .into_iter()
        .filter(|(_, operation)| operation["requestBody"].is_object());
    let here: BTreeSet<&str> = bodies.iter().map(|body| body.operation).collect();
    assert_eq!(here.len(), with_bodies.count(), "every body is here");
    bodies.into()
}

/// These members tell in which form an event is published.
const OF_A_FORM: [&str; 2] = ["spektrId", "eventType"];

/// The names of the fields of an operation's body, or of its bodies, where it takes one of several:
/// of those that have the form of the fields that are needed.
fn names(document: &Value, operation: &str, needed: &Value) -> Vec<String> {
    let operations = operations(document);
    let (_, operation) =
        operations.iter().find(|(_, known)| known["operationId"] == operation).unwrap();
    let schema =
        resolved(document, &operation["requestBody"]["content"]["application/json"]["schema"]);
    let choices = match schema["oneOf"].as_array() {
        Some(choices) => choices.iter().map(|choice| resolved(document, choice)).collect(),
        None => vec![schema],
    };
    let mut names = Vec::new();
    for choice in choices {
        let has = |name: &&str| choice["properties"].get(name).is_some();
        if OF_A_FORM.iter().any(|name| has(name) != needed.get(name).is_some()) {
            continue;
        }
        names.extend(choice["properties"].as_object().unwrap().keys().cloned());
    }
    assert!(!names.is_empty());
    names
}

fn resolved<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(reference) => document.pointer(reference.strip_prefix('#').unwrap()).unwrap(),
        None => schema,
    }
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
    ("publishEvents", "subject", r#""\uffff""#),
    ("publishEvents", "data", r#"{"a": "\uffff"}"#),
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
    ("createPortalLink", "scopes", r#"["workspaces:manage"], "webhookIds": [7]"#),
    ("createPortalLink", "expiresInSeconds", "86401"),
    ("createPortalLink", "sessionSeconds", "43201"),
    ("createPortalLink", "webhookIds", r#"[7, "8"]"#),
    ("createPortalLink", "returnUrl", r#""http://shop.example.com""#),
    ("createPortalLink", "returnUrl", r#""https://me@shop.example.com""#),
    ("createPortalLink", "theme", r#"{"name": ""}"#),
    ("createPortalLink", "theme", r#"{"logoUrl": "http://localhost/logo.svg"}"#),
    ("createPortalLink", "theme", r#"{"accentColor": "green"}"#),
    ("createPortalLink", "theme", r#"{"colour": "green"}"#),
    ("createPortalLink", "frameOrigins", r#"["https://a.example", "https://*.example.com"]"#),
    ("createPortalLink", "frameOrigins", r#"["https://a.example/"]"#),
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
    ("createPortalLink", "{}"),
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
    let bodies = bodies();
    for Body { operation, needed, names } in &bodies {
        for name in names {
            let mut others = needed.clone();
            others.as_object_mut().unwrap().remove(name);
            for value in values() {
                line(operation, &with(&others, name, &value.to_string()), &mut lines);
            }
            line(operation, &with(&json!({ name: 1 }), name, "1"), &mut lines);
            // The name without its last letter, which nobody knows and which is near.
            line(operation, &with(needed, &name[..name.len() - 1], "1"), &mut lines);
        }
    }
    for (operation, name, value) in NESTED {
        let body = bodies.iter().find(|body| body.operation == *operation).unwrap();
        let mut others = body.needed.clone();
        others.as_object_mut().unwrap().remove(*name);
        line(operation, &with(&others, name, value), &mut lines);
    }
    for (operation, body) in WHOLE {
        line(operation, body, &mut lines);
    }
    insta::assert_snapshot!(lines);
}
