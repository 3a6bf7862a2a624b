//! Customers use `dataspike` as `dataspike-webhooks.txt` says.

use posthaste_tests::{Answer, Posthaste, Settings};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn an_event_arrives_as_printed() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste
        .register_with("mine", json!({ "profile": "dataspike", "events": ["AML_SCREENING"] }))
        .await;
    let event = json!({
        "type": "AML_SCREENING", "timestamp": "2023-07-18T15:32:13.987Z", "data": {},
    });
    let accepted = posthaste.api.ok(Method::POST, "/events", event).await;
    let request = posthaste.arrived("mine", 1).await.remove(0);
    assert_eq!(
        (request.method.as_str(), request.headers["content-type"].as_str()),
        ("POST", "application/json")
    );
    let body: Value = serde_json::from_str(&request.body).unwrap();
    let expected = json!({
        "id": accepted["id"], "webhook_id": webhook["uuid"], "event_type": "AML_SCREENING",
        "timestamp": "2023-07-18T15:32:13Z", "payload": {},
        // The document's handler reads `event.event`.
        "event": "AML_SCREENING",
    });
    assert_eq!(body, expected);
    posthaste.api.publish("DOCVER_EVENT", json!({})).await;
    posthaste.idle().await;
    assert_eq!(posthaste.system.inbox().arrived("mine").len(), 1, "it is not assigned");
}

#[tokio::test]
async fn each_service_has_its_webhook() {
    let posthaste = Posthaste::start().await;
    let uuids: Vec<Value> = [
        posthaste
            .register_with("aml", json!({ "profile": "dataspike", "events": ["AML_SCREENING"] }))
            .await,
        posthaste
            .register_with("docs", json!({ "profile": "dataspike", "events": ["DOCVER_EVENT"] }))
            .await,
    ]
    .map(|webhook| webhook["uuid"].clone())
    .into();
    assert_ne!(uuids[0], uuids[1]);
    posthaste.api.publish("AML_SCREENING", json!({ "n": 1 })).await;
    posthaste.api.publish("DOCVER_EVENT", json!({ "n": 2 })).await;
    for (inbox, uuid) in ["aml", "docs"].iter().zip(&uuids) {
        let body: Value = serde_json::from_str(&posthaste.arrived(inbox, 1).await[0].body).unwrap();
        assert_eq!(body["webhook_id"], *uuid);
    }
}

/// "Receive instant updates on verification, AML, and KYT events", and when "applicants change
/// status": each is a type that a webhook can be assigned.
#[tokio::test]
async fn every_kind_of_event_that_the_document_names_has_a_type() {
    let posthaste = Posthaste::start().await;
    let types = ["DOCVER_EVENT", "AML_SCREENING", "KYT_EVENT", "APPLICANT_STATUS_CHANGED"];
    posthaste.register_with("mine", json!({ "profile": "dataspike", "events": types })).await;
    for (nth, name) in types.into_iter().enumerate() {
        let path = format!("/event-types/{name}");
        let known = posthaste.api.ok(Method::GET, &path, Value::Null).await;
        assert_eq!((&known["owner"], &known["status"]), (&json!("dataspike"), &json!("available")));
        posthaste.api.ok(Method::POST, "/events", known["sample"].clone()).await;
        let request = posthaste.arrived("mine", nth + 1).await.pop().unwrap();
        let body: Value = serde_json::from_str(&request.body).unwrap();
        assert_eq!((&body["event_type"], &body["event"]), (&json!(name), &json!(name)));
        assert_eq!(body["payload"], known["sample"]["data"]);
    }
}

#[tokio::test]
async fn only_a_200_acknowledges_and_the_history_is_complete() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register_with("mine", json!({ "profile": "dataspike" })).await;
    let responses =
        [Answer { body: "busy".to_owned(), ..Answer::status(500, 1) }, Answer::status(202, 1)]
            .into();
    posthaste.system.inbox().set("mine", Settings { responses, ..Settings::default() });
    posthaste.api.publish("AML_SCREENING", json!({})).await;
    let delivery = posthaste.deliveries(&webhook, "succeeded", 1).await.remove(0);
    let attempts = delivery["attempts"].as_array().unwrap();
    let statuses: Vec<&Value> = attempts.iter().map(|attempt| &attempt["httpStatus"]).collect();
    assert_eq!(statuses, [500, 202, 200]);
    assert_eq!(attempts[0]["responseBody"], "busy");
}
