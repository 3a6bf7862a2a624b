//! The API: every answer, and every error with its status, code and field.

use std::time::{Duration, Instant};

use posthaste_domain::known_keys::BELIEVED;
use posthaste_tests::{Posthaste, eventually};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn a_webhook_is_registered_read_changed_and_removed() {
    let posthaste = Posthaste::start().await;
    let api = &posthaste.api;
    let url = "https://myapp.com/spectra-webhook";
    let events = ["order.created", "order.shipped", "inventory.sold"];
    let (status, answer) = api.call(Method::POST, "/webhooks", json!({ "url": url, "events": events })).await;
    assert_eq!((status, &answer["success"]), (201, &json!(true)));
    let webhook = &answer["data"];
    assert!(webhook["id"].is_u64() && webhook["secret"].as_str().unwrap().starts_with("whsec_"), "{webhook}");
    assert_eq!((&webhook["url"], &webhook["events"]), (&json!(url), &json!(events)));

    let path = format!("/webhooks/{}", webhook["id"]);
    let read = api.ok(Method::GET, &path, Value::Null).await;
    assert_eq!(read["secret"], Value::Null, "the secret is shown once");
    assert_eq!(
        (&read["enabled"], &read["timeoutSeconds"], &read["format"]),
        (&json!(true), &json!(5), &json!("standard"))
    );
    let change = json!({ "events": ["*"], "description": "mine", "timeoutSeconds": 10 });
    let changed = api.ok(Method::PATCH, &path, change).await;
    assert_eq!(
        (&changed["events"], &changed["description"], &changed["url"]),
        (&json!(["*"]), &json!("mine"), &json!(url))
    );
    assert_eq!(api.ok(Method::GET, &path, Value::Null).await, changed);
    api.ok(Method::DELETE, &path, Value::Null).await;
    assert_eq!(api.call(Method::GET, &path, Value::Null).await.0, 404);
    assert_eq!(api.call(Method::DELETE, &path, Value::Null).await.0, 404);
}

