//! A webhook's records and backlog in memory, read as the tables are: a bounded part with each
//! call.

use crate::{
    delivery::{
        history::{Asked, Records, Row, Stretch, deliveries, merge, millisecond},
        task::{Due, Task},
    },
    endpoint::backlog::{Class, key_range},
    id::{Cause, CauseKind, DeliveryId, EventId, WebhookId},
    testing::webhook_key,
};

use super::*;

/// The number of items that the first call for a class reads, and of those that a call reads which
/// goes on within a millisecond.
pub(super) const FIRST_CALL: usize = 4;
pub(super) const SECOND_CALL: usize = 8;

/// Deliveries of events of these milliseconds.
#[derive(Debug, Clone)]
pub(super) enum Given {
    /// One with a record.
    Record(i64),
    /// A delivery that waits in the backlog.
    Waiting(i64),
    /// One that was asked for again, and waits.
    Replay(i64),
    /// One that waits for its retry, and has a record.
    Recorded(i64),
    /// One that two messages have brought into the backlog.
    Copies(i64),
    /// A run of several, of which the last has a record if it is not the first.
    Run(Vec<i64>),
}

#[derive(Debug, Default)]
pub(super) struct Store {
    records: Vec<DeliveryId>,
    backlog: Vec<Waiting>,
    /// The number of records that a call looks at.
    examined: usize,
}

impl Store {
    pub(super) fn of(given: impl IntoIterator<Item = Given>) -> Self {
        let mut store = Self { examined: 100, ..Self::default() };
        for (nth, given) in given.into_iter().enumerate() {
            let due = |ms: i64, part: usize| {
                // The order of events in a millisecond is not that of their deliveries, which are
                // hashes.
                let mut entropy = [0; 10];
                entropy[4..6].copy_from_slice(&[nth as u8, part as u8]);
                let event = EventId::new(at(ms), &entropy);
                Due::of_stored(DeliveryId::derive(event, WebhookId(7), Cause::Published), event, 1)
            };
            match given {
                Given::Record(ms) => store.records.push(due(ms, 0).id),
                Given::Waiting(ms) => store.put(vec![due(ms, 0)], "m"),
                Given::Replay(ms) => store.put(vec![due(ms, 0).because(CauseKind::Replay)], "m"),
                Given::Recorded(ms) => {
                    store.records.push(due(ms, 0).id);
                    store.put(vec![due(ms, 0)], "m");
                }
                Given::Copies(ms) => {
                    ["m", "n"].into_iter().for_each(|message| store.put(vec![due(ms, 0)], message))
                }
                Given::Run(times) => {
                    let run: Vec<_> =
                        times.iter().enumerate().map(|(part, ms)| due(*ms, part)).collect();
                    store.records.extend(run.iter().skip(1).next_back().map(|due| due.id));
                    store.put(run, "m");
                }
            }
        }
        store.records.sort_unstable_by(|a, b| b.cmp(a));
        store.backlog.sort_unstable_by(|a, b| b.key.cmp(&a.key));
        store
    }

    fn put(&mut self, deliveries: Vec<Due<'static>>, message: &str) {
        let webhook = webhook_key(7);
        let task = Task { recorded: true, deliveries, ..Task::new(&webhook, Vec::new()) };
        self.backlog.extend(Waiting::of(&task, message, at(0)));
    }

    /// The same with calls that look at so many records.
    pub(super) fn examining(self, examined: usize) -> Self {
        Self { examined, ..self }
    }

    /// The most items of one class in one millisecond.
    pub(super) fn bursts(&self) -> usize {
        let burst = |item: &Waiting| {
            self.backlog.iter().filter(|other| other.key[..15] == item.key[..15]).count()
        };
        self.backlog.iter().map(burst).max().unwrap_or(0)
    }

    fn call(
        &self,
        class: Class,
        (from, until): (Timestamp, Option<Timestamp>),
        after: Option<&str>,
        limit: usize,
    ) -> (Vec<Waiting>, bool) {
        let (lower, upper) = key_range(class, from, until);
        assert!(lower <= upper, "DynamoDB refuses such a range");
        let is_asked = |item: &&Waiting| {
            (&lower..=&upper).contains(&&item.key)
                && after.is_none_or(|after| item.key.as_str() < after)
        };
        let found: Vec<Waiting> = self.backlog.iter().filter(is_asked).cloned().collect();
        // A call that reads just what there is does not know that it was all.
        (found.iter().take(limit).cloned().collect(), found.len() < limit)
    }

    fn records(&self, asked: &Asked) -> Records<DeliveryId> {
        let is_asked = |id: &&DeliveryId| {
            asked.before.is_none_or(|before| **id < before)
                && asked.since.is_none_or(|since| **id >= DeliveryId::first_at(since))
                && asked.until.is_none_or(|until| **id < DeliveryId::first_at(until))
        };
        let found: Vec<DeliveryId> = self.records.iter().filter(is_asked).copied().collect();
        let shown = &found[..found.len().min(asked.limit).min(self.examined)];
        let next = shown.last().copied().filter(|_| shown.len() < found.len());
        Records { items: shown.iter().map(|id| (*id, *id)).collect(), next }
    }

    /// A page as the API makes it.
    fn page(&self, asked: &Asked) -> (Vec<Row<DeliveryId>>, Option<DeliveryId>) {
        let mut stretches = Vec::new();
        for class in Class::ALL {
            let Some(times) = asked.times() else { continue };
            let (items, is_end) = self.call(class, times, None, FIRST_CALL);
            let mut stretch = Stretch::new(items, is_end);
            if let Some((time, last)) = stretch.unfinished() {
                let (items, _) = self.call(class, millisecond(time), Some(&last.key), SECOND_CALL);
                stretch.finish(items);
            }
            stretches.push(stretch);
        }
        let mut page = merge(asked, self.records(asked), &stretches);
        page.rows.retain(|row| {
            !matches!(
                row, Row::Waits(waits) if waits.is_apart() && self.records.contains(&waits.id)
            )
        });
        (page.rows, page.next)
    }

    /// All pages, of which each has to be before the one before.
    pub(super) fn pages(&self, mut asked: Asked) -> Vec<Vec<Row<DeliveryId>>> {
        let mut pages = Vec::new();
        loop {
            let (rows, next) = self.page(&asked);
            pages.push(rows);
            let Some(next) = next else { return pages };
            assert!(asked.before.is_none_or(|before| next < before), "the list goes on");
            asked.before = Some(next);
        }
    }

    /// The list that all pages have to make.
    pub(super) fn expected(&self, asked: Asked) -> Vec<Row<DeliveryId>> {
        let is_within = |id: &DeliveryId| {
            asked.since.is_none_or(|since| *id >= DeliveryId::first_at(since))
                && asked.until.is_none_or(|until| *id < DeliveryId::first_at(until))
        };
        let waits = self.backlog.iter().flat_map(deliveries);
        let waits = waits.filter(|waits| is_within(&waits.id) && is_within(&waits.place));
        let waits = waits
            .filter(|waits| !self.records.contains(&waits.id))
            .map(|waits| (waits.place, Row::Waits(waits)));
        let records =
            self.records.iter().filter(|id| is_within(id)).map(|id| (*id, Row::Recorded(*id)));
        let mut rows: Vec<_> = records.chain(waits).collect();
        rows.sort_unstable_by_key(|(place, _)| Reverse(*place));
        rows.dedup();
        rows.into_iter().map(|(_, row)| row).collect()
    }
}
