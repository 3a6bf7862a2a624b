use posthaste_domain::{
    Timestamp,
    delivery::{
        attempt::{Attempt, Failure, Progress, Status},
        shared::Packed,
    },
    event::{Event, event_type::EventType},
    id::{BatchId, CauseKind, DeliveryId, EventId, WebhookId},
};

use super::{
    activity::PLACE,
    records::{ATTEMPTS, HALVINGS, webhook_of},
};
use crate::{
    StoreError,
    item::{Item, PK, SK},
};

/// The record of a delivery.
#[derive(Debug, Clone)]
pub struct DeliveryRecord {
    /// Its id.
    pub id: DeliveryId,
    /// The webhook that it goes to.
    pub webhook: WebhookId,
    /// The event it brings.
    pub event_id: EventId,
    /// That event's type.
    pub event_type: EventType,
    /// The cause for which it exists.
    pub cause: CauseKind,
    /// The status in which it is.
    pub status: Status,
    /// Its last attempts, with the beginning of each answer's body.
    pub attempts: Vec<Attempt>,
    /// The number of attempts in all, with those that divided their request.
    pub attempt_count: u32,
    /// The status of the last answer.
    pub http_status: Option<u16>,
    /// The body of the last answer, as far as it is kept.
    pub response_body: Option<String>,
    /// The reason that it is not delivered, or not yet.
    pub error: Option<Failure>,
    /// The request that its last attempt shared with other deliveries.
    pub shared: Option<Packed>,
    /// Its event, if it is a test: that of others is stored by itself.
    pub event: Option<Event>,
    /// The size of its event; 0 where nobody knows it.
    pub bytes: u64,
    /// The time of the record's last change.
    pub updated_at: Timestamp,
    /// The place where it is listed; none if it is listed at its event.
    pub own_place: Option<DeliveryId>,
}

impl DeliveryRecord {
    pub(super) fn read(item: &Item) -> Result<Self, StoreError> {
        let mut attempts: Vec<Attempt> = Vec::new();
        for json in item.list("attempts") {
            let attempt = json.as_s().ok().and_then(|json| serde_json::from_str(json).ok());
            attempts.push(attempt.ok_or_else(|| item.corrupt("attempts"))?);
        }
        let longer_body: Option<String> = item.optional("responseBody", Item::parsed)?;
        let last_body = attempts.last().and_then(|last| last.response_body.clone());
        Ok(Self {
            id: item.parsed(SK)?,
            webhook: webhook_of(item.text(PK)?).ok_or_else(|| item.corrupt(PK))?.id,
            event_id: item.parsed("eventId")?,
            event_type: EventType::parse(item.text("eventType")?)
                .map_err(|_| item.corrupt("eventType"))?,
            cause: cause(item)?,
            status: status(item)?,
            attempt_count: counted(item, ATTEMPTS)?.saturating_add(counted(item, HALVINGS)?),
            http_status: item.optional("httpStatus", Item::number)?,
            response_body: longer_body.or(last_body),
            error: item.optional("error", Item::json)?,
            shared: shared(item, attempts.last())?,
            event: item.optional("event", Item::json)?,
            bytes: bytes(item)?,
            updated_at: item.parsed("updatedAt")?,
            own_place: item.optional(PLACE, Item::parsed)?,
            attempts,
        })
    }

    /// The place where it is listed.
    pub fn place(&self) -> DeliveryId {
        self.own_place.unwrap_or(self.id)
    }
}

/// The request that the last attempt shared. A version before, whose attempts name no revision,
/// leaves what an earlier attempt shared behind.
fn shared(item: &Item, last: Option<&Attempt>) -> Result<Option<Packed>, StoreError> {
    if last.is_none_or(|last| last.revision.is_none()) {
        return Ok(None);
    }
    Ok(item.optional("shared", Item::bytes)?.map(Packed::stored))
}

/// Reads the cause. That of most deliveries is not written down.
pub(super) fn cause(item: &Item) -> Result<CauseKind, StoreError> {
    if !item.has("cause") {
        return Ok(CauseKind::Published);
    }
    CauseKind::by_name(item.text("cause")?).ok_or_else(|| item.corrupt("cause"))
}

pub(super) fn status(item: &Item) -> Result<Status, StoreError> {
    Status::by_name(item.text("status")?).ok_or_else(|| item.corrupt("status"))
}

pub(super) fn progress(item: &Item) -> Result<Progress, StoreError> {
    Ok(Progress {
        status: status(item)?,
        attempts: counted(item, ATTEMPTS)?,
        halvings: counted(item, HALVINGS)?,
        due_at: due_at(item)?,
        not_before: item.optional("notBefore", Item::time_ms)?,
        recorded_at: Some(item.parsed("updatedAt")?),
        batch: batch(item)?,
    })
}

/// The request that the last attempt shared.
pub(super) fn batch(item: &Item) -> Result<Option<BatchId>, StoreError> {
    item.optional("batch", Item::parsed)
}

/// The time at which a hold is due, or what the version before has parked.
pub(super) fn due_at(item: &Item) -> Result<Option<Timestamp>, StoreError> {
    item.optional("dueAt", Item::time_ms)
}

/// The size of the event; 0 where nobody has recorded it.
pub(super) fn bytes(item: &Item) -> Result<u64, StoreError> {
    Ok(item.optional("bytes", Item::number)?.unwrap_or(0))
}

/// The number of attempts that this attribute counts. None is recorded of a delivery that was
/// skipped before its first one.
pub(super) fn counted(item: &Item, counter: &'static str) -> Result<u32, StoreError> {
    Ok(item.optional(counter, Item::number)?.unwrap_or(0))
}
