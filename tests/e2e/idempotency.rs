//! Calls with an `Idempotency-Key` publish their events once, however often a call is made, at once
//! or one after the other, and wherever it died.

use std::collections::BTreeSet;

use futures::future::join_all;
use posthaste_tests::{Action, Aim, Api, Posthaste, eventually};
use reqwest::Method;
use serde_json::{Value, json};

const HEADER: &str = "idempotency-key";

async fn publish(api: &Api, key: &str, body: &Value) -> (u16, String) {
    api.with_header(HEADER, key).exchange(Method::POST, "/events", body.to_string()).await
}

/// Publishes, and returns the answer's JSON, which has to be as documented.
async fn call(api: &Api, key: &str, body: &Value) -> (u16, Value) {
    api.with_header(HEADER, key).call(Method::POST, "/events", body.clone()).await
}

fn order(id: u64) -> Value {
    json!({ "type": "order.created", "data": { "orderId": id } })
}

/// Reads the ids of the accepted events from an answer.
fn ids(answer: &str) -> Vec<String> {
    let answer: Value = serde_json::from_str(answer).unwrap();
    let data = &answer["data"];
    let events = data["events"].as_array().cloned().unwrap_or_else(|| vec![data.clone()]);
    events.iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect()
}

/// Waits until these are all events of the workspace, and no message is left that could become
/// another.
async fn only(posthaste: &Posthaste, api: &Api, expected: &[String]) {
    let expected: BTreeSet<String> = expected.iter().cloned().collect();
    eventually("the events are stored", async || {
        let page = api.ok(Method::GET, "/events", Value::Null).await;
        (page["items"].as_array().unwrap().len() >= expected.len()).then_some(())
    })
    .await;
    posthaste.idle().await;
    let page = api.ok(Method::GET, "/events", Value::Null).await;
    let stored: Vec<&str> = page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["id"].as_str().unwrap())
        .collect();
    assert_eq!(stored.len(), expected.len(), "{stored:?}");
    assert_eq!(stored.into_iter().map(str::to_owned).collect::<BTreeSet<_>>(), expected);
}

/// Lists the calls that `ingest` has made so far.
fn calls(posthaste: &Posthaste) -> Vec<(String, u64)> {
    let operations = posthaste.system.metrics().calls["ingest"].clone();
    operations.into_iter().map(|(operation, calls)| (operation, calls.count)).collect()
}

/// Lists these calls without the reads of the API key, of which there is one in 5 s.
fn calls_but_of_the_key(posthaste: &Posthaste) -> Vec<(String, u64)> {
    let mut calls = calls(posthaste);
    calls.retain(|(operation, _)| operation != "dynamodb:GetItem");
    calls
}

fn counts(counts: &[(&str, u64)]) -> Vec<(String, u64)> {
    counts.iter().map(|(operation, count)| ((*operation).to_owned(), *count)).collect()
}

#[tokio::test]
async fn a_repeat_gets_the_same_answer_and_publishes_nothing_more() {
    let posthaste = Posthaste::start().await;
    posthaste.register("mine", &["*"]).await;
    let (status, first) = publish(&posthaste.api, "order-1042", &order(1042)).await;
    assert_eq!(status, 202, "{first}");
    let cost = [("dynamodb:PutItem", 1)];
    let sending = [("dynamodb:UpdateItem", 1), ("sqs:SendMessageBatch", 1)];
    assert_eq!(calls_but_of_the_key(&posthaste), counts(&[&cost[..], &sending[..]].concat()));
    only(&posthaste, &posthaste.api, &ids(&first)).await;

    assert_eq!(publish(&posthaste.api, "order-1042", &order(1042)).await, (202, first.clone()));
    assert_eq!(
        calls_but_of_the_key(&posthaste),
        counts(&[&cost.map(|(name, _)| (name, 2))[..], &sending[..]].concat())
    );
    only(&posthaste, &posthaste.api, &ids(&first)).await;
    assert_eq!(posthaste.arrived("mine", 1).await.len(), 1);

    let (_, second) = publish(&posthaste.api, "order-1043", &order(1042)).await;
    assert_ne!(ids(&first), ids(&second), "another key is another call");
    only(&posthaste, &posthaste.api, &[ids(&first), ids(&second)].concat()).await;
}

