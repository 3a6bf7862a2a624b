//! Which deliveries share requests, and in which order requests are made. Pure.
//!
//! A lane is a sequence of deliveries to one webhook; lanes go side by side. A task is a lane. Where the webhook's format takes
//! several events into a request, the tasks that come for the first time are one lane: they are due together.

use posthaste_domain::{
    Timestamp,
    attempt::{Turn, turn},
    event::Event,
    id::{BatchId, CauseKind, DeliveryId, EventId},
    process::Process,
    rate_limit::Slot,
    task::Task,
    webhook::{Route, Webhook},
};
use posthaste_runtime::batch::Record;

use crate::facts::{Facts, is_fresh};

/// A delivery that is to be made, and the record that asks for it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pending<'a> {
    pub(crate) record: usize,
    pub(crate) id: DeliveryId,
    pub(crate) cause: CauseKind,
    pub(crate) event: &'a Event,
    /// Whether it was sent back from the dead-letter queue.
    pub(crate) redriven: bool,
    /// How many attempts are known to be recorded.
    pub(crate) attempts: u32,
}

/// A delivery whose event is not stored any more.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gone {
    pub(crate) record: usize,
    pub(crate) id: DeliveryId,
    pub(crate) cause: CauseKind,
    pub(crate) event: EventId,
}

/// Deliveries to one webhook that are made one request after the other.
#[derive(Debug)]
pub(crate) struct Lane<'a> {
    pub(crate) records: Vec<usize>,
    pub(crate) webhook: &'a Webhook,
    pub(crate) batch: Option<BatchId>,
    pub(crate) slot: Option<Slot>,
    pub(crate) sends: Vec<Pending<'a>>,
    /// Those that are not sent because the webhook is paused.
    pub(crate) skips: Vec<Pending<'a>>,
    /// Those that have no try left.
    pub(crate) exhausted: Vec<Pending<'a>>,
    pub(crate) gone: Vec<Gone>,
    /// Whether nothing can have been done for it, so that others can join it.
    pub(crate) is_fresh: bool,
}

/// What becomes of the tasks of a batch.
#[derive(Debug, Default)]
pub(crate) struct Sorted<'a> {
    pub(crate) lanes: Vec<Lane<'a>>,
    /// Records that nothing has to be done for.
    pub(crate) done: Vec<usize>,
    /// Records of which not all could be read.
    pub(crate) unknown: Vec<usize>,
}

/// Sorts the tasks of a batch, `now`.
pub(crate) fn sort<'a>(
    records: &[Record],
    tasks: &'a [(usize, Task<'static>)],
    facts: &'a Facts,
    now: Timestamp,
) -> Sorted<'a> {
    let mut sorted = Sorted::default();
    for (at, task) in tasks {
        if !facts.know(task) {
            sorted.unknown.push(*at);
            continue;
        }
        let Some(webhook) = facts.webhook(task) else {
            tracing::info!(webhook.id = %task.webhook, "the webhook is gone");
            sorted.done.push(*at);
            continue;
        };
        let lane = lane(*at, &records[*at], task, webhook, facts, now);
        let together = |other: &&mut Lane<'_>| {
            lane.is_fresh && other.is_fresh && other.webhook.id == webhook.id && webhook.format().batches()
        };
        match sorted.lanes.iter_mut().find(together) {
            Some(other) => other.absorb(lane),
            None => sorted.lanes.push(lane),
        }
    }
    sorted
}

fn lane<'a>(
    at: usize,
    record: &Record,
    task: &'a Task<'static>,
    webhook: &'a Webhook,
    facts: &'a Facts,
    now: Timestamp,
) -> Lane<'a> {
    let is_fresh = is_fresh(record, task) && task.slot.is_none();
    let mut lane = Lane {
        records: vec![at],
        webhook,
        batch: task.batch,
        // A message that comes again has used its slot.
        slot: task.slot.filter(|_| record.receives <= 1),
        sends: Vec::new(),
        skips: Vec::new(),
        exhausted: Vec::new(),
        gone: Vec::new(),
        is_fresh,
    };
    let redriven = record.redriven || task.redriven;
    for due in &task.deliveries {
        let progress = facts.progress.items.get(&due.id).copied();
        let attempts = progress.map_or(0, |progress| progress.attempts);
        let turn = turn(Some(webhook), progress, redriven, now);
        let list = match turn {
            Turn::Send => &mut lane.sends,
            Turn::Skip => &mut lane.skips,
            Turn::DeadLetter => &mut lane.exhausted,
            Turn::Over | Turn::Drop => continue,
        };
        match facts.event(task, due) {
            Some(event) if task.unrouted && !is_wanted(webhook, event) => {}
            Some(event) => list.push(Pending { record: at, id: due.id, cause: due.cause, event, attempts, redriven }),
            None => {
                let event = due.content.event_id();
                lane.gone.push(Gone { record: at, id: due.id, cause: due.cause, event });
            }
        }
    }
    lane
}

/// What fan-out could not ask.
fn is_wanted(webhook: &Webhook, event: &Event) -> bool {
    webhook.route(event, &Process::of(event)) != Route::Ignore
}

impl<'a> Lane<'a> {
    /// What is due together goes in the order of its events.
    fn absorb(&mut self, other: Lane<'a>) {
        self.records.extend(other.records);
        self.sends.extend(other.sends);
        self.sends.sort_by_key(|pending| pending.event.id);
        self.sends.dedup_by_key(|pending| pending.id);
        self.skips.extend(other.skips);
        self.exhausted.extend(other.exhausted);
        self.gone.extend(other.gone);
    }
}

#[cfg(test)]
mod tests;
