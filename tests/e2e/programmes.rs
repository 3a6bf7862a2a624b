//! Each profile does what its document says after a failure, and nothing else. A webhook can choose
//! otherwise.

use std::collections::BTreeMap;

use posthaste_tests::{Answer, Posthaste, Settings, eventually};
use reqwest::Method;
use serde_json::{Value, json};

use crate::secrets::rotated;

/// Lets an inbox give these answers, and then 200.
fn answer(posthaste: &Posthaste, inbox: &str, responses: impl IntoIterator<Item = Answer>) {
    let responses = responses.into_iter().collect();
    posthaste.system.inbox().set(inbox, Settings { responses, ..Settings::default() });
}

async fn shown(posthaste: &Posthaste, webhook: &Value) -> Value {
    posthaste.api.ok(Method::GET, &format!("/webhooks/{}", webhook["id"]), Value::Null).await
}

/// "If spektr gets a response that is non 200, then spektr will make 3 retry attempts with 1 second
/// interval": whatever the answer is, and whatever it asks for.
#[tokio::test]
async fn spektr_makes_three_retries_a_second_apart_whatever_the_endpoint_answers() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register_with("mine", json!({ "profile": "spektr" })).await;
    assert_eq!(
        (&webhook["disableOn410"], &webhook["disableAfterDays"], &webhook["maxRetryAfterSeconds"]),
        (&json!(false), &json!(0), &json!(0))
    );
    let later = BTreeMap::from([("retry-after".to_owned(), "600".to_owned())]);
    let asking = Answer { headers: later, ..Answer::status(429, 1) };
    answer(&posthaste, "mine", [Answer::status(410, 2), asking, Answer::status(410, 1)]);
    posthaste.api.publish("order.created", json!({})).await;
    let delivery = posthaste.deliveries(&webhook, "exhausted", 1).await.remove(0);
    let statuses: Vec<&Value> = delivery["attempts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|attempt| &attempt["httpStatus"])
        .collect();
    assert_eq!(statuses, [410, 410, 429, 410]);
    let health = &shown(&posthaste, &webhook).await["health"];
    assert_eq!(health["disabledAt"], Value::Null, "{health}");
    posthaste.api.publish("order.created", json!({})).await;
    posthaste.deliveries(&webhook, "succeeded", 1).await;
}

/// "Fire-and-forget: non-2xx responses are NOT retried": nor does anything else follow.
#[tokio::test]
async fn spectra_forgets_what_failed() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register_with("mine", json!({ "profile": "spectra" })).await;
    let kept =
        posthaste.register_with("kept", json!({ "profile": "spectra", "deadLetters": true })).await;
    for inbox in ["mine", "kept"] {
        answer(&posthaste, inbox, [Answer::status(410, 1)]);
    }
    posthaste.api.publish("order.created", json!({})).await;
    posthaste.deliveries(&webhook, "exhausted", 1).await;
    posthaste.deliveries(&kept, "exhausted", 1).await;
    let letter = posthaste.receive("ExhaustedDeliveriesQueueUrl").await;
    let task: Value = serde_json::from_str(&letter.body).unwrap();
    assert_eq!(task["webhook"], kept["id"], "{task}");
    posthaste.idle().await;
    let depth = posthaste.system.metrics().queues[&posthaste.queue("ExhaustedDeliveriesQueueUrl")];
    assert_eq!(
        depth.visible + depth.in_flight + depth.delayed,
        1,
        "only one webhook keeps letters"
    );
    posthaste.api.publish("order.created", json!({})).await;
    posthaste.deliveries(&webhook, "succeeded", 1).await;
}

/// The document's handler knows one secret and one header. It goes on working through a rotation,
/// until the overlap has ended.
#[tokio::test]
async fn spectras_printed_handler_survives_a_rotation() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register_with("mine", json!({ "profile": "spectra" })).await;
    let secret = webhook["secret"].as_str().map(str::to_owned);
    posthaste.system.inbox().set("mine", Settings { secret, ..Settings::default() });
    rotated(&posthaste.api, &webhook, json!({ "overlapSeconds": 5 })).await;
    posthaste.api.publish("order.created", json!({})).await;
    let during = posthaste.arrived("mine", 1).await.remove(0).signatures.unwrap();
    assert!(during.spectra, "the receiver has the secret of before");
    eventually("the overlap has ended", async || {
        let before = posthaste.system.inbox().arrived("mine").len();
        posthaste.api.publish("order.created", json!({})).await;
        let request = posthaste.arrived("mine", before + 1).await.pop().unwrap();
        (!request.signatures.unwrap().spectra).then_some(())
    })
    .await;
}

/// The documents' receivers read bodies with `express.json()`, which takes 100 kB.
#[tokio::test]
async fn a_request_to_spektr_fits_into_what_stock_receivers_take() {
    let posthaste = Posthaste::start().await;
    let stock = posthaste.register_with("stock", json!({ "profile": "spektr" })).await;
    let few = posthaste
        .register_with("few", json!({ "profile": "spektr", "maxEventsPerRequest": 7 }))
        .await;
    assert_eq!(
        (&stock["maxRequestBytes"], &few["maxEventsPerRequest"]),
        (&json!(98_304), &json!(7))
    );
    let events: Vec<Value> = (0..100)
        .map(|n| json!({ "type": "order.created", "data": { "n": n, "x": "x".repeat(2000) } }))
        .collect();
    posthaste.api.ok(Method::POST, "/events", json!({ "events": events })).await;
    posthaste.deliveries(&stock, "succeeded", 100).await;
    posthaste.deliveries(&few, "succeeded", 100).await;
    let arrived = posthaste.system.inbox().arrived("stock");
    assert!(arrived.iter().all(|request| request.bytes.len() <= 98_304));
    assert!(arrived.len() < 50, "{} requests", arrived.len());
    for request in posthaste.system.inbox().arrived("few") {
        let body: Value = serde_json::from_slice(&request.bytes).unwrap();
        assert!(body["results"].as_array().unwrap().len() <= 7);
    }
}

#[tokio::test]
async fn a_webhook_can_choose_what_its_profile_does_not() {
    let posthaste = Posthaste::start().await;
    let gentle = posthaste
        .register_with("gentle", json!({ "disableOn410": false, "retrySchedule": [1] }))
        .await;
    let strict = posthaste
        .register_with("strict", json!({ "profile": "spektr", "disableOn410": true }))
        .await;
    for inbox in ["gentle", "strict"] {
        answer(&posthaste, inbox, [Answer::status(410, 1)]);
    }
    posthaste.api.publish("order.created", json!({})).await;
    posthaste.deliveries(&gentle, "succeeded", 1).await;
    posthaste.deliveries(&strict, "skipped", 1).await;
    let health = &shown(&posthaste, &strict).await["health"];
    assert_eq!(health["disabledReason"], "gone", "{health}");
}
