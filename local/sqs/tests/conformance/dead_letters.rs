//! Redrive policies move messages that were received too often.

use aws_sdk_sqs::types::{MessageSystemAttributeName as System, QueueAttributeName::RedrivePolicy};

use crate::server::{Server, arn, code, redrive_policy, system};

#[tokio::test]
async fn a_message_received_too_often_moves_at_the_next_receive() {
    let (server, url, dead) = Server::with_dead_letters(2).await;
    let id = server.send(&url, "poison").await;
    for count in ["1", "2"] {
        let message = server.receive_one(&url).await;
        assert_eq!(system(&message, &System::ApproximateReceiveCount), Some(count));
        server.sqs.expire_in_flight("q");
    }
    assert_eq!(server.depth("q"), (1, 0, 0), "it moves at a receive, not before");
    assert_eq!(server.receive(&url).await, []);
    assert_eq!((server.depth("q"), server.depth("dead")), ((0, 0, 0), (1, 0, 0)));

    let message = server.receive_one(&dead).await;
    assert_eq!(message.message_id(), Some(id.as_str()));
    assert_eq!(message.body(), Some("poison"));
    assert_eq!(system(&message, &System::DeadLetterQueueSourceArn), Some(arn("q").as_str()));
    assert_eq!(
        system(&message, &System::ApproximateReceiveCount),
        Some("3"),
        "receives count across queues"
    );
}

#[tokio::test]
async fn a_poison_message_does_not_hold_up_the_good_one_behind_it() {
    let (server, url, _) = Server::with_dead_letters(1).await;
    server.send(&url, "poison").await;
    server.receive_one(&url).await;
    server.sqs.expire_in_flight("q");
    server.send(&url, "good").await;
    assert_eq!(server.receive_one(&url).await.body(), Some("good"));
    assert_eq!(server.depth("dead"), (1, 0, 0));
}

#[tokio::test]
async fn a_deleted_message_is_no_dead_letter() {
    let (server, url, _) = Server::with_dead_letters(1).await;
    server.send(&url, "x").await;
    let message = server.receive_one(&url).await;
    server.delete(&url, &message).await;
    server.sqs.expire_in_flight("q");
    assert_eq!(server.receive(&url).await, []);
    assert_eq!(server.depth("dead"), (0, 0, 0));
}

#[tokio::test]
async fn without_a_dead_letter_queue_a_message_comes_for_ever() {
    let (server, url, dead) = Server::with_dead_letters(1).await;
    server.client.delete_queue().queue_url(&dead).send().await.unwrap();
    server.send(&url, "x").await;
    for _ in 0..5 {
        server.receive_one(&url).await;
        server.sqs.expire_in_flight("q");
    }
}

#[tokio::test]
async fn a_dead_letter_queue_can_have_its_own() {
    let (server, url, dead) = Server::with_dead_letters(2).await;
    let last = server.queue("last", &[]).await;
    let policy = redrive_policy(&arn("last"), 1);
    let set =
        server.client.set_queue_attributes().queue_url(&dead).attributes(RedrivePolicy, policy);
    set.send().await.unwrap();
    server.send(&url, "x").await;
    for _ in 0..2 {
        server.receive_one(&url).await;
        server.sqs.expire_in_flight("q");
    }
    assert_eq!(server.receive(&url).await, []);
    server.receive_one(&dead).await;
    server.sqs.expire_in_flight("dead");
    assert_eq!(server.receive(&dead).await, []);
    let message = server.receive_one(&last).await;
    assert_eq!(system(&message, &System::DeadLetterQueueSourceArn), Some(arn("dead").as_str()));
}

#[tokio::test]
async fn the_sources_of_a_dead_letter_queue_are_listed() {
    let (server, url, dead) = Server::with_dead_letters(1).await;
    let policy = redrive_policy(&arn("dead"), 5);
    let second = server.queue("r", &[(RedrivePolicy, policy.as_str())]).await;
    let list = |url: &str| server.client.list_dead_letter_source_queues().queue_url(url);
    assert_eq!(list(&dead).send().await.unwrap().queue_urls(), [url.clone(), second.clone()]);
    assert_eq!(list(&url).send().await.unwrap().queue_urls(), [] as [String; 0]);
    let first = list(&dead).max_results(1).send().await.unwrap();
    assert_eq!(first.queue_urls(), [url]);
    let rest =
        list(&dead).max_results(1).next_token(first.next_token().unwrap()).send().await.unwrap();
    assert_eq!((rest.queue_urls(), rest.next_token()), ([second].as_slice(), None));
    assert_eq!(code(list(&dead).max_results(0).send().await), "InvalidParameterValue");
}
