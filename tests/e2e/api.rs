//! The API answers as its document says, and every error has a status, a code and a field.

use std::time::{Duration, Instant};

use posthaste_domain::access::known_keys::BELIEVED;
use posthaste_tests::{Posthaste, eventually};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn a_webhook_is_registered_read_changed_and_removed() {
    let posthaste = Posthaste::start().await;
    let api = &posthaste.api;
    let url = "https://myapp.com/spectra-webhook";
    let events = ["order.created", "order.shipped", "inventory.sold"];
    let (status, answer) =
        api.call(Method::POST, "/webhooks", json!({ "url": url, "events": events })).await;
    assert_eq!((status, &answer["success"]), (201, &json!(true)));
    let webhook = &answer["data"];
    assert!(
        webhook["id"].is_u64() && webhook["secret"].as_str().unwrap().starts_with("whsec_"),
        "{webhook}"
    );
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
    let body = json!({ "scopes": ["webhooks:manage"], "name": "ci", "environment": "live" });
    let (status, answer) = posthaste.api.call(Method::POST, "/keys", body).await;
    assert_eq!(status, 201);
    let key = answer["data"]["key"].as_str().unwrap();
    assert!(key.starts_with("spk_live_"), "{key}");
    let theirs = posthaste.api.with_key(key);
    theirs.ok(Method::GET, "/webhooks", Value::Null).await;
    for (method, path, scope) in
        [(Method::POST, "/events", "events:publish"), (Method::GET, "/keys", "keys:manage")]
    {
        let (status, answer) = theirs.call(method, path, json!({ "type": "a", "data": {} })).await;
        assert_eq!((status, &answer["error"]["code"]), (403, &json!("forbidden")));
        assert!(answer["error"]["message"].as_str().unwrap().contains(scope), "{answer}");
    }
    let listed = posthaste.api.ok(Method::GET, "/keys", Value::Null).await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);
    assert!(!listed.to_string().contains(key), "a key is shown once");
    posthaste
        .api
        .ok(
            Method::DELETE,
            &format!("/keys/{}", answer["data"]["id"].as_str().unwrap()),
            Value::Null,
        )
        .await;
    let revoked_at = Instant::now();
    let refused = async || theirs.call(Method::GET, "/webhooks", Value::Null).await.0 == 401;
    let refused_at =
        eventually("the key is refused", async || refused().await.then(Instant::now)).await;
    // A busy machine takes a moment for the call that tells.
    assert!(
        refused_at - revoked_at < BELIEVED + Duration::from_secs(2),
        "{:?}",
        refused_at - revoked_at
    );
}

