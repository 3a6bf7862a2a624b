//! The health of a webhook's endpoint, and its consequences.
//!
//! A webhook is failing from its first failure until its next success. After
//! [`FAILURES_TO_ANNOUNCE`] failures in a row this is announced. After a time of nothing but
//! failures, or at once on a 410, the webhook is disabled, unless its settings or its profile say
//! otherwise ([`Policing`]): its deliveries are recorded as skipped and can be replayed. Whether
//! deliveries wait is another matter: see [`crate::endpoint::lane`].

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::webhook::policy::Policing;

/// After this many failures in a row the failing webhook is announced.
pub const FAILURES_TO_ANNOUNCE: u32 = 5;
/// A success is noted again when the last noted one is older than this.
const SUCCESS_IS_FRESH_FOR: Duration = Duration::from_secs(300);
/// A failure that changes nothing is noted again when the last noted one is older than this.
const FAILURE_IS_FRESH_FOR: Duration = Duration::from_secs(10);
/// The news of a disabling is left to the function that disabled the webhook for this time. It is
/// shorter than what is left of a message's visibility timeout when its function dies, so that the
/// message of a dead function finds the news old enough.
const LEFT_TO_ITS_FUNCTION: Duration = Duration::from_secs(5);
/// The status by which an endpoint says that it is gone for good (RFC 9110, section 15.5.11).
const GONE: u16 = 410;

/// The knowledge about an endpoint. The default is that of a webhook to which nothing was sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// The time of the first failure since the last success; none after a success.
    pub failing_since: Option<Timestamp>,
    /// The time of the last success, give or take five minutes: it is not noted each time.
    pub last_success_at: Option<Timestamp>,
    /// The time of the last failure.
    pub last_failure_at: Option<Timestamp>,
    /// The number of failures in a row. Not all are counted after they have been announced.
    pub failures: u32,
    /// True if the failures have been announced.
    pub announced: bool,
    /// The time and the reason of the webhook's disabling, if it is disabled.
    pub disabled: Option<Disabled>,
}

/// A webhook was disabled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disabled {
    /// The time at which it was disabled.
    pub at: Timestamp,
    /// The reason why it was disabled.
    pub reason: Reason,
    /// False as long as it is not noted that `webhook.disabled` was published.
    pub is_told: bool,
}

impl Disabled {
    /// Tells whether a function that reads the webhook publishes the news of its disabling. The
    /// function that disabled it does so at once, so the others leave it the time to.
    pub fn has_to_be_told(&self, now: Timestamp) -> bool {
        !self.is_told && now >= self.at + LEFT_TO_ITS_FUNCTION
    }
}

/// The reason why a webhook was disabled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// It has done nothing but fail for too long.
    Failing,
    /// Its endpoint answered 410.
    Gone,
}

impl Reason {
    /// Both reasons, with the name that the API and the table use.
    pub const NAMES: [(&'static str, Self); 2] = [("failing", Self::Failing), ("gone", Self::Gone)];

    /// The name that the API and the table use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Failing => "failing",
            Self::Gone => "gone",
        }
    }
}

/// A consequence of a failure that has been counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consequence {
    /// Announce that the webhook is failing.
    Announce,
    /// Disable the webhook, for this reason.
    Disable(Reason),
}

impl Health {
    /// Tells whether a success is worth a write: it ends failures, or the last noted success is
    /// old.
    pub fn is_changed_by_success(&self, now: Timestamp) -> bool {
        let is_fresh = self
            .last_success_at
            .is_some_and(|at| now.duration_since(at).unsigned_abs() < SUCCESS_IS_FRESH_FOR);
        !is_fresh || self.failing_since.is_some() || self.failures > 0
    }

    /// Tells whether a failure is worth a write. As long as the failures are to be announced each
    /// one counts; later only one that disables the webhook, or that comes when the last noted one
    /// is old. So the item of a webhook that is down takes a few writes, however many requests
    /// fail. `http_status` is that of the answer, if there was one.
    pub fn is_changed_by_failure(
        &self,
        http_status: Option<u16>,
        policing: Policing,
        now: Timestamp,
    ) -> bool {
        let fresh = self
            .last_failure_at
            .is_some_and(|at| now.duration_since(at).unsigned_abs() < FAILURE_IS_FRESH_FOR);
        let is_told =
            self.announced && self.failures >= FAILURES_TO_ANNOUNCE && self.failing_since.is_some();
        !(fresh && is_told && self.consequences(http_status, policing, now).is_empty())
    }

