use posthaste_domain::{
    Timestamp,
    attempt::{Attempt, Failure},
    event::Event,
    event_type::EventType,
    id::{DeliveryId, EventId, JobId},
    replay::{Job, JobStatus, Selection},
};
use serde::Serialize;
use utoipa::ToSchema;

/// A delivery that is made again.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Replayed {
    /// The id of the new delivery. It is in the history once it was tried, or waits for its webhook.
    #[schema(value_type = String, format = "uuid")]
    pub id: DeliveryId,
    /// The event it brings.
    #[schema(value_type = String, format = "uuid")]
    pub event_id: EventId,
    /// The delivery that was asked for again.
    #[schema(value_type = String, format = "uuid")]
    pub replay_of: DeliveryId,
}

/// A replay of many deliveries.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Replay)]
pub struct JobAnswer {
    /// Its id.
    #[schema(value_type = String, format = "uuid")]
    pub id: JobId,
    /// Where it stands.
    pub status: JobStatus,
    /// Which deliveries are made again.
    pub selection: Selection,
    /// Those of events that were accepted then or later.
    #[schema(value_type = String, format = "date-time")]
    pub since: Timestamp,
    /// Those of events that were accepted before.
    #[schema(value_type = String, format = "date-time")]
    pub until: Timestamp,
    /// How many deliveries of published events it has looked at so far.
    pub examined: u64,
    /// How many of them it has put on the queue again so far.
    pub replayed: u64,
    /// Why it could not go on.
    #[schema(required = true)]
    pub error: Option<Failure>,
    /// When it was asked for.
    #[schema(value_type = String, format = "date-time")]
    pub created_at: Timestamp,
    /// When it last moved.
    #[schema(value_type = String, format = "date-time")]
    pub updated_at: Timestamp,
}

impl JobAnswer {
    /// What is answered of this job.
    pub fn of(job: Job) -> Self {
        let Job { id, status, selection, since, until, examined, replayed, error, created_at, updated_at, .. } = job;
        Self { id, status, selection, since, until, examined, replayed, error, created_at, updated_at }
    }
}

/// What an endpoint said to a sample.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = TestResult)]
pub struct TestAnswer {
    /// The id of its delivery, which is in the history.
    #[schema(value_type = String, format = "uuid")]
    pub delivery: DeliveryId,
    /// The id of the sample event. Nothing else is kept of it.
    #[schema(value_type = String, format = "uuid")]
    pub event_id: EventId,
    /// Its type.
    pub event_type: EventType,
    /// The status of the answer; null if there was no answer.
    #[schema(required = true)]
    pub http_status: Option<u16>,
    /// The body of the answer: up to 16 KiB of a failure, up to 1 KiB of a success. What it repeats of the webhook's path and query is
    /// `/…`.
    #[schema(required = true)]
    pub response_body: Option<String>,
    /// Why it is no success; null if it is one.
    #[schema(required = true)]
    pub error: Option<Failure>,
    /// How long it took.
    pub duration_ms: u64,
}

impl TestAnswer {
    /// What is answered of this attempt.
    pub fn of(delivery: DeliveryId, event: &Event, attempt: Attempt) -> Self {
        let Attempt { duration_ms, http_status, response_body, error, .. } = attempt;
        let (event_id, event_type) = (event.id, event.event_type.clone());
        Self { delivery, event_id, event_type, http_status, response_body, error, duration_ms }
    }
}
