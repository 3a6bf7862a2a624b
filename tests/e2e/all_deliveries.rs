//! The lists of deliveries: of a webhook by its activity, of all webhooks of a workspace, and of one
//! event.

use std::collections::BTreeSet;

use posthaste_tests::{Answer, Posthaste, eventually};
use reqwest::Method;
use serde_json::{Value, json};

async fn get(posthaste: &Posthaste, path: &str) -> Value {
    posthaste.api.ok(Method::GET, path, Value::Null).await
}

/// Reads all pages of a list. Each page has at most so many items as the query says.
async fn all_pages(posthaste: &Posthaste, path: &str) -> Vec<Value> {
    let mut page = get(posthaste, path).await;
    let mut items = page["items"].as_array().unwrap().clone();
    let and = if path.contains('?') { '&' } else { '?' };
    while let Some(next) = page["next"].as_str() {
        page = get(posthaste, &format!("{path}{and}cursor={next}")).await;
        items.extend(page["items"].as_array().unwrap().clone());
    }
    items
}

fn ids(items: &[Value]) -> BTreeSet<String> {
    items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

fn pairs(items: &[Value]) -> BTreeSet<(String, u64, String)> {
    let of = |item: &Value| {
        let event = item["eventId"].as_str().unwrap().to_owned();
        (event, item["webhookId"].as_u64().unwrap(), item["status"].as_str().unwrap().to_owned())
    };
    items.iter().map(of).collect()
}

async fn settled(posthaste: &Posthaste, path: &str, count: usize) -> Vec<Value> {
    eventually("every delivery has its end", async || {
        let all = all_pages(posthaste, path).await;
        let is_over = |item: &Value| {
            ["succeeded", "exhausted", "skipped"].contains(&item["status"].as_str().unwrap())
        };
        (all.len() == count && all.iter().all(is_over)).then_some(all)
    })
    .await
}

/// The event of a replay leads to the first delivery alone, and a test has no stored event.
#[tokio::test]
async fn a_replay_and_a_test_within_a_minute_are_in_the_list_of_all() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register_with("mine", json!({})).await;
    posthaste.api.publish("order.created", json!({})).await;
    let first = settled(&posthaste, "/deliveries", 1).await.remove(0);
    let path = format!("/webhooks/{}", webhook["id"]);
    let replay = format!("{path}/deliveries/{}/replay", first["id"].as_str().unwrap());
    posthaste.api.ok(Method::POST, &replay, Value::Null).await;
    posthaste.api.ok(Method::POST, &format!("{path}/test"), json!({})).await;
    let all = settled(&posthaste, "/deliveries", 3).await;
    let causes: BTreeSet<_> = all.iter().map(|item| item["cause"].as_str().unwrap()).collect();
    assert_eq!(causes, ["published", "replay", "test"].into());
    let own = settled(&posthaste, &format!("{path}/deliveries"), 3).await;
    assert_eq!(pairs(&own), pairs(&all), "the webhook's list has the same");
}

