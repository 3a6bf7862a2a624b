//! Writing down what became of deliveries.

use std::{collections::BTreeSet, time::Duration};

use futures::{StreamExt, stream};
use posthaste_domain::{
    Timestamp,
    attempt::{Attempt, Failure},
    sequence::{Carried, Pending, Recorded, Retry, Settled},
    webhook::Webhook,
};
use posthaste_runtime::clock;
use posthaste_store::{StoreError, Subject};
use tokio::time::Instant;

use crate::{Answer, Courier};

const CONCURRENT_WRITES: usize = 16;
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// Why deliveries are recorded as skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skipped {
    /// The webhook is paused or disabled.
    Disabled,
    /// The backlog takes no more.
    BacklogFull,
    /// They have waited for longer than the deployment lets them.
    TooOld,
}

impl Skipped {
    fn failure(self) -> Failure {
        let (code, message) = match self {
            Self::Disabled => ("webhook_disabled", "the webhook was paused or disabled when the delivery's turn came"),
            Self::BacklogFull => ("backlog_full", "too many deliveries of the webhook were waiting"),
            Self::TooOld => ("waited_too_long", "the delivery waited for its turn for too long"),
        };
        Failure { code: code.to_owned(), message: message.to_owned() }
    }
}

impl Courier {
    /// Records an attempt with each delivery that it carried, trying until `give_up_at`: without its record an attempt is made again.
    /// Answers what follows, and how what is tried again waits.
    pub async fn conclude(
        &self,
        webhook: &Webhook,
        carried: Carried,
        answer: &Answer,
        attempt_id: &str,
        circuit: Option<Timestamp>,
        give_up_at: Instant,
    ) -> (Settled, Duration) {
        let (schedule, now) = (webhook.retry_schedule(), clock::now());
        let wait = carried.wait(&schedule, answer.asked, circuit, now);
        let retries = carried.plan(&answer.attempt, wait, &schedule, now);
        let recorded: Vec<Recorded> = stream::iter(carried.deliveries.iter().zip(retries))
            .map(|(pending, retry)| self.record(pending, &answer.attempt, attempt_id, retry, webhook, give_up_at))
            .buffered(CONCURRENT_WRITES)
            .collect()
            .await;
        (carried.settle(&answer.attempt, &schedule, &recorded), wait)
    }

    async fn record(
        &self,
        pending: &Pending,
        attempt: &Attempt,
        attempt_id: &str,
        retry: Option<Retry>,
        webhook: &Webhook,
        give_up_at: Instant,
    ) -> Recorded {
        let mut pause = FIRST_WAIT;
        loop {
            let subject = self.subject(pending, webhook);
            match self.deliveries.record_attempt(subject, attempt, attempt_id, retry, clock::now()).await {
                Ok(recorded) => return recorded,
                Err(error) if error.is_permanent() || Instant::now() + pause > give_up_at => {
                    tracing::error!(delivery.id = %pending.id, %error, "an attempt could not be recorded");
                    return Recorded::Failed;
                }
                Err(error) => {
                    tracing::warn!(delivery.id = %pending.id, %error, "an attempt is not recorded yet");
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
            }
        }
    }

    /// Records deliveries as skipped. Answers the sources of those that could not be.
    pub async fn skip(&self, webhook: &Webhook, skipped: &[Pending], why: Skipped) -> BTreeSet<usize> {
        let failure = &why.failure();
        let mark = |pending| self.deliveries.mark_skipped(self.subject(pending, webhook), failure, clock::now());
        mark_all(skipped, mark).await
    }

    /// Records that no try is left. Answers the sources of those that could not be recorded.
    pub(crate) async fn mark_exhausted(&self, webhook: &Webhook, exhausted: &[Pending]) -> BTreeSet<usize> {
        let mark = |pending| self.deliveries.mark_exhausted(self.subject(pending, webhook), clock::now());
        mark_all(exhausted, mark).await
    }

    fn subject<'s>(&self, pending: &'s Pending, webhook: &Webhook) -> Subject<'s> {
        Subject {
            delivery: pending.id,
            webhook: webhook.id,
            event: &pending.event,
            cause: pending.cause,
            retention: self.retention,
        }
    }
}

/// Answers the sources of those that could not be marked.
async fn mark_all<'p, F>(deliveries: &'p [Pending], mark: impl Fn(&'p Pending) -> F) -> BTreeSet<usize>
where
    F: Future<Output = Result<(), StoreError>>,
{
    let results: Vec<_> = stream::iter(deliveries).map(mark).buffered(CONCURRENT_WRITES).collect().await;
    let mut unsettled = BTreeSet::new();
    for (pending, result) in deliveries.iter().zip(results) {
        if let Err(error) = result {
            tracing::error!(delivery.id = %pending.id, %error, "what became of a delivery could not be recorded");
            unsettled.insert(pending.source);
        }
    }
    unsettled
}
