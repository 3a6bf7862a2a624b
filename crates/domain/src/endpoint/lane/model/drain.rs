//! `drain`, for one message of the turns queue.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    rc::Rc,
};

use super::{
    actor::{Actor, Failed},
    deliver::look_up,
    mutations::Mutation,
    plan::SECOND,
    queue::{Body, Message},
    request::{Reply, UnderWay, record, send_again},
    sim::Mailbox,
    violation::Kind,
    world::{Stored, World, Writer},
};
use crate::{
    delivery::{attempt::Status, task::Task},
    endpoint::{
        backlog::is_forgotten,
        lane::{Claim, Claiming, Outcome, Over, SLOW, Seen, Step, Turn, Verdict, Write},
    },
    id::BatchId,
    webhook::rate_limit::{Grant, RateLimit},
};

pub(super) const VISIBILITY: i64 = 75 * SECOND;
pub(super) const LASTS: i64 = 60 * SECOND;

/// The result of a request, as the turn is told it.
struct Ended {
    reply: Reply,
    /// The item that is ready again, shortened.
    again: Option<(String, Stored)>,
    has_failed: bool,
}

struct Drain {
    actor: Actor,
    message: Message,
    webhook: usize,
    me: String,
    mutation: Option<Mutation>,
    /// The items that were read and are not begun.
    ready: VecDeque<(String, Stored)>,
    /// The keys of all that was read and is not disposed of.
    at_hand: BTreeSet<String>,
    mailbox: Rc<Mailbox<Ended>>,
    seen: Option<Seen>,
}

pub(super) async fn drain(actor: Actor, message: Message) {
    let Body::Turn { webhook, token, opening } = message.body.clone() else { return };
    let me = format!("turn-{}", actor.sim.next_id());
    let sqs = crate::endpoint::lane::Message {
        id: message.id(),
        token,
        receives: message.receives,
        sent: super::world::at(message.sent),
    };
    let until = actor.deadline() - std::time::Duration::from_secs(2);
    let claiming = Claiming::new(sqs, me.clone(), until, actor.deadline());
    let mutation = actor.world.borrow().plan.mutation;
    let write = claiming.write(actor.now());
    let write =
        mutation.map_or_else(|| write.clone(), |mutation| mutation.of_claim(&write, actor.now()));
    let claim = Writer::Claim { group: actor.group, opening };
    let Ok(outcome) = actor.call(|world| world.write_lane(webhook, &write, &claim)).await else {
        return;
    };
    let now = actor.now();
    let mine = |holder: &Option<String>| holder.as_deref() == Some(&message.id());
    let leased = matches!(
        &outcome,
        Outcome::Refused(lane) if mine(&lane.holder) && lane.lease_until.is_some_and(|lease| lease >= now)
    );
    let number = message.number;
    match claiming.outcome(outcome, now) {
        Claim::Mine(turn) => {
            let mailbox = Mailbox::new();
            let (ready, at_hand) = Default::default();
            let mut this = Drain {
                actor,
                message,
                webhook,
                me,
                mutation,
                ready,
                at_hand,
                mailbox,
                seen: None,
            };
            this.work(*turn).await;
        }
        Claim::Done => {
            let _ = actor.call(|world| world.turns.messages.remove(&number)).await;
        }
        Claim::RetryIn(wait) => {
            if leased && actor.world.borrow().is_calm() {
                actor.world.borrow_mut().check_handover(webhook);
            }
            // Rounded up: what comes too early comes once more.
            let wait = i64::try_from(wait.as_millis().div_ceil(1000)).unwrap() * SECOND;
            let _ = actor.call(|world| world.hide_turn(number, wait)).await;
        }
    }
}

impl Drain {
    async fn work(&mut self, mut turn: Turn) {
        let (mut last, mut steps) = (0, 0);
        loop {
            let now = self.actor.sim.now();
            steps = if now == last { steps + 1 } else { 0 };
            last = now;
            if steps > 1000 {
                let step = turn.next(self.actor.now());
                self.actor
                    .world
                    .borrow_mut()
                    .violate(Kind::Spin, || format!("a turn does {step:?} again and again"));
            }
            while let Some(ended) = self.mailbox.take() {
                self.ended(&mut turn, ended);
            }
            let step = turn.next(self.actor.now());
            if let Step::Over(over) = step {
                return self.over(over).await;
            }
            if self.carry_out(&mut turn, step).await.is_err() {
                turn.failed();
            }
            if self.actor.world.borrow().violation.is_some() {
                return;
            }
        }
    }

