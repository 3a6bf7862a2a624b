//! One run of a plan, from its beginning until all is over.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use super::{
    actor::Actor,
    deliver::{self, deliver},
    dice::Dice,
    drain::{self, drain},
    others::{clock, owner, publishers},
    plan::{MINUTE, Plan},
    sim::{Group, Sim},
    violation::{Kind, Violation},
    world::{World, name},
};
use crate::endpoint::lane::Attr;

/// Everything has to be over this long after the last fault.
const PATIENCE: i64 = 4 * 60 * MINUTE;
/// More steps than any run needs.
const MOST_STEPS: usize = 400_000;

pub(super) struct Run {
    pub(super) sim: Rc<Sim>,
    pub(super) world: Rc<RefCell<World>>,
    plan: Rc<Plan>,
    dice: Dice,
    deliverers: BTreeMap<Group, i64>,
    drains: BTreeMap<Group, i64>,
    steps: usize,
}

impl Run {
    pub(super) fn new(plan: &Plan, is_traced: bool) -> Self {
        let plan = Rc::new(plan.clone());
        let sim = Sim::new(Dice::new(plan.seed ^ 0x1234));
        let world = Rc::new(RefCell::new(World::new(Rc::clone(&sim), Rc::clone(&plan), is_traced)));
        let for_ever = || Actor::new(&world, i64::MAX / 2);
        let actors = [for_ever(), for_ever(), for_ever(), for_ever()];
        let [publisher, person, first, second] = actors;
        sim.spawn(publisher.group, publishers(publisher));
        sim.spawn(person.group, owner(person));
        let offset = plan.seed.cast_signed().rem_euclid(MINUTE);
        sim.spawn(first.group, clock(first, 0, offset));
        sim.spawn(second.group, clock(second, 1, offset + 20));
        let dice = Dice::new(plan.seed ^ 0x7777);
        Self {
            sim,
            world,
            plan,
            dice,
            deliverers: BTreeMap::new(),
            drains: BTreeMap::new(),
            steps: 0,
        }
    }

    /// Runs until all is over. Returns the first thing that was wrong, if something was.
    pub(super) fn check(plan: &Plan, is_traced: bool) -> Result<Self, (Violation, Vec<String>)> {
        let mut run = Self::new(plan, is_traced);
        run.until(|run| run.is_over());
        run.end();
        let violation = run.world.borrow_mut().violation.take();
        match violation {
            Some(violation) => {
                Err((violation, run.world.borrow_mut().trace.take().unwrap_or_default()))
            }
            None => Ok(run),
        }
    }

    /// Runs until this holds, or something is wrong.
    pub(super) fn until(&mut self, is_over: impl Fn(&Self) -> bool) {
        while self.world.borrow().violation.is_none() {
            self.receive();
            if self.steps.is_multiple_of(16) {
                let world = &mut *self.world.borrow_mut();
                world.check_expected();
                world.check_messages();
                world.check_goal();
                if self.sim.now() >= self.plan.calm_from {
                    (world.faults, world.stalls) = Default::default();
                }
            }
            if self.steps.is_multiple_of(8) && is_over(self) {
                return;
            }
            if self.sim.now() > self.plan.calm_from + PATIENCE {
                return self
                    .world
                    .borrow_mut()
                    .violate(Kind::Unfinished, || "it takes for ever".to_owned());
            }
            if self.steps > MOST_STEPS {
                return self
                    .world
                    .borrow_mut()
                    .violate(Kind::Spin, || format!("{MOST_STEPS} steps"));
            }
            self.step();
        }
    }

