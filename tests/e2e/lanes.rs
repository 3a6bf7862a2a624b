//! Deliveries that can't go wait for their webhook's turn, and nobody else waits with them.

use std::collections::BTreeSet;

use posthaste_tests::{Action, Aim, Answer, Arrived, Posthaste, Settings, eventually};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{rate_limits::keeps, replay_job};

/// Publishes events, up to a hundred with a call.
pub(crate) async fn publish(posthaste: &Posthaste, count: usize) {
    let events: Vec<Value> =
        (0..count).map(|n| json!({ "type": "order.created", "data": { "n": n } })).collect();
    for events in events.chunks(100) {
        posthaste.api.ok(Method::POST, "/events", json!({ "events": events })).await;
    }
}

pub(crate) fn path(webhook: &Value) -> String {
    format!("/webhooks/{}", webhook["id"])
}

/// Counts the deliveries of a webhook that have this status.
async fn count(posthaste: &Posthaste, webhook: &Value, status: &str) -> usize {
    let mut page = format!("{}/deliveries?status={status}&limit=100", path(webhook));
    let mut count = 0;
    loop {
        let answer = posthaste.api.ok(Method::GET, &page, Value::Null).await;
        count += answer["items"].as_array().unwrap().len();
        let Some(next) = answer["next"].as_str() else { return count };
        page = format!("{}/deliveries?status={status}&limit=100&cursor={next}", path(webhook));
    }
}

/// Waits until this many deliveries have this status, even if they are more than a page shows.
async fn counted(posthaste: &Posthaste, webhook: &Value, status: &str, wanted: usize) {
    eventually(&format!("{wanted} deliveries are {status}"), async || {
        (count(posthaste, webhook, status).await == wanted).then_some(())
    })
    .await;
}

/// Lists the events of up to a hundred successes, in the order in which their requests began.
async fn in_the_order_of_their_requests(posthaste: &Posthaste, webhook: &Value) -> Vec<String> {
    let mut deliveries = posthaste.deliveries(webhook, "succeeded", 1).await;
    // Those of one millisecond began together: their slots had come while the function did not run.
    let began = |delivery: &Value| {
        delivery["attempts"][0]["at"].as_str().unwrap().trim_end_matches('Z').to_owned()
    };
    deliveries.sort_by_key(|delivery| (began(delivery), delivery["eventId"].to_string()));
    deliveries.iter().map(|delivery| delivery["eventId"].as_str().unwrap().to_owned()).collect()
}

fn event_ids(arrived: &[Arrived]) -> Vec<String> {
    arrived.iter().map(|request| request.headers["webhook-id"].clone()).collect()
}

#[tokio::test]
async fn a_slow_endpoint_is_sidelined_while_its_first_requests_are_under_way() {
    const DELAY: u64 = 2000;
    let posthaste = Posthaste::start().await;
    let slow = posthaste.register_with("slow", json!({ "timeoutSeconds": 5 })).await;
    let answer = Answer { delay_ms: DELAY, ..Answer::status(200, 1) };
    posthaste.system.inbox().set("slow", Settings { default: Some(answer), ..Settings::default() });
    let acme = posthaste.api.workspace("acme").await;
    let of_acme = json!({ "url": posthaste.inbox_url("quick"), "events": ["*"] });
    acme.ok(Method::POST, "/webhooks", of_acme).await;

    publish(&posthaste, 25).await;
    let first = posthaste.arrived("slow", 1).await.remove(0);
    let lane =
        posthaste.lane_when(&slow, "it is sidelined", |lane| lane["phase"].is_string()).await;
    let opened = lane["openedAt"].as_u64().unwrap();
    assert!(
        opened < first.at_ms + DELAY,
        "sidelined {} ms after the first request began",
        opened - first.at_ms
    );
    for n in 0..25 {
        acme.publish("order.created", json!({ "n": n })).await;
    }
    let quick = posthaste.arrived("quick", 25).await;
    posthaste.arrived("slow", 25).await;
    counted(&posthaste, &slow, "succeeded", 25).await;
    let arrived = posthaste.system.inbox().arrived("slow");
    assert_eq!(arrived.len(), 25, "each is sent once, and none of them times out");
    assert!(quick[24].at_ms < arrived[24].at_ms, "nobody waits for a neighbour");

    // One more request after each answer: no more are under way than answers have come, and one,
    // beside those of the fast way.
    let in_turn: Vec<&Arrived> = arrived.iter().filter(|request| request.at_ms > opened).collect();
    let fast = arrived.len() - in_turn.len();
    for request in &in_turn {
        let answered = arrived.iter().filter(|other| other.at_ms + DELAY <= request.at_ms).count();
        let begun = in_turn.iter().filter(|other| other.at_ms <= request.at_ms).count();
        let under_way =
            begun - in_turn.iter().filter(|other| other.at_ms + DELAY <= request.at_ms).count();
        assert!(
            under_way <= answered + 1,
            "{under_way} under way after {answered} answers and {fast} on the fast way"
        );
    }
    let lane =
        posthaste.lane_when(&slow, "its turn is forgotten", |lane| lane["token"].is_null()).await;
    assert_eq!(
        (&lane["phase"], &lane["reason"], &lane["dueAt"]),
        (&json!("idle"), &json!("slow"), &Value::Null)
    );
}

