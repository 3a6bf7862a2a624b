//! Events are read back by time, type and subject, in pages, in the order of time.

use posthaste_tests::Posthaste;
use reqwest::Method;
use serde_json::{Value, json};

async fn page(posthaste: &Posthaste, query: &str) -> (Vec<String>, Option<String>) {
    let page = posthaste.api.ok(Method::GET, &format!("/events?{query}"), Value::Null).await;
    let ids = page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["id"].as_str().unwrap().to_owned())
        .collect();
    (ids, page["next"].as_str().map(str::to_owned))
}

async fn all(posthaste: &Posthaste, query: &str) -> Vec<String> {
    let (mut ids, mut next) = page(posthaste, query).await;
    while let Some(cursor) = next {
        let (more, then) = page(posthaste, &format!("{query}&cursor={cursor}")).await;
        ids.extend(more);
        next = then;
    }
    ids
}

#[tokio::test]
async fn events_are_read_in_the_order_of_time_over_all_shards() {
    let posthaste = Posthaste::start().await;
    let mut published = Vec::new();
    for n in 0..30 {
        let event = json!({
            "type": if n % 3 == 0 { "order.shipped" } else { "order.created" },
            "subject": format!("c-{}", n % 5), "data": { "n": n },
        });
        published.push(
            posthaste.api.ok(Method::POST, "/events", event).await["id"]
                .as_str()
                .unwrap()
                .to_owned(),
        );
    }
    posthaste.idle().await;
    published.sort();
    for limit in [1, 7, 30, 100] {
        assert_eq!(all(&posthaste, &format!("limit={limit}")).await, published, "limit {limit}");
    }
    let mut newest_first = published.clone();
    newest_first.reverse();
    assert_eq!(all(&posthaste, "limit=7&order=desc").await, newest_first);
    assert_eq!(all(&posthaste, "limit=3&type=order.shipped").await.len(), 10);
    assert_eq!(all(&posthaste, "limit=3&subject=c-1").await.len(), 6);
    assert_eq!(all(&posthaste, "type=order.shipped&subject=c-0").await.len(), 2);
    assert_eq!(all(&posthaste, "type=inventory.sold").await.len(), 0);
    let eleventh =
        posthaste.api.ok(Method::GET, &format!("/events/{}", published[10]), Value::Null).await;
    let at = eleventh["acceptedAt"].as_str().unwrap();
    let (before, after) = (
        all(&posthaste, &format!("until={at}")).await,
        all(&posthaste, &format!("since={at}")).await,
    );
    assert_eq!(
        [before, after.clone()].concat(),
        published,
        "since takes its own time, until does not"
    );
    assert!(after.contains(&published[10]));
}

#[tokio::test]
async fn an_event_is_read_as_it_was_published() {
    let posthaste = Posthaste::start().await;
    let data = r#"{ "z": 1.0, "a":1e2,"a":123456789012345678901234567890 }"#;
    let body = format!(
        r#"{{"type":"order.created","subject":"c-1","reference":"r","timestamp":"2023-07-18T15:32:13Z","data":{data}}}"#
    );
    let (_, accepted) = posthaste.api.raw(Method::POST, "/events", body).await;
    posthaste.idle().await;
    let path = format!("/events/{}", accepted["data"]["id"].as_str().unwrap());
    let text = posthaste.api.text(Method::GET, &path).await;
    assert!(text.contains(data), "{text}");
    let event = posthaste.api.ok(Method::GET, &path, Value::Null).await;
    assert_eq!((&event["subject"], &event["reference"]), (&json!("c-1"), &json!("r")));
    assert_eq!(
        (&event["timestamp"], &event["delivered"]),
        (&json!("2023-07-18T15:32:13Z"), &json!(null))
    );
    let other = posthaste.api.workspace("other").await;
    assert_eq!(other.call(Method::GET, &path, Value::Null).await.0, 404);
    assert_eq!(posthaste.api.call(Method::GET, "/events/x", Value::Null).await.0, 404);
}

#[tokio::test]
async fn two_workspaces_with_the_same_event_id_keep_their_own() {
    let posthaste = Posthaste::start().await;
    let workspaces = ["acme", "other"];
    let large = "x".repeat(100 * 1024);
    let now = posthaste.api.publish("order.created", json!({})).await;
    let mut clients = Vec::new();
    for name in workspaces {
        let api = posthaste.api.workspace(name).await;
        let url = posthaste.inbox_url(name);
        api.ok(Method::POST, "/webhooks", json!({ "url": url, "events": ["*"] })).await;
        clients.push(api);
    }
    // Too large for a task, so that they travel by reference. Both in one call, so that they come
    // in one batch.
    let event = |name: &&str| {
        json!({
            "workspace": name, "id": now, "type": "order.created",
            "data": { "whose": name, "x": large },
        })
        .to_string()
    };
    posthaste.send("EventsQueueUrl", &workspaces.iter().map(event).collect::<Vec<_>>()).await;
    for (name, api) in workspaces.iter().zip(&clients) {
        let request = posthaste.arrived(name, 1).await.remove(0);
        let body: Value = serde_json::from_str(&request.body).unwrap();
        assert_eq!(body["data"]["whose"], *name);
        let read = api.ok(Method::GET, &format!("/events/{now}"), Value::Null).await;
        assert_eq!(read["data"]["whose"], *name);
    }
}
