//! Retries that wait until they are due: one item each. See [`posthaste_domain::delivery::parked`].

use std::{collections::HashSet, time::Duration};

use posthaste_domain::{
    Timestamp,
    delivery::parked::{Parked, key_after},
};

use crate::{
    StoreError, batch,
    item::{EXPIRES_AT, Item, SK, json, key, number},
    table::{Answer, Range, Table},
};

const PREFIX: &str = "#due#";
/// An item is kept for so long beyond its time, should nobody ever release it: as long as one of a
/// backlog.
const LIFE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The due items, in which retries are parked.
#[derive(Debug, Clone)]
pub struct DueItems {
    pub(super) table: Table,
}

/// A due item, as it is read to be released.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParkedItem {
    /// Its partition key and its sort key. [`posthaste_domain::delivery::parked::ParkedKey`] reads
    /// the latter.
    pub key: (String, String),
    /// The JSON of its task: a message of the deliveries queue.
    pub task: String,
}

/// A page of one partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ParkedPage {
    /// The items, by their times.
    pub items: Vec<ParkedItem>,
    /// The sort key after which the next page begins; none if this is the last one.
    pub next: Option<String>,
}

impl DueItems {
    /// Parks retries, 25 with a call. Parking the same ones again changes nothing. Returns the
    /// places of those that may not be parked.
    pub async fn park(&self, retries: &[Parked]) -> Result<HashSet<usize>, StoreError> {
        batch::put(&self.table, retries.iter().map(item).collect::<Result<_, _>>()?).await
    }

    /// Reads what of one partition is due by `until`, by its time: at most `limit` items after this
    /// sort key. The read is eventual: an item is parked for longer than one can be unseen.
    pub async fn page(
        &self,
        shard: u8,
        until: Timestamp,
        after: Option<&str>,
        limit: i32,
    ) -> Result<ParkedPage, StoreError> {
        let partition = partition(shard);
        let query = self
            .table
            .query(&partition, Range::Below(&key_after(until)))
            .consistent_read(false)
            .limit(limit)
            .set_exclusive_start_key(after.map(|after| key(&partition, after).0));
        let answer = Answer::to(query).await?;
        let mut items = Vec::new();
        for item in &answer.items {
            match read(item) {
                Ok(parked) => items.push(parked),
                // It says nothing about the others.
                Err(error) => tracing::error!(%error, "a due item can't be read"),
            }
        }
        let next = answer.next.map(|key| key.text(SK).map(str::to_owned)).transpose()?;
        Ok(ParkedPage { items, next })
    }
}

pub(super) fn partition(shard: u8) -> String {
    format!("{PREFIX}{shard}")
}

fn item(parked: &Parked) -> Result<Item, StoreError> {
    Ok(key(partition(parked.shard), parked.key.as_str())
        .with("task", json(&parked.task)?)
        .with(EXPIRES_AT, number((parked.due_at + LIFE).as_second())))
}

fn read(item: &Item) -> Result<ParkedItem, StoreError> {
    Ok(ParkedItem { key: item.key_texts()?, task: item.text("task")?.to_owned() })
}
