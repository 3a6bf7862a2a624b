//! Functions die, calls fail, messages come twice, and nothing is lost.

use std::{collections::BTreeSet, time::Duration};

use posthaste_tests::{Action, Aim, Posthaste, RECORD};
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
        delivered_despite(Aim::at("deliver", RECORD, Action::KillBefore)).await;
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
        delivered_despite(Aim::at("deliver", RECORD, Action::KillAfter)).await;
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
    let (posthaste, delivery) = delivered_despite(Aim::at("deliver", RECORD, Action::Lose)).await;
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
        ("deliver", RECORD),
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
        (RECORD, 0),
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
async fn records_that_a_call_leaves_out_are_written_alone() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register_with("mine", json!({ "profile": "spektr" })).await;
    let aim = Aim::at("deliver", RECORD, Action::FailEntries(vec![0, 2]));
    let aimed = posthaste.system.faults().aim(aim);
    let events: Vec<Value> =
        (0..5).map(|n| json!({ "type": "order.created", "data": { "n": n } })).collect();
    posthaste.api.ok(Method::POST, "/events", json!({ "events": events })).await;
    for delivery in posthaste.deliveries(&webhook, "succeeded", 5).await {
        assert_eq!(delivery["attempts"].as_array().unwrap().len(), 1);
    }
    assert_eq!(aimed.hits(), 1);
    assert!(posthaste.calls("deliver", "dynamodb:UpdateItem") >= 1);
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
        ("dynamodb:UpdateItem", 5),
        ("sqs:SendMessageBatch", 0),
        ("sqs:SendMessageBatch", 1),
        ("dynamodb:UpdateItem", 6),
        ("dynamodb:UpdateItem", 7),
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
    let aim = Aim::at("deliver", RECORD, Action::KillBefore);
    let aimed = posthaste.system.faults().aim(aim);
    posthaste.api.publish("order.created", json!({})).await;
    aimed.hit().await;
    // The queue's visibility timeout is 60 s; the rest is for a busy machine.
    posthaste.arrived_within("mine", 2, Duration::from_secs(90)).await;
}
