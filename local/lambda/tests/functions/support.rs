use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use posthaste_local_lambda::{Function, FunctionSpec, InvokeError, LogSink, LogStream, Runner};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Nothing here takes longer, even on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(20);

pub(crate) fn spec() -> FunctionSpec {
    FunctionSpec {
        name: "fixture".to_owned(),
        runner: Runner::Process { binary: PathBuf::from(env!("CARGO_BIN_EXE_lambda-fixture")) },
        environment: BTreeMap::new(),
        timeout: SOON,
        memory_mb: 256,
        max_concurrency: 4,
        allows_recursion: false,
    }
}

pub(crate) fn with_environment(pairs: &[(&str, &str)]) -> FunctionSpec {
    let environment =
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    FunctionSpec { environment, ..spec() }
}

pub(crate) fn start(spec: FunctionSpec) -> Function {
    Function::start(spec, LogSink::tracing()).unwrap()
}

pub(crate) async fn invoke(function: &Function, request: Value) -> Result<Value, InvokeError> {
    let answer = tokio::time::timeout(SOON * 2, function.invoke(Bytes::from(request.to_string())))
        .await
        .unwrap();
    answer.map(|answer| serde_json::from_slice(&answer).unwrap())
}

/// Waits until something is true, and fails when it doesn't become true.
pub(crate) async fn until(what: &str, is_true: impl Fn() -> bool) {
    let deadline = tokio::time::Instant::now() + SOON;
    while !is_true() {
        assert!(tokio::time::Instant::now() < deadline, "it never came true that {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Tells if a process is dead. It may still have to be reaped by another process.
pub(crate) fn is_dead(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('Z') || rest.starts_with('X'))
}

/// A gate holds invocations until it is opened.
pub(crate) struct Gate {
    directory: TempDir,
}

impl Gate {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    /// Makes an invocation that begins with a mark and ends when the gate is opened.
    pub(crate) fn wait(&self, mark: &str) -> Value {
        json!({ "do": "wait", "mark": self.path(mark), "for": self.path("open") })
    }

    pub(crate) fn hang(&self, mark: &str) -> Value {
        json!({ "do": "hang", "mark": self.path(mark) })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) async fn begun(&self, mark: &str) {
        until("the invocation began", || self.path(mark).exists()).await;
    }

    pub(crate) fn open(&self) {
        std::fs::write(self.path("open"), "").unwrap();
    }
}

pub(crate) fn spawn(
    function: &Function,
    request: Value,
) -> tokio::task::JoinHandle<Result<Value, InvokeError>> {
    let function = function.clone();
    tokio::spawn(async move { invoke(&function, request).await })
}

/// Keeps the lines that functions write.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<Line>>>);

struct Line {
    origin: (String, u64),
    stream: LogStream,
    text: String,
}

impl Lines {
    pub(crate) fn sink(&self) -> LogSink {
        let lines = Arc::clone(&self.0);
        LogSink::new(move |line| {
            let origin = (line.function.to_owned(), line.instance);
            lines.lock().unwrap().push(Line {
                origin,
                stream: line.stream,
                text: line.text.to_owned(),
            });
        })
    }

    pub(crate) fn of(&self, stream: LogStream) -> Vec<String> {
        let lines = self.0.lock().unwrap();
        lines.iter().filter(|line| line.stream == stream).map(|line| line.text.clone()).collect()
    }

    pub(crate) fn origins(&self) -> Vec<(String, u64)> {
        self.0.lock().unwrap().iter().map(|line| line.origin.clone()).collect()
    }
}

pub(crate) fn directory_of(binary: &str) -> String {
    Path::new(binary).canonicalize().unwrap().parent().unwrap().display().to_string()
}