#[tokio::test]
async fn a_call_of_a_hundred_events_is_repeated_as_one() {
    let posthaste = Posthaste::start().await;
    let body = json!({ "events": (0..100).map(order).collect::<Vec<_>>() });
    let (status, first) = publish(&posthaste.api, "many", &body).await;
    assert_eq!((status, ids(&first).iter().collect::<BTreeSet<_>>().len()), (202, 100));
    assert_eq!(publish(&posthaste.api, "many", &body).await, (202, first));
    assert_eq!(posthaste.calls("ingest", "sqs:SendMessageBatch"), 10);
}

#[tokio::test]
async fn another_body_is_a_conflict_and_another_workspace_is_another_key() {
    let posthaste = Posthaste::start().await;
    let (_, first) = publish(&posthaste.api, "a", &order(1)).await;
    let (status, answer) = call(&posthaste.api, "a", &order(2)).await;
    let error = &answer["error"];
    assert_eq!((status, &error["code"]), (409, &json!("idempotency_key_reused")));
    assert_eq!(error["field"], "Idempotency-Key");
    only(&posthaste, &posthaste.api, &ids(&first)).await;

    let other = posthaste.api.workspace("other").await;
    let (status, theirs) = publish(&other, "a", &order(2)).await;
    assert_eq!(status, 202);
    assert_ne!(ids(&first), ids(&theirs));
    only(&posthaste, &other, &ids(&theirs)).await;
    assert_eq!(publish(&other, "a", &order(2)).await, (202, theirs));
}

#[tokio::test]
async fn what_is_no_key_is_refused_and_what_is_refused_takes_no_key() {
    let posthaste = Posthaste::start().await;
    for key in ["", "order 1042", "a\tb", &"x".repeat(256)] {
        let (status, answer) = call(&posthaste.api, key, &order(1)).await;
        let error = &answer["error"];
        assert_eq!(
            (status, error["code"].as_str()),
            (422, Some("invalid_idempotency_key")),
            "{key}: {answer}"
        );
        assert_eq!(error["field"], "Idempotency-Key");
    }
    let twice = posthaste.api.with_header(HEADER, "a").with_header(HEADER, "b");
    let (status, answer) = twice.call(Method::POST, "/events", order(1)).await;
    assert_eq!(
        (status, answer["error"]["code"].as_str()),
        (422, Some("invalid_idempotency_key")),
        "joined: a,b"
    );
    for key in ["a", &"~".repeat(255)] {
        for bad in [
            json!({ "type": "a b", "data": {} }),
            json!({ "type": "webhook.disabled", "data": {} }),
        ] {
            assert_eq!(call(&posthaste.api, key, &bad).await.0, 422);
        }
        assert_eq!(call(&posthaste.api, key, &order(1)).await.0, 202);
    }
}

#[tokio::test]
async fn an_accepted_call_stays_accepted_when_its_type_changes() {
    let posthaste = Posthaste::start().await;
    let invoice = json!({ "type": "invoice.paid", "data": { "total": 1 } });
    let (_, first) = publish(&posthaste.api, "a", &invoice).await;
    let schema = json!({
        "type": "object", "required": ["paidAt"], "properties": { "paidAt": { "type": "string" } },
    });
    posthaste.api.ok(Method::PUT, "/event-types/invoice.paid", json!({ "schema": schema })).await;
    assert_eq!(call(&posthaste.api, "b", &invoice).await.0, 422);
    assert_eq!(publish(&posthaste.api, "a", &invoice).await, (202, first));
}

#[tokio::test]
async fn ten_calls_at_once_are_one() {
    let posthaste = Posthaste::start().await;
    posthaste.register("mine", &["*"]).await;
    let body = order(1);
    let answers = join_all((0..10).map(|_| publish(&posthaste.api, "a", &body))).await;
    let (status, first) = &answers[0];
    assert_eq!(*status, 202, "{first}");
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    only(&posthaste, &posthaste.api, &ids(first)).await;
    let arrived: BTreeSet<String> = posthaste
        .arrived("mine", 1)
        .await
        .iter()
        .map(|request| request.headers["webhook-id"].clone())
        .collect();
    assert_eq!(
        arrived.into_iter().collect::<Vec<_>>(),
        ids(first),
        "whatever arrives has the one id"
    );
}

