//! A request, and what follows it: the same in `deliver` and in `drain`.

use std::{cell::Cell, time::Duration};

use super::{
    actor::{Actor, Failed},
    check::Begin,
    plan::Behaviour,
    world::{World, ms, webhook_of},
};
use crate::{
    delivery::{
        attempt::{Next, Status, after_failure},
        sequence::{Way, way},
        task::Task,
    },
    endpoint::lane::Verdict,
    id::DeliveryId,
};

/// The reply to a request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reply {
    pub(super) answer: Verdict,
    pub(super) is_success: bool,
    pub(super) took: i64,
}

/// A request that is under way: it ends, or dies with its invocation.
pub(super) struct UnderWay {
    actor: Actor,
    webhook: usize,
    is_turn: bool,
    reply: Reply,
    ends: i64,
    has_ended: Cell<bool>,
}

impl UnderWay {
    /// Begins a request for these deliveries; a turn says how many it may have under way.
    pub(super) fn begin(actor: &Actor, task: &Task<'_>, room: Option<u32>) -> Self {
        let world = &mut *actor.world.borrow_mut();
        let webhook = webhook_of(task);
        let deliveries: Vec<DeliveryId> = task.deliveries.iter().map(|due| due.id).collect();
        let turn = room.map(|room| (actor.group, actor.ends, room));
        world.begin(&Begin { webhook, deliveries: &deliveries, turn });
        let reply = reply(world, webhook);
        let ends = world.now() + reply.took;
        Self {
            actor: actor.clone(),
            webhook,
            is_turn: turn.is_some(),
            reply,
            ends,
            has_ended: Cell::new(false),
        }
    }

    /// Waits for the end of the request, at most for so long. Returns the reply.
    pub(super) async fn within(&self, ms: i64) -> Option<Reply> {
        let until = self.ends.min(self.actor.sim.now().saturating_add(ms));
        self.actor.sim.sleep_until(until).await;
        if until < self.ends {
            return None;
        }
        self.end();
        Some(self.reply)
    }

    fn end(&self) {
        if self.is_turn && !self.has_ended.replace(true) {
            let world = &mut *self.actor.world.borrow_mut();
            *world.watch[self.webhook].under_way.get_mut(&self.actor.group).unwrap() -= 1;
        }
    }
}

fn reply(world: &mut World, webhook: usize) -> Reply {
    let now = world.now();
    let timeout = i64::try_from(world.plan.webhooks[webhook].timeout.as_millis()).unwrap();
    let dice = &mut world.dice;
    let behaviour = match world.plan.behaviour(webhook, now) {
        Behaviour::Any => dice.pick(&[
            Behaviour::Quick,
            Behaviour::Slow(1500),
            Behaviour::Hangs,
            Behaviour::Fails,
        ]),
        behaviour => behaviour,
    };
    let quick = dice.between(5, 150);
    let (answer, is_success, took) = match behaviour {
        Behaviour::Quick | Behaviour::Any => (Verdict::Answered, true, quick),
        Behaviour::Slow(took) => (Verdict::Answered, true, took),
        Behaviour::Hangs => (Verdict::TimedOut, false, timeout),
        Behaviour::Fails => (Verdict::Answered, false, quick),
        Behaviour::Busy => (Verdict::Overloaded, false, quick),
    };
    Reply { answer, is_success, took }
}

/// The retry of a failed request.
pub(super) struct Again {
    pub(super) wait: Duration,
    pub(super) task: Task<'static>,
}

/// Records the reply with each delivery, in up to three tries. Returns the deliveries that are
/// tried again.
pub(super) async fn record(
    actor: &Actor,
    task: &Task<'static>,
    reply: Reply,
    circuit: Option<jiff::Timestamp>,
) -> Result<Option<Again>, Failed> {
    let schedule = actor.world.borrow().plan.webhooks[webhook_of(task)].schedule.clone();
    let seed =
        task.batch.map_or_else(|| task.deliveries[0].id.to_string(), |batch| batch.to_string());
    let attempts = |world: &World, id| world.record_of(id).map_or(0, |record| record.attempts);
    let until_closed =
        circuit.and_then(|until| Duration::try_from(until.duration_since(actor.now())).ok());
    // All that shared the request wait equally long.
    let wait = {
        let world = actor.world.borrow();
        let next = |id| after_failure(&schedule, attempts(&world, id) + 1, &seed, None).wait();
        let waits = task.deliveries.iter().filter_map(|due| next(due.id));
        waits.max().map(|wait| wait.max(until_closed.unwrap_or_default()))
    };
    let mut left = Vec::new();
    for due in &task.deliveries {
        let mut tries = 0;
        let status = loop {
            let recorded = actor.call(|world| {
                let status =
                    match after_failure(&schedule, attempts(world, due.id) + 1, &seed, None) {
                        _ if reply.is_success => Status::Succeeded,
                        Next::RetryIn(_) => Status::Pending,
                        Next::Exhausted => Status::Exhausted,
                    };
                world.record(due.id, status, wait);
                world.record_of(due.id).map(|record| record.status)
            });
            match recorded.await {
                Ok(status) => break status,
                Err(Failed) if tries == 2 => return Err(Failed),
                Err(Failed) => tries += 1,
            }
        };
        if status == Some(Status::Pending) {
            left.push(due.clone());
        }
    }
    let again = |wait| Again { wait, task: Task { recorded: true, ..task.with(left.clone()) } };
    Ok(wait.filter(|_| !left.is_empty()).map(again))
}

/// Lets what failed wait for its next attempt, as a message with a delay or in the table.
pub(super) async fn send_again(actor: &Actor, again: &Again, depth: u32) -> Result<(), Failed> {
    let wait = i64::try_from(again.wait.as_millis()).unwrap();
    let due = ms(actor.now()) + wait;
    match way(again.wait, false) {
        Way::Parked => actor.call(|world| world.park(due, again.task.clone())).await,
        Way::InFlight | Way::Delayed => {
            // Delays are whole seconds: rounded up, so that nothing comes before its time.
            let delay = (wait + 999) / 1000 * 1000;
            actor
                .call(|world| world.send_task(again.task.clone(), delay, depth + 1))
                .await
                .map(|_| ())
        }
    }
}
