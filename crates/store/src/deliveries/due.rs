//! What the index `due` finds beside lanes: holds with their deadlines, and deliveries that the version before has parked in their
//! records. And forgetting what was released, due items too.

use std::collections::HashSet;

use aws_sdk_dynamodb::types::{AttributeValue, DeleteRequest, WriteRequest};
use futures::{StreamExt, stream};
use posthaste_domain::{
    Timestamp,
    id::{BatchId, CauseKind, DeliveryId, EventId, WebhookId},
    workspace::Workspace,
};

use super::{Deliveries, holds, record};
use crate::{
    StoreError,
    batch::{self, Reading},
    item::{Item, PK, Read, SK, key, number, text},
};

/// The index that this reads.
pub(super) const INDEX: &str = "due";
/// How many partitions of the index there are.
const SHARDS: u8 = 8;
const CONCURRENT_WRITES: usize = 16;

/// A hold, or a delivery that the version before has parked, whose time has come, or comes soon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueDelivery {
    /// Whose it is.
    pub workspace: Workspace,
    /// Where to.
    pub webhook: WebhookId,
    /// Its id.
    pub delivery: DeliveryId,
    /// What it brings.
    pub event: EventId,
    /// Why it exists.
    pub cause: CauseKind,
    /// The request that it shared.
    pub batch: Option<BatchId>,
    /// Its time.
    pub due_at: Timestamp,
    /// The run of a process that it was held for, as a hash; none if it was parked.
    pub held_for: Option<String>,
    /// How large its event is; 0 where nobody knows.
    pub bytes: u64,
    /// The key of its item.
    pub key: (String, String),
}

/// Where an item stands in the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueCursor {
    key: (String, String),
    due_at: i64,
}

/// A page of one shard of the index.
#[derive(Debug, Clone, Default)]
pub struct DuePage {
    /// What is due, by its time.
    pub due: Vec<DueDelivery>,
    /// Where the next page begins; none if this is the last one.
    pub next: Option<DueCursor>,
}

/// What has to be forgotten, as its task was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Released {
    /// The item of this key is deleted: a hold or a due item.
    Item((String, String)),
    /// The record of this key waits no more, if it is still due at this time.
    Record((String, String), Timestamp),
}

impl DueDelivery {
    /// What has to be forgotten when its task was sent.
    pub fn released(&self) -> Released {
        match self.held_for {
            Some(_) => Released::Item(self.key.clone()),
            None => Released::Record(self.key.clone(), self.due_at),
        }
    }
}

/// The index's partition of something with this spread.
pub(super) fn shard(spread: u8) -> AttributeValue {
    text((spread % SHARDS).to_string())
}

impl Deliveries {
    /// How many shards [`Deliveries::due`] knows.
    pub const DUE_SHARDS: u8 = SHARDS;

    /// What of one shard is due by `until`, by its time: of at most `limit` entries of the index after this one. Of holds only what is
    /// due `now`, as their run may end before. What shared a request comes together or not at all.
    pub async fn due(
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
        let reading = Reading { client: &self.client, table: &self.table, consistent: true, attributes };
        let keys = entries.iter().map(|entry| (entry.key.clone(), key(entry.key.0.as_str(), entry.key.1.as_str())));
        let found = batch::get(reading, keys, read).await;
        let unread: HashSet<i64> =
            entries.iter().filter(|entry| found.unread.contains(&entry.key)).map(|entry| entry.due_at).collect();
        // The index lags behind the table, which says what is still waiting.
        let mut due: Vec<DueDelivery> = found
            .items
            .into_values()
            .flatten()
            .filter(|due| due.due_at <= if due.held_for.is_some() { now } else { until })
            .filter(|due| !unread.contains(&due.due_at.as_millisecond()))
            .collect();
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
        let start = after.map(|after| {
            let mut start = key(after.key.0.as_str(), after.key.1.as_str());
            start.insert("dueShard".to_owned(), self::shard(shard));
            start.insert("dueAt".to_owned(), number(after.due_at));
            start
        });
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(INDEX)
            .key_condition_expression("dueShard = :shard AND dueAt <= :until")
            .expression_attribute_values(":shard", self::shard(shard))
            .expression_attribute_values(":until", number(until.as_millisecond()))
            .limit(limit)
            .set_exclusive_start_key(start);
        let answer = query.send().await.map_err(StoreError::call("Query"))?;
        let mut entries = Vec::new();
        for item in answer.items() {
            let key = (item.text(PK)?.to_owned(), item.text(SK)?.to_owned());
            entries.push(DueCursor { key, due_at: item.number("dueAt")? });
        }
        let is_end = answer.last_evaluated_key.is_none();
        if !is_end {
            without_a_part(&mut entries);
        }
        Ok((entries, is_end))
    }

