//! How a webhook's endpoint has been doing, and what follows from it.
//!
//! ```text
//!   answers ──5 timeouts in a row──▶ closed ──its time is over──▶ probe ──an answer──▶ answers
//!                                      ▲                           │
//!                                      └────────a timeout──────────┘   30 s, 1 min, 2 min … 10 min
//! ```
//!
//! **The breaker.** While an endpoint keeps timing out, its deliveries wait: they cost no Lambda time and no attempt. When the wait
//! is over one of them is the probe; the others wait for what becomes of it. Any answer, even an error, opens the way again.
//!
//! **Failing and disabled.** A webhook is failing from its first failure until its next success. After [`FAILURES_TO_ANNOUNCE`]
//! failures in a row that is announced. After nothing but failures for as long as the deployment says, or at once on a 410, it is
//! disabled: what comes is recorded as skipped and can be replayed.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How many timeouts in a row close the breaker.
pub const TIMEOUTS_TO_CLOSE: u32 = 5;
/// How many failures in a row are announced.
pub const FAILURES_TO_ANNOUNCE: u32 = 5;
const FIRST_CLOSING: Duration = Duration::from_secs(30);
const LONGEST_CLOSING: Duration = Duration::from_secs(600);
/// A success is noted again when the noted one is older than this.
const SUCCESS_IS_FRESH_FOR: Duration = Duration::from_secs(300);
/// The status that says that nobody is there any more, for good (RFC 9110, section 15.5.11).
const GONE: u16 = 410;

/// What is known of an endpoint. The default is that of a webhook that nothing was sent to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// When the failures began; none after a success.
    pub failing_since: Option<Timestamp>,
    /// About when it last had a success: noted again after 5 minutes.
    pub last_success_at: Option<Timestamp>,
    /// When it last failed.
    pub last_failure_at: Option<Timestamp>,
    /// Failures in a row.
    pub failures: u32,
    /// Timeouts in a row.
    pub timeouts: u32,
    /// Whether the failures have been announced.
    pub announced: bool,
    /// Until when the breaker is closed.
    pub closed_until: Option<Timestamp>,
    /// How often it has been closed in a row.
    pub closings: u32,
    /// When and why it was disabled.
    pub disabled: Option<Disabled>,
}

/// That a webhook was disabled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disabled {
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: Reason,
}

/// Why a webhook was disabled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// It has done nothing but fail for too long.
    Failing,
    /// It answered 410.
    Gone,
}

impl Reason {
    /// Both reasons, with the name that the API and the table use.
    pub const NAMES: [(&'static str, Self); 2] = [("failing", Self::Failing), ("gone", Self::Gone)];

    /// The name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Failing => "failing",
            Self::Gone => "gone",
        }
    }
}

/// Whether a request may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// It may.
    Open,
    /// Not before this time.
    Closed(Timestamp),
    /// One may, whoever is the first to claim it.
    Probe,
}

/// What an attempt says about the endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It took what was sent.
    Success,
    /// It answered something else, with this status, or could not be reached.
    Failure(Option<u16>),
    /// It did not answer in time.
    Timeout,
}

/// What is to be done after a failure has been counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consequence {
    /// Announce that the webhook is failing.
    Announce,
    /// Close the breaker until this time.
    Close(Timestamp),
    /// Disable it.
    Disable(Reason),
}

impl Health {
    /// Whether a request may be made `now`.
    pub fn gate(&self, now: Timestamp) -> Gate {
        match self.closed_until {
            None => Gate::Open,
            Some(until) if until > now => Gate::Closed(until),
            Some(_) => Gate::Probe,
        }
    }

    /// Whether a success is worth a write: it ends something, or the noted one is old.
    pub fn is_changed_by_success(&self, now: Timestamp) -> bool {
        let fresh = self.last_success_at.is_some_and(|at| now.duration_since(at).unsigned_abs() < SUCCESS_IS_FRESH_FOR);
        !fresh || self.failing_since.is_some() || self.failures > 0 || self.timeouts > 0 || self.closed_until.is_some()
    }

