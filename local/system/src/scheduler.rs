//! The scheduler is EventBridge: it invokes functions on the schedules of the template.
//!
//! As on AWS an invocation is asynchronous: the next one comes when its time has come, whether or
//! not the last one still runs. One that fails is repeated by Lambda with the same event, as often
//! as the function's `EventInvokeConfig` says.

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use posthaste_local_lambda::{Function, InvokeError, schedule_event};
use posthaste_local_template as template;
use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval_at, sleep},
};

/// Lambda waits this long before it repeats an asynchronous invocation for the first and for the
/// second time
/// (<https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html>).
const RETRY_WAITS: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(120)];

/// The reasons for which an invocation that was asked for did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum TickError {
    /// The template has no such function, or no schedule for it.
    #[error("no schedule of the template invokes a function {0}")]
    NoSchedule(String),
    /// The function was invoked and failed.
    #[error("{function}: {error}")]
    Failed {
        /// The function's name in the template.
        function: String,
        /// The answer of Lambda's Invoke API.
        #[source]
        error: InvokeError,
    },
}

/// All schedules of the template.
pub(crate) struct Scheduler(Vec<Arc<Scheduled>>);

struct Scheduled {
    name: String,
    function: Function,
    retries: usize,
    schedule: template::Schedule,
}

impl Scheduler {
    /// Collects the schedules of the declared functions. `running` has the functions by name.
    pub(crate) fn new(
        declared: &[template::Function],
        running: &BTreeMap<String, Function>,
    ) -> Self {
        let mut all = Vec::new();
        for function in declared {
            let Some(runs) = running.get(&function.name) else { continue };
            all.extend(function.schedules.iter().map(|schedule| {
                Arc::new(Scheduled {
                    name: function.name.clone(),
                    function: runs.clone(),
                    retries: function.async_retries,
                    schedule: schedule.clone(),
                })
            }));
        }
        Self(all)
    }

    /// Runs all schedules that are enabled. Dropping the tasks ends them, together with the
    /// invocations that they wait for.
    pub(crate) fn start(&self) -> JoinSet<()> {
        let enabled = self.0.iter().filter(|scheduled| scheduled.schedule.enabled).cloned();
        enabled
            .map(|scheduled| {
                every(scheduled.schedule.period, move || scheduled.clone().invoke_asynchronously())
            })
            .collect()
    }

    /// Invokes a function now, once for each of its schedules, enabled or not, one after the other,
    /// and waits for its answers.
    ///
    /// # Errors
    /// There is nothing to invoke, or an invocation failed. The others are made all the same, and
    /// nothing is repeated.
    pub(crate) async fn tick(&self, function: &str) -> Result<(), TickError> {
        let mut ticked = Err(TickError::NoSchedule(function.to_owned()));
        for scheduled in self.0.iter().filter(|scheduled| scheduled.name == function) {
            let answer = scheduled.function.invoke(scheduled.event()).await.map(drop);
            let answer =
                answer.map_err(|error| TickError::Failed { function: function.to_owned(), error });
            if !matches!(ticked, Err(TickError::Failed { .. })) {
                ticked = answer;
            }
        }
        ticked
    }
}

impl Scheduled {
    fn event(&self) -> Bytes {
        match &self.schedule.input {
            Some(input) => Bytes::from(input.clone()),
            None => schedule_event::to_event(
                &self.schedule.arn,
                &uuid::Uuid::new_v4().to_string(),
                SystemTime::now(),
            ),
        }
    }

    async fn invoke_asynchronously(self: Arc<Self>) {
        let event = self.event();
        with_retries(&self.name, self.retries, || self.function.invoke(event.clone())).await;
    }
}

/// Begins a task every period, for the first time after one period. Moments that were missed, for
/// example while the machine slept, are left out.
async fn every<F>(period: Duration, mut begin: impl FnMut() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut moments = interval_at(Instant::now() + period, period);
    moments.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut begun = JoinSet::new();
    loop {
        moments.tick().await;
        while begun.try_join_next().is_some() {}
        begun.spawn(begin());
    }
}

/// Invokes until an invocation succeeds, all retries are used, or the function is stopped.
async fn with_retries<F>(function: &str, retries: usize, mut invoke: impl FnMut() -> F)
where
    F: Future<Output = Result<Bytes, InvokeError>>,
{
    let mut waits = RETRY_WAITS.into_iter().take(retries);
    loop {
        let error = match invoke().await {
            Ok(_) | Err(InvokeError::Stopped) => return,
            Err(error) => error,
        };
        match waits.next() {
            Some(wait) => {
                tracing::warn!(
                    %function, %error, "a scheduled invocation failed; it is repeated in {} s",
                    wait.as_secs()
                );
                sleep(wait).await;
            }
            None => {
                tracing::error!(%function, %error, "a scheduled invocation failed");
                return;
            }
        }
    }
}
