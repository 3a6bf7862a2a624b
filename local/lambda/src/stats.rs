use std::time::Duration;

use serde::Serialize;

/// The figures of a function since it was started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Invocations that a process began, or that failed because none became ready.
    pub invocations: u64,
    /// Invocations that failed, for whatever reason: timeouts, crashes and failed inits are among
    /// them.
    pub errors: u64,
    /// Invocations that ran into their deadline.
    pub timeouts: u64,
    /// Processes that ended in the middle of an invocation.
    pub crashes: u64,
    /// Processes that ended before they were ready, or didn't become ready in time.
    pub init_failures: u64,
    /// Invocations that did not begin, because the function had been invoked too often in their
    /// chain.
    pub recursion_dropped: u64,
    /// Processes that were started.
    pub cold_starts: u64,
    /// The milliseconds that Lambda would bill: inits and invocations, each rounded up.
    pub billed_ms: u64,
    /// User and system time of all processes, ended ones too, in milliseconds.
    pub cpu_ms: u64,
    /// The largest resident set that any of the processes had, in KiB.
    pub peak_memory_kb: u64,
    /// Invocations that have not ended. A process has them, or they wait for one.
    pub under_way: usize,
    /// Processes that are alive.
    pub processes: usize,
    /// The process ids of those that are alive.
    pub pids: Vec<u32>,
}

impl Stats {
    pub(crate) fn bill(&mut self, duration: Duration) {
        self.billed_ms += u64::try_from(duration.as_micros().div_ceil(1000)).unwrap_or(u64::MAX);
    }
}
