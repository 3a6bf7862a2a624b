//! GetQueueAttributes shows attributes, and SetQueueAttributes changes them.

use std::{
    collections::HashMap,
    time::{SystemTime, UNIX_EPOCH},
};

use aws_sdk_sqs::types::QueueAttributeName::{self, *};

use crate::server::{Server, arn, code, redrive_policy};

async fn all(server: &Server, url: &str) -> HashMap<QueueAttributeName, String> {
    let answer =
        server.client.get_queue_attributes().queue_url(url).attribute_names(All).send().await;
    answer.unwrap().attributes.unwrap()
}

async fn set(
    server: &Server,
    url: &str,
    name: QueueAttributeName,
    value: &str,
) -> Result<(), String> {
    let result =
        server.client.set_queue_attributes().queue_url(url).attributes(name, value).send().await;
    if result.is_ok() { Ok(()) } else { Err(code(result)) }
}

#[tokio::test]
async fn a_new_queue_has_the_documented_defaults() {
    let (server, url) = Server::with_queue(&[]).await;
    let mut attributes = all(&server, &url).await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    for timestamp in [CreatedTimestamp, LastModifiedTimestamp] {
        let seconds: u64 = attributes.remove(&timestamp).unwrap().parse().unwrap();
        assert!((now - 60..=now).contains(&seconds), "{timestamp}: {seconds}");
    }
    let expected = [
        (QueueArn, "arn:aws:sqs:us-east-1:000000000000:q"),
        (ApproximateNumberOfMessages, "0"),
        (ApproximateNumberOfMessagesNotVisible, "0"),
        (ApproximateNumberOfMessagesDelayed, "0"),
        (VisibilityTimeout, "30"),
        (MaximumMessageSize, "1048576"),
        (MessageRetentionPeriod, "345600"),
        (DelaySeconds, "0"),
        (ReceiveMessageWaitTimeSeconds, "0"),
        (SqsManagedSseEnabled, "true"),
    ];
    assert_eq!(attributes, expected.map(|(name, value)| (name, value.to_owned())).into());
}

#[tokio::test]
async fn only_the_attributes_asked_for_are_answered() {
    let (server, url) = Server::with_queue(&[]).await;
    let get = || server.client.get_queue_attributes().queue_url(&url);
    assert_eq!(get().send().await.unwrap().attributes, None);
    let one =
        get().attribute_names(DelaySeconds).attribute_names(RedrivePolicy).send().await.unwrap();
    assert_eq!(one.attributes, Some(HashMap::from([(DelaySeconds, "0".to_owned())])));
}

#[tokio::test]
async fn an_unknown_attribute_is_an_invalid_attribute_name() {
    let (server, url) = Server::with_queue(&[]).await;
    let unknown = QueueAttributeName::from("Nonsense");
    let got = server
        .client
        .get_queue_attributes()
        .queue_url(&url)
        .attribute_names(unknown.clone())
        .send()
        .await;
    let error = got.unwrap_err().into_service_error();
    assert!(error.is_invalid_attribute_name());
    assert_eq!(error.meta().message(), Some("Unknown Attribute Nonsense."));
    for name in [unknown.clone(), QueueArn, CreatedTimestamp, ApproximateNumberOfMessages, All] {
        assert_eq!(set(&server, &url, name, "1").await, Err("InvalidAttributeName".to_owned()));
    }
    let created =
        server.client.create_queue().queue_name("p").attributes(unknown, "1").send().await;
    assert_eq!(code(created), "InvalidAttributeName");
}

#[tokio::test]
async fn numbers_are_taken_within_their_ranges_only() {
    let (server, url) = Server::with_queue(&[]).await;
    for (name, min, max) in [
        (DelaySeconds, 0, 900),
        (MaximumMessageSize, 1_024, 1_048_576),
        (MessageRetentionPeriod, 60, 1_209_600),
        (ReceiveMessageWaitTimeSeconds, 0, 20),
        (VisibilityTimeout, 0, 43_200),
    ] {
        for good in [min, max] {
            let value = good.to_string();
            assert_eq!(set(&server, &url, name.clone(), &value).await, Ok(()), "{name} {good}");
            assert_eq!(server.attribute(&url, name.clone()).await, Some(value));
        }
        for bad in [(min - 1).to_string(), (max + 1).to_string(), "x".to_owned(), String::new()] {
            let refused = Err("InvalidAttributeValue".to_owned());
            assert_eq!(set(&server, &url, name.clone(), &bad).await, refused, "{name} {bad}");
        }
        assert_eq!(server.attribute(&url, name).await, Some(max.to_string()));
    }
}

#[tokio::test]
async fn a_refused_change_changes_nothing() {
    let (server, url) = Server::with_queue(&[]).await;
    let both = server.client.set_queue_attributes().queue_url(&url);
    let both = both.attributes(DelaySeconds, "7").attributes(VisibilityTimeout, "-1");
    assert_eq!(code(both.send().await), "InvalidAttributeValue");
    assert_eq!(server.attribute(&url, DelaySeconds).await.as_deref(), Some("0"));
}