    /// The consequences of a failure that is counted here already. `http_status` is that of the
    /// answer, if there was one.
    pub fn consequences(
        &self,
        http_status: Option<u16>,
        policing: Policing,
        now: Timestamp,
    ) -> Vec<Consequence> {
        let mut consequences = Vec::new();
        // Of the functions that count at the same time exactly one gets a given number. If that
        // function dies, a later multiple announces.
        if self.failures > 0
            && self.failures.is_multiple_of(FAILURES_TO_ANNOUNCE)
            && !self.announced
        {
            consequences.push(Consequence::Announce);
        }
        if self.disabled.is_none() {
            let failing_for =
                self.failing_since.map(|since| now.duration_since(since).unsigned_abs());
            let is_too_long = failing_for
                .zip(policing.disable_after)
                .is_some_and(|(failing_for, disable_after)| failing_for >= disable_after);
            if http_status == Some(GONE) && policing.disable_on_410 {
                consequences.push(Consequence::Disable(Reason::Gone));
            } else if self.failures >= FAILURES_TO_ANNOUNCE && is_too_long {
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

    fn disabled(second: i64, reason: Reason) -> Disabled {
        Disabled { at: at(second), reason, is_told: true }
    }

    const FIVE_DAYS: Duration = Duration::from_secs(5 * 24 * 60 * 60);
    const POLICING: Policing = Policing { disable_after: Some(FIVE_DAYS), disable_on_410: true };

    #[test]
    fn nothing_but_failures_for_five_days_disables() {
        let health = Health {
            failing_since: Some(at(0)),
            failures: 9,
            announced: true,
            ..Health::default()
        };
        let five_days = i64::try_from(FIVE_DAYS.as_secs()).unwrap();
        let after = |seconds| health.consequences(Some(500), POLICING, at(seconds));
        assert_eq!(after(five_days - 1), []);
        assert_eq!(after(five_days), [Consequence::Disable(Reason::Failing)]);
        let seldom = Health { failures: 2, ..health.clone() };
        let seldom = seldom.consequences(Some(500), POLICING, at(five_days));
        assert_eq!(seldom, [], "two failures say little, however far apart");
        let disabled = Health { disabled: Some(disabled(0, Reason::Failing)), ..health };
        assert_eq!(disabled.consequences(None, POLICING, at(five_days)), []);
    }

    #[test]
    fn a_410_disables_at_once() {
        let health = Health { failing_since: Some(at(0)), failures: 1, ..Health::default() };
        let consequences = health.consequences(Some(410), POLICING, at(0));
        assert_eq!(consequences, [Consequence::Disable(Reason::Gone)]);
    }

    #[test]
    fn the_news_of_a_disabling_is_left_to_its_function_for_a_moment() {
        let untold = Disabled { is_told: false, ..disabled(100, Reason::Gone) };
        let after =
            |disabled: Disabled| [100, 104, 105].map(|now| disabled.has_to_be_told(at(now)));
        assert_eq!(after(untold), [false, false, true]);
        assert_eq!(after(disabled(100, Reason::Gone)), [false; 3]);
    }

    #[test]
    fn a_reason_has_the_name_that_its_list_gives_it() {
        assert_eq!(Reason::NAMES.map(|(_, reason)| reason.name()), ["failing", "gone"]);
        assert_eq!(Reason::NAMES.map(|(name, _)| name), ["failing", "gone"]);
    }

    #[test]
    fn a_webhook_that_is_never_disabled_is_not() {
        let health = Health { failing_since: Some(at(0)), failures: 9, ..Health::default() };
        let never = Policing { disable_after: None, disable_on_410: false };
        let after_years = at(10 * 365 * 24 * 60 * 60);
        let failing = Health { announced: true, ..health };
        assert_eq!(failing.consequences(Some(500), never, after_years), []);
        assert_eq!(failing.consequences(Some(410), never, after_years), []);
        let by_days = Policing { disable_on_410: false, ..POLICING };
        let consequences = failing.consequences(Some(410), by_days, after_years);
        assert_eq!(consequences, [Consequence::Disable(Reason::Failing)], "410 is a failure too");
    }

    #[test]
    fn failures_are_announced_once() {
        let health = |failures, announced| Health { failures, announced, ..Health::default() };
        let announced = |health: Health| health.consequences(None, POLICING, at(0));
        assert_eq!(announced(health(0, false)), [], "there is none");
        assert_eq!(announced(health(4, false)), []);
        assert_eq!(announced(health(5, false)), [Consequence::Announce]);
        assert_eq!(announced(health(7, false)), [], "another one has counted the fifth");
        assert_eq!(announced(health(10, false)), [Consequence::Announce], "but it died");
        assert_eq!(announced(health(10, true)), []);
    }

    #[test]
    fn each_failure_is_counted_until_they_are_announced() {
        let failing = |failures, announced| Health {
            failing_since: Some(at(0)),
            last_failure_at: Some(at(1000)),
            failures,
            announced,
            ..Health::default()
        };
        let counts = |health: &Health, status, now| {
            health.is_changed_by_failure(Some(status), POLICING, at(now))
        };
        assert!(counts(&Health::default(), 500, 0));
        assert!(counts(&failing(4, false), 500, 1000));
        assert!(
            counts(&failing(7, false), 500, 1000),
            "the function that counted the fifth may have died"
        );
        let announced = failing(5, true);
        assert!(!counts(&announced, 500, 1009), "it says nothing new");
        assert!(counts(&announced, 500, 1010), "the time of the last one is noted");
        assert!(counts(&announced, 410, 1000), "it disables");
        let long = Health { failing_since: Some(at(1000 - 5 * 24 * 60 * 60)), ..announced };
        assert!(counts(&long, 500, 1000), "it disables");
        let disabled = Health { disabled: Some(disabled(1000, Reason::Gone)), ..long };
        assert!(!counts(&disabled, 500, 1000), "it is disabled");
    }

    #[test]
    fn a_success_is_noted_when_it_says_something() {
        let well = Health { last_success_at: Some(at(1000)), ..Health::default() };
        assert!(Health::default().is_changed_by_success(at(0)));
        assert!(!well.is_changed_by_success(at(1299)));
        assert!(well.is_changed_by_success(at(1300)));
        assert!(Health { failures: 1, ..well }.is_changed_by_success(at(1001)));
    }
}
