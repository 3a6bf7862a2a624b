//! Reading the deliveries of a webhook, or of all webhooks of a workspace, newest first.

use std::collections::HashMap;

use posthaste_domain::{
    Timestamp,
    access::workspace::Workspace,
    delivery::{answered::Answered, attempt::Status},
    event::event_type::EventType,
    id::{DeliveryId, EventId},
    webhook::key::WebhookKey,
};

use super::{
    activity::{self, PLACE},
    holds::{self, HeldDelivery},
    record::DeliveryRecord,
    records::{Records, SHARDS, partition, record_key},
};
use crate::{
    Page, StoreError,
    batch::{self, Reading},
    item::{Item, PK, number, text},
    sharded::{Partition, Sharded},
    write::Condition,
};

/// A page is put together of so many smaller ones at most, where a question leaves little of each.
const MAX_ROUNDS: u32 = 4;

/// A question about the history of a webhook or of a workspace.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    /// At most this many.
    pub limit: u16,
    /// Only what is listed behind this place: the cursor.
    pub before: Option<DeliveryId>,
    /// Only deliveries that stand so.
    pub status: Option<Status>,
    /// Only deliveries whose last answer has one of these statuses.
    pub http_status: Option<Answered>,
    /// Only deliveries of events of this type.
    pub event_type: Option<EventType>,
    /// Only deliveries of this event.
    pub event: Option<EventId>,
    /// Only what is listed at this time or later.
    pub since: Option<Timestamp>,
    /// Only what is listed before this time.
    pub until: Option<Timestamp>,
}

/// A delivery that a list has found.
#[derive(Debug, Clone)]
pub enum Listed {
    /// It has a record.
    Recorded(Box<DeliveryRecord>),
    /// It waits for the end of a run.
    Held(HeldDelivery),
}

impl Listed {
    /// The place where it is listed.
    pub fn place(&self) -> DeliveryId {
        match self {
            Self::Recorded(record) => record.place(),
            Self::Held(held) => held.delivery,
        }
    }

    fn read(item: &Item) -> Result<Self, StoreError> {
        if item.text(PK)?.starts_with(holds::PREFIX) {
            return holds::held_delivery(item).map(Self::Held);
        }
        DeliveryRecord::read(item).map(|record| Self::Recorded(Box::new(record)))
    }
}

impl History {
    /// Says whether a delivery with this record is asked for, wherever it is listed.
    pub fn wants(&self, record: &DeliveryRecord) -> bool {
        self.status.is_none_or(|status| status == record.status)
            && self.event_type.as_ref().is_none_or(|wanted| *wanted == record.event_type)
            && self.event.is_none_or(|event| event == record.event_id)
            && self.http_status.is_none_or(|statuses| {
                record.http_status.is_some_and(|status| statuses.contain(status))
            })
    }

    /// Says whether a delivery of this event is asked for that has never been tried.
    pub fn wants_waiting(&self, event: EventId, event_type: &EventType) -> bool {
        self.may_want_waiting()
            && self.event.is_none_or(|wanted| wanted == event)
            && self.event_type.as_ref().is_none_or(|wanted| wanted == event_type)
    }

    /// The same as conditions on an item.
    fn conditions(&self) -> Vec<Condition> {
        let mut conditions = Vec::new();
        if let Some(status) = self.status {
            conditions.push(Condition::Is("status", text(status.name())));
        }
        if let Some(event_type) = &self.event_type {
            conditions.push(Condition::Is("eventType", text(event_type.as_str())));
        }
        if let Some(event) = self.event {
            conditions.push(Condition::Is("eventId", text(event.to_string())));
        }
        if let Some(Answered { from, to }) = self.http_status {
            conditions.push(Condition::AtLeast("httpStatus", number(from)));
            conditions.push(Condition::AtMost("httpStatus", number(to)));
        }
        conditions
    }

    /// Says whether a delivery without a record can be asked for at all.
    pub fn may_want_waiting(&self) -> bool {
        matches!(self.status, None | Some(Status::Waiting)) && self.http_status.is_none()
    }

    /// Whether a hold's type is asked for is found out when its event is read.
    fn wants_listed(&self, listed: &Listed) -> bool {
        match listed {
            Listed::Recorded(record) => self.wants(record),
            Listed::Held(held) => self.event.is_none_or(|event| event == held.event),
        }
    }
}

impl Records {
    /// One delivery of a webhook. One that was not tried yet has no record.
    pub async fn get(
        &self,
        webhook: &WebhookKey,
        id: DeliveryId,
    ) -> Result<Option<DeliveryRecord>, StoreError> {
        let item = self.table.get(record_key(webhook, id)).await?;
        item.as_ref().map(DeliveryRecord::read).transpose()
    }

    /// Reads the records of these deliveries whole, with one call for up to 100, strongly
    /// consistently.
    pub async fn get_all(
        &self,
        wanted: impl IntoIterator<Item = (WebhookKey, DeliveryId)>,
    ) -> batch::Found<DeliveryId, DeliveryRecord> {
        let keys = wanted.into_iter().map(|(webhook, id)| (id, record_key(&webhook, id)));
        batch::get(self.whole(DeliveryRecord::read), keys).await
    }