#[tokio::test]
async fn an_endpoint_that_is_quick_again_gets_what_waits_poured_and_what_comes_at_once() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register("mine", &["*"]).await;
    posthaste.hold(&webhook, "slow").await;
    publish(&posthaste, 60).await;
    posthaste.backlog_of(&webhook, 60).await;
    // It was sidelined long enough ago: twenty quick answers prove that it is well.
    posthaste.set_lane(&webhook, json!({ "openedAt": 1000 })).await;
    let pouring = posthaste
        .system
        .faults()
        .aim(Aim::at("drain", "sqs:SendMessageBatch", Action::Pause).times(1000));
    posthaste.wake(&webhook).await;
    tokio::time::timeout(posthaste_tests::SOON, pouring.hit()).await.expect("it pours");
    assert_eq!(posthaste.lane(&webhook).await["phase"], "pouring");
    let new = posthaste.api.publish("order.created", json!({ "n": "new" })).await;
    eventually("what comes goes the fast way", async || {
        event_ids(&posthaste.system.inbox().arrived("mine")).contains(&new).then_some(())
    })
    .await;
    assert!(!posthaste.backlog(&webhook).await.is_empty(), "before what has waited longer");
    pouring.release();
    counted(&posthaste, &webhook, "succeeded", 61).await;
    let lane =
        posthaste.lane_when(&webhook, "its lane is closed", |lane| lane["token"].is_null()).await;
    assert_eq!((&lane["phase"], &lane["dueAt"]), (&Value::Null, &Value::Null));
    posthaste.idle().await;

    let turns = posthaste.system.metrics().functions["drain"].invocations;
    publish(&posthaste, 20).await;
    posthaste.arrived("mine", 81).await;
    counted(&posthaste, &webhook, "succeeded", 81).await;
    assert_eq!(
        posthaste.system.metrics().functions["drain"].invocations,
        turns,
        "no turn has to do with it"
    );
    let arrived = event_ids(&posthaste.system.inbox().arrived("mine"));
    assert_eq!((arrived.len(), arrived.iter().collect::<BTreeSet<_>>().len()), (81, 81));
}

/// Makes a webhook with a backlog that was sidelined long ago and has been quick since.
async fn well_again(posthaste: &Posthaste, settings: Value, backlog: usize) -> Value {
    let webhook = posthaste.register_with("mine", settings).await;
    posthaste.hold(&webhook, "slow").await;
    publish(posthaste, backlog).await;
    posthaste.backlog_of(&webhook, backlog).await;
    posthaste.set_lane(&webhook, json!({ "openedAt": 1000, "quick": 20 })).await;
    webhook
}

#[tokio::test]
async fn the_backlog_of_a_list_is_poured_too() {
    let posthaste = Posthaste::start().await;
    let webhook = well_again(&posthaste, json!({ "profile": "spektr" }), 40).await;
    posthaste.wake(&webhook).await;
    posthaste.deliveries(&webhook, "succeeded", 40).await;
    posthaste.lane_when(&webhook, "its lane is closed", |lane| lane["token"].is_null()).await;
    assert_eq!(posthaste.backlog(&webhook).await.len(), 0);
}

