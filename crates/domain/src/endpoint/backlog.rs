//! A webhook's backlog holds the deliveries that wait for its turn.
//!
//! An item is one task: one delivery, or deliveries that have to stay together, because they share
//! a request that was made before or belong to a run. Its key orders it by its event, and names the
//! message that brought it (its *residency*): the same message always has the same key, and another
//! message with the same delivery has another one. So a turn that deletes what it has sent can't
//! delete what came back in the meantime.
//!
//! A function may die after it has put items and before it has opened the lane. When its message
//! comes again, its deliveries may go another way, and nobody looks after those items until the
//! next lane is opened. Its turn would send them once more. So a turn looks at the records of items
//! that are older than its lane ([`Waiting::is_forgotten`]), and deletes those that are over.

use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::{
    delivery::task::{Due, Task},
    id::{BatchId, CauseKind, EventId},
};

/// The most bytes of events that a turn has at hand.
pub const MAX_PAGE_BYTES: u64 = 4 * 1024 * 1024;

/// An item that was put so long before its lane was opened belongs to an earlier lane.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60);

/// Live deliveries go before replayed ones, in the proportion of [`LIVE_PAGES`] to one, so that a
/// replay of a month does not silence a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Deliveries of published events.
    Live,
    /// Deliveries that were asked for again.
    Replay,
}

/// For each page of replayed deliveries, this many pages of live ones are read.
pub const LIVE_PAGES: u32 = 3;

impl Class {
    /// Both classes, in the order of their keys.
    pub const ALL: [Self; 2] = [Self::Live, Self::Replay];

    /// The beginning of the sort keys of the class.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Live => "0#",
            Self::Replay => "1#",
        }
    }
}

/// An item of a backlog.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// The sort key of the item.
    pub key: String,
    /// The deliveries, with their events by reference.
    pub task: Task<'static>,
    /// The size of the events together in bytes, as far as it is known.
    pub bytes: u64,
    /// The time since which the item has been waiting.
    pub since: Timestamp,
}

impl Waiting {
    /// Makes the items of a message's task. It takes the task as it is in the message, so that the
    /// keys are the same each time the message is received. Deliveries that were never attempted
    /// get an item each, so that a turn can put them into full requests; deliveries that have to
    /// stay together stay one item.
    pub fn of(task: &Task<'_>, message_id: &str, now: Timestamp) -> Vec<Self> {
        let is_whole = task.batch.is_some() || task.recorded;
        let size = if is_whole { task.deliveries.len().max(1) } else { 1 };
        task.deliveries
            .chunks(size)
            .filter_map(|deliveries| Self::item(task, deliveries, message_id, now))
            .collect()
    }

    /// Tells whether the item may have been forgotten: a function died after it had put the item
    /// and before it had opened the lane, and its message may have gone another way since.
    pub fn is_forgotten(&self, lane_opened_at: Timestamp) -> bool {
        is_forgotten(self.since, lane_opened_at)
    }

    fn item(
        task: &Task<'_>,
        deliveries: &[Due<'_>],
        message_id: &str,
        now: Timestamp,
    ) -> Option<Self> {
        let first = deliveries.first()?;
        let ids: Vec<_> = deliveries.iter().map(|due| due.id).collect();
        // Several deliveries must not have the key that the first of them has when it waits alone:
        // deleting that one would remove them all.
        let several = task.batch.or_else(|| BatchId::derive(&ids).filter(|_| ids.len() > 1));
        let id = several.map_or_else(|| first.id.to_string(), |several| several.to_string());
        let class = if first.cause == CauseKind::Replay { Class::Replay } else { Class::Live };
        let key = format!(
            "{}{}#0000#{id}#{}",
            class.prefix(),
            first.content.event_id(),
            residency(message_id)
        );
        let deliveries: Vec<Due<'static>> = deliveries.iter().map(Due::by_reference).collect();
        let bytes = deliveries.iter().map(|due| due.bytes).sum();
        Some(Self { key, task: task.with(deliveries), bytes, since: now })
    }
}

pub(crate) fn is_forgotten(since: Timestamp, lane_opened_at: Timestamp) -> bool {
    since + FORGOTTEN_AFTER < lane_opened_at
}

/// The bounds of the sort keys of a class, for items whose first event is at or after `from`, and
/// before `until`.
pub fn key_range(class: Class, from: Timestamp, until: Option<Timestamp>) -> (String, String) {
    let prefix = class.prefix();
    let end = until.map_or(EventId::LAST, EventId::first_at);
    (format!("{prefix}{}", EventId::first_at(from)), format!("{prefix}{end}~"))
}

/// The time of an item's first event, which its sort key tells.
pub fn time_of(key: &str) -> Option<Timestamp> {
    key.split('#').nth(1)?.parse::<EventId>().ok().map(|id| id.time())
}

fn residency(message_id: &str) -> String {
    hex::encode(&Sha256::digest(message_id)[..4])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        id::{Cause, DeliveryId},
        testing::{self, webhook_key},
    };

