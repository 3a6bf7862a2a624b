//! The index `due` finds holds by their deadlines, deliveries that the version before has parked in
//! their records, and lanes. What was released is forgotten here too.

use std::collections::HashSet;

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use futures::{StreamExt, stream};
use posthaste_domain::{
    Timestamp,
    id::{BatchId, CauseKind, DeliveryId, EventId},
    webhook::key::WebhookKey,
};

use super::{holds, record, records};
use crate::{
    StoreError,
    batch::{self, Reading},
    item::{Item, PK, SK, key, number, text},
    table::{Answer, Table},
    write::{Condition, Update},
};

const INDEX: &str = "due";
/// The index has so many partitions, beside those of lanes.
const SHARDS: u8 = 8;
const CONCURRENT_WRITES: usize = 16;

/// The index of what is due, and what has been released.
#[derive(Debug, Clone)]
pub struct DueIndex {
    pub(super) table: Table,
}

/// A hold, or a delivery that the version before has parked, whose time has come, or comes soon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueDelivery {
    /// The webhook that it goes to.
    pub webhook: WebhookKey,
    /// Its id.
    pub delivery: DeliveryId,
    /// The event that it brings.
    pub event: EventId,
    /// The cause for which it exists.
    pub cause: CauseKind,
    /// The request that it shared.
    pub batch: Option<BatchId>,
    /// Its time.
    pub due_at: Timestamp,
    /// The run of a process that it was held for, as a hash; none if it was parked.
    pub held_for: Option<String>,
    /// The size of its event; 0 where nobody knows it.
    pub bytes: u64,
    /// The key of its item.
    pub key: (String, String),
}

/// The place of an item in the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueCursor {
    key: (String, String),
    due_at: i64,
}

/// A page of one shard of the index.
#[derive(Debug, Clone, Default)]
pub struct DuePage {
    /// The deliveries that are due, by their times.
    pub due: Vec<DueDelivery>,
    /// The cursor of the next page; none if this is the last one.
    pub next: Option<DueCursor>,
}

/// An item or a record that has to be forgotten, because its task was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Released {
    /// The item of this key is deleted: a hold or a due item.
    Item((String, String)),
    /// The record of this key waits no more, if it is still due at this time.
    Record((String, String), Timestamp),
}

impl DueDelivery {
    /// Says what has to be forgotten when its task was sent.
    pub fn released(&self) -> Released {
        match self.held_for {
            Some(_) => Released::Item(self.key.clone()),
            None => Released::Record(self.key.clone(), self.due_at),
        }
    }
}

/// The index's partition of something with this spread.
pub(super) fn shard(spread: u8) -> String {
    (spread % SHARDS).to_string()
}

/// A query of what is due in one shard of the index by `until`, by its time.
pub(super) fn due_by(table: &Table, shard: &str, until: Timestamp) -> QueryFluentBuilder {
    table
        .client
        .query()
        .table_name(&table.name)
        .index_name(INDEX)
        .key_condition_expression("dueShard = :shard AND dueAt <= :until")
        .expression_attribute_values(":shard", text(shard))
        .expression_attribute_values(":until", number(until.as_millisecond()))
}

impl DueIndex {
    /// The number of shards that [`DueIndex::page`] knows.
    pub const SHARDS: u8 = SHARDS;

    /// Reads what of one shard is due by `until`, by its time: of at most `limit` entries of the
    /// index after this one. Of holds only what is due `now`, as their run may end before. What
    /// shared a request comes together or not at all.
    pub async fn page(
        &self,
        shard: u8,
        now: Timestamp,
        until: Timestamp,
        after: Option<&DueCursor>,
        limit: i32,
    ) -> Result<DuePage, StoreError> {
        let (entries, is_end) = self.due_entries(shard, until, after, limit).await?;
        let next = entries.last().filter(|_| !is_end).cloned();
        let attributes = &["dueAt", "eventId", "deliveryId", "batch", "bytes", "cause"];
        let reading = Reading { table: &self.table, consistent: true, attributes, read };
        let keys = entries
            .iter()
            .map(|entry| (entry.key.clone(), key(entry.key.0.as_str(), entry.key.1.as_str())));
        let found = batch::get(reading, keys).await;
        let unread = entries.iter().filter(|entry| found.unread.contains(&entry.key));
        let unread_times: HashSet<i64> = unread.map(|entry| entry.due_at).collect();
        // The index lags behind the table, which says what is still waiting.
        let mut due: Vec<DueDelivery> = found.items.into_values().flatten().collect();
        due.retain(|due| {
            let latest = if due.held_for.is_some() { now } else { until };
            due.due_at <= latest && !unread_times.contains(&due.due_at.as_millisecond())
        });
        due.sort_unstable_by_key(|due| (due.due_at, due.delivery));
        Ok(DuePage { due, next })
    }

