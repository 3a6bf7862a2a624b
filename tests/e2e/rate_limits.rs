//! Rate limits are measured where requests arrive.

use posthaste_tests::{Arrived, Posthaste};
use reqwest::Method;
use serde_json::{Value, json};

async fn publish(posthaste: &Posthaste, count: usize) {
    let events: Vec<Value> =
        (0..count).map(|n| json!({ "type": "order.created", "data": { "n": n } })).collect();
    for events in events.chunks(100) {
        posthaste.api.ok(Method::POST, "/events", json!({ "events": events })).await;
    }
}

/// Asserts that no window of a second has more requests than the limit and the burst: the slots of
/// half a second, at least one.
pub(crate) fn keeps(arrived: &[Arrived], requests: usize) {
    let most = requests + 1 + (requests / 2).max(1);
    for window in arrived.windows(most + 1) {
        let span = window[most].at_us - window[0].at_us;
        assert!(span > 950_000, "{} requests within {span} µs", most + 1);
    }
}

#[tokio::test]
async fn a_backlog_goes_out_at_the_limit() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste
        .register_with("mine", json!({ "rateLimit": { "requests": 10, "per": "second" } }))
        .await;
    publish(&posthaste, 80).await;
    let arrived = posthaste.arrived("mine", 80).await;
    keeps(&arrived, 10);
    // The first second is that of the start, the last that of the end.
    let (early, late) = (&arrived[15], &arrived[75]);
    let rate = 60.0 / ((late.at_us - early.at_us) as f64 / 1e6);
    assert!((9.0..11.0).contains(&rate), "{rate} requests a second");
    posthaste.deliveries(&webhook, "succeeded", 80).await;
}

#[tokio::test]
async fn a_changed_limit_acts_on_what_waits() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste
        .register_with("mine", json!({ "rateLimit": { "requests": 12, "per": "minute" } }))
        .await;
    publish(&posthaste, 8).await;
    posthaste.arrived("mine", 1).await;
    let path = format!("/webhooks/{}", webhook["id"]);
    posthaste
        .api
        .ok(Method::PATCH, &path, json!({ "rateLimit": { "requests": 100, "per": "second" } }))
        .await;
    // The turn is told of the change: it does not sleep until its next slot.
    posthaste.deliveries(&webhook, "succeeded", 8).await;
}

#[tokio::test]
async fn a_burst_of_slow_processing_does_not_become_a_burst_of_requests() {
    let posthaste = Posthaste::start().await;
    posthaste
        .register_with("mine", json!({ "rateLimit": { "requests": 5, "per": "second" } }))
        .await;
    let aimed = posthaste.system.faults().aim(
        posthaste_tests::Aim::at(
            "deliver",
            "dynamodb:BatchGetItem",
            // Less than the SDK waits for an answer.
            posthaste_tests::Action::Delay(std::time::Duration::from_millis(2500)),
        )
        .skip(3)
        .times(20),
    );
    publish(&posthaste, 40).await;
    let arrived = posthaste.arrived_within("mine", 40, std::time::Duration::from_secs(60)).await;
    keeps(&arrived, 5);
    assert!(aimed.hits() > 0);
}

#[tokio::test]
async fn a_list_needs_few_slots_for_many_events() {
    let posthaste = Posthaste::start().await;
    let limit = json!({ "requests": 1, "per": "second" });
    let webhook =
        posthaste.register_with("mine", json!({ "profile": "spektr", "rateLimit": limit })).await;
    publish(&posthaste, 60).await;
    // One request each would take 60 s, twice as long as this waits.
    posthaste.deliveries(&webhook, "succeeded", 60).await;
    let requests = posthaste.system.inbox().arrived("mine").len();
    assert!(requests < 30, "{requests} requests");
}