    /// A page of a webhook's records, the newest event first. What is listed elsewhere because it
    /// was active late is among them.
    pub async fn history(
        &self,
        webhook: &WebhookKey,
        history: &History,
    ) -> Result<Page<DeliveryRecord, DeliveryId>, StoreError> {
        let partitions = self.shards(webhook, &history.conditions());
        self.sharded(history, partitions).page().await?.read(DeliveryRecord::read)
    }

    /// A page of what a webhook's records and holds say, the last activity first. It can have fewer
    /// deliveries than asked for, even none, and still have a next one.
    pub async fn by_activity(
        &self,
        webhook: &WebhookKey,
        history: &History,
    ) -> Result<Page<Listed, DeliveryId>, StoreError> {
        let mut conditions = history.conditions();
        conditions.push(Condition::Absent(PLACE));
        // No record says that its delivery has never been tried.
        let mut partitions = match history.status {
            Some(Status::Waiting) => Vec::new(),
            _ => self.shards(webhook, &conditions),
        };
        let mut beginnings = Vec::new();
        if history.status != Some(Status::Waiting) {
            beginnings.push(format!("{webhook}#"));
        }
        if history.may_want_waiting() {
            beginnings.push(format!("{}{webhook}#", holds::PREFIX));
        }
        partitions.extend(activity::of_webhook(webhook, &beginnings));
        self.listed(history, partitions).await
    }

    /// The same of what was active late, of all webhooks of a workspace. What waits for the end of a
    /// run is not part of it.
    pub async fn late(
        &self,
        workspace: &Workspace,
        history: &History,
    ) -> Result<Page<Listed, DeliveryId>, StoreError> {
        self.listed(history, activity::of_records(workspace)).await
    }

    fn shards(&self, webhook: &WebhookKey, conditions: &[Condition]) -> Vec<Partition> {
        let mut partitions = Vec::new();
        for shard in 0..SHARDS {
            let filter = conditions.to_vec();
            let whole = Partition::of_table(partition(webhook, shard));
            partitions.push(Partition { filter, ..whole });
        }
        partitions
    }

    fn sharded(&self, history: &History, partitions: Vec<Partition>) -> Sharded<'_> {
        Sharded {
            table: &self.table,
            partitions,
            from: DeliveryId::first_at(history.since.unwrap_or(Timestamp::UNIX_EPOCH)).to_string(),
            until: history.until.map_or(DeliveryId::LAST, DeliveryId::first_at).to_string(),
            after: history.before.map(|id| id.to_string()),
            descending: true,
            limit: usize::from(history.limit),
        }
    }

    /// Reads a page, and goes on for a while where a question leaves little of it.
    async fn listed(
        &self,
        history: &History,
        partitions: Vec<Partition>,
    ) -> Result<Page<Listed, DeliveryId>, StoreError> {
        let mut items = Vec::new();
        let mut asked = history.clone();
        for _ in 0..MAX_ROUNDS {
            let page = self.sharded(&asked, partitions.clone()).page().await?;
            items.extend(self.wanted(history, &page.items).await?);
            let next = page.next.map(|key| key.parse().map_err(|_| corrupt(key))).transpose()?;
            if next.is_none() || items.len() >= usize::from(history.limit) {
                return Ok(Page { items, next });
            }
            asked.before = next;
            asked.limit = history.limit - u16::try_from(items.len()).unwrap_or(history.limit);
        }
        Ok(Page { items, next: asked.before })
    }

    /// What is asked for of these items and entries. An entry whose item has moved is listed
    /// elsewhere.
    async fn wanted(&self, history: &History, items: &[Item]) -> Result<Vec<Listed>, StoreError> {
        let mut behind = self.behind(items).await?;
        let mut wanted = Vec::new();
        for item in items {
            let listed = match entry(item)? {
                None => Some(Listed::read(item)?),
                Some((place, key)) => behind.remove(&key).filter(|listed| listed.place() == place),
            };
            wanted.extend(listed.filter(|listed| history.wants_listed(listed)));
        }
        Ok(wanted)
    }

    /// Reads the items of the entries of the index, strongly: an entry may be of yesterday.
    async fn behind(&self, items: &[Item]) -> Result<HashMap<Texts, Listed>, StoreError> {
        let mut wanted = Vec::new();
        for item in items {
            if let Some((_, key)) = entry(item)? {
                wanted.push((key.clone(), crate::item::key(key.0, key.1)));
            }
        }
        if wanted.is_empty() {
            return Ok(HashMap::new());
        }
        let found = batch::get(self.whole(Listed::read), wanted).await;
        match found.unread.iter().next() {
            None => Ok(found.items),
            Some((_, sk)) => Err(StoreError::Unread { key: sk.clone() }),
        }
    }

    fn whole<V>(&self, read: fn(&Item) -> Result<V, StoreError>) -> Reading<'_, V> {
        Reading { table: &self.table, consistent: true, attributes: &[], read }
    }
}

/// The partition key and the sort key of an item.
type Texts = (String, String);

/// The place of an entry of the index, and the key of its item; none if this is an item itself.
fn entry(item: &Item) -> Result<Option<(DeliveryId, Texts)>, StoreError> {
    if !item.has(PLACE) {
        return Ok(None);
    }
    Ok(Some((item.parsed(PLACE)?, item.key_texts()?)))
}

fn corrupt(key: String) -> StoreError {
    StoreError::Corrupt { key, attribute: PLACE }
}
