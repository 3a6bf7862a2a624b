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

/// The time from a process's start to a moment, in milliseconds.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Since {
    pub(crate) cpu_ms: f64,
    pub(crate) wall_ms: f64,
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
    pub(crate) async fn start(
        binary: &Path,
        environment: &BTreeMap<String, String>,
    ) -> anyhow::Result<Self> {
        let api = RuntimeApi::start().await?;
        let began = Instant::now();
        let child = Command::new(binary)
            .env_clear()
            .envs(environment)
            .env("AWS_LAMBDA_RUNTIME_API", &api.address)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
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

    /// The time since its start.
    pub(crate) fn since_start(&self) -> anyhow::Result<Since> {
        let wall_ms = self.began.elapsed().as_secs_f64() * 1000.0;
        Ok(Since { cpu_ms: self.cpu_ms()?, wall_ms })
    }

    /// Adds up the processor time of all threads, which the kernel counts in nanoseconds. No thread
    /// of a function ends in its first second.
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
