//! The state decides which process does what, and which invocation waits. It only decides: time
//! comes in as an argument.

use std::collections::{BTreeMap, VecDeque};
use std::mem;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::error::{ErrorBody, InvokeError};
use crate::ids;
use crate::pool::Work;
use crate::pool::backoff::{Backoff, Pause};
use crate::process::{Process, Usage};
use crate::stats::Stats;

mod deploy;
mod phase;

use phase::{Instance, Phase, Running};

/// A process that reported an init error has this long to end by itself.
const FAREWELL: Duration = Duration::from_millis(500);

/// An invocation that no process has yet.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) payload: Bytes,
    pub(super) trace_id: String,
    pub(super) answer: oneshot::Sender<Result<Bytes, InvokeError>>,
}

/// The things that the pool has to do after a dispatch.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// The instance numbers of processes to start.
    pub(super) start: Vec<u64>,
    /// The time of the next dispatch, whatever happens until then.
    pub(super) look_again_at: Option<Instant>,
}

/// The end of a process, in words, and what the process used.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) how: String,
    pub(super) usage: Usage,
}

#[derive(Debug)]
pub(super) struct State {
    max_concurrency: usize,
    timeout: Duration,
    init_limit: Duration,
    instances: BTreeMap<u64, Instance>,
    /// The processes that wait for an invocation. The last one is the one used most recently.
    idle: Vec<u64>,
    queue: VecDeque<Pending>,
    last_instance: u64,
    backoff: Backoff,
    stopped: bool,
    totals: Stats,
    /// The time and memory that the processes used which have ended.
    used: Usage,
}

impl State {
    pub(super) fn new(max_concurrency: usize, timeout: Duration, init_limit: Duration) -> Self {
        Self {
            max_concurrency,
            timeout,
            init_limit,
            instances: BTreeMap::new(),
            idle: Vec::new(),
            queue: VecDeque::new(),
            last_instance: 0,
            backoff: Backoff::default(),
            stopped: false,
            totals: Stats::default(),
            used: Usage::default(),
        }
    }

    pub(super) fn enqueue(&mut self, pending: Pending) {
        if self.stopped {
            let _ = pending.answer.send(Err(InvokeError::Stopped));
        } else {
            self.queue.push_back(pending);
        }
    }

    pub(super) fn dispatch(&mut self, now: Instant) -> Wanted {
        while !self.queue.is_empty()
            && let Some(id) = self.idle.pop()
        {
            self.hand_over(id, now);
        }
        self.queue.retain(|pending| !pending.answer.is_closed());
        let mut wanted = Wanted::default();
        if self.queue.is_empty() || self.stopped {
            return wanted;
        }
        if let Pause::Until { end, unwatched } = self.backoff.pause(now) {
            wanted.look_again_at = unwatched.then_some(end);
            return wanted;
        }
        let soon_idle =
            self.instances.values().filter(|instance| instance.phase.is_soon_idle()).count();
        let missing = self.queue.len().saturating_sub(soon_idle);
        for _ in 0..missing.min(self.max_concurrency.saturating_sub(self.instances.len())) {
            self.last_instance += 1;
            self.instances.insert(self.last_instance, Instance::starting(now, self.init_limit));
            self.totals.cold_starts += 1;
            wanted.start.push(self.last_instance);
        }
        wanted
    }

    /// Gives the first invocation that somebody still waits for to a process that was idle.
    fn hand_over(&mut self, id: u64, now: Instant) {
        let Some(instance) = self.instances.get_mut(&id) else {
            return;
        };
        let deadline = now + self.timeout;
        let Phase::Idle(next) = mem::replace(&mut instance.phase, Phase::Answered { deadline })
        else {
            return;
        };
        let Some(pending) = take(&mut self.queue) else {
            instance.phase = Phase::Idle(next);
            self.idle.push(id);
            return;
        };
        let request_id = ids::request_id();
        let work = Work {
            request_id: request_id.clone(),
            trace_id: pending.trace_id,
            deadline: SystemTime::now() + self.timeout,
            payload: pending.payload,
        };
        match next.send(work) {
            Ok(()) => {
                self.totals.invocations += 1;
                instance.phase = Phase::Busy(Running {
                    request_id,
                    started: now,
                    deadline,
                    answer: pending.answer,
                });
            }
            // It has broken off its request: it either asks again or ends.
            Err(Work { payload, trace_id, .. }) => {
                self.queue.push_front(Pending { payload, trace_id, answer: pending.answer });
            }
        }
    }