    fn ended(&mut self, turn: &mut Turn, ended: Ended) {
        let Reply { mut answer, mut took, .. } = ended.reply;
        let is_slow = took >= i64::try_from(SLOW.as_millis()).unwrap();
        {
            let watch = &mut self.actor.world.borrow_mut().watch[self.webhook];
            watch.quick = if is_slow { 0 } else { watch.quick + 1 };
        }
        match self.mutation {
            Some(Mutation::WindowShrinksOnLatency) if is_slow && answer == Verdict::Answered => {
                answer = Verdict::Overloaded;
            }
            Some(Mutation::LeavesOnlyWhenEmpty) => took = took.max(SECOND),
            _ => {}
        }
        let took = std::time::Duration::from_millis(u64::try_from(took).unwrap());
        let again = usize::from(ended.again.is_some());
        self.ready.extend(ended.again);
        turn.answered(answer, took, again, self.actor.now());
        if ended.has_failed {
            turn.failed();
        }
    }

    async fn over(&self, over: Over) {
        let number = self.message.number;
        let settled = match over {
            Over::Done => self.actor.call(|world| drop(world.turns.messages.remove(&number))).await,
            // Written before: see `carry_out`.
            Over::RetryIn(_) if self.mutation == Some(Mutation::VisibilityFirst) => Ok(()),
            Over::RetryIn(wait) => {
                let wait = i64::try_from(wait.as_millis()).unwrap();
                self.actor.call(|world| world.hide_turn(number, wait)).await
            }
        };
        // The message comes again by itself.
        let _ = settled;
    }

    async fn carry_out(&mut self, turn: &mut Turn, step: Step) -> Result<(), Failed> {
        let webhook = self.webhook;
        match step {
            Step::Look => self.look(turn).await?,
            Step::Read(count) => self.read(turn, count).await?,
            Step::Count => {
                self.actor.call(|_| ()).await?;
                turn.counted(false, self.actor.now());
            }
            Step::Reserve(count) => {
                let Some(Seen::Enabled(terms)) = self.seen.clone() else {
                    unreachable!("a limit was seen")
                };
                let limit: RateLimit = terms.limit.unwrap();
                let reserve =
                    |world: &mut World| world.reserve(webhook, limit, count, self.actor.now());
                match self.actor.call(reserve).await? {
                    Grant::Slots { first, count } => {
                        turn.reserved(limit.slots(first, count).collect(), None)
                    }
                    Grant::Later(next) => turn.reserved(Vec::new(), Some(next)),
                }
            }
            Step::Send => self.send(turn).await,
            Step::Pour(count) => self.pour(turn, count).await?,
            Step::Skip | Step::Purge => self.skip(turn).await?,
            Step::Wait(until) => {
                self.mailbox.wait_until(&self.actor.sim, self.actor.truly(until)).await
            }
            Step::Write(write) => {
                let outcome = self.write(&write).await?;
                turn.wrote(outcome, self.actor.now());
            }
            Step::LookAgain if self.mutation == Some(Mutation::NoSecondLook) => {
                turn.looked_again(true)
            }
            Step::LookAgain => {
                let is_empty = self.actor.call(|world| world.backlog[webhook].is_empty()).await?;
                turn.looked_again(is_empty);
            }
            Step::Over(_) => {}
        }
        Ok(())
    }

    /// The webhook and its lane are read in one call, but not at one moment.
    async fn look(&mut self, turn: &mut Turn) -> Result<(), Failed> {
        let (now, webhook) = (self.actor.now(), self.webhook);
        let is_lane_first = self.actor.world.borrow_mut().dice.once_in(2);
        let mut lane = None;
        if is_lane_first {
            lane = Some(self.actor.call(|world| world.lane(webhook)).await?);
        }
        let seen = self.actor.call(|world| world.seen(webhook)).await?;
        let lane = match lane {
            Some(lane) => lane,
            None => self.actor.call(|world| world.lane(webhook)).await?,
        };
        self.actor.world.borrow_mut().watch[webhook].seen = Some(seen.clone());
        self.seen = Some(seen.clone());
        turn.looked(seen, lane, now);
        Ok(())
    }

