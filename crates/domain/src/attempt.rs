//! What becomes of a delivery: its states, and the two decisions around each attempt.
//!
//! ```text
//!             attempt failed, tries left
//!              ┌──────┐
//!              ▼      │
//! (queued) ─▶ pending ┴─▶ succeeded        the endpoint took it; final
//!     │          ├──────▶ exhausted        no try is left; a dead letter exists. A redriven dead letter gets one more attempt
//!     └──────────┴──────▶ skipped          the webhook was paused when its turn came
//! ```
//!
//! A delivery that was never attempted has no record: it is on the deliveries queue. What was deleted with its webhook leaves none.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{retry::RetrySchedule, webhook::Webhook};

/// The most bytes of an answer's body that are kept with the delivery.
pub const MAX_KEPT_BODY_BYTES: usize = 16 * 1024;
/// The most bytes of an answer's body that are kept with each single attempt, which bounds a record with many attempts.
pub const MAX_ATTEMPT_BODY_BYTES: usize = 1024;

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
    /// Nothing was sent, because the webhook was paused.
    Skipped,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Succeeded, Self::Exhausted, Self::Skipped];

    /// The name that the API and the table use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Succeeded => "succeeded",
            Self::Exhausted => "exhausted",
            Self::Skipped => "skipped",
        }
    }

    /// The status of this name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }
}

/// Why an attempt failed, for the customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// A stable word: `http_status`, or one of the sender's codes as `timeout`.
    pub code: String,
    /// A sentence.
    pub message: String,
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
    /// The beginning of the answer's body.
    pub response_body: Option<String>,
    /// Why it failed; none when it succeeded.
    pub error: Option<Failure>,
}

impl Attempt {
    /// An attempt that was answered.
    pub fn answered(webhook: &Webhook, at: Timestamp, duration: Duration, http_status: u16, body: &[u8]) -> Self {
        let error = (!webhook.accepts(http_status)).then(|| Failure {
            code: "http_status".to_owned(),
            message: format!("the endpoint answered with status {http_status}"),
        });
        let kept = &body[..body.len().min(MAX_KEPT_BODY_BYTES)];
        Self {
            at,
            duration_ms: milliseconds(duration),
            http_status: Some(http_status),
            response_body: Some(String::from_utf8_lossy(kept).into_owned()),
            error,
        }
    }

    /// An attempt that got no answer.
    pub fn unanswered(at: Timestamp, duration: Duration, error: Failure) -> Self {
        Self { at, duration_ms: milliseconds(duration), http_status: None, response_body: None, error: Some(error) }
    }

    /// Whether the endpoint has the event.
    pub fn succeeded(&self) -> bool {
        self.error.is_none()
    }

    /// The same with at most [`MAX_ATTEMPT_BODY_BYTES`] of the body.
    pub fn abridged(&self) -> Self {
        let cut = |body: &String| {
            let mut end = body.len().min(MAX_ATTEMPT_BODY_BYTES);
            while !body.is_char_boundary(end) {
                end -= 1;
            }
            body[..end].to_owned()
        };
        Self { response_body: self.response_body.as_ref().map(cut), ..self.clone() }
    }
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
}

/// What to do with a delivery whose message has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Make an attempt.
    Send,
    /// Its attempts are used up, but a function may have died before the dead letter was sent: send it.
    DeadLetter,
    /// Nothing: it is over, and the message is a late copy.
    Over,
    /// Record that it is skipped, as its webhook is paused.
    Skip,
    /// Nothing: its webhook is gone.
    Drop,
}

