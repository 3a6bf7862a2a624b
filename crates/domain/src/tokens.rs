//! Limits that all environments of a function keep together, without a DynamoDB call for each call of the API.
//!
//! Two limits are kept in this way: how many events a second a workspace publishes through the API, where each event takes a token,
//! and how many calls a second an API key makes, where each call takes one, and a call that reads much takes more ([`weight`]).
//!
//! The tokens come from one bucket, an item of the Registry. It is the generic cell rate algorithm, as in [`crate::rate_limit`]: its
//! state is the time at which the next token is free, and it gives what fits into a second ([`Limit::window`]).
//!
//! Each environment keeps an [`Account`] beside the bucket.
//! - A hundredth of the limit passes without a question, and a tenth of a second's tokens of that at once. So whoever calls little
//!   costs nothing. An environment that has to refuse a call has no such share for a while.
//! - What goes beyond that is taken from the bucket, together with what the environment expects to need within the next second:
//!   a lease, of at most a quarter of what the bucket gives in a second.
//! - An environment that found the bucket empty does not ask again for 100 ms, and for twice as long each further time, up to 4 s.
//!   So those who call much too often cost few calls too, however many environments they keep busy.
//!
//! With n environments at work, what passes is at most the limit and n hundredths of it, and for a moment the tokens of a second and
//! n tenths of a second more. Where so many calls come that every environment has to refuse some, it is the limit and a few hundredths.

use std::time::Duration;

use jiff::Timestamp;

use crate::event::MAX_EVENTS;

mod account;

pub use account::{Account, Admission, Question};

/// What part of the limit an environment lets pass by itself: one in so many.
const OWN_SHARE: u32 = 100;
/// How much of its own share an environment lets pass at once.
const OWN_WINDOW: Duration = Duration::from_secs(10);
/// What part of a second's tokens a lease has at most: one in so many.
const LEASE_SHARE: u32 = 4;
/// How long a lease lasts: longer than it should take to use it up, or what is left would be lost.
const LEASE_LIFE: Duration = Duration::from_secs(2);
/// How long the bucket is not asked when it was found empty, the first time and at most.
const PAUSE: Duration = Duration::from_millis(100);
const MAX_PAUSE: Duration = Duration::from_secs(4);
/// So many calls can be made at once, however low the limit is.
const CALLS_AT_ONCE: u32 = 10;
/// How many read units of DynamoDB (4 KB, read strongly) one call may take before it counts as two.
const UNITS_OF_A_CALL: f64 = 25.0;
/// The highest limit, in tokens a second.
pub const MAX_PER_SECOND: u32 = 1_000_000;

/// A limit of 1 to [`MAX_PER_SECOND`] tokens a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    per_second: u32,
    at_once: u32,
}

impl Limit {
    /// How many events a second a workspace may publish. None where there is no limit, which 0 says. What is too much is the highest
    /// limit.
    pub fn of_events(per_second: u32) -> Option<Self> {
        Self::new(per_second, MAX_EVENTS as u32)
    }

    /// How many calls a second an API key may make; the same holds for 0 and for what is too much.
    pub fn of_calls(per_second: u32) -> Option<Self> {
        Self::new(per_second, CALLS_AT_ONCE)
    }

    fn new(per_second: u32, at_once: u32) -> Option<Self> {
        (per_second > 0).then_some(Self { per_second: per_second.min(MAX_PER_SECOND), at_once })
    }

    /// How many tokens a second.
    pub fn per_second(self) -> u32 {
        self.per_second
    }

    /// How far apart the tokens are.
    pub fn interval(self) -> Duration {
        Duration::from_secs(1) / self.per_second
    }

    /// How far ahead tokens are given: a second, or as far as the tokens need that can be had at once.
    pub fn window(self) -> Duration {
        Duration::from_secs(1).max(self.interval() * self.at_once)
    }

    /// What the bucket gives of `least` to `most` tokens, where its next one is free at `next_free`, or where nothing is known of it.
    pub fn grant(self, next_free: Option<Timestamp>, least: u32, most: u32, now: Timestamp) -> Grant {
        let first = next_free.map_or(now, |next| next.max(now));
        match fitting(first, self.interval(), self.window(), now) {
            room if room < least => Grant::Later(first + self.interval() * least - self.window()),
            room => Grant::Tokens { first, count: most.min(room) },
        }
    }
}

/// What can be had of some tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grant {
    /// So many.
    Tokens {
        /// The time of the first one.
        first: Timestamp,
        /// How many.
        count: u32,
    },
    /// None before this time.
    Later(Timestamp),
}

/// How many tokens a call takes beside its first one, by the read units that it has taken.
pub fn weight(read_units: f64) -> u32 {
    // A number that is no number is 0, and one that is too large the largest.
    (read_units / UNITS_OF_A_CALL) as u32
}

/// How many tokens lie from the first one to the end of the window.
fn fitting(first: Timestamp, interval: Duration, window: Duration, now: Timestamp) -> u32 {
    let left = u128::try_from((now + window).duration_since(first).as_nanos()).unwrap_or(0);
    u32::try_from(left / interval.as_nanos().max(1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
