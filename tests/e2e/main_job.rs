//! The main job is to register, publish, receive, and look it up.

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use posthaste_tests::Posthaste;
use reqwest::Method;
use serde_json::{Value, json};
use sha2::Sha256;

#[tokio::test]
async fn an_event_reaches_its_webhook_signed_and_is_in_the_history() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register("mine", &["order.*"]).await;
    let secret = webhook["secret"].as_str().unwrap();
    // Number spellings, spacing and escapes that a re-serialisation would change.
    let data = r#"{ "total": 1.0, "n":1e2, "id":123456789012345678901234567890, "s":"\u00e9\/" }"#;
    let body =
        format!(r#"{{"type":"order.created","timestamp":"2023-07-18T15:32:13Z","data":{data}}}"#);
    let (status, answer) = posthaste.api.raw(Method::POST, "/events", body.clone()).await;
    assert_eq!((status, &answer["success"]), (202, &json!(true)), "{answer}");
    let event_id = answer["data"]["id"].as_str().unwrap();

    let request = posthaste.arrived("mine", 1).await.remove(0);
    assert_eq!(request.method, "POST");
    assert_eq!(request.body, body, "the event as it was published, byte for byte");
    let header = |name: &str| request.headers[name].as_str();
    assert_eq!(header("content-type"), "application/json");
    assert_eq!(header("x-webhook-event"), "order.created");
    assert_eq!(header("webhook-id"), event_id);
    assert!(header("user-agent").starts_with("Posthaste/"), "{}", header("user-agent"));

    let mut signed = http::HeaderMap::new();
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        signed.insert(name, header(name).parse().unwrap());
    }
    standardwebhooks::Webhook::new(secret)
        .unwrap()
        .verify(&request.bytes, &signed)
        .expect("the library verifies it");

    let hmac = |key: &[u8], parts: &[&[u8]]| -> Vec<u8> {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
        parts.iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes().to_vec()
    };
    let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    assert_eq!(key.len(), 32);
    let content: [&[u8]; 5] =
        [event_id.as_bytes(), b".", header("webhook-timestamp").as_bytes(), b".", &request.bytes];
    assert_eq!(
        header("webhook-signature"),
        format!("v1,{}", STANDARD.encode(hmac(&key, &content)))
    );
    let hex: String = hmac(secret.as_bytes(), &[&request.bytes])
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(header("x-webhook-signature"), format!("sha256={hex}"));

    let delivery = posthaste.deliveries(&webhook, "succeeded", 1).await.remove(0);
    assert_eq!(delivery["eventId"], event_id);
    assert_eq!(delivery["eventType"], "order.created");
    assert_eq!(delivery["httpStatus"], 200);
    assert_eq!(delivery["error"], Value::Null);
    assert_eq!(delivery["attempts"].as_array().unwrap().len(), 1);
    posthaste.drained("DeliveriesQueueUrl").await;
}

#[tokio::test]
async fn only_subscribed_types_reach_a_webhook_and_each_in_its_format() {
    let posthaste = Posthaste::start().await;
    posthaste.register("exact", &["order.created"]).await;
    posthaste.register("prefix", &["order.*"]).await;
    posthaste.register("all", &["*"]).await;
    let spectra = json!({
        "url": posthaste.inbox_url("spectra"), "events": ["inventory.sold"], "format": "spectra",
    });
    posthaste.api.ok(Method::POST, "/webhooks", spectra).await;
    let events: Vec<Value> = ["order.created", "order.shipped", "inventory.sold"]
        .map(|event_type| {
            json!({
                "type": event_type, "timestamp": "2023-07-18T15:32:13Z", "data": { "id": 1 },
            })
        })
        .into();
    let answer = posthaste.api.ok(Method::POST, "/events", json!({ "events": events })).await;
    assert_eq!(answer["events"].as_array().unwrap().len(), 3);

    posthaste.arrived("all", 3).await;
    posthaste.arrived("prefix", 2).await;
    posthaste.arrived("exact", 1).await;
    let sold = posthaste.arrived("spectra", 1).await.remove(0);
    assert_eq!(
        sold.body,
        r#"{"event":"inventory.sold","timestamp":"2023-07-18T15:32:13Z","data":{"id":1}}"#
    );
    posthaste.drained("DeliveriesQueueUrl").await;
    let count = |inbox: &str| posthaste.system.inbox().arrived(inbox).len();
    assert_eq!([count("all"), count("prefix"), count("exact"), count("spectra")], [3, 2, 1, 1]);
}

