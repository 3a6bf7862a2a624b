//! The metrics of attempts.

use posthaste_domain::{
    Timestamp,
    delivery::{
        attempt::{Attempt, UNEXPECTED_BODY, WRONG_STATUS},
        halving::BATCH_HALVED,
        sequence::{Carried, Pending},
    },
    id::CauseKind,
    metrics::{Labels, Metric},
    webhook::Webhook,
};
use posthaste_runtime::telemetry::{count, measure};
use posthaste_sender::code;

/// Measures a request that was made.
pub(crate) fn of_attempt(webhook: &Webhook, carried: &Carried, attempt: &Attempt) {
    let labels = Labels { profile: Some(webhook.settings.profile.name()), ..Labels::default() };
    count(Metric::Attempted, 1);
    measure(Metric::AttemptTime, Labels::default(), attempt.duration_ms);
    match &attempt.error {
        None => measure(Metric::Delivered, labels, carried.deliveries.len() as u64),
        Some(failure) => {
            measure(Metric::Failed, Labels { code: Some(known(&failure.code)), ..labels }, 1)
        }
    }
    for wait in carried.deliveries.iter().filter_map(|pending| first_wait(pending, attempt.at)) {
        measure(Metric::TimeToFirstAttempt, Labels::default(), wait);
    }
}

/// The milliseconds that an event has waited for this attempt; none if it is not the first one, or
/// the delivery was asked for again.
fn first_wait(pending: &Pending, began: Timestamp) -> Option<u64> {
    let is_first =
        pending.attempts + pending.halvings == 0 && pending.cause == CauseKind::Published;
    is_first.then(|| {
        u64::try_from(began.duration_since(pending.event.id.time()).as_millis()).unwrap_or(0)
    })
}

/// The code as the value of a dimension, which must have few values: a code that this version does
/// not know becomes `other`.
fn known(code: &str) -> &'static str {
    let codes = [WRONG_STATUS, UNEXPECTED_BODY, BATCH_HALVED].into_iter().chain(code::ALL);
    codes.into_iter().find(|known| *known == code).unwrap_or("other")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_that_is_not_known_is_no_further_metric() {
        let codes = ["timeout", "http_status", "unexpected_body", "of_another_version"];
        assert_eq!(codes.map(known), ["timeout", "http_status", "unexpected_body", "other"]);
    }
}