#[tokio::test]
async fn while_a_call_runs_its_repeat_gets_its_answer_and_another_body_is_refused() {
    let posthaste = Posthaste::start().await;
    let paused =
        posthaste.system.faults().aim(Aim::at("ingest", "sqs:SendMessageBatch", Action::Pause));
    let api = posthaste.api.clone();
    let running = tokio::spawn(async move { publish(&api, "a", &order(1)).await });
    paused.hit().await;
    let (status, repeat) = publish(&posthaste.api, "a", &order(1)).await;
    assert_eq!(status, 202, "{repeat}");
    assert_eq!(call(&posthaste.api, "a", &order(2)).await.0, 409);
    paused.release();
    assert_eq!(running.await.unwrap(), (202, repeat.clone()));
    only(&posthaste, &posthaste.api, &ids(&repeat)).await;
}

#[tokio::test]
async fn two_bodies_at_once_are_one_event_and_conflicts() {
    let posthaste = Posthaste::start().await;
    let bodies = [order(1), order(2)];
    let answers = join_all((0..10).map(|n| publish(&posthaste.api, "a", &bodies[n % 2]))).await;
    let accepted: BTreeSet<&String> =
        answers.iter().filter(|(status, _)| *status == 202).map(|(_, answer)| answer).collect();
    assert_eq!(accepted.len(), 1, "{answers:?}");
    assert_eq!(answers.iter().filter(|(status, _)| *status == 409).count(), 5, "{answers:?}");
    only(&posthaste, &posthaste.api, &ids(accepted.first().unwrap())).await;
}

#[tokio::test]
async fn a_call_killed_at_any_of_its_calls_is_one_event_when_it_is_repeated() {
    for operation in
        ["dynamodb:GetItem", "dynamodb:PutItem", "sqs:SendMessageBatch", "dynamodb:UpdateItem"]
    {
        for action in [Action::KillBefore, Action::KillAfter] {
            let posthaste = Posthaste::start().await;
            let aimed = posthaste.system.faults().aim(Aim::at("ingest", operation, action.clone()));
            let (status, _) = call(&posthaste.api, "a", &order(1)).await;
            assert_eq!((status, aimed.hits()), (500, 1), "{operation} {action:?}");
            let (status, answer) = publish(&posthaste.api, "a", &order(1)).await;
            assert_eq!(status, 202, "{operation} {action:?}: {answer}");
            assert_eq!(publish(&posthaste.api, "a", &order(1)).await, (202, answer.clone()));
            only(&posthaste, &posthaste.api, &ids(&answer)).await;
        }
    }
}

#[tokio::test]
async fn a_call_that_failed_or_whose_answer_got_lost_is_one_event_when_it_is_repeated() {
    let every = u32::MAX;
    let cases = [
        // More than the SDK tries.
        ("dynamodb:PutItem", Action::Fail, 5, 500),
        ("dynamodb:PutItem", Action::Lose, 1, 202),
        ("dynamodb:PutItem", Action::Lose, 5, 500),
        ("sqs:SendMessageBatch", Action::Fail, 5, 500),
        ("sqs:SendMessageBatch", Action::FailEntries(vec![0]), 4, 500),
        ("sqs:SendMessageBatch", Action::Lose, 1, 202),
        // The events are sent: that is what the 202 says.
        ("dynamodb:UpdateItem", Action::Fail, every, 202),
        ("dynamodb:UpdateItem", Action::Lose, 1, 202),
    ];
    for (operation, action, times, expected) in cases {
        let posthaste = Posthaste::start().await;
        posthaste.system.faults().aim(Aim::at("ingest", operation, action.clone()).times(times));
        let body = json!({ "events": [order(1), order(2)] });
        let (status, answer) = call(&posthaste.api, "a", &body).await;
        assert_eq!(status, expected, "{operation} {action:?}: {answer}");
        let (status, repeat) = publish(&posthaste.api, "a", &body).await;
        assert_eq!(status, 202, "{operation} {action:?}: {repeat}");
        if expected == 202 {
            assert_eq!(
                answer,
                serde_json::from_str::<Value>(&repeat).unwrap(),
                "{operation} {action:?}"
            );
        }
        only(&posthaste, &posthaste.api, &ids(&repeat)).await;
    }
}

