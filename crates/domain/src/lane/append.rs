//! The side of the lane where deliveries arrive: whether they may go, how they get into the backlog, and what sidelines a webhook.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    Attr, Condition, LANE_LIFE, Lane, Outcome, Phase, RELAPSE_WITHIN, Reason, STRIKES_TO_SIDELINE, STRIKES_WITHIN,
    WATCHDOG, Write,
};

/// How long a lane that was closed gathers arrivals before its turn begins.
const GATHER: Duration = Duration::from_secs(1);
/// What turns have learned of the endpoint. It says nothing any more when a webhook is sidelined or opened anew.
const LESSONS: [Attr; 5] = [Attr::Window, Attr::Quick, Attr::Timeouts, Attr::SickUntil, Attr::Openings];

/// What becomes of a delivery that has arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It goes the fast way.
    Go,
    /// It waits in the backlog.
    Wait,
    /// The backlog is full: it is recorded as skipped.
    Shed,
}

impl Lane {
    /// What becomes of what arrives.
    pub fn admission(&self) -> Admission {
        match self.phase {
            None | Some(Phase::Pouring) => Admission::Go,
            Some(Phase::Held | Phase::Idle) if self.full => Admission::Shed,
            Some(Phase::Held | Phase::Idle) => Admission::Wait,
        }
    }

    /// Counts a slow request. The third strike within a minute sidelines the webhook, and so does the third doubt with no quick answer
    /// since the first. None where it is sidelined already. The write is for the lane as it was read; one that is refused is to be
    /// decided anew.
    pub fn strike(&self, strike: Strike, now: Timestamp) -> Option<Write> {
        if strike == Strike::Doubt && self.doubts + 1 < STRIKES_TO_SIDELINE {
            let is_open = self.phase.is_none_or(|phase| phase == Phase::Pouring);
            let seen = Write::default()
                .only_if(Condition::is_as(Attr::Phase, self.phase))
                .only_if(Condition::is_as(Attr::Doubts, (self.doubts > 0).then_some(self.doubts)));
            return is_open.then(|| self.kept(seen, now).set(Attr::Doubts, self.doubts + 1));
        }
        let counts_on = self.strikes_since.is_some_and(|since| now < since + STRIKES_WITHIN);
        let strikes = match strike {
            Strike::Doubt => STRIKES_TO_SIDELINE,
            Strike::Counts if counts_on => self.strikes + 1,
            Strike::Counts => 1,
        };
        let seen = Write::default()
            .only_if(Condition::is_as(Attr::Phase, self.phase))
            .only_if(Condition::is_as(Attr::Strikes, (self.strikes > 0).then_some(self.strikes)))
            .only_if(Condition::is_as(Attr::StrikesSince, self.strikes_since))
            .only_if(Condition::is_as(Attr::Doubts, (self.doubts > 0).then_some(self.doubts)))
            .only_if(if self.due_at.is_some() {
                Condition::Present(Attr::DueAt)
            } else {
                Condition::Absent(Attr::DueAt)
            });
        if strikes < STRIKES_TO_SIDELINE && self.phase.is_none_or(|phase| phase == Phase::Pouring) {
            let since = self.strikes_since.filter(|_| counts_on).unwrap_or(now);
            return Some(self.kept(seen, now).set(Attr::Strikes, strikes).set(Attr::StrikesSince, since));
        }
        let phase = match self.phase {
            None => Phase::Idle,
            Some(Phase::Pouring) => Phase::Held,
            Some(Phase::Held | Phase::Idle) => return None,
        };
        let is_relapse = self.sidelined_at.is_some_and(|at| now < at + self.proof() + RELAPSE_WITHIN);
        let relapses = if is_relapse { self.relapses + 1 } else { 0 };
        let forgotten = [Attr::Strikes, Attr::StrikesSince, Attr::Doubts];
        let sidelined = LESSONS.into_iter().chain(forgotten).fold(seen, Write::remove);
        Some(
            self.kept(sidelined, now)
                .set(Attr::Phase, phase)
                .set(Attr::Reason, Reason::Slow)
                .set(Attr::OpenedAt, now)
                .set(Attr::SidelinedAt, now)
                .set(Attr::Relapses, relapses),
        )
    }

