//! A webhook's deliveries, the last activity first: those that have a record, and those that are
//! owed and have none, because they wait or are on their way.
//!
//! A delivery is listed at the time of its last activity. Where that is within a minute of its
//! event's acceptance, it is listed at its event: so what goes well, as most does, needs no index.
//! Only what publishing has caused is found by its event, so replays and tests have a place of their
//! own from the beginning.
//!
//! A page is merged from a page of the records and a [`Stretch`] of each class of the backlog. All
//! of them are read from the newest to the oldest, but not equally far: the page ends where the
//! first of them ends, and the next page goes on from there. The records are in the order of their
//! deliveries, the backlog in that of its events. Within one millisecond the two orders have
//! nothing to do with each other, so a stretch counts down to the last millisecond that was read to
//! its end.
//!
//! An item of the backlog can hold several deliveries, for example those of a run. They are listed
//! where their item is found, at the time of its first event, although their own events may be
//! later. Deliveries that were asked for again are listed at the time since which they wait. There
//! are few of them, because the pages of a replay wait for each other.
//!
//! Two sorts of waiting deliveries are not shown:
//!
//! - a delivery of such an item, when a list has a bound in time and the item's first event is on
//!   the other side of it,
//! - deliveries beyond two calls' worth of one millisecond: some thousands for events of the same
//!   moment.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;

use crate::{
    endpoint::backlog::{self, Waiting},
    id::{Cause, CauseKind, DeliveryId, EventId, WebhookId},
};

#[cfg(test)]
mod tests;

/// An activity within this time of an event's acceptance is listed at the event.
const PROMPT: Duration = Duration::from_secs(60);
/// The unit in which ids tell their time.
const MILLISECOND: Duration = Duration::from_millis(1);

/// The place where a delivery is listed because something happens to it `now`. None if it is listed
/// at its event: publishing has caused it, and so soon.
pub fn own_place(delivery: DeliveryId, cause: CauseKind, now: Timestamp) -> Option<DeliveryId> {
    let is_prompt = now <= delivery.time() + PROMPT;
    (!cause.is_published() || !is_prompt).then(|| delivery.placed_at(now))
}

/// The part of the list that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// The most deliveries on the page.
    pub limit: usize,
    /// The cursor: only deliveries that are listed after this one.
    pub before: Option<DeliveryId>,
    /// Only deliveries that are listed at or after this time.
    pub since: Option<Timestamp>,
    /// Only deliveries that are listed before this time.
    pub until: Option<Timestamp>,
}

impl Asked {
    /// The times of the events whose items can be on the page: at or after the first, before the
    /// second. None if there can be no item.
    pub fn times(&self) -> Option<(Timestamp, Option<Timestamp>)> {
        let from = self.since.unwrap_or(Timestamp::UNIX_EPOCH);
        let until = [self.until, self.before.and_then(end)].into_iter().flatten().min();
        until.is_none_or(|until| from <= until).then_some((from, until))
    }

    fn wants(&self, waits: &Waits) -> bool {
        self.before.is_none_or(|before| waits.place < before)
            && self.since.is_none_or(|since| waits.place >= DeliveryId::first_at(since))
            && self.until.is_none_or(|until| waits.place < DeliveryId::first_at(until))
    }
}

/// The end of the last millisecond that has something before this place. None at the end of time.
fn end(before: DeliveryId) -> Option<Timestamp> {
    let time = before.time();
    if before == DeliveryId::first_at(time) { Some(time) } else { millisecond(time).1 }
}

/// The bounds of one millisecond: at or after the first, before the second. The last millisecond
/// has no end.
pub fn millisecond(time: Timestamp) -> (Timestamp, Option<Timestamp>) {
    (time, time.checked_add(MILLISECOND).ok())
}

/// A part of one class of a backlog, read from the newest to the oldest.
#[derive(Debug)]
pub struct Stretch {
    items: Vec<Waiting>,
    end: End,
}

/// The point down to which a stretch was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Down to the end of the list.
    Everything,
    /// Into this millisecond, which may have more.
    Within(Timestamp),
    /// Down to this millisecond, of which everything is listed that can be.
    Whole(Timestamp),
}

impl Stretch {
    /// The items that a call has read. `is_end` says that there are no more.
    pub fn new(items: Vec<Waiting>, is_end: bool) -> Self {
        let last = items.last().filter(|_| !is_end).and_then(|item| backlog::time_of(&item.key));
        Self { items, end: last.map_or(End::Everything, End::Within) }
    }

    /// The millisecond that was read in part, and the last item of it, if nothing else was read.
    /// Its rest has to be read too, or the list would not go on.
    pub fn unfinished(&self) -> Option<(Timestamp, &Waiting)> {
        let End::Within(time) = self.end else { return None };
        let is_alone =
            self.items.first().and_then(|item| backlog::time_of(&item.key)) == Some(time);
        Some((time, self.items.last()?)).filter(|_| is_alone)
    }

