//! The Deliveries table: what became of every delivery.
//!
//! | pk | sk | attributes |
//! |---|---|---|
//! | `<workspace>#<webhook id>#<shard>` | delivery id | `eventId`, `eventType`, `status`, `attemptCount`, `attempts` (a list of JSON), `httpStatus`, `responseBody`, `error` (JSON), `lastAttempt`, `updatedAt`, `expiresAt`; `cause`, where it is not "published"; `batch`; while it is parked `dueAt` and `dueShard` |
//! | `#hold#<workspace>#<webhook id>#<SHA-256 of the context id>` | `hold#<event id>` | `deliveryId`, `bytes`, `dueAt` (the deadline), `dueShard`, `expiresAt` |
//! | the same | `ended` | `expiresAt` |
//! | `#replay#<workspace>#<webhook id>` | job id | `status`, `selection`, `since`, `until`, `examined`, `replayed`, `page`, `cursor`, `by`, `error` (JSON), `createdAt`, `updatedAt`, `expiresAt` |
//! | the same | `latest` | `job` (the id of the newest job) |
//! | `#limit#<workspace>#<webhook id>` | `limit` | `nextFree` (Unix microseconds), `spacing` (microseconds), `expiresAt` |
//!
//! The index `due` has the partition key `dueShard`, the sort key `dueAt` (Unix milliseconds) and the keys of what waits for its time.
//! A workspace begins with a letter or a digit, so no record is in a partition that begins with `#`.
//!
//! **Attempts are counted here**, by the update that records one. That update names its attempt (`lastAttempt`), so when the SDK
//! repeats it because an answer got lost, the attempt is not counted twice. A success is never overwritten by the failure of a
//! duplicate.

mod due;
mod history;
mod holds;
mod jobs;
mod limits;
mod record;

use std::time::Duration;

use aws_sdk_dynamodb::{
    Client,
    operation::update_item::{UpdateItemError, builders::UpdateItemFluentBuilder},
    types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure},
};
use posthaste_domain::{
    Timestamp,
    attempt::{Attempt, Failure, Progress, Status},
    event::Event,
    id::{BatchId, CauseKind, DeliveryId, WebhookId},
    workspace::Workspace,
};

pub use due::DueDelivery;
pub use history::History;
pub use holds::{Hold, Holding};
pub use jobs::{Advanced, JobOwner, TurnedPage};
pub use limits::{Reservation, Reserved};
pub use record::DeliveryRecord;

use crate::{
    StoreError,
    batch::{self, Found, Reading},
    item::{EXPIRES_AT, Item, Read, key, number, text},
};

/// How many partitions the deliveries of one webhook are spread over.
const SHARDS: u8 = 8;

/// How long a parked record is kept beyond its time.
const PARKED_LIFE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The Deliveries table.
#[derive(Debug, Clone)]
pub struct Deliveries {
    client: Client,
    table: String,
}

/// What recording an attempt told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// The delivery has had this many attempts now.
    Counted(u32),
    /// Another copy of the message has succeeded before: this failure is not recorded.
    AlreadySucceeded,
}

/// How a delivery waits in the table until its time: from then on the release function sees to it.
#[derive(Debug, Clone, Copy)]
pub struct Parking {
    /// Its time.
    pub due_at: Timestamp,
    /// The request that it shared. Deliveries of the same batch wait under the same shard.
    pub batch: Option<BatchId>,
}

/// The delivery that an update is about, with what its record repeats of the event.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Its id.
    pub delivery: DeliveryId,
    /// Where it goes.
    pub webhook: WebhookId,
    /// What it brings.
    pub event: &'a Event,
    /// Why it exists.
    pub cause: CauseKind,
    /// How long after its event the record is kept.
    pub retention: Duration,
}

