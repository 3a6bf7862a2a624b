//! The scheduler's times are tested on a paused clock. Its events are tested with the whole system.

use std::{cell::RefCell, sync::Mutex};

use super::*;

/// Writes down the second of each invocation.
#[derive(Clone)]
struct Moments(Arc<Mutex<Vec<u64>>>, Instant);

impl Moments {
    fn new() -> Self {
        Self(Arc::default(), Instant::now())
    }

    fn note(&self) {
        self.0.lock().unwrap().push(self.1.elapsed().as_secs());
    }

    fn seen(&self) -> Vec<u64> {
        self.0.lock().unwrap().clone()
    }
}

#[tokio::test(start_paused = true)]
async fn it_invokes_first_after_one_period_and_does_not_wait_for_an_end() {
    let moments = Moments::new();
    let noting = moments.clone();
    let schedule = every(Duration::from_secs(60), move || {
        let moments = noting.clone();
        async move {
            moments.note();
            sleep(Duration::from_secs(150)).await;
        }
    });
    let ended = tokio::time::timeout(Duration::from_secs(241), schedule).await;
    assert!(ended.is_err(), "a schedule has no end");
    assert_eq!(moments.seen(), [60, 120, 180, 240]);
}

#[tokio::test(start_paused = true)]
async fn what_runs_ends_with_its_schedule() {
    let moments = Moments::new();
    let noting = moments.clone();
    let mut tasks = JoinSet::new();
    tasks.spawn(every(Duration::from_secs(60), move || {
        let moments = noting.clone();
        async move {
            sleep(Duration::from_secs(30)).await;
            moments.note();
        }
    }));
    sleep(Duration::from_secs(170)).await;
    tasks.shutdown().await;
    sleep(Duration::from_secs(1000)).await;
    assert_eq!(moments.seen(), [90, 150]);
    let tasks: JoinSet<()> = Scheduler(Vec::new()).start();
    assert!(tasks.is_empty());
}

/// Returns the seconds at which the invocations of one event begin, if they end with these results.
async fn attempts(
    retries: usize,
    results: impl IntoIterator<Item = Result<Bytes, InvokeError>>,
) -> Vec<u64> {
    let moments = Moments::new();
    let results = RefCell::new(results.into_iter());
    with_retries("release", retries, || {
        moments.note();
        std::future::ready(results.borrow_mut().next().unwrap())
    })
    .await;
    moments.seen()
}

#[tokio::test(start_paused = true)]
async fn a_failed_invocation_is_repeated_after_one_minute_and_after_two() {
    let failed = || Err(InvokeError::Crashed { status: "exit status: 1".to_owned() });
    assert_eq!(attempts(2, [Ok(Bytes::new())]).await, [0]);
    assert_eq!(attempts(2, [failed(), Ok(Bytes::new())]).await, [0, 60]);
    assert_eq!(attempts(2, [failed(), failed(), failed()]).await, [0, 60, 180]);
    assert_eq!(attempts(1, [failed(), failed()]).await, [0, 60]);
    assert_eq!(attempts(0, [failed()]).await, [0]);
    assert_eq!(attempts(2, [Err(InvokeError::Stopped)]).await, [0], "the system ends");
}
