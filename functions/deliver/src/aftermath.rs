//! What is done with deliveries besides sending them: recording, giving up, skipping, sending on.

use std::time::Duration;

use futures::{StreamExt, stream};
use posthaste_domain::{
    Timestamp,
    attempt::{Attempt, Failure},
    id::BatchId,
    operational::{Operation, is_operational},
    rate_limit::Slot,
    retry::wait_after_our_fault,
    task::{Due, Task},
    webhook::Webhook,
};
use posthaste_queue::Message;
use posthaste_runtime::{batch::dead_letter, clock};
use posthaste_store::{Parking, Recorded, StoreError, Subject};

use crate::{
    lanes::{Gone, Pending},
    run::{CONCURRENT_WRITES, MAX_VISIBILITY_WAIT, Run, State},
};

const FIRST_WAIT: Duration = Duration::from_millis(100);

impl Run<'_> {
    /// Tries for as long as there is time: without its record an attempt is made again.
    pub(crate) async fn record(
        &self,
        pending: &Pending<'_>,
        attempt: &Attempt,
        attempt_id: &str,
        parking: Option<Parking>,
        webhook: &Webhook,
    ) -> Result<Recorded, StoreError> {
        let mut pause = FIRST_WAIT;
        loop {
            let subject = self.subject(pending, webhook);
            match self.deliver.deliveries.record_attempt(subject, attempt, attempt_id, parking, clock::now()).await {
                Err(error) if !error.is_permanent() && self.deadline.left() > pause * 2 => {
                    tracing::warn!(delivery.id = %pending.id, %error, "an attempt is not recorded yet");
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
                result => return result,
            }
        }
    }

    pub(crate) async fn skip(&self, skipped: &[Pending<'_>], state: &mut State<'_>) {
        let why = Failure {
            code: "webhook_disabled".to_owned(),
            message: "the webhook was paused or disabled when the delivery's turn came".to_owned(),
        };
        let webhook = state.webhook;
        let skip = async |pending: &Pending<'_>| {
            let subject = self.subject(pending, webhook);
            (pending.record, self.deliver.deliveries.mark_skipped(subject, &why, clock::now()).await)
        };
        let results: Vec<_> = stream::iter(skipped).map(skip).buffered(CONCURRENT_WRITES).collect().await;
        state.note(results, "a delivery could not be marked as skipped");
    }

    /// The dead letter first, then the news of it, then the record: when the function dies between, the message comes again, and the
    /// record says that no try is left.
    pub(crate) async fn give_up(
        &self,
        exhausted: &[Pending<'_>],
        batch: Option<BatchId>,
        failure: Option<&Failure>,
        state: &mut State<'_>,
    ) {
        if exhausted.is_empty() {
            return;
        }
        let deliveries =
            exhausted.iter().map(|pending| Due::of(pending.id, pending.event).because(pending.cause)).collect();
        let why = failure.map_or("no attempt is left", |failure| &failure.message);
        if !self.bury(deliveries, batch, "exhausted", why, state.webhook).await {
            state.fail(exhausted);
            return;
        }
        let told = exhausted.iter().filter(|pending| !is_operational(&pending.event.event_type));
        let told = told.map(|Pending { id, event, attempts, .. }| Operation::Exhausted {
            delivery: *id,
            event,
            attempts: *attempts,
            error: failure,
        });
        if let Err(error) = self.publish(told, state.webhook).await {
            tracing::error!(webhook.id = %state.webhook.id, error = %format!("{error:#}"), "an operational event could not be sent");
            state.fail(exhausted);
            return;
        }
        let webhook = state.webhook;
        let mark = async |pending: &Pending<'_>| {
            let subject = self.subject(pending, webhook);
            (pending.record, self.deliver.deliveries.mark_exhausted(subject, clock::now()).await)
        };
        let results: Vec<_> = stream::iter(exhausted).map(mark).buffered(CONCURRENT_WRITES).collect().await;
        state.note(results, "a delivery could not be marked as exhausted");
    }

    pub(crate) async fn bury_gone(&self, gone: &[Gone], batch: Option<BatchId>, state: &mut State<'_>) {
        let deliveries: Vec<Due<'_>> =
            gone.iter().map(|gone| Due::of_stored(gone.id, gone.event).because(gone.cause)).collect();
        let why = "the event is no longer stored";
        if gone.is_empty() {
            return;
        }
        if !self.bury(deliveries, batch, "event_gone", why, state.webhook).await {
            state.unsettled.extend(gone.iter().map(|gone| gone.record));
            return;
        }
        let Webhook { workspace, id, .. } = state.webhook;
        let mark = async |gone: &Gone| {
            (gone.record, self.deliver.deliveries.mark_gone(workspace, *id, gone.id, clock::now()).await)
        };
        let results: Vec<_> = stream::iter(gone).map(mark).buffered(CONCURRENT_WRITES).collect().await;
        state.note(results, "a delivery could not be marked as exhausted");
    }

    pub(crate) async fn bury(
        &self,
        deliveries: Vec<Due<'_>>,
        batch: Option<BatchId>,
        reason: &str,
        why: &str,
        webhook: &Webhook,
    ) -> bool {
        let Webhook { workspace, id, .. } = webhook;
        let count = deliveries.len();
        let task = Task { batch, recorded: true, ..Task::new(workspace, *id, deliveries) };
        let Ok(body) = task.message() else { return false };
        let letter = dead_letter(body, Some(id.to_string()), reason, why);
        match self.deliver.batch.dead_letters.send(&[letter]).await.pop() {
            None => {
                tracing::warn!(webhook.id = %id, deliveries = count, reason, "deliveries went to the dead-letter queue");
                true
            }
            Some((_, error)) => {
                tracing::error!(webhook.id = %id, %error, "a dead letter could not be sent");
                false
            }
        }
    }

    /// What is left of a lane goes later, in steps that are short enough for a changed limit to be noticed soon.
    pub(crate) async fn postpone(
        &self,
        left: &[Pending<'_>],
        batch: Option<BatchId>,
        at: Timestamp,
        slot: Option<Slot>,
        state: &mut State<'_>,
    ) {
        let wait = Duration::try_from(at.duration_since(clock::now())).unwrap_or_default();
        // Rounded down: the rest of the wait is slept through.
        let wait = Duration::from_secs(wait.as_secs()).clamp(Duration::from_secs(1), MAX_VISIBILITY_WAIT);
        self.send_on(left, batch, slot, wait, state).await;
    }

    /// After a fault of ours: the records come again, unless something has been done for them that must not be done again.
    pub(crate) async fn give_back(&self, left: &[Pending<'_>], batch: Option<BatchId>, state: &mut State<'_>) {
        if state.requests == 0 {
            state.fail(left);
        } else {
            self.send_on(left, batch, None, wait_after_our_fault(1), state).await;
        }
    }

    /// Sends deliveries on as a task of their own.
    pub(crate) async fn send_on(
        &self,
        deliveries: &[Pending<'_>],
        batch: Option<BatchId>,
        slot: Option<Slot>,
        delay: Duration,
        state: &mut State<'_>,
    ) {
        let Webhook { workspace, id, .. } = state.webhook;
        let due = deliveries.iter().map(|pending| Due::of(pending.id, pending.event).because(pending.cause)).collect();
        // What nothing was done for can be joined by others.
        let recorded = !state.is_fresh || batch.is_some();
        let redriven = deliveries.iter().any(|pending| pending.redriven);
        let task = Task { batch, recorded, redriven, slot, ..Task::new(workspace, *id, due) };
        let sent = match task.message() {
            Ok(body) => {
                let message = Message { delay, ..Message::new(body, id.to_string()) };
                self.deliver.tasks().send(&[message]).await.pop().map(|(_, error)| error.to_string())
            }
            Err(error) => Some(error.to_string()),
        };
        if let Some(error) = sent {
            tracing::error!(webhook.id = %id, error, "deliveries could not be sent on");
            state.fail(deliveries);
        }
    }

    fn subject<'s>(&self, pending: &Pending<'s>, webhook: &Webhook) -> Subject<'s> {
        let Pending { id: delivery, cause, event, .. } = *pending;
        Subject { delivery, webhook: webhook.id, event, cause, retention: self.deliver.retention }
    }
}
