//! A call of the API costs few AWS calls, even in a workspace with many webhooks.

use std::collections::BTreeMap;

use futures::future::join_all;
use posthaste_domain::id::{Cause, DeliveryId, WebhookId};
use posthaste_tests::Posthaste;
use reqwest::Method;
use serde_json::{Value, json};

/// Each webhook has an item of 3 KB, so that all together are more than one call reads.
const WEBHOOKS: u64 = 1500;

/// The workspace of the first key.
const WORKSPACE: &str = "default";

/// Puts items straight into a table.
async fn put(posthaste: &Posthaste, table: &str, items: Vec<Value>) {
    let writes: Vec<Value> =
        items.into_iter().map(|item| json!({ "PutRequest": { "Item": item } })).collect();
    let calls = writes.chunks(25).map(async |writes| {
        let call = json!({ "RequestItems": { table: writes } });
        let answer = posthaste.system.dynamodb().call("BatchWriteItem", &call).await.unwrap();
        assert_eq!(answer["UnprocessedItems"], json!({}));
    });
    join_all(calls).await;
}

async fn item(posthaste: &Posthaste, table: &str, pk: &str, sk: &str) -> Value {
    let key = json!({ "pk": { "S": pk }, "sk": { "S": sk } });
    let answer = posthaste
        .system
        .dynamodb()
        .call("GetItem", &json!({ "TableName": table, "Key": key }))
        .await;
    answer.unwrap()["Item"].clone()
}

/// Makes the partition and the sort key of a delivery's record, as `crates/store/src/deliveries.rs`
/// does.
fn record_key(webhook: u64, event: &str) -> (String, String) {
    let delivery = DeliveryId::derive(event.parse().unwrap(), WebhookId(webhook), Cause::Published);
    (format!("{WORKSPACE}#{webhook}#{}", delivery.spread() % 8), delivery.to_string())
}

fn with_key(item: &Value, pk: &str, sk: &str) -> Value {
    let mut item = item.clone();
    item["pk"]["S"] = pk.into();
    item["sk"]["S"] = sk.into();
    item
}

/// Publishes this many events for one webhook, and then copies the webhook and its records until
/// the workspace has [`WEBHOOKS`].
async fn crowded(events: usize) -> (Posthaste, Vec<String>) {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register("mine", &["*"]).await;
    let first = webhook["id"].as_u64().unwrap();
    let mut published = Vec::new();
    for n in 0..events {
        published.push(posthaste.api.publish("order.created", json!({ "n": n })).await);
    }
    posthaste.deliveries(&webhook, "succeeded", events).await;
    published.sort();

    let outputs = &posthaste.system.stack().outputs;
    let (registry, deliveries) =
        (outputs["RegistryTable"].clone(), outputs["DeliveriesTable"].clone());
    let pk = format!("workspace#{WORKSPACE}");
    let webhook_key = |id: u64| format!("webhook#{id:020}");
    let mut webhook = item(&posthaste, &registry, &pk, &webhook_key(first)).await;
    webhook["padding"] = json!({ "S": "x".repeat(2500) });
    let others = first + 1..first + WEBHOOKS;
    put(
        &posthaste,
        &registry,
        others.clone().map(|id| with_key(&webhook, &pk, &webhook_key(id))).collect(),
    )
    .await;
    for event in &published {
        let (pk, sk) = record_key(first, event);
        let record = item(&posthaste, &deliveries, &pk, &sk).await;
        let copy = |id: u64| {
            let (pk, sk) = record_key(id, event);
            with_key(&record, &pk, &sk)
        };
        put(&posthaste, &deliveries, others.clone().map(copy).collect()).await;
    }
    (posthaste, published)
}

/// Calls the API, and returns the answer and the calls that `register` made for it, by operation.
async fn counted(posthaste: &Posthaste, path: &str) -> (Value, BTreeMap<String, u64>) {
    let before = posthaste.system.metrics();
    let answer = posthaste.api.ok(Method::GET, path, Value::Null).await;
    let after = posthaste.system.metrics();
    let made = after.calls["register"].iter();
    let made = made.map(|(operation, calls)| {
        (operation.clone(), calls.count - before.count("register", operation))
    });
    (answer, made.filter(|(_, count)| *count > 0).collect())
}

fn assert_bounded(calls: &BTreeMap<String, u64>) {
    let count = |operation: &str| calls.get(operation).copied().unwrap_or_default();
    // A page of the events reads 8 partitions, seldom again. A call reads 1 MB of webhooks, and 100
    // records.
    assert!(count("dynamodb:Query") <= 8 + 8 + 4, "{calls:?}");
    assert!(count("dynamodb:BatchGetItem") <= 1 + 20, "{calls:?}");
    assert!(count("dynamodb:GetItem") <= 1, "{calls:?}");
}

#[tokio::test]
async fn reading_events_back_costs_a_bounded_number_of_calls_however_many_webhooks_want_them() {
    let (posthaste, published) = crowded(3).await;

    let (mut told, mut next, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let (page, calls) = counted(&posthaste, &format!("/events?limit=100{next}")).await;
        assert_bounded(&calls);
        let items = page["items"].as_array().unwrap();
        told.extend(
            items.iter().map(|event| {
                (event["id"].as_str().unwrap().to_owned(), event["delivered"].clone())
            }),
        );
        pages += 1;
        let Some(cursor) = page["next"].as_str() else { break };
        next = format!("&cursor={cursor}");
    }
    let expected: Vec<_> = published.iter().map(|id| (id.clone(), json!(true))).collect();
    assert_eq!(told, expected);
    assert!((4..=7).contains(&pages), "{pages}: two calls an event");

    let path = format!("/events/{}", published[0]);
    let (first, calls) = counted(&posthaste, &path).await;
    assert_bounded(&calls);
    assert_eq!(first["delivered"], json!(null), "not all webhooks were looked at");
    let (second, calls) =
        counted(&posthaste, &format!("{path}?cursor={}", first["next"].as_str().unwrap())).await;
    assert_bounded(&calls);
    assert_eq!((&second["delivered"], &second["next"]), (&json!(true), &json!(null)));
}
