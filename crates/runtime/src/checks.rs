//! Checks of data against schemas, beside the async threads and with a time limit.
//!
//! The bounds of schemas and the budget of steps make a check end soon. This is for the day when that is wrong: a check can't be
//! stopped, so one that does not end has a thread for itself, and whoever asked for it gets an answer all the same. Few threads can
//! be lost so. When all are, the process can't check anything any more, and ends at the beginning of an invocation, when it holds
//! nothing yet: AWS starts a new one, and what was handed over comes again as after any crash.

use std::{sync::Arc, time::Duration};

use tokio::sync::Semaphore;

/// How long a check may take: more than the steps that it may have take on a part of a processor, as a small function has it.
const TIME: Duration = Duration::from_secs(4);
/// How many checks may go on at once, those included that never end: as many as a batch has messages.
const PLACES: usize = 10;

/// The threads for checks. Clones share them.
#[derive(Debug, Clone)]
pub struct Checks {
    places: Arc<Semaphore>,
    time: Duration,
}

/// A check did not end in time, or broke off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a check of data against a schema did not end in time")]
pub struct Unchecked;

impl Default for Checks {
    fn default() -> Self {
        Self { places: Arc::new(Semaphore::new(PLACES)), time: TIME }
    }
}

impl Checks {
    /// Whether a check could begin: not all threads are lost to checks that do not end. To be asked between invocations.
    pub fn can_begin(&self) -> bool {
        self.places.available_permits() > 0
    }

    /// Ends the process where no check could begin. Only for the beginning of an invocation, of which nothing is done yet.
    pub fn end_process_if_stuck(&self) {
        if !self.can_begin() {
            tracing::error!("all threads for checks are stuck: this process ends, and a new one takes over");
            std::process::exit(1);
        }
    }

    /// Carries out a check, which gets a thread of its own and keeps it until it ends.
    pub async fn run<T: Send + 'static>(&self, check: impl FnOnce() -> T + Send + 'static) -> Result<T, Unchecked> {
        let checked = tokio::time::timeout(self.time, async {
            let place = self.places.clone().acquire_owned().await.map_err(|_| Unchecked)?;
            let thread = tokio::task::spawn_blocking(move || {
                let result = check();
                drop(place);
                result
            });
            thread.await.map_err(|_| Unchecked)
        });
        let result = checked.await.unwrap_or(Err(Unchecked));
        if let Err(error) = result {
            tracing::error!(%error, "data is not checked");
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// As many checks that do not end as there are places, and what lets them end.
    async fn stuck(checks: &Checks, count: usize) -> Vec<mpsc::Sender<()>> {
        let mut ends = Vec::new();
        for _ in 0..count {
            let (end, ended) = mpsc::channel::<()>();
            assert_eq!(checks.run(move || ended.recv().is_ok()).await, Err(Unchecked));
            ends.push(end);
        }
        ends
    }

    fn impatient() -> Checks {
        Checks { time: Duration::from_millis(1), ..Checks::default() }
    }

    #[tokio::test]
    async fn a_check_that_does_not_end_is_answered_and_others_go_on() {
        let impatient = impatient();
        let ends = stuck(&impatient, PLACES - 1).await;
        assert!(impatient.can_begin());
        let patient = Checks { time: Duration::from_secs(60), ..impatient.clone() };
        assert_eq!(patient.run(|| 7).await, Ok(7));
        drop(ends);
    }

    #[tokio::test]
    async fn when_all_threads_are_lost_nothing_is_begun_until_one_comes_back() {
        let checks = impatient();
        let mut ends = stuck(&checks, PLACES).await;
        assert!(!checks.can_begin());
        assert_eq!(checks.run(|| 7).await, Err(Unchecked));
        drop(ends.pop());
        let patient = Checks { time: Duration::from_secs(60), ..checks };
        assert_eq!(patient.run(|| 7).await, Ok(7), "the thread that came back is used again");
        drop(ends);
    }

    #[tokio::test]
    async fn a_check_that_panics_gives_its_place_back() {
        let checks = Checks { time: Duration::from_secs(60), ..Checks::default() };
        for _ in 0..=PLACES {
            assert_eq!(checks.run(|| assert_eq!(1, 2)).await, Err(Unchecked));
        }
        assert!(checks.can_begin());
    }
}
