//! Gives deliveries up: the dead letter goes first, then the operational event, then the record. If
//! the function dies between, the message that asked for the delivery comes again, and the record
//! says that no try is left.
//!
//! A delivery that ran out of attempts is its receiver's failure: its letter goes to the queue of
//! exhausted deliveries, which no alarm watches, unless its webhook keeps no dead letters. A letter
//! that somebody sent back is written again all the same. A delivery whose event is gone is a fault
//! of ours: its letter goes to the dead-letter queue, and the alarm tells a person.

use std::collections::BTreeSet;

use futures::{StreamExt, stream};
use posthaste_domain::{
    delivery::{
        attempt::Failure,
        sequence::Pending,
        task::{Due, Task},
    },
    event::{catalogue, operational::Operation},
    id::BatchId,
    message::dead_letter::DeadLetterReason,
    metrics::Metric,
    webhook::Webhook,
};
use posthaste_queue::Queue;
use posthaste_runtime::{batch::dead_letter, clock, telemetry::count};

use crate::{Courier, Gone};

const CONCURRENT_WRITES: usize = 16;

impl Courier {
    /// Gives up deliveries that have no try left. Returns the sources of those that have to come
    /// again.
    pub async fn give_up(
        &self,
        webhook: &Webhook,
        exhausted: &[Pending],
        batch: Option<BatchId>,
        failure: Option<&Failure>,
    ) -> BTreeSet<usize> {
        if exhausted.is_empty() {
            return BTreeSet::new();
        }
        let all = exhausted.iter().map(|pending| pending.source).collect();
        let keeps_letters = webhook.settings.dead_letters();
        let deliveries: Vec<Due<'_>> = exhausted
            .iter()
            .filter(|pending| pending.leaves_a_letter(keeps_letters))
            .map(|pending| Due::of(pending.id, &pending.event).because(pending.cause))
            .collect();
        let why = failure.map_or("no attempt is left", |failure| &failure.message);
        let reason = DeadLetterReason::Exhausted;
        if !deliveries.is_empty()
            && !self.bury(&self.exhausted, webhook, deliveries, batch, reason, why).await
        {
            return all;
        }
        log_given_up(exhausted.len(), reason);
        let mut news = Vec::new();
        for pending in exhausted {
            if !catalogue::is_operational(&pending.event.event_type) {
                news.push(Operation::Exhausted {
                    delivery: pending.id,
                    event: &pending.event,
                    attempts: pending.attempts + pending.halvings,
                    at: pending.recorded_at.unwrap_or_else(clock::now),
                    error: failure,
                });
            }
        }
        if let Err(error) = self.publish(news, webhook).await {
            tracing::error!(
                error = %format!("{error:#}"), "an operational event could not be sent"
            );
            return all;
        }
        let unsettled = self.mark_exhausted(webhook, exhausted).await;
        count(
            Metric::Exhausted,
            exhausted.iter().filter(|pending| !unsettled.contains(&pending.source)).count(),
        );
        unsettled
    }

    /// Gives up deliveries whose events are not stored any more. Returns the sources of those that
    /// have to come again.
    pub async fn bury_gone(
        &self,
        webhook: &Webhook,
        gone: &[Gone],
        batch: Option<BatchId>,
    ) -> BTreeSet<usize> {
        if gone.is_empty() {
            return BTreeSet::new();
        }
        let deliveries: Vec<Due<'_>> = gone
            .iter()
            .map(|gone| Due::of_stored(gone.id, gone.event, 0).because(gone.cause))
            .collect();
        let (reason, why) = (DeadLetterReason::EventGone, "the event is no longer stored");
        if !self.bury(&self.dead_letters, webhook, deliveries, batch, reason, why).await {
            return gone.iter().map(|gone| gone.source).collect();
        }
        log_given_up(gone.len(), reason);
        let records = &self.deliveries.records;
        let marking = stream::iter(gone).map(async |gone| {
            let marked = records.mark_gone(&webhook.key, gone.id, clock::now()).await;
            (gone.source, marked)
        });
        let results: Vec<_> = marking.buffered(CONCURRENT_WRITES).collect().await;
        let mut unsettled = BTreeSet::new();
        for (source, result) in results {
            if let Err(error) = result {
                tracing::error!(%error, "a delivery could not be marked as exhausted");
                unsettled.insert(source);
            }
        }
        count(
            Metric::Exhausted,
            gone.iter().filter(|gone| !unsettled.contains(&gone.source)).count(),
        );
        unsettled
    }

    async fn bury(
        &self,
        queue: &Queue,
        webhook: &Webhook,
        deliveries: Vec<Due<'_>>,
        batch: Option<BatchId>,
        reason: DeadLetterReason,
        why: &str,
    ) -> bool {
        let task = Task { batch, recorded: true, ..Task::new(&webhook.key, deliveries) };
        let Ok(body) = task.message() else { return false };
        let letter = dead_letter(body, Some(webhook.key.workspace.to_string()), reason, why);
        match queue.send_all(&[letter]).await {
            Ok(()) => true,
            Err(error) => {
                tracing::error!(%error, "a dead letter could not be sent");
                false
            }
        }
    }
}

fn log_given_up(deliveries: usize, reason: DeadLetterReason) {
    tracing::warn!(deliveries, reason = reason.name(), "deliveries were given up");
}
