//! The pace at which a turn sends: in the slots of a rate limit, or pouring.

use std::{collections::VecDeque, time::Duration};

use jiff::Timestamp;

use super::{
    Attr, Condition, Ending, Outcome, Over, Phase, Reason, SIT_OUT, Stage, Step, Turn, Write,
    end::TAKEN_OVER,
};
use crate::{
    endpoint::lane::{Terms, turn::PAGE},
    webhook::rate_limit::RateLimit,
};

/// The highest rate limit, in requests a second, that a turn keeps by itself. Above it the turn
/// pours, and `deliver` takes the slots.
const TURN_CAPACITY: f64 = 50.0;
/// Pouring begins at this rate, in deliveries a second, and doubles it after each such time.
const FIRST_POUR: f64 = 20.0;
const DOUBLES_EVERY: Duration = Duration::from_secs(2);
/// Deliveries are poured this often.
const POUR_EVERY: Duration = Duration::from_millis(500);

/// The slots of the rate limit that a turn holds, and the time of the next one.
#[derive(Debug, Clone, Default)]
pub(super) struct Slots {
    at: VecDeque<Timestamp>,
    next: Option<Timestamp>,
}

impl Slots {
    /// Uses the first slot up, for a request that has begun.
    pub(super) fn used(&mut self) {
        self.at.pop_front();
    }
}

/// The progress of pouring.
#[derive(Debug, Clone)]
pub(super) struct Pour {
    began: Timestamp,
    last: Timestamp,
}

impl Pour {
    /// The number of deliveries that may be poured `now`.
    fn budget(&self, limit: Option<RateLimit>, now: Timestamp) -> usize {
        let doublings = seconds_between(self.began, now) / DOUBLES_EVERY.as_secs_f64();
        let growing = FIRST_POUR * 2_f64.powf(doublings.floor().min(16.0));
        let rate = limit.map_or(growing, |limit| growing.min(limit.per_second()));
        (rate * seconds_between(self.last, now)) as usize
    }

    pub(super) fn poured(&mut self, count: usize, now: Timestamp) {
        if count > 0 {
            self.last = now;
        }
    }
}

fn seconds_between(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64()
}

impl Turn {
    /// Returns the phase that the lane has to get, if that is not the one it has. The backlog is
    /// poured back to the deliveries queue when the endpoint has proven that it is well, or when
    /// deliveries waited only because of a limit that is gone, or that no turn can keep. An
    /// endpoint with a limit that a turn can keep is served by its turn.
    pub(super) fn other_phase(&mut self, terms: &Terms, now: Timestamp) -> Option<Phase> {
        let is_well = self.lane.reason == Some(Reason::Limited) || self.lane.is_proven(now);
        let is_kept = terms.limit.is_some_and(|limit| limit.per_second() <= TURN_CAPACITY);
        if is_well && is_kept && self.lane.reason != Some(Reason::Limited) {
            self.lane.reason = Some(Reason::Limited);
            self.window = Self::first_window(&self.lane);
        }
        match self.lane.phase {
            Some(Phase::Held) if is_well && !is_kept => Some(Phase::Pouring),
            Some(Phase::Pouring) if is_kept => Some(Phase::Held),
            _ => None,
        }
    }

    pub(super) fn switch_write(&self, phase: Phase) -> Write {
        let mine = self
            .mine()
            .only_if(Condition::is_as(Attr::Phase, self.lane.phase))
            // Strikes may give the lane its former phase back: a repeat of this write must not undo
            // that.
            .only_if(Condition::is_as(Attr::OpenedAt, self.lane.opened_at));
        self.with_lessons(mine).set(Attr::Phase, phase)
    }

    pub(super) fn switched(&mut self, phase: Phase, outcome: Outcome) {
        self.pour = None;
        self.stage = Stage::Working;
        match outcome {
            Outcome::Done(_) => self.lane.phase = Some(phase),
            // The answer to the first try got lost, or strikes have sidelined the webhook again.
            Outcome::Refused(lane) if self.is_mine(&lane) => self.adopt(lane),
            Outcome::Refused(_) => self.stage = Stage::Over(Over::RetryIn(TAKEN_OVER)),
        }
    }

    pub(super) fn pour(&mut self, terms: &Terms, now: Timestamp) -> Step {
        if self.under_way > 0 {
            return self.wait_for_an_answer(now);
        }
        if self.ready == 0 {
            return if self.is_drained(now) { self.close(now) } else { Step::Read(PAGE) };
        }
        if self.has_more && self.wants_count(now) {
            return Step::Count;
        }
        let pour = self.pour.get_or_insert(Pour { began: now, last: now });
        match pour.budget(terms.limit, now).min(self.ready).min(PAGE) {
            0 => Step::Wait(pour.last + POUR_EVERY),
            count => Step::Pour(count),
        }
    }

    /// Begins the next request when its slot has come.
    pub(super) fn send_in_slot(&mut self, limit: RateLimit, room: u32, now: Timestamp) -> Step {
        self.slots.at.retain(|at| now <= *at + limit.lateness());
        if let Some(at) = self.slots.at.front().copied() {
            return if at > now { Step::Wait(at) } else { Step::Send };
        }
        match self.slots.next.take() {
            Some(next) if next > now + SIT_OUT && self.under_way == 0 => self.end(Ending::again(
                now,
                Duration::try_from(next.duration_since(now)).unwrap_or_default(),
            )),
            Some(next) if next > now => {
                self.slots.next = Some(next);
                Step::Wait(next)
            }
            _ => {
                let wanted = (limit.per_second().ceil() as usize).min(self.ready.max(1));
                Step::Reserve(
                    u32::try_from(wanted).unwrap_or(u32::MAX).min(room - self.under_way).max(1),
                )
            }
        }
    }

    /// Notes these reserved slots, or that none is free before `next`.
    pub fn reserved(&mut self, slots: Vec<Timestamp>, next: Option<Timestamp>) {
        self.slots.at.extend(slots);
        self.slots.next = next;
    }
}
