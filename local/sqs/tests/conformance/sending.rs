//! SendMessage has rules for messages.

use aws_sdk_sqs::{
    operation::send_message::builders::SendMessageFluentBuilder,
    primitives::Blob,
    types::{
        MessageAttributeValue, MessageSystemAttributeName, MessageSystemAttributeNameForSends,
        MessageSystemAttributeValue, QueueAttributeName::MaximumMessageSize,
    },
};

use crate::server::{Server, code, system};

fn text(data_type: &str, value: &str) -> MessageAttributeValue {
    MessageAttributeValue::builder().data_type(data_type).string_value(value).build().unwrap()
}

fn binary(bytes: &[u8]) -> MessageAttributeValue {
    MessageAttributeValue::builder()
        .data_type("Binary")
        .binary_value(Blob::new(bytes))
        .build()
        .unwrap()
}

fn message(server: &Server, url: &str) -> SendMessageFluentBuilder {
    server.client.send_message().queue_url(url).message_body("test")
}

#[tokio::test]
async fn a_message_arrives_with_its_id_and_digest() {
    let (server, url) = Server::with_queue(&[]).await;
    let sent = message(&server, &url).send().await.unwrap();
    assert_eq!(sent.md5_of_message_body(), Some("098f6bcd4621d373cade4e832627b4f6"));
    assert_eq!(sent.md5_of_message_attributes(), None);
    assert_eq!(sent.md5_of_message_system_attributes(), None);
    let received = server.receive_one(&url).await;
    assert_eq!(received.message_id(), sent.message_id());
    assert_eq!(received.body(), Some("test"));
    assert_eq!(received.md5_of_body(), sent.md5_of_message_body());
}

#[tokio::test]
async fn attributes_arrive_with_their_digest() {
    let (server, url) = Server::with_queue(&[]).await;
    let sent = message(&server, &url)
        .message_attributes("Hello", text("String", "There"))
        .message_attributes("General", text("String", "Kenobi"))
        .message_attributes("Help.Me", text("String", "Me"));
    let sent = sent.send().await.unwrap();
    assert_eq!(sent.md5_of_message_attributes(), Some("4c360f3fdafd970e05fae2f149d997f5"));
    let received = server.receive_one(&url).await;
    assert_eq!(received.md5_of_message_attributes(), sent.md5_of_message_attributes());
    assert_eq!(received.message_attributes().unwrap()["Help.Me"], text("String", "Me"));
}

#[tokio::test]
async fn attributes_can_be_numbers_bytes_and_labelled_types() {
    let (server, url) = Server::with_queue(&[]).await;
    let sent = message(&server, &url)
        .message_attributes("count", text("Number.int", "-12.5e3"))
        .message_attributes("bytes", binary(&[0, 255, 7]))
        .message_attributes("label", text("String.uuid", "x"));
    sent.send().await.unwrap();
    let received = server.receive_one(&url).await;
    let attributes = received.message_attributes().unwrap();
    assert_eq!(attributes["count"], text("Number.int", "-12.5e3"));
    assert_eq!(attributes["bytes"], binary(&[0, 255, 7]));
    assert_eq!(attributes["label"], text("String.uuid", "x"));
}

#[tokio::test]
async fn attributes_that_break_the_rules_are_refused() {
    let (server, url) = Server::with_queue(&[]).await;
    let long = "x".repeat(257);
    let names =
        ["", ".a", "a.", "a..b", "a b", "AWS.a", "aws.a", "Amazon.a", "AMAZON.a", long.as_str()];
    let by_name = names.map(|name| (name, text("String", "x")));
    let by_value = [
        ("type", text("", "x")),
        ("type", text("Text", "x")),
        ("type", text("string", "x")),
        ("empty", text("String", "")),
        ("control", text("String", "\u{1}")),
        ("number", text("Number", "twelve")),
        ("number", text("Number", "NaN")),
        ("empty", binary(&[])),
        ("missing", text("Binary", "x")),
    ];
    for (name, value) in by_name.into_iter().chain(by_value) {
        let sent = message(&server, &url).message_attributes(name, value.clone()).send().await;
        assert_eq!(code(sent), "InvalidParameterValue", "{name} {value:?}");
    }
    let list = MessageAttributeValue::builder()
        .data_type("String")
        .string_list_values("x")
        .build()
        .unwrap();
    let sent = message(&server, &url).message_attributes("list", list).send().await;
    assert_eq!(code(sent), "AWS.SimpleQueueService.UnsupportedOperation");
    assert_eq!(server.depth("q"), (0, 0, 0));
}

#[tokio::test]
async fn a_message_has_at_most_ten_attributes() {
    let (server, url) = Server::with_queue(&[]).await;
    let with = |count: usize| {
        (0..count).fold(message(&server, &url), |message, index| {
            message.message_attributes(format!("a{index}"), text("String", "x"))
        })
    };
    assert!(with(10).send().await.is_ok());
    assert_eq!(code(with(11).send().await), "InvalidParameterValue");
}

