//! Endpoints that want more of the client's time, memory or trust than they get.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use posthaste_sender::{MAX_BODY_BYTES, Outcome, Sender, code};
use rustls::RootCertStore;
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    time::timeout,
};

use crate::server::{
    accepting, answering, code_of, local, post_body, post_within, sender, server, until_closed,
};

/// Enough for what should end by itself.
const LONG: Duration = Duration::from_secs(30);
/// For what runs out of time.
const SHORT: Duration = Duration::from_millis(300);

/// A server that begins an answer, goes on with it for as long as it can, and tells when the client
/// has closed the connection.
async fn endless(
    beginning: &str,
    on: &str,
    pause: Duration,
) -> (SocketAddr, UnboundedReceiver<()>) {
    let (closed, closings) = unbounded_channel();
    let (beginning, on): (Arc<str>, Arc<str>) = (beginning.into(), on.into());
    let address = server(move |_, mut stream| {
        let (beginning, on, closed) = (beginning.clone(), on.clone(), closed.clone());
        async move {
            go_on(&mut stream, &beginning, &on, pause).await;
            until_closed(&mut stream).await;
            let _ = closed.send(());
        }
    })
    .await;
    (address, closings)
}

async fn go_on(stream: &mut TcpStream, beginning: &str, on: &str, pause: Duration) {
    let mut written = stream.write_all(beginning.as_bytes()).await;
    while written.is_ok() && !on.is_empty() {
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        written = stream.write_all(on.as_bytes()).await;
    }
}

/// The result of a request to such a server, which has to close its connection.
async fn outcome(beginning: &str, on: &str, pause: Duration, within: Duration) -> Outcome {
    let (address, mut closings) = endless(beginning, on, pause).await;
    let outcome = post_within(&sender(), &format!("http://{address}/"), within).await;
    let closed = timeout(LONG, closings.recv()).await;
    assert!(closed.is_ok(), "the connection is still there: {beginning:.60} {on:.60}");
    assert!(
        outcome.duration < within + LONG / 2,
        "{:?}: {beginning:.60} {on:.60}",
        outcome.duration
    );
    outcome
}

#[tokio::test]
async fn who_keeps_the_client_waiting_runs_out_of_time() {
    let (drip, none) = (Duration::from_millis(20), Duration::ZERO);
    let cases = [
        ("", "", none, "did not answer"),
        ("HTTP/1.1 200 OK\r\nx-a:", "", none, "did not answer"),
        ("HTTP/1.1 200 OK\r\nx-a: ", "x", drip, "did not answer"),
        ("HTTP/1.1 200 OK\r\n", "x: y\r\n", drip, "did not answer"),
        ("HTTP/1.1 100 Continue\r\n\r\n", "", none, "did not answer"),
        ("", "HTTP/1.1 100 Continue\r\n\r\n", none, "did not answer"),
        ("", "HTTP/1.1 102 Processing\r\n\r\n", none, "did not answer"),
        ("", "HTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\n\r\n", none, "did not answer"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf", "", none, "was not complete"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 10000\r\n\r\n", "x", drip, "was not complete"),
        ("HTTP/1.1 200 OK\r\n\r\n", "x", drip, "was not complete"),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            "1\r\nx\r\n",
            drip,
            "was not complete",
        ),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;", "x", drip, "was not complete"),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx:",
            "x",
            drip,
            "was not complete",
        ),
    ];
    for (beginning, on, pause, phase) in cases {
        let outcome = outcome(beginning, on, pause, SHORT).await;
        assert!(outcome.duration >= SHORT, "{:?}", outcome.duration);
        let error = outcome.result.unwrap_err();
        assert_eq!((error.code, error.ours), (code::TIMEOUT, false), "{beginning} {on}");
        assert!(error.message.contains(phase), "{beginning} {on}: {}", error.message);
    }
}

#[tokio::test]
async fn an_endpoint_that_takes_no_more_of_the_request_runs_out_of_time() {
    let (closed, mut closings) = unbounded_channel();
    let (go, gone) = tokio::sync::watch::channel(false);
    let address = accepting("127.0.0.1:0", move |mut stream| {
        let (closed, mut gone) = (closed.clone(), gone.clone());
        async move {
            let _ = gone.wait_for(|gone| *gone).await;
            until_closed(&mut stream).await;
            let _ = closed.send(());
        }
    })
    .await;
    let body = vec![b'x'; 64 * 1024 * 1024];
    assert_eq!(
        code_of(post_body(&sender(), &format!("http://{address}/"), SHORT, body).await),
        code::TIMEOUT
    );
    go.send(true).unwrap();
    assert!(timeout(LONG, closings.recv()).await.is_ok());
}

#[tokio::test]
async fn a_resolver_and_a_handshake_that_never_end_run_out_of_time() {
    let never = Sender::with(
        local(),
        "Posthaste/test",
        RootCertStore::empty(),
        Arc::new(|_| Box::pin(std::future::pending())),
    );
    let outcome = post_within(&never.unwrap(), "http://hook.example.com/", SHORT).await;
    assert_eq!(code_of(outcome), code::TIMEOUT);

    let silent =
        accepting("127.0.0.1:0", |mut stream| async move { until_closed(&mut stream).await }).await;
    assert_eq!(
        code_of(post_within(&sender(), &format!("https://{silent}/"), SHORT).await),
        code::TIMEOUT
    );
}

