//! SendMessageBatch, DeleteMessageBatch and ChangeMessageVisibilityBatch answer for each entry.

use aws_sdk_sqs::{
    operation::{
        delete_message_batch::{DeleteMessageBatchError, DeleteMessageBatchOutput},
        send_message_batch::{SendMessageBatchError, SendMessageBatchOutput},
    },
    types::{
        BatchResultErrorEntry, ChangeMessageVisibilityBatchRequestEntry,
        DeleteMessageBatchRequestEntry, QueueAttributeName::MaximumMessageSize,
        SendMessageBatchRequestEntry,
    },
};

use crate::server::{Server, bodies, code};

fn entry(id: &str, body: &str) -> SendMessageBatchRequestEntry {
    SendMessageBatchRequestEntry::builder().id(id).message_body(body).build().unwrap()
}

fn deletion(id: &str, handle: &str) -> DeleteMessageBatchRequestEntry {
    DeleteMessageBatchRequestEntry::builder().id(id).receipt_handle(handle).build().unwrap()
}

fn change(id: &str, handle: &str, seconds: i32) -> ChangeMessageVisibilityBatchRequestEntry {
    let entry = ChangeMessageVisibilityBatchRequestEntry::builder().id(id).receipt_handle(handle);
    entry.visibility_timeout(seconds).build().unwrap()
}

async fn send(
    server: &Server,
    url: &str,
    entries: Vec<SendMessageBatchRequestEntry>,
) -> Result<SendMessageBatchOutput, SendMessageBatchError> {
    let request = server.client.send_message_batch().queue_url(url).set_entries(Some(entries));
    request.send().await.map_err(|error| error.into_service_error())
}

async fn delete(
    server: &Server,
    url: &str,
    entries: Vec<DeleteMessageBatchRequestEntry>,
) -> Result<DeleteMessageBatchOutput, DeleteMessageBatchError> {
    let request = server.client.delete_message_batch().queue_url(url).set_entries(Some(entries));
    request.send().await.map_err(|error| error.into_service_error())
}

fn failures(failed: &[BatchResultErrorEntry]) -> Vec<(&str, &str, bool)> {
    failed.iter().map(|entry| (entry.id(), entry.code(), entry.sender_fault())).collect()
}

#[tokio::test]
async fn ten_messages_go_in_one_batch_and_come_in_order() {
    let (server, url) = Server::with_queue(&[]).await;
    let sent = send(
        &server,
        &url,
        (0..10).map(|n| entry(&format!("id_{n}-X"), &format!("m{n}"))).collect(),
    )
    .await;
    let sent = sent.unwrap();
    assert_eq!(sent.failed(), []);
    assert_eq!(sent.successful()[9].id(), "id_9-X");
    let received = server.receive(&url).await;
    assert_eq!(bodies(&received), ["m0", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "m9"]);
    let sent: Vec<_> = sent
        .successful()
        .iter()
        .map(|entry| (entry.message_id(), entry.md5_of_message_body()))
        .collect();
    let received: Vec<_> = received
        .iter()
        .map(|message| (message.message_id().unwrap(), message.md5_of_body().unwrap()))
        .collect();
    assert_eq!(sent, received);
}

#[tokio::test]
async fn a_batch_is_refused_as_a_whole_for_its_entries_number_and_ids() {
    let (server, url) = Server::with_queue(&[]).await;
    assert!(send(&server, &url, vec![]).await.unwrap_err().is_empty_batch_request());
    let eleven = (0..11).map(|n| entry(&n.to_string(), "x")).collect();
    let error = send(&server, &url, eleven).await.unwrap_err();
    assert!(error.is_too_many_entries_in_batch_request());
    assert_eq!(
        error.meta().message(),
        Some("Maximum number of entries per request are 10. You have sent 11.")
    );
    let twice = vec![entry("a", "x"), entry("b", "x"), entry("a", "y")];
    let error = send(&server, &url, twice).await.unwrap_err();
    assert!(error.is_batch_entry_ids_not_distinct());
    assert_eq!(error.meta().message(), Some("Id a repeated."));
    for bad in ["", "a b", "a:b", "ä", &"x".repeat(81)] {
        let error =
            send(&server, &url, vec![entry("good", "x"), entry(bad, "x")]).await.unwrap_err();
        assert!(error.is_invalid_batch_entry_id(), "{bad}");
    }
    assert!(send(&server, &url, vec![entry(&"x".repeat(80), "x")]).await.is_ok());
    assert_eq!(server.depth("q"), (1, 0, 0));
}

