//! The turn of a webhook works its backlog off.
//!
//! A message of the turns queue claims the turn ([`Claiming`]). From then on [`Turn::next`] returns
//! the next step, and whoever carries it out tells the turn what came of it. The turn ends with its
//! time, with a wait that is too long to hold an invocation for, or by closing the lane. Every
//! write to the lane names the turn, so a turn that was taken over can change nothing.
//!
//! - A lease lasts until the invocation's own deadline and a little longer, is set once and never
//!   renewed: a function that was killed or frozen can't act after its deadline. No request begins
//!   that might not end before it.
//! - The lane is written first and the message's visibility changed second, or the next receive
//!   would meet the lease.
//! - A wait of up to 2 s is sat out, one of up to 2 min is the message's visibility timeout, a
//!   longer one is the lane's `dueAt`, at which `release` sends another message. No turn sends a
//!   message to its own queue.

mod claim;
mod end;
mod facts;
mod pace;

use std::time::Duration;

use jiff::Timestamp;

use super::{Attr, Condition, Lane, Outcome, Phase, Reason, Seen, Window, Write};
use crate::endpoint::lane::window::MAX_WINDOW;

pub use claim::{Claim, Claiming, Message};
use end::{Closing, Ending};
use pace::{Pour, Slots};

/// Knowledge of the webhook and its lane may be this old when something begins.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// An empty backlog is taken for empty for this long while requests are under way.
const READ_EVERY: Duration = Duration::from_millis(500);
/// A turn works for this long before it goes to the back of the queue.
const SLICE: Duration = Duration::from_secs(50);
/// After a request this much time has to be left for recording it and ending the turn.
const AFTERMATH: Duration = Duration::from_secs(8);
/// A turn sits out a wait up to this long.
const SIT_OUT: Duration = Duration::from_secs(2);
/// A turn that met a fault of ours waits for this long.
const AFTER_FAULT: Duration = Duration::from_secs(5);
/// The number of items that are read at once.
const PAGE: usize = 100;
/// The backlog is counted this often.
const COUNT_EVERY: Duration = Duration::from_secs(600);

/// The next thing that a turn has to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Read the webhook and its lane strongly; tell [`Turn::looked`].
    Look,
    /// Read up to this many items of the backlog, strongly; tell [`Turn::read`].
    Read(usize),
    /// Estimate how much waits; tell [`Turn::counted`].
    Count,
    /// Reserve up to this many slots of the rate limit, of which none is more than a second away;
    /// tell [`Turn::reserved`].
    Reserve(u32),
    /// Begin the next request; tell [`Turn::began`], and [`Turn::answered`] when it has ended.
    Send,
    /// Send this many items to the deliveries queue, then delete them; tell [`Turn::disposed`].
    Pour(usize),
    /// Record all that is ready as skipped, and delete it; tell [`Turn::disposed`].
    Skip,
    /// Delete all that is ready; tell [`Turn::disposed`].
    Purge,
    /// Wait for an answer, at most until this time.
    Wait(Timestamp),
    /// Write the lane; tell [`Turn::wrote`].
    Write(Write),
    /// See whether the backlog is empty, strongly, from its beginning; tell [`Turn::looked_again`].
    LookAgain,
    /// The turn is over, and its message has this fate.
    Over(Over),
}

/// The fate of the turn's message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// It is deleted.
    Done,
    /// It comes again after this wait.
    RetryIn(Duration),
}

/// The verdict on a request: what it tells about its endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It answered without a sign of overload, or could not be reached.
    Answered,
    /// It answered with 429 or 5xx, which are signs of overload.
    Overloaded,
    /// It did not answer in time.
    TimedOut,
    /// A fault of ours kept the request from being sent.
    OurFault,
}

#[derive(Debug, Clone, PartialEq)]
enum Stage {
    Working,
    /// The lane gets another phase.
    Switching(Phase),
    Ending(Ending),
    Closing(Closing),
    Over(Over),
}