    /// The endpoint has answered quickly: what was doubted of it is forgotten. None where nothing was.
    pub fn trust(&self) -> Option<Write> {
        let doubted = Write::default().only_if(Condition::is(Attr::Doubts, self.doubts)).remove(Attr::Doubts);
        (self.doubts > 0).then_some(doubted)
    }

    /// An item without a turn is remembered for a while; one with a turn does not expire.
    fn kept(&self, write: Write, now: Timestamp) -> Write {
        match self.due_at {
            None => write.set(Attr::ExpiresAt, (now + LANE_LIFE).as_second()),
            Some(_) => write,
        }
    }

    /// Gives the lane a turn, for the backlog that has something in it. None where it has one.
    fn open(&self, reason: Reason, token: &str, shard: &str, now: Timestamp) -> Option<(Write, Duration)> {
        let opened = |write: Write, gather| {
            write
                .set(Attr::Phase, Phase::Held)
                .set(Attr::Token, token)
                .set(Attr::WakeAt, now + gather)
                .set(Attr::DueAt, now + WATCHDOG)
                .set(Attr::DueShard, shard)
                .remove(Attr::Holder)
                .remove(Attr::ExpiresAt)
        };
        match self.phase {
            Some(Phase::Held | Phase::Pouring) => None,
            // What it has proven so far, and since when, stays.
            Some(Phase::Idle) => {
                let write = Write::default().only_if(Condition::is(Attr::Phase, Phase::Idle));
                Some((opened(write, Duration::ZERO), Duration::ZERO))
            }
            None => {
                let write = Write::default().only_if(Condition::Absent(Attr::Phase));
                let write = opened(write, GATHER).set(Attr::Reason, reason).set(Attr::OpenedAt, now);
                Some((LESSONS.into_iter().fold(write, Write::remove), GATHER))
            }
        }
    }
}

/// What a slow request says about its endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strike {
    /// A fifth or more of what was seen of the endpoint lately was slow.
    Counts,
    /// Nearly all that was seen of it was quick. It may be one slow request in a hundred, or the first one of an endpoint that has
    /// stopped: what others see next tells.
    Doubt,
}

/// Deliveries of one webhook get into its backlog: they are put, then the lane is read strongly, then it is opened where it has no
/// turn, then the turn's message is sent. Whoever carries this out may die at any step: the deliveries' own message is still there
/// and comes again, with the same keys.
#[derive(Debug, Clone)]
pub struct Append {
    reason: Reason,
    token: String,
    shard: String,
    step: AppendStep,
}

/// What is to be done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppendStep {
    /// The items are to be put.
    Put,
    /// The lane is to be read strongly, after the put was answered.
    Look,
    /// The lane is to be opened; the delay is for the message that follows.
    Open(Write, Duration),
    /// The message of the turn is to be sent. Should that fail, the lane's watchdog will see to it.
    Send {
        /// What the message has to bring.
        token: String,
        /// How long it stays hidden.
        delay: Duration,
    },
    /// All is done: the message that brought the deliveries can go.
    Done,
}

impl Append {
    /// Deliveries that wait for this reason, if the lane has none yet. The token is random; the shard is that of the webhook.
    pub fn new(reason: Reason, token: String, shard: String) -> Self {
        Self { reason, token, shard, step: AppendStep::Put }
    }

    /// What is to be done next.
    pub fn next(&self) -> AppendStep {
        self.step.clone()
    }

    /// The items are in the backlog.
    pub fn put(&mut self) {
        self.step = AppendStep::Look;
    }

    /// The lane was read.
    pub fn looked(&mut self, lane: &Lane, now: Timestamp) {
        self.step = match lane.open(self.reason, &self.token, &self.shard, now) {
            Some((write, delay)) => AppendStep::Open(write, delay),
            None => AppendStep::Done,
        };
    }

    /// What became of the opening. One that is refused has met another one, or itself when an answer got lost.
    pub fn opened(&mut self, outcome: &Outcome, now: Timestamp) {
        let AppendStep::Open(_, delay) = self.step else { return };
        match outcome {
            Outcome::Refused(lane) if lane.token.as_deref() != Some(&self.token) => self.looked(lane, now),
            Outcome::Done(_) | Outcome::Refused(_) => {
                self.step = AppendStep::Send { token: self.token.clone(), delay };
            }
        }
    }

    /// The message was sent, or not.
    pub fn sent(&mut self) {
        self.step = AppendStep::Done;
    }
}
