//! The rules for trying a failed delivery again: schedules of waits, and what `Retry-After` may ask
//! for.

use std::{borrow::Cow, time::Duration};

use jiff::{Timestamp, fmt::rfc2822};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::{
    Invalid,
    input::{Shape, Whole, parsed},
};

/// The most retries of a schedule.
pub const MAX_RETRIES: usize = 30;
/// The longest wait of a schedule in seconds: 7 days.
pub const MAX_WAIT_SECONDS: u32 = 7 * 24 * 60 * 60;
/// The longest wait that an answer's Retry-After can ask for: an hour.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(60 * 60);
/// Waits beyond this are spread, so that deliveries that failed together don't come back together.
const JITTER_BEYOND_SECONDS: u32 = 10;

/// The waits, in whole seconds, after the first try and after each retry. An empty schedule means
/// no retry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RetrySchedule(Cow<'static, [u32]>);

impl Shape for RetrySchedule {
    type Value = Self;

    fn read(at: &str, json: &RawValue) -> Result<Self, Invalid> {
        let waits: Vec<Whole> = parsed(at, json, "a list of seconds")?;
        let seconds: Option<Vec<u32>> =
            waits.into_iter().map(|wait| wait.within(1..=MAX_WAIT_SECONDS)).collect();
        seconds.and_then(Self::new).ok_or_else(|| {
            let message =
                format!("{at} is a list of up to 30 waits, each 1 second to 7 days (604800)");
            Invalid::field(at, "out_of_range", message)
        })
    }
}

#[cfg(feature = "openapi")]
mod document {
    use utoipa::openapi::ArrayBuilder;

    use super::{MAX_RETRIES, MAX_WAIT_SECONDS, RetrySchedule};
    use crate::input::openapi::{described, integer};

    described!(
        RetrySchedule,
        "RetrySchedule",
        "The waits, in seconds, after the first try and after each retry. An empty list means \
         no retry.",
        ArrayBuilder::new()
            .items(integer().minimum(Some(1)).maximum(Some(MAX_WAIT_SECONDS)))
            .max_items(Some(MAX_RETRIES))
    );
}

impl RetrySchedule {
    /// No retry, as the Spectra document's "Retry policy" has it: fire and forget.
    pub const NONE: Self = Self(Cow::Borrowed(&[]));
    /// Three retries, a second apart, as "About webhooks" of the Spektr documents has it.
    pub const SPEKTR: Self = Self(Cow::Borrowed(&[1, 1, 1]));
    /// Three quick retries, then 1 min, 10 min, 1 h, 6 h and 12 h: about 19 hours in all.
    pub const STANDARD: Self = Self(Cow::Borrowed(&[1, 1, 1, 60, 600, 3600, 6 * 3600, 12 * 3600]));

    /// Makes a schedule of up to 30 waits, each of 1 second to 7 days; none if these are out of
    /// range.
    pub fn new(seconds: Vec<u32>) -> Option<Self> {
        let in_range = seconds.iter().all(|seconds| (1..=MAX_WAIT_SECONDS).contains(seconds));
        (in_range && seconds.len() <= MAX_RETRIES).then_some(Self(Cow::Owned(seconds)))
    }

    /// Tells whether another try follows after this many attempts have failed.
    pub fn has_wait_after(&self, attempts: u32) -> bool {
        usize::try_from(attempts).is_ok_and(|attempts| (1..=self.0.len()).contains(&attempts))
    }

    /// The wait after this many attempts have failed; none when no try is left. A wait beyond 10 s
    /// is spread by up to 20 % either way, as `seed` decides.
    pub fn wait_after(&self, attempts: u32, seed: &str) -> Option<Duration> {
        let nth = usize::try_from(attempts).ok()?.checked_sub(1)?;
        let seconds = *self.0.get(nth)?;
        if seconds <= JITTER_BEYOND_SECONDS {
            return Some(Duration::from_secs(u64::from(seconds)));
        }
        let thousandths = 800 + chance(seed, attempts) % 401;
        Some(Duration::from_millis(u64::from(seconds) * u64::from(thousandths)))
    }
}

