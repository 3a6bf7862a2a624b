//! Parking retries: after their attempt is recorded, and again where a function died before it could.

use std::collections::BTreeSet;

use posthaste_domain::{Timestamp, id::BatchId, parked::Parked, sequence::Pending, task::Due, webhook::Webhook};

use crate::{Courier, Parking};

impl Courier {
    /// Parks what has failed together until the time that its records say. Answers the sources of those that have to come again: their
    /// records say that they have to be parked.
    pub async fn park(
        &self,
        webhook: &Webhook,
        failed: &[Pending],
        batch: Option<BatchId>,
        due_at: Timestamp,
    ) -> BTreeSet<usize> {
        let deliveries: Vec<Due<'_>> = failed.iter().map(due).collect();
        let parked = Parked::of(&webhook.workspace, webhook.id, batch, &deliveries, due_at);
        let sources = || failed.iter().map(|pending| pending.source);
        if self.put_parked(&parked).await { BTreeSet::new() } else { sources().collect() }
    }

    /// Parks what a message, or an item of a backlog, asks for before it is due. Answers the sources of those that have to come again.
    pub async fn park_again(&self, webhook: &Webhook, parks: &[Parking]) -> BTreeSet<usize> {
        let again = |parking: &Parking| {
            let due = due(&parking.pending);
            Parked::again(&webhook.workspace, webhook.id, parking.batch, &due, parking.due_at)
        };
        let mut parked: Vec<Parked> = parks.iter().map(again).collect();
        // One call must not have the same key twice.
        parked.sort_by(|one, other| one.key.cmp(&other.key));
        parked.dedup_by(|one, other| one.key == other.key);
        let sources = || parks.iter().map(|parking| parking.pending.source);
        if self.put_parked(&parked).await { BTreeSet::new() } else { sources().collect() }
    }

    /// False when something may not be parked.
    async fn put_parked(&self, parked: &[Parked]) -> bool {
        if parked.is_empty() {
            return true;
        }
        match self.deliveries.park(parked).await {
            Ok(failed) if failed.is_empty() => true,
            Ok(failed) => {
                tracing::error!(deliveries = failed.len(), "retries could not be parked");
                false
            }
            Err(error) => {
                tracing::error!(%error, "retries could not be parked");
                false
            }
        }
    }
}

fn due(pending: &Pending) -> Due<'_> {
    Due::of(pending.id, &pending.event).because(pending.cause)
}