#[tokio::test]
async fn webhooks_are_listed_in_pages() {
    let posthaste = Posthaste::start().await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(posthaste.register("mine", &["*"]).await["id"].clone());
    }
    let mut seen = Vec::new();
    let mut query = "limit=2".to_owned();
    loop {
        let page = posthaste.api.ok(Method::GET, &format!("/webhooks?{query}"), Value::Null).await;
        seen.extend(page["items"].as_array().unwrap().iter().map(|webhook| webhook["id"].clone()));
        match page["next"].as_str() {
            Some(next) => query = format!("limit=2&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, ids);
}

#[tokio::test]
async fn keys_are_made_listed_and_revoked_within_5_seconds() {
    let posthaste = Posthaste::start().await;
    let body = json!({ "scopes": ["webhooks:manage"], "name": "ci", "environment": "test" });
    let (status, answer) = posthaste.api.call(Method::POST, "/keys", body).await;
    assert_eq!(status, 201);
    let key = answer["data"]["key"].as_str().unwrap();
    assert!(key.starts_with("spk_test_"), "{key}");
    let theirs = posthaste.api.with_key(key);
    theirs.ok(Method::GET, "/webhooks", Value::Null).await;
    for (method, path, scope) in [(Method::POST, "/events", "events:publish"), (Method::GET, "/keys", "keys:manage")] {
        let (status, answer) = theirs.call(method, path, json!({ "type": "a", "data": {} })).await;
        assert_eq!((status, &answer["error"]["code"]), (403, &json!("forbidden")));
        assert!(answer["error"]["message"].as_str().unwrap().contains(scope), "{answer}");
    }
    let listed = posthaste.api.ok(Method::GET, "/keys", Value::Null).await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);
    assert!(!listed.to_string().contains(key), "a key is shown once");
    posthaste.api.ok(Method::DELETE, &format!("/keys/{}", answer["data"]["id"].as_str().unwrap()), Value::Null).await;
    let revoked_at = Instant::now();
    let refused = async || theirs.call(Method::GET, "/webhooks", Value::Null).await.0 == 401;
    let refused_at = eventually("the key is refused", async || refused().await.then(Instant::now)).await;
    // A busy machine takes a moment for the call that tells.
    assert!(refused_at - revoked_at < BELIEVED + Duration::from_secs(2), "{:?}", refused_at - revoked_at);
}

#[tokio::test]
async fn a_key_revokes_only_what_it_could_give() {
    let posthaste = Posthaste::start().await;
    let make = async |scopes: &[&str]| posthaste.api.ok(Method::POST, "/keys", json!({ "scopes": scopes })).await;
    let mut paths = Vec::new();
    for scopes in [&["webhooks:manage", "events:publish"][..], &["events:publish"], &["keys:manage", "events:publish"]]
    {
        let key = make(scopes).await;
        paths.push((key["key"].clone(), format!("/keys/{}", key["id"].as_str().unwrap())));
    }
    let manager = posthaste.api.with_key(paths[2].0.as_str().unwrap());
    let (status, answer) = manager.call(Method::DELETE, &paths[0].1, Value::Null).await;
    assert_eq!((status, &answer["error"]["code"]), (403, &json!("forbidden")));
    assert!(answer["error"]["message"].as_str().unwrap().ends_with("webhooks:manage"), "{answer}");
    let spared = posthaste.api.with_key(paths[0].0.as_str().unwrap());
    spared.ok(Method::GET, "/webhooks", Value::Null).await;
    for (_, path) in &paths[1..] {
        manager.ok(Method::DELETE, path, Value::Null).await;
    }
    let refused = async || manager.call(Method::GET, "/keys", Value::Null).await.0 == 401;
    eventually("the key that has revoked itself is refused", async || refused().await.then_some(())).await;
    posthaste.api.ok(Method::DELETE, &paths[0].1, Value::Null).await;
}

#[tokio::test]
async fn every_error_says_what_and_where() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register("mine", &["*"]).await;
    let path = format!("/webhooks/{}", webhook["id"]);
    let good = json!({ "url": "https://example.com/", "events": ["*"] });
    let with = |name: &str, value: Value| {
        let mut body = good.clone();
        body[name] = value;
        body.to_string()
    };
    let event = |name: &str, value: Value| {
        let mut body = json!({ "type": "a", "data": {} });
        body[name] = value;
        body.to_string()
    };
    let text = |text: &str| text.to_owned();
    let big = format!(r#"{{"type":"a","data":{{"x":"{}"}}}}"#, "x".repeat(256 * 1024));
    let deep = format!(r#"{{"type":"a","data":{{"x":{}{}}}}}"#, "[".repeat(50), "]".repeat(50));
    let cases = [
        (Method::POST, text("/webhooks"), text("{"), 400, "malformed_json", None),
        (Method::POST, text("/webhooks"), text("[]"), 400, "malformed_json", None),
        (Method::POST, text("/webhooks"), text("{}"), 422, "missing_field", Some("url")),
        (Method::POST, text("/webhooks"), with("url", json!("http://10.0.0.1/")), 422, "invalid_url", Some("url")),
        (
            Method::POST,
            text("/webhooks"),
            with("url", json!("http://169.254.169.254/")),
            422,
            "invalid_url",
            Some("url"),
        ),
        (
            Method::POST,
            text("/webhooks"),
            with("url", json!("https://user:pw@example.com/")),
            422,
            "invalid_url",
            Some("url"),
        ),
        (Method::POST, text("/webhooks"), with("url", json!("ftp://example.com/")), 422, "invalid_url", Some("url")),
        (Method::POST, text("/webhooks"), with("url", json!(7)), 422, "wrong_type", Some("url")),
        (Method::POST, text("/webhooks"), with("events", json!([])), 422, "wrong_count", Some("events")),
        (Method::POST, text("/webhooks"), with("events", json!(["a b"])), 422, "invalid_event_type", Some("events")),
        (Method::POST, text("/webhooks"), with("format", json!("xml")), 422, "invalid_format", Some("format")),
        (
            Method::POST,
            text("/webhooks"),
            with("timeoutSeconds", json!(31)),
            422,
            "out_of_range",
            Some("timeoutSeconds"),
        ),
        (Method::POST, text("/webhooks"), with("colour", json!("red")), 422, "unknown_field", Some("colour")),
        (Method::PATCH, path.clone(), text(r#"{"id": 7}"#), 422, "unknown_field", Some("id")),
        (Method::GET, text("/webhooks?limit=0"), text(""), 422, "invalid_parameter", Some("limit")),
        (Method::GET, text("/webhooks?limit=5&limit=6"), text(""), 422, "repeated_parameter", Some("limit")),
        (Method::GET, text("/webhooks?page=2"), text(""), 422, "unknown_parameter", Some("page")),
        (Method::GET, text("/webhooks/0"), text(""), 404, "not_found", None),
        (Method::GET, text("/webhooks/abc"), text(""), 404, "not_found", None),
        (Method::GET, text("/webhooks/0/deliveries"), text(""), 404, "not_found", None),
        (Method::GET, format!("{path}/deliveries?status=lost"), text(""), 422, "invalid_parameter", Some("status")),
        (Method::PUT, path.clone(), text(""), 405, "method_not_allowed", None),
        (Method::PUT, text("/events"), text("{}"), 405, "method_not_allowed", None),
        (Method::POST, text("/event-types"), text("{}"), 405, "method_not_allowed", None),
        (Method::PATCH, text("/event-types/order.created"), text("{}"), 405, "method_not_allowed", None),
        (Method::PUT, text("/openapi.json"), text("{}"), 405, "method_not_allowed", None),
        (Method::DELETE, text("/event-types/order.created"), text(""), 422, "built_in_event_type", Some("name")),
        (Method::DELETE, text("/event-types/order.unknown"), text(""), 404, "not_found", None),
        (Method::GET, text("/nothing"), text(""), 404, "not_found", None),
        (Method::POST, text("/events"), text("no"), 400, "malformed_json", None),
        (Method::POST, text("/events"), event("data", json!(null)), 422, "missing_field", Some("data")),
        (Method::POST, text("/events"), event("type", json!("a b")), 422, "invalid_event_type", Some("type")),
        (Method::POST, text("/events"), event("timestamp", json!("soon")), 422, "invalid_timestamp", Some("timestamp")),
        (
            Method::POST,
            text("/events"),
            event("timestamp", json!(1_768_469_400)),
            422,
            "invalid_timestamp",
            Some("timestamp"),
        ),
        (Method::POST, text("/events"), deep, 422, "too_deep", Some("data")),
        (Method::POST, text("/events"), event("workspace", json!("x")), 422, "unknown_field", Some("workspace")),
        (Method::POST, text("/events"), text(r#"{"events":[]}"#), 422, "wrong_count", Some("events")),
        (
            Method::POST,
            text("/events"),
            text(r#"{"events":[{"type":"a","data":{}},{"type":"a"}]}"#),
            422,
            "missing_field",
            Some("events[1].data"),
        ),
        (Method::POST, text("/events"), big, 413, "too_large", None),
        (Method::POST, text("/keys"), text("{}"), 422, "missing_field", Some("scopes")),
        (Method::POST, text("/keys"), text(r#"{"scopes":["root"]}"#), 422, "wrong_type", Some("scopes")),
        (Method::DELETE, text("/keys/abc"), text(""), 404, "not_found", None),
    ];
    for (method, path, body, status, code, field) in cases {
        let (answered, answer) = posthaste.api.raw(method.clone(), &path, body).await;
        let error = &answer["error"];
        assert_eq!(
            (answered, error["code"].as_str(), error["field"].as_str()),
            (status, Some(code), field),
            "{method} {path}: {answer}"
        );
        assert_eq!(answer["success"], false);
        assert!(
            !error["message"].as_str().unwrap().is_empty() && !error["requestId"].as_str().unwrap().is_empty(),
            "{answer}"
        );
    }
    let refused = posthaste.api.answer(Method::PUT, "/events", "{}").await;
    assert_eq!(refused.headers()["allow"], "GET,HEAD,POST", "events are published by another function");
}

#[tokio::test]
async fn a_call_without_a_valid_key_is_refused() {
    let posthaste = Posthaste::start().await;
    for key in ["", "spk_live_xxx", &format!("spk_live_{}", "a".repeat(43)), &posthaste.system.first_key()[1..]] {
        for path in ["/webhooks", "/keys"] {
            let (status, answer) = posthaste.api.with_key(key).call(Method::GET, path, Value::Null).await;
            assert_eq!((status, &answer["error"]["code"]), (401, &json!("unauthorized")), "{key}");
        }
        let (status, _) = posthaste.api.with_key(key).call(Method::POST, "/events", json!({})).await;
        assert_eq!(status, 401);
    }
}

#[tokio::test]
async fn a_fault_of_ours_is_a_500_that_tells_no_internals() {
    use posthaste_tests::{Action, Aim};
    let posthaste = Posthaste::start().await;
    posthaste.system.faults().aim(Aim::at("register", "dynamodb:TransactWriteItems", Action::Fail).times(100));
    let (status, answer) =
        posthaste.api.call(Method::POST, "/webhooks", json!({ "url": "https://example.com/", "events": ["*"] })).await;
    assert_eq!((status, &answer["error"]["code"]), (500, &json!("internal_error")));
    assert!(
        !answer.to_string().contains("Throughput") && !answer["error"]["requestId"].as_str().unwrap().is_empty(),
        "{answer}"
    );
}

#[tokio::test]
async fn the_document_is_served_to_anybody() {
    let posthaste = Posthaste::start().await;
    let text = posthaste.api.with_key("").text(Method::GET, "/openapi.json").await;
    let served: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(served, serde_json::to_value(posthaste_api::openapi::document()).unwrap());
    assert_eq!(served["openapi"].as_str().map(|version| &version[..3]), Some("3.1"));
}