#[tokio::test]
async fn a_paused_or_deleted_webhook_gets_nothing_new() {
    let posthaste = Posthaste::start().await;
    let paused = posthaste.register("paused", &["*"]).await;
    let deleted = posthaste.register("deleted", &["*"]).await;
    posthaste.register("other", &["*"]).await;
    posthaste
        .api
        .ok(Method::PATCH, &format!("/webhooks/{}", paused["id"]), json!({ "enabled": false }))
        .await;
    posthaste.api.ok(Method::DELETE, &format!("/webhooks/{}", deleted["id"]), Value::Null).await;
    posthaste.api.publish("order.created", json!({})).await;
    posthaste.arrived("other", 1).await;
    posthaste.drained("EventsQueueUrl").await;
    posthaste.drained("DeliveriesQueueUrl").await;
    assert_eq!(posthaste.system.inbox().arrived("paused").len(), 0);
    assert_eq!(posthaste.system.inbox().arrived("deleted").len(), 0);
    posthaste.deliveries(&paused, "skipped", 1).await;

    posthaste
        .api
        .ok(Method::PATCH, &format!("/webhooks/{}", paused["id"]), json!({ "enabled": true }))
        .await;
    posthaste.api.publish("order.created", json!({})).await;
    posthaste.arrived("paused", 1).await;
}

#[tokio::test]
async fn a_webhook_paused_between_attempts_is_skipped_and_says_so() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register_failing("mine", &["*"], 500, 100).await;
    posthaste.api.publish("order.created", json!({})).await;
    posthaste.arrived("mine", 1).await;
    posthaste
        .api
        .ok(Method::PATCH, &format!("/webhooks/{}", webhook["id"]), json!({ "enabled": false }))
        .await;
    let skipped = posthaste.deliveries(&webhook, "skipped", 1).await.remove(0);
    assert_eq!(skipped["error"]["code"], "webhook_disabled");
    posthaste.drained("DeliveriesQueueUrl").await;
}

#[tokio::test]
async fn a_large_event_travels_by_reference_and_arrives_whole() {
    let posthaste = Posthaste::start().await;
    posthaste.register("mine", &["*"]).await;
    let text = "x".repeat(200 * 1024);
    posthaste.api.publish("order.created", json!({ "text": text })).await;
    let request = posthaste.arrived("mine", 1).await.remove(0);
    let body: Value = serde_json::from_str(&request.body).unwrap();
    assert_eq!(body["data"]["text"], text);
    assert_eq!(posthaste.calls("deliver", "dynamodb:BatchGetItem"), 2, "the webhook and the event");
}

#[tokio::test]
async fn an_event_sent_straight_to_the_queue_is_delivered_too() {
    let posthaste = Posthaste::start().await;
    posthaste.register("mine", &["*"]).await;
    let body = r#"{"workspace":"default","type":"order.created","data":{"n":1.0}}"#;
    posthaste.send("EventsQueueUrl", &[body.to_owned()]).await;
    let request = posthaste.arrived("mine", 1).await.remove(0);
    assert!(request.body.ends_with(r#""data":{"n":1.0}}"#), "{}", request.body);
}

#[tokio::test]
async fn the_history_is_paged_and_filtered_newest_first() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register("mine", &["*"]).await;
    let mut published = Vec::new();
    for n in 0..7 {
        let event_type = if n % 2 == 0 { "order.created" } else { "order.shipped" };
        published.push(posthaste.api.publish(event_type, json!({ "n": n })).await);
    }
    posthaste.deliveries(&webhook, "succeeded", 7).await;
    published.sort();
    published.reverse();
    let base = format!("/webhooks/{}/deliveries", webhook["id"]);
    let page = async |query: String| {
        let page = posthaste.api.ok(Method::GET, &format!("{base}?{query}"), Value::Null).await;
        let ids: Vec<String> = page["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["eventId"].as_str().unwrap().to_owned())
            .collect();
        (ids, page["next"].as_str().map(str::to_owned))
    };
    let times = |events: &[String]| -> Vec<String> {
        events.iter().map(|id| id[..13].to_owned()).collect()
    };
    let (first, next) = page("limit=3".to_owned()).await;
    let (second, next) = page(format!("limit=3&cursor={}", next.unwrap())).await;
    let (third, next) = page(format!("limit=3&cursor={}", next.unwrap())).await;
    assert_eq!(next, None);
    let all = [first, second, third].concat();
    assert_eq!(times(&all), times(&published), "newest first");
    assert_eq!(all.iter().collect::<std::collections::BTreeSet<_>>().len(), 7);
    assert_eq!(page("event_type=order.shipped".to_owned()).await.0.len(), 3);
    assert_eq!(page("status=exhausted".to_owned()).await.0.len(), 0);
    assert_eq!(page("since=2099-01-01T00:00:00Z".to_owned()).await.0.len(), 0);
    assert_eq!(page("until=2099-01-01T00:00:00Z".to_owned()).await.0.len(), 7);
}
