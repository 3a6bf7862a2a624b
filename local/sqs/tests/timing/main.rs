//! Time is tested on a paused clock: exactly, and without waiting for it.

#![cfg(test)]

mod hiding;

use std::time::Duration;

use posthaste_local_sqs::{ErrorKind, Received, Settings, Sqs, SqsError};
use serde_json::{Value, json};
use tokio::{
    task::JoinHandle,
    time::{Instant, advance, sleep, timeout},
};

const URL: &str = "http://127.0.0.1/000000000000/q";
const ARN: &str = "arn:aws:sqs:us-east-1:000000000000:q";
const DEAD_URL: &str = "http://127.0.0.1/000000000000/dead";
const DEAD_ARN: &str = "arn:aws:sqs:us-east-1:000000000000:dead";

async fn call(sqs: &Sqs, action: &str, body: Value) -> Result<Value, SqsError> {
    sqs.call(action, body.to_string().as_bytes()).await
}

/// Makes a server with the queue `q`.
async fn with_queue(attributes: Value) -> Sqs {
    let settings = Settings {
        base_url: "http://127.0.0.1".to_owned(),
        region: "us-east-1".to_owned(),
        account: "000000000000".to_owned(),
    };
    let sqs = Sqs::new(settings);
    call(&sqs, "CreateQueue", json!({"QueueName": "q", "Attributes": attributes})).await.unwrap();
    sqs
}

/// Makes a server with the queue `q` and its dead-letter queue `dead`.
async fn with_dead_letters(attributes: Value) -> Sqs {
    let sqs = with_queue(json!({})).await;
    call(&sqs, "CreateQueue", json!({"QueueName": "dead", "Attributes": attributes}))
        .await
        .unwrap();
    let policy = json!({"deadLetterTargetArn": DEAD_ARN, "maxReceiveCount": 1}).to_string();
    let attributes = json!({"QueueUrl": URL, "Attributes": {"RedrivePolicy": policy}});
    call(&sqs, "SetQueueAttributes", attributes).await.unwrap();
    sqs
}

async fn send(sqs: &Sqs, body: &str) {
    call(sqs, "SendMessage", json!({"QueueUrl": URL, "MessageBody": body})).await.unwrap();
}

async fn send_delayed(sqs: &Sqs, body: &str, seconds: u32) {
    let message = json!({"QueueUrl": URL, "MessageBody": body, "DelaySeconds": seconds});
    call(sqs, "SendMessage", message).await.unwrap();
}

async fn change(sqs: &Sqs, handle: &str, seconds: u32) -> Result<Value, SqsError> {
    let change = json!({"QueueUrl": URL, "ReceiptHandle": handle, "VisibilityTimeout": seconds});
    call(sqs, "ChangeMessageVisibility", change).await
}

/// Receives the messages that are visible now.
async fn now(sqs: &Sqs) -> Vec<Received> {
    sqs.receive("q", 10, Duration::ZERO).await.unwrap()
}

/// Receives for 20 seconds, and returns the bodies and the milliseconds that it took.
async fn wait(sqs: &Sqs) -> (Vec<String>, u128) {
    let start = Instant::now();
    let received = sqs.receive("q", 10, Duration::from_secs(20)).await.unwrap();
    let bodies = received.into_iter().map(|message| message.body).collect();
    // The clock's steps are whole milliseconds, and it never fires early.
    (bodies, start.elapsed().as_millis())
}

/// Starts a receive of 20 seconds, which is waiting when this returns.
async fn waiting(sqs: &Sqs) -> JoinHandle<(Vec<String>, u128)> {
    let sqs = sqs.clone();
    let task = tokio::spawn(async move { wait(&sqs).await });
    tokio::task::yield_now().await;
    assert!(!task.is_finished());
    task
}

fn at(seconds: u128, (bodies, millis): &(Vec<String>, u128)) -> Vec<&str> {
    assert!((seconds * 1_000..=seconds * 1_000 + 1).contains(millis), "{millis} ms");
    bodies.iter().map(String::as_str).collect()
}

