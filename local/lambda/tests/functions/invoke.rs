use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use posthaste_local_lambda::{Function, FunctionSpec, InvokeError, LogSink, Runner, StartError};
use serde_json::json;

use super::support::*;

#[tokio::test]
async fn a_warm_process_is_used_again() {
    let function = start(spec());
    let first = invoke(&function, json!({ "do": "whoami" })).await.unwrap();
    for _ in 0..20 {
        assert_eq!(invoke(&function, json!({ "do": "whoami" })).await.unwrap(), first);
    }
    assert_eq!(first["key"], "fixture.1");
    assert_eq!(function.pids(), [u32::try_from(first["pid"].as_u64().unwrap()).unwrap()]);
    let stats = function.stats();
    assert_eq!((stats.cold_starts, stats.invocations, stats.errors), (1, 21, 0));
    function.stop().await;
}

#[tokio::test]
async fn an_answer_is_passed_on_byte_for_byte() {
    let function = start(spec());
    let request = json!({ "do": "echo", "text": "ä€\u{1f600}", "n": 1.50 });
    assert_eq!(function.invoke(request.to_string().into()).await.unwrap(), request.to_string());
    function.stop().await;
}

#[tokio::test]
async fn invocations_run_side_by_side_up_to_the_concurrency_and_the_rest_wait() {
    let function = start(FunctionSpec { max_concurrency: 2, ..spec() });
    let gate = Gate::new();
    let running = ["a", "b"].map(|mark| spawn(&function, gate.wait(mark)));
    gate.begun("a").await;
    gate.begun("b").await;
    let waiting = ["c", "d", "e"].map(|mark| spawn(&function, gate.wait(mark)));
    assert_eq!(function.stats().processes, 2);
    gate.open();
    for invocation in running.into_iter().chain(waiting) {
        invocation.await.unwrap().unwrap();
    }
    let stats = function.stats();
    assert_eq!((stats.cold_starts, stats.processes, stats.invocations), (2, 2, 5));
    function.stop().await;
}

#[tokio::test]
async fn a_function_error_is_given_as_it_was_reported() {
    let function = start(spec());
    let error = invoke(&function, json!({ "do": "error" })).await.unwrap_err();
    let expected = InvokeError::FunctionError {
        error_type: "Teapot".to_owned(),
        message: "short and stout".to_owned(),
    };
    assert_eq!(error, expected);
    invoke(&function, json!({})).await.unwrap();
    let stats = function.stats();
    assert_eq!((stats.cold_starts, stats.errors, stats.crashes), (1, 1, 0));
    function.stop().await;
}

#[tokio::test]
async fn a_process_that_exits_in_mid_invocation_fails_it_and_is_replaced() {
    let function = start(spec());
    let error = invoke(&function, json!({ "do": "exit" })).await.unwrap_err();
    assert_eq!(error, InvokeError::Crashed { status: "exit status: 3".to_owned() });
    assert_eq!(error.to_string(), "Runtime.ExitError: Runtime exited with error: exit status: 3");
    assert_eq!(invoke(&function, json!({ "do": "whoami" })).await.unwrap()["key"], "fixture.2");
    let stats = function.stats();
    assert_eq!((stats.cold_starts, stats.crashes, stats.errors, stats.processes), (2, 1, 1, 1));
    function.stop().await;
}

#[tokio::test]
async fn an_answer_that_was_sent_before_the_exit_counts() {
    let function = start(spec());
    for _ in 0..10 {
        assert_eq!(
            invoke(&function, json!({ "do": "answer_and_exit" })).await.unwrap(),
            "last words"
        );
    }
    assert_eq!(function.stats().crashes, 0);
    function.stop().await;
}

#[tokio::test]
async fn a_process_that_runs_into_its_deadline_is_killed() {
    let timeout = Duration::from_millis(300);
    let function = start(FunctionSpec { timeout, ..spec() });
    let whoami = invoke(&function, json!({ "do": "whoami" })).await.unwrap();
    let started = std::time::Instant::now();
    let error = invoke(&function, json!({ "do": "hang" })).await.unwrap_err();
    assert!(started.elapsed() >= timeout);
    assert_eq!(error, InvokeError::Timeout { after: timeout });
    assert_eq!(error.to_string(), "Sandbox.Timedout: Task timed out after 0.30 seconds");
    let pid = u32::try_from(whoami["pid"].as_u64().unwrap()).unwrap();
    until("the process is dead", || is_dead(pid)).await;
    assert_eq!(invoke(&function, json!({ "do": "whoami" })).await.unwrap()["key"], "fixture.2");
    let stats = function.stats();
    assert_eq!((stats.timeouts, stats.errors, stats.crashes), (1, 1, 0));
    function.stop().await;
}

