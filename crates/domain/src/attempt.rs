//! What becomes of a delivery: its states, and the two decisions around each attempt.
//!
//! ```text
//!             attempt failed, tries left
//!              ┌──────┐
//!              ▼      │
//! (queued) ─▶ pending ┴─▶ succeeded        the endpoint took it; final
//!     │          ├──────▶ exhausted        no try is left; a dead letter was sent. A redriven one gets one more attempt
//!     └──────────┴──────▶ skipped          the webhook was paused or disabled when its turn came, or its backlog was full
//! ```
//!
//! A delivery that was never attempted has no record: it is on the deliveries queue, held, or *waiting* in its webhook's backlog. What
//! was deleted with its webhook leaves none.
//! A test has one attempt and is then succeeded or exhausted, without a dead letter.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    id::BatchId,
    parked::AHEAD,
    retry::{self, RetrySchedule},
    url::PublicUrl,
    webhook::Webhook,
};

mod echo;

/// The most bytes of an answer's body that are kept of the last attempt, if that failed.
pub const MAX_KEPT_BODY_BYTES: usize = 16 * 1024;
/// The most bytes of an answer's body that are kept of a success, and of each attempt before the last.
pub const MAX_ATTEMPT_BODY_BYTES: usize = 1024;
/// The most bytes of an answer's body that are kept with each further delivery of a request, beside the first: so many leave a
/// record below 1 KB, which is what one write of DynamoDB costs.
const MAX_SHARED_BODY_BYTES: usize = 256;
/// How many attempts a record keeps, the last ones: with more it could outgrow an item of DynamoDB.
pub const MAX_KEPT_ATTEMPTS: usize = 50;

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// At least one attempt failed and another will follow.
    Pending,
    /// An attempt succeeded.
    Succeeded,
    /// The last attempt failed.
    Exhausted,
    /// Nothing was sent, because the webhook was paused or disabled, or its backlog was full.
    Skipped,
    /// No attempt was made yet, because its webhook can take no more for now. Nobody writes this down: it is what a delivery is that
    /// is in its webhook's backlog and has no record.
    Waiting,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 5] = [Self::Pending, Self::Succeeded, Self::Exhausted, Self::Skipped, Self::Waiting];

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

    /// The status of this name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }
}

/// The code of an answer whose status is no success.
pub const WRONG_STATUS: &str = "http_status";
/// The code of an answer whose status would be a success, but for its body.
pub const UNEXPECTED_BODY: &str = "unexpected_body";

/// Why an attempt failed, for the customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// A stable word: `http_status`, or one of the sender's codes as `timeout`.
    pub code: String,
    /// A sentence.
    pub message: String,
}

/// How a body that is not text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// RFC 4648, section 4, with padding.
    Base64,
}

/// One HTTP request made for a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// When it began.
    pub at: Timestamp,
    /// How long it took.
    pub duration_ms: u64,
    /// The answer's status, if there was an answer.
    pub http_status: Option<u16>,
    /// The beginning of the answer's body, with `/…` for what it repeats of the webhook's path and query.
    pub response_body: Option<String>,
    /// How the body is written here, where it is not text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_body_encoding: Option<Encoding>,
    /// Why it failed; none when it succeeded.
    pub error: Option<Failure>,
}

impl Attempt {
    /// An attempt that was answered. `url` is where it was sent: what the body repeats of it is not kept.
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
        };
        if attempt.succeeded() { attempt.abridged() } else { attempt }
    }

    /// An attempt that got no answer.
    pub fn unanswered(at: Timestamp, duration: Duration, error: Failure) -> Self {
        Self {
            at,
            duration_ms: milliseconds(duration),
            http_status: None,
            response_body: None,
            response_body_encoding: None,
            error: Some(error),
        }
    }

    /// Whether the endpoint has the event.
    pub fn succeeded(&self) -> bool {
        self.error.is_none()
    }

    /// The same with at most [`MAX_ATTEMPT_BODY_BYTES`] of the body.
    pub fn abridged(&self) -> Self {
        self.cut(MAX_ATTEMPT_BODY_BYTES)
    }

    /// The same as it is kept with the delivery of this place in the request: the answer is kept once, with the first delivery, and
    /// its beginning with each other.
    pub fn kept_with(&self, place: usize) -> Self {
        if place == 0 { self.clone() } else { self.cut(MAX_SHARED_BODY_BYTES) }
    }

    /// The same with at most so many bytes of the body: a multiple of four, so that base64 can still be read.
    fn cut(&self, most: usize) -> Self {
        let cut = |body: &String| {
            let mut end = body.len().min(most);
            while !body.is_char_boundary(end) {
                end -= 1;
            }
            body[..end].to_owned()
        };
        Self { response_body: self.response_body.as_ref().map(cut), ..self.clone() }
    }
}

/// A body as it is kept: text if it is some, else in base64. A character that was cut off at the end is left out.
fn written(body: &[u8]) -> (String, Option<Encoding>) {
    let text = match std::str::from_utf8(body) {
        Ok(text) => Some(text),
        Err(error) if error.error_len().is_none() => std::str::from_utf8(&body[..error.valid_up_to()]).ok(),
        Err(_) => None,
    };
    // Other control characters are no text, and each would take six times its room as JSON.
    let is_text = |text: &&str| !text.chars().any(|char| char.is_control() && !matches!(char, '\n' | '\r' | '\t'));
    match text.filter(is_text) {
        Some(text) => (text.to_owned(), None),
        None => (STANDARD.encode(body), Some(Encoding::Base64)),
    }
}

