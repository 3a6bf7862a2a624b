//! Checks of data against schemas, beside the async threads and with a time limit.
//!
//! The bounds of schemas and the budget of steps make a check end soon. This is for the day when
//! that is wrong: a check can't be stopped, so one that does not end has a thread for itself, and
//! whoever asked for it gets an answer all the same. Its thread would take the processor from all
//! that comes after it. So the process ends when the answer of this invocation has been handed
//! over, and before it asks for the next one: AWS starts a new process. Should AWS count the
//! invocation as failed because of that, its caller gets another 500, and messages come again as
//! after any crash.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use lambda_runtime::{Error, tower::util::MapResultLayer};
use posthaste_domain::event::schema::MAX_WEIGHT_OF_CALL;

/// The longest time that a check may take. Whatever the bounds of schemas allow takes less on the
/// part of a processor that a small function has: a test in each function's area says so.
pub const TIME: Duration = Duration::from_secs(7);
/// A whole processor compiles the schemas of a publishing call within this time: 1 µs a byte.
pub const COMPILING: Duration = Duration::from_micros(MAX_WEIGHT_OF_CALL as u64);
/// A whole processor checks the data of one event within this time.
pub const CHECKING: Duration = Duration::from_millis(150);
/// Lambda gives a function a whole processor at so many MB of memory, and a part of one at less.
pub const MB_OF_A_PROCESSOR: u32 = 1769;

/// The threads for checks. Clones share them.
#[derive(Debug, Clone)]
pub struct Checks {
    /// It says whether a check did not end in time.
    stuck: Arc<AtomicBool>,
    time: Duration,
}

/// A check did not end in time, or panicked in a build that unwinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a check of data against a schema did not end in time")]
pub struct Unchecked;

impl Default for Checks {
    fn default() -> Self {
        Self::of(TIME)
    }
}

impl Checks {
    /// Threads for checks that may take so long.
    pub fn of(time: Duration) -> Self {
        Self { stuck: Arc::default(), time }
    }

    /// Says whether a check did not end in time, so that this process will end.
    pub fn are_stuck(&self) -> bool {
        self.stuck.load(Ordering::Relaxed)
    }

    /// A layer for a whole [`lambda_runtime::Runtime`]. It ends the process where a check did not
    /// end in time, once the answer of its invocation has been handed over.
    pub fn ending(
        &self,
    ) -> MapResultLayer<impl FnOnce(Result<(), Error>) -> Result<(), Error> + Clone> {
        let stuck = self.stuck.clone();
        MapResultLayer::new(move |handed_over| {
            if stuck.load(Ordering::Relaxed) {
                tracing::error!("a check is stuck: this process ends, and a new one takes over");
                std::process::exit(1);
            }
            handed_over
        })
    }

    /// Carries out a check, which gets a thread of its own and keeps it until it ends.
    pub async fn run<T: Send + 'static>(
        &self,
        check: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Unchecked> {
        let result = match tokio::time::timeout(self.time, tokio::task::spawn_blocking(check)).await
        {
            Ok(ended) => ended.map_err(|_| Unchecked),
            Err(_) => {
                self.stuck.store(true, Ordering::Relaxed);
                Err(Unchecked)
            }
        };
        if let Err(error) = result {
            tracing::error!(%error, "data is not checked");
        }
        result
    }
}

#[cfg(test)]
mod tests;