#[tokio::test]
async fn a_process_that_hangs_after_its_answer_is_killed_at_the_deadline_too() {
    let function =
        start(FunctionSpec { timeout: Duration::from_millis(300), max_concurrency: 1, ..spec() });
    assert_eq!(invoke(&function, json!({ "do": "answer_and_hang" })).await.unwrap(), "done");
    assert_eq!(invoke(&function, json!({ "do": "whoami" })).await.unwrap()["key"], "fixture.2");
    assert_eq!(function.stats().errors, 0);
    function.stop().await;
}

#[tokio::test]
async fn an_exit_before_the_first_request_is_a_failed_init() {
    let function = start(with_environment(&[("FIXTURE_INIT", "exit")]));
    let error = invoke(&function, json!({})).await.unwrap_err();
    let expected = InvokeError::InitFailed {
        error_type: "Runtime.ExitError".to_owned(),
        message: "Runtime exited with error: exit status: 7".to_owned(),
    };
    assert_eq!(error, expected);
    let stats = function.stats();
    assert_eq!(
        (stats.init_failures, stats.errors, stats.invocations, stats.processes),
        (1, 1, 1, 0)
    );
    function.stop().await;
}

#[tokio::test]
async fn failed_inits_dont_spin_and_are_over_when_one_succeeds() {
    let gate = Gate::new();
    let mark = gate.path("fixed");
    let spec = with_environment(&[
        ("FIXTURE_INIT", "exit_unless_marked"),
        ("FIXTURE_MARK", mark.to_str().unwrap()),
    ]);
    let function = start(spec);
    let started = std::time::Instant::now();
    for _ in 0..3 {
        invoke(&function, json!({})).await.unwrap_err();
    }
    assert!(started.elapsed() >= Duration::from_millis(300), "pauses of 100 and 200 ms");
    assert_eq!(function.stats().cold_starts, 3);
    std::fs::write(&mark, "").unwrap();
    invoke(&function, json!({})).await.unwrap();
    function.stop().await;
}

#[tokio::test]
async fn a_reported_init_error_fails_the_invocation_with_what_it_says() {
    let function = start(with_environment(&[("FIXTURE_INIT", "error")]));
    let error = invoke(&function, json!({})).await.unwrap_err();
    let expected = InvokeError::InitFailed {
        error_type: "Config.Missing".to_owned(),
        message: "TABLE is not set".to_owned(),
    };
    assert_eq!(error, expected);
    function.stop().await;
}

#[tokio::test]
async fn a_process_that_stays_after_its_init_error_is_killed() {
    let function = start(with_environment(&[("FIXTURE_INIT", "error_and_hang")]));
    let error = invoke(&function, json!({})).await.unwrap_err();
    let expected = InvokeError::InitFailed {
        error_type: "Runtime.UnknownError".to_owned(),
        message: "stuck".to_owned(),
    };
    assert_eq!(error, expected);
    function.stop().await;
}

#[tokio::test]
async fn a_caller_that_goes_away_ends_only_a_waiting_invocation() {
    let function = start(FunctionSpec { max_concurrency: 1, ..spec() });
    let gate = Gate::new();
    let running = spawn(&function, gate.wait("running"));
    gate.begun("running").await;
    let waiting = spawn(&function, gate.wait("waiting"));
    tokio::task::yield_now().await;
    waiting.abort();
    running.abort();
    assert!(waiting.await.unwrap_err().is_cancelled() && running.await.unwrap_err().is_cancelled());
    gate.open();
    invoke(&function, json!({})).await.unwrap();
    assert!(!gate.path("waiting").exists());
    let stats = function.stats();
    assert_eq!((stats.cold_starts, stats.invocations), (1, 2));
    function.stop().await;
}

#[tokio::test]
async fn a_payload_over_6_mb_is_refused() {
    let function = start(spec());
    let bytes = 6 * 1024 * 1024 + 1;
    let error = function.invoke(Bytes::from(vec![b' '; bytes])).await.unwrap_err();
    assert_eq!(error, InvokeError::RequestTooLarge { bytes });
    assert_eq!(function.stats().cold_starts, 0);
}

#[test]
fn a_configuration_that_lambda_refuses_is_refused() {
    let refused = |spec| Function::start(spec, LogSink::tracing()).unwrap_err();
    assert!(matches!(
        refused(with_environment(&[("AWS_REGION", "eu-north-1")])),
        StartError::ReservedVariable(name) if name == "AWS_REGION"
    ));
    assert!(matches!(
        refused(FunctionSpec { max_concurrency: 0, ..spec() }),
        StartError::NoConcurrency
    ));
    for binary in ["/nowhere/bootstrap", "/proc/version", "/"] {
        let runner = Runner::Process { binary: PathBuf::from(binary) };
        assert!(matches!(
            refused(FunctionSpec { runner, ..spec() }),
            StartError::Binary(path) if path == *binary
        ));
    }
    let runner = Runner::External { invoke_url: "127.0.0.1:9000".to_owned() };
    assert!(matches!(refused(FunctionSpec { runner, ..spec() }), StartError::InvokeUrl(_)));
}
