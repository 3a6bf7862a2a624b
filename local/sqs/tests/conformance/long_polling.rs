//! WaitTimeSeconds works over HTTP. Every way in which a waiting receive wakes, to the millisecond,
//! is in `timing`.

use std::time::Duration;

use aws_sdk_sqs::types::QueueAttributeName::{DelaySeconds, ReceiveMessageWaitTimeSeconds};
use tokio::time::{Instant, sleep};

use crate::server::{Server, bodies};

#[tokio::test]
async fn a_waiting_receive_wakes_on_a_send() {
    let (server, url) = Server::with_queue(&[]).await;
    let start = Instant::now();
    let receive = server.client.receive_message().queue_url(&url).wait_time_seconds(20).send();
    let send_later = async {
        sleep(Duration::from_millis(100)).await;
        server.send(&url, "x").await;
    };
    let (received, ()) = tokio::join!(receive, send_later);
    assert_eq!(bodies(received.unwrap().messages()), ["x"]);
    assert!(start.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn a_waiting_receive_wakes_when_a_delay_ends() {
    let (server, url) = Server::with_queue(&[(DelaySeconds, "1")]).await;
    let start = Instant::now();
    server.send(&url, "x").await;
    let receive = server.client.receive_message().queue_url(&url).wait_time_seconds(20);
    assert_eq!(bodies(receive.send().await.unwrap().messages()), ["x"]);
    assert!((1..20).contains(&start.elapsed().as_secs()));
}

#[tokio::test]
async fn a_waiting_receive_wakes_when_a_visibility_timeout_ends() {
    let (server, url) = Server::with_queue(&[]).await;
    server.send(&url, "x").await;
    let start = Instant::now();
    let receive = || server.client.receive_message().queue_url(&url);
    receive().visibility_timeout(1).send().await.unwrap();
    let again = receive().wait_time_seconds(20).send().await.unwrap();
    assert_eq!(bodies(again.messages()), ["x"]);
    assert!((1..20).contains(&start.elapsed().as_secs()));
}

#[tokio::test]
async fn the_queue_s_wait_time_holds_unless_the_call_has_its_own() {
    let (server, url) = Server::with_queue(&[(ReceiveMessageWaitTimeSeconds, "1")]).await;
    let receive = || server.client.receive_message().queue_url(&url);
    let start = Instant::now();
    assert_eq!(receive().send().await.unwrap().messages, None);
    assert!(start.elapsed() >= Duration::from_secs(1));
    let own = server.queue("long", &[(ReceiveMessageWaitTimeSeconds, "20")]).await;
    let start = Instant::now();
    let receive = server.client.receive_message().queue_url(&own).wait_time_seconds(0);
    assert_eq!(receive.send().await.unwrap().messages, None);
    assert!(start.elapsed() < Duration::from_secs(20));
}
