//! The time that is left of an invocation.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// The time before its deadline at which an invocation has to be done with its work, so that the
/// batch can be settled.
pub const RESERVE: Duration = Duration::from_secs(3);
/// The time that is assumed when the deadline is no true one: `cargo lambda watch` sends one of the
/// year 1970. It is more than the longest timeout of a webhook, or its deliveries would wait for
/// more time for ever.
const ASSUMED: Duration = Duration::from_secs(40);

/// The time by which work has to be over, so that its results can still be settled.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(Instant);

impl Deadline {
    /// From the invocation's deadline in Unix milliseconds.
    pub fn of(invocation_deadline_ms: u64) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(Instant::now() + left(Duration::from_millis(invocation_deadline_ms), now))
    }

    /// Returns the time for which work may still go on.
    pub fn left(&self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// A deadline that is earlier by so much.
    pub fn earlier(&self, by: Duration) -> Self {
        Self(self.0.checked_sub(by).unwrap_or(self.0))
    }

    /// Returns the instant at which work has to be over.
    pub fn instant(&self) -> Instant {
        self.0
    }
}

fn left(deadline: Duration, now: Duration) -> Duration {
    match deadline.checked_sub(now) {
        Some(left) => left.saturating_sub(RESERVE),
        // One that has just passed is true; one long ago is not.
        None if now - deadline < Duration::from_secs(60) => Duration::ZERO,
        None => ASSUMED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_in_1970_is_not_believed() {
        let now = Duration::from_secs(1_700_000_000);
        let seconds = Duration::from_secs;
        assert_eq!(left(now + seconds(45), now), seconds(42));
        assert_eq!(left(now + seconds(2), now), Duration::ZERO);
        assert_eq!(left(now - seconds(1), now), Duration::ZERO);
        assert_eq!(left(seconds(600), now), ASSUMED);
        assert_eq!(left(Duration::ZERO, now), ASSUMED);
    }
}
