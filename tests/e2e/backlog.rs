//! A delivery that waits in its webhook's backlog ends well, whatever becomes of the webhook and
//! whatever can't be read.

use posthaste_local::binaries;
use posthaste_tests::{Action, Aim, Posthaste, eventually, now_ms};
use reqwest::Method;
use serde_json::{Value, json};

use crate::lanes::{path, publish};

const FOUR_DAYS_MS: u64 = 4 * 24 * 3_600_000;

/// Lets an item of a backlog wait since so long ago.
async fn set_since(posthaste: &Posthaste, item: &Value, ago_ms: u64) {
    let since = (now_ms() - ago_ms).to_string();
    change(posthaste, item, "SET since = :value", json!({ "N": since })).await;
}

async fn change(posthaste: &Posthaste, item: &Value, expression: &str, value: Value) {
    let update = json!({
        "TableName": posthaste.deliveries_table(),
        "Key": { "pk": item["pk"], "sk": item["sk"] },
        "UpdateExpression": expression,
        "ExpressionAttributeValues": { ":value": value },
    });
    posthaste.system.dynamodb().call("UpdateItem", &update).await.unwrap();
}

#[tokio::test]
async fn what_waits_for_a_paused_webhook_is_skipped() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register("mine", &["*"]).await;
    posthaste.hold(&webhook, "slow").await;
    publish(&posthaste, 30).await;
    posthaste.backlog_of(&webhook, 30).await;
    posthaste.api.ok(Method::PATCH, &path(&webhook), json!({ "enabled": false })).await;
    posthaste.wake(&webhook).await;
    let skipped = posthaste.deliveries(&webhook, "skipped", 30).await;
    assert_eq!(skipped[0]["error"]["code"], "webhook_disabled");
    posthaste.backlog_of(&webhook, 0).await;
    posthaste.lane_when(&webhook, "its lane is closed", |lane| lane["phase"].is_null()).await;
    assert_eq!(posthaste.system.inbox().arrived("mine").len(), 0);
}

#[tokio::test]
async fn what_waits_for_a_deleted_webhook_disappears() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register("mine", &["*"]).await;
    posthaste.hold(&webhook, "slow").await;
    publish(&posthaste, 130).await;
    posthaste.backlog_of(&webhook, 130).await;
    posthaste.api.ok(Method::DELETE, &path(&webhook), Value::Null).await;
    posthaste.wake(&webhook).await;
    posthaste.backlog_of(&webhook, 0).await;
    posthaste.lane_when(&webhook, "its lane is closed", |lane| lane["token"].is_null()).await;
    posthaste.idle().await;
    assert_eq!(posthaste.system.inbox().arrived("mine").len(), 0);
}

#[tokio::test]
async fn what_waits_for_a_webhook_that_was_paused_for_a_moment_goes_on() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register("mine", &["*"]).await;
    posthaste.hold(&webhook, "slow").await;
    publish(&posthaste, 10).await;
    posthaste.backlog_of(&webhook, 10).await;
    // The turn has claimed, and comes to see the webhook only after all that.
    let turn = posthaste
        .system
        .faults()
        .aim(Aim::at("drain", "dynamodb:BatchGetItem", Action::Pause).times(1000));
    posthaste.wake(&webhook).await;
    tokio::time::timeout(posthaste_tests::SOON, turn.hit()).await.expect("it has its turn");
    posthaste.api.ok(Method::PATCH, &path(&webhook), json!({ "enabled": false })).await;
    posthaste.api.ok(Method::PATCH, &path(&webhook), json!({ "enabled": true })).await;
    turn.release();
    posthaste.deliveries(&webhook, "succeeded", 10).await;
    assert_eq!(posthaste.system.inbox().arrived("mine").len(), 10);
}

#[tokio::test]
async fn what_has_waited_for_too_long_is_skipped() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register("mine", &["*"]).await;
    posthaste.hold(&webhook, "slow").await;
    publish(&posthaste, 10).await;
    for item in posthaste.backlog_of(&webhook, 10).await.iter().take(7) {
        set_since(&posthaste, item, FOUR_DAYS_MS).await;
    }
    posthaste.wake(&webhook).await;
    let skipped = posthaste.deliveries(&webhook, "skipped", 7).await;
    assert_eq!(skipped[0]["error"]["code"], "waited_too_long");
    posthaste.deliveries(&webhook, "succeeded", 3).await;
    posthaste.backlog_of(&webhook, 0).await;
    assert_eq!(posthaste.system.inbox().arrived("mine").len(), 3);
}

#[tokio::test]
async fn what_comes_for_a_full_backlog_is_skipped() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register("mine", &["*"]).await;
    posthaste.hold(&webhook, "slow").await;
    publish(&posthaste, 10).await;
    posthaste.backlog_of(&webhook, 10).await;
    posthaste.set_lane(&webhook, json!({ "full": 1 })).await;
    publish(&posthaste, 5).await;
    let skipped = posthaste.deliveries(&webhook, "skipped", 5).await;
    assert_eq!(skipped[0]["error"]["code"], "backlog_full");
    assert_eq!(posthaste.backlog(&webhook).await.len(), 10);
    posthaste.wake(&webhook).await;
    posthaste.deliveries(&webhook, "succeeded", 10).await;
    posthaste.idle().await;
    assert_eq!(posthaste.system.inbox().arrived("mine").len(), 10);
}

