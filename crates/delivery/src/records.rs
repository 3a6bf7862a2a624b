//! Writes the results of attempts, and the ends of deliveries, into their records.

use std::{collections::BTreeSet, time::Duration};

use futures::{StreamExt, stream};
use posthaste_domain::{
    Timestamp,
    delivery::{
        attempt::{Attempt, Failure},
        made::Made,
        sequence::{AFTERMATH, Carried, MAX_PASSES, Pending, Recorded, Retry, Settled},
        shared::Packed,
        task::Task,
    },
    id::BatchId,
    webhook::Webhook,
};
use posthaste_runtime::clock;
use posthaste_store::{NewAttempt, StoreError, Subject};
use tokio::time::Instant;

use crate::{Answer, Courier, SendOn, task};

const CONCURRENT_WRITES: usize = 16;
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// Recording is tried for this long. An attempt that can't be recorded until then is handed on.
const RECORD_FOR: Duration = Duration::from_secs(3);
/// The time that handing on takes at the end of the invocation: what recording leaves of a
/// request's aftermath.
const HAND_ON_TAKES: Duration = AFTERMATH.saturating_sub(RECORD_FOR);
/// An attempt that was handed on comes again after this time.
const HAND_ON_FOR: Duration = Duration::from_secs(5);

/// An attempt that is to be recorded.
#[derive(Debug, Clone, Copy)]
pub struct Concluding<'a> {
    /// The name of the attempt, which no other attempt has.
    pub attempt_id: &'a str,
    /// The time until which the circuit is open, so that nothing is sent to the endpoint.
    pub circuit: Option<Timestamp>,
    /// The number of times that its deliveries were sent on before.
    pub passes: u32,
    /// True if the message that brought its deliveries carries the result of this attempt already.
    pub is_handed_on: bool,
    /// The time at which the invocation ends.
    pub deadline: Instant,
}

/// The consequences of an attempt, after it was recorded.
#[derive(Debug)]
pub struct Concluded {
    /// Deliveries that are tried again, together.
    pub again: Vec<Pending>,
    /// The time that these wait.
    pub wait: Duration,
    /// The end of that wait, as their records have it.
    pub due_at: Timestamp,
    /// The halves of a request that was too large: they are tried again at once, one after the
    /// other.
    pub halves: Vec<Pending>,
    /// Deliveries that have no try left.
    pub exhausted: Vec<Pending>,
    /// The places of the messages or items that have to come again as they are, because a record
    /// could be neither written nor handed on.
    pub unsettled: BTreeSet<usize>,
}

/// The facts that the records of one attempt share.
#[derive(Clone, Copy)]
struct Recording<'a> {
    webhook: &'a Webhook,
    attempt_id: &'a str,
    now: Timestamp,
    give_up_at: Instant,
}

/// An attempt as it is recorded with one of the deliveries that it was made for.
struct MadeFor<'a> {
    attempt: &'a Attempt,
    shared: Option<&'a Packed>,
}

/// The reason why deliveries are recorded as skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skipped {
    /// The webhook is paused or disabled.
    Disabled,
    /// The backlog takes no more.
    BacklogFull,
    /// They have waited for longer than the deployment allows.
    TooOld,
}

impl Skipped {
    fn failure(self) -> Failure {
        let (code, message) = match self {
            Self::Disabled => (
                "webhook_disabled",
                "the webhook was paused or disabled when the delivery's turn came",
            ),
            Self::BacklogFull => {
                ("backlog_full", "too many deliveries of the webhook were waiting")
            }
            Self::TooOld => ("waited_too_long", "the delivery waited for its turn for too long"),
        };
        Failure { code: code.to_owned(), message: message.to_owned() }
    }
}

impl Courier {
    /// Records an attempt with each delivery that it carried, and returns the consequences. An
    /// attempt that can't be recorded within a few seconds is handed on in a message, which can
    /// record it later, so that it is not made again.
    pub async fn conclude(
        &self,
        webhook: &Webhook,
        mut carried: Carried,
        answer: &Answer,
        how: Concluding<'_>,
    ) -> Concluded {
        if answer.attempt.is_halving() {
            carried.halve();
        }
        let schedule = webhook.retry_schedule();
        let now = clock::now();
        let wait = carried.wait(&schedule, answer.asked, how.circuit, now);
        let recording = Recording {
            webhook,
            attempt_id: how.attempt_id,
            now,
            give_up_at: give_up_at(Instant::now(), how.deadline),
        };
        let parts = answer.shared.as_ref().map(|packed| packed.parts(webhook.key.id));
        let records =
            stream::iter(carried.deliveries.iter().enumerate()).map(async |(place, pending)| {
                let attempt = answer.attempt.kept_with(place);
                let made = MadeFor {
                    attempt: &attempt,
                    shared: parts.as_ref().map(|parts| parts.of(pending.id)),
                };
                let plan =
                    |pending: &Pending| carried.plan_for(pending, &attempt, wait, &schedule, now);
                self.record(pending, made, plan, &recording).await
            });
        let recorded: Vec<Recorded> = records.buffered(CONCURRENT_WRITES).collect().await;
        let batch = carried.batch;
        let Settled { again, own_wait, halves, mut exhausted, unrecorded } =
            carried.settle(&answer.attempt, &schedule, &recorded);
        for pending in &mut exhausted {
            pending.recorded_at = Some(now);
        }
        // A message that carries the result already can come again as it is, if nothing of it was
        // recorded.
        let comes_again =
            how.is_handed_on && recorded.iter().all(|recorded| *recorded == Recorded::Failed);
        let is_handed_on =
            !comes_again && self.hand_on(webhook, &unrecorded, batch, answer, how).await;
        let unsettled = if is_handed_on {
            BTreeSet::new()
        } else {
            unrecorded.iter().map(|pending| pending.source).collect()
        };
        let longest = wait.max(own_wait);
        Concluded { again, wait: longest, due_at: now + longest, halves, exhausted, unsettled }
    }

