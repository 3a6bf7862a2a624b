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

/// The configuration of a function.
#[derive(Debug, Clone)]
pub struct FunctionSpec {
    /// The function's name, which is also the first half of its processes' access key ids.
    pub name: String,
    /// The way in which invocations are carried out.
    pub runner: Runner,
    /// The variables that the configuration sets. Those that Lambda reserves are refused.
    pub environment: BTreeMap<String, String>,
    /// One invocation may take this long, from its hand-over to the process.
    pub timeout: Duration,
    /// The memory that the function is told it has. Nothing here limits it.
    pub memory_mb: u32,
    /// The function has at most this many processes at a time. Further invocations wait.
    pub max_concurrency: usize,
    /// `RecursiveLoop: Allow`: one chain may invoke the function any number of times.
    pub allows_recursion: bool,
}

/// Invocations are carried out by processes of our own, or by something else.
#[derive(Debug, Clone)]
pub enum Runner {
    /// Processes of a binary, started and ended as Lambda does.
    Process {
        /// The path of the binary that cargo built.
        binary: PathBuf,
    },
    /// Something else, such as `cargo lambda watch`. No process is ours then, so the environment,
    /// the timeout and the concurrency are not ours either.
    External {
        /// The address of Lambda's Invoke API:
        /// `http://127.0.0.1:9000/2015-03-31/functions/<name>/invocations`.
        invoke_url: String,
    },
}

/// A function that takes invocations. Clones are the same function. When the last one is dropped,
/// its processes are killed.
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
    /// Makes the function ready. Its processes start with the invocations.
    ///
    /// # Errors
    /// The configuration is wrong.
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
            Runner::External { invoke_url } => {
                Backend::External(Box::new(External::new(invoke_url)?))
            }
        };
        Ok(Self { backend: Arc::new(backend), guard: Arc::new(guard) })
    }

    /// Invokes the function and waits for its answer. When all processes are busy it waits for a
    /// free one first. If the caller stops waiting, an invocation that hasn't begun is dropped, and
    /// one that has is carried out.
    ///
    /// # Errors
    /// There is no answer. The error is final: nothing is tried a second time.
    pub async fn invoke(&self, payload: Bytes) -> Result<Bytes, InvokeError> {
        self.invoke_in(Lineage::default(), payload).await
    }

    /// Invokes the function as [`invoke`](Self::invoke) does, at the end of a chain of other
    /// invocations.
    ///
    /// # Errors
    /// There is no answer, perhaps because the chain has led to the function too often.
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

    /// Kills a process that is in the middle of an invocation. `pick` chooses it from the instance
    /// numbers of all that are. The result is true if one was killed, and its invocation fails as
    /// [`InvokeError::Crashed`].
    pub fn kill_busy(&self, pick: impl FnOnce(&[u64]) -> Option<u64>) -> bool {
        match &*self.backend {
            Backend::Processes(pool) => pool.kill_busy(pick),
            Backend::External(_) => false,
        }
    }

    /// Kills the process with this instance number, whose access key id is `<name>.<instance>`. It
    /// waits until the process is dead and its invocation, if it had one, has failed. The result is
    /// false if there is no such process.
    pub async fn kill_instance(&self, instance: u64) -> bool {
        match &*self.backend {
            Backend::Processes(pool) => pool.kill_instance(instance).await,
            Backend::External(_) => false,
        }
    }

    /// Replaces the function's processes with those of another binary, as a deployment does.
    /// Invocations that are under way end where they are, and later ones go to new processes. It
    /// does nothing where something else runs the function.
    ///
    /// # Errors
    /// The binary can't be run.
    pub fn deploy(&self, binary: PathBuf) -> Result<(), StartError> {
        if let Backend::Processes(pool) = &*self.backend {
            pool.deploy(executable(binary)?);
        }
        Ok(())
    }

    /// Returns the figures of the function since it was started.
    pub fn stats(&self) -> Stats {
        let stats = match &*self.backend {
            Backend::Processes(pool) => pool.stats(),
            Backend::External(external) => external.stats(),
        };
        Stats { recursion_dropped: self.guard.dropped(), ..stats }
    }

    /// Lists the ids of the function's live processes.
    pub fn pids(&self) -> Vec<u32> {
        match &*self.backend {
            Backend::Processes(pool) => pool.pids(),
            Backend::External(_) => Vec::new(),
        }
    }

    /// Kills all processes and waits until they are dead. Every invocation, waiting or running,
    /// fails as [`InvokeError::Stopped`], and so does every later one.
    pub async fn stop(&self) {
        match &*self.backend {
            Backend::Processes(pool) => pool.stop().await,
            Backend::External(external) => external.stop(),
        }
    }
}

/// Returns the absolute path, because a process starts in another directory.
fn executable(binary: PathBuf) -> Result<PathBuf, StartError> {
    let absolute = binary.canonicalize().map_err(|_| StartError::Binary(binary.clone()))?;
    match absolute.metadata() {
        Ok(file) if file.is_file() && file.permissions().mode() & 0o111 != 0 => Ok(absolute),
        _ => Err(StartError::Binary(binary)),
    }
}
