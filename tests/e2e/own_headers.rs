//! Owners of webhooks choose headers of their own. Their values reach the endpoint and nobody else.

use posthaste_tests::Posthaste;
use reqwest::Method;
use serde_json::{Value, json};

use crate::secrets::{next_request, rotated};

#[tokio::test]
async fn headers_arrive_and_are_never_shown() {
    let posthaste = Posthaste::start().await;
    let headers = json!({ "Authorization": "Bearer tell-nobody", "x-team": "orders" });
    let webhook = posthaste.register_with("mine", json!({ "headers": headers })).await;
    let masked = json!({ "Authorization": "***", "x-team": "***" });
    assert_eq!(webhook["headers"], masked);
    let request = next_request(&posthaste, "mine").await;
    assert_eq!(request.headers["authorization"], "Bearer tell-nobody");
    assert_eq!(request.headers["x-team"], "orders");

    let path = format!("/webhooks/{}", webhook["id"]);
    let kept =
        posthaste.api.ok(Method::PATCH, &path, json!({ "description": "the same headers" })).await;
    assert_eq!(kept["headers"], masked);
    posthaste.deliveries(&webhook, "succeeded", 1).await;
    for path in [path.clone(), "/webhooks".to_owned(), format!("{path}/deliveries")] {
        let text = posthaste.api.text(Method::GET, &path).await;
        assert!(!text.contains("tell-nobody"), "{path}: {text}");
    }
    let rotated = rotated(&posthaste.api, &webhook, Value::Null).await;
    assert_eq!(rotated["headers"], masked);

    let replaced =
        posthaste.api.ok(Method::PATCH, &path, json!({ "headers": { "X-Key": "k-2" } })).await;
    assert_eq!(replaced["headers"], json!({ "X-Key": "***" }));
    let request = next_request(&posthaste, "mine").await;
    assert_eq!(request.headers["x-key"], "k-2");
    assert!(
        !request.headers.contains_key("authorization") && !request.headers.contains_key("x-team")
    );

    let removed = posthaste.api.ok(Method::PATCH, &path, json!({ "headers": null })).await;
    assert_eq!(removed["headers"], json!({}));
    assert!(!next_request(&posthaste, "mine").await.headers.contains_key("x-key"));
}

#[tokio::test]
async fn a_header_that_is_posthastes_own_or_the_connections_is_refused() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register("mine", &["*"]).await;
    let path = format!("/webhooks/{}", webhook["id"]);
    for name in [
        "Host",
        "Content-Length",
        "webhook-signature",
        "X-Webhook-Signature",
        "X-Forwarded-For",
        "TE",
    ] {
        let (status, answer) = posthaste
            .api
            .call(
                Method::PATCH,
                &path,
                json!({ "headers": { "X-Fine": "1", name: "secret-value" } }),
            )
            .await;
        let error = &answer["error"];
        assert_eq!((status, &error["code"]), (422, &json!("forbidden_header")), "{answer}");
        assert_eq!(error["field"], json!(format!("headers.{name}")));
        assert!(!answer.to_string().contains("secret-value"));
    }
    let smuggled = json!({ "headers": { "X-A": "1\r\nX-B: 2" } });
    let (status, answer) = posthaste.api.call(Method::PATCH, &path, smuggled).await;
    assert_eq!((status, &answer["error"]["code"]), (422, &json!("invalid_header")));
}
