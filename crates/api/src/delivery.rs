use std::collections::BTreeMap;

use posthaste_domain::{
    Timestamp,
    delivery::{
        attempt::{Attempt, Encoding, Failure, Status},
        history::{Waits, Why},
        sent::Missing,
    },
    endpoint::lane::{Lane, Reason},
    event::event_type::EventType,
    id::{CauseKind, DeliveryId, EventId, WebhookId},
};
use serde::Serialize;
use utoipa::ToSchema;

/// A delivery in the history of a webhook.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Delivery)]
pub struct DeliveryAnswer {
    /// The id of the delivery, which stays the same whatever happens to it.
    #[schema(value_type = String, format = "uuid")]
    pub id: DeliveryId,
    /// The webhook that the delivery goes to.
    #[schema(value_type = u64)]
    pub webhook_id: WebhookId,
    /// The id of the event that the delivery brings.
    #[schema(value_type = String, format = "uuid")]
    pub event_id: EventId,
    /// The type of the event that the delivery brings.
    pub event_type: EventType,
    /// The reason why the delivery exists.
    pub cause: CauseKind,
    /// The state of the delivery.
    pub status: Status,
    /// The HTTP status of the last answer.
    #[schema(required = true)]
    pub http_status: Option<u16>,
    /// The body of the last answer: up to 16 KiB of a failed attempt, up to 1 KiB of a success. Of
    /// a request with several events the first one's delivery has that, and each other one its
    /// first 256 bytes. What it repeats of the webhook's path and query is `/…`.
    #[schema(required = true)]
    pub response_body: Option<String>,
    /// `base64` where the body is not text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_body_encoding: Option<Encoding>,
    /// The reason why the event is not delivered, or not yet.
    #[schema(required = true)]
    pub error: Option<Failure>,
    /// The last 50 attempts, first to last, with up to 1 KiB of each answer's body.
    pub attempts: Vec<Attempt>,
    /// The number of attempts that were made in all.
    pub attempt_count: u32,
    /// The reason why the delivery waits, and until when; absent where its status is another one
    /// than `waiting`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting: Option<WaitingAnswer>,
    /// The time at which the delivery's event was accepted.
    #[schema(value_type = String, format = "date-time")]
    pub created_at: Timestamp,
    /// The time at which the delivery's record last changed, or since which it has been waiting.
    #[schema(value_type = String, format = "date-time")]
    pub updated_at: Timestamp,
    /// The request of the last attempt, only in the answer to one delivery. It is not kept but made
    /// again, from the stored events and the settings of then, by the present version of Posthaste.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<SentRequest>,
    /// The reason why the answer to one delivery that was attempted has no `request`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_missing: Option<Missing>,
    /// The time at which the delivery's webhook was removed; absent as long as there is the
    /// webhook, and in the lists over all webhooks.
    #[schema(value_type = Option<String>, format = "date-time", nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_removed_at: Option<Timestamp>,
}

impl DeliveryAnswer {
    /// Returns the answer for a delivery that waits and has no record. The lane is that of its
    /// webhook.
    pub fn waiting(
        webhook: WebhookId,
        waits: Waits,
        event_type: EventType,
        lane: &Lane,
        now: Timestamp,
    ) -> Self {
        let (reason, until) = match waits.why {
            Why::Webhook => {
                (lane.waiting_reason().unwrap_or(Reason::Slow).into(), lane.waits_until(now))
            }
            Why::Queued => (WaitingReason::Queued, None),
            Why::ProcessEnd { until } => (WaitingReason::ProcessEnd, Some(until)),
        };
        Self {
            id: waits.id,
            webhook_id: webhook,
            event_id: waits.event_id,
            event_type,
            cause: waits.cause,
            status: Status::Waiting,
            http_status: None,
            response_body: None,
            response_body_encoding: None,
            error: None,
            attempts: Vec::new(),
            attempt_count: 0,
            waiting: Some(WaitingAnswer { reason, since: waits.since, until }),
            created_at: waits.id.time(),
            updated_at: waits.since,
            request: None,
            request_missing: None,
            webhook_removed_at: None,
        }
    }
}

/// The reason why a delivery waits. `limited`: more have come than the webhook's rate limit allows.
/// `slow`: its endpoint takes long to answer. `sick`: its endpoint keeps timing out. `processEnd`:
/// the run of its process has not ended. `queued`: it is on its way to its first attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum WaitingReason {
    /// More deliveries arrive than the webhook's rate limit allows.
    Limited,
    /// The endpoint takes long to answer.
    Slow,
    /// The endpoint keeps timing out.
    Sick,
    /// The run of the delivery's process has not ended.
    ProcessEnd,
    /// The delivery is on its way.
    Queued,
}

impl From<Reason> for WaitingReason {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::Limited => Self::Limited,
            Reason::Slow => Self::Slow,
            Reason::Sick => Self::Sick,
        }
    }
}

/// The reason why a delivery waits that was not attempted yet.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Waiting)]
pub struct WaitingAnswer {
    /// The reason why the delivery waits.
    pub reason: WaitingReason,
    /// The time since which the delivery has been waiting.
    #[schema(value_type = String, format = "date-time")]
    pub since: Timestamp,
    /// The time until which nothing at all is sent to the endpoint, or until which the end of the run
    /// is waited for; null where that is not known, as under a rate limit.
    #[schema(value_type = Option<String>, format = "date-time", required = true)]
    pub until: Option<Timestamp>,
}

/// A request that was sent to an endpoint.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SentRequest {
    /// The number of the attempt that the request was made for, which is the last one.
    pub attempt: u32,
    /// The method of the request, which is `POST`.
    pub method: &'static str,
    /// The URL that the request went to.
    #[schema(format = "uri")]
    pub url: String,
    /// The headers of the request, with names in lower case. The signatures are left out, and the
    /// values of the webhook's own headers are `***`.
    pub headers: BTreeMap<String, String>,
    /// The body of the request.
    pub body: String,
    /// `base64` where the body is not text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_encoding: Option<Encoding>,
}