    /// The number that an item counts for a turn: its deliveries for a list, one request for other
    /// formats.
    fn weight(&self, task: &Task<'_>) -> usize {
        if self.full_request() > 1 { task.deliveries.len() } else { 1 }
    }

    fn full_request(&self) -> usize {
        self.actor.world.borrow().plan.webhooks[self.webhook].full_request
    }

    async fn read(&mut self, turn: &mut Turn, count: usize) -> Result<(), Failed> {
        let (webhook, at_hand) = (self.webhook, &self.at_hand);
        let (mut items, is_end) = self
            .actor
            .call(|world| {
                let mut left =
                    world.backlog[webhook].iter().filter(|(key, _)| !at_hand.contains(*key));
                let items: Vec<_> = left
                    .by_ref()
                    .take(count)
                    .map(|(key, item)| (key.clone(), item.clone()))
                    .collect();
                (items, left.next().is_none())
            })
            .await?;
        self.at_hand.extend(items.iter().map(|(key, _)| key.clone()));
        let is_unclean = turn.is_unclean();
        let read: usize = items.iter().map(|(_, item)| self.weight(&item.task)).sum();
        turn.read(read, is_end, self.actor.now());
        // What a turn that died had begun may be recorded already, and so may what was received
        // more than once.
        let mut kept = VecDeque::new();
        while let Some((key, mut item)) = items.pop() {
            let is_forgotten = is_forgotten(item.since, turn.opened_at());
            if !is_unclean && !is_forgotten && !item.task.recorded {
                kept.push_front((key, item));
                continue;
            }
            let (left, not_before) = self.actor.call(|world| look_up(world, &item.task)).await?;
            let wait = not_before - self.actor.sim.now();
            if !left.is_empty() && wait <= 500 {
                let weight = self.weight(&item.task);
                item.task = Task { recorded: true, ..item.task.with(left) };
                turn.dropped(weight - self.weight(&item.task));
                kept.push_front((key, item));
                continue;
            }
            if !left.is_empty() {
                let wait = std::time::Duration::from_millis(u64::try_from(wait).unwrap());
                let task = Task { recorded: true, ..item.task.with(left) };
                send_again(&self.actor, &super::request::Again { wait, task }, self.message.depth)
                    .await?;
            }
            self.actor.call(|world| world.delete_item(webhook, &key, &item)).await?;
            turn.dropped(self.weight(&item.task));
        }
        self.ready.extend(kept);
        Ok(())
    }

    /// Begins a request for the next item, or for as many fresh ones as a list takes.
    async fn send(&mut self, turn: &mut Turn) {
        let full = self.full_request();
        let mut items = Vec::new();
        let mut deliveries = Vec::new();
        while let Some((key, item)) = self.ready.pop_front() {
            let is_single = item.task.batch.is_none() && !item.task.recorded;
            let fits = items.is_empty() || (is_single && full > 1 && deliveries.len() < full);
            if !fits {
                self.ready.push_front((key, item));
                break;
            }
            let count =
                if full > 1 || item.task.batch.is_some() { item.task.deliveries.len() } else { 1 };
            deliveries.extend(item.task.deliveries.iter().take(count).cloned());
            items.push((key, item));
            if !is_single || full == 1 {
                break;
            }
        }
        let Some((_, first)) = items.first() else {
            // What was ready was dropped by a call that failed.
            return turn.failed();
        };
        let ids: Vec<_> = deliveries.iter().map(|due| due.id).collect();
        let batch = first.task.batch.or_else(|| BatchId::derive(&ids).filter(|_| ids.len() > 1));
        let task = Task { batch, ..first.task.with(deliveries) };
        let window = if turn.circuit_until().is_some() { 1 } else { turn.window.size() };
        let request = UnderWay::begin(&self.actor, &task, Some(window));
        turn.began(if full > 1 { task.deliveries.len() } else { 1 });
        let (actor, mailbox) = (self.actor.clone(), Rc::clone(&self.mailbox));
        let (webhook, depth, circuit) = (self.webhook, self.message.depth, turn.circuit_until());
        self.actor.sim.spawn(self.actor.group, async move {
            let reply = request.within(i64::MAX / 2).await.unwrap();
            let settled = settle(&actor, webhook, items, &task, reply, circuit, depth).await;
            let has_failed = settled.is_err();
            mailbox
                .post(&actor.sim, Ended { reply, again: settled.unwrap_or_default(), has_failed });
        });
        let cost = self.actor.world.borrow().plan.cost_of_a_request;
        self.actor.sleep(cost).await;
    }