#[tokio::test]
async fn a_message_is_at_most_a_mebibyte_with_its_attributes() {
    let (server, url) = Server::with_queue(&[]).await;
    let send =
        |bytes: usize| server.client.send_message().queue_url(&url).message_body("x".repeat(bytes));
    assert!(send(1_048_576).send().await.is_ok());
    let error = send(1_048_577).send().await.unwrap_err().into_service_error();
    assert_eq!(error.meta().code(), Some("InvalidParameterValue"));
    assert_eq!(
        error.meta().message(),
        Some(
            "One or more parameters are invalid. Reason: Message must be shorter than \
             1048576 bytes."
        )
    );
    // Name (4), data type (6) and value (5) count.
    let with = |bytes: usize| send(bytes).message_attributes("name", text("String", "value"));
    assert!(with(1_048_561).send().await.is_ok());
    assert_eq!(code(with(1_048_562).send().await), "InvalidParameterValue");
}

#[tokio::test]
async fn a_queue_can_have_a_lower_size_limit_counted_in_bytes() {
    let (server, url) = Server::with_queue(&[(MaximumMessageSize, "1024")]).await;
    let send =
        |body: String| server.client.send_message().queue_url(&url).message_body(body).send();
    assert!(send("ä".repeat(512)).await.is_ok());
    assert_eq!(code(send("ä".repeat(513)).await), "InvalidParameterValue");
}

#[tokio::test]
async fn a_body_is_one_character_at_least_and_of_the_xml_set() {
    let (server, url) = Server::with_queue(&[]).await;
    let send = |body: &str| server.client.send_message().queue_url(&url).message_body(body).send();
    assert!(send("\t\n\r ~\u{d7ff}\u{e000}\u{fffd}\u{10000}\u{10ffff}").await.is_ok());
    for bad in ["\0", "\u{8}", "\u{b}", "\u{1f}", "\u{fffe}", "\u{ffff}"] {
        let error = send(bad).await.unwrap_err().into_service_error();
        assert!(error.is_invalid_message_contents(), "{bad:?}");
    }
    assert_eq!(code(send("").await), "MissingParameter");
    assert_eq!(code(server.client.send_message().queue_url(&url).send().await), "MissingParameter");
}

#[tokio::test]
async fn a_delay_is_0_to_900_seconds() {
    let (server, url) = Server::with_queue(&[]).await;
    for good in [0, 900] {
        assert!(message(&server, &url).delay_seconds(good).send().await.is_ok());
    }
    for bad in [-1, 901] {
        assert_eq!(
            code(message(&server, &url).delay_seconds(bad).send().await),
            "InvalidParameterValue"
        );
    }
    assert_eq!(server.depth("q"), (1, 0, 1));
}

#[tokio::test]
async fn a_message_group_is_accepted_and_told_to_the_receiver() {
    let (server, url) = Server::with_queue(&[]).await;
    let group = "tenant-1!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";
    message(&server, &url).message_group_id(group).send().await.unwrap();
    let received = server.receive_one(&url).await;
    assert_eq!(system(&received, &MessageSystemAttributeName::MessageGroupId), Some(group));
    for bad in ["", "a b", "ä", &"x".repeat(129)] {
        let sent = message(&server, &url).message_group_id(bad).send().await;
        assert_eq!(code(sent), "InvalidParameterValue", "{bad}");
    }
}

#[tokio::test]
async fn a_deduplication_id_is_for_fifo_queues() {
    let (server, url) = Server::with_queue(&[]).await;
    let sent = message(&server, &url).message_deduplication_id("x").send().await;
    assert_eq!(code(sent), "InvalidParameterValue");
}

#[tokio::test]
async fn a_trace_header_travels_as_a_system_attribute_outside_the_size_limit() {
    let (server, url) = Server::with_queue(&[(MaximumMessageSize, "1024")]).await;
    let header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
    let value = MessageSystemAttributeValue::builder()
        .data_type("String")
        .string_value(header)
        .build()
        .unwrap();
    let name = MessageSystemAttributeNameForSends::AwsTraceHeader;
    let send = |name: MessageSystemAttributeNameForSends| {
        let body = "x".repeat(1_024);
        let message = server.client.send_message().queue_url(&url).message_body(body);
        message.message_system_attributes(name, value.clone()).send()
    };
    let sent = send(name).await.unwrap();
    // MD5 over the lengths and bytes of "AWSTraceHeader", "String", the type byte and the value.
    assert_eq!(sent.md5_of_message_system_attributes(), Some("5ae4d5d7636402d80f4eb6d213245a88"));
    let received = server.receive_one(&url).await;
    assert_eq!(system(&received, &MessageSystemAttributeName::AwsTraceHeader), Some(header));
    assert_eq!(code(send("Other".into()).await), "InvalidParameterValue");
}
