//! Two policies tie a queue to its dead-letter queue.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::SqsError;

/// This policy names the queue for messages that were received too often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RedrivePolicy {
    pub(crate) dead_letter_target_arn: String,
    pub(crate) max_receive_count: u32,
}

impl RedrivePolicy {
    pub(crate) fn parse(text: &str) -> Result<Self, SqsError> {
        Self::read(text).map_err(|reason| SqsError::value(text, "RedrivePolicy", reason))
    }

    fn read(text: &str) -> Result<Self, &'static str> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Raw {
            dead_letter_target_arn: Option<String>,
            max_receive_count: Option<Value>,
        }
        let raw: Raw =
            serde_json::from_str(text).map_err(|_| "Redrive policy is not a valid JSON map.")?;
        let arn = raw
            .dead_letter_target_arn
            .ok_or("Redrive policy does not contain mandatory attribute: deadLetterTargetArn.")?;
        if !arn.starts_with("arn:aws:sqs:") || arn.split(':').count() != 6 {
            return Err("Invalid value for deadLetterTargetArn.");
        }
        let given = raw
            .max_receive_count
            .ok_or("Redrive policy does not contain mandatory attribute: maxReceiveCount.")?;
        // CloudFormation and older tools send the count as a string.
        let count = given.as_u64().or_else(|| given.as_str()?.parse().ok());
        match count.and_then(|count| u32::try_from(count).ok()) {
            Some(max_receive_count @ 1..=1000) => {
                Ok(Self { dead_letter_target_arn: arn, max_receive_count })
            }
            _ => Err("Invalid value for maxReceiveCount: valid values are from 1 to 1000 both \
                 inclusive."),
        }
    }

    pub(crate) fn to_json(&self) -> String {
        json!({
            "deadLetterTargetArn": self.dead_letter_target_arn,
            "maxReceiveCount": self.max_receive_count,
        })
        .to_string()
    }
}

/// This policy says which queues may use a queue as their dead-letter queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RedriveAllowPolicy {
    All,
    Nobody,
    ByQueue(Vec<String>),
}

impl RedriveAllowPolicy {
    pub(crate) fn parse(text: &str) -> Result<Self, SqsError> {
        Self::read(text).map_err(|reason| SqsError::value(text, "RedriveAllowPolicy", reason))
    }

    fn read(text: &str) -> Result<Self, &'static str> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Raw {
            redrive_permission: Option<String>,
            source_queue_arns: Option<Vec<String>>,
        }
        let raw: Raw = serde_json::from_str(text)
            .map_err(|_| "Redrive allow policy is not a valid JSON map.")?;
        match (raw.redrive_permission.as_deref(), raw.source_queue_arns) {
            (Some("allowAll"), None) => Ok(Self::All),
            (Some("denyAll"), None) => Ok(Self::Nobody),
            (Some("byQueue"), Some(arns)) if (1..=10).contains(&arns.len()) => {
                Ok(Self::ByQueue(arns))
            }
            (Some("byQueue"), _) => Err("byQueue needs 1 to 10 sourceQueueArns."),
            (Some("allowAll" | "denyAll"), Some(_)) => {
                Err("sourceQueueArns can be given only with byQueue.")
            }
            _ => Err("redrivePermission must be allowAll, denyAll or byQueue."),
        }
    }

    pub(crate) fn allows(&self, source_arn: &str) -> bool {
        match self {
            Self::All => true,
            Self::Nobody => false,
            Self::ByQueue(arns) => arns.iter().any(|arn| arn == source_arn),
        }
    }

    pub(crate) fn to_json(&self) -> String {
        match self {
            Self::All => json!({"redrivePermission": "allowAll"}),
            Self::Nobody => json!({"redrivePermission": "denyAll"}),
            Self::ByQueue(arns) => json!({"redrivePermission": "byQueue", "sourceQueueArns": arns}),
        }
        .to_string()
    }
}
