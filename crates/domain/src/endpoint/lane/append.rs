//! The side of the lane where deliveries arrive: whether they may go, how they get into the
//! backlog, and what sidelines a webhook.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    Attr, Condition, LANE_LIFE, Lane, Outcome, Phase, RELAPSE_WITHIN, Reason, STRIKES_TO_SIDELINE,
    STRIKES_WITHIN, WATCHDOG, Write,
};

/// A lane that was closed gathers arrivals for this long before its turn begins.
const GATHER: Duration = Duration::from_secs(1);
/// The attributes that turns have learned about the endpoint. They are forgotten when the webhook
/// is sidelined, or its lane opened anew.
const LESSONS: [Attr; 5] =
    [Attr::Window, Attr::Quick, Attr::Timeouts, Attr::SickUntil, Attr::CircuitOpenings];

/// The way that a delivery takes when it arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It goes straight to the endpoint.
    Go,
    /// It waits in the backlog.
    Wait,
    /// It is recorded as skipped, because the backlog is full.
    Shed,
}

impl Lane {
    /// Decides about a delivery that arrives.
    pub fn admission(&self) -> Admission {
        match self.phase {
            None | Some(Phase::Pouring) => Admission::Go,
            Some(Phase::Held | Phase::Idle) if self.full => Admission::Shed,
            Some(Phase::Held | Phase::Idle) => Admission::Wait,
        }
    }

    /// Counts a slow request. The third strike within a minute sidelines the webhook, and so does
    /// the third doubt without a quick answer in between. None if the webhook is sidelined already.
    /// The write holds for the lane as it was read; if it is refused, the caller reads the lane
    /// again and decides anew.
    pub fn strike(&self, strike: Strike, now: Timestamp) -> Option<Write> {
        let goes_the_fast_way = self.phase.is_none_or(|phase| phase == Phase::Pouring);
        if strike == Strike::Doubt && self.doubts + 1 < STRIKES_TO_SIDELINE {
            let seen = Write::default()
                .only_if(Condition::is_as(Attr::Phase, self.phase))
                .only_if(Condition::is_as(Attr::Doubts, (self.doubts > 0).then_some(self.doubts)));
            return goes_the_fast_way
                .then(|| self.kept(seen, now).set(Attr::Doubts, self.doubts + 1));
        }
        let counts_on = self.strikes_since.is_some_and(|since| now < since + STRIKES_WITHIN);
        let strikes = match strike {
            // The third doubt is enough by itself.
            Strike::Doubt => STRIKES_TO_SIDELINE,
            Strike::Counts if counts_on => self.strikes + 1,
            Strike::Counts => 1,
        };
        let seen = Write::default()
            .only_if(Condition::is_as(Attr::Phase, self.phase))
            .only_if(Condition::is_as(Attr::Strikes, (self.strikes > 0).then_some(self.strikes)))
            .only_if(Condition::is_as(Attr::StrikesSince, self.strikes_since))
            .only_if(Condition::is_as(Attr::Doubts, (self.doubts > 0).then_some(self.doubts)))
            // Whether the lane has a turn decides whether its item expires: see `kept`.
            .only_if(if self.due_at.is_some() {
                Condition::Present(Attr::DueAt)
            } else {
                Condition::Absent(Attr::DueAt)
            });
        if strikes < STRIKES_TO_SIDELINE && goes_the_fast_way {
            let since = self.strikes_since.filter(|_| counts_on).unwrap_or(now);
            return Some(
                self.kept(seen, now).set(Attr::Strikes, strikes).set(Attr::StrikesSince, since),
            );
        }
        let phase = match self.phase {
            None => Phase::Idle,
            Some(Phase::Pouring) => Phase::Held,
            Some(Phase::Held | Phase::Idle) => return None,
        };
        let is_relapse =
            self.sidelined_at.is_some_and(|at| now < at + self.proof() + RELAPSE_WITHIN);
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

    /// Forgets all doubts, because the endpoint has answered quickly. None where there is no doubt.
    pub fn trust(&self) -> Option<Write> {
        let doubted =
            Write::default().only_if(Condition::is(Attr::Doubts, self.doubts)).remove(Attr::Doubts);
        (self.doubts > 0).then_some(doubted)
    }

    /// Keeps an item without a turn for a while; one with a turn does not expire.
    fn kept(&self, write: Write, now: Timestamp) -> Write {
        match self.due_at {
            None => write.set(Attr::ExpiresAt, (now + LANE_LIFE).as_second()),
            Some(_) => write,
        }
    }

    /// Gives the lane a turn, which the backlog needs now that it has something in it. None if the
    /// lane has a turn already.
    fn open(
        &self,
        reason: Reason,
        token: &str,
        shard: &str,
        now: Timestamp,
    ) -> Option<(Write, Duration)> {
        let (write, gather) = match self.phase {
            Some(Phase::Held | Phase::Pouring) => return None,
            // What the endpoint has proven so far, and since when, stays.
            Some(Phase::Idle) => {
                let write = Write::default().only_if(Condition::is(Attr::Phase, Phase::Idle));
                (write, Duration::ZERO)
            }
            None => {
                let write = Write::default()
                    .only_if(Condition::Absent(Attr::Phase))
                    .set(Attr::Reason, reason)
                    .set(Attr::OpenedAt, now);
                (LESSONS.into_iter().fold(write, Write::remove), GATHER)
            }
        };
        let opened = write
            .set(Attr::Phase, Phase::Held)
            .set(Attr::Token, token)
            .set(Attr::WakeAt, now + gather)
            .set(Attr::DueAt, now + WATCHDOG)
            .set(Attr::DueShard, shard)
            .remove(Attr::Holder)
            .remove(Attr::ExpiresAt);
        Some((opened, gather))
    }
}

/// A slow request is more or less evidence against its endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strike {
    /// It counts at once: a fifth or more of the recent requests to the endpoint were slow.
    Counts,
    /// It counts only together with others: nearly all recent requests were quick. It may be one
    /// slow request in a hundred, or the first one of an endpoint that has stopped answering; what
    /// other environments see next tells.
    Doubt,
}

