//! The facts about a webhook that its turn has to know.

use std::time::Duration;

use crate::webhook::{Webhook, rate_limit::RateLimit};

/// A webhook as its turn sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// It was deleted: its backlog is removed.
    Gone,
    /// It is paused or disabled: its backlog is recorded as skipped.
    Disabled,
    /// It is served on these terms.
    Enabled(Terms),
}

/// The limits within which a webhook is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// Its rate limit; none if it has no limit.
    pub limit: Option<RateLimit>,
    /// The number of deliveries that make a full request: 1, or more for a format with a list.
    pub full_request: usize,
    /// The longest time that a request may take.
    pub timeout: Duration,
}

impl Seen {
    /// Sums up a webhook for its turn; `None` is a webhook that does not exist.
    pub fn of(webhook: Option<&Webhook>) -> Self {
        match webhook {
            None => Self::Gone,
            Some(webhook) if !webhook.is_enabled() => Self::Disabled,
            Some(webhook) => Self::Enabled(Terms {
                limit: webhook.rate_limit(),
                full_request: webhook.request_bounds().events,
                timeout: webhook.timeout(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{testing, webhook::rate_limit::Period};

    #[test]
    fn a_turn_sees_a_webhook_that_is_gone_that_gets_nothing_or_that_is_served() {
        let served = json!({
            "rateLimit": { "requests": 10, "per": "minute" },
            "timeoutSeconds": 7,
        });
        let served = testing::webhook(served);
        let terms = Terms {
            limit: Some(RateLimit { requests: 10, per: Period::Minute }),
            full_request: 1,
            timeout: Duration::from_secs(7),
        };
        assert_eq!(Seen::of(None), Seen::Gone);
        assert_eq!(Seen::of(Some(&testing::webhook(json!({ "enabled": false })))), Seen::Disabled);
        assert_eq!(Seen::of(Some(&served)), Seen::Enabled(terms));
    }
}
