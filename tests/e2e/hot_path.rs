//! The hot path costs as few AWS calls as the counters say here.

use posthaste_domain::{Timestamp, id::EventId};
use posthaste_tests::{Posthaste, RECORD};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn ten_events_of_one_workspace_and_one_webhook_cost_one_call_where_a_batch_call_exists() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register("mine", &["*"]).await;
    // The first event starts the processes, so that the ten that follow find them waiting.
    posthaste.api.publish("order.created", json!({})).await;
    posthaste.deliveries(&webhook, "succeeded", 1).await;
    posthaste.drained("EventsQueueUrl").await;
    posthaste.drained("DeliveriesQueueUrl").await;
    let before = posthaste.system.metrics();

    let events: Vec<Value> =
        (0..10).map(|n| json!({ "type": "order.created", "data": { "n": n } })).collect();
    posthaste.api.ok(Method::POST, "/events", json!({ "events": events })).await;
    posthaste.arrived("mine", 11).await;
    posthaste.deliveries(&webhook, "succeeded", 11).await;
    posthaste.drained("DeliveriesQueueUrl").await;

    let after = posthaste.system.metrics();
    let calls = |function: &str| -> Vec<(String, u64)> {
        let operations = after.calls[function].iter().map(|(operation, calls)| {
            (operation.clone(), calls.count - before.count(function, operation))
        });
        operations.filter(|(_, count)| *count > 0).collect()
    };
    let expected = |calls: &[(&str, u64)]| -> Vec<(String, u64)> {
        calls.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    };
    // A key that was read within the last 5 s is not read again.
    let (reads, sends): (Vec<_>, Vec<_>) =
        calls("ingest").into_iter().partition(|(name, _)| name == "dynamodb:GetItem");
    assert!(reads.iter().map(|(_, count)| count).sum::<u64>() <= 1, "{reads:?}");
    assert_eq!(sends, expected(&[("sqs:SendMessageBatch", 1)]));
    assert_eq!(
        calls("fanout"),
        expected(&[
            ("dynamodb:BatchGetItem", 1),
            ("dynamodb:BatchWriteItem", 1),
            ("sqs:SendMessageBatch", 1)
        ])
    );
    // The first answer is recorded alone, and the others while that call is under way.
    let (records, reads): (Vec<_>, Vec<_>) =
        calls("deliver").into_iter().partition(|(name, _)| name == RECORD);
    assert_eq!(reads, expected(&[("dynamodb:BatchGetItem", 1)]));
    assert!(matches!(records[..], [(_, 1..=8)]), "{records:?}");
    let errors: u64 = after
        .calls
        .values()
        .flat_map(|operations| operations.values())
        .map(|calls| calls.errors)
        .sum();
    assert_eq!(
        errors, 0,
        "every call was permitted by its function's role and succeeded: {:?}",
        after.calls
    );

    let figures = reqwest::get(format!("{}/metrics", posthaste.system.urls().admin)).await.unwrap();
    let figures: Value = serde_json::from_str(&figures.text().await.unwrap()).unwrap();
    let bill = &figures["bill"];
    assert_eq!(bill["events"], 11, "{bill}");
    // At least one write unit for the event, and one for its delivery.
    assert!(bill["forAMillionEvents"]["dollars"].as_f64().unwrap() > 1.25, "{bill}");
}

#[tokio::test]
async fn the_ten_requests_of_a_batch_go_side_by_side_once_the_endpoint_is_known_to_be_quick() {
    use posthaste_tests::{Answer, Settings};
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register("mine", &["*"]).await;
    posthaste.api.publish("order.created", json!({})).await;
    posthaste.deliveries(&webhook, "succeeded", 1).await;
    let answer = Answer { delay_ms: 600, ..Answer::status(200, 10) };
    posthaste
        .system
        .inbox()
        .set("mine", Settings { responses: [answer].into(), ..Settings::default() });
    let events: Vec<Value> =
        (0..10).map(|n| json!({ "type": "order.created", "data": { "n": n } })).collect();
    posthaste.api.ok(Method::POST, "/events", json!({ "events": events })).await;
    let arrived = posthaste.arrived("mine", 11).await;
    let spread = arrived[1..].iter().map(|request| request.at_ms).max().unwrap() - arrived[1].at_ms;
    assert!(
        spread < 600,
        "the last began {spread} ms after the first, so it did not wait for an answer"
    );
    posthaste.deliveries(&webhook, "succeeded", 11).await;
}

/// An event with an id was checked before it was sent, and one without an id was not.
#[tokio::test]
async fn events_that_are_checked_and_those_that_need_no_check_share_a_read_of_the_index() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register("mine", &["*"]).await;
    posthaste.api.publish("order.created", json!({})).await;
    posthaste.deliveries(&webhook, "succeeded", 1).await;
    posthaste.drained("EventsQueueUrl").await;
    posthaste.drained("DeliveriesQueueUrl").await;
    let calls = || {
        ["dynamodb:BatchGetItem", "dynamodb:BatchWriteItem"]
            .map(|operation| posthaste.calls("fanout", operation))
    };
    let before = calls();

    let unchecked = json!({ "workspace": "default", "type": "order.created", "data": {} });
    let mut checked = unchecked.clone();
    checked["id"] = json!(EventId::new(Timestamp::now(), &[7; 10]));
    checked["timestamp"] = json!("2023-07-18T15:32:13Z");
    posthaste.send("EventsQueueUrl", &[checked, unchecked].map(|event| event.to_string())).await;
    posthaste.deliveries(&webhook, "succeeded", 3).await;
    let [reads, writes] = [0, 1].map(|at| calls()[at] - before[at]);
    assert_eq!((reads, writes), (1, 2), "the type is a built-in one, which takes no read");
}
