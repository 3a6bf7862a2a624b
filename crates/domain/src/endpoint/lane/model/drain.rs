//! `drain`, for one message of the turns queue.

mod items;

use std::{
    collections::{BTreeSet, VecDeque},
    rc::Rc,
};

use super::{
    actor::{Actor, Failed},
    mutations::Mutation,
    plan::SECOND,
    queue::{Body, Message},
    request::Reply,
    sim::Mailbox,
    violation::Kind,
    world::{Stored, World, Writer},
};
use crate::{
    endpoint::lane::{Claim, Claiming, Outcome, Over, SLOW, Seen, Step, Turn, Verdict, Write},
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