#[tokio::test]
async fn a_limit_that_is_set_while_a_backlog_is_poured_is_kept_from_then_on() {
    let posthaste = Posthaste::start().await;
    let webhook = well_again(&posthaste, json!({}), 60).await;
    let pouring = posthaste
        .system
        .faults()
        .aim(Aim::at("drain", "sqs:SendMessageBatch", Action::Pause).times(1000));
    posthaste.wake(&webhook).await;
    tokio::time::timeout(posthaste_tests::SOON, pouring.hit()).await.expect("it pours");
    let limit = json!({ "rateLimit": { "requests": 20, "per": "second" } });
    posthaste.api.ok(Method::PATCH, &path(&webhook), limit).await;
    let began = posthaste.system.inbox().arrived("mine").len();
    pouring.release();
    posthaste.deliveries(&webhook, "succeeded", 60).await;
    keeps(&posthaste.system.inbox().arrived("mine")[began..], 20);
    posthaste.lane_when(&webhook, "its lane is closed", |lane| lane["token"].is_null()).await;
    assert_eq!(posthaste.backlog(&webhook).await.len(), 0);
}

#[tokio::test]
async fn the_backlog_of_a_limited_webhook_leaves_in_the_order_of_events_and_in_its_slots() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste
        .register_with("mine", json!({ "rateLimit": { "requests": 10, "per": "second" } }))
        .await;
    posthaste.hold(&webhook, "limited").await;
    for _ in 0..3 {
        publish(&posthaste, 10).await;
    }
    posthaste.backlog_of(&webhook, 30).await;
    posthaste.wake(&webhook).await;
    keeps(&posthaste.arrived("mine", 30).await, 10);
    posthaste.deliveries(&webhook, "succeeded", 30).await;
    let sent = in_the_order_of_their_requests(&posthaste, &webhook).await;
    assert!(sent.is_sorted(), "{sent:?}");
    posthaste.lane_when(&webhook, "its lane is closed", |lane| lane["phase"].is_null()).await;
}

#[tokio::test]
async fn the_backlog_of_a_list_with_a_limit_leaves_in_full_requests() {
    let posthaste = Posthaste::start().await;
    let limit = json!({ "requests": 1, "per": "second" });
    let webhook =
        posthaste.register_with("mine", json!({ "profile": "spektr", "rateLimit": limit })).await;
    publish(&posthaste, 300).await;
    let size = |request: &Arrived| {
        serde_json::from_str::<Value>(&request.body).unwrap()["results"].as_array().unwrap().len()
    };
    let is_all = |arrived: &[Arrived]| arrived.iter().map(size).sum::<usize>() >= 300;
    let arrived = posthaste
        .system
        .inbox()
        .wait("mine", is_all, posthaste_tests::SOON)
        .await
        .expect("all arrives");
    counted(&posthaste, &webhook, "succeeded", 300).await;
    let sizes: Vec<usize> = arrived.iter().map(size).collect();
    assert_eq!(sizes.iter().sum::<usize>(), 300, "{sizes:?}");
    // Three full ones, and before them what came while the first slots were free.
    assert!(sizes.len() <= 8, "{sizes:?}");
    keeps(&arrived, 1);
}

#[tokio::test]
async fn one_webhook_under_its_rate_limit_does_not_hold_up_another_of_the_same_workspace() {
    let posthaste = Posthaste::start().await;
    let limited = posthaste
        .register_with("limited", json!({ "rateLimit": { "requests": 1, "per": "minute" } }))
        .await;
    let free = posthaste.register("free", &["*"]).await;
    publish(&posthaste, 60).await;
    posthaste.deliveries(&free, "succeeded", 60).await;
    // What waits is no message, so nothing of it is under way.
    posthaste.drained("DeliveriesQueueUrl").await;
    assert_eq!(posthaste.backlog_of(&limited, 59).await.len(), 59);
    assert_eq!(posthaste.system.inbox().arrived("limited").len(), 1);
    let before = posthaste.calls_of("deliver");
    posthaste.api.publish("order.created", json!({})).await;
    posthaste.deliveries(&free, "succeeded", 61).await;
    posthaste.backlog_of(&limited, 60).await;
    let calls = posthaste.calls_of("deliver") - before;
    assert!(calls <= 12, "{calls} calls for two deliveries");
}

