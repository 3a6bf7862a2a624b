//! ReceiveMessage hands out some messages, with their attributes, in an order.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicUsize, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use aws_sdk_sqs::types::{Message, MessageAttributeValue, MessageSystemAttributeName as System};

use crate::server::{Server, bodies, code, system};

#[tokio::test]
async fn one_message_is_received_unless_more_are_asked_for() {
    let (server, url) = Server::with_queue(&[]).await;
    for n in 0..12 {
        server.send(&url, &n.to_string()).await;
    }
    let receive = || server.client.receive_message().queue_url(&url);
    assert_eq!(bodies(receive().send().await.unwrap().messages()), ["0"]);
    assert_eq!(
        bodies(receive().max_number_of_messages(10).send().await.unwrap().messages()).len(),
        10
    );
    assert_eq!(
        bodies(receive().max_number_of_messages(10).send().await.unwrap().messages()),
        ["11"]
    );
    assert_eq!(receive().send().await.unwrap().messages, None);
}

#[tokio::test]
async fn parameters_out_of_range_are_refused() {
    let (server, url) = Server::with_queue(&[]).await;
    let receive = || server.client.receive_message().queue_url(&url);
    for bad in [-1, 0, 11] {
        let error =
            receive().max_number_of_messages(bad).send().await.unwrap_err().into_service_error();
        assert_eq!(error.meta().code(), Some("InvalidParameterValue"));
        let message = format!(
            "Value {bad} for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 \
             and 10, if provided."
        );
        assert_eq!(error.meta().message(), Some(message.as_str()));
    }
    for bad in [-1, 21] {
        assert_eq!(code(receive().wait_time_seconds(bad).send().await), "InvalidParameterValue");
    }
    for bad in [-1, 43_201] {
        assert_eq!(code(receive().visibility_timeout(bad).send().await), "InvalidParameterValue");
    }
    let unknown = receive().message_system_attribute_names("Nonsense".into()).send().await;
    assert_eq!(code(unknown), "InvalidAttributeName");
}

#[tokio::test]
async fn system_attributes_tell_the_message_s_history() {
    let (server, url) = Server::with_queue(&[]).await;
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
    let before = now();
    server.send(&url, "x").await;
    let first = server.receive_one(&url).await;
    let after = now();
    let millis =
        |message: &Message, name: &System| system(message, name).unwrap().parse::<u64>().unwrap();
    let sent = millis(&first, &System::SentTimestamp);
    let received = millis(&first, &System::ApproximateFirstReceiveTimestamp);
    assert!(before <= sent && sent <= received && received <= after);
    assert_eq!(system(&first, &System::ApproximateReceiveCount), Some("1"));
    assert!(system(&first, &System::SenderId).is_some());

    server.sqs.expire_in_flight("q");
    let second = server.receive_one(&url).await;
    assert_eq!(system(&second, &System::ApproximateReceiveCount), Some("2"));
    assert_eq!(millis(&second, &System::SentTimestamp), sent);
    assert_eq!(millis(&second, &System::ApproximateFirstReceiveTimestamp), received);
    assert_eq!(second.message_id(), first.message_id());
    assert_ne!(second.receipt_handle(), first.receipt_handle());
}

#[tokio::test]
async fn only_the_system_attributes_asked_for_are_answered() {
    let (server, url) = Server::with_queue(&[]).await;
    server.send(&url, "x").await;
    let receive = || server.client.receive_message().queue_url(&url).visibility_timeout(0);
    let one = |output: aws_sdk_sqs::operation::receive_message::ReceiveMessageOutput| {
        output.messages.unwrap().remove(0)
    };
    assert_eq!(one(receive().send().await.unwrap()).attributes, None);
    let count = one(receive()
        .message_system_attribute_names(System::ApproximateReceiveCount)
        .send()
        .await
        .unwrap());
    assert_eq!(
        count.attributes,
        Some(HashMap::from([(System::ApproximateReceiveCount, "2".to_owned())]))
    );
    #[expect(deprecated, reason = "the older name of the parameter")]
    let old_name = receive().attribute_names(aws_sdk_sqs::types::QueueAttributeName::All).send();
    assert_eq!(one(old_name.await.unwrap()).attributes.unwrap().len(), 4);
}

#[tokio::test]
async fn message_attributes_are_picked_by_name_prefix_or_all_with_a_digest_of_the_picked() {
    let (server, url) = Server::with_queue(&[]).await;
    let text = |value: &str| {
        MessageAttributeValue::builder().data_type("String").string_value(value).build().unwrap()
    };
    let message = server.client.send_message().queue_url(&url).message_body("msg");
    let message = message.message_attributes("Help.Me", text("Me"));
    let message = message
        .message_attributes("Hello", text("There"))
        .message_attributes("General", text("Kenobi"));
    message.send().await.unwrap();
    // The digests were answered by the real service.
    let (all, hello) = (["General", "Hello", "Help.Me"].as_slice(), ["Hello"].as_slice());
    let digest_of_all = Some("4c360f3fdafd970e05fae2f149d997f5");
    for (asked, picked, digest) in [
        (["All"].as_slice(), all, digest_of_all),
        (&[".*"], all, digest_of_all),
        (&["*"], all, digest_of_all),
        (&["General", "Hello"], &["General", "Hello"], Some("fca026605781cb4126a1e9044df24232")),
        (&["Hello", "None"], hello, Some("a311262e065454b75da111d535b8dacd")),
        (&["Hel.*"], &["Hello", "Help.Me"], Some("83fee93c1bcd8b9a5a923ffacdc636c7")),
        (&["hello"], &[], None),
        (&["None"], &[], None),
        (&[], &[], None),
    ] {
        let names = asked.iter().map(|name| (*name).to_owned()).collect();
        let receive = server.client.receive_message().queue_url(&url).visibility_timeout(0);
        let output = receive.set_message_attribute_names(Some(names)).send().await.unwrap();
        let message = &output.messages()[0];
        let mut names: Vec<&str> = message
            .message_attributes()
            .into_iter()
            .flatten()
            .map(|(name, _)| name.as_str())
            .collect();
        names.sort_unstable();
        assert_eq!(names, picked, "{asked:?}");
        assert_eq!(message.md5_of_message_attributes(), digest, "{asked:?}");
    }
}

