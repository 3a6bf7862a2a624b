//! What is done with deliveries besides sending them: recording, giving up, skipping, sending on.

use std::time::Duration;

use futures::{StreamExt, stream};
use posthaste_domain::{
    Timestamp,
    attempt::{Attempt, Failure},
    id::BatchId,
    task::{Content, Due, Task},
    webhook::Webhook,
};
use posthaste_queue::{MAX_DELAY, Message};
use posthaste_runtime::{batch::dead_letter, clock};
use posthaste_store::{Parking, Recorded, StoreError, Subject};

use crate::{
    lanes::{Gone, Pending},
    run::{CONCURRENT_WRITES, Run, State},
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
                Err(error) if self.deadline.left() > pause * 2 => {
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
            message: "the webhook was paused when the delivery's turn came".to_owned(),
        };
        let webhook = state.webhook;
        let skip = async |pending: &Pending<'_>| {
            let subject = self.subject(pending, webhook);
            (pending.record, self.deliver.deliveries.mark_skipped(subject, &why, clock::now()).await)
        };
        let results: Vec<_> = stream::iter(skipped).map(skip).buffered(CONCURRENT_WRITES).collect().await;
        state.note(results, "a delivery could not be marked as skipped");
    }

    /// The dead letter first, then the record: when the function dies between, the message comes again, and the record says that
    /// no try is left.
    pub(crate) async fn give_up(
        &self,
        exhausted: &[Pending<'_>],
        batch: Option<BatchId>,
        why: &str,
        state: &mut State<'_>,
    ) {
        if exhausted.is_empty() {
            return;
        }
        let deliveries = exhausted.iter().map(|pending| Due::of(pending.id, pending.event)).collect();
        if !self.bury(deliveries, batch, "exhausted", why, state.webhook).await {
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
            gone.iter().map(|gone| Due { id: gone.id, content: Content::EventId(gone.event) }).collect();
        let why = "the event is no longer stored";
        if !gone.is_empty() && !self.bury(deliveries, batch, "event_gone", why, state.webhook).await {
            state.unsettled.extend(gone.iter().map(|gone| gone.record));
        }
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

    /// What is left of a lane goes later: for want of time, or at its slot.
    pub(crate) async fn postpone(
        &self,
        left: &[Pending<'_>],
        batch: Option<BatchId>,
        slot: Option<Timestamp>,
        state: &mut State<'_>,
        alone: bool,
    ) {
        if slot.is_none() && state.requests == 0 && alone {
            state.comes_again = Some(Duration::ZERO);
            return;
        }
        let wait = slot.map(|slot| Duration::try_from(slot.duration_since(clock::now())).unwrap_or_default());
        // Rounded down: the rest of the wait is slept through.
        let wait = Duration::from_secs(wait.unwrap_or_default().as_secs()).min(MAX_DELAY);
        self.send_on(left, batch, slot, wait, state).await;
    }

    /// Sends deliveries on as a task of their own.
    pub(crate) async fn send_on(
        &self,
        deliveries: &[Pending<'_>],
        batch: Option<BatchId>,
        slot: Option<Timestamp>,
        delay: Duration,
        state: &mut State<'_>,
    ) {
        let Webhook { workspace, id, .. } = state.webhook;
        let due = deliveries.iter().map(|pending| Due::of(pending.id, pending.event)).collect();
        let task = Task { batch, recorded: true, slot, ..Task::new(workspace, *id, due) };
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
        Subject { delivery: pending.id, webhook: webhook.id, event: pending.event, retention: self.deliver.retention }
    }
}
