//! The client against real sockets on loopback.
#![cfg(test)]

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures::future::join_all;
use posthaste_domain::url::{PublicUrl, UrlPolicy};
use posthaste_sender::{Lookup, MAX_BODY_BYTES, Outcome, Request, Response, Sender, code};
use rustls::{RootCertStore, ServerConfig, crypto::ring, pki_types::PrivateKeyDer};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// Reads one request: its head and as much body as its Content-Length says. None when the connection ends first.
async fn read_request(stream: &mut (impl AsyncReadExt + Unpin)) -> Option<String> {
    let mut request = Vec::new();
    loop {
        if let Some(head) = request.windows(4).position(|window| window == b"\r\n\r\n") {
            let text = String::from_utf8(request.clone()).unwrap();
            let length =
                text.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap());
            if request.len() >= head + 4 + length {
                return Some(text);
            }
        }
        if stream.read_buf(&mut request).await.ok()? == 0 {
            return None;
        }
    }
}

/// A server that reads each connection's first request and hands the connection over.
async fn server<F>(answer: impl Fn(String, TcpStream) -> F + Send + Sync + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answer = Arc::new(answer);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                if let Some(request) = read_request(&mut stream).await {
                    answer(request, stream).await;
                }
            });
        }
    });
    address
}

/// A server that answers every connection with these bytes and closes it.
async fn answering(bytes: impl Into<Vec<u8>>) -> SocketAddr {
    let bytes: Arc<Vec<u8>> = Arc::new(bytes.into());
    server(move |_, mut stream| {
        let bytes = bytes.clone();
        async move {
            let _ = stream.write_all(&bytes).await;
        }
    })
    .await
}

fn local() -> UrlPolicy {
    UrlPolicy { allow_http: true, allowed: "127.0.0.0/8".parse().unwrap() }
}

fn sender() -> Sender {
    Sender::new(local(), "Posthaste/test").unwrap()
}

async fn post(sender: &Sender, url: &str) -> Outcome {
    post_within(sender, url, Duration::from_secs(5)).await
}

async fn post_within(sender: &Sender, url: &str, timeout: Duration) -> Outcome {
    // As read back from the table: the policy of its registration is not asked again.
    let url: PublicUrl = PublicUrl::try_from(url.to_owned()).unwrap();
    let headers = vec![("content-type", "application/json".to_owned()), ("x-odd", "a  b\tc".to_owned())];
    sender.send(Request { url: &url, headers, body: "{\"n\": 1.0}".into(), timeout }).await
}

fn code_of(outcome: Outcome) -> &'static str {
    outcome.result.expect_err("no answer").code
}

#[tokio::test]
async fn the_exact_request_arrives_and_the_answer_comes_back() {
    let (seen, mut arrived) = tokio::sync::mpsc::unbounded_channel();
    let address = server(move |request, mut stream| {
        seen.send(request).unwrap();
        async move { stream.write_all(b"HTTP/1.1 500 No\r\ncontent-length: 4\r\n\r\noops").await.unwrap() }
    })
    .await;
    let outcome = post(&sender(), &format!("http://{address}/hook?a=1")).await;
    assert_eq!(outcome.result, Ok(Response { status: 500, body: "oops".into(), retry_after: None }));
    let request = arrived.recv().await.unwrap();
    assert!(request.starts_with("POST /hook?a=1 HTTP/1.1\r\n"), "{request}");
    assert!(
        request.contains("\r\nx-odd: a  b\tc\r\n") && request.contains("\r\nuser-agent: Posthaste/test\r\n"),
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
        ("HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n", 410),
    ];
    for (answer, status) in cases {
        let address = answering(answer).await;
        assert_eq!(post(&sender(), &format!("http://{address}/")).await.result.unwrap().status, status, "{answer}");
    }
}

