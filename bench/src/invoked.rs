//! A process is started as Lambda starts one, and gets one invocation after the other. So it is
//! measured alone.

mod runtime_api;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::Context;
use bytes::Bytes;
use serde::Serialize;
use tokio::{
    process::{Child, Command},
    sync::oneshot,
    time::timeout,
};

use self::runtime_api::RuntimeApi;

/// A process that says nothing for this long is given up.
const PATIENCE: Duration = Duration::from_secs(30);
/// The sample invocations of `events/` have this key, which no workspace has.
pub(crate) const SAMPLE_KEY: &str = "spk_live_0000000000000000000000000000000000000000000";
/// The library of the GNU C library that counts allocations and tells them at the process's end
/// (memusage(1)).
const COUNTS_ALLOCATIONS: &str = "libmemusage.so";

/// The time from a process's start to a moment, in milliseconds.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Since {
    pub(crate) cpu_ms: f64,
    pub(crate) wall_ms: f64,
}

/// The allocations of a process in its whole life, those that made an old one larger too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Allocated {
    pub(crate) times: u64,
    pub(crate) bytes: u64,
}

/// A process that is invoked.
pub(crate) struct Invoked {
    api: RuntimeApi,
    child: Child,
    began: Instant,
    /// Its directory below `/proc`.
    process: PathBuf,
}

impl Invoked {
    /// Starts a binary with this environment alone.
    pub(crate) fn start(
        binary: &Path,
        environment: &BTreeMap<String, String>,
    ) -> anyhow::Result<Self> {
        Self::start_telling(binary, environment, Stdio::null())
    }

    /// The same with a library that counts its allocations, which makes it slower.
    pub(crate) fn start_counting_allocations(
        binary: &Path,
        environment: &BTreeMap<String, String>,
    ) -> anyhow::Result<Self> {
        let mut environment = environment.clone();
        environment.insert("LD_PRELOAD".to_owned(), COUNTS_ALLOCATIONS.to_owned());
        Self::start_telling(binary, &environment, Stdio::piped())
    }

    fn start_telling(
        binary: &Path,
        environment: &BTreeMap<String, String>,
        stderr: Stdio,
    ) -> anyhow::Result<Self> {
        let api = RuntimeApi::start()?;
        let began = Instant::now();
        let child = Command::new(binary)
            .env_clear()
            .envs(environment)
            .env("AWS_LAMBDA_RUNTIME_API", &api.address)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{} can't be started", binary.display()))?;
        let process = PathBuf::from(format!("/proc/{}", child.id().unwrap_or_default()));
        Ok(Self { api, child, began, process })
    }

    /// Waits until it asks for an invocation. The sender takes it.
    pub(crate) async fn asks(&mut self) -> anyhow::Result<oneshot::Sender<Bytes>> {
        timeout(PATIENCE, self.api.next()).await.context("it asks for nothing")?
    }

    /// Waits for the answer to its invocation.
    pub(crate) async fn answer(&mut self) -> anyhow::Result<Bytes> {
        timeout(PATIENCE, self.api.answer()).await.context("it does not answer")?
    }

    /// Gives it an invocation and waits for the answer.
    pub(crate) async fn invoke(&mut self, invocation: &Bytes) -> anyhow::Result<Bytes> {
        let give = self.asks().await?;
        let _ = give.send(invocation.clone());
        self.answer().await
    }

    /// Ends it.
    pub(crate) async fn end(mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Lets it end by itself, and reads what it has allocated. A function ends where the Runtime
    /// API is gone.
    pub(crate) async fn end_with_allocations(self) -> anyhow::Result<Allocated> {
        let Self { api, child, .. } = self;
        drop(api);
        let ended = timeout(PATIENCE, child.wait_with_output()).await;
        let told = ended.context("it does not end without the Runtime API")??.stderr;
        let told = String::from_utf8_lossy(&told);
        allocated(&told).with_context(|| format!("its allocations are not told: {told}"))
    }

    /// The time since its start.
    pub(crate) fn since_start(&self) -> anyhow::Result<Since> {
        let wall_ms = self.began.elapsed().as_secs_f64() * 1000.0;
        Ok(Since { cpu_ms: self.cpu_ms()?, wall_ms })
    }

    /// Adds up the processor time of all threads that there are, which the kernel counts in
    /// nanoseconds. A thread that has ended tells none: those for checks and for DNS end after ten
    /// idle seconds.
    pub(crate) fn cpu_ms(&self) -> anyhow::Result<f64> {
        let mut nanoseconds = 0;
        for thread in self.process.join("task").read_dir().context("the process has ended")? {
            let schedstat = std::fs::read_to_string(thread?.path().join("schedstat"))?;
            let on_processor = schedstat.split_whitespace().next().unwrap_or_default();
            nanoseconds += on_processor.parse::<u64>().context("the time is no number")?;
        }
        Ok(nanoseconds as f64 / 1e6)
    }

    /// The largest resident set until now, in KiB.
    pub(crate) fn peak_memory_kb(&self) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(self.process.join("status"))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|peak| peak.split_whitespace().next()?.parse().ok());
        peak.context("the process has no peak")
    }
}

/// Reads the allocations that a process has told at its end: lines such as
/// `malloc|   12   3456   0`, with codes for colours between.
fn allocated(told: &str) -> Option<Allocated> {
    let mut allocated = Allocated::default();
    for kind in ["malloc|", "realloc|", "calloc|"] {
        let (_, figures) = told.lines().find_map(|line| line.split_once(kind))?;
        let mut figures = figures.split_whitespace().filter_map(|word| word.parse::<u64>().ok());
        allocated.times += figures.next()?;
        allocated.bytes += figures.next()?;
    }
    Some(allocated)
}

/// Makes the variables that Lambda sets for a function, beside those of the template. Calls of AWS
/// go to `aws_url`.
pub(crate) fn environment(
    name: &str,
    declared: &BTreeMap<String, String>,
    aws_url: &str,
) -> BTreeMap<String, String> {
    let mut environment = declared.clone();
    let access_key = format!("{name}.0");
    let further = [
        ("AWS_ACCESS_KEY_ID", access_key.as_str()),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_ENDPOINT_URL", aws_url),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"),
        ("AWS_LAMBDA_FUNCTION_NAME", name),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/cold"),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "[$LATEST]0"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_SECRET_ACCESS_KEY", "local"),
        ("AWS_SESSION_TOKEN", "local"),
        ("_HANDLER", "bootstrap"),
    ];
    environment.extend(further.map(|(name, value)| (name.to_owned(), value.to_owned())));
    environment
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_allocations_are_read_that_the_library_tells() {
        let told = "\u{1b}[01;32mMemory usage summary:\u{1b}[0;0m heap total: 9, heap peak: 8\n\
            \u{1b}[04;34m         total calls   total memory   failed calls\u{1b}[0m\n\
            \u{1b}[00;34m malloc|\u{1b}[0m         12           3456              0\n\
            \u{1b}[00;34mrealloc|\u{1b}[0m          3            400              0  (nomove:0)\n\
            \u{1b}[00;34m calloc|\u{1b}[0m          1             50              0\n\
            \u{1b}[00;34m   free|\u{1b}[0m         11           3000\n";
        assert_eq!(allocated(told), Some(Allocated { times: 16, bytes: 3906 }));
        assert_eq!(allocated("it has failed"), None);
    }
}