    /// Entries of one shard, and whether they are the last ones.
    async fn due_entries(
        &self,
        shard: u8,
        until: Timestamp,
        after: Option<&DueCursor>,
        limit: i32,
    ) -> Result<(Vec<DueCursor>, bool), StoreError> {
        let shard = self::shard(shard);
        let start = after.map(|after| {
            key(after.key.0.as_str(), after.key.1.as_str())
                .with("dueShard", text(shard.as_str()))
                .with("dueAt", number(after.due_at))
        });
        let query = due_by(&self.table, &shard, until).limit(limit);
        let answer = Answer::to(query.set_exclusive_start_key(start.map(|key| key.0))).await?;
        let mut entries = Vec::new();
        for item in &answer.items {
            entries.push(DueCursor { key: item.key_texts()?, due_at: item.number("dueAt")? });
        }
        let is_end = answer.next.is_none();
        if !is_end {
            without_a_part(&mut entries);
        }
        Ok((entries, is_end))
    }

    /// Forgets what was released, 25 items with a call. Returns what may still be there.
    pub async fn forget(&self, released: Vec<Released>) -> Result<Vec<Released>, StoreError> {
        let mut items = Vec::new();
        let mut records = Vec::new();
        for one in released {
            match one {
                Released::Item(key) => items.push(key),
                Released::Record(key, due_at) => records.push((key, due_at)),
            }
        }
        let keys = items.iter().map(|(pk, sk)| key(pk.as_str(), sk.as_str())).collect();
        let undone = batch::delete(&self.table, keys).await?;
        let mut left: Vec<Released> =
            undone.into_iter().map(|at| Released::Item(items[at].clone())).collect();
        let left_records =
            stream::iter(records).map(|(key, due_at)| self.forget_record(key, due_at));
        left.extend(
            left_records
                .buffered(CONCURRENT_WRITES)
                .collect::<Vec<_>>()
                .await
                .into_iter()
                .flatten(),
        );
        Ok(left)
    }

    /// Nothing happens where the record waits for another time by now. Returns what may still be
    /// there.
    async fn forget_record(&self, record: (String, String), due_at: Timestamp) -> Option<Released> {
        let update = Update::at(key(record.0.as_str(), record.1.as_str()))
            .remove_all(&["dueAt", "dueShard"])
            .only_if(Condition::Is("dueAt", number(due_at.as_millisecond())));
        let error = self.table.update(update).await.err()?;
        tracing::error!(%error, "a record still says that its delivery is parked");
        Some(Released::Record(record, due_at))
    }
}

/// Takes those of the last time away, as others of it, which may have shared a request with them,
/// were not looked at.
fn without_a_part(entries: &mut Vec<DueCursor>) {
    let Some(last) = entries.last().map(|entry| entry.due_at) else { return };
    if entries.first().is_some_and(|first| first.due_at < last) {
        entries.retain(|entry| entry.due_at < last);
    }
}

/// None where it does not wait any more.
fn read(item: &Item) -> Result<Option<DueDelivery>, StoreError> {
    let Some(due_at) = record::due_at(item)? else { return Ok(None) };
    let (pk, sk) = item.key_texts()?;
    if let Some(hold) = holds::parse_key(&pk, &sk) {
        return Ok(Some(DueDelivery {
            webhook: hold.webhook,
            delivery: item.parsed("deliveryId")?,
            event: hold.event,
            cause: record::cause(item)?,
            batch: record::batch(item)?,
            due_at,
            held_for: Some(hold.context),
            bytes: record::bytes(item)?,
            key: (pk, sk),
        }));
    }
    let webhook = records::webhook_of(&pk).ok_or_else(|| item.corrupt(PK))?;
    Ok(Some(DueDelivery {
        webhook,
        delivery: item.parsed(SK)?,
        event: item.parsed("eventId")?,
        cause: record::cause(item)?,
        batch: record::batch(item)?,
        due_at,
        held_for: None,
        bytes: record::bytes(item)?,
        key: (pk, sk),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(times: &[i64]) -> Vec<DueCursor> {
        times.iter().map(|due_at| DueCursor { key: Default::default(), due_at: *due_at }).collect()
    }

    #[test]
    fn what_is_due_at_one_time_is_not_parted() {
        let times = |mut entries: Vec<DueCursor>| {
            without_a_part(&mut entries);
            entries.iter().map(|entry| entry.due_at).collect::<Vec<_>>()
        };
        assert_eq!(times(entries(&[1, 1, 2, 2])), [1, 1]);
        assert_eq!(times(entries(&[1, 1])), [1, 1], "or nothing would ever be looked at");
        assert_eq!(times(entries(&[])), Vec::<i64>::new());
    }
}
