//! A plan is everything that a seed decides before a run: who comes, how the endpoints behave, what
//! the owner does, and what goes wrong.

use std::time::Duration;

use super::{dice::Dice, mutations::Mutation};
use crate::webhook::{
    rate_limit::{Period, RateLimit},
    retry::RetrySchedule,
};

pub(super) const SECOND: i64 = 1000;
pub(super) const MINUTE: i64 = 60 * SECOND;

#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) webhooks: Vec<Endpoint>,
    pub(super) arrivals: Vec<Arrival>,
    pub(super) acts: Vec<(i64, usize, Act)>,
    pub(super) faults: Faults,
    /// The greatest difference between the clocks of actors and the true time.
    pub(super) skew: i64,
    /// The longest time of a call in ms. One call in so many stalls for up to 5 s.
    pub(super) latency: i64,
    pub(super) stalls: u64,
    /// The longest time for which the index shows an old state.
    pub(super) index_lag: i64,
    /// The time that a turn's message is in the queue before anybody has room for it.
    pub(super) queueing: i64,
    /// The number of invocations that each function may have.
    pub(super) deliverers: usize,
    pub(super) drains: usize,
    /// The time that a turn's request costs its invocation before it begins.
    pub(super) cost_of_a_request: i64,
    /// The time at which faults and arrivals end.
    pub(super) calm_from: i64,
    /// The time at which nothing may be waiting any more.
    pub(super) goal: Option<Goal>,
    pub(super) mutation: Option<Mutation>,
}

#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    pub(super) limit: Option<RateLimit>,
    pub(super) full_request: usize,
    pub(super) timeout: Duration,
    pub(super) schedule: RetrySchedule,
    /// The times until which it behaves in each way; it is quick in the end.
    pub(super) script: Vec<(i64, Behaviour)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behaviour {
    Quick,
    /// It answers well after this time.
    Slow(i64),
    Hangs,
    Fails,
    Busy,
    /// Any of these, at random.
    Any,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Goal {
    pub(super) at: i64,
    /// The number of deliveries that may still be waiting for the first webhook.
    pub(super) waiting: usize,
    /// True if its lane has to be closed, too.
    pub(super) is_closed: bool,
}

/// Deliveries that one message brings.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival {
    pub(super) at: i64,
    pub(super) webhook: usize,
    pub(super) count: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Pause,
    Enable,
    Delete,
    Limit(Option<RateLimit>),
    /// Something that matters to nobody here.
    Touch,
}

/// The rarity of each fault: it comes once in so many steps, calls or messages; zero is never.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Faults {
    pub(super) kills: u64,
    pub(super) lost_answers: u64,
    pub(super) failed_calls: u64,
    pub(super) copies: u64,
    /// Messages of turns that are gone.
    pub(super) purges: u64,
}

impl Faults {
    pub(super) fn are_none(&self) -> bool {
        *self == Self::default()
    }

    /// Tells whether items may be left whose deliveries are over or elsewhere: each of these faults
    /// can bring a message again after its items were put.
    pub(super) fn leave_items(&self) -> bool {
        self.kills > 0 || self.lost_answers > 0 || self.failed_calls > 0 || self.copies > 0
    }
}

pub(super) fn limit(requests: u32, per: Period) -> RateLimit {
    RateLimit { requests, per }
}

impl Endpoint {
    /// One that is always quick, without a limit.
    pub(super) fn plain() -> Self {
        Self {
            limit: None,
            full_request: 1,
            timeout: Duration::from_secs(5),
            schedule: RetrySchedule::SPEKTR,
            script: Vec::new(),
        }
    }

    fn random(dice: &mut Dice, calm_from: i64) -> Self {
        let mut script = Vec::new();
        let mut until = 0;
        let sort = dice.next() % 4;
        while until < calm_from {
            until += dice.between(2, 80) * SECOND;
            let slow = Behaviour::Slow(dice.between(1000, 4900));
            script.push((
                until,
                match sort {
                    0 => dice.pick(&[Behaviour::Quick, slow]),
                    1 => dice.pick(&[Behaviour::Hangs, Behaviour::Quick]),
                    _ => dice.pick(&[
                        Behaviour::Quick,
                        Behaviour::Quick,
                        slow,
                        Behaviour::Hangs,
                        Behaviour::Fails,
                        Behaviour::Busy,
                        Behaviour::Any,
                    ]),
                },
            ));
        }
        let schedules = [
            RetrySchedule::NONE,
            RetrySchedule::SPEKTR,
            RetrySchedule::new(vec![2, 60, 200]).unwrap(),
        ];
        Self {
            limit: match dice.next() % 6 {
                0 => Some(limit(10, Period::Second)),
                1 => Some(limit(20, Period::Minute)),
                2 => Some(limit(60, Period::Second)),
                _ => None,
            },
            full_request: if dice.once_in(4) { 100 } else { 1 },
            timeout: Duration::from_secs(if dice.once_in(5) { 30 } else { 5 }),
            schedule: schedules[usize::try_from(dice.next() % 3).unwrap()].clone(),
            script,
        }
    }
}

impl Plan {
    /// One webhook that is always well, and nothing that goes wrong.
    pub(super) fn calm(seed: u64) -> Self {
        Self {
            seed,
            webhooks: vec![Endpoint::plain()],
            arrivals: Vec::new(),
            acts: Vec::new(),
            faults: Faults::default(),
            skew: 0,
            latency: 15,
            stalls: 0,
            index_lag: 0,
            queueing: 0,
            deliverers: 5,
            drains: 2,
            cost_of_a_request: 2,
            calm_from: 0,
            goal: None,
            mutation: None,
        }
    }

