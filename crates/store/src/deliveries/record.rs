use posthaste_domain::{
    Timestamp,
    attempt::{Attempt, Failure, Progress, Status},
    event_type::EventType,
    id::{BatchId, CauseKind, DeliveryId, EventId},
};

use crate::{
    StoreError,
    item::{Item, Read, SK},
};

/// What is recorded of a delivery.
#[derive(Debug, Clone, PartialEq)]
pub struct DeliveryRecord {
    /// Its id.
    pub id: DeliveryId,
    /// The event it brings.
    pub event_id: EventId,
    /// That event's type.
    pub event_type: EventType,
    /// Why it exists.
    pub cause: CauseKind,
    /// Where it stands.
    pub status: Status,
    /// Its last attempts, with the beginning of each answer's body.
    pub attempts: Vec<Attempt>,
    /// How many attempts were made in all.
    pub attempt_count: u32,
    /// The status of the last answer.
    pub http_status: Option<u16>,
    /// The body of the last answer, as far as it is kept.
    pub response_body: Option<String>,
    /// Why it is not delivered (yet).
    pub error: Option<Failure>,
    /// How large its event is; 0 where nobody knows.
    pub bytes: u64,
    /// When the record last changed.
    pub updated_at: Timestamp,
}

impl DeliveryRecord {
    pub(super) fn read(item: &Item) -> Result<Self, StoreError> {
        let attempts = item.get("attempts").and_then(|value| value.as_l().ok()).map(Vec::as_slice).unwrap_or_default();
        let attempt = |value: &aws_sdk_dynamodb::types::AttributeValue| {
            let json = value.as_s().map_err(|_| item.corrupt("attempts"))?;
            serde_json::from_str(json).map_err(|_| item.corrupt("attempts"))
        };
        let attempts: Vec<Attempt> = attempts.iter().map(attempt).collect::<Result<_, _>>()?;
        let last_body = attempts.last().and_then(|last| last.response_body.clone());
        let present = |attribute: &str| item.get(attribute).is_some_and(|value| !value.is_null());
        let longer_body = present("responseBody").then(|| item.text("responseBody").map(str::to_owned)).transpose()?;
        Ok(Self {
            id: item.parsed(SK)?,
            event_id: item.parsed("eventId")?,
            event_type: EventType::parse(item.text("eventType")?).map_err(|_| item.corrupt("eventType"))?,
            cause: cause(item)?,
            status: status(item)?,
            attempts,
            attempt_count: attempt_count(item)?,
            http_status: present("httpStatus").then(|| item.number("httpStatus")).transpose()?,
            response_body: longer_body.or(last_body),
            error: present("error").then(|| item.json("error")).transpose()?,
            bytes: if item.contains_key("bytes") { item.number("bytes")? } else { 0 },
            updated_at: item.parsed("updatedAt")?,
        })
    }
}

/// That of most deliveries is not written down.
pub(super) fn cause(item: &Item) -> Result<CauseKind, StoreError> {
    if !item.contains_key("cause") {
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
        attempts: attempt_count(item)?,
        due_at: time(item, "dueAt")?,
        not_before: time(item, "notBefore")?,
        recorded_at: Some(item.parsed("updatedAt")?),
        batch: batch(item)?,
    })
}

/// The request that the last attempt shared.
pub(super) fn batch(item: &Item) -> Result<Option<BatchId>, StoreError> {
    let batch = item.get("batch").and_then(|value| value.as_s().ok());
    batch.map(|id| id.parse().map_err(|_| item.corrupt("batch"))).transpose()
}

/// When a hold, or what the version before has parked, is due.
pub(super) fn due_at(item: &Item) -> Result<Option<Timestamp>, StoreError> {
    time(item, "dueAt")
}

fn time(item: &Item, attribute: &'static str) -> Result<Option<Timestamp>, StoreError> {
    if !item.contains_key(attribute) {
        return Ok(None);
    }
    Timestamp::from_millisecond(item.number(attribute)?).map(Some).map_err(|_| item.corrupt(attribute))
}

/// None is recorded of a delivery that was skipped before its first attempt.
pub(super) fn attempt_count(item: &Item) -> Result<u32, StoreError> {
    if item.contains_key("attemptCount") { item.number("attemptCount") } else { Ok(0) }
}
