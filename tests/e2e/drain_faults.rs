//! Turns die at any of their calls, calls fail, answers and messages get lost. What waits is not
//! lost all the same, and no delivery is sent more than twice.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use posthaste_tests::{Action, Aim, Aimed, Answer, Posthaste, SOON, Settings, eventually};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{lanes::publish, rate_limits::keeps};

const INBOX: &str = "mine";
const BATCH_GET: &str = "dynamodb:BatchGetItem";
const BATCH_WRITE: &str = "dynamodb:BatchWriteItem";
const GET: &str = "dynamodb:GetItem";
const QUERY: &str = "dynamodb:Query";
const UPDATE: &str = "dynamodb:UpdateItem";
const SEND: &str = "sqs:SendMessageBatch";
/// The SDK makes this many tries of a call, so the function itself has to cope with the failure.
const THROTTLED: u32 = 5;

/// A backlog has a reason, which decides about the steps of its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Backlog {
    /// One delivery waits behind a rate limit. Its turn updates items in this order: the lane is
    /// claimed, a slot is reserved, the attempt is recorded, the webhook's success is noted, the
    /// lane is closed, and its turn forgotten.
    Limited,
    /// Many deliveries wait behind a rate limit.
    Many,
    /// Two deliveries wait behind so low a limit that the turn ends for a while after the first
    /// one, with its sixth update.
    Sleeping,
    /// The first attempt of the only delivery fails.
    Failing,
    /// Some deliveries are handed back to the deliveries queue.
    Poured,
}

impl Backlog {
    fn size(self) -> usize {
        match self {
            Self::Limited | Self::Failing => 1,
            Self::Sleeping => 2,
            Self::Poured => 5,
            Self::Many => 30,
        }
    }

    async fn build(self, posthaste: &Posthaste) -> Value {
        let limit =
            |requests: u32, per: &str| json!({ "rateLimit": { "requests": requests, "per": per } });
        let settings = match self {
            Self::Limited | Self::Many => limit(50, "second"),
            // Four seconds: a turn sits two of them out.
            Self::Sleeping => limit(15, "minute"),
            Self::Failing => json!({ "retrySchedule": [1, 1, 1] }),
            Self::Poured => json!({}),
        };
        let responses =
            if self == Self::Failing { vec![Answer::status(500, 1)] } else { Vec::new() };
        posthaste
            .system
            .inbox()
            .set(INBOX, Settings { responses: responses.into(), ..Settings::default() });
        let webhook = posthaste.register_with(INBOX, settings).await;
        posthaste.hold(&webhook, if self == Self::Failing { "slow" } else { "limited" }).await;
        publish(posthaste, self.size()).await;
        posthaste.backlog_of(&webhook, self.size()).await;
        posthaste.drained("DeliveriesQueueUrl").await;
        webhook
    }
}

fn crashes(posthaste: &Posthaste, function: &str) -> u64 {
    posthaste.system.metrics().functions[function].crashes
}

/// Lets a webhook's turn meet a fault, and sees to it that its backlog is worked off all the same.
async fn worked_off_despite(
    posthaste: &Posthaste,
    backlog: Backlog,
    what: &str,
    action: Action,
    aim: Aim,
) {
    let what = format!("{backlog:?}, {what}, {action:?}");
    let webhook = backlog.build(posthaste).await;
    let came_before = posthaste.system.inbox().arrived(INBOX).len();
    let crashes_before = crashes(posthaste, "drain");
    let aimed = posthaste.system.faults().aim(aim);
    posthaste.wake(&webhook).await;
    tokio::time::timeout(SOON, aimed.hit())
        .await
        .unwrap_or_else(|_| panic!("{what}: the fault does not hit"));
    if matches!(action, Action::KillBefore | Action::KillAfter) {
        eventually("it is killed", async || {
            (crashes(posthaste, "drain") > crashes_before).then_some(())
        })
        .await;
        posthaste.forget_killed_turn(&webhook).await;
    }
    settled(posthaste, &webhook, backlog.size(), &what).await;
    let arrived = posthaste.system.inbox().arrived(INBOX).split_off(came_before);
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    for request in arrived.iter().filter(|request| request.answered == 200) {
        *times.entry(&request.headers["webhook-id"]).or_default() += 1;
    }
    assert_eq!(times.len(), backlog.size(), "{what}: each has arrived");
    assert!(times.values().all(|times| *times <= 2), "{what}: {times:?}");
    all_hit(&aimed, &action, &what);
    posthaste.api.ok(Method::DELETE, &format!("/webhooks/{}", webhook["id"]), Value::Null).await;
}

fn all_hit(aimed: &Aimed, action: &Action, what: &str) {
    let wanted = if *action == Action::Fail { THROTTLED } else { 1 };
    assert_eq!(aimed.hits(), wanted, "{what}");
}

