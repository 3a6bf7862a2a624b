//! The records of deliveries, which say what has become of each.
//!
//! **Attempts are counted here**, by the update that records one. It is conditional on the count
//! that its caller knew, so what follows an attempt is decided by the right count. It names its
//! attempt (`lastAttempt`), so when the SDK repeats it because an answer got lost, the attempt is
//! not counted twice; a copy that comes later is known by its time. The failure of a duplicate never
//! overwrites a success, and changes no other end: it only goes into the history. An attempt that
//! divided its request, because that was too large, costs none of the retry schedule and has a count
//! of its own. A record keeps its last 50 attempts. The last answer's body is in `responseBody` only
//! where it is longer than what `attempts` keeps of it.

use std::time::Duration;

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use posthaste_domain::{
    Timestamp,
    access::workspace::Workspace,
    delivery::{
        attempt::{Attempt, Failure, MAX_KEPT_ATTEMPTS, Progress, Status},
        sequence::{Recorded, Retry},
        shared::Packed,
    },
    event::Event,
    id::{CauseKind, DeliveryId, WebhookId},
    webhook::key::WebhookKey,
};

use super::{
    activity,
    attempts::{self, Kept, Refused},
    record,
};
use crate::{
    StoreError,
    batch::{self, Found, Reading},
    inserts::{Inserted, Inserts},
    item::{EXPIRES_AT, Item, bytes, json, key, number, or_null, text},
    table::{Outcome, Table},
    write::{Condition, Update},
};

/// The deliveries of one webhook are spread over so many partitions.
pub(super) const SHARDS: u8 = 8;

/// The attribute that counts the attempts of the retry schedule.
pub(super) const ATTEMPTS: &str = "attemptCount";
/// The attribute that counts the attempts that divided their request.
pub(super) const HALVINGS: &str = "halvings";

/// The most bytes of a test's event that its record keeps.
const MAX_TEST_BYTES: usize = 72 * 1024;

/// A record is kept for so long beyond the time of its retry.
const RETRY_LIFE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The records of all deliveries.
#[derive(Debug, Clone)]
pub struct Records {
    pub(super) table: Table,
    /// New records, which are most of all.
    pub(super) new: Inserts,
}

/// The delivery that an update is about, with what its record repeats of the event.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Its id.
    pub delivery: DeliveryId,
    /// The webhook that it goes to.
    pub webhook: &'a WebhookKey,
    /// The event that it brings.
    pub event: &'a Event,
    /// The cause for which it exists.
    pub cause: CauseKind,
    /// The record is kept for so long after its last change.
    pub retention: Duration,
}

/// An attempt that is to be recorded.
#[derive(Debug, Clone, Copy)]
pub struct NewAttempt<'a> {
    /// The attempt, with what came of it.
    pub attempt: &'a Attempt,
    /// It is unique to the attempt. Recording the same one again changes nothing and tells the
    /// same.
    pub id: &'a str,
    /// The number of attempts that the delivery has had as far as the caller knows: one from before
    /// the attempt, or 0. For an attempt that divides its request it is the number of those.
    pub known: u32,
    /// The retry that follows the attempt; none where there is none, or nobody knows yet.
    pub retry: Option<Retry>,
    /// The request that the delivery shared with others, as its record keeps it.
    pub shared: Option<&'a Packed>,
    /// The time of the end after which the delivery was sent back from the dead-letter queue: the
    /// attempt may follow that end, and no later one. None if it was not sent back.
    pub follows: Option<Timestamp>,
}

impl NewAttempt<'_> {
    /// The attribute that counts attempts of this kind.
    pub(super) fn counter(&self) -> &'static str {
        if self.attempt.is_halving() { HALVINGS } else { ATTEMPTS }
    }

    /// Tells whether a delivery that is in this status since then stays in it: it has ended, and
    /// the attempt is no success. Another copy of its message has ended it in the meantime, and has
    /// deleted the message, so nothing would bring the delivery back.
    pub(super) fn leaves(&self, status: Status, since: Option<Timestamp>) -> bool {
        match status {
            _ if self.attempt.succeeded() => false,
            Status::Succeeded => true,
            Status::Exhausted | Status::Skipped => self.follows.is_none() || self.follows != since,
            Status::Pending | Status::Waiting => false,
        }
    }
}