    pub(super) fn next(&mut self, id: u64, now: Instant) -> Option<oneshot::Receiver<Work>> {
        if self.ends_here(id) {
            return None;
        }
        let instance = self.instances.get_mut(&id).filter(|instance| !instance.doomed)?;
        match &instance.phase {
            Phase::Init { .. } => {
                self.backoff.succeeded();
                self.totals.bill(now - instance.started);
            }
            Phase::Idle(_) => self.idle.retain(|idle| *idle != id),
            Phase::Answered { .. } => {}
            Phase::Busy(_) | Phase::Ending => return None,
        }
        let (next, work) = oneshot::channel();
        instance.phase = Phase::Idle(next);
        self.idle.push(id);
        Some(work)
    }

    pub(super) fn respond(
        &mut self,
        id: u64,
        request_id: &str,
        result: Result<Bytes, InvokeError>,
        now: Instant,
    ) -> bool {
        let Some(instance) = self.instances.get_mut(&id) else {
            return false;
        };
        match &instance.phase {
            Phase::Busy(running) if running.request_id == request_id => {
                let phase = Phase::Answered { deadline: running.deadline };
                if let Phase::Busy(running) = mem::replace(&mut instance.phase, phase) {
                    self.finish(running, result, now);
                }
                true
            }
            _ => false,
        }
    }

    pub(super) fn init_error(&mut self, id: u64, report: ErrorBody, now: Instant) -> bool {
        match self.instances.get_mut(&id).map(|instance| &mut instance.phase) {
            Some(Phase::Init { deadline, error }) => {
                *deadline = now + FAREWELL;
                *error = Some(report);
                true
            }
            _ => false,
        }
    }

    /// Notes that the process with this instance number was forked.
    pub(super) fn started(&mut self, id: u64, process: &Arc<Process>) {
        if let Some(instance) = self.instances.get_mut(&id) {
            instance.process = Some(Arc::clone(process));
            if instance.doomed {
                process.kill();
            }
        }
    }

    /// Kills the process if its time is over, and returns when to look again. An idle process needs
    /// no look before the timeout has passed once: an invocation that begins in between ends later.
    pub(super) fn enforce_deadline(&mut self, id: u64, now: Instant) -> Instant {
        let look_again = now + self.timeout;
        let Some(instance) = self.instances.get_mut(&id) else {
            return look_again;
        };
        let Some(deadline) = instance.phase.deadline() else { return look_again };
        if now < deadline {
            return deadline.min(look_again);
        }
        match &mut instance.phase {
            Phase::Init { error, .. } => {
                error.get_or_insert_with(|| ErrorBody {
                    error_type: Some("Sandbox.Timedout".to_owned()),
                    error_message: format!(
                        "Init timed out after {:.2} seconds",
                        self.init_limit.as_secs_f64()
                    ),
                });
            }
            phase => {
                if let Phase::Busy(running) = mem::replace(phase, Phase::Ending) {
                    self.totals.timeouts += 1;
                    self.finish(running, Err(InvokeError::Timeout { after: self.timeout }), now);
                }
            }
        }
        self.kill(id);
        look_again
    }

    pub(super) fn ended(&mut self, id: u64, ended: &Ended, now: Instant) {
        let Some(instance) = self.instances.remove(&id) else {
            return;
        };
        self.idle.retain(|idle| *idle != id);
        self.used.cpu += ended.usage.cpu;
        self.used.peak_memory_kb = self.used.peak_memory_kb.max(ended.usage.peak_memory_kb);
        match instance.phase {
            Phase::Init { error, .. } => {
                self.totals.bill(now - instance.started);
                self.init_failed(&init_error(error, &ended.how), instance.started, now);
            }
            Phase::Busy(running) => {
                self.totals.crashes += 1;
                self.finish(running, Err(InvokeError::Crashed { status: ended.how.clone() }), now);
            }
            Phase::Idle(_) | Phase::Answered { .. } | Phase::Ending => {}
        }
    }

