//! SQS: sending in batches, visibility, and what both leave undone; and the calls of operators: how
//! deep a queue is, what is on it, and moving dead letters back. AWS types stop here.

mod chunk;
mod delete;
mod depth;
mod error;
mod look;
mod moves;
mod send;
mod visibility;

use std::sync::Arc;

use aws_sdk_sqs::Client;

pub use depth::Depth;
pub use error::QueueError;
pub use look::Looked;
pub use moves::MoveTask;
pub use send::{MAX_DELAY, Message, Sent};
pub use visibility::Wait;

/// The most entries of one batch call.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html>
const MAX_ENTRIES: usize = 10;
/// The most bytes of one SendMessageBatch, and of one message: 1 MiB.
const MAX_BATCH_BYTES: usize = 1024 * 1024;

/// One queue. Clones share its URL.
#[derive(Debug, Clone)]
pub struct Queue {
    client: Client,
    url: Arc<str>,
}

impl Queue {
    /// The queue with this URL.
    pub fn new(client: Client, url: impl Into<String>) -> Self {
        Self { client, url: url.into().into() }
    }
}
