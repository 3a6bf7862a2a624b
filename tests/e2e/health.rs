//! A webhook's health says if it fails or is disabled, and if its circuit is open.

use posthaste_local::binaries;
use posthaste_tests::{Action, Aim, Answer, Posthaste, Settings, eventually};
use reqwest::Method;
use serde_json::{Value, json};

async fn health(posthaste: &Posthaste, webhook: &Value) -> Value {
    posthaste.api.ok(
        Method::GET, &format!("/webhooks/{}", webhook["id"]), Value::Null
    ).await["health"].clone()
}

async fn health_when(
    posthaste: &Posthaste,
    webhook: &Value,
    what: &str,
    is: impl Fn(&Value) -> bool,
) -> Value {
    eventually(what, async || {
        let health = health(posthaste, webhook).await;
        is(&health).then_some(health)
    })
    .await
}

/// Rewrites attributes of the webhook's item.
async fn set(posthaste: &Posthaste, webhook: &Value, assignment: &str, value: Value) {
    let update = json!({
        "TableName": posthaste.system.stack().outputs["RegistryTable"],
        "Key": {
            "pk": { "S": "workspace#default" },
            "sk": { "S": format!("webhook#{:020}", webhook["id"].as_u64().unwrap()) },
        },
        "UpdateExpression": format!("SET {assignment} = :value"),
        "ExpressionAttributeValues": { ":value": value },
    });
    posthaste.system.dynamodb().call("UpdateItem", &update).await.unwrap();
}

async fn operational(posthaste: &Posthaste, inbox: &str, count: usize) -> Vec<Value> {
    let arrived = posthaste.arrived(inbox, count).await;
    arrived.iter().map(|request| serde_json::from_str(&request.body).unwrap()).collect()
}

#[tokio::test]
async fn failures_and_successes_are_shown() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register_failing("mine", &["order.*"], 500, 2).await;
    assert_eq!(webhook["health"]["failingSince"], json!(null));
    posthaste.api.publish("order.created", json!({})).await;
    let failing = health_when(&posthaste, &webhook, "it is failing", |health| {
        health["failingSince"].is_string()
    })
    .await;
    assert_eq!((&failing["lastSuccessAt"], &failing["disabledAt"]), (&json!(null), &json!(null)));
    let well = health_when(&posthaste, &webhook, "it is well again", |health| {
        health["lastSuccessAt"].is_string()
    })
    .await;
    assert_eq!(well["failingSince"], json!(null));
}

#[tokio::test]
async fn five_failures_in_a_row_are_announced_once() {
    let posthaste = Posthaste::start().await;
    posthaste.register("operations", &["webhook.*"]).await;
    let webhook = posthaste.register_failing("mine", &["order.*"], 500, 100).await;
    for n in 0..3 {
        posthaste.api.publish("order.created", json!({ "n": n })).await;
    }
    posthaste.deliveries(&webhook, "exhausted", 3).await;
    let told = operational(&posthaste, "operations", 1).await;
    assert_eq!(told[0]["type"], "webhook.failing");
    assert_eq!(
        (&told[0]["data"]["webhookId"], &told[0]["data"]["lastError"]["code"]),
        (&webhook["id"], &json!("http_status"))
    );
    posthaste.idle().await;
    assert_eq!(
        posthaste.system.inbox().arrived("operations").len(),
        1,
        "12 failures in a row, told once"
    );
}

