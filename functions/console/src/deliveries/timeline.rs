//! The attempts of a delivery on a timeline, and the one that comes next.

use std::time::Duration;

use maud::{Markup, html};
use posthaste_domain::{
    Timestamp,
    delivery::{
        attempt::{Attempt, Status},
        halving::BATCH_HALVED,
    },
};

use super::{Delivery, sentence};
use crate::parts::{code_block, time, visible};

/// Waits beyond this are spread by up to 20 % either way.
const SPREAD_BEYOND: Duration = Duration::from_secs(10);

/// The next attempt of a delivery, as far as its webhook's retry schedule tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Next {
    at: Timestamp,
    /// The time can be a fifth of the wait off.
    is_spread: bool,
}

impl Next {
    /// The next attempt by the waits of the schedule, in seconds. None where no attempt follows or
    /// where nobody knows when.
    pub(crate) fn of(delivery: &Delivery, schedule: &[u64]) -> Option<Self> {
        if delivery.status != Status::Pending {
            return None;
        }
        let last = delivery.attempts.last()?;
        let ended_at = last.at + Duration::from_millis(last.duration_ms);
        if is_halving(last) {
            return Some(Self { at: ended_at, is_spread: false });
        }
        let halvings = delivery.attempts.iter().filter(|attempt| is_halving(attempt)).count();
        let tries = usize::try_from(delivery.attempt_count).ok()?.checked_sub(halvings)?;
        let wait = Duration::from_secs(*schedule.get(tries.checked_sub(1)?)?);
        let at = ended_at.checked_add(wait).ok()?;
        Some(Self { at, is_spread: wait > SPREAD_BEYOND })
    }
}

/// An attempt after which the events went out again at once, in two requests.
fn is_halving(attempt: &Attempt) -> bool {
    attempt.error.as_ref().is_some_and(|error| error.code == BATCH_HALVED)
}

/// The card with everything that has happened and what comes next.
pub(crate) fn card(delivery: &Delivery, next: Option<Next>) -> Markup {
    let kept = u32::try_from(delivery.attempts.len()).unwrap_or(u32::MAX);
    let left_out = delivery.attempt_count.saturating_sub(kept);
    html! {
        section.card id="attempts" aria-labelledby="attempts-title" {
            h2 id="attempts-title" { "Attempts" }
            @if left_out > 0 {
                p.quiet { "The last " (kept) " of " (delivery.attempt_count) " attempts are kept." }
            }
            ol.timeline {
                li { p { "The event was accepted at " (time(delivery.created_at)) "." } }
                @for (number, attempt) in (left_out + 1..).zip(&delivery.attempts) {
                    (entry(number, attempt))
                }
                (ending(delivery, next))
            }
        }
    }
}

fn entry(number: u32, attempt: &Attempt) -> Markup {
    let class = if attempt.succeeded() { "good" } else { "bad" };
    html! {
        li.(class) {
            p {
                strong { "Attempt " (number) } " at " (time(attempt.at))
                " took " (duration(attempt.duration_ms)) ". "
                @match (&attempt.error, attempt.http_status) {
                    (Some(error), _) => (visible(&sentence(&error.message))),
                    (None, Some(status)) => { "The endpoint answered with status " (status) "." }
                    (None, None) => "It succeeded.",
                }
                @if let Some(error) = &attempt.error { " " code { (error.code) } }
            }
            @if let Some(body) = attempt.response_body.as_deref().filter(|body| !body.is_empty()) {
                details {
                    summary { "Answer to attempt " (number) }
                    @if attempt.response_body_encoding.is_some() {
                        p.quiet { "It is not text, and shown in base64." }
                    }
                    (code_block(&format!("Beginning of the answer to attempt {number}"), body))
                }
            }
        }
    }
}

fn ending(delivery: &Delivery, next: Option<Next>) -> Markup {
    html! {
        @match delivery.status {
            Status::Pending => li.waiting {
                p {
                    @match next {
                        Some(Next { at, is_spread }) => {
                            "The next attempt is due "
                            @if is_spread { "at about " } @else { "at " } (time(at))
                            " by the retry schedule. It comes later where the endpoint has asked \
                             for that with " code { "Retry-After" }
                            ", or where the webhook can take no more for now."
                        }
                        None => "Another attempt follows by the retry schedule of the webhook.",
                    }
                }
            },
            Status::Waiting => li.waiting {
                p {
                    (delivery.meaning())
                    @if let Some(waiting) = &delivery.waiting {
                        " It has been waiting since " (time(waiting.since)) "."
                    }
                }
            },
            Status::Skipped => li {
                p { (delivery.meaning()) " (" (time(delivery.updated_at)) ")" }
            },
            Status::Succeeded | Status::Exhausted => {}
        }
    }
}

/// A time that something took, as people say it.
fn duration(milliseconds: u64) -> String {
    match milliseconds {
        0..1000 => format!("{milliseconds} ms"),
        _ => format!("{}.{} s", milliseconds / 1000, milliseconds % 1000 / 100),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn delivery(status: &str, attempts: &[serde_json::Value], count: u32) -> Delivery {
        serde_json::from_value(json!({
            "id": "019bc0fd-89c0-8f84-9995-83c9061dfdc2", "webhookId": 7,
            "eventId": "019bc0fd-89c0-703c-910e-5da247f81b66", "eventType": "order.created",
            "cause": "published", "status": status, "httpStatus": 500, "responseBody": "",
            "error": null, "attempts": attempts, "attemptCount": count,
            "createdAt": "2026-01-15T09:30:00Z", "updatedAt": "2026-01-15T09:30:01Z"
        }))
        .unwrap()
    }

    fn failed(code: &str) -> serde_json::Value {
        json!({
            "at": "2026-01-15T09:30:00Z", "durationMs": 1500, "httpStatus": 500,
            "responseBody": "<b>no</b>", "error": {"code": code, "message": "it failed"}
        })
    }

    fn next(delivery: &Delivery) -> Option<(String, bool)> {
        Next::of(delivery, &[1, 60]).map(|next| (next.at.to_string(), next.is_spread))
    }

    #[test]
    fn the_schedule_tells_the_next_attempt() {
        let after = |attempts: &[_], count| next(&delivery("pending", attempts, count));
        let once = after(&[failed("http_status")], 1);
        assert_eq!(once, Some(("2026-01-15T09:30:02.5Z".to_owned(), false)));
        let twice = after(&[failed("timeout"), failed("timeout")], 2);
        assert_eq!(twice, Some(("2026-01-15T09:31:01.5Z".to_owned(), true)));
        let halved_before = after(&[failed("batch_halved"), failed("http_status")], 2);
        assert_eq!(halved_before, once);
        let halved = after(&[failed("batch_halved")], 1);
        assert_eq!(halved, Some(("2026-01-15T09:30:01.5Z".to_owned(), false)));
        assert_eq!(after(&[failed("timeout")], 3), None, "the schedule has no third wait");
        assert_eq!(next(&delivery("exhausted", &[failed("timeout")], 1)), None);
    }

    #[test]
    fn attempts_stand_on_a_timeline() {
        let delivery = delivery("pending", &[failed("http_status")], 52);
        insta::assert_snapshot!(card(&delivery, Next::of(&delivery, &[1])).into_string());
    }

    #[test]
    fn durations_are_as_people_say_them() {
        assert_eq!((duration(7), duration(999)), ("7 ms".to_owned(), "999 ms".to_owned()));
        assert_eq!(duration(12_345), "12.3 s");
    }
}
