//! A delivery goes through a few states, and two decisions are made around each attempt.
//!
//! ```text
//!             attempt failed, tries left
//!              ┌──────┐
//!              ▼      │
//! (queued) ─▶ pending ┴─▶ succeeded        the endpoint took it; final
//!     │          ├──────▶ exhausted        no try is left; a dead letter was sent, if the webhook wants them. A redriven one gets one more attempt
//!     └──────────┴──────▶ skipped          the webhook was paused or disabled when its turn came, or its backlog was full
//! ```
//!
//! A delivery that was never attempted has no record: it is on the deliveries queue, held, or
//! *waiting* in its webhook's backlog. Deliveries that were deleted with their webhook leave no
//! record. A test has one attempt and is then succeeded or exhausted, without a dead letter.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    Invalid,
    delivery::release::AHEAD,
    endpoint::url::PublicUrl,
    id::BatchId,
    input::{Parameter, has_to_be},
    webhook::{
        Webhook,
        retry::{self, RetrySchedule},
    },
};

mod body;
mod echo;

pub use body::Encoding;
use body::written;

/// The most bytes of an answer's body that are kept of the last attempt, if that failed.
pub const MAX_KEPT_BODY_BYTES: usize = 16 * 1024;
/// The most bytes of an answer's body that are kept of a success, and of each attempt before the
/// last.
pub const MAX_ATTEMPT_BODY_BYTES: usize = 1024;
/// The most bytes of an answer's body that are kept with each further delivery of a request, beside
/// the first: so many leave a record below 1 KB, which is what one write of DynamoDB costs.
const MAX_SHARED_BODY_BYTES: usize = 256;
/// The number of attempts that a record keeps, which are the last ones: with more it could outgrow
/// an item of DynamoDB.
pub const MAX_KEPT_ATTEMPTS: usize = 50;

/// The state of a delivery. `pending`: an attempt failed and another will follow. `succeeded`: the
/// endpoint took it. `exhausted`: the last attempt failed. `skipped`: the webhook was paused or
/// disabled when its turn came, or too much was waiting for it. `waiting`: no attempt was made yet,
/// because the webhook can take no more for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Status {
    /// At least one attempt failed, and another one will follow.
    Pending,
    /// An attempt succeeded.
    Succeeded,
    /// The last attempt failed.
    Exhausted,
    /// Nothing was sent, because the webhook was paused or disabled, or its backlog was full.
    Skipped,
    /// No attempt was made yet, because the webhook can take no more for now. No record has this
    /// status: it is the status of a delivery that is in its webhook's backlog and has no record.
    Waiting,
}

impl Parameter for Status {
    type Value = Self;

    fn read(name: &str, text: String) -> Result<Self, Invalid> {
        let known = || Self::ALL.map(Self::name).join(", ");
        Self::by_name(&text).ok_or_else(|| has_to_be(name, &format!("one of {}", known())))
    }
}

impl Status {
    /// All statuses that there are.
    pub const ALL: [Self; 5] =
        [Self::Pending, Self::Succeeded, Self::Exhausted, Self::Skipped, Self::Waiting];

    /// The name that the API and the table use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Succeeded => "succeeded",
            Self::Exhausted => "exhausted",
            Self::Skipped => "skipped",
            Self::Waiting => "waiting",
        }
    }

    /// Finds the status of this name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }
}

/// The code of an answer whose status is no success.
pub const WRONG_STATUS: &str = "http_status";
/// The code of an answer whose status would be a success, but for its body.
pub const UNEXPECTED_BODY: &str = "unexpected_body";

/// The reason why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = AttemptFailure))]
pub struct Failure {
    /// A stable word for programs, such as `http_status` or `timeout`.
    #[cfg_attr(feature = "openapi", schema(pattern = "^[a-z0-9_]+$"))]
    pub code: String,
    /// A sentence for people.
    pub message: String,
}

