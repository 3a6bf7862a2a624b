//! Carrying out one turn.

use std::{collections::BTreeSet, time::Duration};

use anyhow::Context;
use futures::{StreamExt, future::LocalBoxFuture, stream::FuturesUnordered};
use posthaste_delivery::{Answered, Client, Concluded, Concluding, SendOn};
use posthaste_domain::{
    Timestamp,
    delivery::sequence::{Carried, Pending, Way, sent_on, way},
    endpoint::lane::{Over, Seen, State, Step, Turn, TurnMessage, Verdict},
    id::BatchId,
};
use posthaste_queue::{MAX_DELAY, Message};
use posthaste_runtime::{batch::Fate, clock, deadline::Deadline};
use posthaste_store::{Backlog, Reserved};

use crate::{
    drain::Drain,
    hand::{Carrying, Hand, Ready},
};

/// Items are deleted when there are this many: as many as one call takes.
const DELETED_TOGETHER: usize = 25;
/// A turn looks for room for a further request after each of these pauses.
const ROOM_EVERY: Duration = Duration::from_millis(50);
/// The fate of a message whose turn can't be settled: the lease ends, and the next turn reads the
/// records first.
const ABANDONED: Fate = Fate::OurFault(Duration::from_secs(10));

/// A turn at work.
pub(crate) struct Working<'d> {
    pub(crate) drain: &'d Drain,
    pub(crate) asked: &'d TurnMessage,
    pub(crate) turn: Turn,
    me: String,
    deadline: Deadline,
    /// None if the webhook is gone.
    pub(crate) client: Option<Client>,
    pub(crate) seen: Option<Seen>,
    pub(crate) hand: Hand,
    /// The number of items that could not be read since the backlog's beginning was read.
    pub(crate) unreadable: usize,
    /// It says whether the turn before did not end, so that what it had begun may have been
    /// recorded.
    pub(crate) is_unclean: bool,
    /// It says whether this turn must not end as one that has put everything away.
    pub(crate) is_given_up: bool,
    /// It says whether a fault of ours has kept something from being done.
    has_failed: bool,
    requests: u64,
    /// The state of the lane that was told last.
    told: Option<State>,
    under_way: FuturesUnordered<LocalBoxFuture<'d, Event>>,
}

/// The news of a request.
enum Event {
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

impl<'d> Working<'d> {
    pub(crate) fn new(
        drain: &'d Drain,
        asked: &'d TurnMessage,
        turn: Turn,
        me: &str,
        deadline: Deadline,
    ) -> Self {
        Self {
            drain,
            asked,
            is_unclean: turn.is_unclean(),
            turn,
            me: me.to_owned(),
            deadline,
            client: None,
            seen: None,
            hand: Hand::default(),
            unreadable: 0,
            is_given_up: false,
            has_failed: false,
            requests: 0,
            told: None,
            under_way: FuturesUnordered::new(),
        }
    }

    /// Goes on until the turn is over, and answers what becomes of its message. When the time is
    /// over, the lease ends by itself.
    pub(crate) async fn go_on(mut self) -> Fate {
        let deadline = self.deadline.instant();
        match tokio::time::timeout_at(deadline, self.carry_out()).await {
            Ok(fate) => fate,
            Err(_) => {
                tracing::error!("a turn ran out of time");
                ABANDONED
            }
        }
    }

    async fn carry_out(&mut self) -> Fate {
        loop {
            let step = self.turn.next(clock::now());
            // Nothing may be left undeleted when the lane is written: the next turn would not know
            // that it is done.
            if matches!(step, Step::Write(_)) && !self.put_away().await {
                return ABANDONED;
            }
            let done = match step {
                Step::Over(Over::Done) => return Fate::Done,
                Step::Over(Over::RetryIn(wait)) if self.has_failed => return Fate::OurFault(wait),
                Step::Over(Over::RetryIn(wait)) => return Fate::RetryIn(wait),
                Step::Wait(until) => {
                    self.wait(until).await;
                    continue;
                }
                Step::Look => self.look().await,
                Step::Read(limit) => self.read_page(limit).await,
                Step::Count => self.count().await,
                Step::Reserve(count) => self.reserve(count).await,
                Step::Send => {
                    if !self.begin() {
                        // The turns of this invocation have as much under way as it can carry.
                        self.wait(clock::now() + ROOM_EVERY).await;
                    }
                    continue;
                }
                Step::Pour(count) => self.pour(count).await,
                Step::Skip | Step::Purge => self.dispose_of_all().await,
                Step::Write(write) => self.write(&write).await,
                Step::LookAgain => self.look_again().await,
            };
            if let Err(error) = done {
                tracing::error!(error = %format!("{error:#}"), "a turn met a fault of ours");
                self.failed();
            }
        }
    }

