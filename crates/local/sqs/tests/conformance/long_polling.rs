//! WaitTimeSeconds: a waiting receive wakes for every way in which a message can become visible. The exact times are in `timing.rs`.

use std::time::Duration;

use aws_sdk_sqs::types::QueueAttributeName::{DelaySeconds, ReceiveMessageWaitTimeSeconds};
use tokio::{
    task::JoinHandle,
    time::{Instant, timeout},
};

use crate::server::{Server, code};

/// A receive that waits for up to 20 seconds, and is already waiting when this returns.
async fn waiting(server: &Server, url: &str) -> JoinHandle<Vec<String>> {
    let receive = server
        .client
        .receive_message()
        .queue_url(url)
        .wait_time_seconds(20)
        .max_number_of_messages(10);
    let task = tokio::spawn(async move {
        let messages = receive.send().await.unwrap().messages.unwrap_or_default();
        messages
            .into_iter()
            .filter_map(|message| message.body)
            .collect()
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!task.is_finished());
    task
}

async fn woken(task: JoinHandle<Vec<String>>) -> Vec<String> {
    timeout(Duration::from_secs(10), task)
        .await
        .expect("woken long before the wait ends")
        .unwrap()
}

#[tokio::test]
async fn a_waiting_receive_wakes_on_a_send() {
    let (server, url) = Server::with_queue(&[]).await;
    let task = waiting(&server, &url).await;
    server.send(&url, "x").await;
    assert_eq!(woken(task).await, ["x"]);
}

#[tokio::test]
async fn a_waiting_receive_wakes_when_a_delay_ends() {
    let (server, url) = Server::with_queue(&[(DelaySeconds, "1")]).await;
    let task = waiting(&server, &url).await;
    let sent = Instant::now();
    server.send(&url, "x").await;
    assert_eq!(woken(task).await, ["x"]);
    assert!(sent.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn a_waiting_receive_wakes_when_a_visibility_timeout_ends() {
    let (server, url) = Server::with_queue(&[]).await;
    server.send(&url, "x").await;
    let received = Instant::now();
    server
        .client
        .receive_message()
        .queue_url(&url)
        .visibility_timeout(1)
        .send()
        .await
        .unwrap();
    assert_eq!(woken(waiting(&server, &url).await).await, ["x"]);
    assert!(received.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn a_waiting_receive_wakes_when_a_message_is_given_back() {
    let (server, url) = Server::with_queue(&[]).await;
    server.send(&url, "x").await;
    let received = server.receive_one(&url).await;
    let task = waiting(&server, &url).await;
    let change = server
        .client
        .change_message_visibility()
        .queue_url(&url)
        .visibility_timeout(0);
    change
        .receipt_handle(received.receipt_handle().unwrap())
        .send()
        .await
        .unwrap();
    assert_eq!(woken(task).await, ["x"]);
}

#[tokio::test]
async fn a_waiting_receive_on_the_dead_letter_queue_wakes_for_a_dead_letter() {
    let (server, url, dead) = Server::with_dead_letters(1).await;
    server.send(&url, "poison").await;
    server.receive_one(&url).await;
    server.sqs.expire_in_flight("q");
    let task = waiting(&server, &dead).await;
    assert_eq!(server.receive(&url).await, []);
    assert_eq!(woken(task).await, ["poison"]);
}

#[tokio::test]
async fn of_several_waiting_receives_each_message_wakes_one() {
    let (server, url) = Server::with_queue(&[]).await;
    let tasks = [
        waiting(&server, &url).await,
        waiting(&server, &url).await,
        waiting(&server, &url).await,
    ];
    let mut received = Vec::new();
    for body in ["a", "b", "c"] {
        server.send(&url, body).await;
    }
    for task in tasks {
        received.extend(woken(task).await);
        // Who came late finds nothing: let it go home.
        if received.len() == 3 {
            break;
        }
    }
    received.sort_unstable();
    assert_eq!(received, ["a", "b", "c"]);
}

#[tokio::test]
async fn the_queue_s_wait_time_holds_unless_the_call_has_its_own() {
    let (server, url) = Server::with_queue(&[(ReceiveMessageWaitTimeSeconds, "1")]).await;
    let start = Instant::now();
    let receive = || server.client.receive_message().queue_url(&url);
    assert_eq!(
        receive()
            .wait_time_seconds(0)
            .send()
            .await
            .unwrap()
            .messages,
        None
    );
    assert!(start.elapsed() < Duration::from_secs(1));
    assert_eq!(receive().send().await.unwrap().messages, None);
    assert!(start.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn a_waiting_receive_ends_when_its_queue_is_deleted() {
    let (server, url) = Server::with_queue(&[]).await;
    let receive = server
        .client
        .receive_message()
        .queue_url(&url)
        .wait_time_seconds(20);
    let task = tokio::spawn(receive.send());
    tokio::time::sleep(Duration::from_millis(50)).await;
    server
        .client
        .delete_queue()
        .queue_url(&url)
        .send()
        .await
        .unwrap();
    let received = timeout(Duration::from_secs(10), task)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(code(received), "AWS.SimpleQueueService.NonExistentQueue");
}

#[tokio::test]
async fn a_receive_whose_caller_went_away_takes_no_message() {
    let (server, url) = Server::with_queue(&[]).await;
    let task = waiting(&server, &url).await;
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    // The server learns of the closed connection on its own time.
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.send(&url, "x").await;
    assert_eq!(server.receive_one(&url).await.body(), Some("x"));
}