/// Puts deliveries of one webhook into its backlog, as a sequence of steps: put the items, read the
/// lane strongly, open it if it has no turn, send the turn's message. Whoever carries the steps out
/// may die at any of them: the message that brought the deliveries is still there, and comes again
/// with the same keys.
#[derive(Debug, Clone)]
pub struct Append {
    reason: Reason,
    token: String,
    shard: String,
    step: AppendStep,
}

/// The next step of an append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppendStep {
    /// Put the items into the backlog.
    Put,
    /// Read the lane strongly. The put has been answered.
    Look,
    /// Open the lane. The delay is for the message that follows.
    Open(Write, Duration),
    /// Send the turn's message. If that fails, the lane's watchdog sends another one.
    Send {
        /// The token that the message has to bring.
        token: String,
        /// The time for which SQS hides the message.
        delay: Duration,
    },
    /// Delete the message that brought the deliveries: all is done.
    Done,
}

impl Append {
    /// Begins to append deliveries, which wait for this reason if the lane has none yet. The token
    /// is random; the shard belongs to the webhook.
    pub fn new(reason: Reason, token: String, shard: String) -> Self {
        Self { reason, token, shard, step: AppendStep::Put }
    }

    /// The step that comes next.
    pub fn next(&self) -> AppendStep {
        self.step.clone()
    }

    /// Notes that the items are in the backlog.
    pub fn put(&mut self) {
        self.step = AppendStep::Look;
    }

    /// Notes the lane that was read.
    pub fn looked(&mut self, lane: &Lane, now: Timestamp) {
        self.step = match lane.open(self.reason, &self.token, &self.shard, now) {
            Some((write, delay)) => AppendStep::Open(write, delay),
            None => AppendStep::Done,
        };
    }

    /// Notes the outcome of the opening. A refusal means that another append has opened the lane,
    /// or that this one has and the answer got lost.
    pub fn opened(&mut self, outcome: &Outcome, now: Timestamp) {
        let AppendStep::Open(_, delay) = self.step else { return };
        match outcome {
            Outcome::Refused(lane) if lane.token.as_deref() != Some(&self.token) => {
                self.looked(lane, now)
            }
            Outcome::Done(_) | Outcome::Refused(_) => {
                self.step = AppendStep::Send { token: self.token.clone(), delay };
            }
        }
    }

    /// Notes that the turn's message was sent, or that sending failed.
    pub fn sent(&mut self) {
        self.step = AppendStep::Done;
    }
}