/// One HTTP request that was made for a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Attempt {
    /// The time at which the attempt began.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = "date-time"))]
    pub at: Timestamp,
    /// The time that the request took, in milliseconds.
    pub duration_ms: u64,
    /// The answer's status; null if there was no answer.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub http_status: Option<u16>,
    /// The beginning of the answer's body. What it repeats of the webhook's path and query is `/…`.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub response_body: Option<String>,
    /// `base64` where the body is not text.
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_body_encoding: Option<Encoding>,
    /// The reason why the attempt failed; null when it succeeded.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub error: Option<Failure>,
    /// The revision of the webhook's settings that the request was made with. It says how the
    /// request is made again to be shown, and no answer has it.
    #[cfg_attr(feature = "openapi", schema(ignore))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
}

impl Attempt {
    /// Describes an attempt that was answered. `url` is the address that was called: the answer's
    /// repeats of it are masked.
    pub fn answered(
        webhook: &Webhook,
        url: &PublicUrl,
        at: Timestamp,
        duration: Duration,
        http_status: u16,
        body: &[u8],
    ) -> Self {
        let error = (!webhook.accepts(http_status, body)).then(|| refusal(webhook, http_status));
        let body = echo::without_url(body, body.len() >= MAX_KEPT_BODY_BYTES, url);
        let (body, encoding) = written(&body[..body.len().min(MAX_KEPT_BODY_BYTES)]);
        let attempt = Self {
            at,
            duration_ms: milliseconds(duration),
            http_status: Some(http_status),
            response_body: Some(body),
            response_body_encoding: encoding,
            error,
            revision: Some(webhook.revision),
        };
        if attempt.succeeded() { attempt.abridged() } else { attempt }
    }

    /// Describes an attempt that got no answer.
    pub fn unanswered(
        webhook: &Webhook,
        at: Timestamp,
        duration: Duration,
        error: Failure,
    ) -> Self {
        Self {
            at,
            duration_ms: milliseconds(duration),
            http_status: None,
            response_body: None,
            response_body_encoding: None,
            error: Some(error),
            revision: Some(webhook.revision),
        }
    }

    /// Tells whether the endpoint has the event.
    pub fn succeeded(&self) -> bool {
        self.error.is_none()
    }

    /// The attempt without what no answer has.
    #[must_use]
    pub fn answer(self) -> Self {
        Self { revision: None, ..self }
    }

    /// Cuts the body to [`MAX_ATTEMPT_BODY_BYTES`].
    pub fn abridged(&self) -> Self {
        self.cut(MAX_ATTEMPT_BODY_BYTES)
    }

    /// Cuts the body as it is kept with the delivery at this place in the request: the first
    /// delivery keeps the whole answer, and each other one its beginning.
    pub fn kept_with(&self, place: usize) -> Self {
        if place == 0 { self.clone() } else { self.cut(MAX_SHARED_BODY_BYTES) }
    }

    /// Cuts the body to `most` bytes: a multiple of four, so that base64 can still be read.
    fn cut(&self, most: usize) -> Self {
        let mut cut = self.clone();
        if let Some(body) = &mut cut.response_body {
            body.truncate(body.floor_char_boundary(most));
        }
        cut
    }
}

fn refusal(webhook: &Webhook, http_status: u16) -> Failure {
    if webhook.success_statuses().contain(http_status) {
        let message = format!("the answer with status {http_status} does not say ok");
        return Failure { code: UNEXPECTED_BODY.to_owned(), message };
    }
    Failure {
        code: WRONG_STATUS.to_owned(),
        message: format!("the endpoint answered with status {http_status}"),
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The facts about a delivery's past that its record tells, when its message comes again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The state of the delivery.
    pub status: Status,
    /// The number of attempts that are recorded.
    pub attempts: u32,
    /// The number of times that its request was divided, which the attempts do not count.
    pub halvings: u32,
    /// The time at which it is due again, if the version before has parked it. Until then the
    /// function `release` looks after it.
    pub due_at: Option<Timestamp>,
    /// The time at which its next attempt is due, wherever it waits.
    pub not_before: Option<Timestamp>,
    /// The time at which the last attempt was recorded.
    pub recorded_at: Option<Timestamp>,
    /// The request that the delivery shared.
    pub batch: Option<BatchId>,
}

impl Progress {
    /// The progress of a delivery that has no record.
    pub const UNRECORDED: Self = Self {
        status: Status::Pending,
        attempts: 0,
        halvings: 0,
        due_at: None,
        not_before: None,
        recorded_at: None,
        batch: None,
    };

    /// Tells whether the delivery has had its turn. One whose request was divided, and that was not
    /// sent since, has not.
    pub fn has_had_its_turn(&self) -> bool {
        self.attempts > 0 || self.status != Status::Pending
    }
}

/// The thing to do for a delivery whose message has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duty {
    /// Make an attempt.
    Send,
    /// Make an attempt at this time: the message came early, because a function died before it
    /// could make it wait.
    SendAt(Timestamp),
    /// Park it until this time: a function died after it had recorded the attempt, and maybe before
    /// it had parked the retry.
    ParkUntil(Timestamp),
    /// Send its dead letter: its attempts are used up, but a function may have died before the dead
    /// letter was sent. Or it is a dead letter that was sent back while its webhook is paused.
    DeadLetter,
    /// Do nothing: the delivery has ended, and the message is a late copy.
    Over,
    /// Record the delivery as skipped, because its webhook is paused.
    Skip,
}