    /// The next thing that happens: a task goes on, or dies, or a message can be received.
    fn step(&mut self) {
        self.steps += 1;
        let next_message = {
            let world = self.world.borrow();
            let tasks =
                world.tasks.next_at().filter(|_| self.deliverers.len() < self.plan.deliverers);
            let turns = world.turns.next_at().filter(|_| self.drains.len() < self.plan.drains);
            tasks.into_iter().chain(turns).min()
        };
        let next_alarm = self.sim.next_alarm();
        if let Some(at) = next_message
            && next_alarm.is_none_or(|alarm| at < alarm)
        {
            return self.sim.advance(at);
        }
        let Some(group) = self.sim.next_group() else { return self.sim.step() };
        let now = next_alarm.unwrap_or_default();
        let ends = self.deliverers.get(&group).or(self.drains.get(&group)).copied();
        let kills = self.world.borrow().faults.kills;
        if ends.is_some_and(|ends| now >= ends || self.dice.once_in(kills)) {
            self.sim.advance(now);
            let mut world = self.world.borrow_mut();
            world.deaths += 1;
            world.note(|| format!("invocation {group} dies"));
            drop(world);
            self.sim.kill(group);
        }
        self.sim.step();
        let sim = &self.sim;
        self.deliverers.retain(|group, _| sim.is_alive(*group));
        self.drains.retain(|group, _| sim.is_alive(*group));
    }

    /// Whoever has room receives a message.
    fn receive(&mut self) {
        let now = self.sim.now();
        while self.deliverers.len() < self.plan.deliverers {
            let message = {
                let world = &mut *self.world.borrow_mut();
                world.tasks.receive(deliver::VISIBILITY, world.faults.copies, &mut world.dice, now)
            };
            let Some(message) = message else { break };
            let actor = Actor::new(&self.world, deliver::LASTS);
            self.deliverers.insert(actor.group, actor.ends);
            self.note(&message.number, "deliver", actor.group);
            self.sim.spawn(actor.group, deliver(actor, message));
        }
        while self.drains.len() < self.plan.drains {
            let message = {
                let world = &mut *self.world.borrow_mut();
                world.turns.receive(drain::VISIBILITY, world.faults.copies, &mut world.dice, now)
            };
            let Some(message) = message else { break };
            let purges = self.world.borrow().faults.purges;
            if self.dice.once_in(purges) {
                self.note(&message.number, "nobody", 0);
                self.world.borrow_mut().turns.messages.remove(&message.number);
                continue;
            }
            let actor = Actor::new(&self.world, drain::LASTS);
            self.drains.insert(actor.group, actor.ends);
            self.note(&message.number, "drain", actor.group);
            self.sim.spawn(actor.group, drain(actor, message));
        }
    }

    fn note(&self, message: &u64, function: &str, group: Group) {
        self.world.borrow_mut().note(|| format!("{function} {group} receives {message}"));
    }

    pub(super) fn is_over(&self) -> bool {
        let world = self.world.borrow();
        self.sim.now() > self.plan.calm_from + MINUTE
            && world.tasks.messages.is_empty()
            && world.turns.messages.is_empty()
            && world.parked.is_empty()
            && world.lanes.iter().all(|lane| lane.get(Attr::DueAt).is_none())
            && self.deliverers.is_empty()
            && self.drains.is_empty()
    }

    /// Checks the statements that must hold in the end.
    fn end(&self) {
        let world = &mut *self.world.borrow_mut();
        if world.violation.is_some() {
            return;
        }
        let open = world
            .deliveries
            .iter()
            .find(|(_, one)| !one.record.is_some_and(|record| record.is_final()));
        if let Some((id, _)) = open {
            let text = name(*id);
            world.violate(Kind::Unfinished, || format!("{text} is not over"));
        }
        let waiting: usize = world.backlog.iter().map(std::collections::BTreeMap::len).sum();
        if waiting > 0 && !self.plan.faults.leave_items() {
            world.violate(Kind::Forgotten, || format!("{waiting} items are left"));
        }
        for lane in world.lanes.clone() {
            let leftovers = [
                Attr::Token,
                Attr::Holder,
                Attr::LeaseUntil,
                Attr::Turn,
                Attr::WakeAt,
                Attr::DueShard,
            ];
            if let Some(left) =
                leftovers.into_iter().find(|attribute| lane.get(*attribute).is_some())
            {
                world.violate(Kind::Unfinished, || format!("a lane has its {} still", left.name()));
            }
        }
        let is_limit_kept =
            !self.plan.acts.iter().any(|(.., act)| matches!(act, super::plan::Act::Limit(_)));
        if is_limit_kept && self.plan.skew == 0 {
            for webhook in 0..self.plan.webhooks.len() {
                if let Some(limit) = self.plan.webhooks[webhook].limit {
                    world.check_limit(webhook, limit);
                }
            }
        }
    }
}
