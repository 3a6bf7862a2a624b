//! JSON logs on standard output, as CloudWatch Logs reads them. Field names are listed in `docs/observability.md`.

use tracing_subscriber::EnvFilter;

/// Starts logging at the level that `LOG_LEVEL` names, `info` if it names none. The SDK's and the HTTP client's own talk stays
/// at `warn`, because their debug lines show headers.
pub fn start() {
    let level = std::env::var("LOG_LEVEL").unwrap_or_default();
    let level =
        if ["error", "warn", "info", "debug", "trace"].contains(&level.as_str()) { level.as_str() } else { "info" };
    let ours = ["posthaste", "register", "ingest", "fanout", "deliver", "drain", "release", "replay", "setup"]
        .map(|target| format!("{target}={level}"))
        .join(",");
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_env_filter(EnvFilter::new(format!("warn,{ours}")))
        .init();
}
