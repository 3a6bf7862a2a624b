//! The history shows what waits for its webhook, which goes out when the webhook lets it.

use std::collections::BTreeSet;

use posthaste_tests::{Posthaste, eventually};
use reqwest::Method;
use serde_json::{Value, json};

const COUNT: usize = 5;

/// Makes a webhook that takes one request a minute, and lists those of its deliveries that wait,
/// the newest first. They are all but the first one, or all, where the machine was so slow that the
/// first slot went unused.
async fn limited(posthaste: &Posthaste) -> (Value, Vec<Value>) {
    let webhook = posthaste
        .register_with("mine", json!({ "rateLimit": { "requests": 1, "per": "minute" } }))
        .await;
    for n in 0..COUNT {
        posthaste.api.publish("order.created", json!({ "n": n })).await;
    }
    let all = eventually("none is on its way any more", async || {
        let all = all_pages(posthaste, &webhook, "limit=100").await;
        let is_queued = |item: &Value| item["waiting"]["reason"] == "queued";
        (all.len() == COUNT && !all.iter().any(is_queued)).then_some(all)
    })
    .await;
    let waiting: Vec<Value> =
        all.into_iter().filter(|delivery| delivery["status"] == "waiting").collect();
    assert!(waiting.len() >= COUNT - 1, "{waiting:?}");
    (webhook, waiting)
}

fn path(webhook: &Value) -> String {
    format!("/webhooks/{}", webhook["id"])
}

async fn get(posthaste: &Posthaste, path: &str) -> Value {
    posthaste.api.ok(Method::GET, path, Value::Null).await
}

fn ids(items: &[Value]) -> Vec<&str> {
    items.iter().map(|item| item["id"].as_str().unwrap()).collect()
}

/// Reads all pages of the history.
async fn all_pages(posthaste: &Posthaste, webhook: &Value, query: &str) -> Vec<Value> {
    let path = format!("{}/deliveries?{query}", path(webhook));
    let mut page = get(posthaste, &path).await;
    let mut items = page["items"].as_array().unwrap().clone();
    while let Some(next) = page["next"].as_str() {
        page = get(posthaste, &format!("{path}&cursor={next}")).await;
        items.extend(page["items"].as_array().unwrap().clone());
    }
    items
}

#[tokio::test]
async fn what_waits_for_a_rate_limit_is_shown_with_the_reason() {
    let posthaste = Posthaste::start().await;
    let (webhook, waiting) = limited(&posthaste).await;
    for delivery in &waiting {
        assert_eq!(delivery["status"], "waiting");
        assert_eq!(
            (&delivery["waiting"]["reason"], &delivery["waiting"]["until"]),
            (&json!("limited"), &Value::Null)
        );
        assert!(delivery["waiting"]["since"].is_string(), "{delivery}");
        assert_eq!((&delivery["attempts"], &delivery["error"]), (&json!([]), &Value::Null));
        assert_eq!(
            (&delivery["eventType"], &delivery["cause"]),
            (&json!("order.created"), &json!("published"))
        );
    }
    let health = get(&posthaste, &path(&webhook)).await["health"].clone();
    assert_eq!((&health["state"], &health["waitsUntil"]), (&json!("limited"), &Value::Null));
    assert!(health["stateReason"].as_str().unwrap().contains("rate limit"), "{health}");
    let listed = get(&posthaste, "/webhooks").await["items"][0]["health"].clone();
    assert_eq!(listed, health);
}

#[tokio::test]
async fn the_list_has_what_waits_and_what_went_out_once_each_and_newest_first() {
    let posthaste = Posthaste::start().await;
    let (webhook, waiting) = limited(&posthaste).await;
    let path = format!("{}/deliveries", path(&webhook));
    let all = get(&posthaste, &path).await;
    let all = all["items"].as_array().unwrap();
    assert_eq!(all.len(), COUNT);
    assert!(ids(all).is_sorted_by(|newer, older| newer > older), "{all:?}");
    assert_eq!(
        all.iter().filter(|delivery| delivery["status"] == "waiting").count(),
        waiting.len()
    );
    assert_eq!(all_pages(&posthaste, &webhook, "limit=2").await, *all);
    let of_type = get(&posthaste, &format!("{path}?status=waiting&event_type=order.shipped")).await;
    assert_eq!(of_type["items"], json!([]));
    let (oldest, newest) = (&all[COUNT - 1]["createdAt"], &all[0]["createdAt"]);
    let between =
        format!("{path}?since={}&until={}", oldest.as_str().unwrap(), newest.as_str().unwrap());
    let between = get(&posthaste, &between).await;
    let between = between["items"].as_array().unwrap();
    assert!(
        ids(between).iter().all(|id| ids(all).contains(id)) && between.len() < COUNT,
        "{between:?}"
    );
}

#[tokio::test]
async fn a_delivery_that_waits_is_read_by_its_id_and_can_not_be_replayed() {
    let posthaste = Posthaste::start().await;
    let (webhook, waiting) = limited(&posthaste).await;
    let path = format!("{}/deliveries/{}", path(&webhook), waiting[0]["id"].as_str().unwrap());
    assert_eq!(get(&posthaste, &path).await, waiting[0]);
    let (status, answer) =
        posthaste.api.call(Method::POST, &format!("{path}/replay"), Value::Null).await;
    assert_eq!((status, &answer["error"]["code"]), (409, &json!("delivery_waiting")));
    let event =
        get(&posthaste, &format!("/events/{}", waiting[0]["eventId"].as_str().unwrap())).await;
    assert_eq!(event["delivered"], Value::Null, "nobody knows yet");
}

