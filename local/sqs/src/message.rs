//! A message has the content that a sender gave it, and a receiver gets it with a receipt handle.

use std::{collections::BTreeMap, sync::Arc};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use tokio::time::Instant;

/// The server knows no users: receivers see this one as the sender of every message.
pub(crate) const SENDER_ID: &str = "AIDAPOSTHASTELOCALSQS";

/// An attribute that the sender gave to a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageAttribute {
    /// `String`, `Number` or `Binary`, perhaps with a label such as in `Number.int`.
    pub data_type: String,
    /// The value, which fits the type.
    pub value: AttributeValue,
}

/// The value of an attribute is a text or bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttributeValue {
    /// A `String` or `Number` attribute has a text.
    Text(String),
    /// A `Binary` attribute has bytes.
    Binary(Vec<u8>),
}

impl MessageAttribute {
    pub(crate) fn to_json(&self) -> Value {
        match &self.value {
            AttributeValue::Text(text) => json!({"DataType": self.data_type, "StringValue": text}),
            AttributeValue::Binary(bytes) => {
                json!({"DataType": self.data_type, "BinaryValue": BASE64_STANDARD.encode(bytes)})
            }
        }
    }
}

/// A received message, with all that a record of a Lambda event needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The message's id, which is the same at every receive.
    pub message_id: String,
    /// The handle of this receive, with which the message can be deleted.
    pub receipt_handle: String,
    /// The text that was sent.
    pub body: String,
    /// The MD5 of the body in hexadecimal.
    pub md5_of_body: String,
    /// The system attributes, such as `ApproximateReceiveCount`, `SentTimestamp` and
    /// `MessageGroupId`.
    pub attributes: BTreeMap<String, String>,
    /// The attributes that the sender gave the message, by name.
    pub message_attributes: BTreeMap<String, MessageAttribute>,
}

/// The sender's part of a message. It never changes, wherever the message goes.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) body: String,
    pub(crate) md5_of_body: String,
    pub(crate) attributes: BTreeMap<String, MessageAttribute>,
    pub(crate) trace_header: Option<MessageAttribute>,
    pub(crate) group: Option<Arc<str>>,
}

/// A message in a queue.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) id: String,
    pub(crate) content: Arc<Content>,
    /// Retention counts from this time. A move to a dead-letter queue does not change it.
    pub(crate) enqueued: Instant,
    pub(crate) sent_ms: u64,
    pub(crate) first_received_ms: Option<u64>,
    /// The receives from all queues, which receivers see as `ApproximateReceiveCount`.
    pub(crate) receives: u32,
    /// The receives from the present queue, which are compared with maxReceiveCount.
    pub(crate) receives_here: u32,
    /// The queue that gave the message up, when it is in a dead-letter queue.
    pub(crate) source_arn: Option<String>,
}

impl Message {
    pub(crate) fn system_attributes(&self) -> BTreeMap<String, String> {
        let trace_header = match &self.content.trace_header {
            Some(MessageAttribute { value: AttributeValue::Text(header), .. }) => {
                Some(header.clone())
            }
            _ => None,
        };
        let all = [
            ("SenderId", Some(SENDER_ID.to_owned())),
            ("SentTimestamp", Some(self.sent_ms.to_string())),
            ("ApproximateReceiveCount", Some(self.receives.to_string())),
            ("ApproximateFirstReceiveTimestamp", self.first_received_ms.map(|ms| ms.to_string())),
            ("MessageGroupId", self.content.group.as_deref().map(str::to_owned)),
            ("DeadLetterQueueSourceArn", self.source_arn.clone()),
            ("AWSTraceHeader", trace_header),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }
}

/// A message that is handed out, with the handle to delete it.
#[derive(Debug)]
pub(crate) struct Handed {
    pub(crate) key: u64,
    pub(crate) receipt_handle: String,
    pub(crate) message: Message,
    /// The message is handed out for a second time, for fault injection.
    pub(crate) again: bool,
}

impl From<Handed> for Received {
    fn from(handed: Handed) -> Self {
        let content = &handed.message.content;
        Self {
            message_id: handed.message.id.clone(),
            receipt_handle: handed.receipt_handle,
            body: content.body.clone(),
            md5_of_body: content.md5_of_body.clone(),
            attributes: handed.message.system_attributes(),
            message_attributes: content.attributes.clone(),
        }
    }
}
