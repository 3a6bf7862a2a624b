//! The tasks of a batch become sequences of deliveries, each with the messages that asked for it.
//! Pure.
//!
//! A task is a sequence. Where the webhook's format takes several events into a request, the tasks
//! that come for the first time are one sequence, in the order of their events, as far as the
//! bounds of a task allow.

use posthaste_delivery::{Client, Duties, Gone, Parking};
use posthaste_domain::{
    Timestamp,
    delivery::{
        made::Made,
        sequence::{Pending, Sequence},
        task::{MAX_DELIVERIES, MAX_REFERRED_BYTES, Task},
    },
    endpoint::lane::{Admission, Lane, Reason},
    webhook::Webhook,
};

/// A sequence, and what else its messages ask for.
#[derive(Debug)]
pub(crate) struct Work<'f> {
    /// The places of its messages.
    pub(crate) records: Vec<usize>,
    pub(crate) client: &'f Client,
    pub(crate) lane: Lane,
    pub(crate) admission: Admission,
    /// The reason that it waits, if it has to and nobody else has said why.
    pub(crate) reason: Reason,
    pub(crate) sequence: Sequence,
    pub(crate) later: Vec<(Pending, Timestamp)>,
    pub(crate) parks: Vec<Parking>,
    pub(crate) skips: Vec<Pending>,
    pub(crate) exhausted: Vec<Pending>,
    pub(crate) gone: Vec<Gone>,
    /// An attempt that was made for its deliveries and is to be recorded.
    pub(crate) made: Option<(Made, Vec<Pending>)>,
    /// A slot of the rate limit for its first request.
    pub(crate) slot: Option<Timestamp>,
    /// The number of times that its deliveries were sent on before.
    pub(crate) passes: u32,
}

/// A change of a webhook while a sequence for it was under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// Nothing.
    None,
    /// It was paused or disabled.
    Paused,
    /// Its owner has changed it: what is left has to be read and written anew.
    Changed,
    /// It was removed.
    Gone,
}

impl<'f> Work<'f> {
    /// The work that one task asks for.
    pub(crate) fn of(
        at: usize,
        task: &Task<'_>,
        duties: Duties,
        is_fresh: bool,
        client: &'f Client,
        lane: Lane,
    ) -> Self {
        let batch = duties.common_batch(task.batch);
        let Duties { sends, later, parks, made, skips, exhausted, gone } = duties;
        Self {
            records: vec![at],
            client,
            admission: lane.admission(),
            lane,
            reason: Reason::Slow,
            sequence: Sequence { batch, left: sends, is_fresh },
            later,
            parks,
            skips,
            exhausted,
            gone,
            made: task.made.clone().zip(Some(made).filter(|made| !made.is_empty())),
            slot: None,
            passes: task.passes,
        }
    }

    /// Says whether its message asks for nothing but its sequence.
    pub(crate) fn is_whole(&self) -> bool {
        self.records.len() == 1
            && self.made.is_none()
            && self.later.is_empty()
            && self.parks.is_empty()
            && self.skips.is_empty()
            && self.exhausted.is_empty()
            && self.gone.is_empty()
    }

    /// Says what has become of its webhook since it was read.
    pub(crate) fn change(&self, webhook: Option<&Webhook>) -> Change {
        match webhook {
            None => Change::Gone,
            Some(webhook) if !webhook.is_enabled() => Change::Paused,
            Some(webhook) if webhook.updated_at != self.client.webhook.updated_at => {
                Change::Changed
            }
            Some(_) => Change::None,
        }
    }

    fn bytes(&self) -> u64 {
        self.sequence.left.iter().map(|pending| pending.event.data.get().len() as u64).sum()
    }

    fn can_join(&self, other: &Self) -> bool {
        let webhook = &self.client.webhook;
        let are_fresh = self.sequence.is_fresh
            && other.sequence.is_fresh
            && other.client.webhook.key == webhook.key;
        are_fresh && (self.has_all_of(other) || self.has_room_for(other))
    }

    /// Says whether the other one is a copy, or a part of one.
    fn has_all_of(&self, other: &Self) -> bool {
        !other.sequence.left.is_empty()
            && other.sequence.left.iter().all(|pending| self.has(pending))
    }

    fn has(&self, pending: &Pending) -> bool {
        self.sequence.left.iter().any(|known| known.id == pending.id)
    }

    fn has_room_for(&self, other: &Self) -> bool {
        self.client.webhook.batches()
            && self.sequence.left.len() + other.sequence.left.len() <= MAX_DELIVERIES
            && self.bytes() + other.bytes() <= MAX_REFERRED_BYTES
    }

    /// Joins two works: what is due together goes in the order of its events. An event that two
    /// messages bring is sent once.
    fn join(&mut self, other: Self) {
        self.records.extend(other.records);
        for pending in other.sequence.left {
            if !self.has(&pending) {
                self.sequence.left.push(pending);
            }
        }
        self.sequence.left.sort_by_key(|pending| pending.event.id);
        self.later.extend(other.later);
        self.parks.extend(other.parks);
        self.skips.extend(other.skips);
        self.exhausted.extend(other.exhausted);
        self.gone.extend(other.gone);
        self.passes = self.passes.max(other.passes);
    }
}

/// Adds work to the rest.
pub(crate) fn add<'f>(all: &mut Vec<Work<'f>>, work: Work<'f>) {
    match all.iter_mut().find(|other| other.can_join(&work)) {
        Some(other) => other.join(work),
        None => all.push(work),
    }
}

#[cfg(test)]
mod tests;
