//! Queues come and go with CreateQueue, GetQueueUrl, ListQueues, DeleteQueue and PurgeQueue, and
//! they have tags.

use std::collections::HashMap;

use aws_sdk_sqs::types::QueueAttributeName::{self, DelaySeconds, VisibilityTimeout};

use crate::server::{Server, code};

#[tokio::test]
async fn a_created_queue_is_found_by_its_name() {
    let (server, url) = Server::with_queue(&[]).await;
    assert_eq!(url, format!("{}/000000000000/q", server.url));
    let found = server.client.get_queue_url().queue_name("q").send().await.unwrap();
    assert_eq!(found.queue_url(), Some(url.as_str()));
}

#[tokio::test]
async fn creating_a_queue_again_with_equal_attributes_answers_its_url() {
    let (server, url) = Server::with_queue(&[(DelaySeconds, "5"), (VisibilityTimeout, "60")]).await;
    assert_eq!(server.queue("q", &[(DelaySeconds, "5"), (VisibilityTimeout, "60")]).await, url);
    assert_eq!(
        server.queue("q", &[(DelaySeconds, "5")]).await,
        url,
        "attributes not given are not compared"
    );
    assert_eq!(server.queue("q", &[]).await, url);
}

#[tokio::test]
async fn creating_a_queue_again_with_another_attribute_value_is_refused() {
    let (server, _) = Server::with_queue(&[(DelaySeconds, "5")]).await;
    let again =
        server.client.create_queue().queue_name("q").attributes(DelaySeconds, "6").send().await;
    let error = again.unwrap_err().into_service_error();
    assert!(error.is_queue_name_exists(), "{error:?}");
    assert_eq!(error.meta().code(), Some("QueueAlreadyExists"));
    assert_eq!(
        error.meta().message(),
        Some(
            "A queue already exists with the same name and a different value for attribute \
             DelaySeconds"
        )
    );
}

#[tokio::test]
async fn a_queue_name_has_1_to_80_letters_digits_hyphens_and_underscores() {
    let server = Server::start().await;
    for bad in ["", "a b", "a.b", "ä", &"x".repeat(81)] {
        let created = server.client.create_queue().queue_name(bad).send().await;
        assert_eq!(code(created), "InvalidParameterValue", "{bad}");
    }
    server.queue(&"x".repeat(80), &[]).await;
    server.queue("Az09-_", &[]).await;
}

#[tokio::test]
async fn fifo_queues_are_refused_by_name_and_by_attribute() {
    let server = Server::start().await;
    let create = || server.client.create_queue();
    let by_name = create()
        .queue_name("q.fifo")
        .attributes(QueueAttributeName::FifoQueue, "true")
        .send()
        .await;
    assert_eq!(code(by_name), "AWS.SimpleQueueService.UnsupportedOperation");
    let by_attribute =
        create().queue_name("q").attributes(QueueAttributeName::FifoQueue, "true").send().await;
    assert_eq!(code(by_attribute), "AWS.SimpleQueueService.UnsupportedOperation");
}

#[tokio::test]
async fn a_queue_that_does_not_exist_is_an_error_of_every_action() {
    let server = Server::start().await;
    let gone = "AWS.SimpleQueueService.NonExistentQueue";
    let url = format!("{}/000000000000/none", server.url);
    let client = &server.client;
    assert_eq!(code(client.get_queue_url().queue_name("none").send().await), gone);
    assert_eq!(code(client.get_queue_attributes().queue_url(&url).send().await), gone);
    assert_eq!(
        code(
            client
                .set_queue_attributes()
                .queue_url(&url)
                .attributes(DelaySeconds, "1")
                .send()
                .await
        ),
        gone
    );
    assert_eq!(code(client.send_message().queue_url(&url).message_body("x").send().await), gone);
    assert_eq!(code(client.receive_message().queue_url(&url).send().await), gone);
    assert_eq!(
        code(client.delete_message().queue_url(&url).receipt_handle("x").send().await),
        gone
    );
    let change = client
        .change_message_visibility()
        .queue_url(&url)
        .receipt_handle("x")
        .visibility_timeout(1);
    assert_eq!(code(change.send().await), gone);
    assert_eq!(code(client.purge_queue().queue_url(&url).send().await), gone);
    assert_eq!(code(client.delete_queue().queue_url(&url).send().await), gone);
    assert_eq!(code(client.list_dead_letter_source_queues().queue_url(&url).send().await), gone);
    assert_eq!(code(client.list_queue_tags().queue_url(&url).send().await), gone);
    let other_account = format!("{}/111111111111/none", server.url);
    assert_eq!(code(client.receive_message().queue_url(other_account).send().await), gone);
    let found =
        client.get_queue_url().queue_name("none").send().await.unwrap_err().into_service_error();
    assert!(found.is_queue_does_not_exist());
}

