//! Queues have attributes with names, ranges and defaults (SetQueueAttributes in the SQS API
//! reference).

use std::collections::BTreeMap;

use crate::{
    error::{ErrorKind, SqsError},
    redrive::{RedriveAllowPolicy, RedrivePolicy},
};

/// A message may have this many bytes, and so may all messages of a batch together.
pub(crate) const MAX_MESSAGE_BYTES: usize = 1_048_576;

/// Twelve hours, which is also the longest that a message can stay invisible after one receive.
pub(crate) const MAX_VISIBILITY_SECONDS: u32 = 43_200;

/// The attributes of a queue that can be set.
#[derive(Debug, Clone)]
pub(crate) struct Attributes {
    pub(crate) delay_seconds: u32,
    pub(crate) maximum_message_size: u32,
    pub(crate) retention_seconds: u32,
    pub(crate) receive_wait_seconds: u32,
    pub(crate) visibility_timeout_seconds: u32,
    pub(crate) redrive: Option<RedrivePolicy>,
    pub(crate) redrive_allow: Option<RedriveAllowPolicy>,
    /// The policy is kept and shown, but it refuses nobody.
    policy: Option<String>,
    kms_master_key_id: Option<String>,
    kms_data_key_reuse_seconds: u32,
    managed_encryption: bool,
}

impl Default for Attributes {
    fn default() -> Self {
        Self {
            delay_seconds: 0,
            maximum_message_size: MAX_MESSAGE_BYTES as u32,
            retention_seconds: 345_600,
            receive_wait_seconds: 0,
            visibility_timeout_seconds: 30,
            redrive: None,
            redrive_allow: None,
            policy: None,
            kms_master_key_id: None,
            kms_data_key_reuse_seconds: 300,
            managed_encryption: true,
        }
    }
}

/// The names in the order in which `All` is answered. The attributes that can't be set come from
/// the queue.
pub(crate) const NAMES: [&str; 17] = [
    "QueueArn",
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
    "CreatedTimestamp",
    "LastModifiedTimestamp",
    "VisibilityTimeout",
    "MaximumMessageSize",
    "MessageRetentionPeriod",
    "DelaySeconds",
    "ReceiveMessageWaitTimeSeconds",
    "RedrivePolicy",
    "RedriveAllowPolicy",
    "Policy",
    "KmsMasterKeyId",
    "KmsDataKeyReusePeriodSeconds",
    "SqsManagedSseEnabled",
];

const FIFO_NAMES: [&str; 4] =
    ["FifoQueue", "ContentBasedDeduplication", "DeduplicationScope", "FifoThroughputLimit"];

pub(crate) fn unknown(name: &str) -> SqsError {
    SqsError::new(ErrorKind::InvalidAttributeName, format!("Unknown Attribute {name}."))
}

impl Attributes {
    /// Makes changed attributes of these, or returns the first error.
    pub(crate) fn with(&self, changes: &BTreeMap<String, String>) -> Result<Self, SqsError> {
        let mut new = self.clone();
        for (name, value) in changes {
            new.set(name, value)?;
        }
        let asked_for_managed =
            changes.get("SqsManagedSseEnabled").is_some_and(|value| value == "true");
        if new.kms_master_key_id.is_some() {
            if asked_for_managed {
                let message = "You can use one type of server-side encryption (SSE) at one time. \
                    You can either enable KMS SSE or SQS SSE.";
                return Err(SqsError::new(ErrorKind::InvalidAttributeName, message));
            }
            new.managed_encryption = false;
        }
        Ok(new)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), SqsError> {
        match name {
            "DelaySeconds" => self.delay_seconds = number(name, value, 0..=900)?,
            "MaximumMessageSize" => {
                self.maximum_message_size = number(name, value, 1_024..=MAX_MESSAGE_BYTES as u32)?
            }
            "MessageRetentionPeriod" => {
                self.retention_seconds = number(name, value, 60..=1_209_600)?
            }
            "ReceiveMessageWaitTimeSeconds" => {
                self.receive_wait_seconds = number(name, value, 0..=20)?
            }
            "VisibilityTimeout" => {
                self.visibility_timeout_seconds = number(name, value, 0..=MAX_VISIBILITY_SECONDS)?
            }
            "RedrivePolicy" => self.redrive = given(value).map(RedrivePolicy::parse).transpose()?,
            "RedriveAllowPolicy" => {
                self.redrive_allow = given(value).map(RedriveAllowPolicy::parse).transpose()?
            }
            "Policy" => {
                if given(value).is_some_and(|text| {
                    serde_json::from_str::<serde_json::Map<_, _>>(text).is_err()
                }) {
                    return Err(invalid(name));
                }
                self.policy = given(value).map(str::to_owned);
            }
            "KmsMasterKeyId" => self.kms_master_key_id = given(value).map(str::to_owned),
            "KmsDataKeyReusePeriodSeconds" => {
                self.kms_data_key_reuse_seconds = number(name, value, 60..=86_400)?
            }
            "SqsManagedSseEnabled" => {
                self.managed_encryption = value.parse().map_err(|_| invalid(name))?
            }
            fifo if FIFO_NAMES.contains(&fifo) => {
                let message = format!(
                    "The attribute {fifo} is for FIFO queues: this server has standard queues only."
                );
                return Err(SqsError::new(ErrorKind::UnsupportedOperation, message));
            }
            other => return Err(unknown(other)),
        }
        Ok(())
    }

    /// Returns the value as GetQueueAttributes answers it. There is none if it was never set and
    /// has no default.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        match name {
            "DelaySeconds" => Some(self.delay_seconds.to_string()),
            "MaximumMessageSize" => Some(self.maximum_message_size.to_string()),
            "MessageRetentionPeriod" => Some(self.retention_seconds.to_string()),
            "ReceiveMessageWaitTimeSeconds" => Some(self.receive_wait_seconds.to_string()),
            "VisibilityTimeout" => Some(self.visibility_timeout_seconds.to_string()),
            "RedrivePolicy" => self.redrive.as_ref().map(RedrivePolicy::to_json),
            "RedriveAllowPolicy" => self.redrive_allow.as_ref().map(RedriveAllowPolicy::to_json),
            "Policy" => self.policy.clone(),
            "KmsMasterKeyId" => self.kms_master_key_id.clone(),
            "KmsDataKeyReusePeriodSeconds" => {
                self.kms_master_key_id.as_ref().map(|_| self.kms_data_key_reuse_seconds.to_string())
            }
            "SqsManagedSseEnabled" => Some(self.managed_encryption.to_string()),
            _ => None,
        }
    }
}

/// Reads a value. An empty text takes the attribute away.
fn given(value: &str) -> Option<&str> {
    Some(value).filter(|value| !value.is_empty())
}

fn number(name: &str, value: &str, range: std::ops::RangeInclusive<u32>) -> Result<u32, SqsError> {
    value.parse().ok().filter(|number| range.contains(number)).ok_or_else(|| invalid(name))
}

fn invalid(name: &str) -> SqsError {
    SqsError::new(
        ErrorKind::InvalidAttributeValue,
        format!("Invalid value for the parameter {name}."),
    )
}
