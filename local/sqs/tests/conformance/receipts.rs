//! A receipt handle is good for DeleteMessage and ChangeMessageVisibility.

use crate::server::{Server, code};

#[tokio::test]
async fn a_deleted_message_never_comes_back_and_can_be_deleted_again() {
    let (server, url) = Server::with_queue(&[]).await;
    server.send(&url, "x").await;
    let received = server.receive_one(&url).await;
    server.delete(&url, &received).await;
    assert_eq!(server.depth("q"), (0, 0, 0));
    assert_eq!(server.sqs.expire_in_flight("q"), 0);
    assert_eq!(server.receive(&url).await, []);
    server.delete(&url, &received).await;
}

#[tokio::test]
async fn an_old_receipt_handle_deletes_a_visible_and_an_again_received_message() {
    let (server, url) = Server::with_queue(&[]).await;
    server.send(&url, "a").await;
    let old = server.receive_one(&url).await;
    server.sqs.expire_in_flight("q");
    server.delete(&url, &old).await;
    assert_eq!(server.receive(&url).await, []);

    server.send(&url, "b").await;
    let old = server.receive_one(&url).await;
    server.sqs.expire_in_flight("q");
    server.receive_one(&url).await;
    server.delete(&url, &old).await;
    assert_eq!(server.depth("q"), (0, 0, 0));
}

#[tokio::test]
async fn garbage_and_handles_of_other_queues_are_invalid() {
    let (server, url) = Server::with_queue(&[]).await;
    let other = server.queue("other", &[]).await;
    server.send(&other, "x").await;
    let foreign = server.receive_one(&other).await.receipt_handle.unwrap();
    for handle in ["garbage", "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a", foreign.as_str()] {
        let deleted =
            server.client.delete_message().queue_url(&url).receipt_handle(handle).send().await;
        assert!(
            deleted.unwrap_err().into_service_error().is_receipt_handle_is_invalid(),
            "{handle}"
        );
        let changed =
            server.client.change_message_visibility().queue_url(&url).receipt_handle(handle);
        let changed = changed.visibility_timeout(1).send().await.unwrap_err().into_service_error();
        assert!(changed.is_receipt_handle_is_invalid(), "{handle}");
    }
    let missing = server.client.delete_message().queue_url(&url).send().await;
    assert_eq!(code(missing), "MissingParameter");
    assert_eq!(server.depth("other"), (0, 1, 0));
}

#[tokio::test]
async fn a_visibility_of_zero_gives_the_message_back_at_once() {
    let (server, url) = Server::with_queue(&[]).await;
    server.send(&url, "x").await;
    let received = server.receive_one(&url).await;
    let change = |seconds: i32| {
        let handle = received.receipt_handle().unwrap();
        let change =
            server.client.change_message_visibility().queue_url(&url).receipt_handle(handle);
        change.visibility_timeout(seconds).send()
    };
    change(43_200 - 10).await.unwrap();
    assert_eq!(server.depth("q"), (0, 1, 0));
    change(0).await.unwrap();
    assert_eq!(server.depth("q"), (1, 0, 0));
    let again = change(5).await.unwrap_err().into_service_error();
    assert!(again.is_message_not_inflight());
    assert_eq!(server.receive_one(&url).await.message_id(), received.message_id());
}

#[tokio::test]
async fn a_visibility_is_0_to_43200_seconds_of_a_message_that_exists() {
    let (server, url) = Server::with_queue(&[]).await;
    server.send(&url, "x").await;
    let received = server.receive_one(&url).await;
    let change = || {
        let handle = received.receipt_handle().unwrap();
        server.client.change_message_visibility().queue_url(&url).receipt_handle(handle)
    };
    for bad in [-1, 43_201] {
        assert_eq!(code(change().visibility_timeout(bad).send().await), "InvalidParameterValue");
    }
    assert_eq!(code(change().send().await), "MissingParameter");
    server.delete(&url, &received).await;
    assert_eq!(code(change().visibility_timeout(1).send().await), "InvalidParameterValue");
}
