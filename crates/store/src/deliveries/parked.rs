//! Retries that wait until they are due: one item each. See [`posthaste_domain::parked`].

use std::{collections::HashSet, time::Duration};

use aws_sdk_dynamodb::types::{PutRequest, WriteRequest};
use posthaste_domain::{
    Timestamp,
    parked::{Parked, key_after},
};

use super::Deliveries;
use crate::{
    StoreError, batch,
    item::{EXPIRES_AT, Item, PK, Read, SK, key, number, text},
};

const PREFIX: &str = "#due#";
/// How long an item is kept beyond its time, should nobody ever release it: as long as one of a backlog.
const LIFE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// A due item, as it is read to be released.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParkedItem {
    /// Its partition key and its sort key. [`posthaste_domain::parked::ParkedKey`] reads the latter.
    pub key: (String, String),
    /// The JSON of its task: a message of the deliveries queue.
    pub task: String,
}

/// A page of one partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ParkedPage {
    /// What is due, by its time.
    pub items: Vec<ParkedItem>,
    /// The sort key after which the next page begins; none if this is the last one.
    pub next: Option<String>,
}

impl Deliveries {
    /// Parks retries, 25 with a call. Parking the same ones again changes nothing. Returns the places of those that may not be
    /// parked.
    pub async fn park(&self, retries: &[Parked]) -> Result<HashSet<usize>, StoreError> {
        let put = |parked: &Parked| {
            let mut item = key(partition(parked.shard), parked.key.as_str());
            item.insert("task".to_owned(), text(serde_json::to_string(&parked.task)?));
            item.insert(EXPIRES_AT.to_owned(), number((parked.due_at + LIFE).as_second()));
            let put = PutRequest::builder().set_item(Some(item.clone())).build();
            let put = put.map_err(|error| StoreError::incomplete("BatchWriteItem", error))?;
            Ok((item, WriteRequest::builder().put_request(put).build()))
        };
        let writes = retries.iter().map(put).collect::<Result<Vec<_>, StoreError>>()?;
        Ok(batch::write(&self.client, &self.table, &writes).await)
    }

    /// What of one partition is due by `until`, by its time: at most `limit` items after this sort key. The read is eventual: an item
    /// is parked for longer than one can be unseen.
    pub async fn parked(
        &self,
        shard: u8,
        until: Timestamp,
        after: Option<&str>,
        limit: i32,
    ) -> Result<ParkedPage, StoreError> {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :shard AND sk < :until")
            .expression_attribute_values(":shard", text(partition(shard)))
            .expression_attribute_values(":until", text(key_after(until)))
            .limit(limit)
            .set_exclusive_start_key(after.map(|after| key(partition(shard), after)));
        let answer = query.send().await.map_err(StoreError::call("Query"))?;
        let items = answer.items().iter().filter_map(|item| match read(item) {
            Ok(parked) => Some(parked),
            Err(error) => {
                // It says nothing about the others.
                tracing::error!(%error, "a due item can't be read");
                None
            }
        });
        let next = answer.last_evaluated_key.as_ref().map(|key| key.text(SK).map(str::to_owned)).transpose()?;
        Ok(ParkedPage { items: items.collect(), next })
    }
}

fn partition(shard: u8) -> String {
    format!("{PREFIX}{shard}")
}

fn read(item: &Item) -> Result<ParkedItem, StoreError> {
    let key = (item.text(PK)?.to_owned(), item.text(SK)?.to_owned());
    Ok(ParkedItem { key, task: item.text("task")?.to_owned() })
}
