//! Writing down what became of deliveries.

use std::{collections::BTreeSet, time::Duration};

use futures::{StreamExt, stream};
use posthaste_domain::{
    Timestamp,
    attempt::{Attempt, Failure},
    id::BatchId,
    made::Made,
    sequence::{AFTERMATH, Carried, MAX_HOPS, Pending, Recorded, Retry, Settled},
    task::Task,
    webhook::Webhook,
};
use posthaste_runtime::clock;
use posthaste_store::{StoreError, Subject};
use tokio::time::Instant;

use crate::{Answer, Courier, SendOn, task};

const CONCURRENT_WRITES: usize = 16;
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// How long recording is tried. What can't be recorded until then is handed on.
const RECORD_FOR: Duration = Duration::from_secs(3);
/// How much time handing on needs before the invocation ends: what is left of a request's aftermath when recording was tried.
const HAND_ON_TAKES: Duration = AFTERMATH.saturating_sub(RECORD_FOR);
/// When what was handed on comes again.
const HAND_ON_FOR: Duration = Duration::from_secs(5);

/// An attempt that is to be recorded.
#[derive(Debug, Clone, Copy)]
pub struct Concluding<'a> {
    /// What names it: nothing else has this id.
    pub attempt_id: &'a str,
    /// Until when nothing is sent to the endpoint.
    pub circuit: Option<Timestamp>,
    /// How often its deliveries were sent on before.
    pub hops: u32,
    /// Whether the message that brought its deliveries says already what came of it.
    pub is_handed_on: bool,
    /// When the invocation ends.
    pub deadline: Instant,
}

/// What follows an attempt.
#[derive(Debug)]
pub struct Concluded {
    /// They are tried again, together.
    pub again: Vec<Pending>,
    /// How long these wait.
    pub wait: Duration,
    /// Until when that is, as their records say.
    pub due_at: Timestamp,
    /// No try is left for them.
    pub exhausted: Vec<Pending>,
    /// The places of what has to come again as it is, as its record could be neither written nor handed on.
    pub unsettled: BTreeSet<usize>,
}

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
    /// Records an attempt with each delivery that it carried, and answers what follows. What can't be recorded within a few seconds is
    /// handed on, with what came of the attempt: a message can do that later, and the attempt is not made again.
    pub async fn conclude(
        &self,
        webhook: &Webhook,
        carried: Carried,
        answer: &Answer,
        how: Concluding<'_>,
    ) -> Concluded {
        let (schedule, now) = (webhook.retry_schedule(), clock::now());
        let wait = carried.wait(&schedule, answer.asked, how.circuit, now);
        let give_up_at = give_up_at(Instant::now(), how.deadline);
        let record = async |(place, pending): (usize, &Pending)| {
            let attempt = answer.attempt.kept_with(place);
            let plan = |pending: &Pending| carried.plan_for(pending, &attempt, wait, &schedule, now);
            self.record(pending, (&attempt, how.attempt_id), plan, webhook, (now, give_up_at)).await
        };
        let recorded: Vec<Recorded> =
            stream::iter(carried.deliveries.iter().enumerate()).map(record).buffered(CONCURRENT_WRITES).collect().await;
        let is_nothing_recorded = recorded.iter().all(|recorded| *recorded == Recorded::Failed);
        let batch = carried.batch;
        let Settled { again, own_wait, mut exhausted, unrecorded } =
            carried.settle(&answer.attempt, &schedule, &recorded);
        let wait = wait.max(own_wait);
        exhausted.iter_mut().for_each(|pending| pending.recorded_at = Some(now));
        // A message that says it all can come again as it is.
        let is_handed_on =
            !(how.is_handed_on && is_nothing_recorded) && self.hand_on(webhook, &unrecorded, batch, answer, how).await;
        let unsettled = unrecorded.iter().filter(|_| !is_handed_on).map(|pending| pending.source).collect();
        Concluded { again, wait, due_at: now + wait, exhausted, unsettled }
    }

    /// Sends deliveries on with what came of their attempt. False where they could not be.
    async fn hand_on(
        &self,
        webhook: &Webhook,
        unrecorded: &[Pending],
        batch: Option<BatchId>,
        answer: &Answer,
        how: Concluding<'_>,
    ) -> bool {
        if unrecorded.is_empty() || how.hops >= MAX_HOPS {
            return unrecorded.is_empty();
        }
        let on = SendOn { batch, recorded: true, hops: how.hops, faults: 0, delay: HAND_ON_FOR };
        let made = Made::new(how.attempt_id, &answer.attempt, answer.asked);
        let task = Task { made: Some(made), ..task(webhook, unrecorded, on) };
        tracing::warn!(deliveries = unrecorded.len(), "an attempt is handed on to be recorded later");
        self.send_task(webhook, &task, on.delay).await
    }

    async fn record(
        &self,
        pending: &Pending,
        (attempt, attempt_id): (&Attempt, &str),
        plan: impl Fn(&Pending) -> Option<Retry>,
        webhook: &Webhook,
        (now, give_up_at): (Timestamp, Instant),
    ) -> Recorded {
        let mut pause = FIRST_WAIT;
        let mut pending = pending.clone();
        while Instant::now() < give_up_at {
            let (subject, known, retry) = (self.subject(&pending, webhook), pending.attempts, plan(&pending));
            let recording = self.deliveries.record_attempt(subject, (attempt, attempt_id), known, retry, now);
            match tokio::time::timeout_at(give_up_at, recording).await {
                // Another copy of the message has made an attempt in the meantime.
                Ok(Ok(Recorded::Stale(attempts))) => pending.attempts = attempts,
                Ok(Ok(recorded)) => return recorded,
                Ok(Err(error)) if error.is_permanent() => {
                    tracing::error!(delivery.id = %pending.id, %error, "an attempt could not be recorded");
                    return Recorded::Failed;
                }
                Ok(Err(error)) => {
                    tracing::warn!(delivery.id = %pending.id, %error, "an attempt is not recorded yet");
                    tokio::time::sleep_until(give_up_at.min(Instant::now() + pause)).await;
                    pause *= 2;
                }
                // A call that was broken off may have been carried out. Recording the same attempt again changes nothing.
                Err(_) => break,
            }
        }
        tracing::error!(delivery.id = %pending.id, "an attempt could not be recorded in time");
        Recorded::Failed
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

/// Until when recording is tried: what is not recorded has to be handed on before the invocation ends.
fn give_up_at(now: Instant, deadline: Instant) -> Instant {
    (now + RECORD_FOR).min(deadline.checked_sub(HAND_ON_TAKES).unwrap_or(now))
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
