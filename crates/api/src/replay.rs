use posthaste_domain::{
    Timestamp,
    delivery::{
        attempt::{Attempt, Failure},
        replay::{Job, JobStatus, Selection},
    },
    event::{Event, event_type::EventType},
    id::{DeliveryId, EventId, JobId},
};
use serde::Serialize;
use utoipa::ToSchema;

/// A delivery that is made again.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Replayed {
    /// The id of the new delivery. It is in the history once it was tried, or waits for its
    /// webhook.
    #[schema(value_type = String, format = "uuid")]
    pub id: DeliveryId,
    /// The id of the event that the delivery brings.
    #[schema(value_type = String, format = "uuid")]
    pub event_id: EventId,
    /// The id of the delivery that was asked for again.
    #[schema(value_type = String, format = "uuid")]
    pub replay_of: DeliveryId,
}

/// A replay of many deliveries.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Replay)]
pub struct JobAnswer {
    /// The id of the replay.
    #[schema(value_type = String, format = "uuid")]
    pub id: JobId,
    /// The state of the replay.
    pub status: JobStatus,
    /// The choice of the deliveries that are made again.
    pub selection: Selection,
    /// The replay takes deliveries of events that were accepted at this time or later.
    #[schema(value_type = String, format = "date-time")]
    pub since: Timestamp,
    /// The replay takes deliveries of events that were accepted before this time.
    #[schema(value_type = String, format = "date-time")]
    pub until: Timestamp,
    /// The number of deliveries of published events that the replay has looked at so far.
    pub examined: u64,
    /// The number of those deliveries that the replay has put on the queue again so far.
    pub replayed: u64,
    /// The reason why the replay could not go on.
    #[schema(required = true)]
    pub error: Option<Failure>,
    /// The time at which the replay was asked for.
    #[schema(value_type = String, format = "date-time")]
    pub created_at: Timestamp,
    /// The time at which the replay last moved.
    #[schema(value_type = String, format = "date-time")]
    pub updated_at: Timestamp,
}

impl JobAnswer {
    /// Returns the answer for this job.
    pub fn of(job: Job) -> Self {
        let Job {
            id,
            status,
            selection,
            since,
            until,
            examined,
            replayed,
            error,
            created_at,
            updated_at,
            ..
        } = job;
        Self {
            id,
            status,
            selection,
            since,
            until,
            examined,
            replayed,
            error,
            created_at,
            updated_at,
        }
    }
}

/// The answer that an endpoint gave to a sample.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = TestResult)]
pub struct TestAnswer {
    /// The id of its delivery, which is in the history.
    #[schema(value_type = String, format = "uuid")]
    pub delivery: DeliveryId,
    /// The id of the sample event, which is not among the published ones.
    #[schema(value_type = String, format = "uuid")]
    pub event_id: EventId,
    /// The type of the sample event.
    pub event_type: EventType,
    /// The status of the answer; null if there was no answer.
    #[schema(required = true)]
    pub http_status: Option<u16>,
    /// The body of the answer: up to 16 KiB of a failure, up to 1 KiB of a success. What it repeats
    /// of the webhook's path and query is `/…`.
    #[schema(required = true)]
    pub response_body: Option<String>,
    /// The reason why the test is no success; null if it is one.
    #[schema(required = true)]
    pub error: Option<Failure>,
    /// The time that the request took, in milliseconds.
    pub duration_ms: u64,
}

impl TestAnswer {
    /// Returns the answer for this attempt.
    pub fn of(delivery: DeliveryId, event: &Event, attempt: Attempt) -> Self {
        let Attempt { duration_ms, http_status, response_body, error, .. } = attempt;
        let (event_id, event_type) = (event.id, event.event_type.clone());
        Self { delivery, event_id, event_type, http_status, response_body, error, duration_ms }
    }
}
