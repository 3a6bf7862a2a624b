//! Receivers get CloudEvents 1.0 and Standard Webhooks as they know them.

use posthaste_tests::Posthaste;
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn a_cloudevents_consumer_gets_structured_events() {
    let posthaste = Posthaste::start().await;
    posthaste.register_with("mine", json!({ "profile": "cloudevents" })).await;
    let event = json!({
        "type": "order.created", "subject": "c-1", "reference": "r-1",
        "timestamp": "2023-07-18T15:32:13Z", "data": { "n": 1 },
    });
    let accepted = posthaste.api.ok(Method::POST, "/events", event).await;
    let request = posthaste.arrived("mine", 1).await.remove(0);
    assert_eq!(request.headers["content-type"], "application/cloudevents+json");
    let body: Value = serde_json::from_str(&request.body).unwrap();
    let expected = json!({
        "specversion": "1.0", "id": accepted["id"], "source": "/workspaces/default",
        "type": "order.created", "subject": "c-1",
        "time": "2023-07-18T15:32:13Z", "datacontenttype": "application/json", "reference": "r-1",
        "data": { "n": 1 },
    });
    assert_eq!(body, expected);
}