#[tokio::test]
async fn a_wait_of_ten_seconds_is_not_in_flight() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste
        .register_with("mine", json!({ "profile": "spektr", "retrySchedule": [10, 10] }))
        .await;
    posthaste.system.inbox().set(
        "mine",
        Settings { responses: [Answer::status(500, 1)].into(), ..Settings::default() },
    );
    posthaste.api.publish("order.created", json!({})).await;
    posthaste.arrived("mine", 1).await;
    let queue = posthaste.queue("DeliveriesQueueUrl");
    eventually("it waits as a delayed message", async || {
        let depth = posthaste.system.metrics().queues[&queue];
        (depth.in_flight == 0 && depth.visible == 0 && depth.delayed == 1).then_some(())
    })
    .await;
    posthaste.fast_forward_retries().await;
    posthaste.deliveries(&webhook, "succeeded", 1).await;
}

#[tokio::test]
async fn replayed_deliveries_go_behind_live_ones() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register("mine", &["*"]).await;
    publish(&posthaste, 20).await;
    let old: BTreeSet<String> =
        event_ids(&posthaste.arrived("mine", 20).await).into_iter().collect();
    posthaste.deliveries(&webhook, "succeeded", 20).await;
    let path = path(&webhook);
    posthaste
        .api
        .ok(Method::PATCH, &path, json!({ "rateLimit": { "requests": 20, "per": "second" } }))
        .await;
    posthaste.hold(&webhook, "limited").await;
    let asked = json!({ "since": replay_job::LONG_AGO, "status": "all" });
    posthaste.api.ok(Method::POST, &format!("{path}/replay"), asked).await;
    posthaste.backlog_of(&webhook, 20).await;
    publish(&posthaste, 40).await;
    posthaste.backlog_of(&webhook, 60).await;
    posthaste.wake(&webhook).await;
    posthaste.arrived("mine", 80).await;
    posthaste.deliveries(&webhook, "succeeded", 80).await;
    let sent = in_the_order_of_their_requests(&posthaste, &webhook).await.split_off(20);
    assert!(
        sent[..40].iter().all(|id| !old.contains(id))
            && sent[40..].iter().all(|id| old.contains(id)),
        "{sent:?}"
    );
}

#[tokio::test]
async fn a_message_of_a_newer_version_waits_and_an_unreadable_one_is_a_dead_letter() {
    let posthaste = Posthaste::start().await;
    for (queue, letters, reason) in [
        ("DeliveriesQueueUrl", "DeliveriesDeadLetterQueueUrl", "unreadable_task"),
        ("TurnsQueueUrl", "TurnsDeadLetterQueueUrl", "unreadable_turn"),
    ] {
        posthaste
            .send(queue, &[r#"{"v":2,"anything":true}"#.to_owned(), r#"{"v":1}"#.to_owned()])
            .await;
        let letter = posthaste.receive(letters).await;
        assert_eq!(letter.body, r#"{"v":1}"#);
        assert_eq!(
            format!("{:?}", letter.message_attributes["reason"].value),
            format!("Text({reason:?})")
        );
        let name = posthaste.queue(queue);
        eventually("the newer one waits", async || {
            let depth = posthaste.system.metrics().queues[&name];
            (depth.visible == 0 && depth.in_flight == 1).then_some(())
        })
        .await;
        // It comes again and again, and is no dead letter.
        let invocations = posthaste
            .system
            .metrics()
            .functions
            .values()
            .map(|stats| stats.invocations)
            .sum::<u64>();
        posthaste.system.sqs().expire_in_flight(&name);
        eventually("it was looked at again", async || {
            let now = posthaste.system.metrics();
            let depth = now.queues[&name];
            let again =
                now.functions.values().map(|stats| stats.invocations).sum::<u64>() > invocations;
            (again && depth.visible == 0 && depth.in_flight == 1).then_some(())
        })
        .await;
        assert_eq!(posthaste.system.metrics().queues[&posthaste.queue(letters)].visible, 0);
    }
}