    fn task(count: u8) -> Task<'static> {
        let events: Vec<_> =
            (1..=count).map(|nth| testing::event(nth, "order.created", "{}")).collect();
        let webhook = webhook_key(7);
        let due = |event: &crate::event::Event| {
            Due::of(DeliveryId::derive(event.id, webhook.id, Cause::Published), event)
                .by_reference()
        };
        let deliveries: Vec<_> = events.iter().map(due).collect();
        Task::new(&webhook, Vec::new()).with(deliveries)
    }

    fn keys(task: &Task<'_>, message: &str) -> Vec<String> {
        Waiting::of(task, message, Timestamp::UNIX_EPOCH).into_iter().map(|item| item.key).collect()
    }

    #[test]
    fn what_was_never_attempted_waits_one_by_one() {
        assert_eq!(keys(&task(3), "m").len(), 3);
        insta::assert_debug_snapshot!(keys(&task(1), "a message's id"));
    }

    #[test]
    fn what_belongs_together_is_one_item() {
        let recorded = Task { recorded: true, ..task(3) };
        assert_eq!(keys(&recorded, "m").len(), 1);
        let ids: Vec<_> = task(3).deliveries.iter().map(|due| due.id).collect();
        let batch = Task { batch: BatchId::derive(&ids), ..task(3) };
        assert_eq!(keys(&batch, "m").len(), 1);
    }

    #[test]
    fn what_waits_together_has_another_key_than_each_alone() {
        let recorded = Task { recorded: true, ..task(3) };
        assert!(
            !keys(&task(3), "m").contains(&keys(&recorded, "m")[0]),
            "the message was received again"
        );
        let one = Task { recorded: true, ..task(1) };
        assert_eq!(keys(&task(1), "m"), keys(&one, "m"), "one is the same item");
    }

    #[test]
    fn an_item_that_is_older_than_its_lane_may_have_been_forgotten() {
        let item = Waiting::of(&task(1), "m", Timestamp::UNIX_EPOCH).remove(0);
        let opened = |second| Timestamp::from_second(second).unwrap();
        assert!(!item.is_forgotten(opened(60)), "it has opened the lane, and clocks differ");
        assert!(item.is_forgotten(opened(61)));
    }

    #[test]
    fn the_key_names_the_message() {
        assert_eq!(keys(&task(1), "m"), keys(&task(1), "m"));
        assert_ne!(keys(&task(1), "m"), keys(&task(1), "n"));
    }

    #[test]
    fn keys_are_in_the_order_of_events_and_replays_come_last() {
        let mut both = keys(&task(2), "m");
        let replay = Task {
            deliveries: vec![task(1).deliveries[0].clone().because(CauseKind::Replay)],
            ..task(1)
        };
        both.extend(keys(&replay, "m"));
        assert!(both.is_sorted(), "{both:?}");
        let (from, until) =
            key_range(Class::Live, task(1).deliveries[0].content.event_id().time(), None);
        assert!(both[..2].iter().all(|key| (&from..=&until).contains(&key)) && both[2] > until);
        assert_eq!(time_of(&both[0]), Some(task(1).deliveries[0].content.event_id().time()));
    }
}
