//! What a turn has to know of its webhook.

use std::time::Duration;

use crate::{format::MAX_EVENTS, rate_limit::RateLimit, webhook::Webhook};

/// A webhook as a turn sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// It was deleted: its backlog is removed.
    Gone,
    /// It is paused or disabled: its backlog is skipped.
    Disabled,
    /// It is served.
    Enabled(Terms),
}

/// How a webhook is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// How many requests it gets; none where there is no limit.
    pub limit: Option<RateLimit>,
    /// How many deliveries make a full request: 1, or those of a format with a list.
    pub full_request: usize,
    /// How long a request may take.
    pub timeout: Duration,
}

impl Seen {
    /// What there is to know; none for a webhook that does not exist.
    pub fn of(webhook: Option<&Webhook>) -> Self {
        match webhook {
            None => Self::Gone,
            Some(webhook) if !webhook.is_enabled() => Self::Disabled,
            Some(webhook) => Self::Enabled(Terms {
                limit: webhook.rate_limit(),
                full_request: if webhook.format().batches() { MAX_EVENTS } else { 1 },
                timeout: webhook.timeout(),
            }),
        }
    }
}