#[tokio::test]
async fn a_head_without_end_is_refused_before_the_time_is_up() {
    let long_line = "x".repeat(8000);
    let cases = [
        ("HTTP/1.1 200 OK\r\nx-a: ", long_line.as_str()),
        ("HTTP/1.1 200 ", &long_line),
        ("HTTP/1.1 200 OK\r\n", "x: y\r\n"),
        ("HTTP/1.1 200 OK\r\n", &format!("x: {long_line}\r\n")),
        ("HTTP/1.1 200 OK\r\nset-cookie: a", "; a=b"),
        ("", &long_line),
    ];
    for (beginning, on) in cases {
        let code = code_of(outcome(beginning, on, Duration::ZERO, LONG).await);
        assert_eq!(code, code::INVALID_RESPONSE, "{beginning} {on:.20}");
    }
}

#[tokio::test]
async fn a_hundred_headers_are_read_and_no_more() {
    let answer = |headers: usize| {
        format!("HTTP/1.1 200 OK\r\n{}content-length: 0\r\n\r\n", "x: y\r\n".repeat(headers - 1))
    };
    let url = format!("http://{}/", answering(answer(100)).await);
    assert_eq!(post_within(&sender(), &url, LONG).await.result.unwrap().status, 200);
    let url = format!("http://{}/", answering(answer(101)).await);
    assert_eq!(code_of(post_within(&sender(), &url, LONG).await), code::INVALID_RESPONSE);
}

#[tokio::test]
async fn a_body_without_end_is_cut_and_costs_no_time() {
    let block = "x".repeat(65536);
    let chunk = format!("10000\r\n{block}\r\n");
    let cases = [
        ("HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n", block.as_str()),
        ("HTTP/1.1 200 OK\r\n\r\n", &block),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", &chunk),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "1\r\nx\r\n"),
        // Nothing more is wanted, so nobody waits for what does not come.
        (
            &format!(
                "HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n{}",
                &block[..MAX_BODY_BYTES]
            ),
            "",
        ),
    ];
    for (beginning, on) in cases {
        let response = outcome(beginning, on, Duration::ZERO, LONG).await.result.unwrap();
        assert_eq!(
            (response.status, response.body.len()),
            (200, MAX_BODY_BYTES),
            "{beginning:.60}"
        );
        assert!(response.body.iter().all(|byte| *byte == b'x'));
    }
}

#[tokio::test]
async fn chunks_bring_no_more_than_their_data() {
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let cases = [
        (format!("{head}1;"), "x".repeat(8000)),
        (format!("{head}2\r\nok\r\n0\r\nx: "), "x".repeat(8000)),
        (format!("{head}2\r\nok\r\n0\r\n"), "x: y\r\n".to_owned()),
        (head.to_owned(), format!("1;{}\r\nx\r\n", "x".repeat(8000))),
    ];
    for (beginning, on) in cases {
        let code = code_of(outcome(&beginning, &on, Duration::ZERO, LONG).await);
        assert_eq!(code, code::INVALID_RESPONSE, "{beginning} {on:.20}");
    }
    let small = answering(format!("{head}2;a=b\r\nok\r\n0\r\nx-trailer: y\r\n\r\n")).await;
    assert_eq!(
        post_within(&sender(), &format!("http://{small}/"), LONG).await.result.unwrap().body,
        "ok"
    );
}

/// 1,290,001 zeros as 8 KiB of gzip (RFC 1952): a zero, and 5,000 times "the last byte 258 times
/// again".
fn gzip_bomb() -> Vec<u8> {
    let bits = ["1", "10", "00110000", &"1100010100000".repeat(5000), "0000000"].concat();
    let byte = |bits: &[u8]| bits.iter().rev().fold(0, |byte, bit| byte << 1 | (bit - b'0'));
    let deflated: Vec<u8> = bits.as_bytes().chunks(8).map(byte).collect();
    let (check, length) = (0x1837_1d51_u32, 1_290_001_u32);
    [
        &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3],
        &deflated[..],
        &check.to_le_bytes(),
        &length.to_le_bytes(),
    ]
    .concat()
}

#[tokio::test]
async fn nothing_is_decompressed() {
    let bomb = gzip_bomb();
    for encoding in ["gzip", "deflate", "br", "zstd", "gzip, gzip, gzip"] {
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-encoding: {encoding}\r\ncontent-length: {}\r\n\r\n",
            bomb.len()
        );
        let url = format!("http://{}/", answering([head.as_bytes(), &bomb].concat()).await);
        assert_eq!(
            post_within(&sender(), &url, LONG).await.result.unwrap().body,
            bomb,
            "{encoding}"
        );
    }
}

#[tokio::test]
async fn a_redirect_is_an_answer() {
    let (called, mut calls) = unbounded_channel();
    let target = accepting("127.0.0.1:0", move |_| {
        called.send(()).unwrap();
        async {}
    })
    .await;
    let here = format!("http://{target}/");
    for status in [300, 301, 302, 303, 305, 307, 308] {
        for location in [
            &here,
            "http://169.254.169.254/latest/meta-data/",
            "//127.0.0.1/",
            "file:///etc/passwd",
            "/",
        ] {
            let head = format!(
                "HTTP/1.1 {status} Moved\r\nlocation: {location}\r\nrefresh: 0; url={location}\r\n"
            );
            let address = answering(head + "alt-svc: h2=\":1\"\r\ncontent-length: 0\r\n\r\n").await;
            let began = Instant::now();
            let outcome = post_within(&sender(), &format!("http://{address}/"), LONG).await;
            assert_eq!(outcome.result.unwrap().status, status, "{location}");
            assert!(began.elapsed() < LONG);
        }
    }
    assert!(calls.try_recv().is_err(), "nobody followed");
}