    pub(super) fn random(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let dice = &mut dice;
        let calm_from = dice.between(60, 400) * SECOND;
        let webhooks: Vec<_> =
            (0..dice.pick(&[1, 1, 2])).map(|_| Endpoint::random(dice, calm_from)).collect();
        let is_faulty = !dice.once_in(3);
        let fault = |dice: &mut Dice, many: &[u64]| {
            if is_faulty && !dice.once_in(3) { dice.pick(many) } else { 0 }
        };
        let faults = Faults {
            kills: fault(dice, &[60, 200, 600]),
            lost_answers: fault(dice, &[20, 60, 200]),
            failed_calls: fault(dice, &[20, 60, 200]),
            copies: fault(dice, &[5, 20, 60]),
            purges: fault(dice, &[10, 50]),
        };
        Self {
            seed,
            arrivals: Self::arrivals(dice, webhooks.len(), calm_from),
            acts: Self::acts(dice, webhooks.len(), calm_from),
            webhooks,
            faults,
            skew: if is_faulty && dice.once_in(2) { 5 * SECOND } else { 0 },
            latency: dice.pick(&[5, 20, 100, 1000]),
            stalls: if is_faulty { dice.pick(&[0, 0, 30, 200]) } else { 0 },
            index_lag: if is_faulty { dice.pick(&[0, 2 * SECOND, 10 * SECOND]) } else { 0 },
            queueing: 0,
            deliverers: dice.pick(&[2, 3, 6]),
            drains: 2,
            cost_of_a_request: dice.pick(&[2, 20]),
            calm_from,
            goal: None,
            mutation: None,
        }
    }

    fn arrivals(dice: &mut Dice, webhooks: usize, until: i64) -> Vec<Arrival> {
        let mut arrivals = Vec::new();
        let (rounds, most, pauses): (_, _, &[i64]) = match dice.next() % 12 {
            // All the time, so that a slow webhook can prove that it is well.
            0 => (1, until / SECOND, &[SECOND]),
            // Many at once.
            1 | 2 => (dice.between(1, 3), 80, &[5, 20]),
            // Now and then.
            _ => (dice.between(1, 6), 8, &[20, 500, 3 * SECOND, 20 * SECOND]),
        };
        for _ in 0..rounds {
            let webhook = usize::try_from(dice.next() % webhooks as u64).unwrap();
            let is_steady = rounds == 1 && most > 80;
            let (start, pause) =
                (if is_steady { 0 } else { dice.between(0, until) }, dice.pick(pauses));
            let mut at = start;
            for _ in 0..if is_steady { most } else { dice.between(1, most) } {
                arrivals.push(Arrival { at, webhook, count: dice.pick(&[1, 1, 1, 3]) });
                at = (at + dice.between(0, 2 * pause)).min(until);
            }
        }
        arrivals
    }

    /// Makes so many arrivals, a while apart.
    pub(super) fn stream(mut self, from: i64, until: i64, pause: i64) -> Self {
        let mut at = from;
        while at < until {
            self.arrivals.push(Arrival { at, webhook: 0, count: 1 });
            at += pause;
        }
        self.calm_from = self.calm_from.max(until);
        self
    }

    fn acts(dice: &mut Dice, webhooks: usize, until: i64) -> Vec<(i64, usize, Act)> {
        let count = dice.pick(&[0, 0, 1, 3, 6]);
        let act = |dice: &mut Dice| match dice.next() % 12 {
            0..=3 => Act::Pause,
            4..=6 => Act::Enable,
            8..=10 => Act::Touch,
            7 => Act::Limit(dice.pick(&[
                None,
                Some(limit(5, Period::Second)),
                Some(limit(30, Period::Minute)),
            ])),
            _ => Act::Delete,
        };
        (0..count)
            .map(|_| {
                (
                    dice.between(0, until),
                    usize::try_from(dice.next() % webhooks as u64).unwrap(),
                    act(dice),
                )
            })
            .collect()
    }

    /// The behaviour of a webhook's endpoint at a time.
    pub(super) fn behaviour(&self, webhook: usize, now: i64) -> Behaviour {
        let script = &self.webhooks[webhook].script;
        script
            .iter()
            .find(|(until, _)| now < *until)
            .map_or(Behaviour::Quick, |(_, behaviour)| *behaviour)
    }

    /// Simpler plans, of which each leaves something out.
    pub(super) fn simpler(&self) -> Vec<Self> {
        let mut plans = Vec::new();
        let mut add = |change: &dyn Fn(&mut Self)| {
            let mut plan = self.clone();
            change(&mut plan);
            plans.push(plan);
        };
        for at in 0..self.acts.len() {
            add(&|plan| {
                plan.acts.remove(at);
            });
        }
        for part in [2, 4, 8, usize::MAX] {
            let size = (self.arrivals.len() / part).max(1);
            for at in (0..self.arrivals.len()).step_by(size) {
                add(&|plan| drop(plan.arrivals.drain(at..(at + size).min(plan.arrivals.len()))));
            }
        }
        add(&|plan| plan.faults.kills = 0);
        add(&|plan| plan.faults.lost_answers = 0);
        add(&|plan| plan.faults.failed_calls = 0);
        add(&|plan| plan.faults.copies = 0);
        add(&|plan| plan.faults.purges = 0);
        add(&|plan| (plan.skew, plan.stalls, plan.index_lag) = (0, 0, 0));
        add(&|plan| plan.skew = 0);
        add(&|plan| plan.stalls = 0);
        add(&|plan| plan.index_lag = 0);
        add(&|plan| plan.latency = 5);
        plans
    }
}
