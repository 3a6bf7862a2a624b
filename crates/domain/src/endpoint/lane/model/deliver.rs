//! `deliver`, for one message of the deliveries queue.

use std::sync::Arc;

use super::{
    actor::{Actor, Failed},
    mutations::Mutation,
    plan::SECOND,
    queue::{Body, Message},
    request::{UnderWay, record, send_again},
    violation::Kind,
    world::{World, Writer, any_event, ms, name, webhook_of},
};
use crate::{
    delivery::{
        attempt::Status,
        companions::Companions,
        sequence::{Move, Pending, Sequence, Situation},
        task::{Due, Task},
    },
    endpoint::{
        backlog::Waiting,
        lane::{Append, AppendStep, Lane, Reason, SLOW, Strike, due_shard},
    },
    id::{BatchId, CauseKind, DeliveryId},
    webhook::rate_limit::Grant,
};

/// The time for which a message is hidden, and for which an invocation lasts.
pub(super) const VISIBILITY: i64 = 60 * SECOND;
pub(super) const LASTS: i64 = 55 * SECOND;

struct Deliver {
    actor: Actor,
    message: Message,
    task: Task<'static>,
    webhook: usize,
}

/// The facts about the webhook, as they were read.
struct Facts {
    is_enabled: bool,
    limit: Option<crate::webhook::rate_limit::RateLimit>,
    lane: Lane,
    looked_at: jiff::Timestamp,
}

pub(super) async fn deliver(actor: Actor, message: Message) {
    let Body::Task(task) = message.body.clone() else { return };
    let webhook = webhook_of(&task);
    let mut this = Deliver { actor, message, task: *task, webhook };
    // After a call that failed the message comes again.
    let _ = this.run().await;
}

impl Deliver {
    async fn run(&mut self) -> Result<(), Failed> {
        if self.task.recorded || self.message.receives > 1 {
            self.task.recorded = true;
            let (left, not_before) = self.actor.call(|world| look_up(world, &self.task)).await?;
            self.task.deliveries = left;
            if not_before > ms(self.actor.now()) + 500 && !self.task.deliveries.is_empty() {
                return self.comes_again_at(not_before).await;
            }
        }
        let mut sequence =
            Sequence { left: self.pending(), batch: self.task.batch, is_fresh: false };
        let mut facts = self.look().await?;
        let mut slot = None;
        let (mut last, mut steps) = (0, 0);
        loop {
            steps = if self.actor.sim.now() == last { steps + 1 } else { 0 };
            last = self.actor.sim.now();
            if steps > 1000 {
                self.actor
                    .world
                    .borrow_mut()
                    .violate(Kind::Spin, || "a delivery goes round".to_owned());
                return Ok(());
            }
            let now = self.actor.now();
            match sequence.next(&self.situation(&facts, slot, now), now) {
                Move::Over => {
                    return self.actor.call(|world| world.delete_task(self.message.number)).await;
                }
                Move::Skip | Move::Shed => {
                    for pending in sequence.left.drain(..) {
                        self.actor
                            .call(|world| world.record(pending.id, Status::Skipped, None))
                            .await?;
                    }
                }
                Move::Wait => self.append(&mut sequence, &facts).await?,
                Move::NoTime => {
                    let left = self.due(sequence.left.drain(..).map(|pending| pending.id));
                    let (rest, depth) = (self.task.with(left), self.message.depth + 1);
                    self.actor.call(|world| world.send_task(rest.clone(), 0, depth)).await?;
                }
                Move::Look => facts = self.look().await?,
                Move::Reserve(limit) => {
                    let reserve =
                        |world: &mut World| world.reserve(self.webhook, limit, 1, self.actor.now());
                    match self.actor.call(reserve).await? {
                        Grant::Slots { first, .. } => slot = Some(first),
                        Grant::Later(_) => self.append(&mut sequence, &facts).await?,
                    }
                }
                Move::RequestAt(at) if at > now => {
                    self.actor.sim.sleep_until(self.actor.truly(at)).await
                }
                Move::RequestAt(_) => {
                    slot = None;
                    if self.request(&mut sequence).await? {
                        return Ok(());
                    }
                }
            }
        }
    }