impl Records {
    /// Records an attempt, counts it, and sets the status: succeeded, or pending until its caller
    /// decides otherwise; a test has no other attempt. A failure changes no end. When the retry of a failed one is due is
    /// part of the same write. Where the delivery has had another number of attempts than is known,
    /// nothing is recorded, and the right number is told.
    pub async fn record_attempt(
        &self,
        subject: Subject<'_>,
        new: NewAttempt<'_>,
        now: Timestamp,
    ) -> Result<Recorded, StoreError> {
        let mut kept = Kept::default();
        // A record that is full is replaced by its last attempts, and one that has ended keeps its
        // end: that takes a second write.
        for _ in 0..2 {
            let update = attempt_update(subject, new, &kept, now)?;
            // Whatever came of an insert that did not succeed, the update finds out.
            if let Some(record) = update.new_item()
                && self.new.insert(record).await == Inserted::Done
            {
                return Ok(Recorded::Counted(new.known + 1));
            }
            let old = match self.table.update_and_read(update, ReturnValue::None).await? {
                Outcome::Done(_) if kept.end.is_some() => return Ok(Recorded::AlreadyOver),
                Outcome::Done(_) => return Ok(Recorded::Counted(new.known + 1)),
                Outcome::Refused(old) => old.unwrap_or_default(),
            };
            match attempts::refused(&old, new)? {
                Refused::For(reason) => return Ok(reason),
                Refused::Unless(stays) => kept = stays,
            }
        }
        Ok(Recorded::Failed)
    }

    /// Says that no try is left and the dead letter is sent.
    pub async fn mark_exhausted(
        &self,
        subject: Subject<'_>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.mark(update(subject, Status::Exhausted, None, now)).await
    }

    /// The same for a delivery whose event is no longer stored. A delivery without a record gets
    /// none.
    pub async fn mark_gone(
        &self,
        webhook: &WebhookKey,
        delivery: DeliveryId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let update = Update::at(record_key(webhook, delivery))
            .set("status", text(Status::Exhausted.name()))
            .set("updatedAt", text(now.to_string()))
            .remove_all(&["notBefore", "dueAt", "dueShard"])
            .only_if(Condition::some_item());
        self.mark(update).await
    }

    /// Says that nothing is sent, and why.
    pub async fn mark_skipped(
        &self,
        subject: Subject<'_>,
        why: &Failure,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let update = update(subject, Status::Skipped, None, now).set("error", json(why)?);
        self.mark(activity::placed(update, subject, now)).await
    }

    /// Carries out an update unless the delivery has succeeded by now.
    async fn mark(&self, update: Update) -> Result<(), StoreError> {
        self.table.update(update.only_if(not_succeeded())).await.map(drop)
    }

    /// Reads how far these deliveries have come, with one call for up to 100, read strongly
    /// consistently.
    pub async fn progress(
        &self,
        wanted: impl IntoIterator<Item = (WebhookKey, DeliveryId)>,
    ) -> Found<DeliveryId, Progress> {
        // Without a projection a record's bodies would come too.
        let attributes =
            &["status", ATTEMPTS, HALVINGS, "dueAt", "notBefore", "updatedAt", "batch"];
        let reading =
            Reading { table: &self.table, consistent: true, attributes, read: record::progress };
        let keys = wanted
            .into_iter()
            .map(|(webhook, delivery)| (delivery, record_key(&webhook, delivery)));
        batch::get(reading, keys).await
    }

    /// Reads the statuses of these deliveries, with one call for up to 100, eventually: one that
    /// was recorded a moment ago may be as it was before. A delivery that has succeeded stays so.
    pub async fn statuses(
        &self,
        workspace: &Workspace,
        wanted: impl IntoIterator<Item = (WebhookId, DeliveryId)>,
    ) -> Found<DeliveryId, Status> {
        let reading = Reading {
            table: &self.table,
            consistent: false,
            attributes: &["status"],
            read: record::status,
        };
        let keys = wanted.into_iter().map(|(id, delivery)| {
            let webhook = WebhookKey { workspace: workspace.clone(), id };
            (delivery, record_key(&webhook, delivery))
        });
        batch::get(reading, keys).await
    }
}

