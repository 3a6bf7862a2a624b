//! Two workspaces can't see each other.

use posthaste_tests::Posthaste;
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn a_workspace_sees_nothing_of_another() {
    let posthaste = Posthaste::start().await;
    let acme = posthaste.api.workspace("acme").await;
    let other = posthaste.api.workspace("other").await;
    let webhook = acme
        .ok(
            Method::POST,
            "/webhooks",
            json!({ "url": posthaste.inbox_url("acme"), "events": ["*"] }),
        )
        .await;
    let of_other = other
        .ok(
            Method::POST,
            "/webhooks",
            json!({ "url": posthaste.inbox_url("other"), "events": ["*"] }),
        )
        .await;

    acme.publish("order.created", json!({ "whose": "acme" })).await;
    let arrived = posthaste.arrived("acme", 1).await;
    assert!(arrived[0].body.contains("acme"));

    let path = format!("/webhooks/{}", webhook["id"]);
    for (method, path, body) in [
        (Method::GET, path.clone(), Value::Null),
        (Method::PATCH, path.clone(), json!({ "enabled": false })),
        (Method::DELETE, path.clone(), Value::Null),
        (Method::GET, format!("{path}/deliveries"), Value::Null),
        (Method::POST, format!("{path}/test"), json!({})),
    ] {
        let (status, answer) = other.call(method.clone(), &path, body).await;
        assert_eq!(
            (status, &answer["error"]["code"]),
            (404, &json!("not_found")),
            "{method} {path}"
        );
    }
    let listed = other.ok(Method::GET, "/webhooks", Value::Null).await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    assert_eq!(listed["items"][0]["id"], of_other["id"]);

    let key = acme.ok(Method::POST, "/keys", json!({ "scopes": ["webhooks:manage"] })).await;
    let (status, _) = other
        .call(Method::DELETE, &format!("/keys/{}", key["id"].as_str().unwrap()), Value::Null)
        .await;
    assert_eq!(status, 404);
    let keys = other.ok(Method::GET, "/keys", Value::Null).await;
    assert_eq!(keys["items"].as_array().unwrap().len(), 1);

    posthaste.drained("DeliveriesQueueUrl").await;
    assert_eq!(posthaste.system.inbox().arrived("other").len(), 0);
    acme.ok(Method::GET, &path, Value::Null).await;
}

#[tokio::test]
async fn a_key_for_another_workspace_needs_the_scope_for_it() {
    let posthaste = Posthaste::start().await;
    let acme = posthaste.api.workspace("acme").await;
    let (status, answer) = acme
        .call(Method::POST, "/keys", json!({ "workspace": "other", "scopes": ["webhooks:manage"] }))
        .await;
    assert_eq!((status, &answer["error"]["code"]), (403, &json!("forbidden")));
    let (status, _) =
        acme.call(Method::POST, "/keys", json!({ "scopes": ["workspaces:manage"] })).await;
    assert_eq!(status, 403, "nobody can give what they don't have");
}