#[tokio::test]
async fn the_messages_of_a_batch_are_at_most_a_mebibyte_together() {
    let (server, url) = Server::with_queue(&[]).await;
    let half = "x".repeat(524_288);
    let sent = send(&server, &url, vec![entry("a", &half), entry("b", &half)]).await.unwrap();
    assert_eq!(sent.successful().len(), 2);
    let error = send(&server, &url, vec![entry("a", &half), entry("b", &half), entry("c", "x")])
        .await
        .unwrap_err();
    assert!(error.is_batch_request_too_long());
    assert_eq!(
        error.meta().message(),
        Some("Batch requests cannot be longer than 1048576 bytes. You have sent 1048577 bytes.")
    );
}

#[tokio::test]
async fn a_bad_message_fails_alone() {
    let (server, url) = Server::with_queue(&[(MaximumMessageSize, "1024")]).await;
    let late = SendMessageBatchRequestEntry::builder()
        .id("late")
        .message_body("x")
        .delay_seconds(901)
        .build()
        .unwrap();
    let entries = vec![
        entry("first", "1"),
        entry("long", &"x".repeat(1_025)),
        entry("bad", "\u{1}"),
        late,
        entry("last", "2"),
    ];
    let sent = send(&server, &url, entries).await.unwrap();
    assert_eq!(
        sent.successful().iter().map(|entry| entry.id()).collect::<Vec<_>>(),
        ["first", "last"]
    );
    let expected = [
        ("long", "InvalidParameterValue", true),
        ("bad", "InvalidMessageContents", true),
        ("late", "InvalidParameterValue", true),
    ];
    assert_eq!(failures(sent.failed()), expected);
    let message =
        "One or more parameters are invalid. Reason: Message must be shorter than 1024 bytes.";
    assert_eq!(sent.failed()[0].message(), Some(message));
    assert_eq!(bodies(&server.receive(&url).await), ["1", "2"]);
}

#[tokio::test]
async fn messages_are_deleted_in_batches_each_for_itself() {
    let (server, url) = Server::with_queue(&[]).await;
    server.send(&url, "a").await;
    server.send(&url, "b").await;
    let received = server.receive(&url).await;
    let handles: Vec<&str> =
        received.iter().map(|message| message.receipt_handle().unwrap()).collect();
    let entries =
        vec![deletion("a", handles[0]), deletion("x", "garbage"), deletion("b", handles[1])];
    let deleted = delete(&server, &url, entries).await.unwrap();
    assert_eq!(deleted.successful().iter().map(|entry| entry.id()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(failures(deleted.failed()), [("x", "ReceiptHandleIsInvalid", true)]);
    assert_eq!(server.depth("q"), (0, 0, 0));
}

#[tokio::test]
async fn a_batch_of_deletions_keeps_the_rules_of_batches() {
    let (server, url) = Server::with_queue(&[]).await;
    assert!(delete(&server, &url, vec![]).await.unwrap_err().is_empty_batch_request());
    let eleven = (0..11).map(|n| deletion(&n.to_string(), "x")).collect();
    assert!(
        delete(&server, &url, eleven).await.unwrap_err().is_too_many_entries_in_batch_request()
    );
    let twice = vec![deletion("a", "x"), deletion("a", "y")];
    assert!(delete(&server, &url, twice).await.unwrap_err().is_batch_entry_ids_not_distinct());
    assert!(
        delete(&server, &url, vec![deletion("?", "x")])
            .await
            .unwrap_err()
            .is_invalid_batch_entry_id()
    );
}

#[tokio::test]
async fn visibility_is_changed_in_batches_each_for_itself() {
    let (server, url) = Server::with_queue(&[]).await;
    for body in ["a", "b", "c"] {
        server.send(&url, body).await;
    }
    let received = server.receive(&url).await;
    let handles: Vec<&str> =
        received.iter().map(|message| message.receipt_handle().unwrap()).collect();
    let entries = vec![
        change("a", handles[0], 0),
        change("b", handles[1], 43_201),
        change("x", "garbage", 1),
    ];
    let changed =
        server.client.change_message_visibility_batch().queue_url(&url).set_entries(Some(entries));
    let changed = changed.send().await.unwrap();
    assert_eq!(changed.successful().iter().map(|entry| entry.id()).collect::<Vec<_>>(), ["a"]);
    let expected = [("b", "InvalidParameterValue", true), ("x", "ReceiptHandleIsInvalid", true)];
    assert_eq!(failures(changed.failed()), expected);
    assert_eq!(server.depth("q"), (1, 2, 0));
    assert_eq!(server.receive_one(&url).await.body(), Some("a"));

    let empty = server
        .client
        .change_message_visibility_batch()
        .queue_url(&url)
        .set_entries(Some(vec![]))
        .send()
        .await;
    assert_eq!(code(empty), "AWS.SimpleQueueService.EmptyBatchRequest");
}
