//! ReceiveMessage hands out messages with the attributes that the caller asks for.

use std::{collections::BTreeMap, time::Duration};

use serde::Deserialize;
use serde_json::{Value, json};

use super::done;
use crate::{
    Sqs, SqsError,
    attributes::{self, MAX_VISIBILITY_SECONDS},
    digest,
    message::{Handed, MessageAttribute},
};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ReceiveMessage {
    queue_url: Option<String>,
    /// This is the old name of `message_system_attribute_names`.
    #[serde(default)]
    attribute_names: Vec<String>,
    #[serde(default)]
    message_system_attribute_names: Vec<String>,
    #[serde(default)]
    message_attribute_names: Vec<String>,
    max_number_of_messages: Option<i64>,
    visibility_timeout: Option<i64>,
    wait_time_seconds: Option<i64>,
}

const SYSTEM_ATTRIBUTES: [&str; 10] = [
    "All",
    "ApproximateFirstReceiveTimestamp",
    "ApproximateReceiveCount",
    "AWSTraceHeader",
    "DeadLetterQueueSourceArn",
    "MessageDeduplicationId",
    "MessageGroupId",
    "SenderId",
    "SentTimestamp",
    "SequenceNumber",
];

impl Sqs {
    pub(super) async fn receive_message(&self, request: ReceiveMessage) -> Result<Value, SqsError> {
        let max = match request.max_number_of_messages.unwrap_or(1) {
            max @ 1..=10 => max as usize,
            other => {
                return Err(SqsError::value(
                    other,
                    "MaxNumberOfMessages",
                    "Must be between 1 and 10, if provided.",
                ));
            }
        };
        let wait = seconds("WaitTimeSeconds", request.wait_time_seconds, 20)?;
        let visibility =
            seconds("VisibilityTimeout", request.visibility_timeout, MAX_VISIBILITY_SECONDS)?;
        let mut system = request.attribute_names;
        system.extend(request.message_system_attribute_names);
        if let Some(other) = system.iter().find(|name| !SYSTEM_ATTRIBUTES.contains(&name.as_str()))
        {
            return Err(attributes::unknown(other));
        }

        let name = self.state().queue_at(request.queue_url.as_deref())?.name.clone();
        let handed = self.poll(&name, max, wait, visibility).await?;
        if handed.is_empty() {
            return Ok(done());
        }
        let wanted = &request.message_attribute_names;
        let messages: Vec<Value> =
            handed.into_iter().map(|handed| message(handed, &system, wanted)).collect();
        Ok(json!({"Messages": messages}))
    }
}

fn seconds(parameter: &str, given: Option<i64>, max: u32) -> Result<Option<Duration>, SqsError> {
    let Some(given) = given else { return Ok(None) };
    match u64::try_from(given) {
        Ok(seconds) if seconds <= max.into() => Ok(Some(Duration::from_secs(seconds))),
        _ => Err(SqsError::value(
            given,
            parameter,
            &format!("Must be >= 0 and <= {max}, if provided."),
        )),
    }
}

fn message(handed: Handed, system: &[String], wanted: &[String]) -> Value {
    let content = &handed.message.content;
    let mut answer = json!({
        "MessageId": handed.message.id,
        "ReceiptHandle": handed.receipt_handle,
        "MD5OfBody": content.md5_of_body,
        "Body": content.body,
    });
    let mut shown = handed.message.system_attributes();
    if !system.iter().any(|name| name == "All") {
        shown.retain(|name, _| system.contains(name));
    }
    if !shown.is_empty() {
        answer["Attributes"] = json!(shown);
    }
    let attributes: BTreeMap<&String, &MessageAttribute> = content
        .attributes
        .iter()
        .filter(|(name, _)| wanted.iter().any(|pattern| matches(pattern, name)))
        .collect();
    // Of the attributes that are answered, not of all: this is what the SDKs verify.
    if let Some(md5) =
        digest::of_attributes(attributes.iter().map(|(name, attribute)| (*name, *attribute)))
    {
        answer["MD5OfMessageAttributes"] = Value::String(md5);
        answer["MessageAttributes"] = attributes
            .into_iter()
            .map(|(name, attribute)| (name.clone(), attribute.to_json()))
            .collect();
    }
    answer
}

/// Tells if a pattern asks for an attribute. It is `All`, `.*`, a prefix with `.*`, or the name
/// itself.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern {
        "All" | "*" => true,
        _ => pattern.strip_suffix(".*").map_or(pattern == name, |prefix| name.starts_with(prefix)),
    }
}