    /// Forgets what was released, 25 items with a call. Returns what may still be there.
    pub async fn forget_released(&self, released: Vec<Released>) -> Result<Vec<Released>, StoreError> {
        let (items, records): (Vec<_>, Vec<_>) =
            released.into_iter().partition(|released| matches!(released, Released::Item(_)));
        let mut deletes = Vec::new();
        for released in &items {
            let (Released::Item((pk, sk)) | Released::Record((pk, sk), _)) = released;
            let key = key(pk.as_str(), sk.as_str());
            let delete = DeleteRequest::builder().set_key(Some(key.clone())).build();
            let delete = delete.map_err(|error| StoreError::incomplete("BatchWriteItem", error))?;
            deletes.push((key, WriteRequest::builder().delete_request(delete).build()));
        }
        let undone = batch::write(&self.client, &self.table, &deletes).await;
        let items = items.into_iter().enumerate().filter(|(at, _)| undone.contains(at)).map(|(_, released)| released);
        let mut left: Vec<Released> = items.collect();
        let records = stream::iter(records).map(async |released| match self.forget_due(&released).await {
            Ok(()) => None,
            Err(error) => {
                tracing::error!(%error, "a record still says that its delivery is parked");
                Some(released)
            }
        });
        left.extend(records.buffered(CONCURRENT_WRITES).collect::<Vec<_>>().await.into_iter().flatten());
        Ok(left)
    }

    /// Nothing happens where the record waits for another time by now.
    async fn forget_due(&self, released: &Released) -> Result<(), StoreError> {
        let Released::Record((pk, sk), due_at) = released else { return Ok(()) };
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(pk.as_str(), sk.as_str())))
            .update_expression("REMOVE dueAt, dueShard")
            .condition_expression("dueAt = :due")
            .expression_attribute_values(":due", number(due_at.as_millisecond()));
        StoreError::unless_refused("UpdateItem", update.send().await).map(drop)
    }
}

/// Takes those of the last time away, as others of it, which may have shared a request with them, were not looked at.
fn without_a_part(entries: &mut Vec<DueCursor>) {
    let Some(last) = entries.last().map(|entry| entry.due_at) else { return };
    if entries.first().is_some_and(|first| first.due_at < last) {
        entries.retain(|entry| entry.due_at < last);
    }
}

/// None where it does not wait any more.
fn read(item: &Item) -> Result<Option<DueDelivery>, StoreError> {
    let Some(due_at) = record::due_at(item)? else { return Ok(None) };
    let (pk, sk) = (item.text(PK)?, item.text(SK)?);
    let hold = holds::parse_key(pk, sk);
    let is_hold = hold.is_some();
    let (workspace, webhook, held_for, event) = match hold {
        Some(hold) => (hold.workspace, hold.webhook, Some(hold.context), hold.event),
        None => {
            let mut parts = pk.split('#');
            let workspace = parts.next().and_then(|name| Workspace::parse(name).ok());
            let webhook = parts.next().and_then(|id| id.parse().ok());
            let (Some(workspace), Some(webhook)) = (workspace, webhook) else { return Err(item.corrupt(PK)) };
            (workspace, webhook, None, item.parsed("eventId")?)
        }
    };
    let delivery = if is_hold { item.parsed("deliveryId")? } else { item.parsed(SK)? };
    let batch = record::batch(item)?;
    // The version before recorded no size.
    let bytes = if item.contains_key("bytes") { item.number("bytes")? } else { 0 };
    let cause = record::cause(item)?;
    let key = (pk.to_owned(), sk.to_owned());
    Ok(Some(DueDelivery { workspace, webhook, delivery, event, cause, batch, due_at, held_for, bytes, key }))
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