#[tokio::test]
async fn a_backlog_that_is_too_large_becomes_full_also_where_a_turn_sends_a_single_request() {
    let template = binaries::template().unwrap();
    let small =
        template.replace("Default: 1000000\n    MinValue: 1000", "Default: 120\n    MinValue: 1");
    assert_ne!(small, template);
    let posthaste = Posthaste::with_template(small).await;
    let webhook = posthaste
        .register_with("mine", json!({ "rateLimit": { "requests": 1, "per": "minute" } }))
        .await;
    posthaste.hold(&webhook, "limited").await;
    publish(&posthaste, 150).await;
    posthaste.backlog_of(&webhook, 150).await;
    posthaste.wake(&webhook).await;
    posthaste.deliveries(&webhook, "succeeded", 1).await;
    posthaste.lane_when(&webhook, "it is full", |lane| lane["full"] == 1).await;
    publish(&posthaste, 5).await;
    let skipped = posthaste.deliveries(&webhook, "skipped", 5).await;
    assert_eq!(skipped[0]["error"]["code"], "backlog_full");
}

#[tokio::test]
async fn an_old_delivery_whose_event_could_not_be_read_is_skipped_when_it_can_be() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register("mine", &["*"]).await;
    posthaste.hold(&webhook, "slow").await;
    publish(&posthaste, 3).await;
    for item in &posthaste.backlog_of(&webhook, 3).await {
        set_since(&posthaste, item, FOUR_DAYS_MS).await;
    }
    let events = posthaste.system.stack().outputs["EventsTable"].clone();
    let reading = Aim::at("drain", "dynamodb:BatchGetItem", Action::Fail).containing(&events);
    let aimed = posthaste.system.faults().aim(reading.times(12));
    posthaste.wake(&webhook).await;
    tokio::time::timeout(posthaste_tests::SOON, aimed.hit()).await.expect("the events are read");
    eventually("it is over", async || {
        posthaste.hurry();
        posthaste.backlog(&webhook).await.is_empty().then_some(())
    })
    .await;
    let skipped = posthaste.deliveries(&webhook, "skipped", 3).await;
    assert_eq!(skipped[0]["error"]["code"], "waited_too_long");
    let letters = posthaste.queue("DeliveriesDeadLetterQueueUrl");
    assert_eq!(posthaste.system.metrics().queues[&letters].visible, 0);
}

/// A version that was rolled back may leave items that this one can't read.
#[tokio::test]
async fn items_that_can_not_be_read_hold_up_none_behind_them_and_wait_themselves() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register("mine", &["*"]).await;
    posthaste.hold(&webhook, "slow").await;
    publish(&posthaste, 130).await;
    let items = posthaste.backlog_of(&webhook, 130).await;
    let newer = json!({ "S": r#"{"v":99}"# });
    for item in &items[..110] {
        change(&posthaste, item, "SET task = :value", newer.clone()).await;
    }
    posthaste.wake(&webhook).await;
    posthaste.deliveries(&webhook, "succeeded", 20).await;
    posthaste.backlog_of(&webhook, 110).await;
    // A turn that finds nothing else pauses before it looks again.
    let reads = || posthaste.calls("drain", "dynamodb:Query");
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let before = reads();
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert!(reads() - before < 20, "{} queries in 3 s", reads() - before);

    for item in &items[..110] {
        change(&posthaste, item, "SET task = :value", item["task"].clone()).await;
    }
    eventually("all arrive", async || {
        posthaste.hurry();
        posthaste.backlog(&webhook).await.is_empty().then_some(())
    })
    .await;
    assert_eq!(posthaste.system.inbox().arrived("mine").len(), 130);
}

#[tokio::test]
async fn items_whose_events_can_not_be_read_hold_up_none_behind_them() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register("mine", &["*"]).await;
    posthaste.hold(&webhook, "slow").await;
    publish(&posthaste, 130).await;
    let items = posthaste.backlog_of(&webhook, 130).await;
    let first = items[0]["sk"]["S"].as_str().unwrap().split('#').nth(1).unwrap();
    // The events of a page are read together.
    let reading = Aim::at("drain", "dynamodb:BatchGetItem", Action::Fail).containing(first);
    let aimed = posthaste.system.faults().aim(reading.times(1000));
    posthaste.wake(&webhook).await;
    tokio::time::timeout(posthaste_tests::SOON, aimed.hit()).await.expect("the events are read");
    posthaste.deliveries(&webhook, "succeeded", 30).await;
    posthaste.backlog_of(&webhook, 100).await;
}

#[tokio::test]
async fn what_a_busy_table_does_not_take_is_put_off_with_few_calls() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register("mine", &["*"]).await;
    posthaste.hold(&webhook, "slow").await;
    let putting =
        Aim::at("deliver", "dynamodb:BatchWriteItem", Action::FailEntries((0..25).collect()));
    posthaste.system.faults().aim(putting.times(1000));
    let delivery = |n: usize| {
        json!({
            "id": format!("01a1f8d3-ea00-8f1c-815a-b6fc16bc6{n:03}"), "bytes": 2,
            "content": { "eventId": format!("01a1f8d3-ea00-7f1c-815a-b6fc16bc6{n:03}") },
        })
    };
    let deliveries: Vec<Value> = (0..30).map(delivery).collect();
    let task = json!({
        "workspace": "default", "webhook": webhook["id"], "deliveries": deliveries,
    });
    posthaste.send("DeliveriesQueueUrl", &[task.to_string()]).await;
    eventually("all are put off", async || {
        let depth = posthaste.system.metrics().queues[&posthaste.queue("DeliveriesQueueUrl")];
        (depth.delayed == 30 && depth.in_flight == 0).then_some(())
    })
    .await;
    assert_eq!(posthaste.calls("deliver", "sqs:SendMessageBatch"), 3);
}