#[tokio::test]
async fn a_delivery_that_is_given_up_is_told_and_the_news_of_it_is_not() {
    let posthaste = Posthaste::start().await;
    // The one who is told can't be reached either.
    posthaste
        .register_with(
            "operations",
            json!({ "events": ["delivery.exhausted"], "retrySchedule": [] }),
        )
        .await;
    posthaste.system.inbox().respond_by_default("operations", Some(Answer::status(500, 1)));
    let webhook = posthaste.register_failing("mine", &["order.*"], 500, 100).await;
    let event = posthaste.api.publish("order.created", json!({})).await;
    let delivery = posthaste.deliveries(&webhook, "exhausted", 1).await.remove(0);
    let told = operational(&posthaste, "operations", 1).await;
    let data = &told[0]["data"];
    assert_eq!((&data["deliveryId"], &data["eventId"]), (&delivery["id"], &json!(event)));
    assert_eq!((&data["attempts"], &data["error"]["code"]), (&json!(4), &json!("http_status")));
    posthaste.idle().await;
    assert_eq!(posthaste.system.inbox().arrived("operations").len(), 1, "no news of the news");
    let events =
        posthaste.api.ok(Method::GET, "/events?type=delivery.exhausted", Value::Null).await;
    assert_eq!(events["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_410_disables_at_once_and_what_comes_is_recorded() {
    let posthaste = Posthaste::start().await;
    posthaste.register("operations", &["webhook.disabled"]).await;
    let webhook = posthaste.register_failing("mine", &["order.*"], 410, 1).await;
    posthaste.api.publish("order.created", json!({ "n": 1 })).await;
    let disabled = health_when(&posthaste, &webhook, "it is disabled", |health| {
        health["disabledAt"].is_string()
    })
    .await;
    assert_eq!(disabled["disabledReason"], "gone");
    let told = operational(&posthaste, "operations", 1).await;
    assert_eq!(
        (&told[0]["data"]["webhookId"], &told[0]["data"]["reason"]),
        (&webhook["id"], &json!("gone"))
    );
    let path = format!("/webhooks/{}", webhook["id"]);
    assert_eq!(posthaste.api.ok(Method::GET, &path, Value::Null).await["enabled"], json!(false));
    posthaste.api.publish("order.created", json!({ "n": 2 })).await;
    posthaste.deliveries(&webhook, "skipped", 2).await;
    assert_eq!(posthaste.system.inbox().arrived("mine").len(), 1);

    let changed = posthaste.api.ok(Method::PATCH, &path, json!({ "description": "x" })).await;
    assert_eq!(changed["enabled"], json!(false), "another change does not enable it");
    let enabled = posthaste.api.ok(Method::PATCH, &path, json!({ "enabled": true })).await;
    assert_eq!(
        (&enabled["enabled"], &enabled["health"]["disabledAt"]),
        (&json!(true), &json!(null))
    );
    posthaste.api.publish("order.created", json!({ "n": 3 })).await;
    posthaste.arrived("mine", 2).await;
}

#[tokio::test]
async fn nothing_but_failures_for_five_days_disables() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register_failing("mine", &["order.*"], 500, 100).await;
    posthaste.api.publish("order.created", json!({})).await;
    posthaste.deliveries(&webhook, "exhausted", 1).await;
    assert_eq!(health(&posthaste, &webhook).await["disabledAt"], json!(null));
    set(&posthaste, &webhook, "failingSince", json!({ "S": "2020-01-01T00:00:00Z" })).await;
    posthaste.api.publish("order.created", json!({})).await;
    let disabled = health_when(&posthaste, &webhook, "it is disabled", |health| {
        health["disabledAt"].is_string()
    })
    .await;
    assert_eq!(disabled["disabledReason"], "failing");
}

/// Lets the time be over for which the circuit is open, and wakes the turn.
async fn probe(posthaste: &Posthaste, webhook: &Value) {
    posthaste.set_lane(webhook, json!({ "sickUntil": 1000 })).await;
    posthaste.wake(webhook).await;
}

#[tokio::test]
async fn an_endpoint_that_keeps_timing_out_is_waited_for_probed_and_served_again() {
    let posthaste = Posthaste::start().await;
    let settings = json!({ "timeoutSeconds": 1, "retrySchedule": vec![1; 30] });
    let webhook = posthaste.register_with("mine", settings).await;
    let hanging = Answer { delay_ms: 3000, ..Answer::status(200, 1) };
    posthaste
        .system
        .inbox()
        .set("mine", Settings { default: Some(hanging), ..Settings::default() });
    let other = posthaste.register("other", &["*"]).await;
    for n in 0..8 {
        posthaste.api.publish("order.created", json!({ "n": n })).await;
    }
    let opened =
        posthaste.lane_when(&webhook, "its circuit opens", |lane| lane["reason"] == "sick").await;
    assert_eq!((&opened["phase"], &opened["openings"]), (&json!("held"), &json!(1)));
    let until = opened["sickUntil"].as_u64().unwrap();
    let shown = health(&posthaste, &webhook).await;
    assert!(shown["failingSince"].is_string() && shown["waitsUntil"].is_string(), "{shown}");
    assert_eq!(shown["state"], "sick");
    posthaste.deliveries(&other, "succeeded", 8).await;

    // Nothing is sent while it is open, and what waits costs nothing.
    let tried = posthaste.system.inbox().arrived("mine").len();
    posthaste.fast_forward_retries().await;
    for n in 8..28 {
        posthaste.api.publish("order.created", json!({ "n": n })).await;
    }
    posthaste.deliveries(&other, "succeeded", 28).await;
    let all_wait = async || {
        posthaste.fast_forward_retries().await;
        (posthaste.backlog(&webhook).await.len() == 28).then_some(())
    };
    eventually("all of it waits", all_wait).await;
    posthaste.idle().await;
    let calls = || posthaste.calls_of("deliver") + posthaste.calls_of("drain");
    let before = calls();
    posthaste.system.tick("release").await.unwrap();
    posthaste.drained_of_visible("TurnsQueueUrl").await;
    assert_eq!((calls(), posthaste.system.inbox().arrived("mine").len()), (before, tried));

    // The time is over and the endpoint still hangs: one probe, and twice the wait.
    probe(&posthaste, &webhook).await;
    let again = posthaste
        .lane_when(&webhook, "the circuit opens again", |lane| {
            lane["sickUntil"].as_u64() > Some(until)
        })
        .await;
    let wait = again["sickUntil"].as_u64().unwrap() - posthaste_tests::now_ms();
    assert!((50_000..=60_000).contains(&wait), "{wait} ms");
    assert_eq!((&again["reason"], &again["openings"]), (&json!("sick"), &json!(2)));
    assert_eq!(posthaste.system.inbox().arrived("mine").len(), tried + 1);
    eventually("all of it waits again", all_wait).await;

    // The endpoint is back.
    posthaste.system.inbox().respond_by_default("mine", None);
    probe(&posthaste, &webhook).await;
    posthaste.deliveries(&webhook, "succeeded", 28).await;
    let lane = posthaste.lane_when(&webhook, "nothing waits", |lane| lane["phase"] == "idle").await;
    assert_eq!(
        (&lane["reason"], &lane["sickUntil"]),
        (&json!("slow"), &Value::Null),
        "it has to prove itself"
    );
    let shown = health(&posthaste, &webhook).await;
    assert_eq!((&shown["state"], &shown["waitsUntil"]), (&json!("slow"), &Value::Null));
    assert_eq!(shown["failingSince"], json!(null));
}

/// Lists the operational events of one type that were published, each once.
async fn published(posthaste: &Posthaste, event_type: &str) -> Vec<Value> {
    let path = format!("/events?type={event_type}");
    posthaste.api.ok(Method::GET, &path, Value::Null).await["items"].as_array().unwrap().clone()
}

/// Waits until an operational event was published, and until nothing is under way that could
/// publish another one. Answers the only one.
async fn the_only_one(posthaste: &Posthaste, event_type: &str) -> Value {
    eventually(&format!("{event_type} is published"), async || {
        posthaste.hurry();
        (!published(posthaste, event_type).await.is_empty()).then_some(())
    })
    .await;
    eventually("the queues are empty", async || {
        posthaste.hurry();
        ["EventsQueueUrl", "DeliveriesQueueUrl"]
            .iter()
            .all(|queue| {
                let depth = posthaste.system.metrics().queues[&posthaste.queue(queue)];
                depth.visible + depth.in_flight + depth.delayed == 0
            })
            .then_some(())
    })
    .await;
    let mut all = published(posthaste, event_type).await;
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

#[tokio::test]
async fn a_disabling_that_dies_at_any_call_happens_and_is_told_as_one_event() {
    let template = binaries::template().unwrap();
    // The webhook is disabled, the news of it is sent, and then it is noted that it was.
    let calls =
        [("dynamodb:UpdateItem", 2), ("sqs:SendMessageBatch", 0), ("dynamodb:UpdateItem", 3)];
    for (operation, skip) in calls {
        for action in [Action::KillBefore, Action::KillAfter] {
            let posthaste = Posthaste::with_template(template.clone()).await;
            let webhook = posthaste.register_failing("mine", &["order.*"], 410, 100).await;
            let aim = Aim::at("deliver", operation, action).skip(skip);
            let aimed = posthaste.system.faults().aim(aim);
            posthaste.api.publish("order.created", json!({})).await;
            tokio::time::timeout(posthaste_tests::SOON, aimed.hit()).await.expect("the fault hits");
            // The message would come back later still. Until then the news is left to the function
            // that disabled the webhook.
            tokio::time::sleep(std::time::Duration::from_secs(6)).await;
            let told = the_only_one(&posthaste, "webhook.disabled").await;
            let health = health(&posthaste, &webhook).await;
            assert_eq!(told["timestamp"], health["disabledAt"], "{operation} {skip}");
        }
    }
}

#[tokio::test]
async fn news_of_failures_that_dies_at_any_call_is_one_event() {
    // Five deliveries fail, one after the other, before the failures are announced.
    for (containing, operation) in [
        ("announcingAt", "dynamodb:UpdateItem"),
        ("webhook.failing", "sqs:SendMessageBatch"),
        (":announced", "dynamodb:UpdateItem"),
    ] {
        for action in [Action::KillBefore, Action::KillAfter] {
            let posthaste = Posthaste::start().await;
            let settings = json!({ "retrySchedule": vec![1; 10] });
            posthaste.register_with("mine", settings).await;
            posthaste.system.inbox().respond_by_default("mine", Some(Answer::status(500, 1)));
            let aim = Aim::at("deliver", operation, action).containing(containing);
            let aimed = posthaste.system.faults().aim(aim);
            posthaste.api.publish("order.created", json!({})).await;
            tokio::time::timeout(posthaste_tests::SOON, aimed.hit()).await.expect("the fault hits");
            the_only_one(&posthaste, "webhook.failing").await;
        }
    }
}

#[tokio::test]
async fn a_410_of_an_endpoint_that_was_replaced_meanwhile_disables_and_skips_nothing() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste
        .register_with(
            "mine",
            json!({ "timing": "process_end", "events": ["service_run"], "retrySchedule": [1] }),
        )
        .await;
    posthaste.system.inbox().respond_by_default("mine", Some(Answer::status(410, 1)));
    let disabling = Aim::at("deliver", "dynamodb:UpdateItem", Action::Pause);
    let aimed = posthaste.system.faults().aim(disabling.containing("disabledAt"));
    publish_run_of(&posthaste, 5).await;
    tokio::time::timeout(posthaste_tests::SOON, aimed.hit()).await.expect("it is to be disabled");
    let path = format!("/webhooks/{}", webhook["id"]);
    let moved = json!({ "url": posthaste.inbox_url("other") });
    posthaste.api.ok(Method::PATCH, &path, moved).await;
    aimed.release();
    posthaste.deliveries(&webhook, "succeeded", 5).await;
    assert_eq!(posthaste.system.inbox().arrived("mine").len(), 1);
    assert_eq!(posthaste.api.ok(Method::GET, &path, Value::Null).await["enabled"], json!(true));
    posthaste.idle().await;
    assert_eq!(published(&posthaste, "webhook.disabled").await, Vec::<Value>::new());
}

/// Publishes a run of so many events and its end. A webhook that waits for the end gets them as
/// one task, with a request for each.
async fn publish_run_of(posthaste: &Posthaste, events: usize) {
    let run = json!({
        "processType": "onboarding", "processName": "x", "processId": "1", "contextId": "1",
        "vendorType": "kyc",
    });
    for _ in 0..events {
        posthaste.api.publish("service_run", run.clone()).await;
    }
    posthaste.idle().await;
    posthaste.api.publish("process_run_end", run).await;
}

#[tokio::test]
async fn what_is_left_of_a_lane_does_not_go_to_a_webhook_that_is_gone() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste
        .register_with("mine", json!({ "timing": "process_end", "events": ["service_run"] }))
        .await;
    posthaste.system.inbox().respond_by_default("mine", Some(Answer::status(410, 1)));
    publish_run_of(&posthaste, 5).await;
    posthaste.deliveries(&webhook, "skipped", 5).await;
    assert_eq!(posthaste.system.inbox().arrived("mine").len(), 1);
}
