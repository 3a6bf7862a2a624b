//! Recording can be throttled. An attempt that was made is recorded later then, and not made again.

use std::collections::BTreeSet;

use posthaste_local::binaries;
use posthaste_tests::{Action, Aim, Aimed, Answer, Posthaste, RECORD, Settings, eventually};
use reqwest::Method;
use serde_json::{Value, json};

/// A function makes fewer calls than these until it hands on what it can't record.
const THROTTLED: u32 = 100_000;

/// Waits until the message that carries what came of an attempt is on the deliveries queue.
async fn handed_on(posthaste: &Posthaste) {
    let name = posthaste.queue("DeliveriesQueueUrl");
    eventually("the attempt is handed on", async || {
        let depth = posthaste.system.metrics().queues[&name];
        (depth.delayed == 1 && depth.visible + depth.in_flight == 0).then_some(())
    })
    .await;
}

/// Throttles the writes of `deliver` into records, but lets this many pass at first.
fn throttle(posthaste: &Posthaste, skip: u32) -> Aimed {
    let aim = Aim::at("deliver", "dynamodb:UpdateItem", Action::Fail)
        .or(RECORD)
        .skip(skip)
        .times(THROTTLED);
    posthaste.system.faults().aim(aim)
}

#[tokio::test]
async fn a_success_that_could_not_be_recorded_is_recorded_later_and_not_sent_again() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register("mine", &["*"]).await;
    let throttled = throttle(&posthaste, 0);
    posthaste.api.publish("order.created", json!({})).await;
    posthaste.arrived("mine", 1).await;
    handed_on(&posthaste).await;
    throttled.end();
    let delivery = posthaste.deliveries(&webhook, "succeeded", 1).await.remove(0);
    posthaste.drained("DeliveriesQueueUrl").await;
    assert_eq!(
        (delivery["attempts"].as_array().unwrap().len(), &delivery["attemptCount"]),
        (1, &json!(1))
    );
    assert_eq!(posthaste.system.inbox().arrived("mine").len(), 1);
}

#[tokio::test]
async fn throttling_that_outlives_the_message_of_an_attempt_makes_no_further_request() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register("mine", &["*"]).await;
    let throttled = throttle(&posthaste, 0);
    posthaste.api.publish("order.created", json!({})).await;
    handed_on(&posthaste).await;
    let hits = throttled.hits();
    eventually("the message has come again and again", async || {
        posthaste.hurry();
        (throttled.hits() > hits + 20).then_some(())
    })
    .await;
    throttled.end();
    eventually("it is recorded", async || {
        posthaste.hurry();
        let path = format!("/webhooks/{}/deliveries?status=succeeded", webhook["id"]);
        posthaste.api.ok(Method::GET, &path, Value::Null).await["items"].get(0).cloned()
    })
    .await;
    assert_eq!(posthaste.system.inbox().arrived("mine").len(), 1);
}

#[tokio::test]
async fn a_failure_that_could_not_be_recorded_is_retried_when_it_is() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register_failing("mine", &["*"], 500, 1).await;
    let throttled = throttle(&posthaste, 0);
    posthaste.api.publish("order.created", json!({})).await;
    handed_on(&posthaste).await;
    assert_eq!(
        posthaste.system.inbox().arrived("mine").len(),
        1,
        "there is no retry before the record"
    );
    throttled.end();
    let delivery = posthaste.deliveries(&webhook, "succeeded", 1).await.remove(0);
    let statuses: Vec<_> = delivery["attempts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|attempt| attempt["httpStatus"].clone())
        .collect();
    assert_eq!(statuses, [500, 200]);
    posthaste.drained("DeliveriesQueueUrl").await;
    assert_eq!(posthaste.system.inbox().arrived("mine").len(), 2);
}

#[tokio::test]
async fn a_request_of_which_a_part_could_not_be_recorded_is_tried_again_as_it_was() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register_with("mine", json!({ "profile": "spektr" })).await;
    let responses = [Answer::status(500, 1)].into();
    posthaste.system.inbox().set("mine", Settings { responses, ..Settings::default() });
    // A few records are written, and the others are not.
    let throttled = throttle(&posthaste, 5);
    let events: Vec<Value> =
        (0..20).map(|n| json!({ "type": "order.created", "data": { "n": n } })).collect();
    posthaste.api.ok(Method::POST, "/events", json!({ "events": events })).await;
    let failed = posthaste.arrived("mine", 1).await.remove(0);
    eventually("an attempt is handed on", async || {
        let name = posthaste.queue("DeliveriesQueueUrl");
        (posthaste.system.metrics().queues[&name].delayed > 0).then_some(())
    })
    .await;
    throttled.end();
    posthaste.deliveries(&webhook, "succeeded", 20).await;
    posthaste.drained("DeliveriesQueueUrl").await;
    let mut again = posthaste.system.inbox().arrived("mine");
    again.retain(|request| request.headers["webhook-id"] == failed.headers["webhook-id"]);
    assert_eq!(again.len(), 2, "it was tried again once");
    assert_eq!(again[1].body, failed.body, "with the same body");
}