/// Decides what the message of a delivery asks for. `redriven` says that the message was a dead letter that somebody sent
/// back to the queue: an exhausted delivery then gets another attempt.
pub fn turn(webhook: Option<&Webhook>, progress: Option<Progress>, redriven: bool) -> Turn {
    let Some(webhook) = webhook else { return Turn::Drop };
    match progress {
        Some(Progress { status: Status::Succeeded, .. }) => Turn::Over,
        Some(Progress { status: Status::Skipped, .. }) if !redriven => Turn::Over,
        Some(Progress { status: Status::Exhausted, .. }) if !redriven => Turn::DeadLetter,
        Some(Progress { status: Status::Pending, attempts })
            if webhook.retry_schedule().wait_after(attempts).is_none() =>
        {
            Turn::DeadLetter
        }
        _ if !webhook.settings.enabled => Turn::Skip,
        _ => Turn::Send,
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

/// Decides what follows a failed attempt, of which the delivery has now had `attempts`.
pub fn after_failure(schedule: &RetrySchedule, attempts: u32) -> Next {
    schedule.wait_after(attempts).map_or(Next::Exhausted, Next::RetryIn)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{format::Format, id::WebhookId, secret::Secret, webhook::Settings, workspace::Workspace};

    fn webhook(enabled: bool) -> Webhook {
        let settings = serde_json::json!({
            "url": "https://example.com/", "events": ["*"], "description": null, "format": Format::Standard, "timeoutSeconds": 5, "enabled": enabled
        });
        Webhook {
            id: WebhookId(1),
            workspace: Workspace::parse("acme").unwrap(),
            settings: serde_json::from_value::<Settings>(settings).unwrap(),
            secret: Secret::new([0; 32]),
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
        }
    }

    fn progress(status: Status, attempts: u32) -> Option<Progress> {
        Some(Progress { status, attempts })
    }

    #[test]
    fn a_message_is_sent_until_its_delivery_is_over() {
        let webhook = webhook(true);
        let turn = |progress| turn(Some(&webhook), progress, false);
        assert_eq!(turn(None), Turn::Send);
        assert_eq!(turn(progress(Status::Pending, 1)), Turn::Send);
        assert_eq!(turn(progress(Status::Pending, 3)), Turn::Send);
        assert_eq!(
            turn(progress(Status::Pending, 4)),
            Turn::DeadLetter,
            "a function died before it said that the delivery is exhausted"
        );
        assert_eq!(turn(progress(Status::Succeeded, 1)), Turn::Over);
        assert_eq!(
            turn(progress(Status::Exhausted, 4)),
            Turn::DeadLetter,
            "a function died before it sent the dead letter"
        );
        assert_eq!(turn(progress(Status::Skipped, 0)), Turn::Over);
    }

    #[test]
    fn a_redriven_dead_letter_gets_another_attempt() {
        let turn = |progress| turn(Some(&webhook(true)), progress, true);
        assert_eq!(turn(progress(Status::Exhausted, 4)), Turn::Send);
        assert_eq!(turn(progress(Status::Skipped, 0)), Turn::Send);
        assert_eq!(turn(progress(Status::Succeeded, 4)), Turn::Over);
    }

    #[test]
    fn a_paused_or_deleted_webhook_gets_nothing() {
        assert_eq!(turn(Some(&webhook(false)), None, false), Turn::Skip);
        assert_eq!(turn(Some(&webhook(false)), progress(Status::Pending, 2), false), Turn::Skip);
        assert_eq!(turn(Some(&webhook(false)), progress(Status::Succeeded, 1), false), Turn::Over);
        assert_eq!(turn(None, progress(Status::Pending, 2), false), Turn::Drop);
    }

    #[test]
    fn the_fourth_failure_exhausts_the_spektr_schedule() {
        let next = |attempts| after_failure(&RetrySchedule::SPEKTR, attempts);
        let second = Next::RetryIn(Duration::from_secs(1));
        assert_eq!([next(1), next(2), next(3), next(4)], [second, second, second, Next::Exhausted]);
        assert_eq!(next(5), Next::Exhausted, "a duplicate message may have taken an attempt");
    }

    #[test]
    fn only_a_2xx_is_a_success() {
        let attempt =
            |status| Attempt::answered(&webhook(true), Timestamp::UNIX_EPOCH, Duration::from_millis(7), status, b"");
        for status in [200, 201, 204, 299] {
            assert!(attempt(status).succeeded(), "{status}");
        }
        for status in [199, 300, 301, 400, 404, 410, 429, 500, 503] {
            assert_eq!(attempt(status).error.unwrap().code, "http_status", "{status}");
        }
    }

    #[test]
    fn bodies_are_kept_in_part() {
        let body = "é".repeat(20_000);
        let attempt = Attempt::answered(&webhook(true), Timestamp::UNIX_EPOCH, Duration::ZERO, 500, body.as_bytes());
        assert_eq!(attempt.response_body.as_deref(), Some("é".repeat(8192).as_str()));
        assert_eq!(attempt.abridged().response_body.as_deref(), Some("é".repeat(512).as_str()));
        let odd = Attempt { response_body: Some(format!("x{body}")), ..attempt };
        assert_eq!(odd.abridged().response_body.unwrap().len(), 1023, "a character is not cut in half");
    }
}
