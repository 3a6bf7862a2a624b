use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::mpsc,
};

use lambda_runtime::{LambdaEvent, Runtime, service_fn};
use posthaste_domain::event::schema::{MAX_STEPS, MAX_STEPS_OF_CALL};
use serde_json::Value;

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

/// A check that ends when the sender is dropped.
fn endless() -> (mpsc::Sender<()>, impl FnOnce() -> bool + Send + 'static) {
    let (end, ended) = mpsc::channel::<()>();
    (end, move || ended.recv().is_ok())
}

#[tokio::test]
async fn a_check_that_does_not_end_is_answered_and_others_go_on() {
    let impatient = Checks::of(Duration::from_millis(1));
    let (end, check) = endless();
    assert_eq!(impatient.run(check).await, Err(Unchecked));
    assert!(impatient.are_stuck());
    assert_eq!(Checks { time: MINUTE, ..impatient }.run(|| 7).await, Ok(7));
    drop(end);
}

#[tokio::test]
async fn a_check_that_panics_is_answered_and_its_process_goes_on() {
    let checks = Checks::of(MINUTE);
    assert_eq!(checks.run(|| assert_eq!(1, 2)).await, Err(Unchecked));
    assert!(!checks.are_stuck());
}

/// `ingest` compiles the schemas of a call and checks all its events in one check.
#[test]
fn a_legal_publishing_call_is_checked_in_time() {
    let template = include_str!("../../../../template.yaml");
    let globals = template.split("\nGlobals:\n").nth(1).unwrap();
    let memory = globals.split("MemorySize: ").nth(1).unwrap().lines().next().unwrap();
    let slower = f64::from(MB_OF_A_PROCESSOR) / memory.parse::<f64>().unwrap();
    let events = u32::try_from(MAX_STEPS_OF_CALL.div_ceil(MAX_STEPS)).unwrap();
    let longest = (COMPILING + CHECKING * events).mul_f64(slower);
    assert!(longest < TIME, "{longest:?}");
}

/// The name of the test that is a function's process when the Runtime API's address is given.
const FUNCTION: &str = "checks::tests::a_process_with_a_stuck_check_ends_after_its_answer";
const RUNTIME_API: &str = "AWS_LAMBDA_RUNTIME_API";

#[test]
fn a_process_with_a_stuck_check_ends_after_its_answer() {
    if std::env::var_os(RUNTIME_API).is_some() {
        return be_a_function();
    }
    let api = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut process = Process(start(&api));
    let mut requests = Vec::new();
    let mut ask = |event: Option<&str>| {
        let (request, body) = answer(&api, event);
        requests.push(request);
        body
    };
    ask(Some("false"));
    assert_eq!(ask(None), r#""checked""#);
    ask(Some("true"));
    assert_eq!(ask(None), r#""unchecked""#, "the invocation has its answer");
    assert_eq!(process.code_before_it_asks(&api), Some(1), "{requests:?}");
    let (next, response) = (
        "get /2018-06-01/runtime/invocation/next",
        "post /2018-06-01/runtime/invocation/1/response",
    );
    assert_eq!(requests, [next, response, next, response]);
}

/// Answers each event with what became of a check, which does not end if the event is `true`.
#[tokio::main(flavor = "current_thread")]
async fn be_a_function() {
    let (patient, impatient) = (Checks::of(MINUTE), Checks::of(Duration::from_millis(1)));
    let ending = impatient.ending();
    let handle = async |event: LambdaEvent<bool>| {
        let (end, check) = endless();
        let checked = if event.payload {
            std::mem::forget(end);
            impatient.run(check).await.is_ok()
        } else {
            drop(end);
            patient.run(check).await.is_ok()
        };
        Ok::<_, Error>(Value::from(if checked { "checked" } else { "unchecked" }))
    };
    Runtime::new(service_fn(handle)).layer(ending).run().await.unwrap();
}

/// Ends with the test, whatever becomes of it.
struct Process(Child);

impl Process {
    /// Returns the code that the process ends with; none if it asks for something before.
    fn code_before_it_asks(&mut self, api: &TcpListener) -> Option<i32> {
        api.set_nonblocking(true).unwrap();
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status.code();
            }
            if api.accept().is_ok() {
                return None;
            }
            std::thread::yield_now();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(api: &TcpListener) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([FUNCTION, "--exact"]).stdout(Stdio::null()).stderr(Stdio::null());
    command.env(RUNTIME_API, api.local_addr().unwrap().to_string());
    command.env("AWS_LAMBDA_FUNCTION_NAME", "checks").env("AWS_LAMBDA_FUNCTION_VERSION", "1");
    command.env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128").spawn().unwrap()
}

/// Answers one request, of which the method, the path and the body are returned.
fn answer(api: &TcpListener, event: Option<&str>) -> (String, String) {
    let (mut stream, _) = api.accept().unwrap();
    let (line, body) = read(&stream);
    let status = if event.is_some() { "200 OK" } else { "202 Accepted" };
    let event = event.unwrap_or_default();
    let head = format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: \
         {}\r\nlambda-runtime-aws-request-id: 1\r\n\
         lambda-runtime-deadline-ms: 4102444800000\r\nlambda-runtime-invoked-function-arn: \
         arn\r\n\r\n",
        event.len()
    );
    stream.write_all(format!("{head}{event}").as_bytes()).unwrap();
    (line, body)
}

fn read(stream: &TcpStream) -> (String, String) {
    let mut lines = BufReader::new(stream);
    let mut next = || {
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        line.trim_end().to_lowercase()
    };
    let first = next();
    let first = first.strip_suffix(" http/1.1").unwrap().to_owned();
    let (mut length, mut chunked) = (0, false);
    loop {
        let header = next();
        match header.split_once(": ") {
            Some(("content-length", bytes)) => length = bytes.parse().unwrap(),
            Some(("transfer-encoding", _)) => chunked = true,
            Some(_) => {}
            None => break,
        }
    }
    assert!(!chunked, "this test reads whole bodies");
    let mut body = vec![0; length];
    lines.read_exact(&mut body).unwrap();
    (first, String::from_utf8(body).unwrap())
}
