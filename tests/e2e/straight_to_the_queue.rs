//! Events can reach the queue without the API.

use posthaste_tests::Posthaste;
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn an_event_sent_to_the_queue_is_the_same_as_one_through_the_api() {
    let posthaste = Posthaste::start().await;
    posthaste.register("mine", &["*"]).await;
    let event = json!({
        "type": "order.created", "subject": "c-1", "timestamp": "2023-07-18T15:32:13Z",
        "data": { "n": 1 },
    });
    posthaste.api.ok(Method::POST, "/events", event.clone()).await;
    let through_the_api = posthaste.arrived("mine", 1).await.remove(0);
    let mut straight = event;
    straight["workspace"] = json!("default");
    posthaste.send("EventsQueueUrl", &[straight.to_string()]).await;
    let through_the_queue = posthaste.arrived("mine", 2).await.remove(1);
    assert_eq!(through_the_queue.body, through_the_api.body);
    let names =
        |lines: &[(String, String)]| lines.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&through_the_queue.header_lines), names(&through_the_api.header_lines));
    let id = &through_the_queue.headers["webhook-id"];
    let read = posthaste.api.ok(Method::GET, &format!("/events/{id}"), Value::Null).await;
    assert_eq!((&read["subject"], &read["data"]), (&json!("c-1"), &json!({ "n": 1 })));
}

#[tokio::test]
async fn a_redelivered_message_is_no_second_event() {
    let posthaste = Posthaste::with_faults("seed=7,duplicate=100%").await;
    let webhook = posthaste.register("mine", &["*"]).await;
    posthaste
        .send(
            "EventsQueueUrl",
            &[json!({ "workspace": "default", "type": "order.created", "data": {} }).to_string()],
        )
        .await;
    posthaste.deliveries(&webhook, "succeeded", 1).await;
    posthaste.idle().await;
    let events = posthaste.api.ok(Method::GET, "/events", Value::Null).await;
    assert_eq!(events["items"].as_array().unwrap().len(), 1);
    assert_eq!(posthaste.deliveries(&webhook, "succeeded", 1).await.len(), 1);
}

fn envelope(detail_type: &str, detail: Value) -> String {
    json!({
        "version": "0", "id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718", "detail-type": detail_type, "source": "shop",
        "account": "111122223333", "time": "2017-12-22T18:43:48Z", "region": "eu-central-1",
        "resources": [], "detail": detail,
    })
    .to_string()
}

#[tokio::test]
async fn an_eventbridge_rule_can_have_the_queue_as_its_target() {
    let posthaste = Posthaste::start().await;
    posthaste.register("mine", &["*"]).await;
    let bodies = [
        envelope(
            "order.created",
            json!({ "workspace": "default", "subject": "c-1", "data": { "n": 1 } }),
        ),
        envelope(
            "EC2 Instance State-change Notification",
            json!({ "instance-id": "i-1", "state": "terminated" }),
        ),
    ];
    posthaste.send("EventsQueueUrl", &bodies).await;
    let mut arrived: Vec<Value> = posthaste
        .arrived("mine", 2)
        .await
        .iter()
        .map(|request| serde_json::from_str(&request.body).unwrap())
        .collect();
    arrived.sort_by_key(|body| body["type"].to_string());
    let expected = [
        json!({
            "type": "EC2_Instance_State-change_Notification", "timestamp": "2017-12-22T18:43:48Z",
            "data": { "instance-id": "i-1", "state": "terminated" },
        }),
        json!({ "type": "order.created", "timestamp": "2017-12-22T18:43:48Z", "data": { "n": 1 } }),
    ];
    assert_eq!(arrived, expected);
}

/// Two rules that match the same event send the same envelope, each as a message of its own.
#[tokio::test]
async fn an_eventbridge_event_that_two_rules_send_is_one_event() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register("mine", &["*"]).await;
    let mut envelope: Value =
        serde_json::from_str(&envelope("order.created", json!({ "n": 1 }))).unwrap();
    envelope["time"] = json!(
        posthaste.api.ok(Method::GET, "/webhooks", Value::Null).await["items"][0]["createdAt"]
    );
    posthaste.send("EventsQueueUrl", &[envelope.to_string()]).await;
    posthaste.deliveries(&webhook, "succeeded", 1).await;
    posthaste.send("EventsQueueUrl", &[envelope.to_string()]).await;
    posthaste.idle().await;
    let events = posthaste.api.ok(Method::GET, "/events", Value::Null).await;
    assert_eq!(events["items"].as_array().unwrap().len(), 1);
    let arrived = posthaste.system.inbox().arrived("mine");
    assert!(
        arrived
            .iter()
            .all(|request| request.headers["webhook-id"] == arrived[0].headers["webhook-id"])
    );
}

