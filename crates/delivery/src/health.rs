//! Notes how an endpoint is doing, and carries out the consequences.
//!
//! News about a webhook (`webhook.failing`, `webhook.disabled`) takes three steps: a conditional
//! write says that there is news and from when, then the event is published, then a write says that
//! it was. The event's id comes from the first write, and a refused one publishes nothing. So if
//! the function dies between, the same event is published again: the news of failures with a later
//! failure, and the news of a disabling by whoever reads the webhook a few seconds later.
//!
//! Health that can't be written holds up no delivery: the next attempt tells the same.

use posthaste_domain::{
    Timestamp,
    delivery::attempt::Attempt,
    endpoint::health::{Consequence, Disabled, Health, Reason},
    event::operational::Operation,
    metrics::Metric,
    webhook::Webhook,
};
use posthaste_runtime::{clock, event_message::event_message, telemetry::count};

use crate::Courier;

/// The standing of a webhook after one of its attempts: it decides about the deliveries that are
/// left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It gets deliveries, as far as is known.
    Enabled,
    /// It is disabled, and gets nothing more.
    Disabled,
    /// It was changed or removed while its attempt was made, or could not be written: it has to be
    /// read again.
    Unknown,
}

impl Courier {
    /// Notes what an attempt says about the endpoint, and returns how its webhook stands then. That
    /// a request was too large is no failure of the endpoint: its halves will tell.
    pub async fn note_health(&self, webhook: &Webhook, attempt: &Attempt) -> Standing {
        if attempt.is_halving() {
            return standing(webhook);
        }
        let now = clock::now();
        let noted = if attempt.succeeded() {
            self.note_success(webhook, now).await
        } else {
            self.note_failure(webhook, attempt, now).await
        };
        noted.unwrap_or_else(|error| {
            not_noted(&error);
            standing(webhook)
        })
    }

    async fn note_success(&self, webhook: &Webhook, now: Timestamp) -> anyhow::Result<Standing> {
        if webhook.health.is_changed_by_success(now) {
            self.registry.health.note_success(webhook, now).await?;
        }
        Ok(standing(webhook))
    }

    async fn note_failure(
        &self,
        webhook: &Webhook,
        attempt: &Attempt,
        now: Timestamp,
    ) -> anyhow::Result<Standing> {
        let status = attempt.http_status;
        let policing = webhook.policing(self.disable_after);
        if !webhook.health.is_changed_by_failure(status, policing, now) {
            return Ok(standing(webhook));
        }
        let Some(counted) = self.registry.health.count_failure(webhook, now).await? else {
            return Ok(Standing::Unknown);
        };
        let mut standing = standing(webhook);
        for consequence in counted.consequences(status, policing, now) {
            match consequence {
                Consequence::Announce => {
                    // A failure to announce does not keep the webhook from being disabled.
                    if let Err(error) = self.announce(webhook, &counted, attempt, now).await {
                        not_noted(&error);
                    }
                }
                Consequence::Disable(reason) => {
                    let disabling = self.disable(webhook, &counted, reason, now).await;
                    standing = disabling.unwrap_or_else(|error| {
                        not_noted(&error);
                        Standing::Unknown
                    });
                }
            }
        }
        Ok(standing)
    }

    async fn announce(
        &self,
        webhook: &Webhook,
        counted: &Health,
        attempt: &Attempt,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        let Some(since) = counted.failing_since else { return Ok(()) };
        let Some(at) = self.registry.health.begin_announcing(webhook, since, now).await? else {
            return Ok(());
        };
        let failing = Operation::Failing { since: Some(since), at, error: attempt.error.as_ref() };
        self.publish([failing], webhook).await?;
        Ok(self.registry.health.note_announced(webhook, at).await?)
    }

    async fn disable(
        &self,
        webhook: &Webhook,
        counted: &Health,
        reason: Reason,
        now: Timestamp,
    ) -> anyhow::Result<Standing> {
        let since = counted.failing_since;
        let Some(disabled) = self.registry.health.disable(webhook, reason, since, now).await?
        else {
            return Ok(Standing::Unknown);
        };
        // Another function may have disabled it a moment before, and tells the news.
        if disabled.at == now {
            tracing::warn!(reason = reason.name(), "a webhook is disabled");
            count(Metric::Disabled, 1);
            self.tell_disabling(webhook, since, disabled).await;
        }
        Ok(Standing::Disabled)
    }

    /// Publishes the news that a webhook was disabled, if the function that disabled it died before
    /// it could note that it did.
    pub async fn tell_untold_disabling(&self, webhook: &Webhook) {
        let now = clock::now();
        if let Some(disabled) = webhook.health.disabled.filter(|it| it.has_to_be_told(now)) {
            self.tell_disabling(webhook, webhook.health.failing_since, disabled).await;
        }
    }

    async fn tell_disabling(
        &self,
        webhook: &Webhook,
        since: Option<Timestamp>,
        disabled: Disabled,
    ) {
        let telling = async {
            self.publish([Operation::Disabled { since, disabled }], webhook).await?;
            Ok(self.registry.health.note_disabling_told(webhook, disabled.at).await?)
        };
        if let Err(error) = telling.await {
            not_noted(&error);
        }
    }

    /// Publishes operational events through the events queue.
    pub(crate) async fn publish<'o>(
        &self,
        operations: impl IntoIterator<Item = Operation<'o>>,
        webhook: &Webhook,
    ) -> anyhow::Result<()> {
        let mut messages = Vec::new();
        for operation in operations {
            messages.push(event_message(&operation.event(webhook)?, 0)?);
        }
        Ok(self.events_queue.send_all(&messages).await?)
    }
}

fn standing(webhook: &Webhook) -> Standing {
    if webhook.is_enabled() { Standing::Enabled } else { Standing::Disabled }
}

fn not_noted(error: &anyhow::Error) {
    tracing::error!(error = %format!("{error:#}"), "the health of a webhook could not be noted");
}
