//! A turn ends for a moment, until a later time, or by closing the lane.

use std::time::Duration;

use jiff::Timestamp;

use super::{Attr, Condition, Outcome, Over, Phase, Stage, Step, Turn, Write};
use crate::endpoint::lane::{LANE_LIFE, LANES, Lane, PROBES, Reason, Seen, WATCHDOG};

/// A message whose turn was taken over, or can't be ended, comes again after this time and finds
/// out.
pub(super) const TAKEN_OVER: Duration = Duration::from_secs(10);
/// The longest wait as the message's visibility timeout.
const LONGEST_VISIBILITY: Duration = Duration::from_secs(120);
/// A message is given up, and replaced by `release`, after so many receives or at this age: SQS
/// counts both.
const MAX_RECEIVES: u32 = 200;
const MAX_AGE: Duration = Duration::from_secs(6 * 60 * 60);
/// The watchdog is moved only when less than this is left, because each move writes to the index.
const WATCHDOG_LEFT: Duration = Duration::from_secs(120);
const WATCHDOG_WHILE_WAITING: Duration = Duration::from_secs(15 * 60);

/// The way in which a turn ends that goes on later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// Its message comes again at this time.
    Again { now: Timestamp, at: Timestamp },
    /// `release` sends another message at this time.
    Later { at: Timestamp },
}

impl Ending {
    pub(super) fn again(now: Timestamp, wait: Duration) -> Self {
        Self::Again { now, at: now + wait }
    }

    pub(super) fn later(at: Timestamp) -> Self {
        Self::Later { at }
    }

    fn at(self) -> Timestamp {
        match self {
            Self::Again { at, .. } | Self::Later { at } => at,
        }
    }
}

/// The steps of a turn that closes its lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closing {
    /// Gives the lane this phase, which is one without a backlog, or none.
    Close(Option<Phase>),
    /// Looks at the backlog again.
    Again,
    /// Opens the lane again, because something came in between.
    Reopen,
    /// Forgets the turn and the watchdog, because nothing came.
    Forget,
    /// Gives the lease up, because another append has opened the lane and its turn needs it.
    Release,
}

impl Turn {
    pub(super) fn end(&mut self, ending: Ending) -> Step {
        let ending = match ending {
            Ending::Again { now, at }
                if at > now + LONGEST_VISIBILITY || self.has_old_message(now) =>
            {
                Ending::later(at)
            }
            ending => ending,
        };
        self.stage = Stage::Ending(ending);
        Step::Look
    }

    /// Tells whether `release` should replace the turn's message soon.
    fn has_old_message(&self, now: Timestamp) -> bool {
        self.message.receives >= MAX_RECEIVES || now >= self.message.sent + MAX_AGE
    }

    pub(super) fn end_write(&self, ending: Ending) -> Write {
        let mine = self
            .mine()
            .only_if(Condition::is_as(Attr::WakeAt, self.lane.wake_at))
            .only_if(Condition::is_as(Attr::Phase, self.lane.phase));
        let write = self.with_lessons(mine).set(Attr::WakeAt, ending.at()).remove(Attr::LeaseUntil);
        match ending {
            Ending::Again { at, .. }
                if self.lane.due_at.is_none_or(|due| due < at + WATCHDOG_LEFT) =>
            {
                write.set(Attr::DueAt, at + WATCHDOG_WHILE_WAITING)
            }
            Ending::Again { .. } => write,
            Ending::Later { at } => {
                let asleep = write.set(Attr::DueAt, at).remove(Attr::Holder);
                match &self.lane.due_shard {
                    Some(shard) if self.lane.sick_until.is_some() => {
                        asleep.set(Attr::DueShard, shard.replacen(LANES, PROBES, 1).as_str())
                    }
                    _ => asleep,
                }
            }
        }
    }

    pub(super) fn ended(&mut self, ending: Ending, outcome: Outcome, now: Timestamp) {
        let is_done = match &outcome {
            Outcome::Done(_) => true,
            Outcome::Refused(lane) => {
                // The answer to the first try got lost.
                lane.wake_at == Some(self.millisecond(ending.at())) && lane.lease_until.is_none()
            }
        };
        if is_done {
            self.stage = Stage::Over(match ending {
                Ending::Later { .. } => Over::Done,
                // Rounded down to whole seconds: the rest is sat out.
                Ending::Again { at, .. } => {
                    let wait = Duration::try_from(at.duration_since(now)).unwrap_or_default();
                    Over::RetryIn(Duration::from_secs(wait.as_secs()))
                }
            });
            return;
        }
        let Outcome::Refused(lane) = outcome else { return };
        if !self.is_mine(&lane) {
            self.stage = Stage::Over(Over::RetryIn(TAKEN_OVER));
            return;
        }
        // The lane was nudged, because the webhook was changed, or the webhook was sidelined again.
        // The turn begins again at once, and sees it.
        self.adopt(lane);
        self.end(Ending::again(now, Duration::ZERO));
    }

