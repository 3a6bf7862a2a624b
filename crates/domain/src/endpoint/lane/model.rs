//! Many runs of everybody who touches lanes, in an order that a seed decides, against the machines
//! of this module.
//!
//! Actors: some invocations of `deliver` and two of `drain`, two ticks of `release` a minute,
//! publishers, and an owner who pauses, enables, deletes and changes limits. Between them is what
//! is stored and queued, in memory. Each call takes a random time and is carried out in one moment,
//! so that between any two calls others act. What goes wrong: invocations die at any call, calls
//! fail before or after they were carried out, answers get lost and the call is repeated, messages
//! come twice and out of order, the index is late, clocks are up to 5 s wrong, and calls stall.
//! After a while nothing goes wrong any more, the endpoints are well, and everything has to end.
//!
//! These rules have to hold at every moment:
//!
//! 1. Each delivery that was accepted is in a message, an item, a parked retry, or has a final
//!    record.
//! 2. As long as something waits, its lane has a `dueAt`, or the message that brought it is there.
//!    In the end everything is over.
//! 3. One invocation at a time has the turn, nobody writes in another one's, and no request might
//!    outlast its invocation.
//! 4. A message takes only the turn that it was sent for. Messages don't gather on the turns queue,
//!    and one that has waited for long still takes the turn.
//! 5. A delete removes no other residency than the one that was disposed of.
//! 6. No period gets more requests than the limit and its burst, even if two turns are at work.
//! 7. No more requests are under way than the window has room for, one in an open circuit;
//!    `deliver` begins none 3 s after its lane was held.
//! 10. No attempt is before its schedule, none follows a success or the last one.
//! 11. What comes to an idle lane begins within 2 s, or 10 s while it is closed; a webhook that is
//!     well gets its lane closed, also if it gets more than a turn can carry.
//! 12. A webhook that was sidelined is not left before it has proven itself.
//! 13. A webhook that is paused or deleted gets nothing 3 s later, what waited for it is gone, and
//!     what waits for one that was enabled is attempted within 3 min.
//! 14. Functions lead to each other only a bounded number of times in a row.
//! 15. The calls of a lane that waits don't depend on how much waits.
//!
//! Some of these can't hold when something goes wrong, so only undisturbed runs check them: 6 with
//! clocks that differ, because a slot is a time, and two clocks use it at two times; 10, 11 and the
//! three minutes of 13 with copies, deaths and lost answers, because deliveries are made at least
//! once, and because a death costs the rest of a lease. A function may die, or its call fail, after
//! it has put an item and before it has opened the lane, and its message go another way when it
//! comes again: such an item is without a `dueAt` until the next lane is opened, but its delivery
//! is over or elsewhere.
//!
//! Not here: 8 (the bytes of a batch), 9 (the order within a run, and replays between live
//! deliveries) and 16 (workspaces), which the shells and `sequence` answer for; the fuse of 12,
//! which `tests` has; full backlogs, redriven deliveries, several shards of a backlog, the expiry
//! of lanes.
//!
//! `MODEL_SEEDS` says how many seeds are tried, and `MODEL_SEED` repeats one. `mutations` shows
//! that the model finds what is wrong.

mod actor;
mod aims;
mod check;
mod deliver;
mod dice;
mod drain;
mod mutations;
mod others;
mod plan;
mod queue;
mod request;
mod run;
mod shapes;
mod sim;
mod violation;
mod world;

use plan::Plan;
use run::Run;
use violation::Violation;

/// Runs a plan, and panics with what was wrong, in the simplest plan that was found to have it.
fn check(plan: &Plan) -> Run {
    match Run::check(plan, false) {
        Ok(run) => run,
        Err((violation, _)) => fail(plan, &violation),
    }
}

fn fail(plan: &Plan, violation: &Violation) -> ! {
    let mut plan = plan.clone();
    let is_same =
        |plan: &Plan| Run::check(plan, false).is_err_and(|(other, _)| other.kind == violation.kind);
    for _ in 0..60 {
        let Some(simpler) = plan.simpler().into_iter().find(&is_same) else { break };
        plan = simpler;
    }
    let (violation, trace) = Run::check(&plan, true).err().unwrap();
    let last = trace[trace.len().saturating_sub(400)..].join("\n");
    let seed = plan.seed;
    panic!("{:?}: {}\nMODEL_SEED={seed}\n{last}\n{plan:#?}", violation.kind, violation.text);
}

#[allow(clippy::disallowed_methods, reason = "whoever runs the tests says how long they search")]
fn seeds(count: u64) -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    match number("MODEL_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("MODEL_SEEDS").unwrap_or(count),
    }
}

#[test]
fn nothing_is_lost_or_stuck_in_any_order_of_events() {
    seeds(1200).for_each(|seed| drop(check(&Plan::random(seed))));
}

#[test]
fn nothing_is_lost_or_stuck_where_lanes_are_busy() {
    seeds(120).for_each(|seed| drop(check(&shapes::any(seed))));
}
