//! Suspects have one small item each, which is written before they are handled. It counts the
//! functions that have died in a row with the message.

use std::{collections::HashSet, time::Duration};

use posthaste_domain::Timestamp;

use crate::{
    Found, StoreError,
    batch::{self, Reading},
    item::{EXPIRES_AT, Item, key, number},
    table::Table,
};

const PREFIX: &str = "#suspect#";
const SK: &str = "suspect";
const BEGUN: &str = "begun";
/// The item is kept for so long: longer than a message waits on any queue.
const LIFE: Duration = Duration::from_secs(15 * 24 * 60 * 60);

/// The suspects of all queues.
#[derive(Debug, Clone)]
pub struct Suspects {
    pub(super) table: Table,
}

impl Suspects {
    /// Reads how often the handling of these messages has begun and not ended, by their ids. What
    /// is not found has not.
    pub async fn begun(&self, messages: impl IntoIterator<Item = String>) -> Found<String, u32> {
        let reading =
            Reading { table: &self.table, consistent: true, attributes: &[BEGUN], read: begun };
        let keys = messages.into_iter().map(|message| {
            let key = suspect_key(&message);
            (message, key)
        });
        batch::get(reading, keys).await
    }

    /// Writes down that the handling of these messages has begun this often and not ended. Returns
    /// the places of those of which that may not be written.
    pub async fn begin(
        &self,
        messages: &[(&str, u32)],
        now: Timestamp,
    ) -> Result<HashSet<usize>, StoreError> {
        let expires = number((now + LIFE).as_second());
        let items = messages.iter().map(|(message, begun)| {
            suspect_key(message).with(BEGUN, number(begun)).with(EXPIRES_AT, expires.clone())
        });
        batch::put(&self.table, items.collect()).await
    }

    /// Forgets messages whose handling has ended. Returns the places of those that may not be
    /// forgotten: they count as begun.
    pub async fn forget(&self, messages: &[&str]) -> Result<HashSet<usize>, StoreError> {
        batch::delete(&self.table, messages.iter().map(|message| suspect_key(message)).collect())
            .await
    }
}

fn begun(item: &Item) -> Result<u32, StoreError> {
    item.number(BEGUN)
}

fn suspect_key(message: &str) -> Item {
    key(format!("{PREFIX}{message}"), SK)
}