#[tokio::test]
async fn an_expired_key_is_free_although_its_item_is_still_there() {
    let posthaste = Posthaste::start().await;
    let (_, first) = publish(&posthaste.api, "a", &order(1)).await;
    let (dynamodb, table) =
        (posthaste.system.dynamodb(), &posthaste.system.stack().outputs["RegistryTable"]);
    let scan = json!({
        "TableName": table,
        "FilterExpression": "begins_with(pk, :prefix)",
        "ExpressionAttributeValues": { ":prefix": { "S": "idempotency#" } }
    });
    let items =
        async || dynamodb.call("Scan", &scan).await.unwrap()["Items"].as_array().unwrap().clone();
    let item = items().await.remove(0);
    assert!(!item.to_string().contains("\"a\""), "the key itself is not stored");
    let number =
        |item: &Value, name: &str| item[name]["N"].as_str().unwrap().parse::<i64>().unwrap();
    let accepted_at = number(&item, "acceptedAt");
    assert_eq!(number(&item, "expiresAt"), accepted_at / 1000 + 24 * 60 * 60 + 1);

    let expire = async |expires_at: i64| {
        let update = json!({
            "TableName": table,
            "Key": { "pk": item["pk"], "sk": item["sk"] },
            "UpdateExpression": "SET expiresAt = :then",
            "ExpressionAttributeValues": { ":then": { "N": expires_at.to_string() } }
        });
        dynamodb.call("UpdateItem", &update).await.unwrap();
    };
    expire(accepted_at / 1000 + 60).await;
    assert_eq!(publish(&posthaste.api, "a", &order(1)).await, (202, first.clone()), "not yet");
    expire(accepted_at / 1000).await;
    let bodies = order(2);
    let answers = join_all((0..4).map(|_| publish(&posthaste.api, "a", &bodies))).await;
    assert!(
        answers.iter().all(|(status, answer)| *status == 202 && *answer == answers[0].1),
        "{answers:?}"
    );
    assert_ne!(ids(&first), ids(&answers[0].1));
    assert_eq!(call(&posthaste.api, "a", &order(1)).await.0, 409);
    assert_eq!(items().await.len(), 1);
    only(&posthaste, &posthaste.api, &[ids(&first), ids(&answers[0].1)].concat()).await;
}

#[tokio::test]
async fn under_kills_failures_and_lost_answers_every_key_is_one_event() {
    let posthaste = Posthaste::start().await;
    posthaste
        .system
        .faults()
        .set("seed=11,kill=300ms,duplicate=5%,fail=10%,lose=10%".parse().unwrap());
    let (api, keys) = (&posthaste.api, 0..30);
    let answers = join_all(keys.map(async |n| {
        let key = format!("order-{n}");
        // Two of one client's processes, each of which repeats the call until it is accepted.
        let accepted = async || {
            eventually("the event is accepted", async || {
                let (status, answer) = publish(api, &key, &order(n)).await;
                (status == 202).then_some(answer)
            })
            .await
        };
        let both = join_all([accepted(), accepted()]).await;
        assert_eq!(both[0], both[1], "{key}");
        both[0].clone()
    }))
    .await;
    posthaste.system.faults().set("".parse().unwrap());
    let accepted: Vec<String> = answers.iter().flat_map(|answer| ids(answer)).collect();
    eventually("no message is left", async || {
        posthaste.hurry();
        let depth = posthaste.system.metrics().queues[&posthaste.queue("EventsQueueUrl")];
        (depth.visible + depth.in_flight + depth.delayed == 0).then_some(())
    })
    .await;
    only(&posthaste, api, &accepted).await;
}
