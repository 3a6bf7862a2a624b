//! A process is started as Lambda starts one, and measured.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::Context;
use bytes::Bytes;
use serde::Serialize;
use tokio::{process::Command, time::timeout};

use super::runtime_api::RuntimeApi;

/// A start is given up after this time.
const PATIENCE: Duration = Duration::from_secs(30);

/// The time from a process's start to a moment, in milliseconds.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Since {
    pub(super) cpu_ms: f64,
    pub(super) wall_ms: f64,
}

/// A start that was measured.
#[derive(Debug, Clone)]
pub(super) struct Start {
    /// Until the process asked for its first invocation.
    pub(super) next: Since,
    /// Until it had answered it.
    pub(super) answer: Since,
    /// The largest resident set until then, in KiB.
    pub(super) peak_memory_kb: u64,
    pub(super) answered: Bytes,
}

/// Starts a binary, gives it an invocation, and ends it.
pub(super) async fn start(
    binary: &Path,
    environment: &BTreeMap<String, String>,
    invocation: &Bytes,
) -> anyhow::Result<Start> {
    let mut api = RuntimeApi::start().await?;
    let began = Instant::now();
    let mut child = Command::new(binary)
        .env_clear()
        .envs(environment)
        .env("AWS_LAMBDA_RUNTIME_API", &api.address)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("{} can't be started", binary.display()))?;
    let process = Process(PathBuf::from(format!("/proc/{}", child.id().unwrap_or_default())));
    let measured = timeout(PATIENCE, follow(&mut api, &process, began, invocation))
        .await
        .with_context(|| format!("{} did not answer in time", binary.display()))?;
    child.kill().await?;
    measured.with_context(|| format!("{}", binary.display()))
}

/// Follows a process to its first answer.
async fn follow(
    api: &mut RuntimeApi,
    process: &Process,
    began: Instant,
    invocation: &Bytes,
) -> anyhow::Result<Start> {
    let give = api.next().await?;
    let next = process.since(began)?;
    let _ = give.send(invocation.clone());
    let answered = api.answer().await?;
    let answer = process.since(began)?;
    Ok(Start { next, answer, peak_memory_kb: process.peak_memory_kb()?, answered })
}

/// A running process, by its directory below `/proc`.
struct Process(PathBuf);

impl Process {
    fn since(&self, began: Instant) -> anyhow::Result<Since> {
        let wall_ms = began.elapsed().as_secs_f64() * 1000.0;
        Ok(Since { cpu_ms: self.cpu_ms()?, wall_ms })
    }

    /// Adds up the processor time of all threads, which the kernel counts in nanoseconds. No thread
    /// of a function ends in its first second.
    fn cpu_ms(&self) -> anyhow::Result<f64> {
        let mut nanoseconds = 0;
        for thread in self.0.join("task").read_dir().context("the process has ended")? {
            let schedstat = std::fs::read_to_string(thread?.path().join("schedstat"))?;
            let on_processor = schedstat.split_whitespace().next().unwrap_or_default();
            nanoseconds += on_processor.parse::<u64>().context("the time is no number")?;
        }
        Ok(nanoseconds as f64 / 1e6)
    }

    fn peak_memory_kb(&self) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(self.0.join("status"))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|peak| peak.split_whitespace().next()?.parse().ok());
        peak.context("the process has no peak")
    }
}