/// One taking of a turn, by one invocation.
#[derive(Debug, Clone)]
pub struct Turn {
    me: String,
    message: Message,
    /// The lane as it was read, with what this turn has learned since.
    pub(super) lane: Lane,
    stage: Stage,
    /// The time by which all work has to be over.
    until: Timestamp,
    slice_ends: Timestamp,
    seen: Option<Seen>,
    looked_at: Option<Timestamp>,
    /// The number of requests, or of deliveries of a format with a list, that are at hand and not
    /// begun.
    ready: usize,
    under_way: u32,
    /// The time at which the end of the backlog was reached last.
    drained_at: Option<Timestamp>,
    /// True if the backlog has more than was read.
    has_more: bool,
    pub(super) window: Window,
    slots: Slots,
    pour: Option<Pour>,
    is_broken: bool,
    is_unclean: bool,
}

impl Turn {
    fn new(
        lane: Lane,
        me: String,
        message: Message,
        now: Timestamp,
        until: Timestamp,
        is_unclean: bool,
    ) -> Self {
        Self {
            me,
            message,
            stage: Stage::Working,
            until,
            slice_ends: (now + SLICE).min(until - AFTERMATH),
            seen: None,
            looked_at: None,
            ready: 0,
            under_way: 0,
            drained_at: None,
            has_more: false,
            window: Self::first_window(&lane),
            slots: Slots::default(),
            pour: None,
            is_broken: false,
            is_unclean,
            lane,
        }
    }

    /// The first window: a limited endpoint is bounded by its rate limit; another one begins with
    /// one request, or with the window that earlier turns have learned.
    fn first_window(lane: &Lane) -> Window {
        Window::new(if lane.reason == Some(Reason::Limited) {
            MAX_WINDOW
        } else {
            lane.window.unwrap_or(1)
        })
    }

    /// Tells whether the turn before this one ended without telling, so that requests that it began
    /// may have been recorded.
    pub fn is_unclean(&self) -> bool {
        self.is_unclean
    }

    /// Tells whether the backlog is being handed back to the deliveries queue.
    pub fn is_pouring(&self) -> bool {
        self.lane.phase == Some(Phase::Pouring)
    }

    /// Returns the next step. It changes the turn's stage where the current one is over.
    pub fn next(&mut self, now: Timestamp) -> Step {
        if self.stage == Stage::Working {
            let step = self.work(now);
            let begins =
                matches!(step, Step::Read(_) | Step::Reserve(_) | Step::Send | Step::Pour(_));
            let is_stale = self.looked_at.is_none_or(|at| now > at + LOOK_EVERY);
            if self.stage == Stage::Working {
                return if begins && is_stale { Step::Look } else { step };
            }
        }
        match &self.stage {
            Stage::Working => Step::Look,
            Stage::Switching(phase) => Step::Write(self.switch_write(*phase)),
            Stage::Ending(ending) => Step::Write(self.end_write(*ending)),
            Stage::Closing(Closing::Again) => Step::LookAgain,
            Stage::Closing(closing) => Step::Write(self.close_write(*closing, now)),
            Stage::Over(over) => Step::Over(*over),
        }
    }

    /// Finds the next step while the turn works. If it leaves this stage, its step does not count.
    fn work(&mut self, now: Timestamp) -> Step {
        if self.is_broken {
            return self.end_without_requests(now, AFTER_FAULT);
        }
        let terms = match self.seen.clone() {
            None => return Step::Look,
            Some(Seen::Enabled(terms)) => terms,
            Some(Seen::Disabled) => return self.clear(Step::Skip, now),
            Some(Seen::Gone) => return self.clear(Step::Purge, now),
        };
        if self.ready > 0 && matches!(self.lane.phase, None | Some(Phase::Idle)) {
            // The turn before died while it closed the lane, and something came since.
            self.stage = Stage::Closing(Closing::Reopen);
            return Step::Look;
        }
        // A request that begins later might not be recorded before the invocation ends.
        let is_late = now >= self.slice_ends || now + terms.timeout + AFTERMATH > self.until;
        if is_late {
            return self.end_without_requests(now, Duration::ZERO);
        }
        match self.other_phase(&terms, now) {
            // The phase changes only when no request is under way, so no further one begins.
            Some(_) if self.under_way > 0 => return self.wait_for_an_answer(now),
            Some(phase) if self.ready > 0 => {
                self.stage = Stage::Switching(phase);
                return Step::Look;
            }
            _ => {}
        }
        if self.lane.phase == Some(Phase::Pouring) {
            self.pour(&terms, now)
        } else {
            self.send(&terms, now)
        }
    }

