//! The Deliveries table: what became of every delivery.
//!
//! | pk | sk | attributes |
//! |---|---|---|
//! | `<workspace>#<webhook id>#<shard>` | delivery id | `eventId`, `eventType`, `status`, `attemptCount`, `attempts` (a list of JSON), `httpStatus`, `responseBody`, `error` (JSON), `lastAttempt`, `bytes` (of the event's data), `updatedAt`, `expiresAt`; `cause`, where it is not "published"; while a retry is to come `notBefore` and `batch`; where the version before has parked it `dueAt` and `dueShard` |
//! | `#due#<0 to 63>` | `<due, ms>#<workspace>#<webhook id>#<delivery or batch id>`, of one delivery of a batch with `#<delivery id>` | `task` (JSON, by reference), `expiresAt` |
//! | `#hold#<workspace>#<webhook id>#<SHA-256 of the context id>` | `hold#<event id>`, and for the end of a long run `last#<event id>` | `deliveryId`, `bytes`, `dueAt` (the deadline), `dueShard`, `expiresAt` |
//! | the same | `ended` | `expiresAt` |
//! | `#replay#<workspace>#<webhook id>` | job id | `status`, `selection`, `since`, `until`, `examined`, `replayed`, `page`, `cursor`, `by`, `error` (JSON), `createdAt`, `updatedAt`, `expiresAt` |
//! | the same | `latest` | `job` (the id of the newest job) |
//! | `#lane#<workspace>#<webhook id>` | `lane` | those of [`posthaste_domain::lane::Attr`]; while it has a turn `dueAt` and `dueShard` (`L0` to `L15`) |
//! | `#wait#<workspace>#<webhook id>#0` | `<class>#<event id>#<part>#<delivery or batch id>#<SHA-256 of the message, 8 digits>` | `task` (JSON, by reference), `bytes`, `since` (ms), `expiresAt` |
//! | `#suspect#<SQS message id>` | `suspect` | `begun` (how many functions began to handle the message in a row without an end), `expiresAt` |
//! | `#limit#<workspace>#<webhook id>` | `limit` | `nextFree` (Unix microseconds), `spacing` (microseconds), `expiresAt` |
//!
//! The index `due` has the partition key `dueShard`, the sort key `dueAt` (Unix milliseconds) and the keys of holds, of lanes that
//! have a turn, and of what the version before has parked. What is parked has an item of its own: [`posthaste_domain::parked`].
//! A workspace begins with a letter or a digit, so no record is in a partition that begins with `#`.
//!
//! **Attempts are counted here**, by the update that records one. It is conditional on the count that its caller knew, so what
//! follows an attempt is decided by the right count. It names its attempt (`lastAttempt`), so when the SDK repeats it because an
//! answer got lost, the attempt is not counted twice; a copy that comes later is known by its time. A success is never overwritten
//! by the failure of a duplicate. A record keeps its last 50 attempts. The last answer's body is in `responseBody` only where it is
//! longer than what `attempts` keeps of it.

mod attempts;
mod backlog;
mod due;
mod history;
mod holds;
mod jobs;
mod lanes;
mod limits;
mod parked;
mod record;
mod suspects;

use std::time::Duration;

use aws_sdk_dynamodb::{
    Client,
    operation::update_item::{UpdateItemError, builders::UpdateItemFluentBuilder},
    types::{AttributeValue, ReturnValuesOnConditionCheckFailure},
};
use posthaste_domain::{
    Timestamp,
    attempt::{Attempt, Failure, MAX_KEPT_ATTEMPTS, Progress, Status},
    event::Event,
    id::{CauseKind, DeliveryId, WebhookId},
    sequence::{Recorded, Retry},
    workspace::Workspace,
};

pub use backlog::{Backlog, BacklogPage};
pub use due::{DueCursor, DueDelivery, DuePage, Released};
pub use history::History;
pub use holds::{Hold, HoldAt, Holding, Within};
pub use jobs::{Advanced, JobOwner, TurnedPage};
pub use lanes::{DueLane, WebhookKey};
pub use limits::Reserved;
pub use parked::{ParkedItem, ParkedPage};
pub use record::DeliveryRecord;

