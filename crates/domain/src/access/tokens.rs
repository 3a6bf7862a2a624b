//! Limits that all environments of a function keep together, without a DynamoDB call for each call
//! of the API.
//!
//! Two limits of a workspace are kept in this way: how many events a second it publishes through
//! the API, where each event takes a token, and how many calls a second its API keys make together,
//! where each call takes one, and a call that reads much takes more ([`weight`]).
//!
//! The tokens come from one bucket, an item of the Registry. It is the generic cell rate algorithm,
//! as in [`crate::webhook::rate_limit`]: its state is the time at which the next token is free, and
//! it gives what fits into a second ([`Limit::window`]).
//!
//! Each environment keeps an [`Account`] beside the bucket.
//!
//! - A hundredth of the limit passes without a question, and a tenth of a second's tokens of that
//!   at once. So a client that calls little costs nothing. An environment that has to refuse a call
//!   has no such share for a while.
//! - Tokens beyond that are taken from the bucket, together with those that the environment expects
//!   to need within the next second: a lease, of at most a quarter of the tokens that the bucket
//!   gives in a second.
//! - An environment that found the bucket empty does not ask again for 100 ms, and for twice as
//!   long each further time, up to 4 s. So clients that call much too often cost few calls too,
//!   however many environments they keep busy.
//!
//! With n environments at work, they let pass at most the limit and n hundredths of it, and for a
//! moment the tokens of a second and n tenths of a second more. If so many calls come that every
//! environment has to refuse some, it is the limit and a few hundredths.

use std::time::Duration;

use jiff::Timestamp;

use crate::event::MAX_EVENTS;

mod account;

pub use account::{Account, Admission, Question};

/// An environment lets one in this many tokens of the limit pass by itself.
const OWN_SHARE: u32 = 100;
/// An environment lets the share of this time pass at once.
const OWN_WINDOW: Duration = Duration::from_secs(10);
/// A lease has at most one in this many of a second's tokens.
const LEASE_SHARE: u32 = 4;
/// A lease lasts this long: longer than it should take to use it up, or the rest would be lost.
const LEASE_LIFE: Duration = Duration::from_secs(2);
/// A bucket that was found empty is not asked for this long, the first time and at most.
const PAUSE: Duration = Duration::from_millis(100);
const MAX_PAUSE: Duration = Duration::from_secs(4);
/// This many calls can be made at once, however low the limit is.
const CALLS_AT_ONCE: u32 = 10;
/// One call may take this many read units of DynamoDB (4 KB, read strongly) before it counts as
/// two.
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
    /// The limit on the events that a workspace publishes. 0 means no limit, and a number that is
    /// too high means the highest limit.
    pub fn of_events(per_second: u32) -> Option<Self> {
        Self::new(per_second, MAX_EVENTS as u32)
    }

    /// The limit on the calls that the API keys of a workspace make. 0 means no limit, and a number
    /// that is too high means the highest limit.
    pub fn of_calls(per_second: u32) -> Option<Self> {
        Self::new(per_second, CALLS_AT_ONCE)
    }

    fn new(per_second: u32, at_once: u32) -> Option<Self> {
        (per_second > 0).then_some(Self { per_second: per_second.min(MAX_PER_SECOND), at_once })
    }

    /// The number of tokens a second.
    pub fn per_second(self) -> u32 {
        self.per_second
    }

    /// The time between two tokens.
    pub fn interval(self) -> Duration {
        Duration::from_secs(1) / self.per_second
    }

    /// The time ahead for which tokens are given: a second, or as long as the tokens take that can
    /// be had at once.
    pub fn window(self) -> Duration {
        Duration::from_secs(1).max(self.interval() * self.at_once)
    }

    /// Grants `least` to `most` tokens of the bucket. Its next token is free at `next_free`; if
    /// that is none, nothing is known of it.
    pub fn grant(
        self,
        next_free: Option<Timestamp>,
        least: u32,
        most: u32,
        now: Timestamp,
    ) -> Grant {
        let first = next_free.map_or(now, |next| next.max(now));
        match fitting(first, self.interval(), self.window(), now) {
            room if room < least => Grant::Later(first + self.interval() * least - self.window()),
            room => Grant::Tokens { first, count: most.min(room) },
        }
    }
}

/// The tokens that a caller gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grant {
    /// The caller gets so many tokens.
    Tokens {
        /// The time of the first token.
        first: Timestamp,
        /// The number of tokens.
        count: u32,
    },
    /// The caller gets none before this time.
    Later(Timestamp),
}

/// The number of tokens that a call takes beside its first one, by the read units that it has used.
pub fn weight(read_units: f64) -> u32 {
    // As a cast this is exact enough: a number that is no number becomes 0, and one that is too
    // large the largest.
    (read_units / UNITS_OF_A_CALL) as u32
}

/// The number of tokens from the first one to the end of the window.
fn fitting(first: Timestamp, interval: Duration, window: Duration, now: Timestamp) -> u32 {
    let left = u128::try_from((now + window).duration_since(first).as_nanos()).unwrap_or(0);
    u32::try_from(left / interval.as_nanos().max(1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
