//! What the deliveries of a task ask for, each by itself. Pure.

use std::sync::Arc;

use posthaste_domain::{
    Timestamp,
    attempt::{Duty, duty},
    id::{BatchId, CauseKind, DeliveryId, EventId},
    sequence::Pending,
    task::{Content, Due, Task},
    webhook::Webhook,
};

use crate::Details;

/// A delivery whose event is not stored any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone {
    /// The place of what asked for it.
    pub source: usize,
    /// Its id.
    pub id: DeliveryId,
    /// Why it exists.
    pub cause: CauseKind,
    /// The event that is gone.
    pub event: EventId,
}

/// How a task came.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sent {
    /// The place of its message, or of its item.
    pub source: usize,
    /// Whether somebody sent it back from the dead-letter queue.
    pub redriven: bool,
    /// How often the message was received.
    pub receives: u32,
}

/// A delivery whose retry has to be parked, as its record says.
#[derive(Debug, Clone)]
pub struct Parking {
    /// The delivery.
    pub pending: Pending,
    /// When its retry is due.
    pub due_at: Timestamp,
    /// The request that it shared.
    pub batch: Option<BatchId>,
}

/// What the deliveries of a task ask for. What is over asks for nothing.
#[derive(Debug, Clone, Default)]
pub struct Duties {
    /// An attempt each.
    pub sends: Vec<Pending>,
    /// An attempt each, but not before this time: a function died before it could let them wait.
    pub later: Vec<(Pending, Timestamp)>,
    /// The attempt that the task says was made is to be recorded with each of them.
    pub made: Vec<Pending>,
    /// They are parked: a function died after it had recorded their attempt.
    pub parks: Vec<Parking>,
    /// They are not sent, because the webhook is paused.
    pub skips: Vec<Pending>,
    /// They have no try left.
    pub exhausted: Vec<Pending>,
    /// Their events are gone.
    pub gone: Vec<Gone>,
}

/// What the deliveries of a task ask for.
pub fn duties(task: Task<'static>, sent: Sent, webhook: &Webhook, details: &Details, now: Timestamp) -> Duties {
    let mut duties = Duties::default();
    let redriven = sent.redriven || task.redriven;
    for due in task.deliveries {
        let progress = details.progress.items.get(&due.id).copied();
        let duty = duty(webhook, progress, redriven, now);
        let is_over = task.made.as_ref().map_or(duty == Duty::Over, |made| !made.is_wanted(progress, redriven));
        if is_over {
            continue;
        }
        let Due { id, cause, content, .. } = due;
        let event_id = content.event_id();
        let event = match content {
            Content::Event(event) => Some(Arc::new(event.into_owned())),
            Content::EventId(id) => details.events.items.get(&(task.workspace.as_ref().clone(), id)).cloned(),
        };
        let Some(event) = event else {
            if task.made.as_ref().is_some_and(|made| made.attempt.succeeded()) {
                // The endpoint has it, and a record would be gone as well.
                continue;
            }
            duties.gone.push(Gone { source: sent.source, id, cause, event: event_id });
            continue;
        };
        if task.unrouted && !webhook.wants(&event) {
            continue;
        }
        let attempts = progress.map_or(0, |progress| progress.attempts);
        let recorded_at = progress.and_then(|progress| progress.recorded_at);
        // A retry that waits as its message raises the receive count too, so recorded attempts are subtracted.
        let faults = task.faults + sent.receives.saturating_sub(1).saturating_sub(attempts);
        let pending = Pending { source: sent.source, id, cause, event, redriven, attempts, recorded_at, faults };
        match duty {
            // Its record may count this very attempt, and a later one too. With no number given, the table finds out.
            _ if task.made.is_some() => duties.made.push(Pending { attempts: 0, ..pending }),
            Duty::Send => duties.sends.push(pending),
            Duty::SendAt(at) => duties.later.push((pending, at)),
            Duty::ParkUntil(due_at) => {
                let batch = progress.and_then(|progress| progress.batch);
                duties.parks.push(Parking { pending, due_at, batch });
            }
            Duty::Skip => duties.skips.push(pending),
            Duty::DeadLetter => duties.exhausted.push(pending),
            Duty::Over => {}
        }
    }
    duties
}

#[cfg(test)]
mod tests;
