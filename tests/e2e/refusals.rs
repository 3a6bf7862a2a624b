//! A call is refused for the first thing that is wrong: its key, the key's scope, the path, the
//! query, the body, and only then for what is stored.

use posthaste_tests::Posthaste;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const SCOPES: [&str; 6] = [
    "webhooks:manage",
    "events:publish",
    "events:read",
    "events:manage",
    "keys:manage",
    "workspaces:manage",
];

#[tokio::test]
async fn every_documented_call_needs_a_key_with_the_documented_scope() {
    let posthaste = Posthaste::start().await;
    let nobody = posthaste.api.with_key(&format!("spk_live_{}", "a".repeat(43)));
    let document = serde_json::to_value(posthaste_api::openapi::document()).unwrap();
    let mut seen = 0;
    for scope in SCOPES {
        let others: Vec<&str> = SCOPES.into_iter().filter(|other| *other != scope).collect();
        let lacks_it = posthaste.api.with_new_key(json!({ "scopes": others })).await;
        for (method, path) in operations(&document, Some(scope)) {
            let (status, answer) = nobody.call(method.clone(), &path, Value::Null).await;
            assert_eq!(
                (status, &answer["error"]["code"]),
                (401, &json!("unauthorized")),
                "{method} {path}"
            );
            let (status, answer) = lacks_it.call(method.clone(), &path, Value::Null).await;
            let message = format!("the API key lacks the scope {scope}");
            assert_eq!(
                (status, &answer["error"]["code"], &answer["error"]["message"]),
                (403, &json!("forbidden"), &json!(message)),
                "{method} {path}"
            );
            seen += 1;
        }
    }
    let open = operations(&document, None);
    assert_eq!(open, [(Method::GET, "/openapi.json".to_owned())], "one call needs no key");
    let all = document["paths"].as_object().unwrap().values();
    assert_eq!(seen + 1, all.map(|methods| methods.as_object().unwrap().len()).sum::<usize>());
}

/// The documented calls that need a scope, or none. Their paths name nothing that there is, and
/// nothing that could be an id.
fn operations(document: &Value, scope: Option<&str>) -> Vec<(Method, String)> {
    let mut found = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            if operation["security"][0]["apiKey"][0].as_str() != scope {
                continue;
            }
            let parts = path.strip_prefix("/api/v1").unwrap().split('/');
            let parts: Vec<&str> =
                parts.map(|part| if part.starts_with('{') { "x" } else { part }).collect();
            found.push((method.to_uppercase().parse().unwrap(), parts.join("/")));
        }
    }
    found
}

#[tokio::test]
async fn what_can_be_refused_without_a_read_is_refused_before_the_webhook_is_read() {
    let posthaste = Posthaste::start().await;
    let large = format!(r#"{{"description":"{}"}}"#, "x".repeat(300 * 1024));
    for (method, path, body, status, code) in [
        (Method::GET, "/webhooks/7/deliveries?limit=0", "", 422, "invalid_parameter"),
        (Method::GET, "/webhooks/7/deliveries?page=2", "", 422, "unknown_parameter"),
        (Method::PATCH, "/webhooks/7", "{", 400, "malformed_json"),
        (Method::PATCH, "/webhooks/7", r#"{"timeoutSeconds":31}"#, 422, "out_of_range"),
        (Method::PATCH, "/webhooks/7", &large, 413, "too_large"),
        (Method::POST, "/webhooks/7/secret/rotate", "[]", 400, "malformed_json"),
        (Method::POST, "/webhooks/7/test", "[]", 400, "malformed_json"),
        (Method::POST, "/webhooks/7/test", &large, 413, "too_large"),
        (Method::POST, "/webhooks/7/replay", "{}", 422, "missing_field"),
        (Method::GET, "/webhooks/7", "", 404, "not_found"),
        (Method::PATCH, "/webhooks/7", "{}", 404, "not_found"),
        (Method::GET, "/webhooks/7/deliveries", "", 404, "not_found"),
    ] {
        let (answered, answer) = posthaste.api.raw(method.clone(), path, body.to_owned()).await;
        assert_eq!(
            (answered, &answer["error"]["code"]),
            (status, &json!(code)),
            "{method} {path}: {answer}"
        );
    }
}

#[tokio::test]
async fn a_path_that_answers_get_answers_head_and_other_methods_are_told_which_there_are() {
    let posthaste = Posthaste::start().await;
    let api = &posthaste.api;
    for path in
        ["/webhooks", "/events", "/event-types", "/event-types/order.created", "/openapi.json"]
    {
        let [get, head] = [Method::GET, Method::HEAD].map(|method| api.answer(method, path, ""));
        let (get, head) = (get.await, head.await);
        assert_eq!((head.status(), get.status()), (StatusCode::OK, StatusCode::OK), "{path}");
        assert_eq!(head.headers().get("content-type"), get.headers().get("content-type"), "{path}");
        assert_eq!(head.text().await.unwrap(), "", "{path}");
    }
    for (path, allowed) in [
        ("/events", "GET,HEAD,POST"),
        ("/event-types", "GET,HEAD"),
        ("/event-types/mine", "DELETE,GET,HEAD,PUT"),
        ("/openapi.json", "GET,HEAD"),
    ] {
        let answer = api.answer(Method::PATCH, path, "{}").await;
        assert_eq!(
            (answer.status(), &answer.headers()["allow"]),
            (StatusCode::METHOD_NOT_ALLOWED, &allowed.parse().unwrap()),
            "{path}"
        );
    }
}
