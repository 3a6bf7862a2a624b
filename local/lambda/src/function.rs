use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::environment;
use crate::error::{InvokeError, StartError};
use crate::external::External;
use crate::ids;
use crate::lineage::{Lineage, LoopGuard};
use crate::log::LogSink;
use crate::pool::Pool;
use crate::stats::Stats;

/// The longest payload of a synchronous invocation
/// (<https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>).
const REQUEST_LIMIT: usize = 6 * 1024 * 1024;

/// A function's configuration.
#[derive(Debug, Clone)]
pub struct FunctionSpec {
    /// Its name, and the first half of its processes' access key ids.
    pub name: String,
    /// What carries out its invocations.
    pub runner: Runner,
    /// The variables of its configuration. Those that Lambda reserves are refused.
    pub environment: BTreeMap<String, String>,
    /// How long one invocation may take, from its hand-over to the process.
    pub timeout: Duration,
    /// What the function is told about its memory; nothing limits it.
    pub memory_mb: u32,
    /// The most processes at a time; further invocations wait.
    pub max_concurrency: usize,
    /// Whether it may be invoked any number of times in one chain: `RecursiveLoop: Allow`.
    pub allows_recursion: bool,
}

/// What carries out a function's invocations.
#[derive(Debug, Clone)]
pub enum Runner {
    /// Processes of this binary.
    Process {
        /// The binary, as cargo built it.
        binary: PathBuf,
    },
    /// Somebody else, such as `cargo lambda watch`: there is no process of ours, so the environment, the timeout and the
    /// concurrency are somebody else's too.
    External {
        /// Lambda's Invoke API: `http://127.0.0.1:9000/2015-03-31/functions/<name>/invocations`.
        invoke_url: String,
    },
}

/// A function that takes invocations. Clones are the same function; when the last is dropped, its processes are killed.
#[derive(Debug, Clone)]
pub struct Function {
    backend: Arc<Backend>,
    guard: Arc<LoopGuard>,
}

#[derive(Debug)]
enum Backend {
    Processes(Arc<Pool>),
    External(Box<External>),
}

impl Drop for Backend {
    fn drop(&mut self) {
        if let Self::Processes(pool) = self {
            pool.end();
        }
    }
}

impl Function {
    /// Makes the function ready; processes start with the invocations.
    ///
    /// # Errors
    /// What the configuration has wrong.
    pub fn start(spec: FunctionSpec, log: LogSink) -> Result<Self, StartError> {
        environment::check(&spec.environment)?;
        if spec.max_concurrency == 0 {
            return Err(StartError::NoConcurrency);
        }
        let guard = LoopGuard::new(&spec.name, spec.allows_recursion);
        let backend = match &spec.runner {
            Runner::Process { binary } => {
                let binary = executable(binary.clone())?;
                Backend::Processes(Arc::new(Pool::new(spec, binary, log)))
            }
            Runner::External { invoke_url } => Backend::External(Box::new(External::new(invoke_url)?)),
        };
        Ok(Self { backend: Arc::new(backend), guard: Arc::new(guard) })
    }

    /// Invokes the function and waits for its answer, first for a free process when all are busy. An invocation whose
    /// caller stops waiting is dropped if it hasn't begun and carried out if it has.
    ///
    /// # Errors
    /// Why there is no answer. An error is final: nothing is tried a second time.
    pub async fn invoke(&self, payload: Bytes) -> Result<Bytes, InvokeError> {
        self.invoke_in(Lineage::default(), payload).await
    }

    /// The same for an invocation that other invocations led to.
    ///
    /// # Errors
    /// Why there is no answer. The chain may have led to the function too often.
    pub async fn invoke_in(&self, chain: Lineage, payload: Bytes) -> Result<Bytes, InvokeError> {
        if payload.len() > REQUEST_LIMIT {
            return Err(InvokeError::RequestTooLarge { bytes: payload.len() });
        }
        let trace_id = ids::trace_id(&self.guard.admit(chain)?);
        match &*self.backend {
            Backend::Processes(pool) => pool.invoke(payload, trace_id).await,
            Backend::External(external) => external.invoke(payload, &trace_id).await,
        }
    }

    /// Kills a process that is in the middle of an invocation: the one that `pick` takes from their instance numbers.
    /// True if there was one; the invocation fails as [`InvokeError::Crashed`].
    pub fn kill_busy(&self, pick: impl FnOnce(&[u64]) -> Option<u64>) -> bool {
        match &*self.backend {
            Backend::Processes(pool) => pool.kill_busy(pick),
            Backend::External(_) => false,
        }
    }

    /// Kills the process with this instance number (its access key id is `<name>.<instance>`) and waits until it is dead
    /// and its invocation, if it had one, has failed. False if there is no such process.
    pub async fn kill_instance(&self, instance: u64) -> bool {
        match &*self.backend {
            Backend::Processes(pool) => pool.kill_instance(instance).await,
            Backend::External(_) => false,
        }
    }

    /// What the function has done and used until now.
    pub fn stats(&self) -> Stats {
        let stats = match &*self.backend {
            Backend::Processes(pool) => pool.stats(),
            Backend::External(external) => external.stats(),
        };
        Stats { recursion_dropped: self.guard.dropped(), ..stats }
    }

    /// The ids of its processes that are alive.
    pub fn pids(&self) -> Vec<u32> {
        match &*self.backend {
            Backend::Processes(pool) => pool.pids(),
            Backend::External(_) => Vec::new(),
        }
    }

    /// Kills all processes and waits until they are dead. Every invocation, waiting or running, fails as
    /// [`InvokeError::Stopped`], and so does every later one.
    pub async fn stop(&self) {
        match &*self.backend {
            Backend::Processes(pool) => pool.stop().await,
            Backend::External(external) => external.stop(),
        }
    }
}

/// The absolute path, for a process that starts in another directory.
fn executable(binary: PathBuf) -> Result<PathBuf, StartError> {
    let absolute = binary.canonicalize().map_err(|_| StartError::Binary(binary.clone()))?;
    match absolute.metadata() {
        Ok(file) if file.is_file() && file.permissions().mode() & 0o111 != 0 => Ok(absolute),
        _ => Err(StartError::Binary(binary)),
    }
}
