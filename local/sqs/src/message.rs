//! Messages: what a sender gives, checked, and what a receiver gets.

use std::{collections::BTreeMap, sync::Arc};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use tokio::time::Instant;

/// Who sends every message, as far as the receivers see: the server knows no users.
pub(crate) const SENDER_ID: &str = "AIDAPOSTHASTELOCALSQS";

/// A message attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageAttribute {
    /// `String`, `Number` or `Binary`, possibly with a custom label: `Number.int`.
    pub data_type: String,
    /// The value.
    pub value: AttributeValue,
}

/// The value of a message attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttributeValue {
    /// Of a `String` or `Number` attribute.
    Text(String),
    /// Of a `Binary` attribute, decoded.
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

/// A received message: what a Lambda SQS record needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The message's id, the same at every receive.
    pub message_id: String,
    /// Another one at every receive.
    pub receipt_handle: String,
    /// The body.
    pub body: String,
    /// MD5 of the body, in hexadecimal.
    pub md5_of_body: String,
    /// System attributes: `ApproximateReceiveCount`, `SentTimestamp`, `MessageGroupId`, ….
    pub attributes: BTreeMap<String, String>,
    /// The sender's attributes.
    pub message_attributes: BTreeMap<String, MessageAttribute>,
}

/// What the sender gave; never changes, wherever the message goes.
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
    /// Retention counts from here; a move to a dead-letter queue does not change it.
    pub(crate) enqueued: Instant,
    pub(crate) sent_ms: u64,
    pub(crate) first_received_ms: Option<u64>,
    /// Receives from all queues, as `ApproximateReceiveCount` tells them.
    pub(crate) receives: u32,
    /// Receives from the queue it is in, which maxReceiveCount is compared with.
    pub(crate) receives_here: u32,
    /// The queue that gave it up, when it is in a dead-letter queue.
    pub(crate) source_arn: Option<String>,
}

impl Message {
    pub(crate) fn system_attributes(&self) -> BTreeMap<String, String> {
        let mut all = BTreeMap::from([
            ("SenderId".to_owned(), SENDER_ID.to_owned()),
            ("SentTimestamp".to_owned(), self.sent_ms.to_string()),
            ("ApproximateReceiveCount".to_owned(), self.receives.to_string()),
        ]);
        let mut add = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                all.insert(name.to_owned(), value);
            }
        };
        add("ApproximateFirstReceiveTimestamp", self.first_received_ms.map(|ms| ms.to_string()));
        add("MessageGroupId", self.content.group.as_deref().map(str::to_owned));
        add("DeadLetterQueueSourceArn", self.source_arn.clone());
        if let Some(MessageAttribute { value: AttributeValue::Text(header), .. }) = &self.content.trace_header {
            add("AWSTraceHeader", Some(header.clone()));
        }
        all
    }
}

/// A message handed out, with the handle for deleting it.
#[derive(Debug)]
pub(crate) struct Handed {
    pub(crate) key: u64,
    pub(crate) receipt_handle: String,
    pub(crate) message: Message,
    /// Whether this is a second hand-out for fault injection.
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