/// A message that is sent back from the dead-letter queue has another message id.
#[tokio::test]
async fn a_redriven_event_keeps_its_id() {
    let posthaste = Posthaste::start().await;
    posthaste.register("mine", &["*"]).await;
    let schema = |required: &str| json!({ "schema": { "type": "object", "required": [required] } });
    posthaste.api.ok(Method::PUT, "/event-types/invoice.paid", schema("total")).await;
    let event = json!({ "workspace": "default", "type": "invoice.paid", "data": { "sum": 1 } });
    posthaste.send("EventsQueueUrl", &[event.to_string()]).await;
    let letters = posthaste.queue("EventsDeadLetterQueueUrl");
    posthaste_tests::eventually("the dead letter is there", async || {
        (posthaste.system.metrics().queues[&letters].visible == 1).then_some(())
    })
    .await;
    let letter = posthaste.receive("EventsDeadLetterQueueUrl").await;
    let id = format!("{:?}", letter.message_attributes["eventId"].value);
    posthaste.system.sqs().expire_in_flight(&letters);
    posthaste.api.ok(Method::PUT, "/event-types/invoice.paid", schema("sum")).await;
    let arn = |output: &str| posthaste.system.stack().outputs[output].clone();
    let task = json!({
        "SourceArn": arn("EventsDeadLetterQueueArn"), "DestinationArn": arn("EventsQueueArn"),
    });
    posthaste.system.sqs().call("StartMessageMoveTask", task.to_string().as_bytes()).await.unwrap();
    let arrived = posthaste.arrived("mine", 1).await.remove(0);
    assert_eq!(format!("Text({:?})", arrived.headers["webhook-id"]), id);
}

#[tokio::test]
async fn data_that_does_not_fit_its_type_is_a_dead_letter_with_its_reason() {
    let posthaste = Posthaste::start().await;
    let schema = json!({ "schema": { "type": "object", "required": ["total"] } });
    posthaste.api.ok(Method::PUT, "/event-types/invoice.paid", schema).await;
    for (name, detail) in [
        ("process_run_start", "data.processType is required"),
        ("invoice.paid", "data.total is required"),
    ] {
        posthaste
            .send(
                "EventsQueueUrl",
                &[json!({ "workspace": "default", "type": name, "data": {} }).to_string()],
            )
            .await;
        let letter = posthaste.receive("EventsDeadLetterQueueUrl").await;
        assert_eq!(
            format!("{:?}", letter.message_attributes["reason"].value),
            r#"Text("invalid_event")"#
        );
        assert_eq!(
            format!("{:?}", letter.message_attributes["detail"].value),
            format!("Text({detail:?})")
        );
    }
    posthaste.idle().await;
}

#[tokio::test]
async fn a_message_with_an_id_of_its_own_brings_no_news_that_is_posthastes_alone() {
    let posthaste = Posthaste::start().await;
    posthaste.register("mine", &["webhook.*", "order.*"]).await;
    // An id of about now.
    let id = posthaste.api.workspace("other").await.publish("order.created", json!({})).await;
    let message = |name: &str| {
        json!({ "workspace": "default", "id": id, "type": name, "data": {} }).to_string()
    };
    posthaste
        .send("EventsQueueUrl", &[message("webhook.disabled"), message("order.created")])
        .await;
    let letter = posthaste.receive("EventsDeadLetterQueueUrl").await;
    let attribute = |name: &str| format!("{:?}", letter.message_attributes[name].value);
    assert_eq!(attribute("reason"), r#"Text("invalid_event")"#);
    assert!(attribute("detail").contains("webhook.disabled is published by Posthaste alone"));
    let arrived = posthaste.arrived("mine", 1).await.remove(0);
    assert_eq!(arrived.headers["webhook-id"], id);
    posthaste.idle().await;
    assert_eq!(posthaste.system.inbox().arrived("mine").len(), 1);
}
