//! Decides what each delivery of a task asks for. Pure.

use posthaste_domain::{
    Timestamp,
    delivery::{
        attempt::{self, Duty, Progress},
        made::Made,
        sequence::Pending,
        task::{Due, Task},
    },
    id::{BatchId, CauseKind, DeliveryId, EventId},
    webhook::Webhook,
};

use crate::{Details, details::Stored};

/// A delivery whose event is not stored any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone {
    /// The place of the message or item that asked for it.
    pub source: usize,
    /// The delivery's id.
    pub id: DeliveryId,
    /// The reason why the delivery exists.
    pub cause: CauseKind,
    /// The event that is gone.
    pub event: EventId,
}

/// The way in which a task came.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sent {
    /// The place of its message, or of its item.
    pub source: usize,
    /// True if somebody sent it back from the dead-letter queue.
    pub redriven: bool,
}

/// A delivery whose retry has to be parked, as its record says.
#[derive(Debug, Clone)]
pub struct Parking {
    /// The delivery that waits.
    pub pending: Pending,
    /// The time at which its retry is due.
    pub due_at: Timestamp,
    /// The request that the delivery shared.
    pub batch: Option<BatchId>,
}

/// The duties of a task, with the deliveries that have each. A delivery that has ended has none.
#[derive(Debug, Clone, Default)]
pub struct Duties {
    /// An attempt is to be made for each.
    pub sends: Vec<Pending>,
    /// An attempt is to be made for each, but not before this time: a function died before it could
    /// make them wait.
    pub later: Vec<(Pending, Timestamp)>,
    /// The attempt that travels in the task is to be recorded with each.
    pub made: Vec<Pending>,
    /// Each is to be parked: a function died after it had recorded their attempt.
    pub parks: Vec<Parking>,
    /// Each is to be recorded as skipped, because the webhook is paused.
    pub skips: Vec<Pending>,
    /// Each has no try left, and is to be given up.
    pub exhausted: Vec<Pending>,
    /// The event of each is gone.
    pub gone: Vec<Gone>,
}

impl Duties {
    /// The batch of a task, if all its deliveries that are left go the same way. None where a crash
    /// has divided them: with one id in two requests, a receiver would drop the second one.
    pub fn common_batch(&self, batch: Option<BatchId>) -> Option<BatchId> {
        let ways = [self.sends.len(), self.later.len(), self.parks.len(), self.exhausted.len()];
        batch.filter(|_| ways.iter().filter(|deliveries| **deliveries > 0).count() <= 1)
    }

    fn add(&mut self, duty: Duty, pending: Pending, batch: Option<BatchId>) {
        match duty {
            Duty::Send => self.sends.push(pending),
            Duty::SendAt(at) => self.later.push((pending, at)),
            Duty::ParkUntil(due_at) => self.parks.push(Parking { pending, due_at, batch }),
            Duty::Skip => self.skips.push(pending),
            Duty::DeadLetter => self.exhausted.push(pending),
            Duty::Over => {}
        }
    }
}

/// Sorts the deliveries of a task by their duties. None if the event of one could not be read:
/// nobody knows whether it is gone. A delivery whose record could not be read counts as one that
/// has none.
pub fn duties(
    task: Task<'static>,
    sent: Sent,
    webhook: &Webhook,
    details: &Details,
    now: Timestamp,
) -> Option<Duties> {
    let mut duties = Duties::default();
    let redriven = sent.redriven || task.redriven;
    for due in task.deliveries {
        let progress = details.progress.items.get(&due.id).copied();
        let duty = attempt::duty(webhook, progress, redriven, now);
        let is_wanted =
            if task.made.is_some() { Made::is_wanted(progress) } else { duty != Duty::Over };
        if !is_wanted {
            continue;
        }
        let Due { id, cause, content, .. } = due;
        let event_id = content.event_id();
        let event = match details.event(&task.webhook.workspace, content) {
            Stored::Here(event) => event,
            Stored::Unread => return None,
            // The endpoint has it, and a record would be gone as well.
            Stored::Gone if task.made.as_ref().is_some_and(|made| made.attempt.succeeded()) => {
                continue;
            }
            Stored::Gone if duty == Duty::Over => continue,
            Stored::Gone => {
                duties.gone.push(Gone { source: sent.source, id, cause, event: event_id });
                continue;
            }
        };
        if task.unrouted && !webhook.wants(&event) {
            continue;
        }
        let known = progress.unwrap_or(Progress::UNRECORDED);
        let pending = Pending {
            source: sent.source,
            id,
            cause,
            event,
            redriven,
            attempts: known.attempts,
            halvings: known.halvings,
            companions: known.companions(),
            recorded_at: known.recorded_at,
            faults: task.faults,
        };
        if task.made.is_some() {
            // The record may count this very attempt, and a later one too. So no number is given,
            // and the table finds out.
            duties.made.push(Pending { attempts: 0, halvings: 0, ..pending });
        } else {
            duties.add(duty, pending, known.batch);
        }
    }
    Some(duties)
}

#[cfg(test)]
mod tests;
