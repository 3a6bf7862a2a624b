//! The Events table: what was published, for reconciliation and for tasks too large to carry their
//! event.
//!
//! | pk | sk | attributes |
//! |---|---|---|
//! | `<workspace>#<shard>` | event id | `event` (JSON), `type`, `subject`, `process`, `to`, `expiresAt` |
//!
//! `process` says as JSON which run of which process the event belongs to, as far as fan-out knew
//! that. It is missing where it would be long, and in items of earlier versions: then it is what the
//! event itself says. `to` names the webhooks that the event was owed to when it was fanned out. It
//! is missing where these are too many, and in items of earlier versions.

mod call;

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use aws_sdk_dynamodb::Client;
use posthaste_domain::{
    Timestamp,
    access::workspace::Workspace,
    event::{
        Event,
        event_type::EventType,
        process::{OfProcess, Process},
    },
    fanout::recipients::Recipients,
    id::EventId,
};

pub use call::CallEvent;

use crate::{
    Page, StoreError,
    batch::{self, Found, Reading, Unread},
    item::{EXPIRES_AT, Item, json, key, number, text},
    sharded::{Partition, Sharded},
    table::Table,
    write::Condition,
};

/// The events of one workspace are spread over so many partitions.
const SHARDS: u8 = 8;

/// Events are kept for so much longer than the history: what is replayed on the last day is still
/// being tried for a while.
const REPLAY_LIFE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The most bytes of `process`: an event of the largest size leaves little room in an item.
const MAX_PROCESS_BYTES: usize = 1024;

/// The Events table.
#[derive(Debug, Clone)]
pub struct Events {
    table: Table,
}

/// One event: ids of events that services choose are unique in their workspace only.
pub type EventKey = (Workspace, EventId);

/// An event that is to be stored.
#[derive(Debug, Clone, Copy)]
pub struct EventToStore<'a> {
    /// The event.
    pub event: &'a Event,
    /// The process that it belongs to, as far as is known.
    pub process: &'a Process,
    /// The webhooks that it is owed to, where they are known and not too many.
    pub recipients: Option<&'a Recipients>,
}

impl<'a> From<&'a OfProcess> for EventToStore<'a> {
    fn from(known: &'a OfProcess) -> Self {
        Self { event: &known.event, process: &known.process, recipients: None }
    }
}

/// An event that was fanned out.
#[derive(Debug, Clone)]
pub struct FannedOut {
    /// The event, with the process that it belongs to.
    pub known: OfProcess,
    /// The webhooks that it was owed to, where its item says so.
    pub recipients: Option<Recipients>,
}