fn refusal(webhook: &Webhook, http_status: u16) -> Failure {
    if webhook.success_statuses().contain(http_status) {
        let message = format!("the answer with status {http_status} does not say ok");
        return Failure { code: UNEXPECTED_BODY.to_owned(), message };
    }
    Failure { code: WRONG_STATUS.to_owned(), message: format!("the endpoint answered with status {http_status}") }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What the record of a delivery says about the past, when its message comes again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Where it stands.
    pub status: Status,
    /// How many attempts are recorded.
    pub attempts: u32,
    /// When it is due again, if the version before has parked it: until then it is the release function's.
    pub due_at: Option<Timestamp>,
    /// When its next attempt is due, wherever it waits.
    pub not_before: Option<Timestamp>,
    /// When that was recorded.
    pub recorded_at: Option<Timestamp>,
    /// The request that it shared.
    pub batch: Option<BatchId>,
}

/// What to do with a delivery whose message has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duty {
    /// Make an attempt.
    Send,
    /// Make an attempt at this time: the message came early, because a function died before it could let it wait.
    SendAt(Timestamp),
    /// Park it until this time: a function died after it had recorded the attempt, and maybe before it had parked the retry.
    ParkUntil(Timestamp),
    /// Send its dead letter: its attempts are used up, but a function may have died before the dead letter was sent, or it is a
    /// dead letter that was sent back while its webhook is paused.
    DeadLetter,
    /// Nothing: it is over, and the message is a late copy.
    Over,
    /// Record that it is skipped, as its webhook is paused.
    Skip,
}

/// How far the clocks of two functions may be apart: what is due so soon is due.
const CLOCK_SKEW: Duration = Duration::from_secs(5);

/// How early an attempt may be: the clocks of the function that let it wait and of this one differ by less.
const EARLY: Duration = Duration::from_millis(500);

/// Decides what the message of a delivery asks for, `now`. `redriven` says that the message was a dead letter that somebody sent
/// back to the queue: its delivery gets another attempt, however many it has had.
pub fn duty(webhook: &Webhook, progress: Option<Progress>, redriven: bool, now: Timestamp) -> Duty {
    let unrecorded = Progress {
        status: Status::Pending,
        attempts: 0,
        due_at: None,
        not_before: None,
        recorded_at: None,
        batch: None,
    };
    let Progress { status, attempts, due_at, not_before, .. } = progress.unwrap_or(unrecorded);
    let enabled = webhook.is_enabled();
    let is_ahead = |time: &Timestamp| *time > now + CLOCK_SKEW;
    match status {
        Status::Succeeded => Duty::Over,
        _ if redriven && enabled => Duty::Send,
        _ if redriven => Duty::DeadLetter,
        Status::Skipped | Status::Exhausted => Duty::Over,
        Status::Pending | Status::Waiting if due_at.as_ref().is_some_and(is_ahead) => Duty::Over,
        Status::Pending | Status::Waiting if attempts > 0 && !webhook.retry_schedule().has_wait_after(attempts) => {
            Duty::DeadLetter
        }
        Status::Pending | Status::Waiting if !enabled => Duty::Skip,
        Status::Pending | Status::Waiting => match not_before {
            // `release` has not looked so far ahead, so if the retry was parked, the same item is put once more.
            Some(time) if time > now + AHEAD + CLOCK_SKEW => Duty::ParkUntil(time),
            Some(time) if time > now + EARLY => Duty::SendAt(time),
            _ => Duty::Send,
        },
    }
}

/// What to do after an attempt failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Try again after this wait.
    RetryIn(Duration),
    /// Send the dead letter: no try is left.
    Exhausted,
}

impl Next {
    /// The wait before the next try; none where there is none.
    pub fn wait(self) -> Option<Duration> {
        match self {
            Self::RetryIn(wait) => Some(wait),
            Self::Exhausted => None,
        }
    }
}

/// Decides what follows a failed attempt, of which the delivery has now had `attempts`. The wait is the schedule's, or what the
/// endpoint asked for if that is longer. `seed` spreads it.
pub fn after_failure(schedule: &RetrySchedule, attempts: u32, seed: &str, asked: Option<Duration>) -> Next {
    match schedule.wait_after(attempts, seed) {
        Some(wait) => Next::RetryIn(wait.max(asked.unwrap_or_default())),
        None => Next::Exhausted,
    }
}

/// How long an answer asks to wait: `Retry-After` counts on 429 and 503 (RFC 6585, section 4, and RFC 9110, section 15.6.4).
pub fn asked_wait(http_status: u16, retry_after: Option<&str>, now: Timestamp) -> Option<Duration> {
    let counts = matches!(http_status, 429 | 503);
    retry_after.filter(|_| counts).and_then(|value| retry::retry_after(value, now))
}

#[cfg(test)]
mod tests;