    fn situation(
        &self,
        facts: &Facts,
        slot: Option<jiff::Timestamp>,
        now: jiff::Timestamp,
    ) -> Situation {
        Situation {
            is_enabled: facts.is_enabled,
            admission: facts.lane.admission(),
            looked_at: Some(facts.looked_at),
            limit: facts.limit,
            slot,
            timeout: self.actor.world.borrow().plan.webhooks[self.webhook].timeout,
            time_left: self.actor.deadline().duration_since(now).try_into().unwrap_or_default(),
        }
    }

    fn pending(&self) -> Vec<Pending> {
        let event = Arc::new(any_event());
        let pending = |due: &Due<'_>| Pending {
            source: 0,
            id: due.id,
            cause: CauseKind::Published,
            event: Arc::clone(&event),
            redriven: false,
            attempts: 0,
            halvings: 0,
            companions: Companions::Any,
            recorded_at: None,
            faults: 0,
        };
        self.task.deliveries.iter().map(pending).collect()
    }

    fn due(&self, ids: impl IntoIterator<Item = DeliveryId>) -> Vec<Due<'static>> {
        let due = |id| self.task.deliveries.iter().find(|due| due.id == id).unwrap().clone();
        ids.into_iter().map(due).collect()
    }

    async fn comes_again_at(&self, at: i64) -> Result<(), Failed> {
        let (number, wait) = (self.message.number, (at - ms(self.actor.now())).max(0));
        self.actor.call(|world| world.hide_task(number, wait)).await
    }

    /// The webhook and its lane are read in one call, but not at one moment.
    async fn look(&self) -> Result<Facts, Failed> {
        let looked_at = self.actor.now();
        let is_lane_first = self.actor.world.borrow_mut().dice.once_in(2);
        let read_lane = || self.actor.call(|world| world.lane(self.webhook));
        let early = if is_lane_first { Some(read_lane().await?) } else { None };
        let webhook = self.actor.call(|world| world.webhooks[self.webhook].clone()).await?;
        let lane = match early {
            Some(lane) => lane,
            None => read_lane().await?,
        };
        let is_enabled = webhook.is_enabled && !webhook.is_gone;
        Ok(Facts { is_enabled, limit: webhook.limit, lane, looked_at })
    }

    /// The items that the message becomes.
    fn items(&self) -> Vec<Waiting> {
        let Body::Task(task) = &self.message.body else { return Vec::new() };
        let mut items = Waiting::of(task, &self.message.id(), self.actor.now());
        for item in &mut items {
            item.task.recorded |= self.task.recorded;
            if self.actor.world.borrow().plan.mutation == Some(Mutation::KeyWithoutSource) {
                item.key.truncate(item.key.rfind('#').unwrap());
            }
        }
        items
    }

    /// Puts what is left into the backlog.
    async fn append(&mut self, sequence: &mut Sequence, facts: &Facts) -> Result<(), Failed> {
        let left: Vec<_> = sequence.left.drain(..).map(|pending| pending.id).collect();
        let mut items = self.items();
        for item in &mut items {
            item.task.deliveries.retain(|due| left.contains(&due.id));
        }
        items.retain(|item| !item.task.deliveries.is_empty());
        let mutation = self.actor.world.borrow().plan.mutation;
        let token = match mutation {
            Some(Mutation::CounterTokens) => "1".to_owned(),
            _ => format!("token-{}", self.actor.sim.next_id()),
        };
        let reason =
            facts.lane.reason.filter(|_| facts.lane.phase.is_some()).unwrap_or(Reason::Limited);
        let mut append = Append::new(reason, token, due_shard(self.webhook as u64));
        let mut before_put = None;
        if mutation == Some(Mutation::CheckBeforePut) {
            before_put = Some(self.actor.call(|world| world.lane(self.webhook)).await?);
        }
        let mut opening = 0;
        loop {
            match append.next() {
                AppendStep::Put => {
                    self.actor.call(|world| world.put(&items, self.message.number)).await?;
                    append.put();
                }
                AppendStep::Look => {
                    let lane = match before_put.take() {
                        Some(lane) => lane,
                        None => self.actor.call(|world| world.lane(self.webhook)).await?,
                    };
                    append.looked(&lane, self.actor.now());
                }
                AppendStep::Open(write, _) => {
                    let open = |world: &mut World| {
                        let outcome = world.write_lane(self.webhook, &write, &Writer::Append);
                        (outcome, world.watch[self.webhook].opening)
                    };
                    let (outcome, at) = self.actor.call(open).await?;
                    opening = at;
                    append.opened(&outcome, self.actor.now());
                }
                AppendStep::Send { token, delay } => {
                    let delay = i64::try_from(delay.as_millis()).unwrap();
                    let depth = self.message.depth + 1;
                    let sent = self.actor.call(|world| {
                        world.send_turn(self.webhook, token.clone(), opening, delay, depth);
                    });
                    // The watchdog has it.
                    let _ = sent.await;
                    append.sent();
                }
                AppendStep::Done => return Ok(()),
            }
        }
    }

    /// Makes the next request. Returns whether the message itself waits for the retry.
    async fn request(&self, sequence: &mut Sequence) -> Result<bool, Failed> {
        let full = self.actor.world.borrow().plan.webhooks[self.webhook].full_request;
        let count = if sequence.batch.is_some() {
            sequence.left.len()
        } else {
            full.min(sequence.left.len())
        };
        let ids: Vec<_> = sequence.left.iter().take(count).map(|pending| pending.id).collect();
        let batch = sequence.batch.or_else(|| BatchId::derive(&ids).filter(|_| count > 1));
        sequence.carry(count, batch);
        let task = Task { batch, ..self.task.with(self.due(ids)) };
        let request = UnderWay::begin(&self.actor, &task, None);
        let mut reply = request.within(SECOND).await;
        match reply {
            Some(reply) if reply.took < SECOND => self.trust().await,
            _ => self.strike().await,
        }
        while reply.is_none() {
            reply = request.within(i64::MAX / 2).await;
        }
        let Some(again) = record(&self.actor, &task, reply.unwrap(), None).await? else {
            return Ok(false);
        };
        send_again(&self.actor, &again, self.message.depth).await?;
        Ok(false)
    }

    /// The strike that the environment which made a request sees in it.
    fn noted(&self, took: std::time::Duration) -> Option<Strike> {
        let world = &mut *self.actor.world.borrow_mut();
        let environment = usize::try_from(self.actor.group % 3).unwrap();
        let host = format!("host-{}", self.webhook);
        world.evidence[environment].note(&self.task.webhook, &host, took, self.actor.now())
    }

    /// Notes a quick request.
    async fn trust(&self) {
        self.noted(std::time::Duration::ZERO);
        let Ok(lane) = self.actor.call(|world| world.lane(self.webhook)).await else { return };
        let Some(write) = lane.trust() else { return };
        let _ = self
            .actor
            .call(|world: &mut World| world.write_lane(self.webhook, &write, &Writer::Strike))
            .await;
    }

    /// Notes a slow request.
    async fn strike(&self) {
        let Some(kind) = self.noted(SLOW) else { return };
        let mut lane = self.actor.call(|world| world.lane(self.webhook)).await;
        for _try in 0..3 {
            let Ok(seen) = lane else { return };
            let Some(write) = seen.strike(kind, self.actor.now()) else { return };
            let strike =
                |world: &mut World| world.write_lane(self.webhook, &write, &Writer::Strike);
            match self.actor.call(strike).await {
                Ok(crate::endpoint::lane::Outcome::Refused(current)) => lane = Ok(current),
                _ => return,
            }
        }
    }
}

/// The deliveries that a task still asks for, by their records, and the time at which they are due.
pub(super) fn look_up(world: &mut World, task: &Task<'static>) -> (Vec<Due<'static>>, i64) {
    let mut not_before = 0;
    let mut left = Vec::new();
    for due in &task.deliveries {
        match world.record_of(due.id) {
            Some(record) if record.is_final() => world.note(|| format!("{} is over", name(due.id))),
            record => {
                not_before = not_before.max(record.map_or(0, |record| record.not_before));
                left.push(due.clone());
            }
        }
    }
    (left, not_before)
}