    /// Adds the rest of that millisecond, or as much of it as a call reads.
    pub fn finish(&mut self, rest: Vec<Waiting>) {
        self.items.extend(rest);
        if let End::Within(time) = self.end {
            self.end = End::Whole(time);
        }
    }

    /// The place down to which all waiting deliveries are known; none if they are known to the end.
    fn frontier(&self) -> Option<DeliveryId> {
        match self.end {
            End::Everything => None,
            End::Within(time) => millisecond(time).1.map(DeliveryId::first_at),
            End::Whole(time) => Some(DeliveryId::first_at(time)),
        }
    }

    fn deliveries(&self) -> impl Iterator<Item = Waits> {
        self.items.iter().flat_map(deliveries)
    }
}

/// The deliveries of an item of a backlog.
pub fn deliveries(item: &Waiting) -> impl Iterator<Item = Waits> {
    let time = backlog::time_of(&item.key);
    item.task.deliveries.iter().map(move |due| Waits {
        place: time.map_or(due.id, |time| due.id.placed_at(time)),
        id: due.id,
        event_id: due.content.event_id(),
        cause: due.cause,
        since: item.since,
        why: Why::Webhook,
    })
}

/// The deliveries of an item of a backlog that were asked for again.
pub fn replayed(item: &Waiting) -> impl Iterator<Item = Waits> {
    deliveries(item).map(|waits| Waits { place: waits.id.placed_at(waits.since), ..waits })
}

/// The reason why a delivery has not been tried yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Its webhook makes it wait.
    Webhook,
    /// It is on its way: it will be tried in a moment.
    Queued,
    /// It waits for the end of its process run, until this time at the latest.
    ProcessEnd {
        /// The deadline.
        until: Timestamp,
    },
}

/// A delivery that has not been tried yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waits {
    /// The place where it is listed: its own id, unless it waits together with an earlier one.
    pub place: DeliveryId,
    /// The delivery's id.
    pub id: DeliveryId,
    /// The event that the delivery brings.
    pub event_id: EventId,
    /// The reason why the delivery exists.
    pub cause: CauseKind,
    /// The time since which it has been waiting.
    pub since: Timestamp,
    /// The reason.
    pub why: Why,
}

impl Waits {
    /// A delivery of a published event that has been on its way since the event was accepted.
    pub fn queued(webhook: WebhookId, event: EventId) -> Self {
        let id = DeliveryId::derive(event, webhook, Cause::Published);
        let cause = CauseKind::Published;
        Self { place: id, id, event_id: event, cause, since: event.time(), why: Why::Queued }
    }

    /// The same of one that waits for the end of its run.
    pub fn held(delivery: DeliveryId, event: EventId, until: Timestamp) -> Self {
        Self {
            place: delivery,
            id: delivery,
            event_id: event,
            cause: CauseKind::Published,
            since: event.time(),
            why: Why::ProcessEnd { until },
        }
    }
}

/// A page of the records.
#[derive(Debug)]
pub struct Records<R> {
    /// The records, by the places where they are listed.
    pub items: Vec<(DeliveryId, R)>,
    /// The place down to which the records are known; none if they are known to the end.
    pub next: Option<DeliveryId>,
}

impl<R> Default for Records<R> {
    /// No records, for a list that does not ask for any.
    fn default() -> Self {
        Self { items: Vec::new(), next: None }
    }
}

/// A row of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row<R> {
    /// A delivery with a record, whether or not it waits.
    Recorded(R),
    /// A waiting delivery that has no record, as far as the records were read.
    Waits(Waits),
}

/// A page of the list.
#[derive(Debug)]
pub struct Listed<R> {
    /// The rows, newest first.
    pub rows: Vec<Row<R>>,
    /// The cursor of the next page; none on the last one.
    pub next: Option<DeliveryId>,
}

/// Merges a page. `others` wait too, and are few. What waits has to be read before the records: a
/// delivery that goes out in between is deleted from the backlog after it was recorded, so it is
/// seen at least once.
pub fn merge<R>(
    asked: &Asked,
    records: Records<R>,
    stretches: &[Stretch],
    others: impl IntoIterator<Item = Waits>,
) -> Listed<R> {
    // Below the frontier at least one of the sources was not read.
    let frontier = stretches.iter().filter_map(Stretch::frontier).chain(records.next).max();
    let recorded: BTreeSet<DeliveryId> = records.items.iter().map(|(id, _)| *id).collect();
    let mut known = BTreeMap::new();
    for waits in stretches.iter().flat_map(Stretch::deliveries).chain(others) {
        if asked.wants(&waits) && !recorded.contains(&waits.id) {
            known.entry(Reverse(waits.place)).or_insert(Row::Waits(waits));
        }
    }
    for (id, record) in records.items {
        known.insert(Reverse(id), Row::Recorded(record));
    }
    let mut rows = Vec::new();
    let mut last = None;
    for (Reverse(place), row) in known {
        if frontier.is_some_and(|frontier| place < frontier) {
            break;
        }
        if rows.len() == asked.limit {
            return Listed { rows, next: last };
        }
        rows.push(row);
        last = Some(place);
    }
    Listed { rows, next: frontier }
}