    /// Works off the backlog of a webhook that gets nothing. `dispose` is what happens to the items
    /// that are at hand.
    fn clear(&mut self, dispose: Step, now: Timestamp) -> Step {
        if self.under_way > 0 {
            self.wait_for_an_answer(now)
        } else if now >= self.slice_ends {
            self.end(Ending::again(now, Duration::ZERO))
        } else if self.ready > 0 {
            dispose
        } else if self.is_drained(now) {
            self.close(now)
        } else {
            Step::Read(PAGE)
        }
    }

    /// Ends the turn for this long, as soon as no request is under way.
    fn end_without_requests(&mut self, now: Timestamp, wait: Duration) -> Step {
        if self.under_way > 0 {
            self.wait_for_an_answer(now)
        } else {
            self.end(Ending::again(now, wait))
        }
    }

    /// Sends as the circuit, the window, the backlog and the rate limit allow, in this order.
    fn send(&mut self, terms: &super::Terms, now: Timestamp) -> Step {
        // The circuit is open, or was open and waits for the answer of its probe.
        let is_probing = self.lane.sick_until.is_some();
        if is_probing && self.under_way > 0 {
            return self.wait_for_an_answer(now);
        }
        if let Some(until) = self.lane.sick_until.filter(|until| *until > now) {
            // Messages come up to a second early.
            return if until <= now + SIT_OUT {
                Step::Wait(until)
            } else {
                self.end(Ending::later(until))
            };
        }
        let room = if is_probing { 1 } else { self.window.size() };
        if self.under_way >= room {
            return self.wait_for_an_answer(now);
        }
        // A format with a list sends full requests as long as there are enough deliveries.
        if self.ready < terms.full_request && !self.is_drained(now) {
            return Step::Read(PAGE);
        }
        if self.has_more && self.under_way == 0 && self.wants_count(now) {
            return Step::Count;
        }
        if self.ready == 0 && self.under_way > 0 {
            // New items may come while requests are under way, so the backlog is read again soon.
            return Step::Wait(self.drained_at.map_or(now, |at| at + READ_EVERY).max(now));
        }
        if self.ready == 0 {
            return self.close(now);
        }
        match terms.limit {
            None => Step::Send,
            Some(limit) => self.send_in_slot(limit, room, now),
        }
    }

    /// Waits for an answer. The wait always ends in the future: a late answer would otherwise be
    /// waited for in a loop without a pause.
    fn wait_for_an_answer(&self, now: Timestamp) -> Step {
        Step::Wait(self.until.max(now + READ_EVERY))
    }

    fn is_drained(&self, now: Timestamp) -> bool {
        self.drained_at.is_some_and(|at| now < at + READ_EVERY)
    }

    fn wants_count(&self, now: Timestamp) -> bool {
        self.lane.counted_at.is_none_or(|at| now >= at + COUNT_EVERY)
    }

    /// A write that only this turn can make.
    fn mine(&self) -> Write {
        Write::default().only_if(Condition::is(Attr::Turn, self.me.as_str()))
    }

    /// Adds what the turn has learned about the endpoint, for the turn after it.
    fn with_lessons(&self, write: Write) -> Write {
        write
            .set(Attr::Window, self.window.size())
            .set(Attr::Quick, self.lane.quick)
            .set(Attr::Timeouts, self.lane.timeouts)
            .set_or_remove(Attr::Reason, self.lane.reason)
            .set_or_remove(Attr::SickUntil, self.lane.sick_until)
            .set_or_remove(
                Attr::CircuitOpenings,
                (self.lane.circuit_openings > 0).then_some(self.lane.circuit_openings),
            )
            .set_or_remove(Attr::Full, self.lane.full.then_some(1_i64))
            .set_or_remove(Attr::CountedAt, self.lane.counted_at)
    }

    /// Notes the outcome of a write of this turn.
    pub fn wrote(&mut self, outcome: Outcome, now: Timestamp) {
        match self.stage.clone() {
            Stage::Switching(phase) => self.switched(phase, outcome),
            Stage::Ending(ending) => self.ended(ending, outcome, now),
            Stage::Closing(closing) => self.closed(closing, outcome),
            Stage::Working | Stage::Over(_) => {}
        }
    }
}
