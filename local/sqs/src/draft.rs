//! A draft is a message as a sender gives it. It has rules to keep.
//!
//! Source: SendMessage in the SQS API reference, "Amazon SQS message metadata" and "Amazon SQS
//! message quotas" in the developer guide.

use std::{collections::BTreeMap, sync::Arc};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    digest,
    error::{ErrorKind, SqsError},
    message::{AttributeValue, Content, MessageAttribute},
};

const MAX_ATTRIBUTES: usize = 10;

/// The fields that SendMessage and an entry of SendMessageBatch have in common.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Outgoing {
    pub(crate) queue_url: Option<String>,
    /// Only a batch entry has an id.
    pub(crate) id: Option<String>,
    message_body: Option<String>,
    delay_seconds: Option<i64>,
    message_attributes: Option<BTreeMap<String, RawAttribute>>,
    message_system_attributes: Option<BTreeMap<String, RawAttribute>>,
    message_group_id: Option<String>,
    message_deduplication_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawAttribute {
    data_type: Option<String>,
    string_value: Option<String>,
    binary_value: Option<Binary>,
    string_list_values: Option<Vec<Value>>,
    binary_list_values: Option<Vec<Value>>,
}

/// Bytes that are in base64 on the wire.
struct Binary(Vec<u8>);

impl<'de> Deserialize<'de> for Binary {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        BASE64_STANDARD.decode(text).map(Self).map_err(serde::de::Error::custom)
    }
}

/// A checked message on its way into a queue.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) content: Arc<Content>,
    pub(crate) size: usize,
    pub(crate) delay_seconds: Option<u32>,
}

impl Outgoing {
    /// Counts the bytes towards the limits: the body, and each attribute's name, data type and
    /// value. System attributes don't count.
    pub(crate) fn size(&self) -> usize {
        let attributes = self.message_attributes.iter().flatten().map(|(name, raw)| {
            name.len()
                + raw.data_type.as_ref().map_or(0, String::len)
                + raw.string_value.as_ref().map_or(0, String::len)
                + raw.binary_value.as_ref().map_or(0, |Binary(bytes)| bytes.len())
        });
        self.message_body.as_ref().map_or(0, String::len) + attributes.sum::<usize>()
    }

    /// Checks all that can be checked without the queue.
    pub(crate) fn check(self) -> Result<Draft, SqsError> {
        let size = self.size();
        let body = self
            .message_body
            .filter(|body| !body.is_empty())
            .ok_or_else(|| SqsError::missing("MessageBody"))?;
        if !body.chars().all(is_allowed) {
            return Err(SqsError::new(
                ErrorKind::InvalidMessageContents,
                "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to \
                 #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF",
            ));
        }
        if let Some(id) = self.message_deduplication_id {
            let reason = "The request include parameter that is not valid for this queue type.";
            return Err(SqsError::value(id, "MessageDeduplicationId", reason));
        }
        let delay_seconds = self.delay_seconds.map(delay).transpose()?;
        let group = self.message_group_id.map(group).transpose()?;

        let raw = self.message_attributes.unwrap_or_default();
        if raw.len() > MAX_ATTRIBUTES {
            return Err(SqsError::parameter(format!(
                "Number of message attributes [{}] exceeds the allowed maximum [{MAX_ATTRIBUTES}].",
                raw.len()
            )));
        }
        let attributes = raw
            .into_iter()
            .map(|(name, raw)| Ok((name.clone(), attribute(&name, raw)?)))
            .collect::<Result<_, _>>()?;
        let trace_header = trace_header(self.message_system_attributes.unwrap_or_default())?;

        let md5_of_body = digest::of_body(&body);
        let content = Arc::new(Content { body, md5_of_body, attributes, trace_header, group });
        Ok(Draft { content, size, delay_seconds })
    }
}

/// Tells if a character is one of XML 1.0 (<https://www.w3.org/TR/REC-xml/#charsets>). Surrogates
/// can't occur in a `char`.
fn is_allowed(char: char) -> bool {
    matches!(char, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..)
}