/// Derives an evenly distributed number from a seed and a count.
fn chance(seed: &str, attempts: u32) -> u32 {
    let digest = Sha256::new().chain_update(attempts.to_be_bytes()).chain_update(seed).finalize();
    u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]])
}

/// The wait that `Retry-After` asks for (RFC 9110, section 10.2.3), in seconds or as a date. None
/// if it is neither.
pub fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let text = value.trim();
    let wait = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let at = rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
            Duration::try_from(at.duration_since(now)).unwrap_or(Duration::ZERO)
        }
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

/// The wait of a message that met a fault of ours, by how often it has been received: 1, 2, 4 … 300
/// s. It costs the receiver no attempt.
pub fn wait_after_our_fault(receives: u32) -> Duration {
    Duration::from_secs(2_u64.saturating_pow(receives.saturating_sub(1)).min(300))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_schedule_has_its_waits_and_its_end() {
        let waits = |schedule: &RetrySchedule| {
            (1..)
                .map_while(|attempts| schedule.wait_after(attempts, "x"))
                .map(|wait| wait.as_secs_f64())
                .collect::<Vec<_>>()
        };
        assert_eq!(waits(&RetrySchedule::NONE), Vec::<f64>::new());
        assert_eq!(waits(&RetrySchedule::SPEKTR), [1.0, 1.0, 1.0]);
        let standard = waits(&RetrySchedule::STANDARD);
        assert_eq!(&standard[..3], [1.0, 1.0, 1.0]);
        for (wait, nominal) in standard[3..].iter().zip([60.0, 600.0, 3600.0, 21_600.0, 43_200.0]) {
            assert!((nominal * 0.8..=nominal * 1.2).contains(wait), "{wait} for {nominal}");
        }
        assert_eq!(standard.len(), 8);
        assert_eq!(RetrySchedule::STANDARD.wait_after(0, "x"), None);
    }

    #[test]
    fn a_schedule_has_up_to_30_waits_of_up_to_7_days() {
        assert!(RetrySchedule::new(vec![]).is_some());
        assert!(RetrySchedule::new(vec![MAX_WAIT_SECONDS; 30]).is_some());
        assert!(RetrySchedule::new(vec![1; 31]).is_none());
        assert!(RetrySchedule::new(vec![0]).is_none());
        assert!(RetrySchedule::new(vec![MAX_WAIT_SECONDS + 1]).is_none());
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now: Timestamp = "1999-12-31T23:59:00Z".parse().unwrap();
        assert_eq!(retry_after("7", now), Some(Duration::from_secs(7)));
        assert_eq!(retry_after(" 7 ", now), Some(Duration::from_secs(7)));
        assert_eq!(
            retry_after("Fri, 31 Dec 1999 23:59:59 GMT", now),
            Some(Duration::from_secs(59))
        );
        assert_eq!(retry_after("Fri, 31 Dec 1999 23:58:59 GMT", now), Some(Duration::ZERO));
        assert_eq!(retry_after("99999999999", now), Some(MAX_RETRY_AFTER));
        for bad in ["", "soon", "-1", "1.5", "2026-01-01"] {
            assert_eq!(retry_after(bad, now), None, "{bad}");
        }
    }

    #[test]
    fn our_faults_wait_longer_each_time() {
        let waits: Vec<u64> =
            (0..9).map(|receives| wait_after_our_fault(receives).as_secs()).collect();
        assert_eq!(waits, [1, 1, 2, 4, 8, 16, 32, 64, 128]);
        assert_eq!(
            [9, 10, u32::MAX].map(|receives| wait_after_our_fault(receives).as_secs()),
            [256, 300, 300]
        );
    }

    proptest! {
        #[test]
        fn jitter_is_within_a_fifth_and_the_same_for_the_same_seed(
            seconds in 11..=MAX_WAIT_SECONDS, seed in ".*", attempts in 1..4_u32
        ) {
            let schedule = RetrySchedule::new(vec![seconds; 3]).unwrap();
            let wait = schedule.wait_after(attempts, &seed).unwrap();
            prop_assert_eq!(schedule.wait_after(attempts, &seed), Some(wait));
            let (wait, nominal) = (wait.as_millis(), u128::from(seconds) * 1000);
            prop_assert!(nominal * 4 / 5 <= wait && wait <= nominal * 6 / 5);
        }
    }
}
