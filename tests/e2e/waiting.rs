//! What waits longer than a message may be under way: it is parked, and the release function brings it back.

use posthaste_tests::{Action, Aim, Answer, Posthaste, Settings, eventually};
use serde_json::{Value, json};

/// A webhook with a delivery that has failed once and waits about 10 minutes.
async fn parked(posthaste: &Posthaste, profile: &str) -> Value {
    let webhook = posthaste.register_with("mine", json!({ "profile": profile, "retrySchedule": [600, 600] })).await;
    let responses = [Answer::status(500, 1)].into();
    posthaste.system.inbox().set("mine", Settings { responses, ..Settings::default() });
    let events: Vec<Value> = (0..3).map(|n| json!({ "type": "order.created", "data": { "n": n } })).collect();
    let events = if profile == "spektr" { events } else { events[..1].to_vec() };
    posthaste.api.ok(reqwest::Method::POST, "/events", json!({ "events": events })).await;
    posthaste.deliveries(&webhook, "pending", 1).await;
    posthaste.idle().await;
    webhook
}

/// The records that wait, by their keys and times.
async fn waiting(posthaste: &Posthaste) -> Vec<Value> {
    let table = &posthaste.system.stack().outputs["DeliveriesTable"];
    let scan = json!({ "TableName": table, "FilterExpression": "attribute_exists(dueAt)", "ConsistentRead": true });
    posthaste.system.dynamodb().call("Scan", &scan).await.unwrap()["Items"].as_array().unwrap().clone()
}

/// Makes the time come.
async fn fast_forward(posthaste: &Posthaste) {
    let table = &posthaste.system.stack().outputs["DeliveriesTable"];
    for item in waiting(posthaste).await {
        let update = json!({
            "TableName": table, "Key": { "pk": item["pk"], "sk": item["sk"] },
            "UpdateExpression": "SET dueAt = :now, notBefore = :now", "ExpressionAttributeValues": { ":now": { "N": "1000" } },
        });
        posthaste.system.dynamodb().call("UpdateItem", &update).await.unwrap();
    }
}

#[tokio::test]
async fn a_long_wait_is_parked_and_released_when_it_is_over() {
    let posthaste = Posthaste::start().await;
    let webhook = parked(&posthaste, "standard").await;
    let waits = waiting(&posthaste).await;
    assert_eq!(waits.len(), 1);
    let delivery = posthaste.deliveries(&webhook, "pending", 1).await.remove(0);
    let failed: u64 = posthaste.system.inbox().arrived("mine")[0].at_ms;
    let due: u64 = waits[0]["dueAt"]["N"].as_str().unwrap().parse().unwrap();
    assert!((478_000..725_000).contains(&(due - failed)), "{} ms: 600 s and a fifth either way", due - failed);
    posthaste.system.tick("release").await.unwrap();
    posthaste.idle().await;
    assert_eq!(posthaste.system.inbox().arrived("mine").len(), 1, "it is not due yet");
    fast_forward(&posthaste).await;
    posthaste.system.tick("release").await.unwrap();
    let done = posthaste.deliveries(&webhook, "succeeded", 1).await.remove(0);
    assert_eq!((&done["id"], done["attempts"].as_array().unwrap().len()), (&delivery["id"], 2));
    assert_eq!(waiting(&posthaste).await.len(), 0);
    posthaste.system.tick("release").await.unwrap();
    posthaste.idle().await;
    assert_eq!(posthaste.system.inbox().arrived("mine").len(), 2, "once for each time that it is due");
}

#[tokio::test]
async fn a_parked_batch_comes_back_as_it_was() {
    let posthaste = Posthaste::start().await;
    let webhook = parked(&posthaste, "spektr").await;
    fast_forward(&posthaste).await;
    posthaste.system.tick("release").await.unwrap();
    posthaste.deliveries(&webhook, "succeeded", 3).await;
    posthaste.idle().await;
    let arrived = posthaste.system.inbox().arrived("mine");
    let failed = &arrived[0];
    let again = arrived.iter().skip(1).find(|request| request.headers["webhook-id"] == failed.headers["webhook-id"]);
    assert_eq!(again.map(|request| &request.body), Some(&failed.body));
    let body: Value = serde_json::from_str(&failed.body).unwrap();
    assert!(body["results"].as_array().unwrap().len() > 1, "events of one call are due together: {body}");
}

#[tokio::test]
async fn a_release_killed_at_any_call_loses_nothing() {
    for operation in ["dynamodb:Query", "dynamodb:BatchGetItem", "sqs:SendMessageBatch", "dynamodb:UpdateItem"] {
        for action in [Action::KillBefore, Action::KillAfter] {
            let posthaste = Posthaste::start().await;
            let webhook = parked(&posthaste, "standard").await;
            fast_forward(&posthaste).await;
            let aimed = posthaste.system.faults().aim(Aim::at("release", operation, action.clone()));
            let killed = posthaste.system.tick("release").await;
            assert!(killed.is_err() && aimed.hits() == 1, "{operation} {action:?}");
            posthaste.system.tick("release").await.unwrap();
            posthaste.deliveries(&webhook, "succeeded", 1).await;
            posthaste.idle().await;
            assert_eq!(waiting(&posthaste).await.len(), 0);
        }
    }
}

#[tokio::test]
async fn a_deliver_killed_while_it_parks_loses_nothing() {
    for action in [Action::KillBefore, Action::KillAfter, Action::Lose] {
        let posthaste = Posthaste::start().await;
        let webhook = posthaste.register_with("mine", json!({ "retrySchedule": vec![600; 30] })).await;
        posthaste.system.inbox().respond_by_default("mine", Some(Answer::status(500, 1)));
        let aimed = posthaste.system.faults().aim(Aim::at("deliver", "dynamodb:UpdateItem", action.clone()));
        posthaste.api.publish("order.created", json!({})).await;
        tokio::time::timeout(posthaste_tests::SOON, aimed.hit()).await.expect("the fault hits");
        eventually("it is parked and nothing is under way", async || {
            posthaste.hurry();
            let depth = posthaste.system.metrics().queues[&posthaste.queue("DeliveriesQueueUrl")];
            let idle = depth.visible + depth.in_flight + depth.delayed == 0;
            (idle && waiting(&posthaste).await.len() == 1).then_some(())
        })
        .await;
        posthaste.system.inbox().respond_by_default("mine", None);
        fast_forward(&posthaste).await;
        posthaste.system.tick("release").await.unwrap();
        posthaste.deliveries(&webhook, "succeeded", 1).await;
    }
}
