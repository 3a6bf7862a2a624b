//! Noting how an endpoint does, and what follows.
//!
//! An operational event goes out before the state that says that it did: when the function dies between, the next failure sends it
//! again. A health that can't be written is worth no delivery: the next attempt tells the same.

use std::time::Duration;

use posthaste_domain::{
    Timestamp,
    attempt::Attempt,
    health::{Consequence, Disabled, Gate, Health, Verdict},
    id::BatchId,
    operational::Operation,
    webhook::Webhook,
};
use posthaste_queue::Message;
use posthaste_runtime::clock;
use posthaste_sender::code;

use crate::{
    lanes::Pending,
    run::{AFTERMATH, MAX_VISIBILITY_WAIT, Run, State},
};

/// How far the deliveries that wait for an endpoint are spread when it may be tried again.
const SPREAD: Duration = Duration::from_secs(10);

impl Run<'_> {
    /// Whether the next request may be made. What may not is sent on, to come again when it may, or skipped where it never may.
    pub(crate) async fn passes(&self, left: &[Pending<'_>], batch: Option<BatchId>, state: &mut State<'_>) -> bool {
        let now = clock::now();
        if state.health.disabled.is_some() {
            self.skip(left, state).await;
            return false;
        }
        let until = match state.health.gate(now) {
            Gate::Open => return true,
            Gate::Closed(until) => until,
            Gate::Probe => {
                let lease = now + state.webhook.timeout() + AFTERMATH;
                let seen = state.health.closed_until.unwrap_or(now);
                match self.deliver.registry.claim_probe(state.webhook, seen, lease).await {
                    Ok(true) => {
                        tracing::info!(webhook.id = %state.webhook.id, "probing an endpoint that did not answer");
                        state.health.closed_until = Some(lease);
                        state.is_probe = true;
                        return true;
                    }
                    Ok(false) => lease,
                    Err(error) => {
                        tracing::error!(webhook.id = %state.webhook.id, %error, "a probe could not be claimed");
                        state.fail(left);
                        return false;
                    }
                }
            }
        };
        let spread = left.first().map_or(Duration::ZERO, |first| SPREAD * u32::from(first.id.spread()) / 255);
        let wait = Duration::try_from(until.duration_since(now)).unwrap_or_default() + spread;
        self.send_on(left, batch, None, wait.min(MAX_VISIBILITY_WAIT), state).await;
        false
    }

    /// Notes what an attempt says about the endpoint.
    pub(crate) async fn note_health(&self, attempt: &Attempt, state: &mut State<'_>) {
        let now = clock::now();
        let is_probe = std::mem::take(&mut state.is_probe);
        let verdict = verdict(attempt);
        let noted = match verdict {
            Verdict::Success => self.note_success(state, now).await,
            Verdict::Failure(_) | Verdict::Timeout => self.note_failure(attempt, verdict, is_probe, state, now).await,
        };
        if let Err(error) = noted {
            tracing::error!(webhook.id = %state.webhook.id, error = %format!("{error:#}"), "the health of a webhook could not be noted");
        }
    }

    async fn note_success(&self, state: &mut State<'_>, now: Timestamp) -> anyhow::Result<()> {
        if state.health.is_changed_by_success(now) {
            self.deliver.registry.note_success(state.webhook, now).await?;
            let disabled = state.health.disabled;
            state.health = Health { last_success_at: Some(now), disabled, ..Health::default() };
        }
        Ok(())
    }

    async fn note_failure(
        &self,
        attempt: &Attempt,
        verdict: Verdict,
        is_probe: bool,
        state: &mut State<'_>,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        let registry = &self.deliver.registry;
        let counted = registry.count_failure(state.webhook, verdict == Verdict::Timeout, now).await?;
        let Some(mut health) = counted else { return Ok(()) };
        let webhook = Webhook { health: health.clone(), ..state.webhook.clone() };
        for consequence in health.consequences(verdict, is_probe, self.deliver.disable_after, now) {
            match consequence {
                Consequence::Announce => {
                    self.publish([Operation::Failing { error: attempt.error.as_ref() }], &webhook).await?;
                    registry.note_announced(&webhook).await?;
                }
                Consequence::Close(until) => {
                    tracing::warn!(webhook.id = %webhook.id, %until, "an endpoint keeps timing out: its deliveries wait");
                    registry.close(&webhook, &webhook.health, until).await?;
                    health.closed_until = Some(until);
                }
                Consequence::Disable(reason) => {
                    tracing::warn!(webhook.id = %webhook.id, reason = reason.name(), "a webhook is disabled");
                    self.publish([Operation::Disabled { reason }], &webhook).await?;
                    registry.disable(&webhook, reason, now).await?;
                    health.disabled = Some(Disabled { at: now, reason });
                }
            }
        }
        state.health = health;
        Ok(())
    }

    /// Publishes operational events.
    pub(crate) async fn publish<'o>(
        &self,
        operations: impl IntoIterator<Item = Operation<'o>>,
        webhook: &Webhook,
    ) -> anyhow::Result<()> {
        let now = clock::now();
        let message = |operation: Operation<'o>| {
            let event = operation.event(webhook, now)?;
            Ok(Message::new(serde_json::to_string(&event)?, webhook.workspace.to_string()))
        };
        let messages = operations.into_iter().map(message).collect::<serde_json::Result<Vec<_>>>()?;
        match self.deliver.events_queue.send(&messages).await.pop() {
            None => Ok(()),
            Some((_, error)) => Err(error.into()),
        }
    }
}

fn verdict(attempt: &Attempt) -> Verdict {
    match &attempt.error {
        None => Verdict::Success,
        Some(failure) if failure.code == code::TIMEOUT => Verdict::Timeout,
        Some(_) => Verdict::Failure(attempt.http_status),
    }
}