    /// Something could not be done, and the turn ends.
    fn failed(&mut self) {
        self.has_failed = true;
        self.turn.failed();
    }

    pub(crate) fn backlog(&self) -> Backlog<'d> {
        Backlog { workspace: &self.asked.workspace, webhook: self.asked.webhook }
    }

    async fn look(&mut self) -> anyhow::Result<()> {
        let owner = (self.asked.workspace.clone(), self.asked.webhook);
        let courier = &self.drain.courier;
        let (mut webhooks, mut lanes) = courier
            .deliveries
            .lanes
            .with_webhooks(&courier.registry, std::slice::from_ref(&owner))
            .await;
        let client = courier.clients(&mut webhooks).await.remove(&self.asked.webhook);
        if webhooks.unread.contains(&owner) || lanes.unread.contains(&owner) {
            anyhow::bail!("the webhook or its lane could not be read");
        }
        if let Some(client) = &client {
            courier.tell_untold_disabling(&client.webhook).await;
        }
        let was_pouring = self.turn.is_pouring();
        let seen = Seen::of(client.as_ref().map(|client| &client.webhook));
        self.turn.looked(
            seen.clone(),
            lanes.items.remove(&owner).unwrap_or_default(),
            clock::now(),
        );
        // What is at hand was made ready for what the turn did before.
        let is_new = self.seen.as_ref().is_some_and(|before| *before != seen);
        if (is_new || was_pouring != self.turn.is_pouring()) && self.put_away().await {
            self.lay_down();
        }
        (self.client, self.seen) = (client, Some(seen));
        Ok(())
    }

    fn lay_down(&mut self) {
        let count = self.hand.lay_down();
        self.turn.dropped(count);
    }

    async fn read_page(&mut self, limit: usize) -> anyhow::Result<()> {
        let (found, is_end) = self.read(limit).await?;
        // The backlog was read from its beginning to its end: nothing of the turn before is left
        // unread.
        self.is_unclean &= !is_end;
        self.turn.read(found, is_end, clock::now());
        Ok(())
    }

    async fn count(&mut self) -> anyhow::Result<()> {
        let is_full = self
            .drain
            .courier
            .deliveries
            .backlogs
            .has_at_least(self.backlog(), self.drain.max_waiting)
            .await?;
        if is_full {
            tracing::warn!("a backlog is full: what comes is skipped");
        }
        self.turn.counted(is_full, clock::now());
        Ok(())
    }

    async fn reserve(&mut self, count: u32) -> anyhow::Result<()> {
        let client = self.client.as_ref().context("a webhook that is gone has no limit")?;
        let Some(limit) = client.webhook.rate_limit() else { return Ok(()) };
        let (workspace, id) = (&self.asked.workspace, self.asked.webhook);
        match self
            .drain
            .courier
            .deliveries
            .slots
            .reserve(workspace, id, limit, count, clock::now())
            .await?
        {
            Reserved::Slots(slots) => self.turn.reserved(slots, None),
            Reserved::Later(next) => self.turn.reserved(Vec::new(), Some(next)),
        }
        Ok(())
    }

