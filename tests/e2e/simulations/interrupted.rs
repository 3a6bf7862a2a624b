//! Functions die and calls fail while a simulation is played: nothing is lost, and what is sent
//! again is the same event.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use posthaste_local::binaries;
use posthaste_tests::{Action, Aim, Api, Posthaste, eventually};
use reqwest::Method;
use serde_json::{Value, json};

use super::in_test_mode;

const EVENTS: usize = 3;

/// A system whose schedule does not come by itself, so that a test knows which call an aim hits.
async fn played_by_hand() -> Posthaste {
    let template = binaries::template().unwrap();
    let (before, schedule) = template.split_once("        EveryMinute:\n").unwrap();
    let schedule = schedule.replacen("rate(1 minute)", "rate(1 day)", 1);
    Posthaste::with_template(format!("{before}        EveryMinute:\n{schedule}")).await
}

fn body() -> Value {
    json!({ "kind": "event", "type": "order.created", "count": EVENTS })
}

/// The simulations that there are, when none of them runs any more.
async fn all_ended(posthaste: &Posthaste, test: &Api) -> Vec<Value> {
    eventually("every simulation is over", async || {
        // One that has just begun is left to its call for ten seconds.
        let _ = posthaste.system.tick("simulate").await;
        posthaste.hurry();
        tokio::time::sleep(Duration::from_millis(300)).await;
        let page = test.ok(Method::GET, "/simulations?limit=100", Value::Null).await;
        let items = page["items"].as_array().unwrap().clone();
        items.iter().all(|simulation| simulation["status"] == "finished").then_some(items)
    })
    .await
}

/// Waits until every event of these simulations has arrived. Copies have one id and one body.
async fn each_event_arrived(posthaste: &Posthaste, simulations: usize) {
    let mut bodies: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    eventually("each event has arrived", async || {
        posthaste.hurry();
        tokio::time::sleep(Duration::from_millis(100)).await;
        let arrived = posthaste.system.inbox().arrived("mine");
        let ids: BTreeSet<_> =
            arrived.iter().map(|request| &request.headers["webhook-id"]).collect();
        (ids.len() >= simulations * EVENTS).then_some(())
    })
    .await;
    posthaste.idle().await;
    for request in posthaste.system.inbox().arrived("mine") {
        let id = request.headers["webhook-id"].clone();
        let first = bodies.entry(id).or_insert_with(|| request.bytes.to_vec());
        assert_eq!(*first, request.bytes.to_vec(), "a copy is the same event");
    }
    assert_eq!(bodies.len(), simulations * EVENTS);
}

#[tokio::test]
async fn a_call_that_dies_leaves_a_simulation_that_is_played_or_none() {
    let posthaste = played_by_hand().await;
    let test = in_test_mode(&posthaste, "mine", json!({})).await;
    let mut simulations = 0;
    for (operation, skip, is_stored) in [
        ("dynamodb:Query", 0, false),
        ("dynamodb:TransactWriteItems", 0, false),
        ("sqs:SendMessageBatch", 0, true),
        ("dynamodb:TransactWriteItems", 1, true),
    ] {
        for action in [Action::KillBefore, Action::KillAfter] {
            let aim = Aim::at("simulate", operation, action.clone()).skip(skip);
            let aimed = posthaste.system.faults().aim(aim);
            let (status, answer) = test.call(Method::POST, "/simulations", body()).await;
            assert!(status >= 500, "{operation} {action:?}: {answer}");
            assert_eq!(aimed.hits(), 1, "{operation} {action:?}");
            let is_after = operation.ends_with("TransactWriteItems") && action == Action::KillAfter;
            simulations += usize::from(is_stored || is_after);
        }
        let ended = all_ended(&posthaste, &test).await;
        assert_eq!(ended.len(), simulations, "{operation} {skip}");
        each_event_arrived(&posthaste, simulations).await;
    }
}

#[tokio::test]
async fn a_call_whose_own_calls_fail_is_answered_and_played() {
    let posthaste = played_by_hand().await;
    let test = in_test_mode(&posthaste, "mine", json!({})).await;
    let mut simulations = 0;
    for (operation, action, times) in [
        ("sqs:SendMessageBatch", Action::Fail, 6),
        ("sqs:SendMessageBatch", Action::Lose, 1),
        ("sqs:SendMessageBatch", Action::FailEntries(vec![1]), 6),
        ("dynamodb:TransactWriteItems", Action::Lose, 1),
    ] {
        let aim = Aim::at("simulate", operation, action.clone()).times(times);
        let aimed = posthaste.system.faults().aim(aim);
        let (status, answer) = test.call(Method::POST, "/simulations", body()).await;
        aimed.end();
        assert_eq!(status, 202, "{operation} {action:?}: {answer}");
        assert!(aimed.hits() >= 1, "{operation} {action:?}");
        simulations += 1;
    }
    assert_eq!(all_ended(&posthaste, &test).await.len(), simulations);
    each_event_arrived(&posthaste, simulations).await;
}

#[tokio::test]
async fn a_schedule_that_dies_anywhere_goes_on_with_the_next_minute() {
    let posthaste = played_by_hand().await;
    let test = in_test_mode(&posthaste, "mine", json!({})).await;
    for _ in 0..4 {
        let aim = Aim::at("simulate", "sqs:SendMessageBatch", Action::KillBefore);
        let aimed = posthaste.system.faults().aim(aim);
        let (status, answer) = test.call(Method::POST, "/simulations", body()).await;
        assert!(status >= 500 && aimed.hits() == 1, "{answer}");
    }
    for operation in [
        "dynamodb:Query",
        "dynamodb:GetItem",
        "sqs:SendMessageBatch",
        "dynamodb:TransactWriteItems",
    ] {
        for action in [Action::KillBefore, Action::KillAfter] {
            let aim = Aim::at("simulate", operation, action.clone());
            let aimed = posthaste.system.faults().aim(aim);
            eventually(&format!("{operation} {action:?} kills it"), async || {
                let _ = posthaste.system.tick("simulate").await;
                (aimed.hits() == 1).then_some(())
            })
            .await;
        }
    }
    assert_eq!(all_ended(&posthaste, &test).await.len(), 4);
    each_event_arrived(&posthaste, 4).await;
    let (status, answer) = test.call(Method::POST, "/simulations", body()).await;
    assert_eq!(status, 202, "every place is free again: {answer}");
}
