//! Functions die, calls fail, messages come twice, and nothing is lost.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use posthaste_tests::{Action, Aim, Answer, Posthaste, Settings};
use reqwest::Method;
use serde_json::{Value, json};

/// Publishes one event while a fault is aimed, and waits until it is delivered all the same.
async fn delivered_despite(aim: Aim) -> (Posthaste, Value) {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register("mine", &["*"]).await;
    let aimed = posthaste.system.faults().aim(aim);
    posthaste.api.publish("order.created", json!({})).await;
    tokio::time::timeout(posthaste_tests::SOON, aimed.hit()).await.expect("the fault hits");
    // A killed function's messages come again after 60 s; here at once, again and again.
    let delivery = posthaste_tests::eventually("it is delivered", async || {
        posthaste.hurry();
        let page = posthaste
            .api
            .ok(
                Method::GET,
                &format!("/webhooks/{}/deliveries?status=succeeded", webhook["id"]),
                Value::Null,
            )
            .await;
        page["items"].get(0).cloned()
    })
    .await;
    (posthaste, delivery)
}

#[tokio::test]
async fn a_function_killed_after_the_post_and_before_its_record_posts_again() {
    let (posthaste, delivery) =
        delivered_despite(Aim::at("deliver", "dynamodb:UpdateItem", Action::KillBefore)).await;
    let arrived = posthaste.arrived("mine", 2).await;
    assert_eq!(arrived[0].headers["webhook-id"], arrived[1].headers["webhook-id"]);
    assert_eq!(arrived[0].body, arrived[1].body);
    assert_eq!(
        delivery["attempts"].as_array().unwrap().len(),
        1,
        "the attempt that died unrecorded is not counted"
    );
}

