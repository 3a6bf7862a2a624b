//! The aims of a lane: these runs show what it has to reach when nothing goes wrong.

use super::{
    check,
    mutations::Mutation,
    plan::{Behaviour, Endpoint, Faults, MINUTE, Plan, SECOND, limit},
    run::Run,
    shapes::{blip, slow},
};
use crate::webhook::rate_limit::{Period, RateLimit};

/// Many deliveries that come at once for a webhook with a limit.
fn burst(limit: RateLimit, count: i64, seed: u64) -> Plan {
    let mut plan = Plan::calm(seed).stream(0, count, 1);
    plan.webhooks = vec![Endpoint { limit: Some(limit), ..Endpoint::plain() }];
    Plan { deliverers: 100, ..plan }
}

/// The number of requests a second that were made between the second one and the last one.
fn rate(run: &Run) -> f64 {
    let begins = &run.world.borrow().watch[0].begins;
    let (first, last) = (begins[1], begins[begins.len() - 1]);
    (begins.len() - 2) as f64 * 1000.0 / (last - first) as f64
}

#[test]
fn a_limited_lane_is_worked_off_at_its_limit() {
    for (requests, per, count, expected) in [
        (10, Period::Second, 600, 9.5..=10.1),
        (50, Period::Second, 1500, 47.5..=50.5),
        (60, Period::Minute, 200, 0.95..=1.01),
        (1, Period::Minute, 30, 0.97 / 60.0..=1.001 / 60.0),
    ] {
        let rate = rate(&check(&burst(limit(requests, per), count, 1)));
        assert!(expected.contains(&rate), "{requests} per {per:?}: {rate} a second");
    }
}

#[test]
fn two_turns_at_once_keep_the_limit() {
    let mut forced = 0;
    for seed in 0..20 {
        let plan = burst(limit(10, Period::Second), 150, seed);
        let faults = Faults { copies: 2, ..Faults::default() };
        let run = check(&Plan {
            faults,
            drains: 4,
            mutation: Some(Mutation::TwoTurns),
            calm_from: MINUTE,
            ..plan
        });
        forced += run.world.borrow().watch[0].taken_over;
    }
    assert!(forced > 10, "{forced}");
}

#[test]
fn a_slow_endpoint_gets_as_many_requests_side_by_side_as_it_needs() {
    check(&slow(0));
}

#[test]
fn a_webhook_with_more_than_its_turn_can_carry_gets_its_lane_closed() {
    check(&blip(0));
}

/// The number of calls that an hour of waiting costs, with so many deliveries that wait.
fn calls_while_waiting(mut plan: Plan, count: usize) -> u64 {
    plan.arrivals.iter_mut().for_each(|arrival| arrival.count = count);
    plan.calm_from = 70 * MINUTE;
    let mut run = Run::new(&plan, false);
    run.until(|run| run.sim.now() >= 5 * MINUTE);
    let before = run.world.borrow().calls;
    run.until(|run| run.sim.now() >= 65 * MINUTE);
    let world = run.world.borrow();
    assert!(
        world.violation.is_none() && world.backlog[0].len() >= count / 2,
        "{:?}",
        world.violation
    );
    world.calls - before
}

#[test]
fn what_waits_costs_no_calls() {
    let limited = || burst(limit(1, Period::Minute), 1, 3);
    let mut dead = Plan::calm(4).stream(0, 6 * SECOND, 2 * SECOND);
    dead.webhooks[0].script = vec![(i64::MAX, Behaviour::Hangs)];
    let mut off = dead.clone();
    off.webhooks[0].timeout = std::time::Duration::from_secs(30);
    for plan in [limited(), dead, off] {
        let (few, many) = (calls_while_waiting(plan.clone(), 150), calls_while_waiting(plan, 1500));
        assert!(many <= few + few / 20, "{few} calls with few, {many} with many");
    }
}

#[test]
fn a_dead_endpoint_costs_few_calls() {
    let mut dead = Plan::calm(4).stream(0, 6 * SECOND, 2 * SECOND);
    dead.webhooks[0].script = vec![(i64::MAX, Behaviour::Hangs)];
    let ticks = 2 * 2 * 60;
    let calls = calls_while_waiting(dead, 500) - ticks;
    assert!(calls <= 200, "{calls} calls an hour");
}
