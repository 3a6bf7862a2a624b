//! A webhook's records and backlog in memory, read as the tables are: a bounded part with each
//! call.

use crate::{
    delivery::{
        history::{Asked, Records, Row, Stretch, deliveries, merge, millisecond, replayed},
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
    /// One with a record that changed so much later.
    Late(i64, i64),
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
    /// The places of the records, and their deliveries.
    records: Vec<(DeliveryId, DeliveryId)>,
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
                Given::Record(ms) => store.record(due(ms, 0).id, 0),
                Given::Late(ms, later) => store.record(due(ms, 0).id, later),
                Given::Waiting(ms) => store.put(vec![due(ms, 0)], "m"),
                Given::Replay(ms) => store.put(vec![due(ms, 0).because(CauseKind::Replay)], "m"),
                Given::Recorded(ms) => {
                    store.record(due(ms, 0).id, 0);
                    store.put(vec![due(ms, 0)], "m");
                }
                Given::Copies(ms) => {
                    ["m", "n"].into_iter().for_each(|message| store.put(vec![due(ms, 0)], message))
                }
                Given::Run(times) => {
                    let run: Vec<_> =
                        times.iter().enumerate().map(|(part, ms)| due(*ms, part)).collect();
                    if let Some(last) = run.iter().skip(1).next_back() {
                        store.record(last.id, 0);
                    }
                    store.put(run, "m");
                }
            }
        }
        store.records.sort_unstable_by(|a, b| b.cmp(a));
        store.backlog.sort_unstable_by(|a, b| b.key.cmp(&a.key));
        store
    }

    fn record(&mut self, id: DeliveryId, later: i64) {
        let place = if later == 0 {
            id
        } else {
            let now = Timestamp::from_millisecond(id.time().as_millisecond() + later);
            id.placed_at(now.unwrap())
        };
        self.records.push((place, id));
    }

    fn has_record(&self, wanted: DeliveryId) -> bool {
        self.records.iter().any(|(_, id)| *id == wanted)
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
        let is_asked = |(place, _): &&(DeliveryId, DeliveryId)| {
            asked.before.is_none_or(|before| *place < before)
                && asked.since.is_none_or(|since| *place >= DeliveryId::first_at(since))
                && asked.until.is_none_or(|until| *place < DeliveryId::first_at(until))
        };
        let found: Vec<_> = self.records.iter().filter(is_asked).copied().collect();
        let shown = &found[..found.len().min(asked.limit).min(self.examined)];
        let next = shown.last().map(|(place, _)| *place).filter(|_| shown.len() < found.len());
        Records { items: shown.to_vec(), next }
    }

    /// A page as the API makes it.
    fn page(&self, asked: &Asked) -> (Vec<Row<DeliveryId>>, Option<DeliveryId>) {
        let mut stretches = Vec::new();
        if let Some(times) = asked.times() {
            let (items, is_end) = self.call(Class::Live, times, None, FIRST_CALL);
            let mut stretch = Stretch::new(items, is_end);
            if let Some((time, last)) = stretch.unfinished() {
                let times = millisecond(time);
                let (items, _) = self.call(Class::Live, times, Some(&last.key), SECOND_CALL);
                stretch.finish(items);
            }
            stretches.push(stretch);
        }
        let others = self.backlog.iter().filter(|item| is_replay(item)).flat_map(replayed);
        let mut page = merge(asked, self.records(asked), &stretches, others);
        page.rows.retain(|row| match row {
            Row::Waits(waits) => !self.has_record(waits.id),
            Row::Recorded(_) => true,
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
        let mut rows: Vec<_> = self.records.clone();
        rows.retain(|(place, _)| is_within(place));
        let mut rows: Vec<_> =
            rows.into_iter().map(|(place, id)| (place, Row::Recorded(id))).collect();
        for item in &self.backlog {
            let found: Vec<_> =
                if is_replay(item) { replayed(item).collect() } else { deliveries(item).collect() };
            for waits in found {
                if is_within(&waits.place) && !self.has_record(waits.id) {
                    rows.push((waits.place, Row::Waits(waits)));
                }
            }
        }
        rows.sort_unstable_by_key(|(place, _)| Reverse(*place));
        rows.dedup();
        rows.into_iter().map(|(_, row)| row).collect()
    }
}

fn is_replay(item: &Waiting) -> bool {
    item.key.starts_with(Class::Replay.prefix())
}
