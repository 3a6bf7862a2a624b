//! Everything goes wrong at once for a while, and every accepted event arrives.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use posthaste_tests::{Answer, Posthaste, Settings};
use reqwest::Method;
use serde_json::{Value, json};

fn kills(posthaste: &Posthaste) -> u64 {
    ["fanout", "deliver", "drain"]
        .map(|function| posthaste.system.metrics().functions[function].crashes)
        .iter()
        .sum()
}

/// Lists the ids of the events that have arrived at an inbox.
fn event_ids_at(posthaste: &Posthaste, inbox: &str) -> BTreeSet<String> {
    let arrived = posthaste.system.inbox().arrived(inbox);
    arrived.iter().map(|request| request.headers["webhook-id"].clone()).collect()
}

/// Lists the ids of the events whose deliveries the history shows as succeeded. There are none when
/// the call fails.
async fn recorded_event_ids(posthaste: &Posthaste, webhook: &Value) -> BTreeSet<String> {
    let path = format!("/webhooks/{}/deliveries?status=succeeded&limit=100", webhook["id"]);
    let (status, page) = posthaste.api.call(Method::GET, &path, Value::Null).await;
    let items = page["data"]["items"].as_array().filter(|_| status == 200).into_iter().flatten();
    items.filter_map(|item| item["eventId"].as_str().map(str::to_owned)).collect()
}

/// Tells if a webhook has got all these events, with records, and has no backlog.
async fn is_done(
    posthaste: &Posthaste,
    (inbox, webhook): &(&str, Value),
    events: &BTreeSet<String>,
) -> bool {
    events.is_subset(&event_ids_at(posthaste, inbox))
        && events.is_subset(&recorded_event_ids(posthaste, webhook).await)
        && posthaste.backlog(webhook).await.is_empty()
}

/// Tells if there have been enough faults. They go on for some seconds, but not for many kills: on
/// a slow machine each can hit the same message, and a message that functions die of five times
/// becomes a dead letter. `before` is the number of kills at the time `began`.
fn enough_faults(posthaste: &Posthaste, began: Instant, before: u64) -> bool {
    const CHAOS: Duration = Duration::from_secs(6);
    const KILLS: u64 = 12;
    began.elapsed() > CHAOS || kills(posthaste) >= before + KILLS
}

#[tokio::test]
async fn under_kills_duplicates_failures_and_lost_answers_every_accepted_event_arrives() {
    let posthaste = Posthaste::start().await;
    let webhooks =
        [posthaste.register("one", &["*"]).await, posthaste.register("two", &["order.*"]).await];
    posthaste
        .system
        .faults()
        .set("seed=7,kill=400ms,duplicate=5%,fail=5%,lose=2%".parse().unwrap());
    let mut accepted = BTreeSet::new();
    for batch in 0..6 {
        let events: Vec<Value> = (0..10)
            .map(|n| json!({ "type": "order.created", "data": { "n": batch * 10 + n } }))
            .collect();
        // A client that gets no 202 publishes again.
        let answer = posthaste_tests::eventually("the events are accepted", async || {
            let (status, answer) =
                posthaste.api.call(Method::POST, "/events", json!({ "events": events })).await;
            (status == 202).then_some(answer)
        })
        .await;
        accepted.extend(
            answer["data"]["events"]
                .as_array()
                .unwrap()
                .iter()
                .map(|event| event["id"].as_str().unwrap().to_owned()),
        );
    }
    assert_eq!(accepted.len(), 60);
    let (began, before) = (Instant::now(), kills(&posthaste));
    posthaste_tests::eventually("there were enough faults", async || {
        posthaste.hurry();
        enough_faults(&posthaste, began, before).then_some(())
    })
    .await;
    posthaste.system.faults().set("".parse().unwrap());
    assert!(kills(&posthaste) > 0, "functions that had messages were killed");
    for inbox in ["one", "two"] {
        posthaste_tests::eventually("every accepted event has arrived", async || {
            posthaste.hurry();
            let ids = event_ids_at(&posthaste, inbox);
            accepted.is_subset(&ids).then_some(())
        })
        .await;
    }
    for webhook in &webhooks {
        posthaste_tests::eventually("every delivery is recorded", async || {
            posthaste.hurry();
            let ids = recorded_event_ids(&posthaste, webhook).await;
            accepted.is_subset(&ids).then_some(())
        })
        .await;
    }
}

/// Slow, limited, sick and healthy webhooks side by side. Leases are broken too, so two turns of
/// one webhook may be at work at once.
#[tokio::test]
async fn under_all_that_the_backlogs_of_slow_limited_and_sick_webhooks_arrive() {
    let posthaste = Posthaste::start().await;
    let slow = Answer { delay_ms: 1200, ..Answer::status(200, 1) };
    let hanging = Answer { delay_ms: 2000, ..Answer::status(200, 8) };
    let retries = vec![1; 30];
    let limit = json!({ "requests": 20, "per": "second" });
    let kinds = [
        ("healthy", json!({ "retrySchedule": retries }), Vec::new(), None),
        ("slow", json!({ "retrySchedule": retries }), Vec::new(), Some(slow)),
        ("limited", json!({ "retrySchedule": retries, "rateLimit": limit }), Vec::new(), None),
        ("sick", json!({ "retrySchedule": retries, "timeoutSeconds": 1 }), vec![hanging], None),
    ];
    let mut webhooks = Vec::new();
    for (inbox, settings, responses, default) in kinds {
        webhooks.push((inbox, posthaste.register_with(inbox, settings).await));
        let settings = Settings { responses: responses.into(), default, ..Settings::default() };
        posthaste.system.inbox().set(inbox, settings);
    }
    posthaste
        .system
        .faults()
        .set("seed=11,kill=700ms,duplicate=5%,fail=5%,lose=1%".parse().unwrap());
    let mut accepted = BTreeSet::new();
    while accepted.len() < 20 {
        let events: Vec<Value> =
            (0..10).map(|n| json!({ "type": "order.created", "data": { "n": n } })).collect();
        // A function that is killed answers with an error: nothing is accepted then.
        let (status, answer) =
            posthaste.api.call(Method::POST, "/events", json!({ "events": events })).await;
        if status == 202 {
            let ids = answer["data"]["events"].as_array().unwrap().iter();
            accepted.extend(ids.map(|event| event["id"].as_str().unwrap().to_owned()));
        }
    }
    let (began, before) = (Instant::now(), kills(&posthaste));
    let mut left: Vec<_> = webhooks.iter().collect();
    for round in 1.. {
        tokio::time::sleep(Duration::from_millis(500)).await;
        if enough_faults(&posthaste, began, before) {
            posthaste.system.faults().set("".parse().unwrap());
        }
        posthaste.hurry();
        posthaste.fast_forward_retries().await;
        let mut not_done = Vec::new();
        for of in left {
            if is_done(&posthaste, of, &accepted).await {
                continue;
            }
            not_done.push(of);
            // A turn that is taken over drops the requests that are under way: it has to have the
            // time for some.
            if round % 8 == 0 {
                if posthaste.lane(&of.1).await["sickUntil"].is_number() {
                    posthaste.set_lane(&of.1, json!({ "sickUntil": 1000 })).await;
                }
                posthaste.hurry_turn(&of.1).await;
            }
        }
        if not_done.is_empty() {
            return;
        }
        assert!(
            began.elapsed() < posthaste_tests::LATER,
            "not all has arrived, or is recorded: {not_done:?}"
        );
        left = not_done;
    }
}
