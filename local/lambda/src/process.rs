//! A process of a function is started, ended and measured here.
//!
//! Each process has a thread of ours that forks it and then waits for it: the kernel ends a child
//! when the *thread* that forked it ends, and this one ends only after its child.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

mod sys;

/// CPU time and memory, as the kernel counts them.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    pub(crate) cpu: Duration,
    pub(crate) peak_memory_kb: u64,
}

/// The end of a process, and what it used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Exit {
    pub(crate) status: ExitStatus,
    pub(crate) usage: Usage,
}

#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    /// Our own peak at the fork. The kernel's `ru_maxrss` of the child includes what the fork
    /// copied from us.
    inherited_kb: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The highest `VmHWM` that was seen. Unlike `ru_maxrss` it starts anew at exec, but it is gone
    /// when the process is.
    peak_memory_kb: u64,
    /// The end is set together with the reaping, so that no signal goes to a process id that
    /// belongs to another process by then.
    exit: Option<Exit>,
}

pub(crate) struct Spawned {
    pub(crate) process: KillOnDrop,
    pub(crate) stdout: ChildStdout,
    pub(crate) stderr: ChildStderr,
    pub(crate) exited: oneshot::Receiver<Exit>,
}

/// Starts `command` without input, in a process group of its own: a Ctrl-C in the terminal is for
/// us alone.
pub(crate) async fn spawn(command: Command) -> io::Result<Spawned> {
    let (started, spawned) = oneshot::channel();
    std::thread::Builder::new()
        .name("lambda-process".to_owned())
        .spawn(move || start_and_wait(command, started))?;
    spawned.await.unwrap_or_else(|_| Err(io::Error::other("the starting thread ended")))
}

fn start_and_wait(mut command: Command, started: oneshot::Sender<io::Result<Spawned>>) {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    sys::end_with_this_thread(&mut command);
    let inherited_kb = peak_memory_kb("self");
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            let _ = started.send(Err(error));
            return;
        }
    };
    let process = Arc::new(Process { pid: child.id(), inherited_kb, state: Mutex::default() });
    // From here on, whoever loses interest kills it.
    let killer = KillOnDrop(Arc::clone(&process));
    let (exited, exit) = oneshot::channel();
    let pipes = child.stdout.take().zip(child.stderr.take());
    let spawned =
        pipes.map(|(stdout, stderr)| Spawned { process: killer, stdout, stderr, exited: exit });
    let _ = started.send(spawned.ok_or_else(|| io::Error::other("the child has no pipes")));
    let _ = exited.send(process.wait());
}

impl Process {
    /// Sends SIGKILL to the process and whatever it started. It does nothing when the process has
    /// ended.
    pub(crate) fn kill(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.exit.is_none() {
            state.peak_memory_kb = state.peak_memory_kb.max(peak_memory_kb(&self.pid.to_string()));
            sys::kill_group(self.pid);
        }
    }

    /// Returns what the process has used until now, or altogether if it has ended.
    pub(crate) fn usage(&self) -> Usage {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(exit) = state.exit {
            return exit.usage;
        }
        state.peak_memory_kb = state.peak_memory_kb.max(peak_memory_kb(&self.pid.to_string()));
        Usage {
            cpu: sys::cpu_time(self.pid).unwrap_or_default(),
            peak_memory_kb: state.peak_memory_kb,
        }
    }

    /// Blocks until the process has ended, and reaps it.
    fn wait(&self) -> Exit {
        sys::wait_for_exit(self.pid);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        sys::kill_group(self.pid);
        let reaped = sys::reap(self.pid);
        let own_kb = if reaped.max_rss_kb > self.inherited_kb { reaped.max_rss_kb } else { 0 };
        let exit = Exit {
            status: reaped.status,
            usage: Usage { cpu: reaped.cpu, peak_memory_kb: state.peak_memory_kb.max(own_kb) },
        };
        state.exit = Some(exit);
        exit
    }
}

/// A process that is killed when this goes out of scope.
#[derive(Debug)]
pub(crate) struct KillOnDrop(pub(crate) Arc<Process>);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        self.0.kill();
    }
}

/// Reads `VmHWM` from `/proc/<process>/status`. It is 0 when the process is gone.
fn peak_memory_kb(process: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.and_then(|peak| peak.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
