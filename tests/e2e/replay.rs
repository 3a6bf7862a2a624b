//! One delivery can be read, and replayed.

use posthaste_tests::{Answer, Posthaste};
use reqwest::Method;
use serde_json::{Value, json};

/// Makes a webhook whose only delivery is exhausted, and returns both. Its endpoint takes
/// everything after that.
async fn exhausted(posthaste: &Posthaste, settings: Value) -> (Value, Value) {
    let webhook = posthaste.register_with("mine", settings).await;
    posthaste.system.inbox().respond_by_default("mine", Some(Answer::status(500, 1)));
    posthaste.api.publish("order.created", json!({ "n": 1 })).await;
    let delivery = posthaste.deliveries(&webhook, "exhausted", 1).await.remove(0);
    posthaste.system.inbox().respond_by_default("mine", None);
    (webhook, delivery)
}

fn path(webhook: &Value, delivery: &Value) -> String {
    format!("/webhooks/{}/deliveries/{}", webhook["id"], delivery["id"].as_str().unwrap())
}

#[tokio::test]
async fn a_replayed_delivery_is_a_new_one_of_the_same_event() {
    let posthaste = Posthaste::start().await;
    let (webhook, original) = exhausted(&posthaste, json!({ "retrySchedule": [] })).await;
    let path = format!("{}/replay", path(&webhook, &original));
    let mut ids = vec![original["id"].clone()];
    for nth in 1..=2 {
        let (status, answer) = posthaste.api.call(Method::POST, &path, Value::Null).await;
        let replayed = &answer["data"];
        assert_eq!((status, &replayed["replayOf"]), (202, &original["id"]));
        assert_eq!(replayed["eventId"], original["eventId"]);
        assert!(!ids.contains(&replayed["id"]));
        ids.push(replayed["id"].clone());
        let done = posthaste.deliveries(&webhook, "succeeded", nth).await;
        let done = done.iter().find(|delivery| delivery["id"] == replayed["id"]).unwrap();
        assert_eq!((&done["cause"], &done["eventId"]), (&json!("replay"), &original["eventId"]));
        assert_eq!(done["createdAt"], original["createdAt"], "it stands next to the original");
    }
    let arrived = posthaste.arrived("mine", 3).await;
    for request in &arrived[1..] {
        assert_eq!(
            (&request.body, &request.headers["webhook-id"]),
            (&arrived[0].body, &arrived[0].headers["webhook-id"])
        );
    }
    let kept = posthaste.deliveries(&webhook, "exhausted", 1).await.remove(0);
    assert_eq!((&kept, &kept["cause"]), (&original, &json!("published")));
}

#[tokio::test]
async fn a_replay_that_fails_is_tried_again_and_keeps_its_cause() {
    let posthaste = Posthaste::start().await;
    let (webhook, original) = exhausted(&posthaste, json!({ "retrySchedule": [1] })).await;
    posthaste.system.inbox().respond("mine", [Answer::status(500, 1)]);
    let path = format!("{}/replay", path(&webhook, &original));
    posthaste.api.ok(Method::POST, &path, Value::Null).await;
    let done = posthaste.deliveries(&webhook, "succeeded", 1).await.remove(0);
    assert_eq!((&done["cause"], done["attempts"].as_array().unwrap().len()), (&json!("replay"), 2));
}

/// The task waits for its slot before it has a record: what was asked for must not be forgotten on
/// the way.
#[tokio::test]
async fn a_replay_that_waits_for_its_slot_keeps_its_cause() {
    let posthaste = Posthaste::start().await;
    let limit = json!({ "requests": 20, "per": "minute" });
    let (webhook, original) =
        exhausted(&posthaste, json!({ "retrySchedule": [], "rateLimit": limit })).await;
    let path = format!("{}/replay", path(&webhook, &original));
    for _ in 0..2 {
        posthaste.api.ok(Method::POST, &path, Value::Null).await;
    }
    for done in posthaste.deliveries(&webhook, "succeeded", 2).await {
        assert_eq!(done["cause"], "replay");
    }
}

#[tokio::test]
async fn what_can_not_be_replayed_is_refused() {
    let posthaste = Posthaste::start().await;
    let (webhook, original) = exhausted(&posthaste, json!({ "retrySchedule": [] })).await;
    let other = posthaste.register_with("other", json!({ "events": ["order.shipped"] })).await;
    let refused =
        async |api: &posthaste_tests::Api, webhook: &Value, id: &Value, status: u16, code: &str| {
            let path = path(webhook, &json!({ "id": id }));
            let (answered, answer) =
                api.call(Method::POST, &format!("{path}/replay"), Value::Null).await;
            assert_eq!((answered, &answer["error"]["code"]), (status, &json!(code)), "{path}");
            if status == 404 {
                assert_eq!(api.call(Method::GET, &path, Value::Null).await.0, 404, "{path}");
            }
        };
    let api = &posthaste.api;
    refused(api, &webhook, &json!("018566ad-3f93-8f0b-9ed5-36f7ac81ef7b"), 404, "not_found").await;
    refused(api, &webhook, &json!("nonsense"), 404, "not_found").await;
    refused(api, &other, &original["id"], 404, "not_found").await;
    refused(&api.workspace("elsewhere").await, &webhook, &original["id"], 404, "not_found").await;
    let test = api.ok(Method::POST, &format!("/webhooks/{}/test", webhook["id"]), json!({})).await;
    refused(api, &webhook, &test["delivery"], 409, "event_gone").await;
    api.ok(Method::PATCH, &format!("/webhooks/{}", webhook["id"]), json!({ "enabled": false }))
        .await;
    refused(api, &webhook, &original["id"], 409, "webhook_disabled").await;
    posthaste.idle().await;
    assert_eq!(posthaste.system.inbox().arrived("mine").len(), 2, "the original and the test");
}
