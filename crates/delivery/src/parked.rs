//! Parks retries: after their attempt is recorded, and again if a function died before it could.

use std::collections::BTreeSet;

use posthaste_domain::{
    Timestamp,
    delivery::{parked::Parked, sequence::Pending, task::Due},
    id::BatchId,
    webhook::Webhook,
};

use crate::{Courier, Parking};

impl Courier {
    /// Parks deliveries that failed together until the time that their records say. Returns the
    /// sources of those that have to come again: their records say that they have to be parked.
    pub async fn park(
        &self,
        webhook: &Webhook,
        failed: &[Pending],
        batch: Option<BatchId>,
        due_at: Timestamp,
    ) -> BTreeSet<usize> {
        let deliveries: Vec<Due<'_>> = failed.iter().map(due).collect();
        let parked = Parked::of(&webhook.key, batch, &deliveries, due_at);
        if self.put_parked(&parked).await {
            return BTreeSet::new();
        }
        failed.iter().map(|pending| pending.source).collect()
    }

    /// Parks deliveries whose message, or item of a backlog, came before they are due. Returns the
    /// sources of those that have to come again.
    pub async fn park_again(&self, webhook: &Webhook, parks: &[Parking]) -> BTreeSet<usize> {
        let mut parked = Vec::with_capacity(parks.len());
        for Parking { pending, due_at, batch } in parks {
            parked.push(Parked::again(&webhook.key, *batch, &due(pending), *due_at));
        }
        // One call must not have the same key twice.
        parked.sort_by(|one, other| one.key.cmp(&other.key));
        parked.dedup_by(|one, other| one.key == other.key);
        if self.put_parked(&parked).await {
            return BTreeSet::new();
        }
        parks.iter().map(|parking| parking.pending.source).collect()
    }

    /// Puts due items. Returns false if one of them may not be there.
    async fn put_parked(&self, parked: &[Parked]) -> bool {
        if parked.is_empty() {
            return true;
        }
        match self.deliveries.due_items.park(parked).await {
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
