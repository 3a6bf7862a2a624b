//! What becomes of a delivery: its states, and the two decisions around each attempt.
//!
//! ```text
//!             attempt failed, tries left
//!              ┌──────┐
//!              ▼      │
//! (queued) ─▶ pending ┴─▶ succeeded        the endpoint took it; final
//!     │          ├──────▶ exhausted        no try is left; a dead letter was sent. A redriven one gets one more attempt
//!     └──────────┴──────▶ skipped          the webhook was paused when its turn came
//! ```
//!
//! A delivery that was never attempted has no record: it is on the deliveries queue. What was deleted with its webhook leaves none.
//! A test has one attempt and is then succeeded or exhausted, without a dead letter.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    retry::{self, RetrySchedule},
    webhook::Webhook,
};

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
    /// The beginning of the answer's body.
    pub response_body: Option<String>,
    /// How the body is written here, where it is not text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_body_encoding: Option<Encoding>,
    /// Why it failed; none when it succeeded.
    pub error: Option<Failure>,
}

impl Attempt {
    /// An attempt that was answered.
    pub fn answered(webhook: &Webhook, at: Timestamp, duration: Duration, http_status: u16, body: &[u8]) -> Self {
        let error = (!webhook.accepts(http_status, body)).then(|| refusal(webhook, http_status));
        let (body, encoding) = written(&body[..body.len().min(MAX_KEPT_BODY_BYTES)]);
        Self {
            at,
            duration_ms: milliseconds(duration),
            http_status: Some(http_status),
            response_body: Some(body),
            response_body_encoding: encoding,
            error,
        }
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
        let cut = |body: &String| {
            // A multiple of four, so that base64 can still be read.
            let mut end = body.len().min(MAX_ATTEMPT_BODY_BYTES);
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
        return Failure { code: "unexpected_body".to_owned(), message };
    }
    Failure { code: "http_status".to_owned(), message: format!("the endpoint answered with status {http_status}") }
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
    /// When it is due again, if it is parked: until then it is the release function's.
    pub due_at: Option<Timestamp>,
}

/// What to do with a delivery whose message has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Make an attempt.
    Send,
    /// Send its dead letter: its attempts are used up, but a function may have died before the dead letter was sent, or it is a
    /// dead letter that was sent back while its webhook is paused.
    DeadLetter,
    /// Nothing: it is over or parked, and the message is a late copy.
    Over,
    /// Record that it is skipped, as its webhook is paused.
    Skip,
    /// Nothing: its webhook is gone.
    Drop,
}

/// How far the clocks of two functions may be apart: what is due so soon is due.
const CLOCK_SKEW: Duration = Duration::from_secs(5);