#[tokio::test]
async fn all_deliveries_of_a_workspace_are_one_list_with_every_filter() {
    let posthaste = Posthaste::start().await;
    let good = posthaste.register_with("good", json!({})).await;
    let bad = posthaste.register_with("bad", json!({ "retrySchedule": [] })).await;
    posthaste.system.inbox().respond_by_default("bad", Some(Answer::status(503, 1)));
    let orders = posthaste.register_with("orders", json!({ "events": ["order.shipped"] })).await;
    let mut events = Vec::new();
    for kind in ["order.created", "order.shipped", "order.created"] {
        events.push(posthaste.api.publish(kind, json!({})).await);
    }
    let all = settled(&posthaste, "/deliveries?limit=2", 7).await;
    assert_eq!(ids(&all).len(), 7, "nothing twice over the pages");
    let whole = all_pages(&posthaste, "/deliveries?limit=100").await;
    assert_eq!(pairs(&whole), pairs(&all));
    assert!(whole.is_sorted_by(|a, b| a["createdAt"].as_str() >= b["createdAt"].as_str()));

    let count = async |query: &str| {
        let page = all_pages(&posthaste, &format!("/deliveries?limit=3&{query}")).await;
        page.len()
    };
    assert_eq!(count("status=exhausted").await, 3);
    assert_eq!(count("http_status=503").await, 3);
    assert_eq!(count("http_status=5xx&event_type=order.shipped").await, 1);
    assert_eq!(count("http_status=2xx").await, 4);
    assert_eq!(count("event_type=order.shipped").await, 3);
    assert_eq!(count(&format!("event_id={}", events[0])).await, 2);
    assert_eq!(count("since=2100-01-01T00:00:00Z").await, 0);
    assert_eq!(count("until=2020-01-01T00:00:00Z").await, 0);

    let of_event =
        all_pages(&posthaste, &format!("/events/{}/deliveries?limit=1", events[1])).await;
    let webhooks: Vec<&Value> = of_event.iter().map(|item| &item["webhookId"]).collect();
    assert_eq!(webhooks, [&good["id"], &bad["id"], &orders["id"]]);
    let own = all_pages(&posthaste, &format!("/webhooks/{}/deliveries", bad["id"])).await;
    let of_bad: Vec<Value> =
        whole.iter().filter(|item| item["webhookId"] == bad["id"]).cloned().collect();
    assert_eq!(own, of_bad, "the same deliveries in the same order");
    let by_status = format!("/webhooks/{}/deliveries?http_status=5xx", bad["id"]);
    assert_eq!(all_pages(&posthaste, &by_status).await.len(), 3);
}

#[tokio::test]
async fn a_list_is_of_the_callers_workspace_alone() {
    let posthaste = Posthaste::start().await;
    posthaste.register_with("mine", json!({})).await;
    let event = posthaste.api.publish("order.created", json!({})).await;
    settled(&posthaste, "/deliveries", 1).await;
    let other = posthaste.api.workspace("other").await;
    let all = other.ok(Method::GET, "/deliveries", Value::Null).await;
    assert_eq!(all["items"], json!([]));
    let path = format!("/events/{event}/deliveries");
    let (status, _) = other.call(Method::GET, &path, Value::Null).await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn what_is_held_for_the_end_of_its_run_is_shown_with_the_reason() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register_with("mine", json!({ "timing": "process_end" })).await;
    let run = json!({ "processType": "onboarding", "contextId": "run-1" });
    let event = posthaste.api.publish("order.created", run).await;
    let lists = [
        format!("/webhooks/{}/deliveries", webhook["id"]),
        format!("/webhooks/{}/deliveries?status=waiting", webhook["id"]),
        "/deliveries?status=waiting".to_owned(),
        format!("/events/{event}/deliveries"),
    ];
    for list in &lists {
        let held = eventually("it is held", async || {
            let all = all_pages(&posthaste, list).await;
            all.into_iter().find(|item| item["waiting"]["reason"] == "processEnd")
        })
        .await;
        assert_eq!(
            (&held["status"], &held["eventId"]),
            (&json!("waiting"), &json!(event)),
            "{list}"
        );
        assert!(held["waiting"]["until"].is_string(), "{held}");
        let path = format!("{}/{}", lists[0], held["id"].as_str().unwrap());
        assert_eq!(get(&posthaste, &path).await, held, "it is read by its id");
        let replay = format!("{path}/replay");
        let (status, answer) = posthaste.api.call(Method::POST, &replay, Value::Null).await;
        assert_eq!((status, &answer["error"]["code"]), (409, &json!("delivery_waiting")));
        assert_eq!(all_pages(&posthaste, list).await.len(), 1, "{list}");
    }
    posthaste.api.publish("process_run_end", end_of_run(&posthaste).await).await;
    posthaste.arrived("mine", 2).await;
    for list in [&lists[0], "/deliveries"] {
        let all = settled(&posthaste, list, 2).await;
        assert!(all.iter().all(|item| item["status"] == "succeeded"), "{all:?}");
    }
}

