//! An SQS event source mapping makes an event of a batch of messages, and judges the function's
//! answer. <https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html>,
//! <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html>.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::error::InvokeError;

/// A message in the form in which a receive gave it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// The id that SQS gave the message.
    pub message_id: String,
    /// The handle of this receive, with which the message can be deleted.
    pub receipt_handle: String,
    /// The text that was sent.
    pub body: String,
    /// The system attributes, such as `ApproximateReceiveCount`, `SentTimestamp` and
    /// `MessageGroupId`.
    pub attributes: BTreeMap<String, String>,
    /// The attributes that the sender gave the message, by name.
    pub message_attributes: BTreeMap<String, MessageAttribute>,
    /// The MD5 of the body in hexadecimal.
    pub md5_of_body: String,
}

/// An attribute that the sender gave to a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageAttribute {
    /// `String`, `Number` or `Binary`, perhaps with a label such as in `Number.int`.
    pub data_type: String,
    /// The value, which has to fit the type.
    pub value: AttributeValue,
}

/// The value of an attribute is a text or bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttributeValue {
    /// The types `String` and `Number` have a text.
    Text(String),
    /// The type `Binary` has bytes.
    Binary(Bytes),
}

impl Serialize for MessageAttribute {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Wire<'a> {
            #[serde(skip_serializing_if = "Option::is_none")]
            string_value: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            binary_value: Option<String>,
            string_list_values: [&'a str; 0],
            binary_list_values: [&'a str; 0],
            data_type: &'a str,
        }
        let (string_value, binary_value) = match &self.value {
            AttributeValue::Text(text) => (Some(text.as_str()), None),
            AttributeValue::Binary(bytes) => (None, Some(STANDARD.encode(bytes))),
        };
        let data_type = &self.data_type;
        Wire {
            string_value,
            binary_value,
            string_list_values: [],
            binary_list_values: [],
            data_type,
        }
        .serialize(serializer)
    }
}

/// Makes the event for a batch of messages of the queue with this ARN.
pub fn to_event(queue_arn: &str, messages: &[Message]) -> Bytes {
    #[derive(Serialize)]
    struct Event<'a> {
        #[serde(rename = "Records")]
        records: Vec<Record<'a>>,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Record<'a> {
        #[serde(flatten)]
        message: &'a Message,
        event_source: &'static str,
        #[serde(rename = "eventSourceARN")]
        event_source_arn: &'a str,
        aws_region: &'a str,
    }
    let aws_region = queue_arn.split(':').nth(3).unwrap_or_default();
    let mut event = Event { records: Vec::new() };
    for message in messages {
        let record =
            Record { message, event_source: "aws:sqs", event_source_arn: queue_arn, aws_region };
        event.records.push(record);
    }
    // All keys are strings, so that serialising can't fail.
    serde_json::to_vec(&event).unwrap_or_default().into()
}

/// The verdict says which messages of a batch are done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The ids of the messages to delete, in the batch's order.
    pub succeeded: Vec<String>,
    /// The ids of the messages that stay in the queue until their visibility timeout ends, in the
    /// batch's order.
    pub failed: Vec<String>,
    /// A sentence that says why the whole batch failed, if it did.
    pub problem: Option<String>,
}

/// Judges the function's answer to a batch of these message ids.
///
/// Without `ReportBatchItemFailures` any answer is a success. With it
///
/// - no answer, `null`, an object without `batchItemFailures`, or with `null` or an empty list
///   there, is a success of all messages;
/// - a malformed answer, or one that names an id that is unknown, null or empty, is a failure of
///   all messages, and so is an invocation that failed.
pub fn judge(
    message_ids: &[String],
    report_batch_item_failures: bool,
    answer: Result<&[u8], &InvokeError>,
) -> Verdict {
    let failures = match answer {
        Err(error) => Err(error.to_string()),
        Ok(_) if !report_batch_item_failures => Ok(BTreeSet::new()),
        Ok(answer) => failures(message_ids, answer).map_err(str::to_owned),
    };
    match failures {
        Err(problem) => {
            Verdict { succeeded: Vec::new(), failed: message_ids.to_vec(), problem: Some(problem) }
        }
        Ok(failures) => {
            let (failed, succeeded) =
                message_ids.iter().cloned().partition(|id| failures.contains(id));
            Verdict { succeeded, failed, problem: None }
        }
    }
}

fn failures(message_ids: &[String], answer: &[u8]) -> Result<BTreeSet<String>, &'static str> {
    if answer.trim_ascii().is_empty() {
        return Ok(BTreeSet::new());
    }
    let answer: Value = serde_json::from_slice(answer).map_err(|_| "the answer isn't JSON")?;
    let failures = match &answer {
        Value::Null => return Ok(BTreeSet::new()),
        Value::Object(answer) => answer.get("batchItemFailures").unwrap_or(&Value::Null),
        _ => return Err("the answer isn't an object"),
    };
    let failures = match failures {
        Value::Null => return Ok(BTreeSet::new()),
        Value::Array(failures) => failures,
        _ => return Err("batchItemFailures isn't a list"),
    };
    failures.iter().map(|failure| identifier(failure, message_ids)).collect()
}

fn identifier(failure: &Value, message_ids: &[String]) -> Result<String, &'static str> {
    match failure.get("itemIdentifier") {
        None | Some(Value::Null) => Err("a batch item failure has no itemIdentifier"),
        Some(Value::String(id)) if id.is_empty() => Err("an itemIdentifier is empty"),
        Some(Value::String(id)) if message_ids.contains(id) => Ok(id.clone()),
        Some(Value::String(_)) => Err("an itemIdentifier is none of the batch's message ids"),
        Some(_) => Err("an itemIdentifier isn't a string"),
    }
}

#[cfg(test)]
mod tests;