/// Waits until this many deliveries have succeeded and nothing waits any more. A turn that ended
/// for a while goes on at once, and one that nobody works on is taken over.
async fn settled(posthaste: &Posthaste, webhook: &Value, count: usize, what: &str) {
    const A_WHILE: Duration = Duration::from_millis(500);
    // Its message may be on the way.
    const ABANDONED: Duration = Duration::from_secs(3);
    let path = format!("/webhooks/{}/deliveries?status=succeeded&limit=100", webhook["id"]);
    let mut worked = Instant::now();
    eventually(&format!("{what}: all has arrived and nothing waits"), async || {
        if posthaste.is_working("drain") || posthaste.is_working("deliver") {
            worked = Instant::now();
        }
        let lane = posthaste.lane(webhook).await;
        let patience = if lane["leaseUntil"].is_null() { A_WHILE } else { ABANDONED };
        if lane["token"].is_string() && worked.elapsed() > patience {
            worked = Instant::now();
            posthaste.hurry_turn(webhook).await;
        }
        let succeeded = posthaste.api.ok(Method::GET, &path, Value::Null).await["items"]
            .as_array()
            .unwrap()
            .len();
        (succeeded == count
            && posthaste.backlog(webhook).await.is_empty()
            && lane["token"].is_null())
        .then_some(())
    })
    .await;
}

/// Every call of these turns meets each of these actions in turn.
async fn each_call_meets(calls: &[(Backlog, &str, u32)], actions: &[Action]) {
    let posthaste = Posthaste::start().await;
    for (backlog, operation, skip) in calls {
        for action in actions {
            let times = if *action == Action::Fail { THROTTLED } else { 1 };
            let aim = Aim::at("drain", operation, action.clone()).skip(*skip).times(times);
            let what = format!("{operation} {skip}");
            worked_off_despite(&posthaste, *backlog, &what, action.clone(), aim).await;
        }
    }
}

const KILLS: [Action; 2] = [Action::KillBefore, Action::KillAfter];

#[tokio::test]
async fn a_turn_killed_at_any_of_its_updates_loses_nothing() {
    let updates: Vec<_> = (0..6).map(|skip| (Backlog::Limited, UPDATE, skip)).collect();
    each_call_meets(&updates, &KILLS).await;
}

#[tokio::test]
async fn a_turn_killed_while_it_reads_or_deletes_loses_nothing() {
    // It looks at its webhook, reads a page, looks at the events; in the end it looks at the
    // backlog again.
    let calls = [
        (Backlog::Limited, BATCH_GET, 0),
        (Backlog::Limited, QUERY, 0),
        (Backlog::Limited, QUERY, 2),
        (Backlog::Many, BATCH_GET, 1),
        (Backlog::Many, BATCH_WRITE, 0),
        (Backlog::Many, UPDATE, 12),
    ];
    each_call_meets(&calls, &KILLS).await;
}

#[tokio::test]
async fn a_turn_killed_while_it_sends_on_pours_or_goes_to_sleep_loses_nothing() {
    let calls = [
        (Backlog::Failing, SEND, 0),
        (Backlog::Poured, UPDATE, 1),
        (Backlog::Poured, SEND, 0),
        (Backlog::Poured, BATCH_WRITE, 0),
        (Backlog::Sleeping, UPDATE, 5),
    ];
    each_call_meets(&calls, &KILLS).await;
}

#[tokio::test]
async fn each_update_of_a_turn_whose_answer_gets_lost_is_made_once() {
    let updates: Vec<_> = (0..6).map(|skip| (Backlog::Limited, UPDATE, skip)).collect();
    each_call_meets(&updates, &[Action::Lose]).await;
}

#[tokio::test]
async fn the_other_writes_of_a_turn_whose_answers_get_lost_are_made() {
    let calls = [
        (Backlog::Many, BATCH_WRITE, 0),
        (Backlog::Failing, SEND, 0),
        (Backlog::Poured, UPDATE, 1),
        (Backlog::Poured, SEND, 0),
        (Backlog::Poured, BATCH_WRITE, 0),
        (Backlog::Sleeping, UPDATE, 5),
    ];
    each_call_meets(&calls, &[Action::Lose]).await;
}

#[tokio::test]
async fn each_update_of_a_turn_throttled_loses_nothing() {
    let updates: Vec<_> = (0..6).map(|skip| (Backlog::Limited, UPDATE, skip)).collect();
    each_call_meets(&updates, &[Action::Fail]).await;
}

#[tokio::test]
async fn each_other_call_of_a_turn_throttled_loses_nothing() {
    let calls = [
        (Backlog::Limited, BATCH_GET, 0),
        (Backlog::Limited, BATCH_GET, 1),
        (Backlog::Limited, QUERY, 0),
        (Backlog::Many, BATCH_WRITE, 0),
        (Backlog::Failing, SEND, 0),
        (Backlog::Poured, SEND, 0),
    ];
    each_call_meets(&calls, &[Action::Fail]).await;
}