/// The clocks of two functions may differ by this much: a delivery that is due so soon counts as
/// due.
const CLOCK_SKEW: Duration = Duration::from_secs(5);

/// An attempt may be this early: the clocks of the function that let it wait and of this one differ
/// by less.
const EARLY: Duration = Duration::from_millis(500);

/// Decides what the message of a delivery asks for, `now`. `redriven` says that the message was a
/// dead letter that somebody sent back to the queue: its delivery gets another attempt, however
/// many it has had.
pub fn duty(webhook: &Webhook, progress: Option<Progress>, redriven: bool, now: Timestamp) -> Duty {
    let Progress { status, attempts, due_at, not_before, .. } =
        progress.unwrap_or(Progress::UNRECORDED);
    let enabled = webhook.is_enabled();
    match status {
        Status::Succeeded => Duty::Over,
        _ if redriven && enabled => Duty::Send,
        _ if redriven => Duty::DeadLetter,
        Status::Skipped | Status::Exhausted => Duty::Over,
        // The version before has parked it, and the function `release` sends it when it is due.
        Status::Pending | Status::Waiting if due_at.is_some_and(|time| time > now + CLOCK_SKEW) => {
            Duty::Over
        }
        Status::Pending | Status::Waiting
            if attempts > 0 && !webhook.retry_schedule().has_wait_after(attempts) =>
        {
            Duty::DeadLetter
        }
        Status::Pending | Status::Waiting if !enabled => Duty::Skip,
        Status::Pending | Status::Waiting => match not_before {
            // `release` has not looked so far ahead, so the same item is put once more, in case the
            // retry was parked.
            Some(time) if time > now + AHEAD + CLOCK_SKEW => Duty::ParkUntil(time),
            Some(time) if time > now + EARLY => Duty::SendAt(time),
            _ => Duty::Send,
        },
    }
}

/// The thing to do after an attempt failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Try again after this wait.
    RetryIn(Duration),
    /// Send the dead letter: no try is left.
    Exhausted,
}

impl Next {
    /// The wait before the next try; none if no try is left.
    pub fn wait(self) -> Option<Duration> {
        match self {
            Self::RetryIn(wait) => Some(wait),
            Self::Exhausted => None,
        }
    }
}

/// Decides what follows a failed attempt, of which the delivery has now had `attempts`. The wait is
/// that of the schedule, or the one that the endpoint asked for if that is longer. `seed` spreads
/// it.
pub fn after_failure(
    schedule: &RetrySchedule,
    attempts: u32,
    seed: &str,
    asked: Option<Duration>,
) -> Next {
    match schedule.wait_after(attempts, seed) {
        Some(wait) => Next::RetryIn(wait.max(asked.unwrap_or_default())),
        None => Next::Exhausted,
    }
}

/// The wait that an answer asks for, as far as the webhook lets it. `Retry-After` counts on 429 and
/// 503 (RFC 6585, section 4, and RFC 9110, section 15.6.4).
pub fn asked_wait(
    webhook: &Webhook,
    http_status: u16,
    retry_after: Option<&str>,
    now: Timestamp,
) -> Option<Duration> {
    let most = webhook.max_retry_after();
    if !matches!(http_status, 429 | 503) || most.is_zero() {
        return None;
    }
    Some(retry::retry_after(retry_after?, now)?.min(most))
}

#[cfg(test)]
mod tests;
