use std::time::{Duration, SystemTime, UNIX_EPOCH};

use posthaste_local_lambda::{Function, FunctionSpec, InvokeError, LogStream};
use serde_json::{Value, json};

use super::support::*;

#[tokio::test]
async fn an_invocation_says_what_it_is_and_when_it_must_be_done() {
    let timeout = Duration::from_secs(15);
    let function = start(FunctionSpec { timeout, ..spec() });
    invoke(&function, json!({})).await.unwrap();
    let before = now_ms();
    let headers = invoke(&function, json!({ "do": "headers" })).await.unwrap();
    let after = now_ms();
    let deadline: u128 = header(&headers, "lambda-runtime-deadline-ms").parse().unwrap();
    assert!(
        (before + 15_000..=after + 15_000).contains(&deadline),
        "{before} + 15 s, {deadline}, {after} + 15 s"
    );
    assert_eq!(
        header(&headers, "lambda-runtime-invoked-function-arn"),
        "arn:aws:lambda:us-east-1:000000000000:function:fixture"
    );
    let request_id =
        uuid::Uuid::parse_str(header(&headers, "lambda-runtime-aws-request-id")).unwrap();
    assert_eq!(request_id.get_version_num(), 4);
    assert!(header(&headers, "lambda-runtime-trace-id").starts_with("Root=1-"));
    let others = invoke(&function, json!({ "do": "headers" })).await.unwrap();
    assert_ne!(others["lambda-runtime-aws-request-id"], headers["lambda-runtime-aws-request-id"]);
    function.stop().await;
}

#[tokio::test]
async fn a_web_page_of_elsewhere_can_not_speak_for_a_process() {
    use std::io::{Read, Write};
    let function = start(spec());
    let environment = invoke(&function, json!({ "do": "env" })).await.unwrap();
    let api = environment["AWS_LAMBDA_RUNTIME_API"].as_str().unwrap().to_owned();
    let ask = move |header: &str| {
        let mut stream = std::net::TcpStream::connect(&api).unwrap();
        let head = format!(
            "GET /2018-06-01/runtime/nothing HTTP/1.1\r\n{header}\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let answers = tokio::task::spawn_blocking(move || {
        ["host: 127.0.0.1", "host: evil.example", "host: 127.0.0.1\r\norigin: http://evil.example"]
            .map(ask)
    });
    let [own, rebound, page] = answers.await.unwrap();
    assert!(own.starts_with("HTTP/1.1 404 "), "{own}");
    assert!(
        rebound.starts_with("HTTP/1.1 403 ") && rebound.contains("the Host has to be"),
        "{rebound}"
    );
    assert!(page.starts_with("HTTP/1.1 403 ") && page.contains("the Origin has to be"), "{page}");
    function.stop().await;
}

fn now_ms() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()
}

fn header<'a>(headers: &'a Value, name: &str) -> &'a str {
    headers[name].as_str().unwrap()
}

#[tokio::test]
async fn the_environment_is_what_lambda_sets_and_the_configuration_and_nothing_else() {
    let function =
        start(with_environment(&[("TABLE", "posthaste-Registry"), ("TZ", "Asia/Tokyo")]));
    let mut environment = invoke(&function, json!({ "do": "env" })).await.unwrap();
    let api = environment["AWS_LAMBDA_RUNTIME_API"].take();
    assert!(api.as_str().unwrap().starts_with("127.0.0.1:"));
    let root = directory_of(env!("CARGO_BIN_EXE_lambda-fixture"));
    let expected = json!({
        "_HANDLER": "bootstrap",
        "AWS_ACCESS_KEY_ID": "fixture.1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
        "AWS_LAMBDA_FUNCTION_NAME": "fixture",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/fixture",
        "AWS_LAMBDA_LOG_STREAM_NAME": "[$LATEST]1",
        "AWS_LAMBDA_RUNTIME_API": null,
        "AWS_REGION": "us-east-1",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_SESSION_TOKEN": "local",
        "LAMBDA_TASK_ROOT": root,
        "LANG": "en_US.UTF-8",
        "PATH": "/usr/local/bin:/usr/bin/:/bin:/opt/bin",
        "TABLE": "posthaste-Registry",
        "TZ": "Asia/Tokyo",
    });
    assert_eq!(environment, expected);
    function.stop().await;
}

#[tokio::test]
async fn another_request_id_is_invalid() {
    let function = start(spec());
    let reply = invoke(&function, json!({ "do": "wrong_id" })).await.unwrap();
    let body = json!({ "errorType": "InvalidRequestID", "errorMessage": "Invalid request ID" });
    assert_eq!(reply, json!({ "status": 400, "body": body }));
    function.stop().await;
}

#[tokio::test]
async fn a_second_answer_is_invalid() {
    let lines = Lines::default();
    let function = Function::start(spec(), lines.sink()).unwrap();
    assert_eq!(invoke(&function, json!({ "do": "answer_twice" })).await.unwrap(), "first");
    invoke(&function, json!({})).await.unwrap();
    function.stop().await;
    assert_eq!(lines.of(LogStream::Stdout), ["202 400"]);
}

#[tokio::test]
async fn the_next_invocation_comes_only_after_the_answer_to_this() {
    let function = start(spec());
    let reply = invoke(&function, json!({ "do": "next_twice" })).await.unwrap();
    assert_eq!(
        (&reply["status"], &reply["body"]["errorType"]),
        (&json!(403), &json!("InvalidStateTransition"))
    );
    function.stop().await;
}

#[tokio::test]
async fn an_answer_may_have_6_mb_and_no_byte_more() {
    let lines = Lines::default();
    let function = Function::start(spec(), lines.sink()).unwrap();
    let large = invoke(&function, json!({ "do": "large", "bytes": 6_291_556 })).await.unwrap();
    assert_eq!(large.as_str().unwrap().len(), 6_291_554);
    let error = invoke(&function, json!({ "do": "large", "bytes": 6_291_557 })).await.unwrap_err();
    let message = "Response payload size (6291557 bytes) exceeded maximum allowed payload size \
        (6291556 bytes).";
    let error_type = "Function.ResponseSizeTooLarge";
    let expected = InvokeError::FunctionError {
        error_type: error_type.to_owned(),
        message: message.to_owned(),
    };
    assert_eq!(error, expected);
    invoke(&function, json!({})).await.unwrap();
    function.stop().await;
    let replies = lines.of(LogStream::Stdout);
    assert_eq!(replies[0], r#"202 {"status":"OK"}"#);
    assert_eq!(
        replies[1],
        format!(r#"413 {{"errorMessage":"{message}","errorType":"{error_type}"}}"#)
    );
}

#[tokio::test]
async fn what_a_function_writes_goes_to_the_log_line_by_line() {
    let lines = Lines::default();
    let function = Function::start(spec(), lines.sink()).unwrap();
    invoke(&function, json!({ "do": "print" })).await.unwrap();
    function.stop().await;
    assert_eq!(lines.of(LogStream::Stdout), ["to stdout", r#"{"second": "line"}"#]);
    assert_eq!(lines.of(LogStream::Stderr), ["to stderr"]);
    assert_eq!(lines.origins(), vec![("fixture".to_owned(), 1); 3]);
}
