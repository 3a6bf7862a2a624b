//! This crate is Amazon SQS in memory: a server that speaks the AWS JSON 1.0 protocol as the SDKs
//! use it, and the same queues for Rust code.
//!
//! What it does is written after the SQS API reference: limits and their error codes, delays,
//! visibility timeouts, retention, redrive to dead-letter queues and back, long polling, message
//! attributes and the MD5 digests that SDKs check. What is different from, or more definite than,
//! the real service:
//!
//! - Standard queues only. A FIFO name, attribute or parameter is an error.
//! - **Order.** Unless [`Sqs::set_picker`] asks for disorder, messages come in the order in which
//!   they became visible, with turns between message
//!   groups: a group that has had a message handed out goes to the end of the line, and a message
//!   without a group is a group of its own. SQS does so only once a group holds a tenth of the
//!   messages in flight and at least 30; here quiet groups come to their turn from the first
//!   message.
//! - **At least once.** A message comes twice only where the API reference says so of every queue
//!   (its visibility timeout ran out) or where [`Sqs::set_duplicator`] asks for it. A short poll
//!   looks at all messages, not at a sample.
//! - An old receipt handle deletes its message as the newest does; SQS says only that it "might not
//!   be deleted".
//! - Changing the visibility of a message that has become visible again is always
//!   `MessageNotInflight`; SQS "might" answer so.
//! - Changed attributes, purges and created queues take effect at once.
//! - Anyone may do anything: policies are kept and shown, not enforced; encryption attributes have
//!   no effect.

mod api;
mod attributes;
mod digest;
mod draft;
mod error;
mod http;
mod ids;
mod message;
mod moves;
mod queue;
mod ready;
mod redrive;
mod state;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, timeout_at};

use message::Handed;
use state::State;

pub use error::{ErrorKind, SqsError};
pub use message::{AttributeValue, MessageAttribute, Received};
pub use queue::QueueDepth;

/// Queue URLs and ARNs are made of these settings.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The address at which callers reach the server, such as `http://127.0.0.1:4566`.
    pub base_url: String,
    /// The region in ARNs, such as `us-east-1`.
    pub region: String,
    /// The account in URLs and ARNs, which has twelve digits.
    pub account: String,
}

/// The handle of the whole server. It is cheap to clone, and all clones share the queues.
#[derive(Clone)]
pub struct Sqs {
    shared: Arc<Shared>,
}

type Duplicator = Box<dyn Fn() -> bool + Send + Sync>;
type Picker = Arc<dyn Fn(usize) -> usize + Send + Sync>;

struct Shared {
    state: Mutex<State>,
    duplicator: Mutex<Option<Duplicator>>,
    picker: Mutex<Option<Picker>>,
}

impl Sqs {
    /// Makes a server without queues.
    pub fn new(settings: Settings) -> Self {
        let state = Mutex::new(State::new(settings));
        Self {
            shared: Arc::new(Shared {
                state,
                duplicator: Mutex::default(),
                picker: Mutex::default(),
            }),
        }
    }

    /// Receives up to `max` messages from the queue of that name, waits up to `wait` for the first
    /// one, and hides them for the queue's visibility timeout. As with long polling, it comes back
    /// empty when `wait` is over. `OverLimit` is only for a `wait` of zero. Dropping the future
    /// takes no message.
    pub async fn receive(
        &self,
        queue: &str,
        max: usize,
        wait: Duration,
    ) -> Result<Vec<Received>, SqsError> {
        let handed = self.poll(queue, max, Some(wait), None).await?;
        Ok(handed.into_iter().map(Received::from).collect())
    }

    /// Deletes a message of the queue of that name, as DeleteMessage does.
    pub fn delete(&self, queue: &str, receipt_handle: &str) -> Result<(), SqsError> {
        self.state().queue(queue)?.delete(receipt_handle)
    }

    /// Counts the messages of each queue, in the order of the queues' names.
    pub fn queues(&self) -> Vec<QueueDepth> {
        let mut state = self.state();
        let now = Instant::now();
        state
            .queues
            .values_mut()
            .map(|queue| {
                queue.advance(now);
                queue.depth()
            })
            .collect()
    }

    /// Sets a source of duplicates, for fault injection. It is asked about each message that is
    /// handed out. If it says true, a later receive hands the message out once more, even if it is
    /// deleted before. It is not asked about this second time, which counts as no receive and hides
    /// nothing.
    pub fn set_duplicator(&self, duplicator: Option<Duplicator>) {
        *self.shared.duplicator.lock().unwrap_or_else(PoisonError::into_inner) = duplicator;
    }

    /// Sets a source of disorder, for fault injection. It is told how many messages, or groups of
    /// messages, are in line, and answers which one is handed out next. The first one has the
    /// place 0, which is the order that a queue has by itself.
    pub fn set_picker(&self, picker: Option<Picker>) {
        *self.shared.picker.lock().unwrap_or_else(PoisonError::into_inner) = picker;
    }

    fn picker(&self) -> Option<Picker> {
        self.shared.picker.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes every in-flight message of the queue visible at once, as if its visibility timeout
    /// were over, and counts them. A queue that does not exist has none. This is for tests.
    pub fn expire_in_flight(&self, queue: &str) -> usize {
        self.state().queue(queue).map_or(0, |queue| queue.expire_in_flight())
    }

    /// Makes every delayed message of the queue visible at once, as if its delay were over, and
    /// counts them. This is for tests.
    pub fn expire_delays(&self, queue: &str) -> usize {
        self.state().queue(queue).map_or(0, |queue| queue.expire_delays())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does what ReceiveMessage does: takes the messages that are there, or else waits for some.
    /// `wait` is the queue's own unless given.
    async fn poll(
        &self,
        name: &str,
        max: usize,
        wait: Option<Duration>,
        visibility: Option<Duration>,
    ) -> Result<Vec<Handed>, SqsError> {
        let mut deadline = None;
        let picker = self.picker();
        let pick = |waiting| picker.as_ref().map_or(0, |picker| picker(waiting));
        loop {
            let (woken, until) = {
                let mut state = self.state();
                let handed = state.receive(name, max, visibility, &pick)?;
                if !handed.is_empty() {
                    drop(state);
                    self.duplicate(name, &handed);
                    return Ok(handed);
                }
                let queue = state.queue(name)?;
                let now = Instant::now();
                let wait = wait.unwrap_or_else(|| {
                    Duration::from_secs(queue.attributes.receive_wait_seconds.into())
                });
                // Long polls wait for messages to be deleted ("Messages per queue (in flight)" in
                // the quotas).
                if wait.is_zero() && queue.is_full() {
                    return Err(SqsError::new(
                        ErrorKind::OverLimit,
                        "Too many messages are in flight.",
                    ));
                }
                let deadline = *deadline.get_or_insert(now + wait);
                if now >= deadline {
                    return Ok(Vec::new());
                }
                // Made under the lock: whatever comes from here on wakes it.
                let woken = queue.wake.clone().notified_owned();
                (woken, queue.next_visible().map_or(deadline, |next| next.min(deadline)))
            };
            let _ = timeout_at(until, woken).await;
        }
    }

    fn duplicate(&self, name: &str, handed: &[Handed]) {
        let duplicator = self.shared.duplicator.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(wants) = duplicator.as_ref() else {
            return;
        };
        for handed in handed.iter().filter(|handed| !handed.again && wants()) {
            if let Ok(queue) = self.state().queue(name) {
                queue.duplicate(handed);
            }
        }
    }
}
