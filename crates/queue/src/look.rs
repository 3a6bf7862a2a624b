use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use aws_sdk_sqs::types::{self, MessageSystemAttributeName};

use crate::{MAX_ENTRIES, Queue, QueueError, Wait};

const OPERATION: &str = "ReceiveMessage";
/// A message that is looked at is hidden for so long, should nobody make it visible again.
const HIDDEN: Duration = Duration::from_secs(10);
/// SQS asks all its servers if a receive may wait. An empty queue costs this time.
const WAIT: Duration = Duration::from_secs(1);

/// A message that was looked at. It is still on its queue.
#[derive(Clone)]
pub struct Looked {
    /// The message's id.
    pub id: String,
    /// The body.
    pub body: String,
    /// Its attributes that are texts.
    pub attributes: HashMap<String, String>,
    /// The tenant.
    pub group: Option<String>,
    /// The time at which it was sent, in Unix milliseconds. It stays as it is where SQS itself
    /// moves the message to a dead-letter queue.
    pub sent_ms: i64,
    /// True if SQS itself moved the message here.
    pub was_moved: bool,
}

impl std::fmt::Debug for Looked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Looked").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Queue {
    /// Looks at some messages of a queue that no function works off: at most `limit`, in no order.
    /// They are hidden while that lasts, and can be received again afterwards. Where they can't be
    /// made visible they come back by themselves, 10 s after they were received.
    pub async fn look(&self, limit: usize) -> Result<Vec<Looked>, QueueError> {
        let (mut looked, mut handles, mut failed) = (Vec::new(), Vec::new(), None);
        let mut known = HashSet::new();
        while looked.len() < limit {
            let messages = match self.receive((limit - looked.len()).min(MAX_ENTRIES)).await {
                Ok(messages) => messages,
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            };
            let before = looked.len();
            for message in messages {
                handles.extend(message.receipt_handle.clone());
                if let Some(message) = read(message).filter(|one| known.insert(one.id.clone())) {
                    looked.push(message);
                }
            }
            if looked.len() == before {
                break;
            }
        }
        self.show_again(&handles).await;
        failed.map_or(Ok(looked), Err)
    }

    async fn receive(&self, most: usize) -> Result<Vec<types::Message>, QueueError> {
        let call = self
            .client
            .receive_message()
            .queue_url(&*self.url)
            .max_number_of_messages(i32::try_from(most).unwrap_or(1))
            .visibility_timeout(seconds(HIDDEN))
            .wait_time_seconds(seconds(WAIT))
            .message_attribute_names("All")
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
            .message_system_attribute_names(MessageSystemAttributeName::MessageGroupId)
            .message_system_attribute_names(MessageSystemAttributeName::DeadLetterQueueSourceArn);
        let answer = call.send().await.map_err(|error| QueueError::call(OPERATION, error))?;
        Ok(answer.messages.unwrap_or_default())
    }

    async fn show_again(&self, receipt_handles: &[String]) {
        let mut waits = Vec::new();
        for receipt_handle in receipt_handles {
            waits.push(Wait { receipt_handle, after: Duration::ZERO });
        }
        for (_, error) in self.come_again(&waits).await {
            tracing::warn!(%error, "a message that was looked at stays hidden for some seconds");
        }
    }
}

fn seconds(time: Duration) -> i32 {
    crate::visibility::whole_seconds(time)
}

/// None where SQS leaves something out that every message has.
fn read(message: types::Message) -> Option<Looked> {
    use MessageSystemAttributeName::{DeadLetterQueueSourceArn, MessageGroupId, SentTimestamp};
    let mut system = message.attributes.unwrap_or_default();
    let mut attributes = HashMap::new();
    for (name, value) in message.message_attributes.unwrap_or_default() {
        if let Some(text) = value.string_value {
            attributes.insert(name, text);
        }
    }
    Some(Looked {
        id: message.message_id?,
        body: message.body?,
        attributes,
        group: system.remove(&MessageGroupId),
        sent_ms: system.remove(&SentTimestamp)?.parse().ok()?,
        was_moved: system.contains_key(&DeadLetterQueueSourceArn),
    })
}