/// A question about a workspace's events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventQuery {
    /// At most this many.
    pub limit: u16,
    /// Only what comes after this event: the cursor.
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
        Self { table: Table::new(client, table) }
    }

    /// Stores events for as long as the history is kept and 7 days more, from `now` on: an id that
    /// a service gave may be old. Storing one again prolongs that. Returns those that may not be
    /// stored; why is in the log.
    pub async fn put(
        &self,
        events: impl IntoIterator<Item = EventToStore<'_>>,
        retention: Duration,
        now: Timestamp,
    ) -> Result<HashSet<EventKey>, StoreError> {
        let distinct: BTreeMap<EventKey, EventToStore<'_>> = events
            .into_iter()
            .map(|new| ((new.event.workspace.clone(), new.event.id), new))
            .collect();
        let mut items = Vec::new();
        for new in distinct.values() {
            items.push(item(*new, retention, now)?);
        }
        let undone = batch::put(&self.table, items).await?;
        Ok(distinct
            .into_keys()
            .enumerate()
            .filter(|(at, _)| undone.contains(at))
            .map(|(_, key)| key)
            .collect())
    }

    /// Those of these events that are stored.
    pub async fn get(&self, wanted: impl IntoIterator<Item = EventKey>) -> Found<EventKey, Event> {
        self.read(wanted, &["event"], read_event).await
    }

    /// Those of these events that are stored, with what is known of their processes.
    pub async fn with_processes(
        &self,
        wanted: impl IntoIterator<Item = EventKey>,
    ) -> Found<EventKey, OfProcess> {
        self.read(wanted, &["event", "process"], read_of_process).await
    }

    /// One event with the webhooks that it was owed to, as long as it is stored.
    pub async fn fanned_out(
        &self,
        workspace: &Workspace,
        id: EventId,
    ) -> Result<Option<FannedOut>, Unread> {
        let key = (workspace.clone(), id);
        self.read([key.clone()], &["event", "process", "to"], read_fanned_out).await.one(&key)
    }

    /// The types of those of these events that are stored, without the events.
    pub async fn types(
        &self,
        wanted: impl IntoIterator<Item = EventKey>,
    ) -> Found<EventKey, EventType> {
        self.read(wanted, &["type"], read_type).await
    }

    async fn read<V>(
        &self,
        wanted: impl IntoIterator<Item = EventKey>,
        attributes: &[&str],
        read: fn(&Item) -> Result<V, StoreError>,
    ) -> Found<EventKey, V> {
        let reading = Reading { table: &self.table, consistent: true, attributes, read };
        let keys = wanted.into_iter().map(|(workspace, id)| {
            let key = event_key(&workspace, id);
            ((workspace, id), key)
        });
        batch::get(reading, keys).await
    }

    /// A page of a workspace's events in the order of their acceptance.
    pub async fn list(
        &self,
        workspace: &Workspace,
        query: &EventQuery,
    ) -> Result<Page<OfProcess, EventId>, StoreError> {
        self.page(workspace, query).await?.read(read_of_process)
    }

    /// The same with the webhooks that the events were owed to.
    pub async fn list_fanned_out(
        &self,
        workspace: &Workspace,
        query: &EventQuery,
    ) -> Result<Page<FannedOut, EventId>, StoreError> {
        self.page(workspace, query).await?.read(read_fanned_out)
    }

    async fn page(
        &self,
        workspace: &Workspace,
        query: &EventQuery,
    ) -> Result<Page<Item, String>, StoreError> {
        let mut filter = Vec::new();
        if let Some(event_type) = &query.event_type {
            filter.push(Condition::Is("type", text(event_type.as_str())));
        }
        if let Some(subject) = &query.subject {
            filter.push(Condition::Is("subject", text(subject)));
        }
        let whole = (0..SHARDS).map(|shard| Partition::of_table(partition(workspace, shard)));
        let page = Sharded {
            table: &self.table,
            partitions: whole.map(|whole| Partition { filter: filter.clone(), ..whole }).collect(),
            from: EventId::first_at(query.since.unwrap_or(Timestamp::UNIX_EPOCH)).to_string(),
            until: query.until.map_or(EventId::LAST, EventId::first_at).to_string(),
            after: query.after.map(|id| id.to_string()),
            descending: query.descending,
            limit: usize::from(query.limit),
        };
        page.page().await
    }
}

fn item(new: EventToStore<'_>, retention: Duration, now: Timestamp) -> Result<Item, StoreError> {
    let EventToStore { event, process, recipients } = new;
    let life = retention + REPLAY_LIFE;
    let expires = event.id.time().max(now).as_second().saturating_add_unsigned(life.as_secs());
    let process = json(process)?;
    let process = process.as_s().ok().filter(|json| json.len() <= MAX_PROCESS_BYTES).map(text);
    Ok(event_key(&event.workspace, event.id)
        .with("type", text(event.event_type.as_str()))
        .with("event", json(event)?)
        .with(EXPIRES_AT, number(expires))
        .with_some("process", process)
        .with_some("to", recipients.map(|all| text(all.to_string())))
        .with_some("subject", event.subject.as_ref().map(text)))
}

fn read_event(item: &Item) -> Result<Event, StoreError> {
    item.json("event")
}

fn read_of_process(item: &Item) -> Result<OfProcess, StoreError> {
    let event = read_event(item)?;
    let known: Option<Process> = item.optional("process", Item::json)?;
    Ok(match known {
        Some(process) => {
            // The version before stored the type and the run alone.
            let said = Process::of(&event);
            let process_id = process.process_id.or(said.process_id);
            let process = Process { process_id, is_unnamed: said.is_unnamed, ..process };
            OfProcess { event, process }
        }
        None => OfProcess::from(event),
    })
}

fn read_fanned_out(item: &Item) -> Result<FannedOut, StoreError> {
    let known = read_of_process(item)?;
    Ok(FannedOut { known, recipients: item.optional("to", Item::parsed)? })
}

fn read_type(item: &Item) -> Result<EventType, StoreError> {
    EventType::parse(item.text("type")?).map_err(|_| item.corrupt("type"))
}

fn event_key(workspace: &Workspace, id: EventId) -> Item {
    key(partition(workspace, id.spread() % SHARDS), id.to_string())
}

fn partition(workspace: &Workspace, shard: u8) -> String {
    format!("{workspace}#{shard}")
}
