//! How many requests a webhook gets: the generic cell rate algorithm (GCRA, ITU-T I.371).
//!
//! Each request takes a slot; slots are one interval apart. The state is one number, the time of the next free slot, so one atomic
//! update reserves any number of slots. What has no slot now keeps its own and waits for it.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{Invalid, input::Fields};

/// The most requests of a period.
pub const MAX_REQUESTS: u32 = 1000;

/// `{"requests": 10, "per": "second"}`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateLimit {
    /// 1 to 1,000.
    pub requests: u32,
    /// In what time.
    pub per: Period,
}

/// The time that a limit gave a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// When the request may be made.
    pub at: Timestamp,
    /// The limit that gave it.
    pub limit: RateLimit,
}

/// How late a slot may be used. What comes later, because everything was late, would come all at once.
const SLOT_IS_GOOD_FOR: Duration = Duration::from_millis(200);

impl Slot {
    /// Whether it counts `now`, under the limit that the webhook has by now.
    pub fn is_good(&self, limit: RateLimit, now: Timestamp) -> bool {
        self.limit == limit && self.at + SLOT_IS_GOOD_FOR > now
    }
}

/// The period of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Period {
    /// A second.
    Second,
    /// A minute.
    Minute,
}

impl RateLimit {
    /// Reads what a client sent as the field `at`.
    pub(crate) fn read(at: &str, raw: &RawValue) -> Result<Self, Invalid> {
        let mut fields = Fields::of_object(raw, at)?;
        let requests = fields.required::<u64>("requests", "a whole number")?;
        let per = fields.required("per", "second or minute")?;
        let requests = u32::try_from(requests).ok().filter(|requests| (1..=MAX_REQUESTS).contains(requests));
        let requests = requests.ok_or_else(|| {
            let at = fields.at("requests");
            Invalid::field(&at, "out_of_range", format!("{at} is 1 to {MAX_REQUESTS}"))
        })?;
        fields.finish()?;
        Ok(Self { requests, per })
    }

    /// How far apart slots are. Requests are spread evenly, so that no window gets more than the limit and one.
    pub fn interval(self) -> Duration {
        let period = match self.per {
            Period::Second => Duration::from_secs(1),
            Period::Minute => Duration::from_secs(60),
        };
        period / self.requests.max(1)
    }

    /// The times of `count` slots of which the reservation left the next free one at `next_free`.
    pub fn slots(self, next_free: Timestamp, count: u32) -> impl Iterator<Item = Timestamp> {
        let interval = self.interval();
        (1..=count).rev().map(move |back| next_free.checked_sub(interval * back).unwrap_or(Timestamp::UNIX_EPOCH))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_counts_at_its_time_and_under_its_limit() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let limit = RateLimit { requests: 4, per: Period::Second };
        let slot = Slot { at: at(100), limit };
        assert!(slot.is_good(limit, at(50)) && slot.is_good(limit, at(100)));
        assert!(!slot.is_good(limit, at(101)), "it is past");
        assert!(!slot.is_good(RateLimit { requests: 5, per: Period::Second }, at(50)), "the limit was changed");
    }

    #[test]
    fn slots_are_an_interval_apart_and_end_before_the_next_free_one() {
        let limit = RateLimit { requests: 4, per: Period::Second };
        let at = |ms| Timestamp::from_millisecond(ms).unwrap();
        assert_eq!(limit.interval(), Duration::from_millis(250));
        assert_eq!(limit.slots(at(10_000), 3).collect::<Vec<_>>(), [at(9250), at(9500), at(9750)]);
        assert_eq!(RateLimit { requests: 7, per: Period::Minute }.interval(), Duration::from_nanos(8_571_428_571));
    }
}
