//! A webhook's lane: whether its deliveries go straight to the endpoint, or wait in its backlog for
//! its turn.
//!
//! Actors: `deliver` reads the lane of every webhook that it is about to call; what can't go
//! because of its webhook it *appends* to the webhook's backlog. One *turn* a webhook, in `drain`,
//! works the backlog off. `release` wakes a lane whose time has come. `register` nudges a lane
//! whose webhook was changed. Fan-out knows no lanes.
//!
//! ```text
//!            no slot within 1 s                       an arrival
//!   closed ────────────────────▶ held(limited)   ┌──────────────────┐
//!     │  ▲                          │ empty       ▼                  │
//!     │  ├──────────────────────────┘          held(slow, sick) ─empty, not proven well─▶ idle
//!     │  │ empty                                  │       ▲            ▲
//!     │  └──────────── pouring ◀──proven well─────┘       │            │
//!     │                   └────────third strike───────────┘            │
//!     └──────────────────────────third strike──────────────────────────┘
//! ```
//!
//! - *Closed* (no phase, or no item at all): the fast way. *Held*: everything waits for the turn.
//!   *Idle*: as held, with nothing that waits and so without a turn; the next arrival opens one.
//!   *Pouring*: arrivals go the fast way again, and the turn hands the backlog back to the
//!   deliveries queue at a growing rate. A lane is left by health and not by emptiness, or an
//!   endpoint that gets more than one turn can carry would wait for ever. One that is well and has
//!   a limit which a turn can keep is not poured: it is *held* as limited from then on.
//! - The item is mark, turn, lease, moment's health and watchdog at once, so that they can't
//!   disagree. A turn's message is only a hint: as long as a lane has a phase with a backlog, it
//!   has a `dueAt`, at which `release` sends another message.
//!
//! **No lost wake-up.** An appender puts, then reads the lane strongly, then opens it where it has
//! no turn. A turn closes the lane, then looks at the backlog again, then forgets the watchdog. If
//! the appender read a lane with a turn, its put was answered before the lane was closed, and the
//! second look sees it; if it read one without, it opens.
//!
//! Everything here is a decision: a [`Write`] is a conditional change of the item, which
//! `posthaste-store` carries out as one UpdateItem and the model test on a map. The attacks on this
//! protocol are in `docs/decisions/0008-lanes.md`.

mod append;
mod attributes;
mod evidence;
mod message;
mod terms;
mod turn;
mod window;
mod write;

#[cfg(test)]
mod model;
#[cfg(test)]
mod nudge_tests;
#[cfg(test)]
mod tests;

use std::time::Duration;

use jiff::Timestamp;

pub use append::{Admission, Append, AppendStep, Strike};
pub use attributes::{Attr, Attributes, Unreadable, Value};
pub use evidence::Evidence;
pub use message::TurnMessage;
pub use terms::{Seen, Terms};
pub use turn::{Claim, Claiming, Message, Over, Step, Turn, Verdict};
pub use window::{MAX_WINDOW, Window};
pub use write::{Condition, Outcome, Write};

use crate::delivery::release::Part;

/// A request that takes longer than this is slow.
pub const SLOW: Duration = Duration::from_secs(1);
/// This many strikes within [`STRIKES_WITHIN`] sideline a webhook.
const STRIKES_TO_SIDELINE: i64 = 3;
const STRIKES_WITHIN: Duration = Duration::from_secs(60);
/// A webhook that is sidelined again within this time has to prove itself for twice as long.
const RELAPSE_WITHIN: Duration = Duration::from_secs(3600);
/// An endpoint proves that it is well by this many quick answers in a row, and by staying quick for
/// the first of these times. Each relapse doubles that time, up to the second one.
const QUICK_TO_RECOVER: i64 = 20;
const FIRST_PROOF: Duration = Duration::from_secs(60);
const LONGEST_PROOF: Duration = Duration::from_secs(30 * 60);
/// This many timeouts in a row open the circuit. It stays open for 30 s, and each failed probe
/// doubles that, up to 10 min.
const TIMEOUTS_TO_OPEN: i64 = 5;
const FIRST_CIRCUIT: Duration = Duration::from_secs(30);
const LONGEST_CIRCUIT: Duration = Duration::from_secs(600);
/// `release` looks after a lane whose turn has been silent for this long.
const WATCHDOG: Duration = Duration::from_secs(120);
/// A closed lane is remembered for this long, so that a relapse is noticed.
const LANE_LIFE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// The number of partitions that lanes have in the index `due`: `L0` to `L15`, and as many for
/// lanes that wait for a probe.
const DUE_SHARDS: u8 = 16;

/// The phase decides where a delivery goes that arrives for the webhook. A closed lane has no
/// phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Deliveries wait for the turn.
    Held,
    /// Deliveries go the fast way, while the turn hands the backlog back.
    Pouring,
    /// Deliveries wait, but none is waiting yet, so the lane has no turn.
    Idle,
}

