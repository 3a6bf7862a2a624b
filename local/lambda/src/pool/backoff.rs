use std::time::Duration;

use tokio::time::Instant;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// After a failed init nothing starts for a while, and for longer after each further one. A
/// function that can't start must not keep the machine busy with trying.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
    until: Option<Instant>,
    /// Somebody has been told to look again when the pause is over.
    watched: bool,
}

/// The answer to the question if processes may start.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Pause {
    No,
    /// Processes may start when this time has come. `unwatched` is true only once, for the caller
    /// that has to look again then.
    Until {
        end: Instant,
        unwatched: bool,
    },
}

impl Backoff {
    /// Makes the pause longer, but not for a process that was started before the pause began.
    pub(super) fn failed(&mut self, started: Instant, now: Instant) {
        if self.until.is_none_or(|until| started >= until) {
            let pause = FIRST.saturating_mul(2_u32.saturating_pow(self.failures)).min(LONGEST);
            *self = Self { failures: self.failures + 1, until: Some(now + pause), watched: false };
        }
    }

    pub(super) fn succeeded(&mut self) {
        *self = Self::default();
    }

    pub(super) fn pause(&mut self, now: Instant) -> Pause {
        match self.until {
            Some(end) if end > now => {
                Pause::Until { end, unwatched: !std::mem::replace(&mut self.watched, true) }
            }
            _ => Pause::No,
        }
    }
}