    /// Fails the invocation that the process was started for, or all that wait if no other process
    /// is left.
    fn init_failed(&mut self, error: &InvokeError, started: Instant, now: Instant) {
        self.totals.init_failures += 1;
        self.backoff.failed(started, now);
        while let Some(pending) = take(&mut self.queue) {
            self.totals.invocations += 1;
            self.totals.errors += 1;
            let _ = pending.answer.send(Err(error.clone()));
            if !self.instances.is_empty() {
                return;
            }
        }
    }

    fn finish(&mut self, running: Running, result: Result<Bytes, InvokeError>, now: Instant) {
        self.totals.bill(now - running.started);
        self.totals.errors += u64::from(result.is_err());
        let _ = running.answer.send(result);
    }

    /// Kills a process, now or as soon as it is forked, and gives it nothing more to do.
    pub(super) fn kill(&mut self, id: u64) -> bool {
        let Some(instance) = self.instances.get_mut(&id) else {
            return false;
        };
        if matches!(instance.phase, Phase::Idle(_) | Phase::Answered { .. }) {
            instance.phase = Phase::Ending;
            self.idle.retain(|idle| *idle != id);
        }
        instance.doomed = true;
        if let Some(process) = &instance.process {
            process.kill();
        }
        true
    }

    /// Kills all processes. Nothing is started or accepted any more.
    pub(super) fn end(&mut self) {
        self.stopped = true;
        for pending in self.queue.drain(..) {
            let _ = pending.answer.send(Err(InvokeError::Stopped));
        }
        for id in self.instances.keys().copied().collect::<Vec<_>>() {
            if let Some(instance) = self.instances.get_mut(&id)
                && let Phase::Busy(running) = mem::replace(&mut instance.phase, Phase::Ending)
            {
                let _ = running.answer.send(Err(InvokeError::Stopped));
            }
            self.kill(id);
        }
        self.idle.clear();
    }

    /// Lists the instances that have an invocation and aren't being killed.
    pub(super) fn busy(&self) -> Vec<u64> {
        self.instances
            .iter()
            .filter(|(_, instance)| instance.is_busy())
            .map(|(id, _)| *id)
            .collect()
    }

    pub(super) fn is_alive(&self, id: u64) -> bool {
        self.instances.contains_key(&id)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.instances.is_empty()
    }

    pub(super) fn pids(&self) -> Vec<u32> {
        self.instances
            .values()
            .filter_map(|instance| Some(instance.process.as_ref()?.pid))
            .collect()
    }

    pub(super) fn stats(&self) -> Stats {
        let live =
            self.instances.values().filter_map(|instance| Some(instance.process.as_ref()?.usage()));
        let used = live.fold(self.used, |sum, usage| Usage {
            cpu: sum.cpu + usage.cpu,
            peak_memory_kb: sum.peak_memory_kb.max(usage.peak_memory_kb),
        });
        let pids = self.pids();
        Stats {
            under_way: self.queue.len() + self.busy().len(),
            cpu_ms: u64::try_from(used.cpu.as_millis()).unwrap_or(u64::MAX),
            peak_memory_kb: used.peak_memory_kb,
            processes: pids.len(),
            pids,
            ..self.totals.clone()
        }
    }
}

/// Takes the first invocation that somebody still waits for, and drops those before it.
fn take(queue: &mut VecDeque<Pending>) -> Option<Pending> {
    std::iter::from_fn(|| queue.pop_front()).find(|pending| !pending.answer.is_closed())
}

fn init_error(report: Option<ErrorBody>, how: &str) -> InvokeError {
    let report = report.unwrap_or_else(|| ErrorBody {
        error_type: Some("Runtime.ExitError".to_owned()),
        error_message: format!("Runtime exited with error: {how}"),
    });
    InvokeError::InitFailed { error_type: report.error_type(), message: report.error_message }
}

#[cfg(test)]
mod tests;