use self::attempts::Refused;
use crate::{
    StoreError,
    batch::{self, Found, Reading},
    item::{EXPIRES_AT, Item, key, number, text},
};

/// How many partitions the deliveries of one webhook are spread over.
const SHARDS: u8 = 8;

/// How long a record is kept beyond the time of its retry.
const RETRY_LIFE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The Deliveries table.
#[derive(Debug, Clone)]
pub struct Deliveries {
    client: Client,
    table: String,
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
    /// How long the record is kept after its last change.
    pub retention: Duration,
}

impl Deliveries {
    /// The table of this name.
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self { client, table: table.into() }
    }

    /// Records an attempt, counts it, and sets the status: succeeded, or pending until its caller decides otherwise; a test has no
    /// other attempt. When the retry of a failed one is due is part of the same write. Where the delivery has not had the `known`
    /// number of attempts, nothing is recorded, and the right number is told: `known` is a number from before the attempt, or 0.
    /// `attempt_id` is unique to the attempt. Recording the same one again changes nothing and tells the same.
    pub async fn record_attempt(
        &self,
        subject: Subject<'_>,
        (attempt, attempt_id): (&Attempt, &str),
        known: u32,
        retry: Option<Retry>,
        now: Timestamp,
    ) -> Result<Recorded, StoreError> {
        let mut kept = None;
        // A record that is full is replaced by its last attempts: that takes a second write.
        for _ in 0..2 {
            match self.try_to_record(subject, (attempt, attempt_id), (known, kept.take()), retry, now).await? {
                None => return Ok(Recorded::Counted(known + 1)),
                Some(old) => match attempts::refused(&old, attempt, attempt_id, known)? {
                    Refused::For(reason) => return Ok(reason),
                    Refused::Full(last) => kept = Some(last),
                },
            }
        }
        Ok(Recorded::Failed)
    }

    /// Answers the record as it is, where it was not changed. `kept` is what stays of the attempts of a full record.
    async fn try_to_record(
        &self,
        subject: Subject<'_>,
        (attempt, attempt_id): (&Attempt, &str),
        (known, kept): (u32, Option<Vec<AttributeValue>>),
        retry: Option<Retry>,
        now: Timestamp,
    ) -> Result<Option<Item>, StoreError> {
        let status = match subject.cause {
            _ if attempt.succeeded() => Status::Succeeded,
            CauseKind::Test => Status::Exhausted,
            CauseKind::Published | CauseKind::Replay => Status::Pending,
        };
        let optional = |value: Option<AttributeValue>| value.unwrap_or(AttributeValue::Null(true));
        let abridged = attempt.abridged();
        let longer_body = attempt.response_body.as_ref().filter(|_| abridged.response_body != attempt.response_body);
        let before = if kept.is_some() { ":kept" } else { "if_not_exists(attempts, :kept)" };
        let mut update = self
            .update(
                subject,
                status,
                now,
                &format!(
                    ", httpStatus = :http, responseBody = :body, #error = :error, lastAttempt = :id, \
                     attempts = list_append({before}, :attempt), attemptCount = :count"
                ),
                retry,
            )
            .expression_attribute_names("#error", "error")
            .expression_attribute_values(":http", optional(attempt.http_status.map(number)))
            .expression_attribute_values(":body", optional(longer_body.map(text)))
            .expression_attribute_values(":error", optional(attempt.error.as_ref().map(json).transpose()?))
            .expression_attribute_values(":id", text(attempt_id))
            .expression_attribute_values(":attempt", AttributeValue::L(vec![json(&abridged)?]))
            .expression_attribute_values(":count", number(known + 1))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let mut conditions = vec!["attemptCount = :known"];
        if known == 0 {
            conditions = vec!["attribute_not_exists(attemptCount)"];
        } else {
            update = update.expression_attribute_values(":known", number(known));
        }
        if kept.is_none() {
            conditions.push("(attribute_not_exists(attempts) OR size(attempts) < :most)");
            update = update.expression_attribute_values(":most", number(MAX_KEPT_ATTEMPTS));
        }
        if !attempt.succeeded() {
            conditions.push("(attribute_not_exists(#status) OR #status <> :succeeded)");
            update = update.expression_attribute_values(":succeeded", text(Status::Succeeded.name()));
        }
        let update = update
            .expression_attribute_values(":kept", AttributeValue::L(kept.unwrap_or_default()))
            .condition_expression(conditions.join(" AND "));
        match update.send().await {
            Ok(_) => Ok(None),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                    Ok(Some(failed.item().cloned().unwrap_or_default()))
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
            .update_expression("SET #status = :exhausted, updatedAt = :now REMOVE notBefore, dueAt, dueShard")
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
        let attributes = &["status", "attemptCount", "dueAt", "notBefore", "updatedAt", "batch"];
        let reading = Reading { client: &self.client, table: &self.table, consistent: true, attributes };
        let keys = wanted
            .into_iter()
            .map(|(workspace, webhook, delivery)| (delivery, record_key(&workspace, webhook, delivery)));
        batch::get(reading, keys, record::progress).await
    }

    /// The statuses of these deliveries, with one call for up to 100, read eventually: one that was recorded a moment ago may be as it
    /// was before. A delivery that has succeeded stays so.
    pub async fn statuses(
        &self,
        workspace: &Workspace,
        wanted: impl IntoIterator<Item = (WebhookId, DeliveryId)>,
    ) -> Found<DeliveryId, Status> {
        let reading = Reading { client: &self.client, table: &self.table, consistent: false, attributes: &["status"] };
        let keys = wanted.into_iter().map(|(webhook, delivery)| (delivery, record_key(workspace, webhook, delivery)));
        batch::get(reading, keys, record::status).await
    }

    /// An update that sets the status and what every record has, and says when the retry is due, or that none is.
    fn update(
        &self,
        subject: Subject<'_>,
        status: Status,
        now: Timestamp,
        more: &str,
        retry: Option<Retry>,
    ) -> UpdateItemFluentBuilder {
        // A replay, or an event with an id of its own, may be of an old event.
        let from = subject.event.id.time().max(now);
        let expires = from.as_second().saturating_add_unsigned(subject.retention.as_secs());
        // What waits is not forgotten before its time.
        let waits_until = retry.map_or(0, |retry| (retry.due_at + RETRY_LIFE).as_second());
        let expires = expires.max(waits_until);
        let waiting = match retry {
            Some(_) => ", notBefore = :due, #batch = :batch REMOVE dueAt, dueShard",
            None => " REMOVE notBefore, dueAt, dueShard",
        };
        let cause = if subject.cause.is_published() { "" } else { ", cause = :cause" };
        let mut update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(record_key(&subject.event.workspace, subject.webhook, subject.delivery)))
            .update_expression(format!(
                "SET eventId = :event, eventType = :type, bytes = :bytes, #status = :status, updatedAt = :now, \
                 {EXPIRES_AT} = :expires{cause}{more}{waiting}"
            ))
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":event", text(subject.event.id.to_string()))
            .expression_attribute_values(":type", text(subject.event.event_type.as_str()))
            .expression_attribute_values(":bytes", number(subject.event.data.get().len()))
            .expression_attribute_values(":status", text(status.name()))
            .expression_attribute_values(":now", text(now.to_string()))
            .expression_attribute_values(":expires", number(expires));
        if !subject.cause.is_published() {
            update = update.expression_attribute_values(":cause", text(subject.cause.name()));
        }
        let Some(Retry { due_at, batch }) = retry else { return update };
        let batch = batch.map_or(AttributeValue::Null(true), |batch| text(batch.to_string()));
        update
            .expression_attribute_names("#batch", "batch")
            .expression_attribute_values(":due", number(due_at.as_millisecond()))
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
