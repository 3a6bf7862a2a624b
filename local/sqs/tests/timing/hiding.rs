//! Delays and visibility timeouts hide messages for a time.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_long_poll_wakes_when_a_delay_ends() {
    let sqs = with_queue(json!({"DelaySeconds": "9"})).await;
    let task = waiting(&sqs).await;
    send(&sqs, "queue's delay").await;
    send_delayed(&sqs, "own delay", 4).await;
    assert_eq!(at(4, &task.await.unwrap()), ["own delay"]);
    assert_eq!(at(5, &wait(&sqs).await), ["queue's delay"]);
    send_delayed(&sqs, "no delay", 0).await;
    assert_eq!(at(0, &wait(&sqs).await), ["no delay"]);
}

#[tokio::test(start_paused = true)]
async fn a_long_poll_wakes_when_a_visibility_timeout_ends() {
    let sqs = with_queue(json!({"VisibilityTimeout": "12"})).await;
    send(&sqs, "x").await;
    assert_eq!(now(&sqs).await.len(), 1);
    assert_eq!(at(12, &wait(&sqs).await), ["x"]);
}

#[tokio::test(start_paused = true)]
async fn a_long_poll_learns_of_a_changed_visibility() {
    let sqs = with_queue(json!({"VisibilityTimeout": "10"})).await;
    send(&sqs, "x").await;
    let handle = now(&sqs).await.remove(0).receipt_handle;
    let task = waiting(&sqs).await;
    sleep(Duration::from_secs(2)).await;
    change(&sqs, &handle, 3).await.unwrap();
    assert_eq!(at(5, &task.await.unwrap()), ["x"], "3 seconds count from the change");

    let task = waiting(&sqs).await;
    let extended = change(&sqs, &handle, 15).await;
    assert_eq!(extended, Ok(json!({})), "an older handle is as good");
    assert_eq!(at(15, &task.await.unwrap()), ["x"]);

    assert_eq!(at(10, &wait(&sqs).await), ["x"], "the change held for one receive only");
    let task = waiting(&sqs).await;
    change(&sqs, &handle, 0).await.unwrap();
    assert_eq!(at(0, &task.await.unwrap()), ["x"]);
}

#[tokio::test(start_paused = true)]
async fn messages_become_visible_in_the_order_of_their_times() {
    let sqs = with_queue(json!({})).await;
    for (body, seconds) in [("third", 3), ("first", 1), ("second", 2)] {
        send_delayed(&sqs, body, seconds).await;
    }
    advance(Duration::from_secs(4)).await;
    let bodies: Vec<String> = now(&sqs).await.into_iter().map(|message| message.body).collect();
    assert_eq!(bodies, ["first", "second", "third"]);
}

#[tokio::test(start_paused = true)]
async fn a_message_is_never_invisible_for_more_than_twelve_hours_in_one_receive() {
    let sqs = with_queue(json!({"VisibilityTimeout": "43200"})).await;
    send(&sqs, "x").await;
    let handle = now(&sqs).await.remove(0).receipt_handle;
    advance(Duration::from_secs(3_600)).await;
    let error = change(&sqs, &handle, 43_200).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidParameterValue);
    assert!(error.message.contains("beyond the limit [43200 seconds]"), "{error}");
    change(&sqs, &handle, 39_000).await.unwrap();
    advance(Duration::from_secs(39_001)).await;
    assert_eq!(change(&sqs, &handle, 1).await.unwrap_err().kind, ErrorKind::MessageNotInflight);
    assert_eq!(now(&sqs).await.len(), 1);
    change(&sqs, &handle, 43_200).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn each_message_of_a_batch_has_its_own_delay() {
    let sqs = with_queue(json!({"DelaySeconds": "9", "VisibilityTimeout": "43200"})).await;
    let entry =
        |id: &str, delay: Value| json!({"Id": id, "MessageBody": id, "DelaySeconds": delay});
    let entries = json!([
        entry("most", 900.into()),
        entry("queue-s", Value::Null),
        entry("none", 0.into()),
        entry("few", 4.into())
    ]);
    let sent =
        call(&sqs, "SendMessageBatch", json!({"QueueUrl": URL, "Entries": entries})).await.unwrap();
    assert_eq!(
        (sent["Successful"].as_array().map(Vec::len), &sent["Failed"]),
        (Some(4), &json!([]))
    );
    assert_eq!(at(0, &wait(&sqs).await), ["none"]);
    assert_eq!(at(4, &wait(&sqs).await), ["few"]);
    assert_eq!(at(5, &wait(&sqs).await), ["queue-s"]);
    advance(Duration::from_secs(900 - 9 - 10)).await;
    assert_eq!(at(10, &wait(&sqs).await), ["most"]);
}

#[tokio::test(start_paused = true)]
async fn a_longer_visibility_counts_from_now_in_a_batch_too() {
    let sqs = with_queue(json!({"VisibilityTimeout": "30"})).await;
    for body in ["a", "b", "c"] {
        send(&sqs, body).await;
    }
    let received = now(&sqs).await;
    advance(Duration::from_secs(25)).await;
    let entry = |nth: usize, seconds: u32| {
        let handle = &received[nth].receipt_handle;
        json!({"Id": received[nth].body, "ReceiptHandle": handle, "VisibilityTimeout": seconds})
    };
    let entries = json!([entry(0, 20), entry(1, 43_200 - 25), entry(2, 43_200)]);
    let call =
        call(&sqs, "ChangeMessageVisibilityBatch", json!({"QueueUrl": URL, "Entries": entries}));
    let changed = call.await.unwrap();
    assert_eq!(changed["Successful"], json!([{"Id": "a"}, {"Id": "b"}]));
    let failed = changed["Failed"].as_array().unwrap();
    assert_eq!(
        (failed.len(), &failed[0]["Id"], &failed[0]["Code"]),
        (1, &json!("c"), &json!("InvalidParameterValue"))
    );
    assert_eq!(at(5, &wait(&sqs).await), ["c"], "what was refused changed nothing");
    assert_eq!(at(15, &wait(&sqs).await), ["a"], "20 s count from the change");
}
