//! The facts that a turn is told, and what it learns from them.

use std::time::Duration;

use jiff::Timestamp;

use super::{Over, Reason, Seen, Stage, Turn, Verdict, Window, end, pace::Slots};
use crate::endpoint::lane::{FIRST_CIRCUIT, LONGEST_CIRCUIT, Lane, SLOW, State, TIMEOUTS_TO_OPEN};

impl Turn {
    /// Notes the webhook and its lane as they were read.
    pub fn looked(&mut self, seen: Seen, lane: Lane, now: Timestamp) {
        self.looked_at = Some(now);
        if let (Seen::Enabled(terms), Some(Seen::Enabled(before))) = (&seen, &self.seen)
            && terms.limit != before.limit
        {
            self.slots = Slots::default();
        }
        self.seen = Some(seen);
        if lane.turn.as_deref() != Some(&self.me) {
            // The lease had run out, and another message took the turn over.
            self.stage = Stage::Over(Over::RetryIn(end::TAKEN_OVER));
            return;
        }
        self.adopt(lane);
    }

    /// Takes over the changes that others have made to the lane since it was read.
    pub(super) fn adopt(&mut self, lane: Lane) {
        if lane.opened_at != self.lane.opened_at {
            // The webhook was sidelined, or its lane opened, anew: lessons about the endpoint from
            // before are void.
            self.window = Self::first_window(&lane);
            self.pour = None;
            let (full, counted_at, token) =
                (self.lane.full, self.lane.counted_at, self.lane.token.take());
            self.lane = Lane { full, counted_at, token, ..lane };
            return;
        }
        if lane.wake_at != self.lane.wake_at {
            // The lane was nudged. The webhook may have been read before it was changed, so it is
            // read again.
            self.seen = None;
            self.lane.sick_until = lane.sick_until;
        }
        self.lane.phase = lane.phase;
        self.lane.wake_at = lane.wake_at;
        self.lane.due_at = lane.due_at;
    }

    /// Notes that so many more items of the backlog are at hand. `is_end` says that the end of the
    /// backlog was reached.
    pub fn read(&mut self, found: usize, is_end: bool, now: Timestamp) {
        self.ready += found;
        self.has_more = !is_end;
        self.is_unclean = false;
        if is_end {
            self.drained_at = Some(now);
            // The items at hand are all that waits, so there is room again.
            self.lane.full = false;
        }
    }

    /// Notes an estimate of the backlog.
    pub fn counted(&mut self, is_full: bool, now: Timestamp) {
        self.lane.full = is_full;
        self.lane.counted_at = Some(now);
    }

    /// Notes that a request has begun, with so many of the ready deliveries.
    pub fn began(&mut self, taken: usize) {
        self.ready -= taken.min(self.ready);
        self.under_way += 1;
        self.slots.used();
    }

    /// Notes that so many of the ready deliveries need no request after all.
    pub fn dropped(&mut self, count: usize) {
        self.ready -= count.min(self.ready);
    }

    /// Notes that a request has ended after this time, and that its result is recorded. So many of
    /// its deliveries are `ready` again.
    pub fn answered(&mut self, verdict: Verdict, took: Duration, ready: usize, now: Timestamp) {
        self.under_way = self.under_way.saturating_sub(1);
        self.ready += ready;
        match verdict {
            Verdict::OurFault => {
                self.is_broken = true;
                return;
            }
            Verdict::TimedOut => self.timed_out(now),
            Verdict::Answered | Verdict::Overloaded => self.close_circuit(),
        }
        let is_quick = took < SLOW && verdict != Verdict::TimedOut;
        self.lane.quick = if is_quick { self.lane.quick + 1 } else { 0 };
        if self.lane.reason != Some(Reason::Limited) {
            if verdict == Verdict::Answered {
                self.window.succeeded()
            } else {
                self.window.failed()
            }
        }
    }

    /// Notes that so many of the ready deliveries were poured, skipped or purged.
    pub fn disposed(&mut self, count: usize, now: Timestamp) {
        self.ready -= count.min(self.ready);
        if let Some(pour) = &mut self.pour {
            pour.poured(count, now);
        }
    }

    /// Notes that a call of ours failed. The turn ends when nothing is under way.
    pub fn failed(&mut self) {
        if self.stage == Stage::Working {
            self.is_broken = true;
        } else {
            self.stage = Stage::Over(Over::RetryIn(end::TAKEN_OVER));
        }
    }

    /// The time at which the lane was opened, or the webhook sidelined, last.
    pub fn opened_at(&self) -> Timestamp {
        self.lane.opened_at.unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// The state of the lane as the webhook's owner sees it.
    pub fn state(&self) -> State {
        self.lane.state()
    }

    /// The time until which the circuit will be open after this verdict. No retry has to come
    /// earlier.
    pub fn circuit_after(&self, verdict: Verdict, now: Timestamp) -> Option<Timestamp> {
        let mut after = self.clone();
        match verdict {
            Verdict::TimedOut => after.timed_out(now),
            Verdict::Answered | Verdict::Overloaded => after.close_circuit(),
            Verdict::OurFault => {}
        }
        after.lane.sick_until
    }

    #[cfg(test)]
    pub(in crate::endpoint::lane) fn circuit_until(&self) -> Option<Timestamp> {
        self.lane.sick_until
    }

    fn timed_out(&mut self, now: Timestamp) {
        self.lane.timeouts += 1;
        let was_open = self.lane.sick_until.is_some_and(|until| until > now);
        let is_probe = self.lane.sick_until.is_some();
        // Requests that were under way when the circuit opened don't keep it open for longer.
        if was_open || !(is_probe || self.lane.timeouts >= TIMEOUTS_TO_OPEN) {
            return;
        }
        let open = FIRST_CIRCUIT
            .saturating_mul(1_u32 << self.lane.circuit_openings.min(10))
            .min(LONGEST_CIRCUIT);
        self.lane.sick_until = Some(now + open);
        self.lane.circuit_openings += 1;
        self.lane.reason = Some(Reason::Sick);
        self.window = Window::new(1);
    }

    /// Closes the circuit: any answer does, even an error. Whether the endpoint is quick is still
    /// to be proven.
    fn close_circuit(&mut self) {
        self.lane.timeouts = 0;
        self.lane.circuit_openings = 0;
        self.lane.sick_until = None;
        if self.lane.reason == Some(Reason::Sick) {
            self.lane.reason = Some(Reason::Slow);
        }
    }
}
