//! Notes how an endpoint is doing, and carries out the consequences.
//!
//! An operational event goes out before the state that says that it did: if the function dies
//! between, the next failure sends it again. Health that can't be written holds up no delivery: the
//! next attempt tells the same.

use posthaste_domain::{
    Timestamp,
    delivery::attempt::Attempt,
    endpoint::health::{Consequence, Disabled, Health},
    event::operational::Operation,
    metrics::Metric,
    webhook::Webhook,
};
use posthaste_runtime::{clock, event_message::event_message, telemetry::count};

use crate::Courier;

impl Courier {
    /// Notes what an attempt says about the endpoint, and returns the health that is known then.
    pub async fn note_health(&self, webhook: &Webhook, attempt: &Attempt) -> Health {
        let now = clock::now();
        let mut health = webhook.health.clone();
        let noted = if attempt.succeeded() {
            self.note_success(webhook, &mut health, now).await
        } else {
            self.note_failure(webhook, attempt, &mut health, now).await
        };
        if let Err(error) = noted {
            tracing::error!(error = %format!("{error:#}"), "the health of a webhook could not \
                be noted");
        }
        health
    }

    async fn note_success(
        &self,
        webhook: &Webhook,
        health: &mut Health,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        if health.is_changed_by_success(now) {
            self.registry.note_success(webhook, now).await?;
            *health = Health {
                last_success_at: Some(now),
                disabled: health.disabled,
                ..Health::default()
            };
        }
        Ok(())
    }

    async fn note_failure(
        &self,
        webhook: &Webhook,
        attempt: &Attempt,
        health: &mut Health,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        if !health.is_changed_by_failure(attempt.http_status, self.disable_after, now) {
            return Ok(());
        }
        let Some(counted) = self.registry.count_failure(webhook, now).await? else { return Ok(()) };
        *health = counted.clone();
        let mut failed = None;
        for consequence in health.consequences(attempt.http_status, self.disable_after, now) {
            if let Consequence::Disable(reason) = consequence {
                health.disabled = Some(Disabled { at: now, reason });
            }
            // One that can't be carried out does not keep the others from it.
            let carried_out = self.carry_out(consequence, attempt, webhook, &counted, now).await;
            failed = failed.or(carried_out.err());
        }
        failed.map_or(Ok(()), Err)
    }

    async fn carry_out(
        &self,
        consequence: Consequence,
        attempt: &Attempt,
        webhook: &Webhook,
        counted: &Health,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        match consequence {
            Consequence::Announce => {
                self.publish([Operation::Failing { error: attempt.error.as_ref() }], webhook)
                    .await?;
                self.registry.note_announced(webhook).await?;
            }
            Consequence::Disable(reason) => {
                self.publish([Operation::Disabled { reason }], webhook).await?;
                if self.registry.disable(webhook, reason, counted.failing_since, now).await? {
                    tracing::warn!(reason = reason.name(), "a webhook is disabled");
                    count(Metric::Disabled, 1);
                }
            }
        }
        Ok(())
    }

    /// Publishes operational events through the events queue.
    pub(crate) async fn publish<'o>(
        &self,
        operations: impl IntoIterator<Item = Operation<'o>>,
        webhook: &Webhook,
    ) -> anyhow::Result<()> {
        let now = clock::now();
        let mut messages = Vec::new();
        for operation in operations {
            messages.push(event_message(&operation.event(webhook, now)?, 0)?);
        }
        Ok(self.events_queue.send_all(&messages).await?)
    }
}
