//! What a turn is told, and what it learns from it.

use std::time::Duration;

use jiff::Timestamp;

use super::{Answer, Over, Reason, Seen, Stage, Turn, Window, end, pace::Slots};
use crate::lane::{FIRST_CIRCUIT, LONGEST_CIRCUIT, Lane, SLOW, State, TIMEOUTS_TO_OPEN};

impl Turn {
    /// The webhook and its lane were read.
    pub fn looked(&mut self, seen: Seen, lane: Lane, now: Timestamp) {
        self.looked_at = Some(now);
        if let (Seen::Enabled(terms), Some(Seen::Enabled(before))) = (&seen, &self.seen)
            && terms.limit != before.limit
        {
            self.slots = Slots::default();
        }
        self.seen = Some(seen);
        if lane.turn.as_deref() != Some(&self.me) {
            // Another one took it over: the lease had run out.
            self.stage = Stage::Over(Over::RetryIn(end::TAKEN_OVER));
            return;
        }
        self.adopt(lane);
    }

    /// Takes over what others have changed of the lane since it was read.
    pub(super) fn adopt(&mut self, lane: Lane) {
        if lane.opened_at != self.lane.opened_at {
            // It was sidelined or opened anew: what was learned before says nothing any more.
            self.window = Self::first_window(&lane);
            self.pour = None;
            let (full, counted_at, token) = (self.lane.full, self.lane.counted_at, self.lane.token.take());
            self.lane = Lane { full, counted_at, token, ..lane };
            return;
        }
        if lane.wake_at != self.lane.wake_at {
            // It was nudged. The webhook may have been read before it was changed, so it is read again.
            self.seen = None;
            self.lane.sick_until = lane.sick_until;
        }
        self.lane.phase = lane.phase;
        self.lane.wake_at = lane.wake_at;
        self.lane.due_at = lane.due_at;
    }

    /// So much of the backlog is at hand now, beside what was. `is_end` says that the end of the backlog was reached.
    pub fn read(&mut self, found: usize, is_end: bool, now: Timestamp) {
        self.ready += found;
        self.has_more = !is_end;
        self.is_unclean = false;
        if is_end {
            self.drained_at = Some(now);
            // What is at hand is all that waits.
            self.lane.full = false;
        }
    }

    /// The backlog was estimated.
    pub fn counted(&mut self, is_full: bool, now: Timestamp) {
        self.lane.full = is_full;
        self.lane.counted_at = Some(now);
    }

    /// A request has begun, with so much of what was ready.
    pub fn began(&mut self, taken: usize) {
        self.ready -= taken.min(self.ready);
        self.under_way += 1;
        self.slots.used();
    }

    /// A part of what was ready needs no request after all.
    pub fn dropped(&mut self, count: usize) {
        self.ready -= count.min(self.ready);
    }

    /// A request has ended after this time, and what came of it is recorded. So much of what it belongs to is ready again.
    pub fn answered(&mut self, answer: Answer, took: Duration, ready: usize, now: Timestamp) {
        self.under_way = self.under_way.saturating_sub(1);
        self.ready += ready;
        match answer {
            Answer::OurFault => {
                self.is_broken = true;
                return;
            }
            Answer::TimedOut => self.timed_out(now),
            Answer::Answered | Answer::Overloaded => self.close_circuit(),
        }
        let is_quick = took < SLOW && answer != Answer::TimedOut;
        self.lane.quick = if is_quick { self.lane.quick + 1 } else { 0 };
        if self.lane.reason != Some(Reason::Limited) {
            if answer == Answer::Answered { self.window.succeeded() } else { self.window.failed() }
        }
    }

    /// So much of what was ready has been disposed of.
    pub fn disposed(&mut self, count: usize, now: Timestamp) {
        self.ready -= count.min(self.ready);
        if let Some(pour) = &mut self.pour {
            pour.poured(count, now);
        }
    }

    /// A call failed: the turn ends when nothing is under way.
    pub fn failed(&mut self) {
        if self.stage == Stage::Working {
            self.is_broken = true;
        } else {
            self.stage = Stage::Over(Over::RetryIn(end::TAKEN_OVER));
        }
    }

    /// When the lane was opened, or sidelined, last.
    pub fn opened_at(&self) -> Timestamp {
        self.lane.opened_at.unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// What the owner of the webhook sees of its lane.
    pub fn state(&self) -> State {
        self.lane.state()
    }

    /// Until when the circuit will be open after this answer: no retry has to come before.
    pub fn circuit_after(&self, answer: Answer, now: Timestamp) -> Option<Timestamp> {
        let mut after = self.clone();
        match answer {
            Answer::TimedOut => after.timed_out(now),
            Answer::Answered | Answer::Overloaded => after.close_circuit(),
            Answer::OurFault => {}
        }
        after.lane.sick_until
    }

    #[cfg(test)]
    pub(in crate::lane) fn circuit_until(&self) -> Option<Timestamp> {
        self.lane.sick_until
    }

    fn timed_out(&mut self, now: Timestamp) {
        self.lane.timeouts += 1;
        let was_open = self.lane.sick_until.is_some_and(|until| until > now);
        let is_probe = self.lane.sick_until.is_some();
        // Requests that were under way when the circuit opened don't open it further.
        if was_open || !(is_probe || self.lane.timeouts >= TIMEOUTS_TO_OPEN) {
            return;
        }
        let open = FIRST_CIRCUIT.saturating_mul(1_u32 << self.lane.openings.min(10)).min(LONGEST_CIRCUIT);
        self.lane.sick_until = Some(now + open);
        self.lane.openings += 1;
        self.lane.reason = Some(Reason::Sick);
        self.window = Window::new(1);
    }

    /// Any answer, even an error, closes the circuit; whether the endpoint is quick has to be proven.
    fn close_circuit(&mut self) {
        self.lane.timeouts = 0;
        self.lane.openings = 0;
        self.lane.sick_until = None;
        if self.lane.reason == Some(Reason::Sick) {
            self.lane.reason = Some(Reason::Slow);
        }
    }
}
