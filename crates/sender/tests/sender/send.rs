//! The exact request, its answer, and the connections that are kept.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::future::join_all;
use posthaste_domain::endpoint::url::{PublicUrl, UrlPolicy};
use posthaste_sender::{Request, Response, Sender, code};
use tokio::io::AsyncWriteExt;

use crate::server::{answering, code_of, local, post, read_request, sender, server};

#[tokio::test]
async fn the_exact_request_arrives_and_the_answer_comes_back() {
    let (seen, mut arrived) = tokio::sync::mpsc::unbounded_channel();
    let address = server(move |request, mut stream| {
        seen.send(request).unwrap();
        async move {
            stream.write_all(b"HTTP/1.1 500 No\r\ncontent-length: 4\r\n\r\noops").await.unwrap()
        }
    })
    .await;
    let outcome = post(&sender(), &format!("http://{address}/hook?a=1")).await;
    assert_eq!(
        outcome.result,
        Ok(Response { status: 500, body: "oops".into(), retry_after: None })
    );
    let request = arrived.recv().await.unwrap();
    assert!(request.starts_with("POST /hook?a=1 HTTP/1.1\r\n"), "{request}");
    assert!(
        request.contains("\r\nx-odd: a  b\tc\r\n")
            && request.contains("\r\nuser-agent: Posthaste/test\r\n"),
        "{request}"
    );
    assert!(request.ends_with("\r\n\r\n{\"n\": 1.0}"), "{request}");
    assert!(!request.contains("accept-encoding"), "{request}");
}

#[tokio::test]
async fn statuses_without_a_body_and_informational_ones() {
    let cases = [
        ("HTTP/1.1 204 No Content\r\n\r\n", 204),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 200),
        (
            "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 410 Gone\r\ncontent-length: \
             0\r\n\r\n",
            410,
        ),
    ];
    for (answer, status) in cases {
        let address = answering(answer).await;
        assert_eq!(
            post(&sender(), &format!("http://{address}/")).await.result.unwrap().status,
            status,
            "{answer}"
        );
    }
}

#[tokio::test]
async fn retry_after_is_the_first_header_that_says_so_as_it_is_written() {
    let long = "1".repeat(129);
    let cases = [
        ("retry-after: 120\r\n", Some("120")),
        (
            "Retry-After: Fri, 31 Dec 1999 23:59:59 GMT\r\nRetry-After: 5\r\n",
            Some("Fri, 31 Dec 1999 23:59:59 GMT"),
        ),
        (&format!("retry-after: {}\r\n", &long[1..]), Some(&long[1..])),
        (&format!("retry-after: {long}\r\nretry-after: 5\r\n"), None),
        ("retry-after: in f\u{fc}nf Minuten\r\n", None),
    ];
    for (header, expected) in cases {
        let address =
            answering(format!("HTTP/1.1 503 Later\r\n{header}content-length: 0\r\n\r\n")).await;
        let response = post(&sender(), &format!("http://{address}/")).await.result.unwrap();
        assert_eq!(response.retry_after.as_deref(), expected, "{header}");
    }
}

#[tokio::test]
async fn ten_requests_share_a_kept_alive_connection() {
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = connections.clone();
    let address = server(move |_, mut stream| {
        counted.fetch_add(1, Ordering::SeqCst);
        async move {
            loop {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
                if read_request(&mut stream).await.is_none() {
                    break;
                }
            }
        }
    })
    .await;
    let sender = sender();
    for _ in 0..10 {
        assert_eq!(post(&sender, &format!("http://{address}/")).await.result.unwrap().status, 200);
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
    let url = format!("http://{address}/");
    let parallel = join_all((0..10).map(|_| post(&sender, &url))).await;
    assert!(parallel.iter().all(|outcome| outcome.result.is_ok()));
    assert!(connections.load(Ordering::SeqCst) <= 11);
}

#[tokio::test]
async fn of_the_connections_of_a_burst_ten_are_kept() {
    let everyone_is_here = Arc::new(tokio::sync::Barrier::new(13));
    let (ended, mut endings) = tokio::sync::mpsc::unbounded_channel();
    let address = server(move |_, mut stream| {
        let (everyone_is_here, ended) = (everyone_is_here.clone(), ended.clone());
        async move {
            everyone_is_here.wait().await;
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            let _ = read_request(&mut stream).await;
            let _ = ended.send(());
        }
    })
    .await;
    let (sender, url) = (sender(), format!("http://{address}/"));
    let burst = join_all((0..13).map(|_| post(&sender, &url))).await;
    assert!(burst.iter().all(|outcome| outcome.result.is_ok()));
    let three = async {
        for _ in 0..3 {
            endings.recv().await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(5), three)
        .await
        .expect("three connections are closed");
    let fourth = tokio::time::timeout(Duration::from_millis(300), endings.recv()).await;
    assert!(fourth.is_err(), "ten are kept");
}

#[tokio::test]
async fn an_address_that_is_not_public_is_not_called() {
    let address = answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let port = address.port();
    let guarded =
        Sender::new(UrlPolicy { allow_http: true, ..UrlPolicy::default() }, "Posthaste/test")
            .unwrap();
    for host in [
        "127.0.0.1",
        "2130706433",
        "0x7f.1",
        "[::ffff:127.0.0.1]",
        "[::1]",
        "169.254.169.254",
        "localhost",
    ] {
        assert_eq!(
            code_of(post(&guarded, &format!("http://{host}:{port}/")).await),
            code::ADDRESS_NOT_ALLOWED,
            "{host}"
        );
    }
    let https_only =
        Sender::new(UrlPolicy { allow_http: false, ..local() }, "Posthaste/test").unwrap();
    assert_eq!(code_of(post(&https_only, &format!("http://{address}/")).await), code::NOT_HTTPS);
}

#[tokio::test]
async fn a_header_that_can_t_be_sent_is_named() {
    let url = PublicUrl::try_from("http://127.0.0.1:9/".to_owned()).unwrap();
    for header in [("x-odd", "a\nb".to_owned()), ("x odd", "a".to_owned())] {
        let timeout = Duration::from_secs(5);
        let request =
            Request { url: &url, headers: vec![header.clone()], body: "{}".into(), timeout };
        let error = sender().send(request).await.result.unwrap_err();
        assert_eq!((error.code, error.ours), (code::INVALID_HEADER, false));
        assert!(error.message.contains(header.0), "{}", error.message);
    }
}

#[tokio::test]
async fn debug_shows_neither_headers_nor_body() {
    let url = PublicUrl::try_from("https://example.com/".to_owned()).unwrap();
    let request = Request {
        url: &url,
        headers: vec![("x-secret", "hidden".to_owned())],
        body: "hidden".into(),
        timeout: Duration::ZERO,
    };
    assert!(!format!("{request:?}").contains("hidden"));
}
