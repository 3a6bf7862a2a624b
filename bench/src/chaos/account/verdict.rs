//! The verdict on one pair of an event and a webhook.

use super::{Account, Case, requests::Matched};
use crate::chaos::{event::Published, history::Listed};

impl Account {
    /// Says what has become of an event that the webhook wants.
    pub(super) fn judge(&mut self, case: &Case<'_>, matched: &Matched, event: &Published) {
        let Some(id) = event.id else { return };
        self.pairs += 1;
        let pair =
            format!("event {id} of webhook {} ({})", case.member.webhook, case.member.hook.url());
        let deliveries = case.deliveries.get(&event.mark).map_or(&[][..], Vec::as_slice);
        let successes = matched.successes.get(&event.mark).map_or(&[][..], Vec::as_slice);
        let is_unheard = |place: &&usize| matched.unheard.contains(&(**place, event.mark));
        let heard = successes.len() - successes.iter().filter(is_unheard).count();
        self.replays += deliveries.len().saturating_sub(1);

        for delivery in deliveries {
            if let Some(problem) = contradiction(delivery) {
                self.untrue(format!("{pair}: delivery {} {problem}", delivery.id));
            }
        }
        if let Some(delivery) = deliveries.iter().find(|delivery| goes_on(delivery)) {
            self.wrong.stuck += 1;
            self.name(format!("{pair} is stuck: delivery {} is {}", delivery.id, delivery.status));
            return;
        }
        let succeeded = with_status(deliveries, "succeeded").count();
        if succeeded > 0 {
            self.copies += heard.saturating_sub(succeeded);
            match successes.len() {
                0 => self.untrue(format!("{pair} succeeded in the history and never arrived")),
                1 => self.delivered_once += 1,
                _ => self.delivered_more_than_once += 1,
            }
            return;
        }
        if heard > 0 {
            // The attempts are matched one by one, so each success is one of a killed function.
            self.arrived_unknown += 1;
        }
        if with_status(deliveries, "exhausted").next().is_some() {
            self.exhausted += 1;
        } else if let Some(delivery) = with_status(deliveries, "skipped").next() {
            let reason = delivery.error.as_ref().map(|error| error.code.clone());
            match reason {
                Some(reason) => *self.skipped.entry(reason).or_default() += 1,
                None => self.untrue(format!("{pair} was skipped without a reason")),
            }
        } else if heard > 0 {
            self.untrue(format!("{pair} arrived and has no record"));
        } else {
            self.wrong.lost += 1;
            self.name(format!("{pair} is lost"));
        }
    }
}

fn with_status<'d>(deliveries: &'d [Listed], status: &'d str) -> impl Iterator<Item = &'d Listed> {
    deliveries.iter().filter(move |delivery| delivery.status == status)
}

/// A delivery ought to go on by itself when all is due.
fn goes_on(delivery: &Listed) -> bool {
    matches!(delivery.status.as_str(), "pending" | "waiting")
}

/// Finds what a delivery's status says against its own attempts.
fn contradiction(delivery: &Listed) -> Option<&'static str> {
    let has_success = delivery.attempts.iter().any(|attempt| attempt.error.is_none());
    match (delivery.status.as_str(), has_success) {
        ("succeeded", false) => Some("succeeded without an attempt that did"),
        ("exhausted" | "skipped" | "pending", true) => Some("is no success, and an attempt is"),
        ("exhausted", _) if delivery.attempts.is_empty() => Some("is exhausted without an attempt"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn delivery(status: &str, attempts: Value) -> Listed {
        let nil = "00000000-0000-0000-0000-000000000000";
        let count = attempts.as_array().unwrap().len();
        serde_json::from_value(json!({
            "id": nil, "webhookId": 1, "eventId": nil, "cause": "published", "status": status, "error": null,
            "attempts": attempts, "attemptCount": count,
        }))
        .unwrap()
    }

    #[test]
    fn a_status_has_to_fit_the_attempts() {
        let at = "2026-01-15T09:30:00Z";
        let good = json!([{ "at": at, "httpStatus": 200, "error": null }]);
        let bad = json!([{ "at": at, "httpStatus": 500, "error": { "code": "http_status" } }]);
        assert_eq!(contradiction(&delivery("succeeded", good.clone())), None);
        assert!(contradiction(&delivery("succeeded", bad.clone())).is_some());
        assert!(contradiction(&delivery("exhausted", good)).is_some());
        assert_eq!(contradiction(&delivery("exhausted", bad)), None);
        assert!(contradiction(&delivery("exhausted", json!([]))).is_some());
        assert_eq!(contradiction(&delivery("skipped", json!([]))), None);
    }

    #[test]
    fn what_is_pending_or_waits_is_not_at_rest() {
        assert!(goes_on(&delivery("pending", json!([]))));
        assert!(goes_on(&delivery("waiting", json!([]))));
        assert!(!goes_on(&delivery("skipped", json!([]))));
    }
}