#[tokio::test(start_paused = true)]
async fn a_long_poll_ends_empty_when_its_time_is_over() {
    let sqs = with_queue(json!({})).await;
    assert_eq!(at(20, &wait(&sqs).await), [] as [&str; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_long_poll_wakes_on_a_send() {
    let sqs = with_queue(json!({})).await;
    let task = waiting(&sqs).await;
    sleep(Duration::from_secs(7)).await;
    send(&sqs, "x").await;
    assert_eq!(at(7, &task.await.unwrap()), ["x"]);
}

#[tokio::test(start_paused = true)]
async fn a_long_poll_wakes_for_dead_letters_expired_flights_and_duplicates() {
    let sqs = with_dead_letters(json!({})).await;
    let dead = {
        let sqs = sqs.clone();
        tokio::spawn(async move { sqs.receive("dead", 1, Duration::from_secs(600)).await.unwrap() })
    };
    send(&sqs, "x").await;
    assert_eq!(now(&sqs).await.len(), 1);
    let task = waiting(&sqs).await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(sqs.expire_in_flight("q"), 1);
    assert_eq!(dead.await.unwrap()[0].body, "x");

    sqs.set_duplicator(Some(Box::new(|| true)));
    let second = waiting(&sqs).await;
    send(&sqs, "twice").await;
    assert_eq!(at(1, &task.await.unwrap()), ["twice"]);
    assert_eq!(at(0, &second.await.unwrap()), ["twice"]);
    assert_eq!(sqs.expire_in_flight("none"), 0);
}

#[tokio::test(start_paused = true)]
async fn of_several_long_polls_each_message_wakes_one() {
    let sqs = with_queue(json!({})).await;
    let tasks = [waiting(&sqs).await, waiting(&sqs).await, waiting(&sqs).await];
    for body in ["a", "b"] {
        sleep(Duration::from_secs(1)).await;
        send(&sqs, body).await;
    }
    let mut received = Vec::new();
    for task in tasks {
        received.push(task.await.unwrap());
    }
    received.sort();
    assert_eq!(at(20, &received[0]), [] as [&str; 0]);
    assert_eq!(at(1, &received[1]), ["a"]);
    assert_eq!(at(2, &received[2]), ["b"]);
}

#[tokio::test(start_paused = true)]
async fn a_long_poll_ends_when_its_queue_is_deleted() {
    let sqs = with_queue(json!({})).await;
    let task = {
        let sqs = sqs.clone();
        tokio::spawn(async move { sqs.receive("q", 1, Duration::from_secs(20)).await })
    };
    sleep(Duration::from_secs(1)).await;
    call(&sqs, "DeleteQueue", json!({"QueueUrl": URL})).await.unwrap();
    let error = timeout(Duration::from_secs(1), task).await.unwrap().unwrap().unwrap_err();
    assert_eq!(error.kind, ErrorKind::QueueDoesNotExist);
}

#[tokio::test(start_paused = true)]
async fn a_receive_whose_caller_went_away_takes_no_message() {
    let sqs = with_queue(json!({})).await;
    let gone = timeout(Duration::from_secs(1), sqs.receive("q", 1, Duration::from_secs(20))).await;
    assert!(gone.is_err());
    send(&sqs, "x").await;
    assert_eq!(at(0, &wait(&sqs).await), ["x"]);
}

#[tokio::test(start_paused = true)]
async fn messages_are_kept_for_the_retention_period_wherever_they_are() {
    let sqs = with_queue(json!({"MessageRetentionPeriod": "60"})).await;
    let depth = |sqs: &Sqs| {
        let depth = sqs.queues().remove(0);
        (depth.visible, depth.in_flight, depth.delayed)
    };
    send(&sqs, "in flight").await;
    let handle = now(&sqs).await.remove(0).receipt_handle;
    change(&sqs, &handle, 600).await.unwrap();
    send(&sqs, "visible").await;
    send_delayed(&sqs, "delayed", 900).await;
    advance(Duration::from_secs(30)).await;
    send(&sqs, "younger").await;
    advance(Duration::from_millis(29_999)).await;
    assert_eq!(depth(&sqs), (2, 1, 1));
    advance(Duration::from_millis(1)).await;
    assert_eq!(depth(&sqs), (1, 0, 0));
    assert_eq!(at(0, &wait(&sqs).await), ["younger"]);
}

#[tokio::test(start_paused = true)]
async fn a_shorter_retention_period_holds_for_the_messages_that_are_there() {
    let sqs = with_queue(json!({})).await;
    send(&sqs, "old").await;
    advance(Duration::from_secs(100)).await;
    send(&sqs, "new").await;
    let change = json!({"QueueUrl": URL, "Attributes": {"MessageRetentionPeriod": "60"}});
    call(&sqs, "SetQueueAttributes", change).await.unwrap();
    assert_eq!(at(0, &wait(&sqs).await), ["new"]);
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_s_retention_counts_from_when_it_was_first_sent() {
    let sqs = with_dead_letters(json!({"MessageRetentionPeriod": "60"})).await;
    send(&sqs, "x").await;
    assert_eq!(now(&sqs).await.len(), 1);
    advance(Duration::from_secs(40)).await;
    assert_eq!(now(&sqs).await, []);
    let dead = |sqs: &Sqs| sqs.queues().remove(0).visible;
    assert_eq!(dead(&sqs), 1);
    advance(Duration::from_secs(20)).await;
    assert_eq!(dead(&sqs), 0);
}

#[tokio::test(start_paused = true)]
async fn a_queue_can_be_purged_and_a_deleted_one_created_again_after_a_minute() {
    let sqs = with_queue(json!({})).await;
    let purge = async || call(&sqs, "PurgeQueue", json!({"QueueUrl": URL})).await;
    let create = async || call(&sqs, "CreateQueue", json!({"QueueName": "q"})).await;
    purge().await.unwrap();
    advance(Duration::from_millis(59_999)).await;
    assert_eq!(purge().await.unwrap_err().kind, ErrorKind::PurgeQueueInProgress);
    advance(Duration::from_millis(1)).await;
    purge().await.unwrap();

    send(&sqs, "x").await;
    let handle = now(&sqs).await.remove(0).receipt_handle;
    call(&sqs, "DeleteQueue", json!({"QueueUrl": URL})).await.unwrap();
    advance(Duration::from_millis(59_999)).await;
    assert_eq!(create().await.unwrap_err().kind, ErrorKind::QueueDeletedRecently);
    advance(Duration::from_millis(1)).await;
    create().await.unwrap();
    send(&sqs, "y").await;
    let error = sqs.delete("q", &handle).unwrap_err();
    assert_eq!(error.kind, ErrorKind::ReceiptHandleIsInvalid, "it was another queue's");
}

#[tokio::test(start_paused = true)]
async fn at_120_000_messages_in_flight_short_polls_fail_and_long_polls_wait() {
    let sqs = with_queue(json!({"VisibilityTimeout": "43200"})).await;
    for _ in 0..120_002 {
        send(&sqs, "x").await;
    }
    let most = sqs.receive("q", 119_995, Duration::ZERO).await.unwrap();
    assert_eq!(most.len(), 119_995);
    assert_eq!(now(&sqs).await.len(), 5, "as many as may still be in flight");
    let error = sqs.receive("q", 1, Duration::ZERO).await.unwrap_err();
    assert_eq!((error.kind, error.code()), (ErrorKind::OverLimit, "OverLimit"));
    assert_eq!(at(20, &wait(&sqs).await), [] as [&str; 0]);

    let task = waiting(&sqs).await;
    sleep(Duration::from_secs(3)).await;
    sqs.delete("q", &most[77].receipt_handle).unwrap();
    assert_eq!(at(3, &task.await.unwrap()), ["x"]);
}

#[tokio::test(start_paused = true)]
async fn a_move_task_keeps_its_rate() {
    let sqs = with_dead_letters(json!({})).await;
    for _ in 0..5 {
        send(&sqs, "x").await;
    }
    assert_eq!(now(&sqs).await.len(), 5);
    sqs.expire_in_flight("q");
    assert_eq!(now(&sqs).await, []);
    let start =
        json!({"SourceArn": DEAD_ARN, "DestinationArn": ARN, "MaxNumberOfMessagesPerSecond": 2});
    call(&sqs, "StartMessageMoveTask", start).await.unwrap();
    let moved = |sqs: &Sqs| sqs.queues().remove(1).visible;
    sleep(Duration::from_millis(10)).await;
    for expected in 1..=5 {
        assert_eq!(moved(&sqs), expected);
        sleep(Duration::from_millis(500)).await;
    }
    let list = call(&sqs, "ListMessageMoveTasks", json!({"SourceArn": DEAD_ARN})).await.unwrap();
    assert_eq!(list["Results"][0]["Status"], "COMPLETED");
    let purge = call(&sqs, "PurgeQueue", json!({"QueueUrl": DEAD_URL})).await;
    assert_eq!(purge, Ok(json!({})));
}

#[tokio::test(start_paused = true)]
async fn a_received_message_has_all_that_a_lambda_record_needs() {
    let sqs = with_queue(json!({})).await;
    let attribute = json!({"DataType": "Binary", "BinaryValue": "AP8="});
    let message = json!({
        "QueueUrl": URL,
        "MessageBody": "test",
        "MessageGroupId": "tenant",
        "MessageAttributes": {"bytes": attribute},
    });
    let sent = call(&sqs, "SendMessage", message).await.unwrap();
    let received = now(&sqs).await.remove(0);
    assert_eq!(received.message_id, sent["MessageId"]);
    assert_eq!(received.body, "test");
    assert_eq!(received.md5_of_body, "098f6bcd4621d373cade4e832627b4f6");
    assert_eq!(received.attributes["MessageGroupId"], "tenant");
    assert_eq!(received.attributes["ApproximateReceiveCount"], "1");
    let bytes = &received.message_attributes["bytes"];
    assert_eq!(bytes.data_type, "Binary");
    assert_eq!(bytes.value, posthaste_local_sqs::AttributeValue::Binary(vec![0, 255]));
    sqs.delete("q", &received.receipt_handle).unwrap();
    assert_eq!(sqs.delete("none", "x").unwrap_err().kind, ErrorKind::QueueDoesNotExist);
}
