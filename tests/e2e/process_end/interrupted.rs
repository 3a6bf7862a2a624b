//! Fan-outs of holds and of ends of runs overtake each other, and die, at each of their calls.

use std::collections::BTreeMap;

use futures::StreamExt;
use posthaste_tests::{Action, Aim, Posthaste, eventually};

use super::{at_process_end, ids, now_ms, run};

/// Stops one fan-out at one of its calls, lets another one go through, and then lets the first go
/// on.
async fn interleaved(first_is_the_end: bool, operation: &str, skip: u32) {
    let case = format!("the end first: {first_is_the_end}, stopped at {operation} {skip}");
    let posthaste = Posthaste::start().await;
    let webhook = at_process_end(&posthaste).await;
    let held = posthaste.api.publish("service_run", run("1")).await;
    posthaste.idle().await;
    let (first, second) = if first_is_the_end {
        ("process_run_end", "service_run")
    } else {
        ("service_run", "process_run_end")
    };
    let aimed =
        posthaste.system.faults().aim(Aim::at("fanout", operation, Action::Pause).skip(skip));
    let mut end_published = now_ms();
    let first = posthaste.api.publish(first, run("1")).await;
    tokio::time::timeout(posthaste_tests::SOON, aimed.hit())
        .await
        .unwrap_or_else(|_| panic!("{case}: it is not hit"));
    if !first_is_the_end {
        end_published = now_ms();
    }
    let second = posthaste.api.publish(second, run("1")).await;
    let queue = posthaste.queue("EventsQueueUrl");
    eventually("the second fan-out is through", async || {
        let depth = posthaste.system.metrics().queues[&queue];
        // The first one gives its call up after some seconds and makes it again, so it may be
        // through before the second one.
        (depth.visible + depth.delayed == 0 && depth.in_flight <= 1).then_some(())
    })
    .await;
    aimed.release();
    posthaste.deliveries(&webhook, "succeeded", 3).await;
    posthaste.idle().await;
    let mut times: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for request in posthaste.system.inbox().arrived("mine") {
        for id in ids(&request) {
            times.entry(id).or_default().push(request.at_ms);
        }
    }
    for id in [&held, &first, &second] {
        let times = &times[id];
        assert_eq!(times.len(), 1, "{case}: each event arrives once, as nothing failed");
        assert!(times[0] >= end_published, "{case}: sent {} ms early", end_published - times[0]);
    }
    let ended = if first_is_the_end { &first } else { &second };
    for request in posthaste.system.inbox().arrived("mine") {
        let ids = ids(&request);
        if ids.contains(ended) {
            assert_eq!(
                (ids.first(), ids.last()),
                (Some(&held), Some(ended)),
                "{case}: the end is the last"
            );
        }
    }
}

/// A fan-out that holds makes these calls: it reads the index, stores the event, and writes the
/// hold.
#[tokio::test]
async fn an_end_overtakes_a_hold_at_every_call() {
    let calls = ["dynamodb:BatchGetItem", "dynamodb:BatchWriteItem", "dynamodb:TransactWriteItems"];
    futures::stream::iter(calls)
        .for_each_concurrent(3, |operation| interleaved(false, operation, 0))
        .await;
}

/// A fan-out that ends a run makes these calls. The first invocation reads the index, stores the
/// event and asks for the end; the second reads the index, writes the marker, reads the holds,
/// sends them, and forgets them.
#[tokio::test]
async fn a_hold_overtakes_an_end_at_every_call() {
    let calls = [
        ("dynamodb:BatchWriteItem", 0),
        ("sqs:SendMessageBatch", 0),
        ("dynamodb:BatchGetItem", 1),
        ("dynamodb:PutItem", 0),
        ("dynamodb:Query", 0),
        ("sqs:SendMessageBatch", 1),
        ("dynamodb:BatchWriteItem", 1),
    ];
    let cases = futures::stream::iter(calls);
    cases.for_each_concurrent(3, |(operation, skip)| interleaved(true, operation, skip)).await;
}

async fn killed_at(at: &str, operation: &str, skip: u32, action: Action) {
    let posthaste = Posthaste::start().await;
    let webhook = at_process_end(&posthaste).await;
    let mut aimed = None;
    let mut published = Vec::new();
    for name in ["service_run", "process_run_end"] {
        if name == at {
            let times = if action == Action::Fail { 6 } else { 1 };
            let aim = Aim::at("fanout", operation, action.clone()).skip(skip).times(times);
            aimed = Some(posthaste.system.faults().aim(aim));
        }
        published.push(posthaste.api.publish(name, run("1")).await);
        eventually("it is fanned out", async || {
            // After a lost answer nothing has to come again.
            if action != Action::Lose {
                posthaste.hurry();
            }
            let depth = posthaste.system.metrics().queues[&posthaste.queue("EventsQueueUrl")];
            (depth.visible + depth.in_flight + depth.delayed == 0).then_some(())
        })
        .await;
    }
    let case = format!("{at} {operation} {skip} {action:?}");
    assert!(aimed.is_some_and(|aimed| aimed.hits() > 0), "{case}");
    posthaste.deliveries(&webhook, "succeeded", 2).await;
    let arrived = posthaste.system.inbox().arrived("mine");
    assert!(
        arrived.iter().any(|request| ids(request) == published),
        "{case}: together and in order"
    );
}

#[tokio::test]
async fn a_fan_out_killed_at_any_call_loses_no_hold() {
    let calls = [
        ("service_run", "dynamodb:TransactWriteItems", 0),
        ("process_run_end", "sqs:SendMessageBatch", 0),
        ("process_run_end", "dynamodb:PutItem", 0),
        ("process_run_end", "dynamodb:Query", 0),
        ("process_run_end", "sqs:SendMessageBatch", 1),
        ("process_run_end", "dynamodb:BatchWriteItem", 1),
    ];
    let actions = [Action::KillBefore, Action::KillAfter, Action::Fail];
    let cases = calls.into_iter().flat_map(|call| actions.clone().map(|action| (call, action)));
    futures::stream::iter(cases)
        .for_each_concurrent(4, |((at, operation, skip), action)| {
            killed_at(at, operation, skip, action)
        })
        .await;
}

/// The SDK repeats the put of the marker, and finds its own.
#[tokio::test]
async fn a_lost_answer_to_the_end_of_a_run_delays_nothing() {
    killed_at("process_run_end", "dynamodb:PutItem", 0, Action::Lose).await;
}

/// The second end waits for the attempt of the first one. A read that fails says nothing about it.
#[tokio::test]
async fn an_end_that_can_not_read_about_the_first_one_looks_again_and_is_not_put_off() {
    let posthaste = Posthaste::start().await;
    let webhook = at_process_end(&posthaste).await;
    posthaste.api.publish("process_run_end", run("1")).await;
    posthaste.deliveries(&webhook, "succeeded", 1).await;
    posthaste.idle().await;
    let sent = posthaste.calls("fanout", "sqs:SendMessageBatch");
    // All five tries of one call fail.
    let records = format!("default#{}#", webhook["id"]);
    let throttled = Aim::at("fanout", "dynamodb:BatchGetItem", Action::Fail).times(5);
    let aimed = posthaste.system.faults().aim(throttled.containing(&records));
    posthaste.api.publish("process_run_end", run("1")).await;
    posthaste.deliveries(&webhook, "succeeded", 2).await;
    assert_eq!(aimed.hits(), 5);
    // Its first look asks for the end, and the last one sends the delivery.
    assert_eq!(posthaste.calls("fanout", "sqs:SendMessageBatch") - sent, 2);
}