#[tokio::test]
async fn a_key_revokes_only_what_it_could_give() {
    let posthaste = Posthaste::start().await;
    let make = async |scopes: &[&str]| {
        posthaste.api.ok(Method::POST, "/keys", json!({ "scopes": scopes })).await
    };
    let mut paths = Vec::new();
    for scopes in [
        &["webhooks:manage", "events:publish"][..],
        &["events:publish"],
        &["keys:manage", "events:publish"],
    ] {
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
    eventually("the key that has revoked itself is refused", async || {
        refused().await.then_some(())
    })
    .await;
    posthaste.api.ok(Method::DELETE, &paths[0].1, Value::Null).await;
}

/// A call that is refused, and the error that it gets.
struct Refused {
    method: Method,
    path: String,
    body: String,
    status: u16,
    code: &'static str,
    field: Option<&'static str>,
}

fn refused(
    method: Method,
    path: &str,
    body: impl ToString,
    status: u16,
    code: &'static str,
    field: Option<&'static str>,
) -> Refused {
    Refused { method, path: path.to_owned(), body: body.to_string(), status, code, field }
}

/// Makes the body of a registration in which one field is this.
fn webhook_with(name: &str, value: Value) -> Value {
    let mut body = json!({ "url": "https://example.com/", "events": ["*"] });
    body[name] = value;
    body
}

/// Makes an event in which one field is this.
fn event_with(name: &str, value: Value) -> Value {
    let mut body = json!({ "type": "a", "data": {} });
    body[name] = value;
    body
}

fn refused_registrations() -> Vec<Refused> {
    let mut all = vec![
        refused(Method::POST, "/webhooks", "{", 400, "malformed_json", None),
        refused(Method::POST, "/webhooks", "[]", 400, "malformed_json", None),
        refused(Method::POST, "/webhooks", "{}", 422, "missing_field", Some("url")),
    ];
    for (field, value, code) in [
        ("url", json!("http://10.0.0.1/"), "invalid_url"),
        ("url", json!("http://169.254.169.254/"), "invalid_url"),
        ("url", json!("https://user:pw@example.com/"), "invalid_url"),
        ("url", json!("ftp://example.com/"), "invalid_url"),
        ("url", json!(7), "wrong_type"),
        ("events", json!([]), "wrong_count"),
        ("events", json!(["a b"]), "invalid_event_type"),
        ("format", json!("xml"), "invalid_format"),
        ("timeoutSeconds", json!(31), "out_of_range"),
        ("colour", json!("red"), "unknown_field"),
    ] {
        all.push(refused(
            Method::POST,
            "/webhooks",
            webhook_with(field, value),
            422,
            code,
            Some(field),
        ));
    }
    all
}

fn refused_events() -> Vec<Refused> {
    let big = format!(r#"{{"type":"a","data":{{"x":"{}"}}}}"#, "x".repeat(256 * 1024));
    let deep = format!(r#"{{"type":"a","data":{{"x":{}{}}}}}"#, "[".repeat(50), "]".repeat(50));
    let second_without_data = r#"{"events":[{"type":"a","data":{}},{"type":"a"}]}"#;
    let mut all = vec![
        refused(Method::PUT, "/events", "{}", 405, "method_not_allowed", None),
        refused(Method::POST, "/events", "no", 400, "malformed_json", None),
        refused(Method::POST, "/events", deep, 422, "too_deep", Some("data")),
        refused(Method::POST, "/events", r#"{"events":[]}"#, 422, "wrong_count", Some("events")),
        refused(
            Method::POST,
            "/events",
            second_without_data,
            422,
            "missing_field",
            Some("events[1].data"),
        ),
        refused(Method::POST, "/events", big, 413, "too_large", None),
    ];
    for (field, value, code) in [
        ("data", json!(null), "missing_field"),
        ("type", json!("a b"), "invalid_event_type"),
        ("timestamp", json!("soon"), "invalid_timestamp"),
        ("timestamp", json!(1_768_469_400), "invalid_timestamp"),
        ("workspace", json!("x"), "unknown_field"),
    ] {
        all.push(refused(
            Method::POST,
            "/events",
            event_with(field, value),
            422,
            code,
            Some(field),
        ));
    }
    all
}

/// Lists further calls that are refused. `webhook` is the path of one that exists.
fn refused_calls(webhook: &str) -> Vec<Refused> {
    let history = format!("{webhook}/deliveries?status=lost");
    vec![
        refused(Method::PATCH, webhook, r#"{"id": 7}"#, 422, "unknown_field", Some("id")),
        refused(Method::PUT, webhook, "", 405, "method_not_allowed", None),
        refused(Method::GET, "/webhooks?limit=0", "", 422, "invalid_parameter", Some("limit")),
        refused(
            Method::GET,
            "/webhooks?limit=5&limit=6",
            "",
            422,
            "repeated_parameter",
            Some("limit"),
        ),
        refused(Method::GET, "/webhooks?page=2", "", 422, "unknown_parameter", Some("page")),
        refused(Method::GET, "/webhooks/0", "", 404, "not_found", None),
        refused(Method::GET, "/webhooks/abc", "", 404, "not_found", None),
        refused(Method::GET, "/webhooks/0/deliveries", "", 404, "not_found", None),
        refused(Method::GET, &history, "", 422, "invalid_parameter", Some("status")),
        refused(Method::POST, "/event-types", "{}", 405, "method_not_allowed", None),
        refused(Method::PATCH, "/event-types/order.created", "{}", 405, "method_not_allowed", None),
        refused(Method::PUT, "/openapi.json", "{}", 405, "method_not_allowed", None),
        refused(
            Method::DELETE,
            "/event-types/order.created",
            "",
            422,
            "built_in_event_type",
            Some("name"),
        ),
        refused(Method::DELETE, "/event-types/order.unknown", "", 404, "not_found", None),
        refused(Method::GET, "/nothing", "", 404, "not_found", None),
        refused(Method::POST, "/keys", "{}", 422, "missing_field", Some("scopes")),
        refused(Method::POST, "/keys", r#"{"scopes":["root"]}"#, 422, "wrong_type", Some("scopes")),
        refused(Method::DELETE, "/keys/abc", "", 404, "not_found", None),
    ]
}

#[tokio::test]
async fn every_error_says_what_and_where() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register("mine", &["*"]).await;
    let path = format!("/webhooks/{}", webhook["id"]);
    let calls = [refused_registrations(), refused_events(), refused_calls(&path)];
    for Refused { method, path, body, status, code, field } in calls.into_iter().flatten() {
        let (answered, answer) = posthaste.api.raw(method.clone(), &path, body).await;
        let error = &answer["error"];
        assert_eq!(
            (answered, error["code"].as_str(), error["field"].as_str()),
            (status, Some(code), field),
            "{method} {path}: {answer}"
        );
        assert_eq!(answer["success"], false);
        assert!(
            !error["message"].as_str().unwrap().is_empty()
                && !error["requestId"].as_str().unwrap().is_empty(),
            "{answer}"
        );
    }
    let answer = posthaste.api.answer(Method::PUT, "/events", "{}").await;
    assert_eq!(
        answer.headers()["allow"],
        "GET,HEAD,POST",
        "events are published by another function"
    );
}

#[tokio::test]
async fn a_call_without_a_valid_key_is_refused() {
    let posthaste = Posthaste::start().await;
    for key in [
        "",
        "spk_live_xxx",
        &format!("spk_live_{}", "a".repeat(43)),
        &posthaste.system.first_key()[1..],
    ] {
        for path in ["/webhooks", "/keys"] {
            let (status, answer) =
                posthaste.api.with_key(key).call(Method::GET, path, Value::Null).await;
            assert_eq!((status, &answer["error"]["code"]), (401, &json!("unauthorized")), "{key}");
        }
        let (status, _) =
            posthaste.api.with_key(key).call(Method::POST, "/events", json!({})).await;
        assert_eq!(status, 401);
    }
}

#[tokio::test]
async fn a_fault_of_ours_is_a_500_that_tells_no_internals() {
    use posthaste_tests::{Action, Aim};
    let posthaste = Posthaste::start().await;
    posthaste
        .system
        .faults()
        .aim(Aim::at("register", "dynamodb:TransactWriteItems", Action::Fail).times(100));
    let (status, answer) = posthaste
        .api
        .call(Method::POST, "/webhooks", json!({ "url": "https://example.com/", "events": ["*"] }))
        .await;
    assert_eq!((status, &answer["error"]["code"]), (500, &json!("internal_error")));
    assert!(
        !answer.to_string().contains("Throughput")
            && !answer["error"]["requestId"].as_str().unwrap().is_empty(),
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