#[tokio::test]
async fn a_received_message_is_hidden_until_its_visibility_ends() {
    let (server, url) = Server::with_queue(&[]).await;
    server.send(&url, "a").await;
    server.send(&url, "b").await;
    let first = server.client.receive_message().queue_url(&url).send().await.unwrap();
    assert_eq!(bodies(first.messages()), ["a"]);
    assert_eq!(bodies(&server.receive(&url).await), ["b"]);
    assert_eq!(server.receive(&url).await, []);
    assert_eq!(server.depth("q"), (0, 2, 0));
    assert_eq!(server.sqs.expire_in_flight("q"), 2);
    assert_eq!(server.depth("q"), (2, 0, 0));
    assert_eq!(bodies(&server.receive(&url).await), ["a", "b"]);
}

#[tokio::test]
async fn a_visibility_timeout_of_zero_hides_nothing_but_counts() {
    let (server, url) = Server::with_queue(&[]).await;
    server.send(&url, "a").await;
    for count in ["1", "2", "3"] {
        let receive = server
            .client
            .receive_message()
            .queue_url(&url)
            .visibility_timeout(0)
            .max_number_of_messages(10);
        let output = receive.message_system_attribute_names(System::All).send().await.unwrap();
        assert_eq!(bodies(output.messages()), ["a"]);
        assert_eq!(system(&output.messages()[0], &System::ApproximateReceiveCount), Some(count));
        assert_eq!(server.depth("q"), (1, 0, 0));
    }
}

#[tokio::test]
async fn a_noisy_group_does_not_starve_the_others() {
    let (server, url) = Server::with_queue(&[]).await;
    let send = async |body: &str, group: Option<&str>| {
        let message = server.client.send_message().queue_url(&url).message_body(body);
        message.set_message_group_id(group.map(str::to_owned)).send().await.unwrap();
    };
    for n in 0..20 {
        send(&format!("noisy {n}"), Some("noisy")).await;
    }
    send("quiet 0", Some("quiet")).await;
    send("quiet 1", Some("quiet")).await;
    send("alone", None).await;
    let received = server.receive(&url).await;
    assert_eq!(
        bodies(&received),
        [
            "noisy 0", "quiet 0", "alone", "noisy 1", "quiet 1", "noisy 2", "noisy 3", "noisy 4",
            "noisy 5", "noisy 6"
        ]
    );
}

#[tokio::test]
async fn the_duplicator_makes_a_message_come_twice_even_when_it_was_deleted() {
    let (server, url) = Server::with_queue(&[]).await;
    let asked: &'static AtomicUsize = Box::leak(Box::new(AtomicUsize::new(0)));
    server.sqs.set_duplicator(Some(Box::new(|| asked.fetch_add(1, Ordering::Relaxed) == 0)));
    server.send(&url, "twice").await;
    server.send(&url, "once").await;
    let first = server.receive(&url).await;
    assert_eq!(bodies(&first), ["twice", "once"]);
    assert_eq!(server.depth("q"), (1, 2, 0));
    for message in &first {
        server.delete(&url, message).await;
    }
    let second = server.receive_one(&url).await;
    assert_eq!(second.message_id(), first[0].message_id());
    assert_ne!(second.receipt_handle(), first[0].receipt_handle());
    assert_eq!(system(&second, &System::ApproximateReceiveCount), Some("1"));
    server.delete(&url, &second).await;
    assert_eq!(server.receive(&url).await, []);
    assert_eq!(asked.load(Ordering::Relaxed), 2, "a second hand-out is not asked about");

    server.sqs.set_duplicator(None);
    server.send(&url, "x").await;
    server.receive_one(&url).await;
    assert_eq!(server.depth("q"), (0, 1, 0));
}

#[tokio::test]
async fn the_receipt_handle_of_a_duplicate_is_good_for_the_message_itself() {
    let (server, url) = Server::with_queue(&[]).await;
    server.sqs.set_duplicator(Some(Box::new(|| true)));
    server.send(&url, "twice").await;
    server.receive_one(&url).await;
    let second = server.receive_one(&url).await;
    server.delete(&url, &second).await;
    assert_eq!(server.sqs.expire_in_flight("q"), 0);
    assert_eq!(server.depth("q"), (0, 0, 0));
}