/// A turn hands on what it can't record as the fast way does.
#[tokio::test]
async fn a_turn_that_can_not_record_makes_no_request_twice() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register_with("mine", json!({ "timeoutSeconds": 20 })).await;
    posthaste.hold(&webhook, "slow").await;
    for n in 0..3 {
        posthaste.api.publish("order.created", json!({ "n": n })).await;
    }
    posthaste.backlog_of(&webhook, 3).await;
    let responses = [Answer { delay_ms: 5000, ..Answer::status(200, 1) }].into();
    posthaste.system.inbox().set("mine", Settings { responses, ..Settings::default() });
    posthaste.wake(&webhook).await;
    posthaste.arrived("mine", 1).await;
    let aim = Aim::at("drain", "dynamodb:UpdateItem", Action::Fail).or(RECORD).times(THROTTLED);
    let throttled = posthaste.system.faults().aim(aim);
    // deliver records what drain could not.
    posthaste.deliveries(&webhook, "succeeded", 1).await;
    throttled.end();
    posthaste.deliveries(&webhook, "succeeded", 3).await;
    let arrived = posthaste.system.inbox().arrived("mine");
    let ids: BTreeSet<_> =
        arrived.iter().map(|request| request.headers["webhook-id"].clone()).collect();
    assert_eq!((arrived.len(), ids.len()), (3, 3));
}

/// A turn makes one request of all that waits. Its records get no answer at all.
#[tokio::test]
async fn a_large_request_whose_records_get_no_answer_is_handed_on_in_time() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register_with("mine", json!({ "profile": "spektr" })).await;
    posthaste.hold(&webhook, "slow").await;
    let events: Vec<Value> =
        (0..100).map(|n| json!({ "type": "order.created", "data": { "n": n } })).collect();
    posthaste.api.ok(Method::POST, "/events", json!({ "events": events })).await;
    posthaste.backlog_of(&webhook, 100).await;
    let aim = Aim::at("drain", "dynamodb:UpdateItem", Action::Pause)
        .or(RECORD)
        .containing("lastAttempt")
        .times(THROTTLED);
    let paused = posthaste.system.faults().aim(aim);
    posthaste.wake(&webhook).await;
    let arrived = posthaste.arrived("mine", 1).await.remove(0);
    let body: Value = serde_json::from_str(&arrived.body).unwrap();
    assert_eq!(body["results"].as_array().map(Vec::len), Some(100), "one request has them all");
    handed_on(&posthaste).await;
    paused.end();
    paused.release();
    assert!(
        paused.hits() < 100,
        "{} calls: when the time for recording is over none begins",
        paused.hits()
    );
    eventually("deliver records what drain could not", async || {
        posthaste.hurry();
        let path = format!("/webhooks/{}/deliveries?status=succeeded&limit=100", webhook["id"]);
        let page = posthaste.api.ok(Method::GET, &path, Value::Null).await;
        (page["items"].as_array().map(Vec::len) == Some(100)).then_some(())
    })
    .await;
    assert_eq!(posthaste.system.inbox().arrived("mine").len(), 1);
}

#[tokio::test]
async fn a_later_failure_that_is_recorded_afterwards_is_parked_once_and_at_its_time() {
    let posthaste = Posthaste::start().await;
    posthaste
        .register_with("mine", json!({ "profile": "spektr", "retrySchedule": [1, 600] }))
        .await;
    let responses = [Answer::status(500, 1000)].into();
    posthaste.system.inbox().set("mine", Settings { responses, ..Settings::default() });
    // What refuses the record of each second attempt.
    let second = r#"":attemptCount":{"N":"2"}"#;
    let aim =
        Aim::at("deliver", "dynamodb:UpdateItem", Action::Fail).containing(second).times(THROTTLED);
    let throttled = posthaste.system.faults().aim(aim);
    let events: Vec<Value> =
        (0..20).map(|n| json!({ "type": "order.created", "data": { "n": n } })).collect();
    posthaste.api.ok(Method::POST, "/events", json!({ "events": events })).await;
    eventually("second attempts are handed on", async || {
        let depth = posthaste.system.metrics().queues[&posthaste.queue("DeliveriesQueueUrl")];
        (throttled.hits() > 0 && depth.delayed > 0 && depth.visible + depth.in_flight == 0)
            .then_some(())
    })
    .await;
    throttled.end();
    let requests = posthaste.system.inbox().arrived("mine");
    let ids: BTreeSet<_> =
        requests.iter().map(|request| request.headers["webhook-id"].clone()).collect();
    assert!(ids.len() < 20, "requests have several deliveries");
    posthaste.drained("DeliveriesQueueUrl").await;
    assert_eq!(posthaste.due_items().await.len(), ids.len(), "each request is parked as one");
    assert_eq!(posthaste.system.inbox().arrived("mine").len(), 2 * ids.len());
}

#[tokio::test]
async fn a_strike_that_can_not_be_counted_leaves_time_to_record_the_attempt() {
    // 3 s of these are no time for work.
    let template = binaries::template().unwrap();
    assert_eq!(template.matches("      Timeout: 45").count(), 1, "only deliver has this");
    let posthaste =
        Posthaste::with_template(template.replace("      Timeout: 45", "      Timeout: 11")).await;
    let webhook = posthaste.register_with("mine", json!({ "timeoutSeconds": 2 })).await;
    let responses = [Answer { delay_ms: 1500, ..Answer::status(200, 1) }].into();
    posthaste.system.inbox().set("mine", Settings { responses, ..Settings::default() });
    let aim = Aim::at("deliver", "dynamodb:UpdateItem", Action::Pause)
        .containing("#lane#")
        .times(THROTTLED);
    let paused = posthaste.system.faults().aim(aim);
    posthaste.api.publish("order.created", json!({})).await;
    paused.hit().await;
    posthaste.deliveries(&webhook, "succeeded", 1).await;
    paused.end();
    paused.release();
    posthaste.drained("DeliveriesQueueUrl").await;
    assert_eq!(posthaste.system.inbox().arrived("mine").len(), 1);
}
