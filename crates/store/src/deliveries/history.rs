//! Reading the deliveries of a webhook, newest first, over its shards.

use posthaste_domain::{
    Timestamp, delivery::attempt::Status, event::event_type::EventType, id::DeliveryId,
    webhook::key::WebhookKey,
};

use super::{
    record::DeliveryRecord,
    records::{Records, SHARDS, partition, record_key},
};
use crate::{Page, StoreError, item::text, sharded::Sharded};

/// A question about a webhook's history.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    /// At most this many.
    pub limit: u16,
    /// Only what is older than this delivery: the cursor.
    pub before: Option<DeliveryId>,
    /// Only deliveries that stand so.
    pub status: Option<Status>,
    /// Only deliveries of events of this type.
    pub event_type: Option<EventType>,
    /// Only events accepted at or after this time.
    pub since: Option<Timestamp>,
    /// Only events accepted before this time.
    pub until: Option<Timestamp>,
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

    /// A page of a webhook's deliveries, newest event first.
    pub async fn history(
        &self,
        webhook: &WebhookKey,
        history: &History,
    ) -> Result<Page<DeliveryRecord, DeliveryId>, StoreError> {
        let status = history.status.map(|status| ("status", text(status.name())));
        let event_type =
            history.event_type.as_ref().map(|event_type| ("eventType", text(event_type.as_str())));
        let page = Sharded {
            table: &self.table,
            partitions: (0..SHARDS).map(|shard| partition(webhook, shard)).collect(),
            from: DeliveryId::first_at(history.since.unwrap_or(Timestamp::UNIX_EPOCH)).to_string(),
            until: history.until.map_or(DeliveryId::LAST, DeliveryId::first_at).to_string(),
            after: history.before.map(|id| id.to_string()),
            descending: true,
            filter: status.into_iter().chain(event_type).collect(),
            limit: usize::from(history.limit),
        };
        page.page().await?.read(DeliveryRecord::read)
    }
}
