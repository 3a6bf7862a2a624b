//! The Events table: what was published, for reconciliation and for tasks too large to carry their event.
//!
//! | pk | sk | attributes |
//! |---|---|---|
//! | `<workspace>#<shard>` | event id | `event` (its JSON), `type`, `expiresAt` |

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use aws_sdk_dynamodb::{
    Client,
    types::{PutRequest, WriteRequest},
};
use posthaste_domain::{event::Event, id::EventId, workspace::Workspace};

use crate::{
    StoreError, batch,
    item::{EXPIRES_AT, Item, PK, Read, SK, key, number, text},
};

/// How many partitions the events of one workspace are spread over.
const SHARDS: u8 = 8;

/// The Events table.
#[derive(Debug, Clone)]
pub struct Events {
    client: Client,
    table: String,
}

impl Events {
    /// The table of this name.
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self { client, table: table.into() }
    }

    /// Stores events. Storing one again changes nothing, as its expiry counts from its own time.
    pub async fn put(&self, events: impl IntoIterator<Item = &Event>, retention: Duration) -> Result<(), StoreError> {
        let distinct: BTreeMap<EventId, &Event> = events.into_iter().map(|event| (event.id, event)).collect();
        let write = |event: &&Event| {
            let expires = event.id.time().as_second().saturating_add_unsigned(retention.as_secs());
            let put = PutRequest::builder()
                .item(PK, text(partition(&event.workspace, event.id)))
                .item(SK, text(event.id.to_string()))
                .item("type", text(event.event_type.as_str()))
                .item("event", text(serde_json::to_string(event)?))
                .item(EXPIRES_AT, number(expires));
            let put = put.build().map_err(|error| StoreError::Call {
                operation: "BatchWriteItem",
                code: "no item".to_owned(),
                source: Box::new(error),
            })?;
            Ok(WriteRequest::builder().put_request(put).build())
        };
        let writes = distinct.values().map(write).collect::<Result<Vec<_>, StoreError>>()?;
        batch::write(&self.client, &self.table, writes).await
    }

    /// Those of these events that are stored.
    pub async fn get(&self, wanted: &[(Workspace, EventId)]) -> Result<HashMap<EventId, Event>, StoreError> {
        let distinct: BTreeMap<EventId, &Workspace> = wanted.iter().map(|(workspace, id)| (*id, workspace)).collect();
        let keys: Vec<Item> =
            distinct.iter().map(|(id, workspace)| key(partition(workspace, *id), id.to_string())).collect();
        let items = batch::get(&self.client, &self.table, keys, true, None).await?;
        items.iter().map(|item| item.json::<Event>("event").map(|event| (event.id, event))).collect()
    }
}

fn partition(workspace: &Workspace, id: EventId) -> String {
    format!("{workspace}#{}", id.spread() % SHARDS)
}