    /// Begins the next request. False where the invocation has no room for one more.
    fn begin(&mut self) -> bool {
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
    async fn wait(&mut self, until: Timestamp) {
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
                    tracing::error!(error = %format!("{error:#}"), "what is done could not be \
                        deleted yet");
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
        let (drain, backlog) = (self.drain, self.backlog());
        let Answered::Attempt(answer) = answered else {
            let items: Vec<_> =
                sources.iter().filter_map(|source| self.hand.waiting(*source).cloned()).collect();
            self.under_way.push(Box::pin(async move {
                // A fault of ours is counted with the item: in the end it is the endpoint's.
                for item in items {
                    let mut task = item.task;
                    task.faults += 1;
                    if let Err(error) =
                        drain.courier.deliveries.backlogs.rewrite(backlog, &item.key, &task).await
                    {
                        tracing::error!(%error, "a fault of ours could not be counted");
                    }
                }
                let ready = Ready { item: ready.item, sequence: Default::default() };
                let (verdict, took) = (Verdict::OurFault, Duration::ZERO);
                Event::Concluded { ready, verdict, took, settled: Err(()), carried: carrying }
            }));
            return;
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
            let (courier, webhook) = (&drain.courier, &client.webhook);
            let batch = carried.batch;
            let concluding = Concluding {
                attempt_id: &attempt_id,
                circuit,
                passes,
                is_handed_on: false,
                deadline,
            };
            let Concluded { again, wait, due_at, exhausted, mut unsettled } =
                courier.conclude(webhook, carried, &answer, concluding).await;
            unsettled.extend(
                courier.give_up(webhook, &exhausted, batch, answer.attempt.error.as_ref()).await,
            );
            let again = sent_on(again, &unsettled);
            if way(wait, false) == Way::Parked {
                unsettled.extend(courier.park(webhook, &again, batch, due_at).await);
            } else if !again.is_empty() {
                let faults = again.iter().map(|pending| pending.faults).max().unwrap_or(0);
                let how = SendOn { batch, recorded: true, passes, faults, delay: wait };
                if !courier.send_on(webhook, &again, how).await {
                    unsettled.extend(again.iter().map(|pending| pending.source));
                }
            }
            courier.note_health(webhook, &answer.attempt).await;
            Event::Concluded { ready, verdict, took, settled: Ok(unsettled), carried: carrying }
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

    /// Hands items back to the deliveries queue: each is sent first, and deleted then.
    async fn pour(&mut self, count: usize) -> anyhow::Result<()> {
        let mut numbers = Vec::new();
        let mut messages = Vec::new();
        for _ in 0..count {
            let Some(number) = self.hand.next_item() else { break };
            let Some(waiting) = self.hand.waiting(number) else { continue };
            // Where the turn before did not end, something may have been done for it.
            let recorded = waiting.task.recorded || self.is_unclean;
            let task = posthaste_domain::delivery::task::Task { recorded, ..waiting.task.clone() };
            messages.push(Message::new(task.message()?, self.asked.workspace.to_string()));
            numbers.push(number);
        }
        let failed = self.drain.courier.tasks.send(&messages).await;
        for (nth, number) in numbers.iter().enumerate() {
            match failed.iter().find(|(at, _)| *at == nth) {
                None => self.hand.close(*number),
                Some((_, error)) => {
                    tracing::error!(%error, "a delivery could not be handed back");
                    self.has_failed = true;
                    self.hand.leave(*number);
                }
            }
        }
        self.delete_done(0).await?;
        self.turn.disposed(count, clock::now());
        Ok(())
    }

    /// The webhook was paused or deleted: what is at hand is read again, and disposed of then.
    async fn dispose_of_all(&mut self) -> anyhow::Result<()> {
        self.lay_down();
        Ok(())
    }

    async fn write(
        &mut self,
        write: &posthaste_domain::endpoint::lane::Write,
    ) -> anyhow::Result<()> {
        let (workspace, id) = (&self.asked.workspace, self.asked.webhook);
        let (before, was_pouring) = (self.turn.state(), self.turn.is_pouring());
        let outcome = self.drain.courier.deliveries.lanes.write(workspace, id, write).await?;
        self.turn.wrote(outcome, clock::now());
        if was_pouring && !self.turn.is_pouring() {
            // What is at hand was made ready to be handed on, and not to be sent.
            self.lay_down();
        }
        let state = self.turn.state();
        if state != self.told.unwrap_or(before) {
            tracing::info!(lane.state = state.name(), "a lane has changed");
        }
        self.told = Some(state);
        Ok(())
    }

    async fn look_again(&mut self) -> anyhow::Result<()> {
        let is_empty = self.drain.courier.deliveries.backlogs.is_empty(self.backlog()).await?;
        self.turn.looked_again(is_empty);
        Ok(())
    }
}
