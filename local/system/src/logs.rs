//! Each line that a function writes is shown as one readable line.

use std::{fmt::Write, io::IsTerminal};

use posthaste_local::{LogLine, LogSink};
use serde_json::{Map, Value};
use tracing_subscriber::EnvFilter;

/// Shows the local system's own messages on standard error; `RUST_LOG` chooses others.
pub(crate) fn start() {
    // To the embedded DynamoDB a conditional write that is refused is worth a warning, and to the
    // functions it is an answer.
    let usual = "warn,dynoxide=error,posthaste_local=info";
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(usual));
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .without_time()
        .with_target(false)
        .with_env_filter(filter)
        .init();
}

/// Writes each line of a function to standard error.
pub(crate) fn sink() -> LogSink {
    LogSink::new(|line| eprintln!("{}", readable(&line)))
}

/// These fields are the same in all lines, or only CloudWatch has a use for them.
const NOT_SHOWN: [&str; 9] =
    ["_aws", "Function", "Stage", "level", "message", "requestId", "stage", "target", "timestamp"];

/// Makes `deliver.1 INFO attempted http.status=500 …` of a log record, and `deliver.1 METRICS
/// Attempted=1 …` of metrics. Any other line stays as it is.
fn readable(line: &LogLine<'_>) -> String {
    let mut text = format!("{}.{} ", line.function, line.instance);
    match serde_json::from_str::<Map<String, Value>>(line.text) {
        Err(_) => text.push_str(line.text),
        Ok(record) => {
            let _ = match record.contains_key("_aws") {
                true => write!(text, "METRICS"),
                false => write!(text, "{} {}", field(&record, "level"), field(&record, "message")),
            };
            for (name, value) in &record {
                if !NOT_SHOWN.contains(&name.as_str()) {
                    let _ = match value {
                        Value::String(value) => write!(text, " {name}={value}"),
                        value => write!(text, " {name}={value}"),
                    };
                }
            }
        }
    }
    text
}

fn field<'a>(record: &'a Map<String, Value>, name: &str) -> &'a str {
    record.get(name).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use posthaste_local::LogStream;

    use super::*;

    fn shown(text: &str) -> String {
        readable(&LogLine { function: "deliver", instance: 1, stream: LogStream::Stdout, text })
    }

    #[test]
    fn log_records_become_one_line() {
        let record = r#"{"timestamp":"x","level":"INFO","message":"attempted","http.status":200,"target":"deliver","stage":"local","requestId":"1","webhook.id":"42"}"#;
        assert_eq!(shown(record), "deliver.1 INFO attempted http.status=200 webhook.id=42");
        let metrics = r#"{"_aws":{"Timestamp":1},"Stage":"local","Function":"deliver","requestId":"1","Attempted":3}"#;
        assert_eq!(shown(metrics), "deliver.1 METRICS Attempted=3");
        assert_eq!(shown("thread 'main' panicked"), "deliver.1 thread 'main' panicked");
    }
}
