//! A webhook can be paused or removed while its deliveries are under way.

use posthaste_tests::{Answer, Posthaste, Settings};
use reqwest::Method;
use serde_json::{Value, json};

/// Publishes three events of a run, which go out one after the other when it ends, to an endpoint
/// that takes its time for the first. Returns when the first request has begun.
async fn begun(posthaste: &Posthaste) -> Value {
    let webhook = posthaste
        .register_with("mine", json!({ "timing": "process_end", "timeoutSeconds": 20 }))
        .await;
    let responses = [Answer { delay_ms: 8000, ..Answer::status(200, 1) }].into();
    posthaste.system.inbox().set("mine", Settings { responses, ..Settings::default() });
    let run = json!({
        "processType": "onboarding", "processName": "KYC", "processId": "p", "contextId": "run-1",
    });
    for _ in 0..3 {
        posthaste.api.publish("order.created", run.clone()).await;
    }
    posthaste.drained("EventsQueueUrl").await;
    posthaste.api.publish("process_run_end", run).await;
    posthaste.arrived("mine", 1).await;
    webhook
}

#[tokio::test]
async fn a_pause_reaches_what_is_under_way() {
    let posthaste = Posthaste::start().await;
    let webhook = begun(&posthaste).await;
    posthaste
        .api
        .ok(Method::PATCH, &format!("/webhooks/{}", webhook["id"]), json!({ "enabled": false }))
        .await;
    posthaste.deliveries(&webhook, "skipped", 3).await;
    posthaste.deliveries(&webhook, "succeeded", 1).await;
    assert_eq!(posthaste.system.inbox().arrived("mine").len(), 1);
}

#[tokio::test]
async fn a_removal_reaches_what_is_under_way() {
    let posthaste = Posthaste::start().await;
    let webhook = begun(&posthaste).await;
    posthaste.api.call(Method::DELETE, &format!("/webhooks/{}", webhook["id"]), Value::Null).await;
    posthaste.drained("DeliveriesQueueUrl").await;
    assert_eq!(posthaste.system.inbox().arrived("mine").len(), 1);
}

#[tokio::test]
async fn a_changed_webhook_gets_what_is_left_as_it_is_then() {
    let posthaste = Posthaste::start().await;
    let webhook = begun(&posthaste).await;
    let change = json!({ "url": posthaste.inbox_url("other") });
    posthaste.api.ok(Method::PATCH, &format!("/webhooks/{}", webhook["id"]), change).await;
    posthaste.arrived("other", 3).await;
    posthaste.deliveries(&webhook, "succeeded", 4).await;
    assert_eq!(posthaste.system.inbox().arrived("mine").len(), 1);
}
