//! The Events table: what was published, for reconciliation and for tasks too large to carry their event.
//!
//! | pk | sk | attributes |
//! |---|---|---|
//! | `<workspace>#<shard>` | event id | `event` (its JSON), `type`, `subject`, `expiresAt` |

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use aws_sdk_dynamodb::{
    Client,
    types::{PutRequest, WriteRequest},
};
use posthaste_domain::{Timestamp, event::Event, event_type::EventType, id::EventId, workspace::Workspace};

use crate::{
    Page, StoreError,
    batch::{self, Found, Reading},
    item::{EXPIRES_AT, Item, Read, key, number, text},
    sharded::Sharded,
};

/// How many partitions the events of one workspace are spread over.
const SHARDS: u8 = 8;

/// How much longer than the history its events are kept: what is replayed on the last day is still being tried for a while.
const REPLAY_LIFE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The Events table.
#[derive(Debug, Clone)]
pub struct Events {
    client: Client,
    table: String,
}

/// One event: ids of events that services choose are unique in their workspace only.
pub type EventKey = (Workspace, EventId);

/// What of a workspace's events is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventQuery {
    /// At most this many.
    pub limit: u16,
    /// What comes after this event: the cursor.
    pub after: Option<EventId>,
    /// Only events accepted at or after this time.
    pub since: Option<Timestamp>,
    /// Only events accepted before this time.
    pub until: Option<Timestamp>,
    /// Only events of this type.
    pub event_type: Option<EventType>,
    /// Only events about this one.
    pub subject: Option<String>,
    /// The newest first.
    pub descending: bool,
}

impl Events {
    /// The table of this name.
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self { client, table: table.into() }
    }

    /// Stores events for as long as the history is kept and 7 days more, from `now` on: an id that a service gave may be old.
    /// Storing one again prolongs that. Returns those that may not be stored; why is in the log.
    pub async fn put(
        &self,
        events: impl IntoIterator<Item = &Event>,
        retention: Duration,
        now: Timestamp,
    ) -> Result<HashSet<EventKey>, StoreError> {
        let distinct: BTreeMap<EventKey, &Event> =
            events.into_iter().map(|event| ((event.workspace.clone(), event.id), event)).collect();
        let write = |event: &&Event| {
            let item = item(event, retention, now)?;
            let put = PutRequest::builder().set_item(Some(item.clone())).build();
            let put = put.map_err(|error| StoreError::incomplete("BatchWriteItem", error))?;
            Ok((item, WriteRequest::builder().put_request(put).build()))
        };
        let writes = distinct.values().map(write).collect::<Result<Vec<_>, StoreError>>()?;
        let undone = batch::write(&self.client, &self.table, &writes).await;
        Ok(distinct.into_keys().enumerate().filter(|(at, _)| undone.contains(at)).map(|(_, key)| key).collect())
    }

    /// Those of these events that are stored.
    pub async fn get(&self, wanted: impl IntoIterator<Item = EventKey>) -> Found<EventKey, Event> {
        self.read(wanted, "event", |item| item.json("event")).await
    }

    /// The types of those of these events that are stored, without the events.
    pub async fn types(&self, wanted: impl IntoIterator<Item = EventKey>) -> Found<EventKey, EventType> {
        let read = |item: &Item| EventType::parse(item.text("type")?).map_err(|_| item.corrupt("type"));
        self.read(wanted, "type", read).await
    }

    async fn read<V>(
        &self,
        wanted: impl IntoIterator<Item = EventKey>,
        attribute: &str,
        read: impl Fn(&Item) -> Result<V, StoreError>,
    ) -> Found<EventKey, V> {
        let attributes = &[attribute];
        let reading = Reading { client: &self.client, table: &self.table, consistent: true, attributes };
        let keys = wanted.into_iter().map(|(workspace, id)| {
            let key = key(partition(&workspace, id.spread() % SHARDS), id.to_string());
            ((workspace, id), key)
        });
        batch::get(reading, keys, read).await
    }

    /// A page of a workspace's events in the order of their acceptance.
    pub async fn list(&self, workspace: &Workspace, query: &EventQuery) -> Result<Page<Event, EventId>, StoreError> {
        let first_at = |time: Timestamp| EventId::first_at(time).to_string();
        let event_type = query.event_type.as_ref().map(|event_type| ("type", text(event_type.as_str())));
        let subject = query.subject.as_ref().map(|subject| ("subject", text(subject)));
        let page = Sharded {
            client: &self.client,
            table: &self.table,
            partitions: (0..SHARDS).map(|shard| partition(workspace, shard)).collect(),
            from: first_at(query.since.unwrap_or(Timestamp::UNIX_EPOCH)),
            until: query.until.map_or_else(|| EventId::LAST.to_string(), first_at),
            after: query.after.map(|id| id.to_string()),
            descending: query.descending,
            filter: event_type.into_iter().chain(subject).collect(),
            limit: usize::from(query.limit),
        };
        page.page().await?.read(|item| item.json("event"))
    }
}

fn item(event: &Event, retention: Duration, now: Timestamp) -> Result<Item, StoreError> {
    let life = retention + REPLAY_LIFE;
    let expires = event.id.time().max(now).as_second().saturating_add_unsigned(life.as_secs());
    let mut item = key(partition(&event.workspace, event.id.spread() % SHARDS), event.id.to_string());
    item.insert("type".to_owned(), text(event.event_type.as_str()));
    item.insert("event".to_owned(), text(serde_json::to_string(event)?));
    item.insert(EXPIRES_AT.to_owned(), number(expires));
    item.extend(event.subject.as_ref().map(|subject| ("subject".to_owned(), text(subject))));
    Ok(item)
}

fn partition(workspace: &Workspace, shard: u8) -> String {
    format!("{workspace}#{shard}")
}
