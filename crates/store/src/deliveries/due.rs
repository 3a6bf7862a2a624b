//! What waits in the table for its time: parked deliveries, and holds with their deadlines.

use std::collections::HashSet;

use aws_sdk_dynamodb::types::AttributeValue;
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
/// The most that is looked at in one shard at a time.
const MAX_ITEMS: usize = 2000;

/// A parked delivery or a hold whose time has come, or comes soon.
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
struct Entry {
    key: (String, String),
    due_at: i64,
}

/// The index's partition of something with this spread.
pub(super) fn shard(spread: u8) -> AttributeValue {
    text((spread % SHARDS).to_string())
}

impl Deliveries {
    /// The shards that [`Deliveries::due`] knows.
    pub fn due_shards() -> impl Iterator<Item = u8> {
        0..SHARDS
    }

    /// What of one shard is due by `until`, by its time; of holds only what is due `now`, as their run may end before. What shared
    /// a request comes together or not at all.
    pub async fn due(&self, shard: u8, now: Timestamp, until: Timestamp) -> Result<Vec<DueDelivery>, StoreError> {
        let entries = self.due_entries(shard, until).await?;
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
        Ok(due)
    }

    async fn due_entries(&self, shard: u8, until: Timestamp) -> Result<Vec<Entry>, StoreError> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut start: Option<Item> = None;
        loop {
            let query = self
                .client
                .query()
                .table_name(&self.table)
                .index_name(INDEX)
                .key_condition_expression("dueShard = :shard AND dueAt <= :until")
                .expression_attribute_values(":shard", self::shard(shard))
                .expression_attribute_values(":until", number(until.as_millisecond()))
                .set_exclusive_start_key(start);
            let answer = query.send().await.map_err(StoreError::call("Query"))?;
            for item in answer.items() {
                let key = (item.text(PK)?.to_owned(), item.text(SK)?.to_owned());
                entries.push(Entry { key, due_at: item.number("dueAt")? });
            }
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok(entries);
            }
            if entries.len() >= MAX_ITEMS {
                without_a_part(&mut entries);
                return Ok(entries);
            }
        }
    }

    /// Says that the task of something due has been sent. Nothing happens where it waits for another time by now.
    pub async fn released(&self, due: &DueDelivery) -> Result<(), StoreError> {
        let key = key(due.key.0.as_str(), due.key.1.as_str());
        if due.held_for.is_some() {
            let delete = self.client.delete_item().table_name(&self.table).set_key(Some(key));
            return delete.send().await.map(drop).map_err(StoreError::call("DeleteItem"));
        }
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key))
            .update_expression("REMOVE dueAt, dueShard")
            .condition_expression("dueAt = :due")
            .expression_attribute_values(":due", number(due.due_at.as_millisecond()));
        StoreError::unless_refused("UpdateItem", update.send().await).map(drop)
    }
}

/// Takes those of the last time away, as others of it, which may have shared a request with them, were not looked at.
fn without_a_part(entries: &mut Vec<Entry>) {
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
    let batch = item.get("batch").and_then(|value| value.as_s().ok());
    let batch = batch.map(|id| id.parse().map_err(|_| item.corrupt("batch"))).transpose()?;
    // The version before recorded no size.
    let bytes = if item.contains_key("bytes") { item.number("bytes")? } else { 0 };
    let cause = record::cause(item)?;
    let key = (pk.to_owned(), sk.to_owned());
    Ok(Some(DueDelivery { workspace, webhook, delivery, event, cause, batch, due_at, held_for, bytes, key }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(times: &[i64]) -> Vec<Entry> {
        times.iter().map(|due_at| Entry { key: Default::default(), due_at: *due_at }).collect()
    }

    #[test]
    fn what_is_due_at_one_time_is_not_parted() {
        let times = |mut entries: Vec<Entry>| {
            without_a_part(&mut entries);
            entries.iter().map(|entry| entry.due_at).collect::<Vec<_>>()
        };
        assert_eq!(times(entries(&[1, 1, 2, 2])), [1, 1]);
        assert_eq!(times(entries(&[1, 1])), [1, 1], "or nothing would ever be looked at");
        assert_eq!(times(entries(&[])), Vec::<i64>::new());
    }
}
