//! The requests of a turn: several are under way at once, and each is recorded beside the others.

use std::{collections::BTreeSet, time::Duration};

use futures::StreamExt;
use posthaste_delivery::{Answer, Answered, Client, Concluded, Concluding, Courier, SendOn};
use posthaste_domain::{
    Timestamp,
    delivery::sequence::{Carried, Pending, Way, sent_on, way},
    endpoint::lane::Verdict,
    id::BatchId,
    webhook::Webhook,
};
use posthaste_queue::MAX_DELAY;
use posthaste_runtime::clock;

use crate::{
    hand::{Carrying, Ready},
    turn::Working,
};

/// Items are deleted when there are this many: as many as one call takes.
const DELETED_TOGETHER: usize = 25;

/// The news of a request.
pub(crate) enum Event {
    /// It was answered.
    Answered {
        client: Box<Client>,
        ready: Ready,
        carried: Carried,
        answered: Answered,
        attempt_id: String,
    },
    /// Its outcome is recorded.
    Concluded {
        ready: Ready,
        verdict: Verdict,
        took: Duration,
        settled: Result<BTreeSet<usize>, ()>,
        carried: Vec<Carrying>,
    },
}

impl Working<'_> {
    /// Begins the next request. False where the invocation has no room for one more.
    pub(crate) fn begin(&mut self) -> bool {
        let Ok(place) = self.drain.places.clone().try_acquire_owned() else { return false };
        let Ok(memory) = self.drain.memory.clone().try_acquire_many_owned(self.hand.next_kib())
        else {
            return false;
        };
        let (Some(client), Some(mut ready)) = (self.client.clone(), self.hand.next()) else {
            // Nothing is left after all: what waits is read again.
            self.hand.lay_down();
            self.turn.dropped(usize::MAX);
            return true;
        };
        let (began, before) = (clock::now(), ready.sequence.left.len());
        let courier = &self.drain.courier;
        let Some((request, carried)) = courier.next_request(&client, &mut ready.sequence, began)
        else {
            self.hand.put_back(ready);
            self.failed();
            return true;
        };
        self.hand.begin(&carried.deliveries);
        // Others can join what is left of a list before the next request; what has an order waits
        // for this one.
        let taken = if ready.item.is_none() { before - ready.sequence.left.len() } else { 1 };
        let ready = if ready.item.is_none() {
            self.hand.put_back(ready);
            Ready { item: None, sequence: Default::default() }
        } else {
            ready
        };
        self.turn.began(taken);
        self.requests += 1;
        let attempt_id = format!("{}/{}", self.me, self.requests);
        self.under_way.push(Box::pin(async move {
            let answered = courier.send(&client, request, &carried, began).await;
            drop((place, memory));
            Event::Answered { client: Box::new(client), ready, carried, answered, attempt_id }
        }));
        true
    }

    /// Waits until this time, or until something has happened.
    pub(crate) async fn wait(&mut self, until: Timestamp) {
        let wait = Duration::try_from(until.duration_since(clock::now())).unwrap_or_default();
        if self.under_way.is_empty() {
            tokio::time::sleep(wait).await;
            return;
        }
        if let Ok(Some(event)) = tokio::time::timeout(wait, self.under_way.next()).await {
            self.take(event).await;
        }
    }

    async fn take(&mut self, event: Event) {
        match event {
            Event::Answered { client, ready, carried, answered, attempt_id } => {
                self.conclude(*client, ready, carried, answered, attempt_id);
            }
            Event::Concluded { ready, verdict, took, settled, carried } => {
                match settled {
                    Ok(unsettled) => {
                        if !unsettled.is_empty() {
                            // What could not be recorded stays. The turn is given up, so that the
                            // next one reads all records first.
                            self.is_given_up = true;
                            self.failed();
                        }
                        self.hand.settle(&carried, &unsettled);
                    }
                    Err(()) => self.hand.leave_all(&carried),
                }
                let again = self.hand.put_back(ready);
                self.turn.answered(verdict, took, again, clock::now());
                if let Err(error) = self.delete_done(DELETED_TOGETHER).await {
                    tracing::error!(
                        error = %format!("{error:#}"), "what is done could not be deleted yet"
                    );
                }
            }
        }
    }

    /// Records what came of a request, beside the requests that are under way.
    fn conclude(
        &mut self,
        client: Client,
        ready: Ready,
        carried: Carried,
        answered: Answered,
        attempt_id: String,
    ) {
        let carrying: Vec<Carrying> = carried
            .deliveries
            .iter()
            .map(|pending| Carrying { source: pending.source, id: pending.id })
            .collect();
        let sources: BTreeSet<usize> = carrying.iter().map(|carrying| carrying.source).collect();
        let drain = self.drain;
        let Answered::Attempt(answer) = answered else {
            return self.count_fault(ready, carrying, &sources);
        };
        let verdict = answer.verdict();
        let circuit = self.turn.circuit_after(verdict, clock::now());
        let took = Duration::from_millis(answer.attempt.duration_ms);
        let passes = sources
            .iter()
            .filter_map(|at| self.hand.waiting(*at))
            .map(|item| item.task.passes)
            .max()
            .unwrap_or(0);
        let deadline = self.deadline.instant();
        self.under_way.push(Box::pin(async move {
            let (mut ready, mut carrying) = (ready, carrying);
            let (courier, webhook) = (&drain.courier, &client.webhook);
            let batch = carried.batch;
            let concluding = Concluding {
                attempt_id: &attempt_id,
                circuit,
                passes,
                is_handed_on: false,
                deadline,
            };
            let mut concluded = courier.conclude(webhook, carried, &answer, concluding).await;
            let halves = std::mem::take(&mut concluded.halves);
            let how = SendOn { batch, recorded: true, passes, faults: 0, delay: concluded.wait };
            let mut unsettled = settle(courier, webhook, concluded, &answer, how).await;
            if ready.item.is_some() {
                carrying.retain(|carrying| halves.iter().all(|half| half.id != carrying.id));
                ready.sequence.put_back(halves);
            } else {
                // They came from items of their own, from which the next turn would make the same
                // request. So they go on as one task, which comes back as one item.
                let how = SendOn { batch: None, delay: Duration::ZERO, ..how };
                unsettled.extend(send_again(courier, webhook, &halves, how).await);
            }
            courier.note_health(webhook, &answer.attempt).await;
            Event::Concluded { ready, verdict, took, settled: Ok(unsettled), carried: carrying }
        }));
    }

    /// Counts a fault of ours with the items that it has met: in the end it is the endpoint's.
    fn count_fault(&mut self, ready: Ready, carrying: Vec<Carrying>, sources: &BTreeSet<usize>) {
        let (drain, webhook) = (self.drain, &self.asked.webhook);
        let items: Vec<_> =
            sources.iter().filter_map(|source| self.hand.waiting(*source).cloned()).collect();
        self.under_way.push(Box::pin(async move {
            for item in items {
                let mut task = item.task;
                task.faults += 1;
                if let Err(error) =
                    drain.courier.deliveries.backlogs.rewrite(webhook, &item.key, &task).await
                {
                    tracing::error!(%error, "a fault of ours could not be counted");
                }
            }
            let ready = Ready { item: ready.item, sequence: Default::default() };
            let (verdict, took) = (Verdict::OurFault, Duration::ZERO);
            Event::Concluded { ready, verdict, took, settled: Err(()), carried: carrying }
        }));
    }

    /// Sends deliveries on that are not due yet.
    pub(crate) async fn send_on(
        &self,
        deliveries: &[Pending],
        batch: Option<BatchId>,
        wait: Duration,
    ) -> bool {
        let Some(client) = &self.client else { return false };
        let faults = deliveries.iter().map(|pending| pending.faults).max().unwrap_or(0);
        let how = SendOn { batch, recorded: true, passes: 0, faults, delay: wait.min(MAX_DELAY) };
        self.drain.courier.send_on(&client.webhook, deliveries, how).await
    }
}

/// Sees to what follows a recorded attempt. Answers the items that have to stay.
async fn settle(
    courier: &Courier,
    webhook: &Webhook,
    concluded: Concluded,
    answer: &Answer,
    how: SendOn,
) -> BTreeSet<usize> {
    let Concluded { again, wait, due_at, exhausted, mut unsettled, .. } = concluded;
    let why = answer.attempt.error.as_ref();
    unsettled.extend(courier.give_up(webhook, &exhausted, how.batch, why).await);
    let again = sent_on(again, &unsettled);
    if way(wait, false) == Way::Parked {
        unsettled.extend(courier.park(webhook, &again, how.batch, due_at).await);
    } else {
        unsettled.extend(send_again(courier, webhook, &again, how).await);
    }
    unsettled
}

/// Sends deliveries on that are tried again. Answers the items that have to stay.
async fn send_again(
    courier: &Courier,
    webhook: &Webhook,
    again: &[Pending],
    how: SendOn,
) -> BTreeSet<usize> {
    let faults = again.iter().map(|pending| pending.faults).max().unwrap_or(0);
    if courier.send_on(webhook, again, SendOn { faults, ..how }).await {
        return BTreeSet::new();
    }
    again.iter().map(|pending| pending.source).collect()
}