#[tokio::test]
async fn a_limit_that_is_lifted_lets_go_what_waits() {
    let posthaste = Posthaste::start().await;
    let (webhook, waiting) = limited(&posthaste).await;
    posthaste.api.ok(Method::PATCH, &path(&webhook), json!({ "rateLimit": null })).await;
    let done = posthaste.deliveries(&webhook, "succeeded", COUNT).await;
    assert!(
        ids(&waiting)
            .into_iter()
            .collect::<BTreeSet<_>>()
            .is_subset(&ids(&done).into_iter().collect())
    );
    assert_eq!(posthaste.arrived("mine", COUNT).await.len(), COUNT);
    eventually("the webhook is healthy", async || {
        let health = get(&posthaste, &path(&webhook)).await["health"].clone();
        (health["state"] == "healthy" && health["stateReason"].is_null()).then_some(())
    })
    .await;
    assert_eq!(posthaste.deliveries(&webhook, "waiting", 0).await, Vec::<Value>::new());
}

/// Makes the circuit of a webhook's endpoint open for ten minutes, as it is after many timeouts.
async fn open_circuit(posthaste: &Posthaste, webhook: &Value) {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let until = json!({ "N": (now.as_millis() + 600_000).to_string() });
    let update = json!({
        "TableName": posthaste.system.stack().outputs["DeliveriesTable"],
        "Key": { "pk": { "S": format!("#lane#default#{}", webhook["id"]) }, "sk": { "S": "lane" } },
        "UpdateExpression": "SET #reason = :sick, sickUntil = :until, wakeAt = :until, dueAt = \
            :until, openings = :many REMOVE holder",
        // Not while the turn is at work, which would write what it knows itself.
        "ConditionExpression": "attribute_exists(#token) AND attribute_not_exists(leaseUntil)",
        "ExpressionAttributeNames": { "#reason": "reason", "#token": "token" },
        "ExpressionAttributeValues": {
            ":sick": { "S": "sick" }, ":until": until, ":many": { "N": "5" },
        },
    });
    eventually("the turn sleeps", async || {
        posthaste.system.dynamodb().call("UpdateItem", &update).await.ok()
    })
    .await;
}

#[tokio::test]
async fn another_endpoint_does_not_wait_for_the_circuit_of_the_old_one() {
    let posthaste = Posthaste::start().await;
    let (webhook, waiting) = limited(&posthaste).await;
    open_circuit(&posthaste, &webhook).await;
    let health = get(&posthaste, &path(&webhook)).await["health"].clone();
    assert!(health["state"] == "sick" && health["waitsUntil"].is_string(), "{health}");
    let waiting = posthaste.deliveries(&webhook, "waiting", waiting.len()).await;
    for delivery in &waiting {
        assert_eq!(delivery["waiting"]["reason"], "sick");
        assert_eq!(delivery["waiting"]["until"], health["waitsUntil"]);
    }
    let elsewhere = json!({ "url": posthaste.inbox_url("other"), "rateLimit": null });
    let moved = posthaste.api.ok(Method::PATCH, &path(&webhook), elsewhere).await;
    assert_eq!(moved["health"]["waitsUntil"], Value::Null);
    posthaste.arrived("other", waiting.len()).await;
    posthaste.deliveries(&webhook, "succeeded", COUNT).await;
}

#[tokio::test]
async fn a_long_backlog_comes_once_over_all_pages() {
    let posthaste = Posthaste::start().await;
    let (webhook, _) = limited(&posthaste).await;
    let events: Vec<Value> =
        (0..100).map(|n| json!({ "type": "order.created", "data": { "n": n } })).collect();
    for _ in 0..3 {
        posthaste.api.ok(Method::POST, "/events", json!({ "events": events })).await;
    }
    let count = 300 + COUNT;
    let mut paged = Vec::new();
    eventually("all are in the list", async || {
        paged = all_pages(&posthaste, &webhook, "limit=37").await;
        (paged.len() == count).then_some(())
    })
    .await;
    assert_eq!(ids(&paged).into_iter().collect::<BTreeSet<_>>().len(), count);
    assert!(ids(&paged).is_sorted_by(|newer, older| newer > older));
    let waiting = all_pages(&posthaste, &webhook, "limit=100&status=waiting").await;
    assert_eq!(
        waiting.len(),
        count - paged.iter().filter(|delivery| delivery["status"] != "waiting").count()
    );
}

#[tokio::test]
async fn what_waits_for_a_webhook_that_is_deleted_ends() {
    let posthaste = Posthaste::start().await;
    let (webhook, _) = limited(&posthaste).await;
    posthaste.api.ok(Method::DELETE, &path(&webhook), Value::Null).await;
    assert_eq!(posthaste.api.call(Method::GET, &path(&webhook), Value::Null).await.0, 404);
    posthaste.idle().await;
    let waiting = format!("{}/deliveries?status=waiting", path(&webhook));
    let page = posthaste.api.ok(Method::GET, &waiting, Value::Null).await;
    assert_eq!(page["items"], json!([]), "the history can be read, and nothing waits in it");
    assert!(posthaste.system.inbox().arrived("mine").len() <= 1);
}