impl Phase {
    const NAMES: [(&'static str, Self); 3] =
        [("held", Self::Held), ("pouring", Self::Pouring), ("idle", Self::Idle)];

    /// The name that the table uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Pouring => "pouring",
            Self::Idle => "idle",
        }
    }
}

/// The reason why deliveries wait. `limited`: the webhook's rate limit. `slow`: its endpoint takes
/// long to answer. `sick`: its endpoint keeps timing out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// More deliveries arrive than the webhook's rate limit allows.
    Limited,
    /// The endpoint takes long to answer.
    Slow,
    /// The endpoint keeps timing out: the circuit is open, or was open a moment ago.
    Sick,
}

impl Reason {
    /// Every reason, with the name that the table uses.
    pub const NAMES: [(&'static str, Self); 3] =
        [("limited", Self::Limited), ("slow", Self::Slow), ("sick", Self::Sick)];

    /// The name that the table uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Limited => "limited",
            Self::Slow => "slow",
            Self::Sick => "sick",
        }
    }
}

/// A lane as it was read. The default is the lane of a webhook without an item, which is closed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lane {
    /// The phase; none if the lane is closed.
    pub phase: Option<Phase>,
    /// The reason why the lane was opened last.
    pub reason: Option<Reason>,
    /// The time at which the webhook was sidelined, or the lane opened, last.
    pub opened_at: Option<Timestamp>,
    /// Names one opening, until the lane is closed. A turn's message has to bring it.
    pub token: Option<String>,
    /// The SQS id of the message that took the turn.
    pub holder: Option<String>,
    /// Names one taking of the turn. Every write of that turn has it as a condition.
    pub turn: Option<String>,
    /// The end of the lease: until then nobody else may take the turn.
    pub lease_until: Option<Timestamp>,
    /// The time at which the turn goes on.
    pub wake_at: Option<Timestamp>,
    /// The time at which `release` sends another message for the turn.
    pub due_at: Option<Timestamp>,
    /// The lane's partition in the index `due`.
    pub due_shard: Option<String>,
    /// The number of requests that may be under way at once.
    pub window: Option<u32>,
    /// The time until which the circuit is open. It stays here, in the past, until a probe has
    /// answered.
    pub sick_until: Option<Timestamp>,
    /// The number of times that the circuit has opened in a row.
    pub circuit_openings: u32,
    /// Timeouts in a row that turns have seen.
    pub timeouts: i64,
    /// Quick answers in a row that turns have seen.
    pub quick: i64,
    /// Strikes since `strikes_since`.
    pub strikes: i64,
    /// The time of the first of these strikes.
    pub strikes_since: Option<Timestamp>,
    /// Slow requests since the last quick answer, each in an environment that saw nothing else
    /// slow.
    pub doubts: i64,
    /// The number of times in a row that the webhook was sidelined again soon after it had
    /// recovered.
    pub relapses: u32,
    /// The time at which the webhook was sidelined last.
    pub sidelined_at: Option<Timestamp>,
    /// True if the backlog may take no more deliveries.
    pub full: bool,
    /// The time at which the backlog was counted.
    pub counted_at: Option<Timestamp>,
}

impl Lane {
    /// The time for which the endpoint has to be quick before its lane is left.
    fn proof(&self) -> Duration {
        FIRST_PROOF.saturating_mul(1_u32 << self.relapses.min(10)).min(LONGEST_PROOF)
    }

    /// Tells whether a sidelined endpoint has been quick for long enough.
    fn is_proven(&self, now: Timestamp) -> bool {
        let since = self.opened_at.unwrap_or(now);
        self.sick_until.is_none() && self.quick >= QUICK_TO_RECOVER && now >= since + self.proof()
    }

    /// The end of the pause in which nothing is sent, where that is known.
    pub fn waits_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.phase.and(self.sick_until).filter(|until| *until > now)
    }

    /// The state as the webhook's owner sees it.
    pub fn state(&self) -> State {
        match (self.phase, self.reason) {
            (None, _) => State::Healthy,
            (Some(Phase::Pouring), _) => State::Recovering,
            (Some(_), Some(Reason::Limited)) => State::Limited,
            (Some(_), Some(Reason::Sick)) => State::Sick,
            (Some(_), _) => State::Slow,
        }
    }

    /// The reason why deliveries wait; none if they go straight to the endpoint.
    pub fn waiting_reason(&self) -> Option<Reason> {
        self.phase.map(|_| self.reason.unwrap_or(Reason::Slow))
    }
}

/// The way in which deliveries go to an endpoint. `healthy`: straight. `limited`: more have come
/// than the rate limit allows, and they go out at the limit. `slow`: it takes long to answer, and
/// they take turns. `sick`: it keeps timing out, and one at a time finds out whether it is back.
/// `recovering`: it is quick again, and what has waited is being sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[
    cfg_attr(
        feature = "openapi", derive(utoipa::ToSchema),
        schema(as = HealthState, rename_all = "lowercase")
    )
]
pub enum State {
    /// Deliveries go straight to it.
    Healthy,
    /// Its rate limit makes deliveries wait.
    Limited,
    /// It is slow, so its deliveries wait for their turn.
    Slow,
    /// It keeps timing out, so nothing is sent but a probe now and then.
    Sick,
    /// It is well again, and what has waited is being handed out.
    Recovering,
}