impl Deliveries {
    /// The table of this name.
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self { client, table: table.into() }
    }

    /// Records an attempt, counts it, and sets the status: succeeded, or pending until its caller decides otherwise; a test has no
    /// other attempt. A failed one can be parked with the same write.
    /// `attempt_id` is unique to the attempt. Recording the same one again changes nothing and tells the same.
    pub async fn record_attempt(
        &self,
        subject: Subject<'_>,
        attempt: &Attempt,
        attempt_id: &str,
        parking: Option<Parking>,
        now: Timestamp,
    ) -> Result<Recorded, StoreError> {
        let status = match subject.cause {
            _ if attempt.succeeded() => Status::Succeeded,
            CauseKind::Test => Status::Exhausted,
            CauseKind::Published | CauseKind::Replay => Status::Pending,
        };
        let optional = |value: Option<AttributeValue>| value.unwrap_or(AttributeValue::Null(true));
        let update = self
            .update(
                subject,
                status,
                now,
                ", httpStatus = :http, responseBody = :body, #error = :error, lastAttempt = :id, \
                 attempts = list_append(if_not_exists(attempts, :none), :attempt), \
                 attemptCount = if_not_exists(attemptCount, :zero) + :one",
                parking,
            )
            .expression_attribute_names("#error", "error")
            .expression_attribute_values(":http", optional(attempt.http_status.map(number)))
            .expression_attribute_values(":body", optional(attempt.response_body.as_ref().map(text)))
            .expression_attribute_values(":error", optional(attempt.error.as_ref().map(json).transpose()?))
            .expression_attribute_values(":id", text(attempt_id))
            .expression_attribute_values(":none", AttributeValue::L(Vec::new()))
            .expression_attribute_values(":attempt", AttributeValue::L(vec![json(&attempt.abridged())?]))
            .expression_attribute_values(":zero", number(0))
            .expression_attribute_values(":one", number(1))
            .return_values(ReturnValue::UpdatedNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let not_yet = "(attribute_not_exists(lastAttempt) OR lastAttempt <> :id)";
        let update = if attempt.succeeded() {
            update.condition_expression(not_yet)
        } else {
            update
                .condition_expression(format!("{not_yet} AND (attribute_not_exists(#status) OR #status <> :succeeded)"))
                .expression_attribute_values(":succeeded", text(Status::Succeeded.name()))
        };
        match update.send().await {
            Ok(answer) => answer.attributes.unwrap_or_default().number("attemptCount").map(Recorded::Counted),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                    let old = failed.item().cloned().unwrap_or_default();
                    if old.text("lastAttempt").is_ok_and(|id| id == attempt_id) {
                        old.number("attemptCount").map(Recorded::Counted)
                    } else {
                        Ok(Recorded::AlreadySucceeded)
                    }
                }
                _ => Err(StoreError::call("UpdateItem")(error)),
            },
        }
    }

    /// Says that no try is left and the dead letter is sent.
    pub async fn mark_exhausted(&self, subject: Subject<'_>, now: Timestamp) -> Result<(), StoreError> {
        self.mark(self.update(subject, Status::Exhausted, now, "", None)).await
    }

    /// The same for a delivery whose event is no longer stored. A delivery without a record gets none.
    pub async fn mark_gone(
        &self,
        workspace: &Workspace,
        webhook: WebhookId,
        delivery: DeliveryId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(record_key(workspace, webhook, delivery)))
            .update_expression("SET #status = :exhausted, updatedAt = :now REMOVE dueAt, dueShard")
            .condition_expression("attribute_exists(pk) AND #status <> :succeeded")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":exhausted", text(Status::Exhausted.name()))
            .expression_attribute_values(":succeeded", text(Status::Succeeded.name()))
            .expression_attribute_values(":now", text(now.to_string()));
        StoreError::unless_refused("UpdateItem", update.send().await).map(drop)
    }

    /// Says that nothing is sent, and why.
    pub async fn mark_skipped(&self, subject: Subject<'_>, why: &Failure, now: Timestamp) -> Result<(), StoreError> {
        let update = self
            .update(subject, Status::Skipped, now, ", #error = :error", None)
            .expression_attribute_names("#error", "error")
            .expression_attribute_values(":error", json(why)?);
        self.mark(update).await
    }

    /// What is recorded of these deliveries, with one call for up to 100, read strongly consistently.
    pub async fn progress(
        &self,
        wanted: impl IntoIterator<Item = (Workspace, WebhookId, DeliveryId)>,
    ) -> Found<DeliveryId, Progress> {
        // Without a projection a record's bodies would come too.
        let attributes = &["status", "attemptCount", "dueAt"];
        let reading = Reading { client: &self.client, table: &self.table, consistent: true, attributes };
        let keys = wanted
            .into_iter()
            .map(|(workspace, webhook, delivery)| (delivery, record_key(&workspace, webhook, delivery)));
        batch::get(reading, keys, record::progress).await
    }

    /// An update that sets the status and what every record has, and parks the delivery or ends its waiting.
    fn update(
        &self,
        subject: Subject<'_>,
        status: Status,
        now: Timestamp,
        more: &str,
        parking: Option<Parking>,
    ) -> UpdateItemFluentBuilder {
        let expires = subject.event.id.time().as_second().saturating_add_unsigned(subject.retention.as_secs());
        // What waits is not forgotten before its time.
        let waits_until = parking.map_or(0, |parking| (parking.due_at + PARKED_LIFE).as_second());
        let expires = expires.max(waits_until);
        let waiting = match parking {
            Some(_) => ", dueAt = :due, dueShard = :shard, #batch = :batch",
            None => " REMOVE dueAt, dueShard",
        };
        let cause = if subject.cause.is_published() { "" } else { ", cause = :cause" };
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(record_key(&subject.event.workspace, subject.webhook, subject.delivery)))
            .update_expression(format!(
                "SET eventId = :event, eventType = :type, #status = :status, updatedAt = :now, {EXPIRES_AT} = :expires{cause}{more}{waiting}"
            ))
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":event", text(subject.event.id.to_string()))
            .expression_attribute_values(":type", text(subject.event.event_type.as_str()))
            .expression_attribute_values(":status", text(status.name()))
            .expression_attribute_values(":now", text(now.to_string()))
            .expression_attribute_values(":expires", number(expires));
        let update = match cause {
            "" => update,
            _ => update.expression_attribute_values(":cause", text(subject.cause.name())),
        };
        let Some(Parking { due_at, batch }) = parking else { return update };
        let spread = batch.map_or_else(|| subject.delivery.spread(), |batch| batch.spread());
        let batch = batch.map_or(AttributeValue::Null(true), |batch| text(batch.to_string()));
        update
            .expression_attribute_names("#batch", "batch")
            .expression_attribute_values(":due", number(due_at.as_millisecond()))
            .expression_attribute_values(":shard", due::shard(spread))
            .expression_attribute_values(":batch", batch)
    }

    /// Carries out an update unless the delivery has succeeded by now.
    async fn mark(&self, update: UpdateItemFluentBuilder) -> Result<(), StoreError> {
        let update = update
            .condition_expression("attribute_not_exists(#status) OR #status <> :succeeded")
            .expression_attribute_values(":succeeded", text(Status::Succeeded.name()));
        StoreError::unless_refused("UpdateItem", update.send().await).map(drop)
    }
}

fn json(value: &impl serde::Serialize) -> Result<AttributeValue, StoreError> {
    Ok(text(serde_json::to_string(value)?))
}

fn record_key(workspace: &Workspace, webhook: WebhookId, delivery: DeliveryId) -> Item {
    key(partition(workspace, webhook, delivery.spread() % SHARDS), delivery.to_string())
}

fn partition(workspace: &Workspace, webhook: WebhookId, shard: u8) -> String {
    format!("{workspace}#{webhook}#{shard}")
}
