//! Reading the deliveries of a webhook, newest first, over its shards.

use aws_sdk_dynamodb::types::Select;
use futures::future::try_join_all;
use posthaste_domain::{
    Timestamp,
    attempt::Status,
    event_type::EventType,
    id::{DeliveryId, WebhookId},
};

use super::{Deliveries, SHARDS, partition, record::DeliveryRecord};
use crate::{
    Page, StoreError,
    item::{Item, text},
};

/// What of a webhook's history is asked for.
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

impl History {
    /// Ids from the first bound up to but not including the second.
    fn range(&self) -> (DeliveryId, DeliveryId) {
        let from = DeliveryId::first_at(self.since.unwrap_or(Timestamp::UNIX_EPOCH));
        let until = self.until.map_or(DeliveryId::LAST, DeliveryId::first_at);
        (from, self.before.map_or(until, |before| before.min(until)))
    }
}

impl Deliveries {
    /// A page of a webhook's deliveries, newest event first.
    pub async fn history(
        &self,
        webhook: WebhookId,
        history: &History,
    ) -> Result<Page<DeliveryRecord, DeliveryId>, StoreError> {
        let (from, until) = history.range();
        if from >= until {
            return Ok(Page { items: Vec::new(), next: None });
        }
        // The page can lie wholly in one shard, so each is asked for a whole page, and one more to know whether another follows.
        let wanted = usize::from(history.limit) + 1;
        let shards = (0..SHARDS).map(|shard| self.newest(partition(webhook, shard), (from, until), history, wanted));
        let mut items: Vec<DeliveryRecord> = try_join_all(shards).await?.into_iter().flatten().collect();
        items.sort_unstable_by_key(|record| std::cmp::Reverse(record.id));
        let more = items.len() >= wanted;
        items.truncate(usize::from(history.limit));
        let next = if more { items.last().map(|record| record.id) } else { None };
        Ok(Page { items, next })
    }

    async fn newest(
        &self,
        partition: String,
        (from, until): (DeliveryId, DeliveryId),
        history: &History,
        wanted: usize,
    ) -> Result<Vec<DeliveryRecord>, StoreError> {
        let mut records = Vec::new();
        let mut start: Option<Item> = None;
        loop {
            let mut query = self
                .client
                .query()
                .table_name(&self.table)
                .select(Select::AllAttributes)
                .scan_index_forward(false)
                .consistent_read(true)
                // BETWEEN includes its upper bound; the record at the bound, which is the cursor itself, is left out below.
                .key_condition_expression("pk = :partition AND sk BETWEEN :from AND :until")
                .expression_attribute_values(":partition", text(partition.as_str()))
                .expression_attribute_values(":from", text(from.to_string()))
                .expression_attribute_values(":until", text(until.to_string()))
                .set_exclusive_start_key(start);
            let mut filters = Vec::new();
            if let Some(status) = history.status {
                filters.push("#status = :status");
                query = query
                    .expression_attribute_names("#status", "status")
                    .expression_attribute_values(":status", text(status.name()));
            }
            if let Some(event_type) = &history.event_type {
                filters.push("eventType = :type");
                query = query.expression_attribute_values(":type", text(event_type.as_str()));
            }
            // A limit counts what is looked at, not what a filter leaves: with a filter, a look is as large as DynamoDB makes it.
            query = if filters.is_empty() {
                query.limit(i32::try_from(wanted + 1).unwrap_or(i32::MAX))
            } else {
                query.filter_expression(filters.join(" AND "))
            };
            let answer = query.send().await.map_err(StoreError::call("Query"))?;
            for item in answer.items() {
                let record = DeliveryRecord::read(item)?;
                if record.id < until {
                    records.push(record);
                }
            }
            start = answer.last_evaluated_key;
            if start.is_none() || records.len() >= wanted {
                records.truncate(wanted);
                return Ok(records);
            }
        }
    }
}