/// The end of the run, by the sample of its type.
async fn end_of_run(posthaste: &Posthaste) -> Value {
    let kind = get(posthaste, "/event-types/process_run_end").await;
    let mut data = kind["sample"]["data"].clone();
    data["contextId"] = json!("run-1");
    data
}

/// A replay is an activity of now, whatever the age of its event.
#[tokio::test]
async fn a_replay_of_an_old_event_is_at_the_top_of_both_lists() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register_with("mine", json!({})).await;
    let old = old_event();
    posthaste.send("EventsQueueUrl", &[event_with_id(&old)]).await;
    let first = settled(&posthaste, "/deliveries", 1).await.remove(0);
    assert_eq!(first["eventId"], old);
    for n in 0..3 {
        posthaste.api.publish("order.created", json!({ "n": n })).await;
    }
    settled(&posthaste, "/deliveries", 4).await;
    let path = format!("/webhooks/{}/deliveries", webhook["id"]);
    let replay = format!("{path}/{}/replay", first["id"].as_str().unwrap());
    let replayed = posthaste.api.ok(Method::POST, &replay, Value::Null).await;
    for list in [path.as_str(), "/deliveries"] {
        let all = settled(&posthaste, &format!("{list}?limit=2"), 5).await;
        assert_eq!(all[0]["id"], replayed["id"], "{list}");
        assert_eq!(all[0]["cause"], "replay");
        assert_eq!(ids(&all).len(), 5);
    }
    let of_event = all_pages(&posthaste, &format!("{path}?event_id={old}")).await;
    assert_eq!(of_event.len(), 2, "the replay is one of the webhook's deliveries of it");
    let of_event = all_pages(&posthaste, &format!("/deliveries?event_id={old}")).await;
    assert_eq!(of_event.len(), 1, "and publishing caused one");
    let other = posthaste.api.workspace("other").await;
    let foreign = other.ok(Method::GET, "/deliveries", Value::Null).await;
    assert_eq!(foreign["items"], json!([]), "another workspace sees neither");
    let published = all_pages(&posthaste, &format!("/events/{old}/deliveries")).await;
    assert_eq!(published.len(), 1, "and publishing caused one");
}

/// The id of an event that was accepted an hour ago.
fn old_event() -> String {
    let at = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let ms = at.as_millis() - 60 * 60 * 1000;
    let hex = format!("{ms:012x}");
    format!("{}-{}-7000-8000-000000000001", &hex[..8], &hex[8..])
}

fn event_with_id(id: &str) -> String {
    json!({ "id": id, "workspace": "default", "type": "order.created", "data": {} }).to_string()
}

/// A page reads about what it shows, whatever else is stored.
#[tokio::test]
async fn a_page_of_every_list_makes_few_calls() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register_with("mine", json!({})).await;
    let mut events = Vec::new();
    for n in 0..10 {
        events.push(posthaste.api.publish("order.created", json!({ "n": n })).await);
    }
    settled(&posthaste, "/deliveries", 10).await;
    posthaste.idle().await;
    let calls = async |path: String| {
        let count = || {
            ["Query", "BatchGetItem", "GetItem"]
                .map(|operation| posthaste.calls("register", &format!("dynamodb:{operation}")))
        };
        let before = count();
        assert!(!all_pages(&posthaste, &path).await.is_empty());
        let after = count();
        [0, 1, 2].map(|at| after[at] - before[at])
    };
    // 8 partitions of events or records, and those of the index: 4 of a webhook, 32 of a workspace.
    // A partition that has more than its share is asked twice.
    let [queries, batches, _] = calls("/deliveries?limit=5".to_owned()).await;
    assert!(queries <= 2 * (8 + 32 + 8) && batches <= 4, "{queries} queries, {batches} batches");
    let path = format!("/webhooks/{}/deliveries?limit=10", webhook["id"]);
    let [queries, batches, _] = calls(path).await;
    assert!(queries <= 2 * (8 + 4 + 2 + 8) && batches <= 3, "{queries} queries, {batches} batches");
    let [queries, batches, _] = calls(format!("/events/{}/deliveries", events[0])).await;
    assert_eq!((queries, batches), (0, 3), "the event twice, and its records");
}