#[tokio::test]
async fn a_queue_url_counts_by_its_path_under_any_host_name() {
    let (server, _) = Server::with_queue(&[]).await;
    server.send("http://localhost:1/000000000000/q", "x").await;
    assert_eq!(server.depth("q"), (1, 0, 0));
    let not_a_url = server.client.send_message().queue_url("q").message_body("x").send().await;
    assert_eq!(code(not_a_url), "InvalidAddress");
    let missing = server.client.send_message().message_body("x").send().await;
    assert_eq!(code(missing), "MissingParameter");
}

#[tokio::test]
async fn a_deleted_queue_is_gone_and_its_name_free_only_after_a_minute() {
    let (server, url) = Server::with_queue(&[]).await;
    server.send(&url, "lost").await;
    server.client.delete_queue().queue_url(&url).send().await.unwrap();
    let found = server.client.get_queue_url().queue_name("q").send().await;
    assert_eq!(code(found), "AWS.SimpleQueueService.NonExistentQueue");
    let again = server.client.create_queue().queue_name("q").send().await;
    assert_eq!(code(again), "AWS.SimpleQueueService.QueueDeletedRecently");
}

#[tokio::test]
async fn queues_are_listed_by_prefix_in_pages() {
    let server = Server::start().await;
    let mut all = Vec::new();
    for name in ["a1", "a2", "a3", "b1"] {
        all.push(server.queue(name, &[]).await);
    }
    let list = || server.client.list_queues();
    assert_eq!(list().send().await.unwrap().queue_urls(), all);
    assert_eq!(list().queue_name_prefix("b").send().await.unwrap().queue_urls(), &all[3..]);
    assert_eq!(list().queue_name_prefix("c").send().await.unwrap().queue_urls(), [] as [String; 0]);

    let first = list().queue_name_prefix("a").max_results(2).send().await.unwrap();
    assert_eq!(first.queue_urls(), &all[..2]);
    let token = first.next_token().unwrap();
    let second =
        list().queue_name_prefix("a").max_results(2).next_token(token).send().await.unwrap();
    assert_eq!(second.queue_urls(), &all[2..3]);
    assert_eq!(second.next_token(), None);

    for bad in [0, 1001] {
        assert_eq!(code(list().max_results(bad).send().await), "InvalidParameterValue");
    }
}

#[tokio::test]
async fn a_queue_of_another_account_does_not_exist() {
    let (server, _) = Server::with_queue(&[]).await;
    let get = |owner: &str| {
        server.client.get_queue_url().queue_name("q").queue_owner_aws_account_id(owner).send()
    };
    assert!(get("000000000000").await.is_ok());
    assert_eq!(code(get("111111111111").await), "AWS.SimpleQueueService.NonExistentQueue");
}

#[tokio::test]
async fn purging_empties_the_queue_wherever_its_messages_are() {
    let (server, url) = Server::with_queue(&[]).await;
    server.send(&url, "in flight").await;
    let received = server.receive_one(&url).await;
    server.send(&url, "visible").await;
    server
        .client
        .send_message()
        .queue_url(&url)
        .message_body("delayed")
        .delay_seconds(900)
        .send()
        .await
        .unwrap();
    assert_eq!(server.depth("q"), (1, 1, 1));

    server.client.purge_queue().queue_url(&url).send().await.unwrap();
    assert_eq!(server.depth("q"), (0, 0, 0));
    server.delete(&url, &received).await;
    server.send(&url, "new").await;
    assert_eq!(server.receive_one(&url).await.body(), Some("new"));

    let again =
        server.client.purge_queue().queue_url(&url).send().await.unwrap_err().into_service_error();
    assert!(again.is_purge_queue_in_progress());
    assert_eq!(
        again.meta().message(),
        Some("Only one PurgeQueue operation on q is allowed every 60 seconds.")
    );
}

#[tokio::test]
async fn tags_are_set_at_creation_added_replaced_and_removed() {
    let server = Server::start().await;
    let created = server
        .client
        .create_queue()
        .queue_name("q")
        .tags("a", "1")
        .tags("b", "2")
        .send()
        .await
        .unwrap();
    let url = created.queue_url.unwrap();
    let tags = async || {
        let listed = server.client.list_queue_tags().queue_url(&url).send().await.unwrap();
        listed.tags.unwrap_or_default()
    };
    let map = |pairs: &[(&str, &str)]| -> HashMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    };
    assert_eq!(tags().await, map(&[("a", "1"), ("b", "2")]));
    server.client.tag_queue().queue_url(&url).tags("b", "3").tags("c", "").send().await.unwrap();
    assert_eq!(tags().await, map(&[("a", "1"), ("b", "3"), ("c", "")]));
    server.client.untag_queue().queue_url(&url).tag_keys("a").tag_keys("c").send().await.unwrap();
    assert_eq!(tags().await, map(&[("b", "3")]));
    server.client.untag_queue().queue_url(&url).tag_keys("b").send().await.unwrap();
    assert_eq!(tags().await, map(&[]));
}
