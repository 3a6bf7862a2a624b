//! A pool has the processes of one function.
//!
//! [`State`] decides, under one lock, who gets which invocation; the task of [`instance`] looks
//! after one process from its start to its end; the process itself pulls its work through its
//! Runtime API.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use crate::error::{ErrorBody, InvokeError};
use crate::function::FunctionSpec;
use crate::log::LogSink;
use crate::pool::state::{Pending, State};
use crate::stats::Stats;

mod backoff;
mod instance;
mod state;

/// A process has to ask for its first invocation within this time
/// (<https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html>).
const INIT_LIMIT: Duration = Duration::from_secs(10);

/// An invocation in the form in which a process gets it.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) request_id: String,
    pub(crate) trace_id: String,
    pub(crate) deadline: SystemTime,
    pub(crate) payload: Bytes,
}

#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) spec: FunctionSpec,
    /// The binary that the next process is started from.
    binary: Mutex<PathBuf>,
    log: LogSink,
    state: Mutex<State>,
    /// Wakes those that wait for the end of a process, when the state knows of it.
    ended: Notify,
}

impl Pool {
    pub(crate) fn new(spec: FunctionSpec, binary: PathBuf, log: LogSink) -> Self {
        let state = State::new(spec.max_concurrency, spec.timeout, INIT_LIMIT);
        Self {
            spec,
            binary: Mutex::new(binary),
            log,
            state: Mutex::new(state),
            ended: Notify::new(),
        }
    }

    pub(crate) async fn invoke(
        self: &Arc<Self>,
        payload: Bytes,
        trace_id: String,
    ) -> Result<Bytes, InvokeError> {
        let (answer, answered) = oneshot::channel();
        {
            let mut state = self.lock();
            state.enqueue(Pending { payload, trace_id, answer });
            self.dispatch(&mut state);
        }
        answered.await.unwrap_or(Err(InvokeError::Stopped))
    }

    /// Notes that a process is ready for an invocation, which will come through the receiver. There
    /// is no receiver for a process that has no business asking.
    pub(crate) fn next(self: &Arc<Self>, instance: u64) -> Option<oneshot::Receiver<Work>> {
        let mut state = self.lock();
        let work = state.next(instance, Instant::now());
        self.dispatch(&mut state);
        work
    }

    /// Takes the result of the invocation that the process has. It returns false if the process has
    /// another one, or none.
    pub(crate) fn respond(
        &self,
        instance: u64,
        request_id: &str,
        result: Result<Bytes, InvokeError>,
    ) -> bool {
        self.lock().respond(instance, request_id, result, Instant::now())
    }

    /// Takes the reason for which a process can't start and is about to end. It returns false if
    /// the process has started.
    pub(crate) fn init_error(&self, instance: u64, error: ErrorBody) -> bool {
        self.lock().init_error(instance, error, Instant::now())
    }

    pub(crate) fn kill_busy(&self, pick: impl FnOnce(&[u64]) -> Option<u64>) -> bool {
        let mut state = self.lock();
        let busy = state.busy();
        pick(&busy).is_some_and(|instance| busy.contains(&instance) && state.kill(instance))
    }

    pub(crate) async fn kill_instance(&self, instance: u64) -> bool {
        let killed = self.lock().kill(instance);
        if killed {
            self.wait_until(|state| !state.is_alive(instance)).await;
        }
        killed
    }

    /// Replaces the processes with those of another binary, as a deployment does.
    pub(crate) fn deploy(self: &Arc<Self>, binary: PathBuf) {
        *self.binary.lock().unwrap_or_else(PoisonError::into_inner) = binary;
        let mut state = self.lock();
        state.retire();
        self.dispatch(&mut state);
    }

    fn binary(&self) -> PathBuf {
        self.binary.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) async fn stop(&self) {
        self.end();
        self.wait_until(State::is_empty).await;
    }

    /// Kills all processes, and takes no more invocations.
    pub(crate) fn end(&self) {
        self.lock().end();
    }

    pub(crate) fn stats(&self) -> Stats {
        self.lock().stats()
    }

    pub(crate) fn pids(&self) -> Vec<u32> {
        self.lock().pids()
    }

    async fn wait_until(&self, is_true: impl Fn(&State) -> bool) {
        loop {
            let ended = self.ended.notified();
            if is_true(&self.lock()) {
                return;
            }
            ended.await;
        }
    }

    /// Hands out the invocations that processes are free for, and starts the processes that are
    /// missing.
    fn dispatch(self: &Arc<Self>, state: &mut State) {
        let wanted = state.dispatch(Instant::now());
        for instance in wanted.start {
            tokio::spawn(instance::run(Arc::clone(self), instance));
        }
        if let Some(at) = wanted.look_again_at {
            let pool = Arc::downgrade(self);
            tokio::spawn(async move {
                tokio::time::sleep_until(at).await;
                if let Some(pool) = pool.upgrade() {
                    pool.dispatch(&mut pool.lock());
                }
            });
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