impl State {
    /// Every state, with the name that the API uses.
    pub const NAMES: [(&'static str, Self); 5] = [
        ("healthy", Self::Healthy),
        ("limited", Self::Limited),
        ("slow", Self::Slow),
        ("sick", Self::Sick),
        ("recovering", Self::Recovering),
    ];

    /// The name that the API uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Limited => "limited",
            Self::Slow => "slow",
            Self::Sick => "sick",
            Self::Recovering => "recovering",
        }
    }

    /// A sentence for the owner that explains the state; none where there is nothing to explain.
    pub fn explanation(self) -> Option<&'static str> {
        match self {
            Self::Healthy => None,
            Self::Limited => Some(
                "More deliveries have come than the rate limit allows; they go out at the limit.",
            ),
            Self::Slow => Some(
                "The endpoint takes longer than a second to answer; its deliveries take turns.",
            ),
            Self::Sick => Some(
                "The endpoint keeps timing out; one delivery at a time finds out whether it \
                 is back.",
            ),
            Self::Recovering => Some("The endpoint is quick again; what has waited is being sent."),
        }
    }
}

/// Wakes the turn of a webhook that was changed, paused, enabled or deleted, and lets a request
/// through an open circuit, because the change may have mended the endpoint. This write comes after
/// the change itself, and a message with the token follows it.
pub fn nudge(now: Timestamp) -> Write {
    Write::default()
        .only_if(Condition::Present(Attr::Token))
        .set(Attr::WakeAt, now)
        .set(Attr::DueAt, now + WATCHDOG)
        .remove(Attr::Holder)
        .remove(Attr::SickUntil)
}

/// Closes the circuit of an idle lane, which has no turn to wake, so that the next delivery goes
/// out at once.
pub fn forgive(lane: &Lane) -> Option<Write> {
    if lane.phase != Some(Phase::Idle) {
        return None;
    }
    lane.sick_until?;
    let write = Write::default()
        .only_if(Condition::is(Attr::Phase, Phase::Idle))
        .only_if(Condition::Absent(Attr::Token))
        .remove(Attr::SickUntil);
    Some(write)
}

/// `release` looks this far ahead for lanes that were told to wake.
const WAKE_AHEAD: Duration = Duration::from_secs(75);
/// `release` looks after a lane that it has woken again after this time.
const WAKE_AGAIN: Duration = Duration::from_secs(300);

/// Decides what `release` does about a lane that the index lists: the write, and the time at which
/// its message shall come. None if the lane is not due yet. A lane that was told to wake at its
/// `dueAt` is woken a little early, by a message with a delay; a lane whose turn has been silent is
/// looked after only when its time is past.
pub fn wake(lane: &Lane, now: Timestamp) -> Option<(Write, Timestamp)> {
    let due_at = lane.due_at?;
    let wake_at = lane.wake_at.unwrap_or(now);
    let was_told_to_wake = wake_at == due_at;
    let due_until = if was_told_to_wake { now + WAKE_AHEAD } else { now };
    if due_at > due_until {
        return None;
    }
    let mut write = Write::default()
        .only_if(Condition::is(Attr::DueAt, due_at))
        .set(Attr::DueAt, wake_at.max(now) + WAKE_AGAIN)
        .remove(Attr::Holder);
    if let Some(shard) = &lane.due_shard {
        write = write.set(Attr::DueShard, shard.replacen(PROBES, LANES, 1).as_str());
    }
    Some((write, wake_at))
}

/// The first letter of the partitions of the index `due` that lanes are in.
const LANES: &str = "L";
/// The first letter of the partitions for lanes that sleep until their circuit closes. They are
/// apart, so that their number does not hold up the others.
const PROBES: &str = "P";

/// The partition of the index `due` that a lane is in.
pub fn due_shard(spread: u64) -> String {
    format!("{LANES}{}", spread % u64::from(DUE_SHARDS))
}

/// The partitions of the index `due` that a part of `release` works off: those of lanes, and those
/// of lanes that wait for a probe.
pub fn due_shards(part: Part) -> (Vec<String>, Vec<String>) {
    (shards_of(part, LANES), shards_of(part, PROBES))
}

fn shards_of(part: Part, prefix: &str) -> Vec<String> {
    part.share_of(DUE_SHARDS).map(|shard| format!("{prefix}{shard}")).collect()
}

/// The number of lanes of one partition that are probed a minute, so that all partitions together
/// probe `all`.
pub fn probes_a_shard(all: u32) -> u32 {
    all.div_ceil(u32::from(DUE_SHARDS))
}
