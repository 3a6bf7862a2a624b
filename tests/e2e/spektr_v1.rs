//! Customers use `spektr-v1` as `spektr-events-v1.txt` says.

use posthaste_tests::{Answer, Posthaste, Settings};
use reqwest::Method;
use serde_json::{Value, json};

async fn received(posthaste: &Posthaste, event: Value) -> (Value, Value) {
    posthaste.register_with("mine", json!({ "profile": "spektr-v1" })).await;
    let accepted = posthaste.api.ok(Method::POST, "/events", event).await;
    let request = posthaste.arrived("mine", 1).await.remove(0);
    (accepted, serde_json::from_str(&request.body).unwrap())
}

#[tokio::test]
async fn a_run_that_starts_arrives_as_printed() {
    let posthaste = Posthaste::start().await;
    let data = json!({
        "processType": "risk", "processName": "Risk Assessment", "processId": "12345",
        "contextId": "67890",
    });
    let event = json!({
        "type": "process_run_start", "subject": "c-1", "timestamp": 1_672_531_199_000_u64,
        "reference": "optional-reference", "data": data,
    });
    let (accepted, body) = received(&posthaste, event).await;
    let expected = json!({
        "id": accepted["id"], "spektrId": "c-1", "type": "process_run_start", "delivered": false,
        "createdAt": 1_672_531_199_000_u64, "reference": "optional-reference", "data": data,
    });
    assert_eq!(body, expected);
}

#[tokio::test]
async fn a_run_that_ends_has_the_shape_of_its_own() {
    let posthaste = Posthaste::start().await;
    let field = json!({
        "key": "k", "label": "l", "helptext": null, "placeholder": null, "internalId": "i",
    });
    let data = json!({
        "processType": "risk", "processName": "Risk", "processId": "1", "contextId": "2",
        "processOutput": "approved", "files": { "clientFiles": ["https://files.example.com/1"] },
        "fields": [field],
        "k": "value",
    });
    let event = json!({
        "type": "process_run_end", "subject": "c-1", "timestamp": 1_672_531_199_000_u64,
        "data": data,
    });
    let (accepted, body) = received(&posthaste, event).await;
    let expected = json!({
        "id": accepted["id"], "spektrId": "c-1", "type": "process_run_end", "delivered": null,
        "process_name": "Risk", "process_output": "approved", "files": data["files"],
        "fields": [field], "data": { "k": "value" },
        "createdAt": 1_672_531_199_000_u64,
    });
    assert_eq!(body, expected);
}

#[tokio::test]
async fn a_reference_that_is_given_once_is_where_each_version_prints_it() {
    let posthaste = Posthaste::start().await;
    posthaste.register_with("v1", json!({ "profile": "spektr-v1" })).await;
    posthaste.register_with("v2", json!({ "profile": "spektr" })).await;
    let run = |beside: Option<&str>, inside: Option<&str>| {
        let mut data = json!({
            "processType": "risk", "processName": "Risk", "processId": "1", "contextId": "2",
        });
        let mut event = json!({ "type": "process_run_start", "data": {} });
        if let Some(beside) = beside {
            event["reference"] = json!(beside);
        }
        if let Some(inside) = inside {
            data["reference"] = json!(inside);
        }
        event["data"] = data;
        event
    };
    for (nth, event) in [run(Some("r-1"), None), run(None, Some("r-1"))].into_iter().enumerate() {
        posthaste.api.ok(Method::POST, "/events", event).await;
        let first: Value =
            serde_json::from_str(&posthaste.arrived("v1", nth + 1).await[nth].body).unwrap();
        assert_eq!(first["reference"], "r-1");
        let second: Value =
            serde_json::from_str(&posthaste.arrived("v2", nth + 1).await[nth].body).unwrap();
        assert_eq!(second["results"][0]["data"]["reference"], "r-1");
    }
}

/// `delivered`: true if the event is already delivered via webhook, falsy otherwise.
#[tokio::test]
async fn delivered_tells_what_became_of_an_event() {
    let posthaste = Posthaste::start().await;
    let unwanted = posthaste.api.publish("inventory.sold", json!({ "id": 1 })).await;
    posthaste.idle().await;
    let webhook = posthaste
        .register_with("mine", json!({ "profile": "spektr-v1", "events": ["order.*"] }))
        .await;
    let delivered = async |id: &str| {
        posthaste.api.ok(Method::GET, &format!("/events/{id}"), Value::Null).await["delivered"]
            .clone()
    };
    let responses = [Answer::status(500, 4)].into();
    posthaste.system.inbox().set("mine", Settings { responses, ..Settings::default() });
    let missed = posthaste.api.publish("order.created", json!({})).await;
    posthaste.arrived("mine", 1).await;
    posthaste.deliveries(&webhook, "pending", 1).await;
    assert_eq!(delivered(&missed).await, json!(false), "not yet");
    posthaste.deliveries(&webhook, "exhausted", 1).await;
    assert_eq!(delivered(&missed).await, json!(false));
    let received = posthaste.api.publish("order.created", json!({})).await;
    posthaste.deliveries(&webhook, "succeeded", 1).await;
    assert_eq!(delivered(&received).await, json!(true));
    assert_eq!(delivered(&unwanted).await, json!(null), "nobody wants it");
    let late = posthaste.register("late", &["*"]).await;
    assert_eq!(delivered(&received).await, json!(true), "a later webhook was not owed it");
    assert_ne!(late["id"], webhook["id"]);
}
