//! Carrying out one turn.

use std::time::Duration;

use anyhow::Context;
use futures::{future::LocalBoxFuture, stream::FuturesUnordered};
use posthaste_delivery::Client;
use posthaste_domain::endpoint::lane::{Over, Seen, State, Step, Turn, TurnMessage};
use posthaste_queue::Message;
use posthaste_runtime::{batch::Fate, clock, deadline::Deadline};
use posthaste_store::Reserved;

use crate::{drain::Drain, hand::Hand, requests::Event};

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
    pub(crate) me: String,
    pub(crate) deadline: Deadline,
    /// None if the webhook is gone.
    pub(crate) client: Option<Client>,
    pub(crate) seen: Option<Seen>,
    pub(crate) hand: Hand,
    /// The number of items that could not be read or settled since the backlog's beginning was
    /// read.
    pub(crate) unreadable: usize,
    /// It says whether the turn before did not end, so that what it had begun may have been
    /// recorded.
    pub(crate) is_unclean: bool,
    /// It says whether this turn must not end as one that has put everything away.
    pub(crate) is_given_up: bool,
    /// It says whether a fault of ours has kept something from being done.
    has_failed: bool,
    pub(crate) requests: u64,
    /// The state of the lane that was told last.
    told: Option<State>,
    pub(crate) under_way: FuturesUnordered<LocalBoxFuture<'d, Event>>,
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
    pub(crate) fn failed(&mut self) {
        self.has_failed = true;
        self.turn.failed();
    }

    async fn look(&mut self) -> anyhow::Result<()> {
        let asked = &self.asked.webhook;
        let courier = &self.drain.courier;
        let (mut webhooks, mut lanes) = courier
            .deliveries
            .lanes
            .with_webhooks(&courier.registry, std::slice::from_ref(asked))
            .await;
        let client = courier.clients(&mut webhooks).await.remove(asked);
        if webhooks.unread.contains(asked) || lanes.unread.contains(asked) {
            anyhow::bail!("the webhook or its lane could not be read");
        }
        if let Some(client) = &client {
            courier.tell_untold_disabling(&client.webhook).await;
        }
        let was_pouring = self.turn.is_pouring();
        let seen = Seen::of(client.as_ref().map(|client| &client.webhook));
        self.turn.looked(seen.clone(), lanes.items.remove(asked).unwrap_or_default(), clock::now());
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
        self.turn.read(found, is_end, clock::now());
        Ok(())
    }

    async fn count(&mut self) -> anyhow::Result<()> {
        let is_full = self
            .drain
            .courier
            .deliveries
            .backlogs
            .has_at_least(&self.asked.webhook, self.drain.max_waiting)
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
        match self
            .drain
            .courier
            .deliveries
            .slots
            .reserve(&self.asked.webhook, limit, count, clock::now())
            .await?
        {
            Reserved::Slots(slots) => self.turn.reserved(slots, None),
            Reserved::Later(next) => self.turn.reserved(Vec::new(), Some(next)),
        }
        Ok(())
    }

    /// Hands items back to the deliveries queue: each is sent first, and deleted then.
    async fn pour(&mut self, count: usize) -> anyhow::Result<()> {
        let mut numbers = Vec::new();
        let mut messages = Vec::new();
        for _ in 0..count {
            let Some(number) = self.hand.next_item() else { break };
            let Some(waiting) = self.hand.waiting(number) else { continue };
            let recorded = self.may_have_records(waiting);
            let task = posthaste_domain::delivery::task::Task { recorded, ..waiting.task.clone() };
            messages.push(Message::new(task.message()?, self.asked.webhook.workspace.to_string()));
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
        let (before, was_pouring) = (self.turn.state(), self.turn.is_pouring());
        let outcome = self.drain.courier.deliveries.lanes.write(&self.asked.webhook, write).await?;
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
        let is_empty = self.drain.courier.deliveries.backlogs.is_empty(&self.asked.webhook).await?;
        self.turn.looked_again(is_empty);
        Ok(())
    }
}
