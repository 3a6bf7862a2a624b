//! An actor is the part that every function of the model has: a clock, an end, and calls that take
//! time and may fail.

use std::{cell::RefCell, rc::Rc};

use super::{
    sim::{Group, Sim},
    world::{World, at},
};

/// A call has failed; nobody knows whether it was carried out.
#[derive(Debug)]
pub(super) struct Failed;

#[derive(Clone)]
pub(super) struct Actor {
    pub(super) sim: Rc<Sim>,
    pub(super) world: Rc<RefCell<World>>,
    pub(super) group: Group,
    /// The time by which its clock is ahead.
    skew: i64,
    /// The time at which it is killed, in true time.
    pub(super) ends: i64,
}

impl Actor {
    /// An invocation that may take so long.
    pub(super) fn new(world: &Rc<RefCell<World>>, lasts: i64) -> Self {
        let mut this = world.borrow_mut();
        let sim = Rc::clone(&this.sim);
        let skew = this.plan.skew;
        let skew = this.dice.between(-skew, skew);
        Self {
            group: sim.next_id(),
            skew,
            ends: sim.now().saturating_add(lasts),
            world: Rc::clone(world),
            sim,
        }
    }

    /// The time by its own clock.
    pub(super) fn now(&self) -> jiff::Timestamp {
        at(self.sim.now() + self.skew)
    }

    /// The end of the invocation by its own clock.
    pub(super) fn deadline(&self) -> jiff::Timestamp {
        at(self.ends + self.skew)
    }

    /// The true time of a time of its own clock, in whole milliseconds: not before it.
    pub(super) fn truly(&self, time: jiff::Timestamp) -> i64 {
        let is_between = time.subsec_nanosecond() % 1_000_000 > 0;
        super::world::ms(time) + i64::from(is_between) - self.skew
    }

    pub(super) async fn sleep(&self, ms: i64) {
        self.sim.sleep_until(self.sim.now() + ms).await;
    }

    /// The time that a call takes.
    async fn pause(&self) {
        let ms = {
            let world = &mut *self.world.borrow_mut();
            world.calls += 1;
            if world.dice.once_in(world.stalls) {
                world.dice.between(0, 5000)
            } else {
                let most = world.plan.latency;
                world.dice.between(1, most)
            }
        };
        self.sleep(ms).await;
    }

    /// Does something to the world, after a while; or fails, before or after it was done; or does
    /// it twice, because the first answer got lost.
    pub(super) async fn call<T>(&self, mut op: impl FnMut(&mut World) -> T) -> Result<T, Failed> {
        self.pause().await;
        let (fails, loses) = {
            let world = &mut *self.world.borrow_mut();
            let faults = world.faults;
            (world.dice.once_in(faults.failed_calls), world.dice.once_in(faults.lost_answers))
        };
        if fails {
            let is_done = self.world.borrow_mut().dice.once_in(2);
            if is_done {
                op(&mut self.world.borrow_mut());
            }
            self.world.borrow_mut().note(|| "a call fails".to_owned());
            return Err(Failed);
        }
        if loses {
            op(&mut self.world.borrow_mut());
            self.world.borrow_mut().note(|| "an answer gets lost".to_owned());
            self.pause().await;
        }
        Ok(op(&mut self.world.borrow_mut()))
    }
}