fn delay(seconds: i64) -> Result<u32, SqsError> {
    match u32::try_from(seconds) {
        Ok(seconds @ 0..=900) => Ok(seconds),
        _ => Err(SqsError::value(seconds, "DelaySeconds", "DelaySeconds must be >= 0 and <= 900.")),
    }
}

fn group(id: String) -> Result<Arc<str>, SqsError> {
    if (1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(id.into())
    } else {
        let reason = "MessageGroupId can only include alphanumeric and punctuation characters. 1 \
            to 128 in length.";
        Err(SqsError::value(id, "MessageGroupId", reason))
    }
}

fn trace_header(
    attributes: BTreeMap<String, RawAttribute>,
) -> Result<Option<MessageAttribute>, SqsError> {
    let mut header = None;
    for (name, raw) in attributes {
        if name != "AWSTraceHeader" {
            return Err(SqsError::parameter(format!(
                "Message system attribute name '{name}' is invalid."
            )));
        }
        let checked = attribute(&name, raw)?;
        if checked.data_type != "String" {
            return Err(SqsError::parameter(
                "The type of message system attribute 'AWSTraceHeader' must be 'String'.",
            ));
        }
        header = Some(checked);
    }
    Ok(header)
}

fn attribute(name: &str, raw: RawAttribute) -> Result<MessageAttribute, SqsError> {
    if !is_attribute_name(name) {
        return Err(SqsError::parameter(format!(
            "Message (user) attribute name '{name}' is invalid: it can contain A-Z, a-z, 0-9, \
             underscore, hyphen and period, up to 256, must not start or end with a period, have \
             periods in succession, or start with 'AWS.' or 'Amazon.'."
        )));
    }
    if raw.string_list_values.is_some_and(|list| !list.is_empty())
        || raw.binary_list_values.is_some_and(|list| !list.is_empty())
    {
        let message = "Message attribute list values in SendMessage operation are not supported.";
        return Err(SqsError::new(ErrorKind::UnsupportedOperation, message));
    }
    let data_type = raw.data_type.unwrap_or_default();
    if data_type.is_empty() {
        return Err(SqsError::parameter(format!(
            "The message (user) attribute '{name}' must contain a non-empty attribute type."
        )));
    }
    let prefix = data_type.split_once('.').map_or(data_type.as_str(), |(prefix, _)| prefix);
    if !matches!(prefix, "String" | "Number" | "Binary") || data_type.len() > 256 {
        return Err(SqsError::parameter(format!(
            "The type of message (user) attribute '{name}' is invalid. You must use only the \
             following supported type prefixes: Binary, Number, String."
        )));
    }
    let value = if prefix == "Binary" {
        raw.binary_value
            .filter(|Binary(bytes)| !bytes.is_empty())
            .map(|Binary(bytes)| AttributeValue::Binary(bytes))
    } else {
        raw.string_value.filter(|text| !text.is_empty()).map(AttributeValue::Text)
    };
    let Some(value) = value else {
        return Err(SqsError::parameter(format!(
            "Message (user) attribute '{name}' must contain a non-empty value of type '{prefix}'."
        )));
    };
    if let AttributeValue::Text(text) = &value {
        if !text.chars().all(is_allowed) {
            let message = format!(
                "Invalid characters found in the value of message (user) attribute '{name}'."
            );
            return Err(SqsError::parameter(message));
        }
        if prefix == "Number" && !is_number(text) {
            return Err(SqsError::parameter(format!(
                "Can't cast the value of message (user) attribute '{name}' to a number."
            )));
        }
    }
    Ok(MessageAttribute { data_type, value })
}

fn is_attribute_name(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    (1..=256).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
        && !name.starts_with('.')
        && !name.ends_with('.')
        && !name.contains("..")
        && !lower.starts_with("aws.")
        && !lower.starts_with("amazon.")
}

/// Tells if a text is a decimal number. `parse` alone would also take `inf` and `NaN`.
fn is_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte))
        && text.parse::<f64>().is_ok()
}
