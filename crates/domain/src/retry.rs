//! When a failed delivery is tried again.

use std::{borrow::Cow, time::Duration};

/// The waits, in whole seconds, after the first try and after each retry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetrySchedule(Cow<'static, [u32]>);

impl RetrySchedule {
    /// "About webhooks" of the Spektr documents: three retries, a second apart.
    pub const SPEKTR: Self = Self(Cow::Borrowed(&[1, 1, 1]));

    /// How long to wait after this many attempts have failed; none when no try is left.
    pub fn wait_after(&self, attempts: u32) -> Option<Duration> {
        let nth = usize::try_from(attempts).ok()?.checked_sub(1)?;
        self.0.get(nth).map(|seconds| Duration::from_secs(u64::from(*seconds)))
    }
}

/// How long a message waits that met a fault of ours, by how often it has been received: 1, 2, 4 … 60 s. It costs the receiver
/// no attempt.
pub fn wait_after_our_fault(receives: u32) -> Duration {
    Duration::from_secs(2_u64.saturating_pow(receives.saturating_sub(1)).min(60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_faults_are_waited_out_a_minute_at_most() {
        let seconds: Vec<u64> =
            [0, 1, 2, 3, 6, 7, 8, u32::MAX].map(|receives| wait_after_our_fault(receives).as_secs()).into();
        assert_eq!(seconds, [1, 1, 2, 4, 32, 60, 60, 60]);
    }

    #[test]
    fn the_spektr_schedule_is_three_retries_a_second_apart() {
        let waits: Vec<_> = (1..=5).map(|attempts| RetrySchedule::SPEKTR.wait_after(attempts)).collect();
        let second = Some(Duration::from_secs(1));
        assert_eq!(waits, [second, second, second, None, None]);
    }

    #[test]
    fn nothing_is_retried_before_the_first_attempt() {
        assert_eq!(RetrySchedule::SPEKTR.wait_after(0), None);
    }
}