    /// What follows from a failure that this health already counts. `is_probe` says that it was the one request that a closed
    /// breaker let through.
    pub fn consequences(
        &self,
        verdict: Verdict,
        is_probe: bool,
        disable_after: Duration,
        now: Timestamp,
    ) -> Vec<Consequence> {
        let mut consequences = Vec::new();
        let is_closed = self.closed_until.is_some_and(|until| until > now);
        // Requests that were under way when it was closed don't close it further.
        if verdict == Verdict::Timeout && self.timeouts >= TIMEOUTS_TO_CLOSE && (!is_closed || is_probe) {
            let doubled = FIRST_CLOSING * 2_u32.pow(self.closings.min(10));
            consequences.push(Consequence::Close(now + doubled.min(LONGEST_CLOSING)));
        }
        // Just one of the functions that count at the same time gets a number. If it dies, a later one announces.
        if self.failures > 0 && self.failures.is_multiple_of(FAILURES_TO_ANNOUNCE) && !self.announced {
            consequences.push(Consequence::Announce);
        }
        if self.disabled.is_none() {
            let failing_for = self.failing_since.map(|since| now.duration_since(since).unsigned_abs());
            if verdict == Verdict::Failure(Some(GONE)) {
                consequences.push(Consequence::Disable(Reason::Gone));
            } else if self.failures >= FAILURES_TO_ANNOUNCE
                && failing_for.is_some_and(|failing_for| failing_for >= disable_after)
            {
                consequences.push(Consequence::Disable(Reason::Failing));
            }
        }
        consequences
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    const FIVE_DAYS: Duration = Duration::from_secs(5 * 24 * 60 * 60);

    #[test]
    fn the_breaker_waits_probes_and_opens() {
        assert_eq!(Health::default().gate(at(0)), Gate::Open);
        let closed = Health { closed_until: Some(at(100)), ..Health::default() };
        assert_eq!(closed.gate(at(99)), Gate::Closed(at(100)));
        assert_eq!(closed.gate(at(100)), Gate::Probe);
    }

    #[test]
    fn five_timeouts_in_a_row_close_it_and_each_failed_probe_doubles_the_wait() {
        let health = |timeouts, closings| Health {
            timeouts,
            closings,
            failures: timeouts,
            announced: true,
            ..Health::default()
        };
        let close = |health: Health| health.consequences(Verdict::Timeout, true, FIVE_DAYS, at(0));
        assert_eq!(close(health(4, 0)), []);
        assert_eq!(close(health(5, 0)), [Consequence::Close(at(30))]);
        assert_eq!(close(health(6, 1)), [Consequence::Close(at(60))]);
        assert_eq!(close(health(9, 4)), [Consequence::Close(at(480))]);
        assert_eq!(close(health(99, 50)), [Consequence::Close(at(600))]);
        let other = health(5, 0).consequences(Verdict::Failure(Some(500)), false, FIVE_DAYS, at(0));
        assert_eq!(other, [], "an answer is no timeout");
        let closed = Health { closed_until: Some(at(30)), ..health(6, 1) };
        let late = closed.consequences(Verdict::Timeout, false, FIVE_DAYS, at(0));
        assert_eq!(late, [], "it was under way when the breaker was closed");
    }

    #[test]
    fn nothing_but_failures_for_five_days_disables() {
        let health = Health { failing_since: Some(at(0)), failures: 9, announced: true, ..Health::default() };
        let five_days = i64::try_from(FIVE_DAYS.as_secs()).unwrap();
        let after = |seconds| health.consequences(Verdict::Failure(Some(500)), false, FIVE_DAYS, at(seconds));
        assert_eq!(after(five_days - 1), []);
        assert_eq!(after(five_days), [Consequence::Disable(Reason::Failing)]);
        let seldom = Health { failures: 2, ..health.clone() };
        let seldom = seldom.consequences(Verdict::Failure(Some(500)), false, FIVE_DAYS, at(five_days));
        assert_eq!(seldom, [], "two failures say little, however far apart");
        let disabled = Health { disabled: Some(Disabled { at: at(0), reason: Reason::Failing }), ..health };
        assert_eq!(disabled.consequences(Verdict::Failure(None), false, FIVE_DAYS, at(five_days)), []);
    }

    #[test]
    fn a_410_disables_at_once() {
        let health = Health { failing_since: Some(at(0)), failures: 1, ..Health::default() };
        let consequences = health.consequences(Verdict::Failure(Some(410)), false, FIVE_DAYS, at(0));
        assert_eq!(consequences, [Consequence::Disable(Reason::Gone)]);
    }

    #[test]
    fn failures_are_announced_once() {
        let health = |failures, announced| Health { failures, announced, ..Health::default() };
        let announced = |health: Health| health.consequences(Verdict::Failure(None), false, FIVE_DAYS, at(0));
        assert_eq!(announced(health(4, false)), []);
        assert_eq!(announced(health(5, false)), [Consequence::Announce]);
        assert_eq!(announced(health(7, false)), [], "another one has counted the fifth");
        assert_eq!(announced(health(10, false)), [Consequence::Announce], "but it died");
        assert_eq!(announced(health(10, true)), []);
    }

    #[test]
    fn a_success_is_noted_when_it_says_something() {
        let well = Health { last_success_at: Some(at(1000)), ..Health::default() };
        assert!(Health::default().is_changed_by_success(at(0)));
        assert!(!well.is_changed_by_success(at(1299)));
        assert!(well.is_changed_by_success(at(1300)));
        assert!(Health { failures: 1, ..well.clone() }.is_changed_by_success(at(1001)));
        assert!(Health { closed_until: Some(at(0)), ..well }.is_changed_by_success(at(1001)));
    }
}
