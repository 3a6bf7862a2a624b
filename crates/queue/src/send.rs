use std::{collections::HashMap, ops::Range, time::Duration};

use aws_sdk_sqs::types::{MessageAttributeValue, SendMessageBatchRequestEntry};
use futures::{Stream, StreamExt, stream};

use crate::{Queue, QueueError, chunk::chunks, visibility::whole_seconds};

/// So many batch calls go on side by side.
const CONCURRENT_CALLS: usize = 8;
/// Refused entries are sent again so often, with doubling waits from [`FIRST_WAIT`].
const TRIES: u32 = 4;
const FIRST_WAIT: Duration = Duration::from_millis(50);
const OPERATION: &str = "SendMessageBatch";

/// The longest delay of a message.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-delay-queues.html>
pub const MAX_DELAY: Duration = Duration::from_secs(15 * 60);

/// A message to be sent.
#[derive(Clone)]
pub struct Message {
    /// The body.
    pub body: String,
    /// The tenant, for SQS fair queues: no group delays another.
    pub group: Option<String>,
    /// Text attributes.
    pub attributes: Vec<(&'static str, String)>,
    /// It stays hidden for so long at first: up to [`MAX_DELAY`], in whole seconds rounded up.
    pub delay: Duration,
}

/// The outcome of sending the messages of one call.
#[derive(Debug)]
pub struct Sent {
    /// Their places.
    pub messages: Range<usize>,
    /// Those that could not be sent.
    pub failed: Vec<(usize, QueueError)>,
}

impl Message {
    /// A message without attributes and delay.
    pub fn new(body: String, group: impl Into<String>) -> Self {
        Self { body, group: Some(group.into()), attributes: Vec::new(), delay: Duration::ZERO }
    }

    /// The size as SQS counts it: the body and the attributes' names, types and values.
    fn size(&self) -> usize {
        let attributes =
            self.attributes.iter().map(|(name, value)| name.len() + "String".len() + value.len());
        self.body.len() + attributes.sum::<usize>()
    }

    fn entry(&self, id: usize) -> Result<SendMessageBatchRequestEntry, QueueError> {
        let mut attributes = HashMap::new();
        for (name, value) in &self.attributes {
            let value =
                MessageAttributeValue::builder().data_type("String").string_value(value).build();
            let value = value.map_err(|error| QueueError::incomplete(OPERATION, error))?;
            attributes.insert((*name).to_owned(), value);
        }
        SendMessageBatchRequestEntry::builder()
            .id(id.to_string())
            .message_body(&self.body)
            .set_message_group_id(self.group.clone())
            .set_message_attributes((!attributes.is_empty()).then_some(attributes))
            .set_delay_seconds(
                (!self.delay.is_zero()).then(|| whole_seconds(self.delay.min(MAX_DELAY))),
            )
            .build()
            .map_err(|error| QueueError::incomplete(OPERATION, error))
    }
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Message")
            .field("bytes", &self.size())
            .field("group", &self.group)
            .finish_non_exhaustive()
    }
}

impl Queue {
    /// Sends messages with as few calls as SQS allows. Returns those that could not be sent, by
    /// their place in `messages`; all others were sent. One may have been sent twice, when the
    /// answer to a call got lost.
    pub async fn send(&self, messages: &[Message]) -> Vec<(usize, QueueError)> {
        self.send_in_calls(messages).map(|sent| sent.failed).concat().await
    }

    /// The same where all have to be sent. An error says why one of them could not be; the others
    /// may have been.
    pub async fn send_all(&self, messages: &[Message]) -> Result<(), QueueError> {
        match self.send(messages).await.pop() {
            None => Ok(()),
            Some((_, error)) => Err(error),
        }
    }

    /// The same as [`Queue::send`], telling of each call as it ends.
    pub fn send_in_calls<'a>(&'a self, messages: &'a [Message]) -> impl Stream<Item = Sent> + 'a {
        let sizes: Vec<usize> = messages.iter().map(Message::size).collect();
        stream::iter(chunks(&sizes))
            .map(move |range| async move {
                let chunk: Vec<(usize, &Message)> =
                    range.clone().zip(&messages[range.clone()]).collect();
                Sent { failed: self.send_chunk(chunk).await, messages: range }
            })
            .buffer_unordered(CONCURRENT_CALLS)
    }

    async fn send_chunk(&self, mut left: Vec<(usize, &Message)>) -> Vec<(usize, QueueError)> {
        let mut refused = Vec::new();
        for attempt in 1..=TRIES {
            let failed = match self.send_once(&left).await {
                Ok(failed) => failed,
                Err(error) => {
                    refused.extend(left.iter().map(|(at, _)| (*at, error.clone())));
                    return refused;
                }
            };
            let last = attempt == TRIES;
            let (again, for_good): (Vec<_>, Vec<_>) =
                failed.into_iter().partition(|entry| !entry.sender_fault && !last);
            refused.extend(for_good.into_iter().map(|entry| {
                (entry.at, QueueError::Entry { operation: OPERATION, code: entry.code })
            }));
            if again.is_empty() {
                break;
            }
            left.retain(|(at, _)| again.iter().any(|entry| entry.at == *at));
            tokio::time::sleep(FIRST_WAIT * 2_u32.pow(attempt - 1)).await;
        }
        refused
    }

    /// One call. Returns the entries that SQS refused.
    async fn send_once(&self, messages: &[(usize, &Message)]) -> Result<Vec<Refused>, QueueError> {
        let entries = messages
            .iter()
            .map(|(at, message)| message.entry(*at))
            .collect::<Result<Vec<_>, _>>()?;
        let call =
            self.client.send_message_batch().queue_url(&*self.url).set_entries(Some(entries));
        let answer = call.send().await.map_err(|error| QueueError::call(OPERATION, error))?;
        let refused = answer.failed.into_iter().filter_map(|entry| {
            let at = entry.id.parse().ok()?;
            Some(Refused { at, sender_fault: entry.sender_fault, code: entry.code })
        });
        Ok(refused.collect())
    }
}

struct Refused {
    at: usize,
    sender_fault: bool,
    code: String,
}
