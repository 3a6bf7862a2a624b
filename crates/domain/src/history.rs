//! A webhook's deliveries, newest first: those that have a record, and those that wait in its backlog and have none.
//!
//! A page is merged from a page of the records and a [`Stretch`] of each class of the backlog. All of them are read from the newest
//! to the oldest, but not equally far: the page ends where the first of them ends, and the next page goes on from there. The records
//! are in the order of their deliveries, the backlog in that of its events. Within a millisecond the one says nothing about the
//! other, so a stretch counts down to the last millisecond that was read to its end.
//!
//! An item of the backlog can hold several deliveries, for example those of a run. They are listed where their item is found, at the
//! time of its first event, although their own events may be later.
//!
//! What waits and is not shown:
//! - a delivery of such an item, when a list has a bound in time and the item's first event is on the other side of it,
//! - what is beyond two calls' worth of one millisecond: some thousands of deliveries of events of the same moment.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;

use crate::{
    backlog::{self, Waiting},
    id::{CauseKind, DeliveryId, EventId},
};

#[cfg(test)]
mod tests;

/// Ids tell their time in whole milliseconds.
const MILLISECOND: Duration = Duration::from_millis(1);

/// Which part of the list is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// At most this many.
    pub limit: usize,
    /// Only what is listed after this one: the cursor.
    pub before: Option<DeliveryId>,
    /// Only events accepted at or after this time.
    pub since: Option<Timestamp>,
    /// Only events accepted before this time.
    pub until: Option<Timestamp>,
}

impl Asked {
    /// The times of the events whose items can be on the page: at or after the first, before the second. None if there are none.
    pub fn times(&self) -> Option<(Timestamp, Option<Timestamp>)> {
        let from = self.since.unwrap_or(Timestamp::UNIX_EPOCH);
        let until = [self.until, self.before.and_then(end)].into_iter().flatten().min();
        until.is_none_or(|until| from <= until).then_some((from, until))
    }

    fn wants(&self, waits: &Waits) -> bool {
        self.before.is_none_or(|before| waits.place < before)
            && self.since.is_none_or(|since| waits.id >= DeliveryId::first_at(since))
            && self.until.is_none_or(|until| waits.id < DeliveryId::first_at(until))
    }
}

/// The end of the last millisecond in which something is before this place. None at the end of time.
fn end(before: DeliveryId) -> Option<Timestamp> {
    let time = before.time();
    if before == DeliveryId::first_at(time) { Some(time) } else { millisecond(time).1 }
}

/// The times of one millisecond: at or after the first, before the second. The last one has no end.
pub fn millisecond(time: Timestamp) -> (Timestamp, Option<Timestamp>) {
    (time, time.checked_add(MILLISECOND).ok())
}

/// What was read of one class of a backlog, from the newest to the oldest.
#[derive(Debug)]
pub struct Stretch {
    items: Vec<Waiting>,
    end: End,
}

/// How far it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// To the end of what was asked for.
    Everything,
    /// Into this millisecond, of which there may be more.
    Within(Timestamp),
    /// Down to this millisecond, and all of it that is shown.
    Whole(Timestamp),
}

impl Stretch {
    /// What a call has read, and whether there is no more.
    pub fn new(items: Vec<Waiting>, is_end: bool) -> Self {
        let last = items.last().filter(|_| !is_end).and_then(|item| backlog::time_of(&item.key));
        Self { items, end: last.map_or(End::Everything, End::Within) }
    }

    /// Where nothing was read but a part of one millisecond: that millisecond, and the item after which it goes on. Its rest has to be
    /// read too, or the list would not go on.
    pub fn unfinished(&self) -> Option<(Timestamp, &Waiting)> {
        let End::Within(time) = self.end else { return None };
        let is_alone = self.items.first().and_then(|item| backlog::time_of(&item.key)) == Some(time);
        Some((time, self.items.last()?)).filter(|_| is_alone)
    }

    /// Adds the rest of the millisecond, or as much of it as a call reads.
    pub fn finish(&mut self, rest: Vec<Waiting>) {
        self.items.extend(rest);
        if let End::Within(time) = self.end {
            self.end = End::Whole(time);
        }
    }

    /// The place down to which all that waits is known; none if it is down to the end.
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
    })
}

/// A delivery in the backlog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waits {
    /// Where it is listed: its own id, but for one that waits together with an earlier one.
    pub place: DeliveryId,
    /// Its id.
    pub id: DeliveryId,
    /// The event it brings.
    pub event_id: EventId,
    /// Why it exists.
    pub cause: CauseKind,
    /// Since when it has been in the backlog.
    pub since: Timestamp,
}

impl Waits {
    /// Whether its record, if it has one, is listed elsewhere, so that nobody has looked for it yet.
    pub fn is_apart(&self) -> bool {
        self.place != self.id
    }
}

/// A page of the records.
#[derive(Debug)]
pub struct Records<R> {
    /// The records, newest first.
    pub items: Vec<(DeliveryId, R)>,
    /// The place down to which they are known; none if it is down to the end.
    pub next: Option<DeliveryId>,
}

impl<R> Default for Records<R> {
    /// Records that were not asked for.
    fn default() -> Self {
        Self { items: Vec::new(), next: None }
    }
}

/// A row of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row<R> {
    /// What has a record, whether or not it waits.
    Recorded(R),
    /// What waits, and has no record as far as the records were read.
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

/// Merges a page. The backlog has to be read before the records: what goes out in between is deleted there after it was recorded.
pub fn merge<R>(asked: &Asked, records: Records<R>, stretches: &[Stretch]) -> Listed<R> {
    let frontier = stretches.iter().filter_map(Stretch::frontier).chain(records.next).max();
    let recorded: BTreeSet<DeliveryId> = records.items.iter().map(|(id, _)| *id).collect();
    let mut rows = BTreeMap::new();
    for waits in stretches.iter().flat_map(Stretch::deliveries) {
        if asked.wants(&waits) && !recorded.contains(&waits.id) {
            rows.entry(Reverse(waits.place)).or_insert(Row::Waits(waits));
        }
    }
    for (id, record) in records.items {
        rows.insert(Reverse(id), Row::Recorded(record));
    }
    let mut known = rows.into_iter().filter(|(place, _)| frontier.is_none_or(|frontier| place.0 >= frontier));
    let (mut rows, mut last) = (Vec::new(), None);
    for (Reverse(place), row) in known.by_ref().take(asked.limit) {
        rows.push(row);
        last = Some(place);
    }
    Listed { rows, next: if known.next().is_some() { last } else { frontier } }
}
