//! Plans of a certain shape, where chance alone would seldom lead.

use super::{
    dice::Dice,
    plan::{Act, Behaviour, Faults, Goal, Plan, SECOND, limit},
};
use crate::webhook::rate_limit::Period;

/// A webhook that gets about as much as its limit allows, so that its lane is opened and closed
/// again and again.
pub(super) fn opened_often(seed: u64) -> Plan {
    let mut plan = Plan::calm(seed);
    plan.webhooks[0].limit = Some(limit(10, Period::Second));
    let dice = &mut Dice::new(seed);
    let mut at = 0;
    while at < 60 * SECOND {
        let pause = dice.between(2, 100);
        plan = plan.stream(at, at + dice.between(3, 25) * pause, pause);
        at += dice.between(500, 3000);
    }
    Plan { latency: 200, deliverers: 40, ..plan }
}

/// A webhook that gets more than its limit, which no turn can keep: what is poured comes back.
pub(super) fn overrun(seed: u64) -> Plan {
    let mut plan = Plan::calm(seed).stream(0, 8 * SECOND, 10);
    plan.webhooks[0].limit = Some(limit(60, Period::Second));
    Plan { latency: 200, deliverers: 200, ..plan }
}

/// An endpoint that takes 4.5 s for each of two requests a second: nine have to be under way at
/// once.
pub(super) fn slow(seed: u64) -> Plan {
    let mut plan = Plan::calm(seed).stream(0, 200 * SECOND, 500);
    plan.webhooks[0].script = vec![(i64::MAX, Behaviour::Slow(4500))];
    let goal = Goal { at: 200 * SECOND, waiting: 30, is_closed: false };
    Plan { goal: Some(goal), deliverers: 20, ..plan }
}

/// An endpoint that is slow, and gets something now and then.
pub(super) fn seldom(seed: u64) -> Plan {
    let plan = Plan { arrivals: Vec::new(), goal: None, ..slow(seed) };
    plan.stream(0, 200 * SECOND, (6 + seed.cast_signed() % 7) * SECOND)
}

/// A webhook with more deliveries than its turn can carry, that was slow for ten seconds.
pub(super) fn blip(seed: u64) -> Plan {
    let mut plan = Plan::calm(seed).stream(0, 240 * SECOND, 200);
    plan.webhooks[0].script =
        vec![(20 * SECOND, Behaviour::Quick), (30 * SECOND, Behaviour::Slow(1500))];
    let goal = Goal { at: 150 * SECOND, waiting: 0, is_closed: true };
    Plan { goal: Some(goal), deliverers: 20, cost_of_a_request: 300, ..plan }
}

/// An endpoint that is slow and quick in turns, with much to do.
pub(super) fn flapping(seed: u64) -> Plan {
    let dice = &mut Dice::new(seed);
    let mut plan = Plan::calm(seed).stream(0, 400 * SECOND, dice.pick(&[400, 1000, 2000]));
    let (mut at, mut script) = (0, Vec::new());
    while at < 400 * SECOND {
        let sick = dice.pick(&[
            Behaviour::Slow(1200),
            Behaviour::Slow(4000),
            Behaviour::Hangs,
            Behaviour::Any,
        ]);
        at += dice.between(2, 30) * SECOND;
        script.push((at, sick));
        at += dice.between(10, 120) * SECOND;
        script.push((at, Behaviour::Quick));
    }
    plan.webhooks[0].script = script;
    plan.webhooks[0].limit =
        dice.pick(&[None, None, Some(limit(20, Period::Second)), Some(limit(60, Period::Second))]);
    plan.webhooks[0].full_request = dice.pick(&[1, 1, 100]);
    Plan { deliverers: 20, latency: dice.pick(&[20, 100, 500]), ..plan }
}

/// An endpoint that answers nothing for long, and an owner who can't leave it alone.
pub(super) fn touchy(seed: u64) -> Plan {
    let dice = &mut Dice::new(seed);
    let mut plan = Plan::calm(seed).stream(0, 1500 * SECOND, dice.pick(&[4, 10, 30]) * SECOND);
    plan.webhooks[0].script = vec![(1500 * SECOND, Behaviour::Hangs)];
    plan.webhooks[0].schedule = crate::webhook::retry::RetrySchedule::new(vec![300; 9]).unwrap();
    for _ in 0..dice.between(1, 8) {
        let mut at = dice.between(100, 1400) * SECOND;
        // Some changes come just when the turn looks that the one before has woken.
        let pause = dice.pick(&[400, 400, 12 * SECOND]);
        for _ in 0..dice.between(1, 4) {
            let act = dice.pick(&[Act::Pause, Act::Enable, Act::Touch, Act::Touch, Act::Touch]);
            plan.acts.push((at, 0, if dice.once_in(40) { Act::Delete } else { act }));
            at += dice.between(0, pause);
        }
    }
    Plan { latency: dice.pick(&[20, 100]), ..plan }
}

/// One of these, with things that go wrong.
pub(super) fn any(seed: u64) -> Plan {
    let dice = &mut Dice::new(seed ^ 0x5eed);
    let plan = match dice.next() % 10 {
        8..=9 => touchy(seed),
        0 => opened_often(seed),
        1 => overrun(seed),
        2 => seldom(seed),
        3..=5 => flapping(seed),
        6 => Plan { goal: None, ..slow(seed) },
        _ => Plan { goal: None, ..blip(seed) },
    };
    if dice.once_in(3) {
        return plan;
    }
    let random = Plan::random(seed);
    let Plan { faults, skew, stalls, index_lag, mut acts, .. } = random;
    for (at, webhook, _) in &mut acts {
        *at = *at * plan.calm_from / random.calm_from;
        *webhook = 0;
    }
    acts.extend(plan.acts.iter().copied());
    // What is lost now and then is worked through by deliver; what is lost often only takes longer.
    let faults = Faults { kills: faults.kills * 4, ..faults };
    Plan { faults, skew, stalls, index_lag, acts, goal: None, ..plan }
}