    pub(super) fn close(&mut self, now: Timestamp) -> Step {
        self.stage = Stage::Closing(Closing::Close(self.phase_when_empty(now)));
        Step::Look
    }

    pub(super) fn close_write(&self, closing: Closing, now: Timestamp) -> Write {
        let mine = self.mine().only_if(Condition::is_as(Attr::Phase, self.lane.phase));
        match closing {
            Closing::Close(phase) => self
                .with_lessons(mine)
                .set(Attr::DueAt, now + WATCHDOG)
                .set_or_remove(Attr::Phase, phase),
            Closing::Again | Closing::Reopen => mine.set(Attr::Phase, Phase::Held),
            Closing::Forget => {
                let forgotten = [
                    Attr::DueAt,
                    Attr::DueShard,
                    Attr::Token,
                    Attr::Holder,
                    Attr::Turn,
                    Attr::LeaseUntil,
                    Attr::WakeAt,
                    Attr::Full,
                    Attr::CountedAt,
                ];
                let write = forgotten.into_iter().fold(mine, Write::remove);
                write.set(Attr::ExpiresAt, (now + LANE_LIFE).as_second())
            }
            Closing::Release => self.mine().remove(Attr::LeaseUntil),
        }
    }

    /// The phase of the lane when its backlog is empty. An empty backlog is no proof that an
    /// endpoint is well.
    fn phase_when_empty(&self, now: Timestamp) -> Option<Phase> {
        let is_served = matches!(self.seen, Some(Seen::Enabled(_)));
        let has_to_prove = matches!(self.lane.reason, Some(Reason::Slow | Reason::Sick))
            && !self.lane.is_proven(now);
        match self.lane.phase {
            Some(Phase::Held | Phase::Idle) if is_served && has_to_prove => Some(Phase::Idle),
            _ => None,
        }
    }

    pub(super) fn closed(&mut self, closing: Closing, outcome: Outcome) {
        match (closing, outcome) {
            (Closing::Close(phase), outcome) => self.closed_lane(phase, outcome),
            (Closing::Again, _) => {}
            (Closing::Reopen, Outcome::Done(_)) => self.reopened(),
            (Closing::Forget, Outcome::Done(_)) | (Closing::Release, _) => {
                self.stage = Stage::Over(Over::Done)
            }
            // A lane without a turn was forgotten by an earlier try of this write.
            (_, Outcome::Refused(lane)) if !self.is_mine(&lane) => {
                self.stage = Stage::Over(Over::Done)
            }
            (_, Outcome::Refused(lane)) if lane.token != self.lane.token => {
                self.stage = Stage::Closing(Closing::Release);
            }
            // The answer to the first try got lost.
            (_, Outcome::Refused(lane)) if lane.phase == Some(Phase::Held) => self.reopened(),
            // Strikes have made the lane idle in the meantime, so the same step is done once more.
            (_, Outcome::Refused(lane)) => self.adopt(lane),
        }
    }

    fn closed_lane(&mut self, phase: Option<Phase>, outcome: Outcome) {
        match outcome {
            Outcome::Done(_) => {
                self.lane.phase = phase;
                self.stage = Stage::Closing(Closing::Again);
            }
            Outcome::Refused(lane) if !self.is_mine(&lane) => {
                self.stage = Stage::Over(Over::RetryIn(TAKEN_OVER))
            }
            // The webhook was sidelined again, or an earlier try of this write closed the lane: the
            // work goes on and comes here again.
            Outcome::Refused(lane) => {
                self.adopt(lane);
                self.drained_at = None;
                self.stage = Stage::Working;
            }
        }
    }

    fn reopened(&mut self) {
        self.lane.phase = Some(Phase::Held);
        self.drained_at = None;
        self.stage = Stage::Working;
    }

    /// Notes whether the backlog was still empty after the lane was closed.
    pub fn looked_again(&mut self, is_empty: bool) {
        let next = if is_empty { Closing::Forget } else { Closing::Reopen };
        self.stage = Stage::Closing(next);
    }

    pub(super) fn is_mine(&self, lane: &Lane) -> bool {
        lane.turn.as_deref() == Some(&self.me)
    }

    /// The time in whole milliseconds, as the table stores it.
    fn millisecond(&self, time: Timestamp) -> Timestamp {
        Timestamp::from_millisecond(time.as_millisecond()).unwrap_or(time)
    }
}
