//! A rate limit bounds how many requests a webhook gets, by the generic cell rate algorithm (GCRA,
//! ITU-T I.371).
//!
//! Each request takes a slot; slots are one interval apart. The state is one number, the time of
//! the next free slot, so one atomic update reserves any number of slots. Nobody reserves further
//! ahead than [`AHEAD`], so a slot that is lost, because a function died or was late, costs that
//! slot and no more. A slot may be used, and one that nobody took may be taken, up to half a second
//! after its time; where slots are more than a second apart, one may be used up to half their
//! distance late. So no period gets more than the limit and a burst: the slots of half a second, at
//! least one.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    Invalid,
    input::{Number, Shape, body, parsed},
};

/// Slots are reserved this far ahead.
pub const AHEAD: Duration = Duration::from_secs(1);
/// A slot that nobody took at its time may be taken this much later.
const LATE: Duration = Duration::from_millis(500);

body! {
    /// The limit on how often requests are made. They are spread evenly over the period.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
    pub struct RateLimit {
        /// The number of requests that are made at most in the period.
        pub requests: u32 as Number<u32, 1, 1000>,
        /// The period that the requests are counted in.
        pub per: Period,
    }
}

/// A limit counts requests by the second or by the minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Period {
    /// The limit counts requests by the second.
    Second,
    /// The limit counts requests by the minute.
    Minute,
}

impl Shape for Period {
    type Value = Self;
    const NAMED: bool = false;

    fn read(at: &str, json: &RawValue) -> Result<Self, Invalid> {
        parsed(at, json, "second or minute")
    }
}

impl RateLimit {
    /// Returns the time between two slots.
    pub fn interval(self) -> Duration {
        let period = match self.per {
            Period::Second => Duration::from_secs(1),
            Period::Minute => Duration::from_secs(60),
        };
        period / self.requests.max(1)
    }

    /// The number of requests a second that the limit allows.
    pub fn per_second(self) -> f64 {
        1.0 / self.interval().as_secs_f64()
    }

    /// A slot may be used this much after its time.
    pub fn lateness(self) -> Duration {
        LATE.max(self.interval() / 2)
    }

    /// The oldest slot that may be taken `now`, if nobody has taken it.
    pub fn oldest(self, now: Timestamp) -> Timestamp {
        (now - LATE + self.interval()).min(now)
    }

    /// Grants as many of `count` slots as can be had. The next free slot is at `next_free`; if that
    /// is none, nothing is known of the past.
    pub fn grant(self, next_free: Option<Timestamp>, count: u32, now: Timestamp) -> Grant {
        let interval = self.interval();
        let first = next_free.map_or(now, |next| next.max(self.oldest(now)));
        let last = now + AHEAD;
        if first > last {
            return Grant::Later(first);
        }
        let room = (last.duration_since(first).as_secs_f64() / interval.as_secs_f64()) as u32 + 1;
        Grant::Slots { first, count: count.min(room) }
    }

    /// The times of `count` slots from the first one on.
    pub fn slots(self, first: Timestamp, count: u32) -> impl Iterator<Item = Timestamp> {
        let interval = self.interval();
        (0..count).map(move |nth| first + interval * nth)
    }
}

/// The slots that a caller gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grant {
    /// The caller gets so many slots.
    Slots {
        /// The time of the first one. It may be past, by less than [`LATE`].
        first: Timestamp,
        /// The number of slots: at least one.
        count: u32,
    },
    /// The caller gets none, because the next free slot, which is at this time, is further away
    /// than [`AHEAD`].
    Later(Timestamp),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(ms).unwrap()
    }

    #[test]
    fn slots_are_an_interval_apart() {
        let limit = RateLimit { requests: 4, per: Period::Second };
        assert_eq!(limit.interval(), Duration::from_millis(250));
        assert_eq!(limit.slots(at(9250), 3).collect::<Vec<_>>(), [at(9250), at(9500), at(9750)]);
        assert_eq!(
            RateLimit { requests: 7, per: Period::Minute }.interval(),
            Duration::from_nanos(8_571_428_571)
        );
    }

    #[test]
    fn only_slots_within_a_second_are_granted() {
        let limit = RateLimit { requests: 4, per: Period::Second };
        let grant =
            |next_free: Option<i64>, count| limit.grant(next_free.map(at), count, at(10_000));
        assert_eq!(grant(None, 3), Grant::Slots { first: at(10_000), count: 3 });
        assert_eq!(grant(None, 9), Grant::Slots { first: at(10_000), count: 5 });
        assert_eq!(
            grant(Some(0), 9),
            Grant::Slots { first: at(9750), count: 6 },
            "what nobody took for long is lost"
        );
        assert_eq!(grant(Some(9900), 9), Grant::Slots { first: at(9900), count: 5 });
        assert_eq!(grant(Some(11_000), 9), Grant::Slots { first: at(11_000), count: 1 });
        assert_eq!(grant(Some(11_001), 9), Grant::Later(at(11_001)));
        let seldom = RateLimit { requests: 1, per: Period::Minute };
        assert_eq!(
            seldom.grant(Some(at(0)), 2, at(100_000)),
            Grant::Slots { first: at(100_000), count: 1 }
        );
    }

    #[test]
    fn the_slot_of_a_slow_limit_may_be_used_late() {
        let late = |requests, per| RateLimit { requests, per }.lateness();
        assert_eq!(late(10, Period::Second), LATE);
        assert_eq!(late(1, Period::Second), LATE);
        assert_eq!(late(1, Period::Minute), Duration::from_secs(30));
    }

    proptest! {
        /// Whoever asks at whatever times and uses each slot as soon as it may be used.
        #[test]
        fn no_second_gets_more_than_the_limit_and_the_burst(
            requests in 1..=60_u32,
            asks in prop::collection::vec((0..700_i64, 1..20_u32), 1..60),
        ) {
            let limit = RateLimit { requests, per: Period::Second };
            let (mut now, mut next_free, mut used) = (0, None, Vec::new());
            for (pause, count) in asks {
                now += pause;
                if let Grant::Slots { first, count } = limit.grant(next_free, count, at(now)) {
                    used.extend(limit.slots(first, count).map(|slot| slot.max(at(now)).as_microsecond()));
                    next_free = Some(first + limit.interval() * count);
                }
            }
            let most = (requests + (requests / 2).max(1) + 1) as usize;
            used.sort_unstable();
            for window in used.windows(most + 1) {
                prop_assert!(
                    window[most] - window[0] >= 1_000_000, "{most} within {} µs",
                    window[most] - window[0]
                );
            }
        }
    }
}
