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
    rate_limit::Slot,
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
    /// Whether the next request may be tried, and whether it is a probe then, for which a claim is still needed. What may not is
    /// sent on with its slot, to come again when it may, or skipped where it never may.
    pub(crate) async fn passes(
        &self,
        left: &[Pending<'_>],
        batch: Option<BatchId>,
        slot: Option<Slot>,
        state: &mut State<'_>,
    ) -> Option<Gate> {
        if state.health.disabled.is_some() {
            self.skip(left, state).await;
            return None;
        }
        match state.health.gate(clock::now()) {
            Gate::Closed(until) => {
                self.send_on_until(left, batch, slot, until, state).await;
                None
            }
            gate => Some(gate),
        }
    }

    /// Claims the one request that a closed breaker lets through. False when another one has it.
    pub(crate) async fn claim(&self, left: &[Pending<'_>], batch: Option<BatchId>, state: &mut State<'_>) -> bool {
        let now = clock::now();
        let lease = now + state.webhook.timeout() + AFTERMATH;
        let seen = state.health.closed_until.unwrap_or(now);
        match self.deliver.registry.claim_probe(state.webhook, seen, lease).await {
            Ok(true) => {
                tracing::info!(webhook.id = %state.webhook.id, "probing an endpoint that did not answer");
                state.health.closed_until = Some(lease);
                state.is_probe = true;
                true
            }
            Ok(false) => {
                self.send_on_until(left, batch, None, lease, state).await;
                false
            }
            Err(error) => {
                tracing::error!(webhook.id = %state.webhook.id, %error, "a probe could not be claimed");
                self.give_back(left, batch, state).await;
                false
            }
        }
    }

    async fn send_on_until(
        &self,
        left: &[Pending<'_>],
        batch: Option<BatchId>,
        slot: Option<Slot>,
        until: Timestamp,
        state: &mut State<'_>,
    ) {
        let spread = left.first().map_or(Duration::ZERO, |first| SPREAD * u32::from(first.id.spread()) / 255);
        let wait = Duration::try_from(until.duration_since(clock::now())).unwrap_or_default() + spread;
        self.send_on(left, batch, slot, wait.min(MAX_VISIBILITY_WAIT), state).await;
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
        let mut failed = None;
        for consequence in health.consequences(verdict, is_probe, self.deliver.disable_after, now) {
            match consequence {
                Consequence::Close(until) => health.closed_until = Some(until),
                Consequence::Disable(reason) => health.disabled = Some(Disabled { at: now, reason }),
                Consequence::Announce => {}
            }
            // One that can't be carried out does not keep the others from it.
            failed = failed.or(self.carry_out(consequence, attempt, &webhook, now).await.err());
        }
        state.health = health;
        failed.map_or(Ok(()), Err)
    }

    async fn carry_out(
        &self,
        consequence: Consequence,
        attempt: &Attempt,
        webhook: &Webhook,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        let registry = &self.deliver.registry;
        match consequence {
            Consequence::Announce => {
                self.publish([Operation::Failing { error: attempt.error.as_ref() }], webhook).await?;
                registry.note_announced(webhook).await?;
            }
            Consequence::Close(until) => {
                tracing::warn!(webhook.id = %webhook.id, %until, "an endpoint keeps timing out: its deliveries wait");
                registry.close(webhook, &webhook.health, until).await?;
            }
            Consequence::Disable(reason) => {
                tracing::warn!(webhook.id = %webhook.id, reason = reason.name(), "a webhook is disabled");
                self.publish([Operation::Disabled { reason }], webhook).await?;
                registry.disable(webhook, reason, now).await?;
            }
        }
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