#[tokio::test]
async fn retry_after_is_the_first_header_that_says_so_as_it_is_written() {
    let long = "1".repeat(129);
    let cases = [
        ("retry-after: 120\r\n", Some("120")),
        ("Retry-After: Fri, 31 Dec 1999 23:59:59 GMT\r\nRetry-After: 5\r\n", Some("Fri, 31 Dec 1999 23:59:59 GMT")),
        (&format!("retry-after: {}\r\n", &long[1..]), Some(&long[1..])),
        (&format!("retry-after: {long}\r\nretry-after: 5\r\n"), None),
        ("retry-after: in f\u{fc}nf Minuten\r\n", None),
    ];
    for (header, expected) in cases {
        let address = answering(format!("HTTP/1.1 503 Later\r\n{header}content-length: 0\r\n\r\n")).await;
        let response = post(&sender(), &format!("http://{address}/")).await.result.unwrap();
        assert_eq!(response.retry_after.as_deref(), expected, "{header}");
    }
}

#[tokio::test]
async fn a_redirect_is_an_answer() {
    let answer =
        "HTTP/1.1 301 Moved\r\nlocation: http://169.254.169.254/latest/meta-data/\r\ncontent-length: 0\r\n\r\n";
    let address = answering(answer).await;
    assert_eq!(post(&sender(), &format!("http://{address}/")).await.result.unwrap().status, 301);
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
async fn of_the_connections_of_a_burst_two_are_kept() {
    let everyone_is_here = Arc::new(tokio::sync::Barrier::new(10));
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
    let burst = join_all((0..10).map(|_| post(&sender, &url))).await;
    assert!(burst.iter().all(|outcome| outcome.result.is_ok()));
    let eight = async {
        for _ in 0..8 {
            endings.recv().await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(5), eight).await.expect("eight connections are closed");
    let ninth = tokio::time::timeout(Duration::from_millis(300), endings.recv()).await;
    assert!(ninth.is_err(), "two are kept");
}

#[tokio::test]
async fn a_silent_endpoint_and_a_dripping_one_run_out_of_time() {
    let silent = server(|_, stream| async move {
        tokio::time::sleep(Duration::from_secs(60)).await;
        drop(stream);
    })
    .await;
    let half_a_head = server(|_, mut stream| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\nx-a:").await.unwrap();
        tokio::time::sleep(Duration::from_secs(60)).await;
    })
    .await;
    let dripping = server(|_, mut stream| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n").await.unwrap();
        while stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    let sender = sender();
    for (address, phase) in
        [(silent, "did not answer"), (half_a_head, "did not answer"), (dripping, "was not complete")]
    {
        let outcome = post_within(&sender, &format!("http://{address}/"), Duration::from_millis(300)).await;
        let error = outcome.result.unwrap_err();
        assert_eq!((error.code, error.ours), (code::TIMEOUT, false));
        assert!(error.message.contains(phase), "{}", error.message);
        assert!(outcome.duration >= Duration::from_millis(300), "{:?}", outcome.duration);
    }
}

#[tokio::test]
async fn an_endless_body_is_cut_and_costs_no_time() {
    let address = server(|_, mut stream| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n").await.unwrap();
        while stream.write_all(&[b'x'; 65536]).await.is_ok() {}
    })
    .await;
    let began = Instant::now();
    let response = post_within(&sender(), &format!("http://{address}/"), Duration::from_secs(30)).await.result.unwrap();
    assert_eq!((response.status, response.body.len()), (200, MAX_BODY_BYTES));
    assert!(began.elapsed() < Duration::from_secs(20), "it did not wait for the rest");
}

#[tokio::test]
async fn broken_connections_and_answers_are_told_apart() {
    let closed = answering("").await;
    let cut = answering("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf").await;
    let garbage = answering("SSH-2.0-OpenSSH_9.2\r\n\r\n").await;
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let sender = sender();
    for (address, code) in [
        (closed, code::CONNECTION_CLOSED),
        (cut, code::CONNECTION_CLOSED),
        (garbage, code::INVALID_RESPONSE),
        (nobody, code::CONNECT_FAILED),
    ] {
        assert_eq!(code_of(post(&sender, &format!("http://{address}/")).await), code);
    }
}

#[tokio::test]
async fn an_address_that_is_not_public_is_not_called() {
    let address = answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let port = address.port();
    let guarded = Sender::new(UrlPolicy { allow_http: true, ..UrlPolicy::default() }, "Posthaste/test").unwrap();
    for host in ["127.0.0.1", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "[::1]", "169.254.169.254", "localhost"] {
        assert_eq!(
            code_of(post(&guarded, &format!("http://{host}:{port}/")).await),
            code::ADDRESS_NOT_ALLOWED,
            "{host}"
        );
    }
    let https_only = Sender::new(UrlPolicy { allow_http: false, ..local() }, "Posthaste/test").unwrap();
    assert_eq!(code_of(post(&https_only, &format!("http://{address}/")).await), code::NOT_HTTPS);
}

fn names(answers: Vec<io::Result<Vec<&'static str>>>) -> Lookup {
    let answers = Arc::new(std::sync::Mutex::new(answers.into_iter()));
    Arc::new(move |_| {
        let answer = answers.lock().unwrap().next().expect("no more look-ups");
        Box::pin(async move { Ok(answer?.into_iter().map(|ip| ip.parse::<IpAddr>().unwrap()).collect()) })
    })
}

fn with_names(policy: UrlPolicy, answers: Vec<io::Result<Vec<&'static str>>>) -> Sender {
    Sender::with(policy, "Posthaste/test", RootCertStore::empty(), names(answers)).unwrap()
}

#[tokio::test]
async fn a_name_is_vetted_at_every_connection_and_by_all_its_addresses() {
    let address = answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let url = format!("http://hook.example.com:{}/", address.port());
    let answers = vec![
        Ok(vec!["127.0.0.1"]),
        Ok(vec!["10.0.0.1"]),
        Ok(vec!["127.0.0.1", "169.254.169.254"]),
        Ok(vec![]),
        Err(io::Error::other("no such host")),
    ];
    let sender = with_names(local(), answers);
    assert_eq!(post(&sender, &url).await.result.unwrap().status, 200, "an allowed address is dialled");
    assert_eq!(code_of(post(&sender, &url).await), code::ADDRESS_NOT_ALLOWED, "the name now leads inside");
    assert_eq!(code_of(post(&sender, &url).await), code::ADDRESS_NOT_ALLOWED, "one bad address spoils them all");
    assert_eq!(code_of(post(&sender, &url).await), code::DNS_FAILED);
    assert_eq!(code_of(post(&sender, &url).await), code::DNS_FAILED);
}

/// A TLS server with a certificate of its own making, and the roots that trust it.
async fn tls_server() -> (SocketAddr, RootCertStore) {
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["hook.example.com".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                read_request(&mut stream).await.unwrap();
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
                stream.shutdown().await.unwrap();
            });
        }
    });
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).unwrap();
    (address, roots)
}

#[tokio::test]
async fn a_certificate_has_to_be_trusted_and_for_the_name() {
    let (address, roots) = tls_server().await;
    let sender = |roots: RootCertStore| {
        Sender::with(local(), "Posthaste/test", roots, names(vec![Ok(vec!["127.0.0.1"]), Ok(vec!["127.0.0.1"])]))
            .unwrap()
    };
    let url = |name: &str| format!("https://{name}:{}/", address.port());
    assert_eq!(post(&sender(roots.clone()), &url("hook.example.com")).await.result.unwrap().status, 200);
    assert_eq!(code_of(post(&sender(roots), &url("other.example.com")).await), code::TLS_FAILED);
    let public_roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    assert_eq!(code_of(post(&sender(public_roots), &url("hook.example.com")).await), code::TLS_FAILED);
}

#[tokio::test]
async fn a_header_that_can_t_be_sent_is_named() {
    let url = PublicUrl::try_from("http://127.0.0.1:9/".to_owned()).unwrap();
    for header in [("x-odd", "a\nb".to_owned()), ("x odd", "a".to_owned())] {
        let timeout = Duration::from_secs(5);
        let request = Request { url: &url, headers: vec![header.clone()], body: "{}".into(), timeout };
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