#[tokio::test]
async fn a_function_killed_after_its_record_does_not_post_again() {
    let (posthaste, delivery) =
        delivered_despite(Aim::at("deliver", "dynamodb:UpdateItem", Action::KillAfter)).await;
    posthaste_tests::eventually("the message is gone", async || {
        posthaste.hurry();
        let depth = posthaste.system.metrics().queues[&posthaste.queue("DeliveriesQueueUrl")];
        (depth.visible + depth.in_flight == 0).then_some(())
    })
    .await;
    assert_eq!(posthaste.system.inbox().arrived("mine").len(), 1);
    assert_eq!(delivery["attempts"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_lost_answer_to_the_record_counts_the_attempt_once() {
    let (posthaste, delivery) =
        delivered_despite(Aim::at("deliver", "dynamodb:UpdateItem", Action::Lose)).await;
    assert_eq!(posthaste.system.inbox().arrived("mine").len(), 1);
    assert_eq!(delivery["attempts"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_fanout_killed_at_any_of_its_calls_loses_nothing() {
    for operation in ["dynamodb:BatchGetItem", "dynamodb:BatchWriteItem", "sqs:SendMessageBatch"] {
        for action in [Action::KillBefore, Action::KillAfter] {
            let (_, delivery) =
                delivered_despite(Aim::at("fanout", operation, action.clone())).await;
            assert_eq!(delivery["status"], "succeeded", "{operation} {action:?}");
        }
    }
}

#[tokio::test]
async fn every_aws_call_throttled_in_turn_loses_nothing() {
    let aims = [
        ("fanout", "dynamodb:BatchGetItem"),
        ("fanout", "dynamodb:BatchWriteItem"),
        ("fanout", "sqs:SendMessageBatch"),
        ("deliver", "dynamodb:BatchGetItem"),
        ("deliver", "dynamodb:UpdateItem"),
    ];
    for (function, operation) in aims {
        // More than the SDK tries, so that the function itself has to cope.
        let (_, delivery) =
            delivered_despite(Aim::at(function, operation, Action::Fail).times(6)).await;
        assert_eq!(delivery["status"], "succeeded", "{function} {operation}");
    }
}

/// Publishes one event to an endpoint that fails for good, while calls of deliver are throttled.
#[tokio::test]
async fn every_call_after_a_failure_throttled_in_turn_loses_nothing() {
    for (operation, skip) in [
        ("dynamodb:UpdateItem", 0),
        ("dynamodb:UpdateItem", 1),
        ("sqs:ChangeMessageVisibilityBatch", 0),
        ("sqs:SendMessageBatch", 0),
        ("sqs:SendMessageBatch", 1),
    ] {
        let posthaste = Posthaste::start().await;
        let webhook = posthaste.register_failing("mine", &["order.*"], 500, 100).await;
        // More than the SDK tries, so that the function itself has to cope.
        let aimed = posthaste
            .system
            .faults()
            .aim(Aim::at("deliver", operation, Action::Fail).skip(skip).times(6));
        posthaste.api.publish("order.created", json!({})).await;
        posthaste_tests::eventually("it is given up", async || {
            posthaste.hurry();
            let path = format!("/webhooks/{}/deliveries?status=exhausted", webhook["id"]);
            let page = posthaste.api.ok(Method::GET, &path, Value::Null).await;
            page["items"].get(0).cloned()
        })
        .await;
        assert!(aimed.hits() > 0, "{operation} {skip}");
        posthaste.receive("ExhaustedDeliveriesQueueUrl").await;
    }
}

#[tokio::test]
async fn a_partial_send_message_batch_failure_loses_nothing() {
    for function in ["ingest", "fanout"] {
        let posthaste = Posthaste::start().await;
        let webhook = posthaste.register("mine", &["*"]).await;
        let aimed = posthaste.system.faults().aim(Aim::at(
            function,
            "sqs:SendMessageBatch",
            Action::FailEntries(vec![0, 2, 9]),
        ));
        let events: Vec<Value> =
            (0..10).map(|n| json!({ "type": "order.created", "data": { "n": n } })).collect();
        let answer = posthaste.api.ok(Method::POST, "/events", json!({ "events": events })).await;
        assert_eq!(answer["events"].as_array().unwrap().len(), 10);
        posthaste.deliveries(&webhook, "succeeded", 10).await;
        assert_eq!(aimed.hits(), 1, "{function}");
        let ids: BTreeSet<String> = posthaste
            .arrived("mine", 10)
            .await
            .iter()
            .map(|request| request.headers["webhook-id"].clone())
            .collect();
        assert_eq!(ids.len(), 10, "{function}");
    }
}

#[tokio::test]
async fn unprocessed_items_are_written_and_read_in_the_end() {
    for (function, operation) in
        [("fanout", "dynamodb:BatchWriteItem"), ("deliver", "dynamodb:BatchGetItem")]
    {
        let posthaste = Posthaste::start().await;
        let webhook = posthaste.register("mine", &["*"]).await;
        posthaste
            .system
            .faults()
            .aim(Aim::at(function, operation, Action::FailEntries(vec![0])).times(2));
        posthaste.api.publish("order.created", json!({})).await;
        posthaste.deliveries(&webhook, "succeeded", 1).await;
        assert_eq!(posthaste.calls(function, operation), 3, "{function} {operation}");
    }
}

#[tokio::test]
async fn a_message_delivered_twice_ends_in_one_record() {
    let posthaste = Posthaste::with_faults("seed=7,duplicate=100%").await;
    let webhook = posthaste.register("mine", &["*"]).await;
    let event = posthaste.api.publish("order.created", json!({})).await;
    posthaste.deliveries(&webhook, "succeeded", 1).await;
    posthaste.drained("EventsQueueUrl").await;
    posthaste.drained("DeliveriesQueueUrl").await;
    let records = posthaste.deliveries(&webhook, "succeeded", 1).await;
    assert_eq!(records.len(), 1);
    for request in posthaste.system.inbox().arrived("mine") {
        assert_eq!(
            request.headers["webhook-id"], event,
            "the receiver can tell that it is the same"
        );
    }
}

#[tokio::test]
async fn a_poison_message_among_nine_good_ones_goes_to_the_dead_letter_queue_alone() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register("mine", &["*"]).await;
    let event = |n: usize| {
        json!({ "workspace": "default", "type": "order.created", "data": { "n": n } }).to_string()
    };
    let mut bodies: Vec<String> = (0..10).map(event).collect();
    bodies[4] = r#"{"workspace":"default","type":"order.created"}"#.to_owned();
    posthaste.send("EventsQueueUrl", &bodies).await;
    posthaste.deliveries(&webhook, "succeeded", 9).await;
    let letter = posthaste.receive("EventsDeadLetterQueueUrl").await;
    assert_eq!(letter.body, bodies[4]);
    assert_eq!(
        format!("{:?}", letter.message_attributes["reason"].value),
        r#"Text("unreadable_event")"#
    );
    assert_eq!(
        format!("{:?}", letter.message_attributes["detail"].value),
        r#"Text("data is required")"#
    );
    posthaste.drained("EventsQueueUrl").await;

    // SQS takes it, but a DynamoDB item can't hold it, and the name of its odd field is no value
    // for an attribute.
    let large =
        json!({ "workspace": "default", "type": "a", "data": { "x": "x".repeat(500 * 1024) } })
            .to_string();
    posthaste
        .send(
            "EventsQueueUrl",
            &[
                large,
                event(1),
                r#"{"workspace":"default","type":"a","data":{},"\u0001":1}"#.to_owned(),
            ],
        )
        .await;
    posthaste.deliveries(&webhook, "succeeded", 10).await;
    posthaste.receive("EventsDeadLetterQueueUrl").await;
    posthaste.receive("EventsDeadLetterQueueUrl").await;
    posthaste.drained("EventsQueueUrl").await;

    posthaste.send("DeliveriesQueueUrl", &["no task".to_owned()]).await;
    let letter = posthaste.receive("DeliveriesDeadLetterQueueUrl").await;
    assert_eq!(letter.body, "no task");
    assert_eq!(
        format!("{:?}", letter.message_attributes["reason"].value),
        r#"Text("unreadable_task")"#
    );
    let delivery = json!({ "id": "01a1f8d3-ea00-8f1c-815a-b6fc16bc6138", "bytes": 2,
        "content": { "eventId": "01a1f8d3-ea00-7f1c-815a-b6fc16bc6138" } });
    let task =
        json!({ "workspace": "default", "webhook": webhook["id"], "deliveries": [delivery] });
    posthaste.send("DeliveriesQueueUrl", &[task.to_string()]).await;
    let letter = posthaste.receive("DeliveriesDeadLetterQueueUrl").await;
    assert_eq!(format!("{:?}", letter.message_attributes["reason"].value), r#"Text("event_gone")"#);
    posthaste.drained("DeliveriesQueueUrl").await;
}

#[tokio::test]
async fn a_function_killed_at_any_call_after_the_last_attempt_leaves_one_record_and_a_dead_letter()
{
    // Each failed attempt is recorded and counted; the last one is followed by the dead letter, the
    // news of it, and its record.
    let calls = [
        ("dynamodb:UpdateItem", 6),
        ("sqs:SendMessageBatch", 0),
        ("sqs:SendMessageBatch", 1),
        ("dynamodb:UpdateItem", 7),
        ("dynamodb:UpdateItem", 8),
    ];
    for (operation, skip) in calls {
        for action in [Action::KillBefore, Action::KillAfter] {
            let posthaste = Posthaste::start().await;
            let webhook = posthaste.register_failing("mine", &["*"], 500, 100).await;
            let aimed = posthaste
                .system
                .faults()
                .aim(Aim::at("deliver", operation, action.clone()).skip(skip));
            posthaste.api.publish("order.created", json!({})).await;
            tokio::time::timeout(posthaste_tests::SOON, aimed.hit()).await.expect("the fault hits");
            posthaste_tests::eventually("the message is gone", async || {
                posthaste.hurry();
                let depth =
                    posthaste.system.metrics().queues[&posthaste.queue("DeliveriesQueueUrl")];
                (depth.visible + depth.in_flight + depth.delayed == 0).then_some(())
            })
            .await;
            let delivery = posthaste.deliveries(&webhook, "exhausted", 1).await.remove(0);
            let letter = posthaste.receive("ExhaustedDeliveriesQueueUrl").await;
            assert!(
                letter.body.contains(delivery["id"].as_str().unwrap()),
                "{operation} {action:?}"
            );
            posthaste_tests::eventually("the news is stored", async || {
                posthaste.hurry();
                let depth = posthaste.system.metrics().queues[&posthaste.queue("EventsQueueUrl")];
                (depth.visible + depth.in_flight + depth.delayed == 0).then_some(())
            })
            .await;
            let news =
                posthaste.api.ok(Method::GET, "/events?type=delivery.exhausted", Value::Null).await;
            assert_eq!(news["items"].as_array().unwrap().len(), 1, "{operation} {action:?}");
        }
    }
}

#[tokio::test]
async fn what_a_killed_deliver_held_is_tried_again_when_it_is_visible_again() {
    let posthaste = Posthaste::start().await;
    posthaste.register("mine", &["*"]).await;
    let aimed = posthaste.system.faults().aim(Aim::at(
        "deliver",
        "dynamodb:UpdateItem",
        Action::KillBefore,
    ));
    posthaste.api.publish("order.created", json!({})).await;
    aimed.hit().await;
    // The queue's visibility timeout is 60 s; the rest is for a busy machine.
    posthaste.arrived_within("mine", 2, Duration::from_secs(90)).await;
}

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