#[tokio::test]
async fn a_redrive_policy_is_checked_kept_and_removed() {
    let (server, url) = Server::with_queue(&[]).await;
    server.queue("dead", &[]).await;
    let dead = arn("dead");
    let refused = || Err("InvalidParameterValue".to_owned());
    for bad in [
        "nonsense".to_owned(),
        "{}".to_owned(),
        redrive_policy("dummy", 3),
        redrive_policy(&arn("none"), 3),
        redrive_policy(&dead, 0),
        redrive_policy(&dead, 1_001),
        format!(r#"{{"deadLetterTargetArn":"{dead}"}}"#),
        r#"{"maxReceiveCount":3}"#.to_owned(),
    ] {
        assert_eq!(set(&server, &url, RedrivePolicy, &bad).await, refused(), "{bad}");
    }
    for good in [1, 1_000] {
        let policy = redrive_policy(&dead, good);
        assert_eq!(set(&server, &url, RedrivePolicy, &policy).await, Ok(()));
        assert_eq!(server.attribute(&url, RedrivePolicy).await, Some(policy));
    }
    let text = format!(r#"{{"maxReceiveCount":"5","deadLetterTargetArn":"{dead}"}}"#);
    assert_eq!(set(&server, &url, RedrivePolicy, &text).await, Ok(()), "the count may be a string");
    assert_eq!(server.attribute(&url, RedrivePolicy).await, Some(redrive_policy(&dead, 5)));

    assert_eq!(set(&server, &url, RedrivePolicy, "").await, Ok(()));
    assert_eq!(server.attribute(&url, RedrivePolicy).await, None);
}

#[tokio::test]
async fn a_redrive_allow_policy_says_who_may_use_the_dead_letter_queue() {
    let (server, url) = Server::with_queue(&[]).await;
    let dead = server.queue("dead", &[]).await;
    let policy = redrive_policy(&arn("dead"), 3);
    let refused = || Err("InvalidParameterValue".to_owned());
    let by_queue = |name: &str| {
        format!(r#"{{"redrivePermission":"byQueue","sourceQueueArns":["{}"]}}"#, arn(name))
    };

    assert_eq!(
        set(&server, &dead, RedriveAllowPolicy, r#"{"redrivePermission":"denyAll"}"#).await,
        Ok(())
    );
    assert_eq!(set(&server, &url, RedrivePolicy, &policy).await, refused());
    assert_eq!(set(&server, &dead, RedriveAllowPolicy, &by_queue("other")).await, Ok(()));
    assert_eq!(set(&server, &url, RedrivePolicy, &policy).await, refused());
    assert_eq!(set(&server, &dead, RedriveAllowPolicy, &by_queue("q")).await, Ok(()));
    assert_eq!(set(&server, &url, RedrivePolicy, &policy).await, Ok(()));
    assert_eq!(
        set(&server, &dead, RedriveAllowPolicy, r#"{"redrivePermission":"allowAll"}"#).await,
        Ok(())
    );
    assert_eq!(
        server.attribute(&dead, RedriveAllowPolicy).await.as_deref(),
        Some(r#"{"redrivePermission":"allowAll"}"#)
    );

    let eleven = vec![format!("\"{}\"", arn("q")); 11].join(",");
    for bad in [
        "{}".to_owned(),
        r#"{"redrivePermission":"some"}"#.to_owned(),
        r#"{"redrivePermission":"byQueue"}"#.to_owned(),
        format!(r#"{{"redrivePermission":"allowAll","sourceQueueArns":["{}"]}}"#, arn("q")),
        format!(r#"{{"redrivePermission":"byQueue","sourceQueueArns":[{eleven}]}}"#),
    ] {
        assert_eq!(set(&server, &dead, RedriveAllowPolicy, &bad).await, refused(), "{bad}");
    }
}

#[tokio::test]
async fn encryption_is_by_one_kind_of_key_at_a_time() {
    let (server, url) = Server::with_queue(&[]).await;
    assert_eq!(set(&server, &url, KmsMasterKeyId, "alias/aws/sqs").await, Ok(()));
    let attributes = all(&server, &url).await;
    assert_eq!(attributes[&KmsMasterKeyId], "alias/aws/sqs");
    assert_eq!(attributes[&KmsDataKeyReusePeriodSeconds], "300");
    assert_eq!(attributes[&SqsManagedSseEnabled], "false");
    assert_eq!(
        set(&server, &url, SqsManagedSseEnabled, "true").await,
        Err("InvalidAttributeName".to_owned())
    );
}

#[tokio::test]
async fn a_policy_is_kept_as_it_was_given() {
    let policy = r#"{"Version": "2012-10-17", "Statement": []}"#;
    let (server, url) = Server::with_queue(&[(Policy, policy)]).await;
    assert_eq!(server.attribute(&url, Policy).await.as_deref(), Some(policy));
    assert_eq!(
        set(&server, &url, Policy, "nonsense").await,
        Err("InvalidAttributeValue".to_owned())
    );
    assert_eq!(set(&server, &url, Policy, "").await, Ok(()));
    assert_eq!(server.attribute(&url, Policy).await, None);
}

#[tokio::test]
async fn messages_are_counted_by_their_state() {
    let (server, url) = Server::with_queue(&[]).await;
    for body in ["a", "b", "c"] {
        server.send(&url, body).await;
    }
    server
        .client
        .send_message()
        .queue_url(&url)
        .message_body("d")
        .delay_seconds(900)
        .send()
        .await
        .unwrap();
    server.client.receive_message().queue_url(&url).send().await.unwrap();
    let attributes = all(&server, &url).await;
    assert_eq!(attributes[&ApproximateNumberOfMessages], "2");
    assert_eq!(attributes[&ApproximateNumberOfMessagesNotVisible], "1");
    assert_eq!(attributes[&ApproximateNumberOfMessagesDelayed], "1");
}
