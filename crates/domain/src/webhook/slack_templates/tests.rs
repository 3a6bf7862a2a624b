use serde_json::{Value, json};

use super::*;
use crate::{
    endpoint::url::UrlPolicy,
    webhook::{ChangeRequest, Registration, Settings, profile::Profile},
};

fn register(profile: &str, templates: &Value) -> Result<Settings, Invalid> {
    let body = json!({
        "url": "https://hooks.slack.com/services/T0/B0/x", "events": ["*"], "profile": profile,
        "slackTemplates": templates,
    });
    let body = body.to_string();
    let registered = Registration::parse(body.as_bytes(), &UrlPolicy::default(), Profile::Standard);
    registered.map(|registration| registration.settings)
}

fn of_orders(template: Value) -> Value {
    json!({ "order.created": template })
}

fn field_and_code(template: Value) -> (String, &'static str) {
    let invalid = register("slack", &of_orders(template)).unwrap_err();
    let field = invalid.field.unwrap();
    let rest = field.strip_prefix("slackTemplates.order.created").unwrap_or(&field);
    (rest.to_owned(), invalid.code)
}

fn everything() -> Value {
    json!({
        "title": "Order {{data.order.id}} of {{subject}}",
        "fields": [
            { "label": "Total", "path": "data.order.total" },
            { "label": "First item", "path": "data.items.0.name" },
        ],
        "color": "#36A64f",
        "button": {
            "text": "Open {{data.order.id}}",
            "url": "https://shop.example.com/orders/{{data.order.id}}?from={{type}}",
        },
    })
}

#[test]
fn templates_are_stored_as_they_are_given() {
    let settings = register("slack", &of_orders(everything())).unwrap();
    let stored = serde_json::to_value(&settings).unwrap();
    assert_eq!(stored["slackTemplates"], of_orders(everything()));
    assert_eq!(serde_json::from_value::<Settings>(stored).unwrap(), settings);
    let plain = register("slack", &of_orders(json!({}))).unwrap();
    let stored = serde_json::to_value(&plain).unwrap();
    assert_eq!(stored["slackTemplates"], of_orders(json!({})));
    let aliased = register("slack", &json!({ "ALERT_CREATED": {} })).unwrap();
    let stored = serde_json::to_value(&aliased).unwrap();
    assert_eq!(stored["slackTemplates"], json!({ "alert_created": {} }));
}