    /// Sends deliveries on with the result of their attempt. Returns false if that fails.
    async fn hand_on(
        &self,
        webhook: &Webhook,
        unrecorded: &[Pending],
        batch: Option<BatchId>,
        answer: &Answer,
        how: Concluding<'_>,
    ) -> bool {
        if unrecorded.is_empty() || how.passes >= MAX_PASSES {
            return unrecorded.is_empty();
        }
        let on =
            SendOn { batch, recorded: true, passes: how.passes, faults: 0, delay: HAND_ON_FOR };
        let made = Made::new(how.attempt_id, &answer.attempt, answer.asked, answer.shared.clone());
        let task = Task { made: Some(made), ..task(webhook, unrecorded, on) };
        tracing::warn!(
            deliveries = unrecorded.len(),
            "an attempt is handed on to be recorded later"
        );
        self.send_task(webhook, &task, on.delay).await
    }

    /// Records an attempt with one delivery. `plan` is the retry for a delivery that has had so
    /// many attempts.
    async fn record(
        &self,
        pending: &Pending,
        made: MadeFor<'_>,
        plan: impl Fn(&Pending) -> Option<Retry>,
        recording: &Recording<'_>,
    ) -> Recorded {
        let MadeFor { attempt, shared } = made;
        let Recording { webhook, attempt_id, now, give_up_at } = *recording;
        let mut pause = FIRST_WAIT;
        let mut known = pending.clone();
        while Instant::now() < give_up_at {
            let retry = plan(&known);
            let count =
                if attempt.is_halving() { &mut known.halvings } else { &mut known.attempts };
            let follows = pending.recorded_at.filter(|_| pending.redriven);
            let new = NewAttempt { attempt, id: attempt_id, known: *count, retry, shared, follows };
            let recording =
                self.deliveries.records.record_attempt(self.subject(pending, webhook), new, now);
            match tokio::time::timeout_at(give_up_at, recording).await {
                // Another copy of the message has made an attempt in the meantime, so this one has
                // a higher number.
                Ok(Ok(Recorded::Stale(recorded))) => *count = recorded,
                Ok(Ok(recorded)) => return recorded,
                Ok(Err(error)) if error.is_permanent() => {
                    tracing::error!(
                        delivery.id = %pending.id, %error, "an attempt could not be recorded"
                    );
                    return Recorded::Failed;
                }
                Ok(Err(error)) => {
                    tracing::warn!(
                        delivery.id = %pending.id, %error, "an attempt is not recorded yet"
                    );
                    tokio::time::sleep_until(give_up_at.min(Instant::now() + pause)).await;
                    pause *= 2;
                }
                // A call that was broken off may have been carried out. Recording the same attempt
                // again changes nothing.
                Err(_) => break,
            }
        }
        tracing::error!(delivery.id = %pending.id, "an attempt could not be recorded in time");
        Recorded::Failed
    }

    /// Records deliveries as skipped. Returns the sources of those that could not be recorded.
    pub async fn skip(
        &self,
        webhook: &Webhook,
        skipped: &[Pending],
        why: Skipped,
    ) -> BTreeSet<usize> {
        let failure = &why.failure();
        mark_all(skipped, |pending| {
            let subject = self.subject(pending, webhook);
            self.deliveries.records.mark_skipped(subject, failure, clock::now())
        })
        .await
    }

    /// Records that deliveries have no try left. Returns the sources of those that could not be
    /// recorded.
    pub(crate) async fn mark_exhausted(
        &self,
        webhook: &Webhook,
        exhausted: &[Pending],
    ) -> BTreeSet<usize> {
        mark_all(exhausted, |pending| {
            self.deliveries.records.mark_exhausted(self.subject(pending, webhook), clock::now())
        })
        .await
    }

    fn subject<'s>(&self, pending: &'s Pending, webhook: &'s Webhook) -> Subject<'s> {
        Subject {
            delivery: pending.id,
            webhook: &webhook.key,
            event: &pending.event,
            cause: pending.cause,
            retention: self.retention,
        }
    }
}

/// The time until which recording is tried: a result that is not recorded by then has to be handed
/// on before the invocation ends.
fn give_up_at(now: Instant, deadline: Instant) -> Instant {
    (now + RECORD_FOR).min(deadline.checked_sub(HAND_ON_TAKES).unwrap_or(now))
}

/// Marks deliveries, and returns the sources of those that could not be marked.
async fn mark_all<'p, F>(
    deliveries: &'p [Pending],
    mark: impl Fn(&'p Pending) -> F,
) -> BTreeSet<usize>
where
    F: Future<Output = Result<(), StoreError>>,
{
    let results: Vec<_> =
        stream::iter(deliveries).map(mark).buffered(CONCURRENT_WRITES).collect().await;
    let mut unsettled = BTreeSet::new();
    for (pending, result) in deliveries.iter().zip(results) {
        if let Err(error) = result {
            tracing::error!(
                delivery.id = %pending.id, %error, "what became of a delivery could not be recorded"
            );
            unsettled.insert(pending.source);
        }
    }
    unsettled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recording_leaves_time_to_hand_on_what_is_not_recorded() {
        let now = Instant::now();
        let after = |seconds| give_up_at(now, now + Duration::from_secs(seconds));
        assert_eq!([after(40), after(5)], [now + Duration::from_secs(3); 2]);
        assert_eq!(after(4), now + Duration::from_secs(2));
        assert!(after(1) < now, "all of the time is for handing on");
    }
}