    /// Hands items back to the deliveries queue: first the messages, then the deletes.
    async fn pour(&mut self, turn: &mut Turn, count: usize) -> Result<(), Failed> {
        let mut count = count;
        let mut items = Vec::new();
        while let Some((_, item)) = self.ready.front()
            && (self.weight(&item.task) <= count || items.is_empty())
        {
            count = count.saturating_sub(self.weight(&item.task));
            items.extend(self.ready.pop_front());
        }
        let depth = self.message.depth + 1;
        self.actor
            .call(|world| {
                for (_, item) in &items {
                    world.send_task(item.task.clone(), 0, depth);
                }
            })
            .await?;
        self.dispose(turn, &items).await
    }

    async fn skip(&mut self, turn: &mut Turn) -> Result<(), Failed> {
        let items: Vec<_> = self.ready.drain(..).collect();
        for due in items.iter().flat_map(|(_, item)| &item.task.deliveries) {
            self.actor.call(|world| world.record(due.id, Status::Skipped, None)).await?;
        }
        self.dispose(turn, &items).await
    }

    async fn dispose(&self, turn: &mut Turn, items: &[(String, Stored)]) -> Result<(), Failed> {
        let webhook = self.webhook;
        let delete = |world: &mut World| {
            items.iter().for_each(|(key, item)| world.delete_item(webhook, key, item))
        };
        self.actor.call(delete).await?;
        turn.disposed(
            items.iter().map(|(_, item)| self.weight(&item.task)).sum(),
            self.actor.now(),
        );
        Ok(())
    }

    async fn write(&self, write: &Write) -> Result<Outcome, Failed> {
        let (now, number) = (self.actor.now(), self.message.number);
        let changed =
            self.mutation.map_or_else(|| write.clone(), |mutation| mutation.of_write(write));
        if self.mutation == Some(Mutation::VisibilityFirst)
            && let Some(wait) = Mutation::handover(write, now)
        {
            self.actor.call(|world| world.hide_turn(number, wait)).await?;
        }
        let writer = Writer::Turn { group: self.actor.group, me: self.me.clone() };
        self.actor.call(|world| world.write_lane(self.webhook, &changed, &writer)).await
    }
}

/// Carries the consequences of a request out: records it, sends a retry on, and deletes the items.
/// Returns the item that is ready again.
async fn settle(
    actor: &Actor,
    webhook: usize,
    items: Vec<(String, Stored)>,
    task: &Task<'static>,
    reply: Reply,
    circuit: Option<jiff::Timestamp>,
    depth: u32,
) -> Result<Option<(String, Stored)>, Failed> {
    if let Some(again) = record(actor, task, reply, circuit).await? {
        send_again(actor, &again, depth).await?;
    }
    let carried: BTreeMap<_, ()> = task.deliveries.iter().map(|due| (due.id, ())).collect();
    let mut ready = None;
    for (key, item) in items {
        let rest: Vec<_> = item
            .task
            .deliveries
            .iter()
            .filter(|due| !carried.contains_key(&due.id))
            .cloned()
            .collect();
        if rest.is_empty() {
            actor.call(|world| world.delete_item(webhook, &key, &item)).await?;
        } else {
            let rest = Task { recorded: true, ..item.task.with(rest) };
            actor.call(|world| world.shorten(webhook, &key, &rest)).await?;
            ready = Some((key, Stored { task: rest, ..item }));
        }
    }
    Ok(ready)
}
