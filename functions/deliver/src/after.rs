//! The consequences of a request: it is recorded, and what is left goes another way.

use std::time::Duration;

use posthaste_delivery::{Answer, Concluded, Concluding, SendOn, Skipped};
use posthaste_domain::{
    delivery::sequence::{Carried, MAX_PASSES, Pending, Way, sent_on, way},
    id::BatchId,
    webhook::retry,
};
use posthaste_queue::MAX_DELAY;

use crate::{
    run::{Progress, Surroundings},
    work::Work,
};

/// Deliveries that could not be given up come again after this time.
const GIVE_UP_AGAIN_AFTER: Duration = Duration::from_secs(5);

impl Surroundings<'_> {
    pub(crate) fn concluding<'i>(
        &self,
        work: &Work<'_>,
        attempt_id: &'i str,
        is_handed_on: bool,
    ) -> Concluding<'i> {
        Concluding {
            attempt_id,
            circuit: None,
            passes: work.passes,
            is_handed_on,
            deadline: self.deadline.instant(),
        }
    }

    /// Records an attempt, and sees to what follows. The halves of a request that was too large
    /// are the next ones of the sequence. `is_all` says that its message asks for
    /// nothing else.
    pub(crate) async fn conclude(
        &self,
        work: &mut Work<'_>,
        carried: Carried,
        answer: &Answer,
        how: Concluding<'_>,
        is_all: bool,
        progress: &mut Progress,
    ) {
        let (courier, webhook) = (&self.deliver.courier, &work.client.webhook);
        let (batch, count) = (carried.batch, carried.deliveries.len());
        let concluded = courier.conclude(webhook, carried, answer, how).await;
        let Concluded { again, wait, due_at, halves, mut exhausted, unsettled } = concluded;
        progress.unsettled.extend(unsettled);
        work.sequence.put_back(halves);
        let left = courier.give_up(webhook, &exhausted, batch, answer.attempt.error.as_ref()).await;
        exhausted.retain(|pending| left.contains(&pending.source));
        if !exhausted.is_empty() {
            // As a message of their own, so that what came with them is not made twice.
            self.send_on_as(work, &exhausted, batch, GIVE_UP_AGAIN_AFTER, progress).await;
        }
        let again = sent_on(again, &progress.unsettled);
        if again.is_empty() {
            return;
        }
        match way(wait, is_all && again.len() == count) {
            Way::InFlight => progress.comes_again = Some(wait),
            Way::Delayed => self.send_on_as(work, &again, batch, wait, progress).await,
            Way::Parked => {
                progress.unsettled.extend(courier.park(webhook, &again, batch, due_at).await)
            }
        }
    }

    pub(crate) async fn skip(
        &self,
        work: &mut Work<'_>,
        why: Skipped,
        mut progress: Progress,
    ) -> Progress {
        let left = std::mem::take(&mut work.sequence.left);
        progress
            .unsettled
            .extend(self.deliver.courier.skip(&work.client.webhook, &left, why).await);
        progress
    }

    /// Sends what is left on in a message that counts one fault of ours more: it looks like one,
    /// and may as well be the endpoint's. The receives of a message say nothing about that, as it
    /// comes again for other reasons too.
    pub(crate) async fn after_our_fault(
        &self,
        work: &mut Work<'_>,
        carried: Carried,
        progress: &mut Progress,
    ) {
        // The id of the request belongs to its deliveries alone. Where there are others, all go on
        // without it, and the next request derives it again.
        let batch = carried.batch.filter(|_| work.sequence.left.is_empty());
        let mut left = carried.deliveries;
        left.append(&mut work.sequence.left);
        let mut faults = 0;
        for pending in &mut left {
            pending.faults += 1;
            faults = faults.max(pending.faults);
        }
        let wait = retry::wait_after_our_fault(faults).min(MAX_DELAY);
        self.send_on_as(work, &left, batch, wait, progress).await;
    }

    pub(crate) fn broken(
        &self,
        work: &Work<'_>,
        error: &anyhow::Error,
        mut progress: Progress,
    ) -> Progress {
        tracing::error!(error = %format!("{error:#}"), "a sequence can't go on");
        progress.unsettled.extend(work.sequence.left.iter().map(|pending| pending.source));
        progress
    }

    pub(crate) async fn send_on(
        &self,
        work: &Work<'_>,
        left: &[Pending],
        delay: Duration,
        progress: &mut Progress,
    ) {
        self.send_on_as(work, left, work.sequence.batch, delay, progress).await;
    }

    async fn send_on_as(
        &self,
        work: &Work<'_>,
        deliveries: &[Pending],
        batch: Option<BatchId>,
        delay: Duration,
        progress: &mut Progress,
    ) {
        // After too many passes they stay the message that they are, and their records tell what is
        // left of it.
        let faults = deliveries.iter().map(|pending| pending.faults).max().unwrap_or(0);
        let how = SendOn { batch, recorded: true, passes: work.passes, faults, delay };
        let is_sent = work.passes < MAX_PASSES
            && self.deliver.courier.send_on(&work.client.webhook, deliveries, how).await;
        if !is_sent {
            progress.unsettled.extend(deliveries.iter().map(|pending| pending.source));
        }
    }
}