#[test]
fn only_slack_has_templates() {
    let invalid = register("standard", &of_orders(everything())).unwrap_err();
    let found = (invalid.field.as_deref(), invalid.code);
    assert_eq!(found, (Some("slackTemplates"), "invalid_format"));
    let slack = register("slack", &of_orders(everything())).unwrap();
    let change = |body: &str| {
        let request = ChangeRequest::parse(body.as_bytes(), &UrlPolicy::default()).unwrap();
        request.applied_to(&slack, Profile::Standard)
    };
    let moved = change(r#"{"profile":"standard"}"#).unwrap_err();
    assert_eq!(moved.field.as_deref(), Some("slackTemplates"));
    let without = change(r#"{"profile":"standard","slackTemplates":null}"#).unwrap();
    assert_eq!(without.settings.slack_templates, None);
    let kept = change(r#"{"description":"mine"}"#).unwrap().settings.slack_templates;
    assert_eq!(kept, slack.slack_templates);
}

#[test]
fn what_is_wrong_is_named() {
    let field = |field: Value| json!({ "fields": [field] });
    let button = |url: &str| json!({ "button": { "text": "Open", "url": url } });
    for (template, at, code) in [
        (json!(1), "", "wrong_type"),
        (json!({ "titel": "a" }), ".titel", "unknown_field"),
        (json!({ "title": "" }), ".title", "too_long"),
        (json!({ "title": "x".repeat(301) }), ".title", "too_long"),
        (json!({ "title": "{{data.id" }), ".title", "invalid_template"),
        (json!({ "title": "{{order.id}}" }), ".title", "invalid_template"),
        (json!({ "title": "{{data.token}}" }), ".title", "invalid_template"),
        (json!({ "fields": {} }), ".fields", "wrong_type"),
        (json!({ "fields": vec![1; 11] }), ".fields", "wrong_count"),
        (field(json!({ "path": "data.a" })), ".fields[0].label", "missing_field"),
        (field(json!({ "label": "x".repeat(101), "path": "id" })), ".fields[0].label", "too_long"),
        (field(json!({ "label": "a", "path": "{{id}}" })), ".fields[0].path", "invalid_path"),
        (field(json!({ "label": "a", "path": "data.apiKey" })), ".fields[0].path", "invalid_path"),
        (json!({ "color": "red" }), ".color", "invalid_color"),
        (json!({ "color": "#36a64" }), ".color", "invalid_color"),
        (json!({ "button": { "text": "Open" } }), ".button.url", "missing_field"),
        (button("ftp://example.com/"), ".button.url", "invalid_url"),
        (button("https://example.com"), ".button.url", "invalid_url"),
        (button("https://{{data.host}}/"), ".button.url", "invalid_url"),
        (button("https://example.com{{data.host}}/"), ".button.url", "invalid_url"),
        (button("{{data.a}}{{data.b}}"), ".button.url", "invalid_url"),
        (button("https://u:p@example.com/"), ".button.url", "invalid_url"),
        (button("https://example.com/?token={{data.a}}"), ".button.url", "invalid_url"),
        (button(&format!("https://example.com/{}", "x".repeat(3000))), ".button.url", "too_long"),
    ] {
        assert_eq!(field_and_code(template.clone()), (at.to_owned(), code), "{template}");
    }
    for taken in [button("{{data.url}}"), button("https://example.com/{{id}}")] {
        assert!(register("slack", &of_orders(taken.clone())).is_ok(), "{taken}");
    }
}

#[test]
fn the_placeholders_of_one_template_are_bounded() {
    let template = |title: usize, text: usize, url: usize| {
        json!({
            "title": format!("T{}", "{{id}}".repeat(title)),
            "button": {
                "text": format!("B{}", "{{id}}".repeat(text)),
                "url": format!("https://example.com/{}", "{{data.a}}".repeat(url)),
            },
        })
    };
    for taken in [template(20, 0, 0), template(7, 6, 7), template(0, 0, 20)] {
        assert!(register("slack", &of_orders(taken)).is_ok());
    }
    for (refused, at) in [
        (template(21, 0, 0), ".title"),
        (template(10, 11, 0), ".button.text"),
        (template(7, 7, 7), ".button.url"),
    ] {
        assert_eq!(field_and_code(refused), (at.to_owned(), "wrong_count"));
    }
}

#[test]
fn templates_are_bounded_in_number_and_have_one_type_each() {
    let many = |count: usize| -> Value {
        let templates: serde_json::Map<_, _> =
            (0..count).map(|nth| (format!("order.x{nth}"), json!({}))).collect();
        templates.into()
    };
    assert!(register("slack", &many(50)).is_ok());
    let invalid = register("slack", &many(51)).unwrap_err();
    assert_eq!((invalid.field.as_deref(), invalid.code), (Some("slackTemplates"), "wrong_count"));
    let large: serde_json::Map<_, _> = (0..50)
        .map(|nth| {
            (
                format!("order.x{nth}"),
                json!({ "title": "x".repeat(300), "fields":
            vec![json!({ "label": "x".repeat(100), "path": "data.a" }); 10] }),
            )
        })
        .collect();
    let invalid = register("slack", &large.into()).unwrap_err();
    assert_eq!((invalid.field.as_deref(), invalid.code), (Some("slackTemplates"), "too_large"));
    let invalid = register("slack", &json!({ "a b": {} })).unwrap_err();
    assert_eq!(invalid.code, "invalid_event_type");
    let invalid = register("slack", &json!({ "STEP_INIT": {}, "step_init": {} })).unwrap_err();
    assert_eq!(invalid.code, "repeated_field");
}