/// An update that records an attempt.
fn attempt_update(
    subject: Subject<'_>,
    new: NewAttempt<'_>,
    kept: &Kept,
    now: Timestamp,
) -> Result<Update, StoreError> {
    let NewAttempt { attempt, id, known, shared, .. } = new;
    let counter = new.counter();
    let status = kept.end.unwrap_or(match subject.cause {
        _ if attempt.succeeded() => Status::Succeeded,
        CauseKind::Test => Status::Exhausted,
        CauseKind::Published | CauseKind::Replay => Status::Pending,
    });
    let retry = new.retry.filter(|_| kept.end.is_none());
    let error = or_null(attempt.error.as_ref().map(json).transpose()?);
    let abridged = attempt.abridged();
    let longer_body =
        attempt.response_body.as_ref().filter(|_| abridged.response_body != attempt.response_body);
    let update = update(subject, status, retry, now);
    let mut update = activity::placed(update, subject, now)
        .set("httpStatus", or_null(attempt.http_status.map(number)))
        .set("responseBody", or_null(longer_body.map(text)))
        .set_some("error", (kept.end != Some(Status::Skipped)).then_some(error))
        .set("lastAttempt", text(id))
        .set_some("shared", shared.map(|shared| bytes(shared.bytes())))
        .set_some("event", event_of_test(subject)?)
        .set(counter, number(known + 1))
        .only_if(match known {
            0 => Condition::Absent(counter),
            _ => Condition::Is(counter, number(known)),
        });
    if shared.is_none() {
        update = update.remove("shared");
    }
    update = match &kept.attempts {
        Some(last) => {
            let mut attempts = last.clone();
            attempts.push(json(&abridged)?);
            update.set("attempts", AttributeValue::L(attempts))
        }
        None => {
            let has_room = vec![
                Condition::Absent("attempts"),
                Condition::Shorter("attempts", MAX_KEPT_ATTEMPTS),
            ];
            update.append("attempts", json(&abridged)?).only_if(Condition::Any(has_room))
        }
    };
    let stands = |status: Status| Condition::Is("status", text(status.name()));
    Ok(match kept.end {
        Some(end) => update.only_if(stands(end)),
        None if attempt.succeeded() => update,
        None => {
            let mut open = vec![Condition::Absent("status"), stands(Status::Pending)];
            open.extend(new.follows.map(|end| Condition::Is("updatedAt", text(end.to_string()))));
            update.only_if(Condition::Any(open))
        }
    })
}

/// An update that sets the status and what every record has, and says when the retry is due, or
/// that none is.
fn update(subject: Subject<'_>, status: Status, retry: Option<Retry>, now: Timestamp) -> Update {
    let event = subject.event;
    // A replay, or an event with an id of its own, may be of an old event.
    let from = event.id.time().max(now);
    let expires = from.as_second().saturating_add_unsigned(subject.retention.as_secs());
    // What waits is not forgotten before its time.
    let waits_until = retry.map_or(0, |retry| (retry.due_at + RETRY_LIFE).as_second());
    let cause = (!subject.cause.is_published()).then(|| text(subject.cause.name()));
    let update = Update::at(record_key(subject.webhook, subject.delivery))
        .set("eventId", text(event.id.to_string()))
        .set("eventType", text(event.event_type.as_str()))
        .set("bytes", number(event.data.get().len()))
        .set("status", text(status.name()))
        .set("updatedAt", text(now.to_string()))
        .set(EXPIRES_AT, number(expires.max(waits_until)))
        .set_some("cause", cause)
        .remove_all(&["dueAt", "dueShard"]);
    match retry {
        None => update.remove("notBefore"),
        Some(Retry { due_at, batch }) => update
            .set("notBefore", number(due_at.as_millisecond()))
            .set("batch", or_null(batch.map(|batch| text(batch.to_string())))),
    }
}

/// The event of a test, which is stored nowhere else. One that is too large for a record is left
/// out.
fn event_of_test(subject: Subject<'_>) -> Result<Option<AttributeValue>, StoreError> {
    if subject.cause != CauseKind::Test {
        return Ok(None);
    }
    let event = json(subject.event)?;
    let is_small = event.as_s().is_ok_and(|json| json.len() <= MAX_TEST_BYTES);
    Ok(is_small.then_some(event))
}

fn not_succeeded() -> Condition {
    let other = Condition::IsNot("status", text(Status::Succeeded.name()));
    Condition::Any(vec![Condition::Absent("status"), other])
}

pub(super) fn record_key(webhook: &WebhookKey, delivery: DeliveryId) -> Item {
    key(partition(webhook, delivery.spread() % SHARDS), delivery.to_string())
}

pub(super) fn partition(webhook: &WebhookKey, shard: u8) -> String {
    format!("{webhook}#{shard}")
}

/// Reads the webhook of a partition of records; none if it is another partition.
pub(super) fn webhook_of(partition: &str) -> Option<WebhookKey> {
    let (webhook, _shard) = partition.rsplit_once('#')?;
    WebhookKey::parse(webhook)
}
