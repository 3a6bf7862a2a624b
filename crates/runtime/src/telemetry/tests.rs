use std::{io, sync::Arc};

use serde_json::{Value, json};
use tracing_subscriber::fmt::MakeWriter;

use super::*;

/// The text that was written.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Written {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// The lines that a function writes at a level.
fn lines(function: &str, level: &str, act: impl FnOnce()) -> Vec<Value> {
    let written = Written::default();
    let lines = tracing_subscriber::fmt::layer().fmt_fields(JsonFields::new());
    let lines =
        lines.event_format(line::Line::of_stage("a \"stage\"")).with_writer(written.clone());
    let subscriber = tracing_subscriber::registry().with(lines).with(filter(function, level));
    tracing::subscriber::with_default(subscriber, act);
    let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_line_has_the_fields_of_all_spans_around_it() {
    let mut lines = lines("replay", "info", || {
        let _invocation = tracing::error_span!("invocation", requestId = "8476a536").entered();
        let job =
            tracing::error_span!("job", job.id = "7", webhook.id = tracing::field::Empty).entered();
        job.record("webhook.id", 42);
        tracing::info!(target: "replay::replay", deliveries = 3, "replayed a \"page\"");
        tracing::warn!(target: "posthaste_store::batch", "no field");
    });
    for line in &mut lines {
        assert!(
            line.as_object_mut()
                .unwrap()
                .remove("timestamp")
                .unwrap()
                .as_str()
                .unwrap()
                .ends_with('Z')
        );
    }
    let around =
        json!({ "stage": "a \"stage\"", "requestId": "8476a536", "job.id": "7", "webhook.id": 42 });
    let with = |own: Value| {
        let mut line = around.clone();
        line.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
        line
    };
    let page = json!({
        "level": "INFO", "message": "replayed a \"page\"", "target": "replay::replay",
        "deliveries": 3,
    });
    let warning =
        json!({ "level": "WARN", "message": "no field", "target": "posthaste_store::batch" });
    assert_eq!(lines, [with(page), with(warning)]);
}

#[tokio::test]
async fn an_invocation_that_fails_tells_what_it_has_measured() {
    let telemetry = Telemetry { function: "deliver", stage: "local".to_owned() };
    let failing = lambda_runtime::service_fn(async |_: LambdaInvocation| {
        count(Metric::Attempted, 1);
        Err::<(), _>(Error::from("no"))
    });
    let (parts, ()) = http::Response::new(()).into_parts();
    let invocation = LambdaInvocation {
        parts,
        body: axum::body::Bytes::new(),
        context: lambda_runtime::Context::default(),
    };
    assert!(telemetry.layer(failing).call(invocation).await.is_err());
    // Other tests of this process may have measured something else.
    let told = || {
        let lines = telemetry.lines("8476a536");
        let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|line| !line["Attempted"].is_null()).collect::<Vec<_>>()
    };
    assert_eq!(told(), Vec::<Value>::new(), "it is told already");
    count(Metric::Attempted, 1);
    let [line] = told().try_into().unwrap();
    assert_eq!((&line["requestId"], &line["Attempted"]), (&json!("8476a536"), &json!(1)));
}

#[test]
fn the_level_is_for_the_function_and_our_crates_alone() {
    let count = |function, level| {
        lines(function, level, || {
            tracing::debug!(target: "replay::page", "of the function");
            tracing::info!(target: "posthaste_runtime::keys", "of a crate of ours");
            tracing::info!(target: "hyper_util::client", "of a library");
        })
        .len()
    };
    assert_eq!(
        ["debug", "info", "warn", "error", "nonsense"].map(|level| count("replay", level)),
        [2, 1, 0, 0, 1]
    );
}