/// Decides what the message of a delivery asks for, `now`. `redriven` says that the message was a dead letter that somebody sent
/// back to the queue: its delivery gets another attempt, however many it has had.
pub fn turn(webhook: Option<&Webhook>, progress: Option<Progress>, redriven: bool, now: Timestamp) -> Turn {
    let Some(webhook) = webhook else { return Turn::Drop };
    let Progress { status, attempts, due_at } =
        progress.unwrap_or(Progress { status: Status::Pending, attempts: 0, due_at: None });
    let enabled = webhook.is_enabled();
    match status {
        Status::Succeeded => Turn::Over,
        _ if redriven && enabled => Turn::Send,
        _ if redriven => Turn::DeadLetter,
        Status::Skipped | Status::Exhausted => Turn::Over,
        Status::Pending if due_at.is_some_and(|due| due > now + CLOCK_SKEW) => Turn::Over,
        Status::Pending if attempts > 0 && !webhook.retry_schedule().has_wait_after(attempts) => Turn::DeadLetter,
        Status::Pending if !enabled => Turn::Skip,
        Status::Pending => Turn::Send,
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

/// Whether an event has been delivered, by what is recorded of the deliveries that it is owed: true if all succeeded, false if one
/// has not, and nothing if none is owed or one is not known yet. The `delivered` of `spektr-events-v1.txt`.
pub fn delivered(statuses: impl IntoIterator<Item = Option<Status>>) -> Option<bool> {
    let mut delivered = None;
    let mut unknown = false;
    for status in statuses {
        match status {
            Some(Status::Succeeded) => delivered = Some(true),
            Some(Status::Pending | Status::Exhausted | Status::Skipped) => return Some(false),
            None => unknown = true,
        }
    }
    delivered.filter(|_| !unknown)
}

/// How long an answer asks to wait: `Retry-After` counts on 429 and 503 (RFC 6585, section 4, and RFC 9110, section 15.6.4).
pub fn asked_wait(http_status: u16, retry_after: Option<&str>, now: Timestamp) -> Option<Duration> {
    let counts = matches!(http_status, 429 | 503);
    retry_after.filter(|_| counts).and_then(|value| retry::retry_after(value, now))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::webhook;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn spektr(enabled: bool) -> Webhook {
        webhook(json!({ "profile": "spektr", "enabled": enabled }))
    }

    fn progress(status: Status, attempts: u32) -> Option<Progress> {
        Some(Progress { status, attempts, due_at: None })
    }

    #[test]
    fn a_message_is_sent_until_its_delivery_is_over() {
        let webhook = spektr(true);
        let turn = |progress| turn(Some(&webhook), progress, false, at(0));
        assert_eq!(turn(None), Turn::Send);
        assert_eq!(turn(progress(Status::Pending, 1)), Turn::Send);
        assert_eq!(turn(progress(Status::Pending, 3)), Turn::Send);
        assert_eq!(
            turn(progress(Status::Pending, 4)),
            Turn::DeadLetter,
            "a function died before it sent the dead letter"
        );
        assert_eq!(turn(progress(Status::Succeeded, 1)), Turn::Over);
        assert_eq!(turn(progress(Status::Exhausted, 4)), Turn::Over);
        assert_eq!(turn(progress(Status::Skipped, 0)), Turn::Over);
    }

    #[test]
    fn a_parked_delivery_waits_for_its_time() {
        let webhook = spektr(true);
        let parked = Some(Progress { status: Status::Pending, attempts: 1, due_at: Some(at(100)) });
        assert_eq!(turn(Some(&webhook), parked, false, at(94)), Turn::Over);
        assert_eq!(turn(Some(&webhook), parked, false, at(95)), Turn::Send, "the other clock may be ahead");
        assert_eq!(turn(Some(&webhook), parked, false, at(100)), Turn::Send);
        assert_eq!(turn(Some(&webhook), parked, true, at(99)), Turn::Send, "a person asked for it");
    }

    #[test]
    fn without_retries_the_first_failure_is_the_last() {
        let spectra = webhook(json!({ "profile": "spectra" }));
        assert_eq!(turn(Some(&spectra), None, false, at(0)), Turn::Send);
        assert_eq!(turn(Some(&spectra), progress(Status::Pending, 0), false, at(0)), Turn::Send);
        assert_eq!(turn(Some(&spectra), progress(Status::Pending, 1), false, at(0)), Turn::DeadLetter);
    }

    #[test]
    fn a_redriven_dead_letter_gets_another_attempt() {
        let turn = |progress| turn(Some(&spektr(true)), progress, true, at(0));
        assert_eq!(turn(progress(Status::Exhausted, 4)), Turn::Send);
        assert_eq!(turn(progress(Status::Pending, 4)), Turn::Send);
        assert_eq!(turn(progress(Status::Skipped, 0)), Turn::Send);
        assert_eq!(turn(progress(Status::Succeeded, 4)), Turn::Over);
    }

    #[test]
    fn a_paused_or_deleted_webhook_gets_nothing() {
        let turn = |webhook: Option<&Webhook>, progress, redriven| turn(webhook, progress, redriven, at(0));
        assert_eq!(turn(Some(&spektr(false)), None, false), Turn::Skip);
        assert_eq!(turn(Some(&spektr(false)), progress(Status::Pending, 2), false), Turn::Skip);
        assert_eq!(turn(Some(&spektr(false)), progress(Status::Succeeded, 1), false), Turn::Over);
        let redriven = turn(Some(&spektr(false)), progress(Status::Exhausted, 4), true);
        assert_eq!(redriven, Turn::DeadLetter, "a dead letter stays one");
        assert_eq!(turn(None, progress(Status::Pending, 2), false), Turn::Drop);
    }

    #[test]
    fn the_fourth_failure_exhausts_the_spektr_schedule() {
        let next = |attempts| after_failure(&RetrySchedule::SPEKTR, attempts, "x", None);
        let second = Next::RetryIn(Duration::from_secs(1));
        assert_eq!([next(1), next(2), next(3), next(4)], [second, second, second, Next::Exhausted]);
        assert_eq!(next(5), Next::Exhausted, "a duplicate message may have taken an attempt");
    }

    #[test]
    fn a_wait_that_the_endpoint_asks_for_counts_if_it_is_longer() {
        let next = |asked| after_failure(&RetrySchedule::SPEKTR, 1, "x", asked);
        assert_eq!(next(Some(Duration::from_secs(7))), Next::RetryIn(Duration::from_secs(7)));
        assert_eq!(next(Some(Duration::ZERO)), Next::RetryIn(Duration::from_secs(1)));
        assert_eq!(after_failure(&RetrySchedule::NONE, 1, "x", Some(Duration::from_secs(7))), Next::Exhausted);
        assert_eq!(asked_wait(429, Some("7"), at(0)), Some(Duration::from_secs(7)));
        assert_eq!(asked_wait(503, Some("7"), at(0)), Some(Duration::from_secs(7)));
        assert_eq!(asked_wait(500, Some("7"), at(0)), None);
        assert_eq!(asked_wait(429, Some("soon"), at(0)), None);
        assert_eq!(asked_wait(429, None, at(0)), None);
    }

    #[test]
    fn an_event_is_delivered_when_everybody_has_it() {
        let (done, open) = (Some(Status::Succeeded), Some(Status::Pending));
        assert_eq!(delivered([done, done]), Some(true));
        assert_eq!(delivered([done, open]), Some(false));
        assert_eq!(delivered([None, Some(Status::Exhausted)]), Some(false));
        assert_eq!(delivered([done, Some(Status::Skipped)]), Some(false));
        assert_eq!(delivered([done, None]), None, "one is not known yet");
        assert_eq!(delivered([]), None, "nobody wants it");
    }

    #[test]
    fn what_is_a_success_is_the_profiles_word() {
        let succeeds = |profile: &str, status, body: &[u8]| {
            let webhook = webhook(json!({ "profile": profile }));
            Attempt::answered(&webhook, at(0), Duration::from_millis(7), status, body).error.map(|error| error.code)
        };
        for status in [200, 201, 204, 299] {
            assert_eq!(succeeds("standard", status, b""), None, "{status}");
        }
        for status in [199, 300, 301, 400, 404, 410, 429, 500, 503] {
            assert_eq!(succeeds("standard", status, b"").as_deref(), Some("http_status"), "{status}");
        }
        for profile in ["spektr", "spektr-v1", "dataspike"] {
            assert_eq!(succeeds(profile, 200, b""), None);
            assert_eq!(succeeds(profile, 204, b"").as_deref(), Some("http_status"), "a non 200 response");
        }
        assert_eq!(succeeds("slack", 200, b"ok\n"), None);
        assert_eq!(succeeds("slack", 200, b"invalid_payload").as_deref(), Some("unexpected_body"));
    }

    #[test]
    fn bodies_are_kept_in_part() {
        let body = "é".repeat(20_000);
        let attempt = Attempt::answered(&spektr(true), at(0), Duration::ZERO, 500, body.as_bytes());
        assert_eq!(attempt.response_body.as_deref(), Some("é".repeat(8192).as_str()));
        assert_eq!(attempt.abridged().response_body.as_deref(), Some("é".repeat(512).as_str()));
        let odd = Attempt { response_body: Some(format!("x{body}")), ..attempt };
        assert_eq!(odd.abridged().response_body.unwrap().len(), 1023, "a character is not cut in half");
    }

    #[test]
    fn a_body_that_is_no_text_is_kept_in_base64() {
        let answered = |body: &[u8]| Attempt::answered(&spektr(true), at(0), Duration::ZERO, 200, body);
        let binary = answered(&[0xff; 5000]);
        assert_eq!(binary.response_body_encoding, Some(Encoding::Base64));
        assert_eq!(STANDARD.decode(binary.response_body.as_ref().unwrap()).unwrap(), [0xff; 5000]);
        assert_eq!(STANDARD.decode(binary.abridged().response_body.unwrap()).unwrap(), [0xff; 768]);
        assert_eq!(answered(b"\0").response_body_encoding, Some(Encoding::Base64));
        let text = answered("line 1\r\n\t\u{e9}".as_bytes());
        assert_eq!((text.response_body.as_deref(), text.response_body_encoding), (Some("line 1\r\n\t\u{e9}"), None));
        let cut = answered(format!("{}\u{e9}", "x".repeat(MAX_KEPT_BODY_BYTES - 1)).as_bytes());
        assert_eq!((cut.response_body.unwrap().len(), cut.response_body_encoding), (MAX_KEPT_BODY_BYTES - 1, None));
    }
}
