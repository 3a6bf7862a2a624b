//! Customers use `spectra` as `spectra-register-webhooks.txt` says.

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use posthaste_tests::{Answer, Posthaste, Settings};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::Sha256;

/// Registers with the body that the document prints, and an address that the test can watch.
async fn register(posthaste: &Posthaste) -> Value {
    let body = json!({
        "url": posthaste.inbox_url("spectra-webhook"),
        "events": ["order.created", "order.shipped", "inventory.sold"],
    });
    posthaste.api.ok(Method::POST, "/webhooks", body).await
}

async fn as_spectra(posthaste: &Posthaste, webhook: &Value) {
    posthaste
        .api
        .ok(Method::PATCH, &format!("/webhooks/{}", webhook["id"]), json!({ "profile": "spectra" }))
        .await;
}

#[tokio::test]
async fn a_registration_answers_as_printed_and_the_secret_once() {
    let posthaste = Posthaste::start().await;
    let body = r#"{
    "url": "https://myapp.com/spectra-webhook",
    "events": ["order.created", "order.shipped", "inventory.sold"]
  }"#;
    let (status, answer) = posthaste.api.raw(Method::POST, "/webhooks", body).await;
    assert_eq!((status, &answer["success"]), (201, &json!(true)));
    let data = &answer["data"];
    assert!(data["id"].is_u64() && data["secret"].is_string(), "{data}");
    assert_eq!(data["url"], "https://myapp.com/spectra-webhook");
    assert_eq!(data["events"], json!(["order.created", "order.shipped", "inventory.sold"]));
    let all = r#"{"url": "https://myapp.com/all-events", "events": ["*"]}"#;
    assert_eq!(posthaste.api.raw(Method::POST, "/webhooks", all).await.0, 201);
    let path = format!("/webhooks/{}", data["id"]);
    assert!(posthaste.api.ok(Method::GET, &path, Value::Null).await.get("secret").is_none());
    posthaste.api.ok(Method::DELETE, &path, Value::Null).await;
    assert_eq!(posthaste.api.call(Method::GET, &path, Value::Null).await.0, 404);
}

/// The document has an Express handler, which does this with a request.
#[tokio::test]
async fn a_handler_can_verify_every_request_and_read_its_event_and_its_data() {
    let posthaste = Posthaste::start().await;
    let webhook = register(&posthaste).await;
    as_spectra(&posthaste, &webhook).await;
    for name in ["order.created", "order.shipped", "inventory.sold"] {
        posthaste.api.publish(name, json!({ "id": name })).await;
    }
    for request in posthaste.arrived("spectra-webhook", 3).await {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(webhook["secret"].as_str().unwrap().as_bytes()).unwrap();
        mac.update(&request.bytes);
        let hex: String =
            mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(request.headers["x-webhook-signature"], format!("sha256={hex}"));
        assert_eq!(request.headers["content-type"], "application/json");
        let payload: Value = serde_json::from_slice(&request.bytes).unwrap();
        assert_eq!(payload["event"], request.headers["x-webhook-event"].as_str());
        assert_eq!(payload["data"]["id"], payload["event"]);
        let members: Vec<&String> = payload.as_object().unwrap().keys().collect();
        assert_eq!(members, ["data", "event", "timestamp"]);
    }
}

#[tokio::test]
async fn it_is_fire_and_forget_within_5_seconds() {
    let posthaste = Posthaste::start().await;
    let webhook = register(&posthaste).await;
    as_spectra(&posthaste, &webhook).await;
    let answers = [
        Answer { body: "no".to_owned(), ..Answer::status(500, 1) },
        Answer { delay_ms: 7000, ..Answer::status(200, 1) },
        Answer::status(204, 1),
    ];
    posthaste
        .system
        .inbox()
        .set("spectra-webhook", Settings { responses: answers.into(), ..Settings::default() });
    for nth in 1..=3 {
        posthaste.api.publish("order.created", json!({ "nth": nth })).await;
        posthaste.arrived("spectra-webhook", nth).await;
    }
    let failed = posthaste.deliveries(&webhook, "exhausted", 2).await;
    let (timeout, refused) = (&failed[0], &failed[1]);
    assert_eq!((&refused["httpStatus"], &refused["responseBody"]), (&json!(500), &json!("no")));
    assert_eq!(timeout["error"]["code"], "timeout");
    let duration = timeout["attempts"][0]["durationMs"].as_u64().unwrap();
    assert!((5000..7000).contains(&duration), "{duration} ms");
    assert_eq!(
        posthaste.deliveries(&webhook, "succeeded", 1).await[0]["httpStatus"],
        204,
        "any 2xx is a success"
    );
    for delivery in &failed {
        assert_eq!(delivery["attempts"].as_array().unwrap().len(), 1, "never retried");
    }
    posthaste.idle().await;
    assert_eq!(posthaste.system.inbox().arrived("spectra-webhook").len(), 3);
}

#[tokio::test]
async fn the_history_has_the_last_50_deliveries() {
    let posthaste = Posthaste::start().await;
    let webhook = register(&posthaste).await;
    as_spectra(&posthaste, &webhook).await;
    let events: Vec<Value> =
        (0..60).map(|n| json!({ "type": "order.created", "data": { "n": n } })).collect();
    posthaste.api.ok(Method::POST, "/events", json!({ "events": events })).await;
    posthaste.arrived_within("spectra-webhook", 60, Duration::from_secs(60)).await;
    posthaste.deliveries(&webhook, "succeeded", 60).await;
    let history = posthaste
        .api
        .ok(Method::GET, &format!("/webhooks/{}/deliveries", webhook["id"]), Value::Null)
        .await;
    let items = history["items"].as_array().unwrap();
    assert_eq!(items.len(), 50);
    for item in items {
        assert!(
            item["httpStatus"] == 200
                && item["responseBody"].is_string()
                && item["error"].is_null(),
            "{item}"
        );
    }
}

/// The document advises this for events that must not be missed.
#[tokio::test]
async fn a_reconciliation_job_finds_what_was_missed() {
    let posthaste = Posthaste::start().await;
    let webhook = register(&posthaste).await;
    as_spectra(&posthaste, &webhook).await;
    let responses = [Answer::status(503, 1)].into();
    posthaste.system.inbox().set("spectra-webhook", Settings { responses, ..Settings::default() });
    let missed = posthaste.api.publish("order.created", json!({ "n": 1 })).await;
    posthaste.deliveries(&webhook, "exhausted", 1).await;
    let received = posthaste.api.publish("order.created", json!({ "n": 2 })).await;
    posthaste.deliveries(&webhook, "succeeded", 1).await;
    let page = posthaste.api.ok(Method::GET, "/events?type=order.created", Value::Null).await;
    let delivered: Vec<(&Value, &Value)> = page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| (&event["id"], &event["delivered"]))
        .collect();
    assert_eq!(delivered, [(&json!(missed), &json!(false)), (&json!(received), &json!(true))]);
}
