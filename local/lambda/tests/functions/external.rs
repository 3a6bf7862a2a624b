use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::thread::JoinHandle;

use bytes::Bytes;
use posthaste_local_lambda::{FunctionSpec, InvokeError, Runner};

use super::support::*;

/// Answers one request with `response` and returns the request's first line and body.
fn serve_once(response: &'static str) -> (String, JoinHandle<(String, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!(
        "http://{}/2015-03-31/functions/fixture/invocations",
        listener.local_addr().unwrap()
    );
    let server = std::thread::spawn(move || {
        let mut stream = BufReader::new(listener.accept().unwrap().0);
        let (mut first, mut length) = (String::new(), 0);
        stream.read_line(&mut first).unwrap();
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).unwrap();
            match line.trim_end().split_once(": ") {
                Some(("content-length", value)) => length = value.parse().unwrap(),
                Some(_) => {}
                None => break,
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).unwrap();
        stream.get_mut().write_all(response.as_bytes()).unwrap();
        (first.trim_end().to_owned(), String::from_utf8(body).unwrap())
    });
    (url, server)
}

fn external(invoke_url: String) -> FunctionSpec {
    FunctionSpec { runner: Runner::External { invoke_url }, ..spec() }
}

#[tokio::test]
async fn an_invocation_is_posted_and_the_body_is_the_answer() {
    let (url, server) = serve_once("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{\"ok\":1.0}");
    let function = start(external(url));
    let answer = function.invoke(Bytes::from_static(b"{\"a\":1}")).await.unwrap();
    assert_eq!(answer, "{\"ok\":1.0}");
    let request = (
        "POST /2015-03-31/functions/fixture/invocations HTTP/1.1".to_owned(),
        "{\"a\":1}".to_owned(),
    );
    assert_eq!(server.join().unwrap(), request);
    let stats = function.stats();
    assert_eq!((stats.invocations, stats.errors, stats.processes), (1, 0, 0));
}

#[tokio::test]
async fn a_function_error_is_told_by_the_header_or_the_status() {
    for response in [
        "HTTP/1.1 200 OK\r\nX-Amz-Function-Error: Unhandled\r\ncontent-length: \
         39\r\n\r\n{\"errorType\":\"Bad\",\"errorMessage\":\"no\"}",
        "HTTP/1.1 500 Oh\r\ncontent-length: \
         39\r\n\r\n{\"errorType\":\"Bad\",\"errorMessage\":\"no\"}",
    ] {
        let (url, server) = serve_once(response);
        let function = start(external(url));
        let error = function.invoke(Bytes::new()).await.unwrap_err();
        let expected =
            InvokeError::FunctionError { error_type: "Bad".to_owned(), message: "no".to_owned() };
        assert_eq!(error, expected);
        assert_eq!(function.stats().errors, 1);
        server.join().unwrap();
    }
}

#[tokio::test]
async fn nobody_there_is_said_with_the_address() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let error = start(external(url.clone())).invoke(Bytes::new()).await.unwrap_err();
    let InvokeError::InitFailed { error_type, message } = error else { panic!("{error:?}") };
    assert_eq!(error_type, "External.Unreachable");
    assert!(message.starts_with(&url), "{message}");
}

#[tokio::test]
async fn stop_ends_what_waits_for_an_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let function = start(external(format!("http://{}/", listener.local_addr().unwrap())));
    let waiting = tokio::spawn({
        let function = function.clone();
        async move { function.invoke(Bytes::new()).await }
    });
    let _connection =
        tokio::task::spawn_blocking(move || listener.accept().unwrap()).await.unwrap();
    function.stop().await;
    assert_eq!(waiting.await.unwrap(), Err(InvokeError::Stopped));
    assert_eq!(function.invoke(Bytes::new()).await, Err(InvokeError::Stopped));
}
