//! Logs and metrics: JSON lines on standard output, as CloudWatch Logs reads them.
//! `docs/observability.md` lists fields and metrics.

use std::{
    io::Write,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use futures::{FutureExt, future::Inspect};
use lambda_runtime::{
    Error, LambdaInvocation,
    tower::{Layer, Service},
};
use posthaste_domain::{
    access::workspace::Workspace,
    metrics::{Labels, Measured, Metric, Teller},
};
use tracing::{Instrument, instrument::Instrumented};
use tracing_subscriber::{
    filter::{LevelFilter, Targets},
    fmt::format::JsonFields,
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use crate::{clock, config};

mod line;

/// The values that the invocation has measured so far. A process handles one invocation at a time.
static MEASURED: Mutex<Measured> = Mutex::new(Measured::NOTHING);

fn measured() -> MutexGuard<'static, Measured> {
    MEASURED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Adds a value to a metric, in the metric's unit. All of an invocation's go out together when it
/// ends.
pub fn measure(metric: Metric, labels: Labels, value: u64) {
    measured().add(metric, labels, value);
}

/// The same for a number of things, without labels.
pub fn count(metric: Metric, things: usize) {
    measure(metric, Labels::default(), things as u64);
}

/// Says whose all is that this invocation measures.
pub fn measured_of(workspace: &Workspace) {
    measured().of_workspace(workspace.as_str());
}

/// Starts logging for a function, at the level that `LOG_LEVEL` names, `info` if it names none.
/// Every line says which installation it belongs to: `STAGE`. The answer is a layer for the
/// function's whole [`lambda_runtime::Runtime`].
pub fn start(function: &'static str) -> Telemetry {
    let stage = config::text("STAGE").unwrap_or_default();
    let level = config::text("LOG_LEVEL").unwrap_or_default();
    let lines = tracing_subscriber::fmt::layer().fmt_fields(JsonFields::new());
    let lines = lines.event_format(line::Line::of_stage(&stage));
    tracing_subscriber::registry().with(lines).with(filter(function, &level)).init();
    Telemetry { function, stage }
}

/// The function's own lines, and those of our crates. The SDK's and the HTTP client's own talk
/// stays at `warn`, because their debug lines show headers. It is no `EnvFilter`, which would bring
/// regular expressions into every function.
fn filter(function: &str, level: &str) -> Targets {
    let level = level.parse().unwrap_or(LevelFilter::INFO);
    Targets::new()
        .with_default(LevelFilter::WARN)
        .with_target("posthaste", level)
        .with_target(function, level)
}

/// Gives each line of an invocation the invocation's id, and writes at its end, however it ends,
/// what it has measured. It is written after the answer, so no caller waits for it. An invocation
/// that is killed writes nothing.
#[derive(Debug, Clone)]
pub struct Telemetry {
    function: &'static str,
    stage: String,
}

impl Telemetry {
    /// The lines that tell what has been measured since they were asked for last.
    fn lines(&self, request_id: &str) -> String {
        let teller = Teller { stage: &self.stage, function: self.function, request_id };
        measured().take_lines(teller, clock::now()).into_iter().map(|line| line + "\n").collect()
    }
}

impl<S> Layer<S> for Telemetry {
    type Service = Observed<S>;

    fn layer(&self, inner: S) -> Observed<S> {
        Observed { telemetry: self.clone(), inner }
    }
}

/// A function whose invocations are observed.
#[derive(Debug, Clone)]
pub struct Observed<S> {
    telemetry: Telemetry,
    inner: S,
}

/// The work that is done at the end of an invocation.
type AtEnd = Box<dyn FnOnce(&Result<(), Error>) + Send>;

impl<S> Service<LambdaInvocation> for Observed<S>
where
    S: Service<LambdaInvocation, Response = (), Error = Error>,
{
    type Response = ();
    type Error = Error;
    type Future = Inspect<Instrumented<S::Future>, AtEnd>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, invocation: LambdaInvocation) -> Self::Future {
        let (telemetry, request_id) =
            (self.telemetry.clone(), invocation.context.request_id.clone());
        // Of the level that is never filtered out, as all spans: a line needs its fields, whatever
        // its own level is.
        let span = tracing::error_span!("invocation", requestId = %request_id);
        let handled = span.in_scope(|| self.inner.call(invocation)).instrument(span);
        handled.inspect(Box::new(move |_| {
            // Nobody could be told that nothing can be told.
            let _ = std::io::stdout().lock().write_all(telemetry.lines(&request_id).as_bytes());
        }))
    }
}

#[cfg(test)]
mod tests;
