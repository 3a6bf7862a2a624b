//! The protocol with one thing wrong. Each has to be found, or the model would not see it in the
//! protocol either.

use super::{
    check,
    plan::{Faults, MINUTE, Plan, SECOND},
    run::Run,
    shapes::{blip, opened_often, overrun, seldom, slow},
    violation::Kind,
};
use crate::endpoint::lane::{Attr, Phase, Write};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mutation {
    /// An appender looks at the lane before it puts, and not after.
    CheckBeforePut,
    /// A turn that closes its lane does not look at the backlog again.
    NoSecondLook,
    /// Closing forgets the watchdog before the second look.
    ForgetsWatchdog,
    /// The key of an item does not name the message that brought it.
    KeyWithoutSource,
    /// The lease may end before the invocation.
    ShortLease,
    /// The message is made visible first, and the lease given up second.
    VisibilityFirst,
    /// Tokens are numbers that begin anew with each opening.
    CounterTokens,
    /// The watchdog makes the messages stale that are on their way.
    WatchdogReplacesToken,
    /// A slow answer makes the window smaller.
    WindowShrinksOnLatency,
    /// A lane is left when its backlog is empty, and only then.
    LeavesOnlyWhenEmpty,
    /// A slow lane with an empty backlog is closed.
    ClosesSlowWhenEmpty,
    /// No mutation of the protocol: claims mind no lease, so that two turns of a lane can be at
    /// work.
    TwoTurns,
}

impl Mutation {
    /// A claim with the mutation in it.
    pub(super) fn of_claim(self, write: &Write, now: jiff::Timestamp) -> Write {
        match self {
            Self::ShortLease => {
                write.clone().set(Attr::LeaseUntil, now + std::time::Duration::from_secs(10))
            }
            Self::TwoTurns => Write { conditions: write.conditions[..1].to_vec(), ..write.clone() },
            _ => write.clone(),
        }
    }

    /// A write of a turn with the mutation in it.
    pub(super) fn of_write(self, write: &Write) -> Write {
        let sets = |attribute| write.set.iter().any(|(set, _)| *set == attribute);
        let closes = !sets(Attr::WakeAt) && sets(Attr::DueAt);
        let leaves_idle = closes && write.set.contains(&(Attr::Phase, Phase::Idle.into()));
        match self {
            Self::ForgetsWatchdog if closes => {
                write.clone().remove(Attr::DueAt).remove(Attr::DueShard)
            }
            Self::ClosesSlowWhenEmpty | Self::LeavesOnlyWhenEmpty if leaves_idle => {
                write.clone().remove(Attr::Phase)
            }
            _ => write.clone(),
        }
    }

    /// For how long the message is hidden by a write that ends a turn whose message comes again.
    pub(super) fn handover(write: &Write, now: jiff::Timestamp) -> Option<i64> {
        let value = |attribute| {
            write.set.iter().find(|(set, _)| *set == attribute).map(|(_, value)| value.clone())
        };
        let is_again =
            write.remove.contains(&Attr::LeaseUntil) && !write.remove.contains(&Attr::Holder);
        let crate::endpoint::lane::Value::Number(wake_at) =
            value(Attr::WakeAt).filter(|_| is_again)?
        else {
            return None;
        };
        Some((wake_at - now.as_millisecond()).max(0) / SECOND * SECOND)
    }
}

/// Searches some plans for what is wrong with the mutation, and nothing is without.
fn is_found(mutation: Mutation, kinds: &[Kind], seeds: u64, plan: impl Fn(u64) -> Plan) {
    for seed in 0..seeds {
        let plan = plan(seed);
        if let Err((violation, _)) =
            Run::check(&Plan { mutation: Some(mutation), ..plan.clone() }, false)
        {
            assert!(kinds.contains(&violation.kind), "{seed}: {violation:?}");
            check(&plan);
            return;
        }
    }
    panic!("{mutation:?} is not found in {seeds} plans");
}

#[test]
fn a_check_before_the_put_is_found() {
    is_found(Mutation::CheckBeforePut, &[Kind::Forgotten], 20, opened_often);
}

#[test]
fn a_close_without_a_second_look_is_found() {
    is_found(Mutation::NoSecondLook, &[Kind::Forgotten], 20, opened_often);
}

#[test]
fn a_watchdog_that_is_forgotten_too_early_is_found() {
    is_found(Mutation::ForgetsWatchdog, &[Kind::Forgotten], 20, opened_often);
}

#[test]
fn a_key_that_does_not_name_its_message_is_found() {
    is_found(Mutation::KeyWithoutSource, &[Kind::WrongResidency, Kind::Lost], 20, overrun);
}

#[test]
fn a_lease_that_ends_before_its_invocation_is_found() {
    let copies = |seed| Plan { faults: Faults { copies: 3, ..Faults::default() }, ..slow(seed) };
    is_found(Mutation::ShortLease, &[Kind::TwoTurns], 50, copies);
}

#[test]
fn a_message_that_is_made_visible_before_the_lease_is_given_up_is_found() {
    is_found(Mutation::VisibilityFirst, &[Kind::Handover], 50, slow);
}

#[test]
fn tokens_that_begin_anew_are_found() {
    let copies =
        |seed| Plan { faults: Faults { copies: 3, ..Faults::default() }, ..opened_often(seed) };
    is_found(Mutation::CounterTokens, &[Kind::WrongOpening], 50, copies);
}

#[test]
fn a_watchdog_that_replaces_the_token_is_found() {
    let plan = |seed| Plan { queueing: 6 * MINUTE, ..slow(seed) };
    is_found(Mutation::WatchdogReplacesToken, &[Kind::Unfinished], 1, plan);
}

#[test]
fn a_window_that_shrinks_because_an_endpoint_is_slow_is_found() {
    is_found(Mutation::WindowShrinksOnLatency, &[Kind::NotRecovered], 1, slow);
}

#[test]
fn a_lane_that_is_left_only_when_it_is_empty_is_found() {
    is_found(Mutation::LeavesOnlyWhenEmpty, &[Kind::NotRecovered], 1, blip);
}

#[test]
fn a_slow_lane_that_is_closed_because_it_is_empty_is_found() {
    is_found(Mutation::ClosesSlowWhenEmpty, &[Kind::Flap], 1, seldom);
}