/// Publishes events for a webhook that is sidelined and has no turn, while a call of the append
/// meets a fault.
async fn appended_despite(posthaste: &Posthaste, operation: &str, action: Action) {
    const EVENTS: usize = 3;
    let what = format!("{operation} {action:?}");
    let webhook = posthaste.register_with(INBOX, json!({})).await;
    let idle = json!({ "phase": "idle", "reason": "slow", "openedAt": posthaste_tests::now_ms() });
    posthaste.set_lane(&webhook, idle).await;
    let came_before = posthaste.system.inbox().arrived(INBOX).len();
    let crashes_before = crashes(posthaste, "deliver");
    let times = if action == Action::Fail { THROTTLED } else { 1 };
    let aimed =
        posthaste.system.faults().aim(Aim::at("deliver", operation, action.clone()).times(times));
    publish(posthaste, EVENTS).await;
    tokio::time::timeout(SOON, aimed.hit())
        .await
        .unwrap_or_else(|_| panic!("{what}: the fault does not hit"));
    if matches!(action, Action::KillBefore | Action::KillAfter) {
        eventually("it is killed", async || {
            (crashes(posthaste, "deliver") > crashes_before).then_some(())
        })
        .await;
        posthaste.system.sqs().expire_in_flight(&posthaste.queue("DeliveriesQueueUrl"));
    }
    // What the table did not take is put off for a minute, and what was put before deliver died
    // waits for the watchdog.
    let queue = posthaste.queue("DeliveriesQueueUrl");
    eventually(&format!("{what}: nothing is on the queue"), async || {
        posthaste.system.sqs().expire_delays(&queue);
        let depth = posthaste.system.metrics().queues[&queue];
        (depth.visible + depth.in_flight + depth.delayed == 0).then_some(())
    })
    .await;
    settled(posthaste, &webhook, EVENTS, &what).await;
    let arrived = posthaste.system.inbox().arrived(INBOX).len() - came_before;
    assert_eq!(arrived, EVENTS, "{what}: each has arrived once");
    all_hit(&aimed, &action, &what);
    posthaste.api.ok(Method::DELETE, &format!("/webhooks/{}", webhook["id"]), Value::Null).await;
}

#[tokio::test]
async fn a_deliver_killed_at_any_call_of_an_append_loses_nothing() {
    let posthaste = Posthaste::start().await;
    for operation in [BATCH_GET, BATCH_WRITE, GET, UPDATE, SEND] {
        for action in KILLS {
            appended_despite(&posthaste, operation, action).await;
        }
    }
}

#[tokio::test]
async fn an_append_whose_calls_are_throttled_or_answers_lost_loses_nothing() {
    let posthaste = Posthaste::start().await;
    for operation in [BATCH_WRITE, UPDATE, SEND] {
        appended_despite(&posthaste, operation, Action::Lose).await;
    }
    for operation in [BATCH_GET, BATCH_WRITE, GET, UPDATE, SEND] {
        appended_despite(&posthaste, operation, Action::Fail).await;
    }
}

#[tokio::test]
async fn a_turn_whose_message_is_lost_gets_another_one() {
    let posthaste = Posthaste::start().await;
    let webhook = Backlog::Sleeping.build(&posthaste).await;
    posthaste.wake(&webhook).await;
    posthaste.deliveries(&webhook, "succeeded", 1).await;
    let asleep = |lane: &Value| lane["leaseUntil"].is_null() && lane["wakeAt"] != lane["dueAt"];
    posthaste.lane_when(&webhook, "the turn waits as its message", asleep).await;
    let queue =
        json!({ "QueueUrl": posthaste.system.stack().outputs["TurnsQueueUrl"] }).to_string();
    posthaste.system.sqs().call("PurgeQueue", queue.as_bytes()).await.unwrap();
    posthaste.drained("TurnsQueueUrl").await;
    posthaste.release().await;
    posthaste.idle().await;
    assert_eq!(posthaste.backlog(&webhook).await.len(), 1, "nobody knows yet");
    // A quarter of an hour later.
    posthaste.set_lane(&webhook, json!({ "dueAt": 1000 })).await;
    posthaste.release().await;
    posthaste.deliveries(&webhook, "succeeded", 2).await;
    posthaste.lane_when(&webhook, "its lane is closed", |lane| lane["token"].is_null()).await;
}

#[tokio::test]
async fn a_limited_webhook_whose_messages_all_come_twice_gets_each_event_in_a_slot() {
    let posthaste = Posthaste::with_faults("seed=7,duplicate=100%").await;
    let webhook = posthaste
        .register_with(INBOX, json!({ "rateLimit": { "requests": 10, "per": "second" } }))
        .await;
    publish(&posthaste, 30).await;
    posthaste.deliveries(&webhook, "succeeded", 30).await;
    posthaste.idle().await;
    let arrived = posthaste.system.inbox().arrived(INBOX);
    keeps(&arrived, 10);
    assert!(arrived.len() <= 60, "{} requests", arrived.len());
    assert_eq!(posthaste.deliveries(&webhook, "succeeded", 30).await.len(), 30);
    posthaste.lane_when(&webhook, "its lane is closed", |lane| lane["token"].is_null()).await;
    assert_eq!(posthaste.backlog(&webhook).await.len(), 0);
}
