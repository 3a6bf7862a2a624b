//! How many functions have died in a row with a message: one small item for each suspect, written before it is handled.

use std::time::Duration;

use aws_sdk_dynamodb::types::{DeleteRequest, PutRequest, WriteRequest};
use posthaste_domain::Timestamp;

use super::Deliveries;
use crate::{
    Found, StoreError,
    batch::{self, Reading},
    item::{EXPIRES_AT, Item, Read, key, number},
};

const PREFIX: &str = "#suspect#";
const SK: &str = "suspect";
const BEGUN: &str = "begun";
/// How long the item is kept: longer than a message waits on any queue.
const LIFE: Duration = Duration::from_secs(15 * 24 * 60 * 60);

impl Deliveries {
    /// How often the handling of these messages has begun and not ended, by the ids of the messages. What is not found has not.
    pub async fn begun(&self, messages: impl IntoIterator<Item = String>) -> Found<String, u32> {
        let reading = Reading { client: &self.client, table: &self.table, consistent: true, attributes: &[BEGUN] };
        let keys = messages.into_iter().map(|message| {
            let key = suspect_key(&message);
            (message, key)
        });
        batch::get(reading, keys, |item| item.number(BEGUN)).await
    }

    /// Writes down that the handling of these messages has begun this often and not ended. Returns the places of those of which that
    /// may not be written.
    pub async fn begin(&self, messages: &[(&str, u32)], now: Timestamp) -> Result<Vec<usize>, StoreError> {
        let put = |(message, begun): &(&str, u32)| {
            let mut item = suspect_key(message);
            item.insert(BEGUN.to_owned(), number(begun));
            item.insert(EXPIRES_AT.to_owned(), number((now + LIFE).as_second()));
            let put = PutRequest::builder().set_item(Some(item)).build();
            let put = put.map_err(|error| StoreError::incomplete("BatchWriteItem", error))?;
            Ok((suspect_key(message), WriteRequest::builder().put_request(put).build()))
        };
        let puts = messages.iter().map(put).collect::<Result<Vec<_>, StoreError>>()?;
        Ok(batch::write(&self.client, &self.table, &puts).await.into_iter().collect())
    }

    /// Forgets messages whose handling has ended. Returns the places of those that may not be forgotten: they count as begun.
    pub async fn forget_begun(&self, messages: &[&str]) -> Result<Vec<usize>, StoreError> {
        let delete = |message: &&str| {
            let delete = DeleteRequest::builder().set_key(Some(suspect_key(message))).build();
            let delete = delete.map_err(|error| StoreError::incomplete("BatchWriteItem", error))?;
            Ok((suspect_key(message), WriteRequest::builder().delete_request(delete).build()))
        };
        let deletes = messages.iter().map(delete).collect::<Result<Vec<_>, StoreError>>()?;
        Ok(batch::write(&self.client, &self.table, &deletes).await.into_iter().collect())
    }
}

fn suspect_key(message: &str) -> Item {
    key(format!("{PREFIX}{message}"), SK)
}
