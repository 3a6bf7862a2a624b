use std::collections::HashMap;

use aws_sdk_sqs::types::QueueAttributeName;

use crate::{Queue, QueueError};

const OPERATION: &str = "GetQueueAttributes";

/// The number of messages of a queue. SQS knows it approximately, and some seconds late.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Depth {
    /// Those that can be received.
    pub waiting: u64,
    /// Those that were received and are not done.
    pub in_flight: u64,
    /// Those that can't be received yet.
    pub delayed: u64,
}

impl Depth {
    /// All messages of the queue.
    pub fn all(self) -> u64 {
        self.waiting + self.in_flight + self.delayed
    }
}

impl Queue {
    /// The number of messages.
    pub async fn depth(&self) -> Result<Depth, QueueError> {
        use QueueAttributeName::{
            ApproximateNumberOfMessages as Waiting, ApproximateNumberOfMessagesDelayed as Delayed,
            ApproximateNumberOfMessagesNotVisible as InFlight,
        };
        let attributes = self.attributes(&[Waiting, InFlight, Delayed]).await?;
        Ok(Depth {
            waiting: number_of(&attributes, &Waiting)?,
            in_flight: number_of(&attributes, &InFlight)?,
            delayed: number_of(&attributes, &Delayed)?,
        })
    }

    /// The queue's ARN.
    pub(crate) async fn arn(&self) -> Result<String, QueueError> {
        let mut attributes = self.attributes(&[QueueAttributeName::QueueArn]).await?;
        attributes.remove(&QueueAttributeName::QueueArn).ok_or_else(missing)
    }

    async fn attributes(
        &self,
        names: &[QueueAttributeName],
    ) -> Result<HashMap<QueueAttributeName, String>, QueueError> {
        let call = self.client.get_queue_attributes().queue_url(&*self.url);
        let call = call.set_attribute_names(Some(names.to_vec()));
        let answer = call.send().await.map_err(|error| QueueError::call(OPERATION, error))?;
        Ok(answer.attributes.unwrap_or_default())
    }
}

fn number_of(
    attributes: &HashMap<QueueAttributeName, String>,
    name: &QueueAttributeName,
) -> Result<u64, QueueError> {
    attributes.get(name).and_then(|text| text.parse().ok()).ok_or_else(missing)
}

fn missing() -> QueueError {
    QueueError::Unreadable { operation: OPERATION }
}
