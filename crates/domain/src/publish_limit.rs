//! How many events a second a workspace may publish through the API, over all environments of `ingest`.
//!
//! Each environment lets a small share of the limit pass by itself: a hundredth, and a tenth of a second's events at once. So a
//! workspace that publishes little costs no call. What goes beyond that takes its tokens, one for each event, from the one bucket of
//! the workspace, and takes some more with them, a lease for the next second, so that a busy workspace costs about ten calls a second.
//!
//! The bucket is the generic cell rate algorithm, as in [`crate::rate_limit`]: its state is the time at which the next token is
//! free. It gives what fits into a second, and at least what fits into one call. So with n environments at work a workspace can
//! publish its limit and n hundredths of it, and for a moment the events of a second and n tenths of a second more.

use std::time::Duration;

use jiff::Timestamp;

use crate::event::MAX_EVENTS;

mod account;

pub use account::{Account, Admission};

/// What part of the limit an environment lets pass by itself: one in so many.
const OWN_SHARE: u32 = 100;
/// How much of its own share an environment lets pass at once.
const OWN_WINDOW: Duration = Duration::from_secs(10);
/// What part of a second's events a lease is: one in so many.
const LEASE_SHARE: u32 = 10;
/// The highest limit, in events a second.
pub const MAX_PER_SECOND: u32 = 1_000_000;

/// A limit of 1 to [`MAX_PER_SECOND`] events a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublishLimit(u32);

impl PublishLimit {
    /// None where there is no limit, which 0 says. What is too much is the highest limit.
    pub fn new(per_second: u32) -> Option<Self> {
        (per_second > 0).then_some(Self(per_second.min(MAX_PER_SECOND)))
    }

    /// How many events a second.
    pub fn per_second(self) -> u32 {
        self.0
    }

    /// How far apart the tokens are.
    pub fn interval(self) -> Duration {
        Duration::from_secs(1) / self.0
    }

    /// How far ahead tokens are given: as far as the events of one call need at least.
    pub fn window(self) -> Duration {
        Duration::from_secs(1).max(self.interval() * MAX_EVENTS as u32)
    }

    /// How many tokens a call for `count` events asks for.
    pub fn lease(self, count: u32) -> u32 {
        count.max(self.0 / LEASE_SHARE)
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

/// How many tokens lie from the first one to the end of the window.
fn fitting(first: Timestamp, interval: Duration, window: Duration, now: Timestamp) -> u32 {
    let left = u128::try_from((now + window).duration_since(first).as_nanos()).unwrap_or(0);
    u32::try_from(left / interval.as_nanos().max(1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
