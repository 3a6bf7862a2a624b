//! `release` wakes the lanes whose time has come, whatever stands in its way.

use posthaste_tests::{Action, Aim, Posthaste, SOON};
use serde_json::{Value, json};

/// Puts items into the Deliveries table, 25 with a call.
async fn put(posthaste: &Posthaste, items: &[Value]) {
    for items in items.chunks(25) {
        let puts: Vec<Value> =
            items.iter().map(|item| json!({ "PutRequest": { "Item": item } })).collect();
        let write = json!({ "RequestItems": { posthaste.deliveries_table(): puts } });
        posthaste.system.dynamodb().call("BatchWriteItem", &write).await.unwrap();
    }
}

#[tokio::test]
async fn lanes_that_can_not_be_read_do_not_keep_the_others_of_their_shard_asleep() {
    const MOST_OF_A_CALL: usize = 500;
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register("mine", &["*"]).await;
    posthaste.hold(&webhook, "slow").await;
    posthaste.api.publish("order.created", json!({})).await;
    posthaste.backlog_of(&webhook, 1).await;
    // They are due before the webhook's lane, and in the same shard.
    let lane = |partition: String, nth: usize| {
        json!({
            "pk": { "S": partition }, "sk": { "S": "lane" }, "phase": { "S": "of a newer version" },
            "dueAt": { "N": nth.to_string() }, "dueShard": { "S": "L3" },
        })
    };
    let mut lanes = vec![lane("#lane#no webhook".to_owned(), 0)];
    lanes.extend((1..=MOST_OF_A_CALL).map(|nth| lane(format!("#lane#acme#{}", 1000 + nth), nth)));
    put(&posthaste, &lanes).await;
    posthaste.wake(&webhook).await;
    posthaste.deliveries(&webhook, "succeeded", 1).await;
}

#[tokio::test]
async fn the_first_turns_leave_while_the_lanes_of_others_are_written() {
    let posthaste = Posthaste::start().await;
    let mut webhooks = Vec::new();
    for nth in 0..12 {
        let webhook = posthaste.register(&format!("inbox{nth}"), &["*"]).await;
        posthaste.hold(&webhook, "slow").await;
        webhooks.push(webhook);
    }
    posthaste.api.publish("order.created", json!({})).await;
    for webhook in &webhooks {
        posthaste.backlog_of(webhook, 1).await;
        posthaste.set_lane(webhook, json!({ "wakeAt": 1000, "dueAt": 1000 })).await;
    }
    let writing = Aim::at("release", "dynamodb:UpdateItem", Action::Pause).skip(10).times(100);
    let paused = posthaste.system.faults().aim(writing);
    let arriving = async {
        tokio::time::timeout(SOON, paused.hit()).await.expect("the other lanes are written");
        posthaste_tests::eventually("the first ones have their turns", async || {
            let arrived = |nth| posthaste.system.inbox().arrived(&format!("inbox{nth}")).len();
            ((0..12).map(arrived).sum::<usize>() == 10).then_some(())
        })
        .await;
        paused.release();
    };
    let (woken, ()) = tokio::join!(posthaste.system.tick("release"), arriving);
    woken.unwrap();
    for webhook in &webhooks {
        posthaste.deliveries(webhook, "succeeded", 1).await;
    }
}
