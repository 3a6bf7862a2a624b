//! Sends deliveries on as a task of their own, which comes later.

use std::time::Duration;

use posthaste_domain::{
    delivery::{
        sequence::Pending,
        task::{Due, Task},
    },
    id::BatchId,
    webhook::Webhook,
};
use posthaste_queue::Message;

use crate::Courier;

/// The way in which deliveries are sent on.
#[derive(Debug, Clone, Copy)]
pub struct SendOn {
    /// The request that the deliveries share.
    pub batch: Option<BatchId>,
    /// True if they may have been attempted, so that their records have to be looked at.
    pub recorded: bool,
    /// The number of times that they were sent on before.
    pub passes: u32,
    /// The number of times that a fault of ours has met them.
    pub faults: u32,
    /// The time for which the message is hidden.
    pub delay: Duration,
}

/// The task for deliveries that go on in another message, or in a backlog.
pub fn task<'p>(webhook: &'p Webhook, deliveries: &'p [Pending], how: SendOn) -> Task<'p> {
    let due = deliveries
        .iter()
        .map(|pending| Due::of(pending.id, &pending.event).because(pending.cause))
        .collect();
    Task {
        batch: how.batch,
        recorded: how.recorded,
        redriven: deliveries.iter().any(|pending| pending.redriven),
        faults: how.faults,
        passes: how.passes + 1,
        ..Task::new(&webhook.key, due)
    }
}

impl Courier {
    /// Sends deliveries on. Returns false if that fails.
    pub async fn send_on(&self, webhook: &Webhook, deliveries: &[Pending], how: SendOn) -> bool {
        if deliveries.is_empty() {
            return true;
        }
        self.send_task(webhook, &task(webhook, deliveries, how), how.delay).await
    }

    /// Sends a task, and returns false if that fails. The workspace is the message group, so that a
    /// tenant with many webhooks is one neighbour to the others.
    pub async fn send_task(&self, webhook: &Webhook, task: &Task<'_>, delay: Duration) -> bool {
        let sent = match task.message() {
            Ok(body) => {
                let message =
                    Message { delay, ..Message::new(body, webhook.key.workspace.to_string()) };
                self.tasks.send_all(&[message]).await.map_err(|error| error.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = &sent {
            tracing::error!(error, "deliveries could not be sent on");
        }
        sent.is_ok()
    }
}
