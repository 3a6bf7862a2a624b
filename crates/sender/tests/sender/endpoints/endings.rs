//! Connections that are not made, end too early, or keep the client waiting.

use std::{
    io,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::future::BoxFuture;
use posthaste_domain::endpoint::url::UrlPolicy;
use posthaste_sender::{Sender, code};
use rustls::RootCertStore;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::watch,
};

use crate::{
    endpoints::case::{Case, End, answer, answers, handles},
    server::{LAST_OK, OK, accepting, local, read_request, sender, taken_port, until_closed},
};

const UNKNOWN: &str = "failed to lookup address information: Name or service not known";

pub(crate) async fn connections() -> Vec<Case> {
    let nobody = taken_port();
    let https_only = UrlPolicy { allow_http: false, ..local() };
    let name = "http://hook.example.com/".to_owned();
    vec![
        Case::new("a port on which nobody listens", format!("http://{nobody}/"), sender())
            .because("refused"),
        Case::new(
            "a name that does not exist",
            name.clone(),
            looking_up(|| Err(io::Error::other(UNKNOWN))),
        ),
        Case::new("a name without an address", name.clone(), looking_up(|| Ok(vec![]))),
        Case::new(
            "a name that leads to a private address",
            name,
            looking_up(|| Ok(vec![[10, 0, 0, 1].into()])),
        ),
        Case::new(
            "an http URL where the deployment wants https",
            format!("http://{nobody}/"),
            Sender::new(https_only, "Posthaste/test").unwrap(),
        ),
    ]
}

fn looking_up(answer: impl Fn() -> io::Result<Vec<IpAddr>> + Send + Sync + 'static) -> Sender {
    let lookup = move |_| -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let answer = answer();
        Box::pin(async { answer })
    };
    Sender::with(local(), "Posthaste/test", RootCertStore::empty(), Arc::new(lookup)).unwrap()
}

pub(crate) async fn cases() -> Vec<Case> {
    let mut cases = too_early().await;
    cases.extend(before_the_request_is_read().await);
    cases.extend(kept_alive().await);
    cases.extend(slow().await);
    cases
}

async fn too_early() -> Vec<Case> {
    let half = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf";
    vec![
        answers("closes without an answer", "", End::Close).await,
        answers("resets the connection without an answer", "", End::Reset).await,
        answers("closes in the head of a 200", "HTTP/1.1 200 OK\r\nx: ", End::Close).await,
        answers("closes in the body of a 200", half, End::Close).await,
        answers("resets in the body of a 200", half, End::Reset).await,
        answers("closes after `100 Continue`", "HTTP/1.1 100 Continue\r\n\r\n", End::Close).await,
    ]
}

/// The bytes of a request that does not fit into the buffers of a connection.
const MUCH: usize = 8 << 20;
const TOO_LARGE: &str = "413 Content Too Large";

async fn before_the_request_is_read() -> Vec<Case> {
    let mut cases = Vec::new();
    for status in ["200 OK", TOO_LARGE] {
        let number = &status[..3];
        let does = format!("{number} before it has read the request, and reads no more");
        cases.push(hasty(does, status, End::Stay).await);
        let does = format!("{number} before it has read a small request, and closes");
        cases.push(Case { bytes: 300, ..hasty(does, status, End::Close).await });
    }
    cases
}

/// RFC 9112, section 9.6: the reset of such a connection can overtake the answer.
#[tokio::test]
async fn an_answer_before_a_large_request_is_read_can_be_lost_but_is_never_another_one() {
    for _ in 0..20 {
        let case = hasty(String::new(), TOO_LARGE, End::Close).await;
        match case.send().await.result {
            Ok(answer) => assert_eq!(answer.status, 413),
            Err(error) => assert_eq!((error.code, error.ours), (code::CONNECTION_CLOSED, false)),
        }
    }
}

/// An endpoint that answers when it has read the beginning of a request.
async fn hasty(does: String, status: &str, end: End) -> Case {
    let answer: Arc<str> = answer(status, "connection: close\r\n", "").into();
    let address = accepting("127.0.0.1:0", move |mut stream: TcpStream| {
        let answer = answer.clone();
        async move {
            let mut beginning = [0; 100];
            let _ = stream.read(&mut beginning).await;
            let _ = stream.write_all(answer.as_bytes()).await;
            match end {
                End::Stay => tokio::time::sleep(Duration::from_secs(60)).await,
                other => other.of(stream).await,
            }
        }
    })
    .await;
    Case { bytes: MUCH, ..Case::new(does, format!("http://{address}/"), sender()) }
}

async fn kept_alive() -> Vec<Case> {
    let (tell, closed) = watch::channel(false);
    let closes = handles("has closed the connection of the request before", move |mut stream| {
        let tell = tell.clone();
        async move {
            let _ = stream.write_all(OK).await;
            drop(stream);
            tell.send_replace(true);
        }
    })
    .await;
    let said = answers("has said `connection: close` before", LAST_OK, End::Stay).await;
    let mut cases = vec![
        Case { warm_up: true, closed: Some(closed), ..closes },
        Case { warm_up: true, ..said },
    ];
    for (end, ends) in [(End::Close, "closes"), (End::Reset, "resets")] {
        cases.push(takes_the_second(ends, end).await);
    }
    cases
}

/// An endpoint that answers the first request of a connection, and ends the connection when it has
/// read the second one.
async fn takes_the_second(ends: &str, end: End) -> Case {
    let arrived = Arc::new(AtomicUsize::new(0));
    let counted = arrived.clone();
    let does = format!("reads the second request of a connection and {ends} it");
    let case = handles(does, move |mut stream| {
        let counted = counted.clone();
        counted.fetch_add(1, Ordering::SeqCst);
        async move {
            let _ = stream.write_all(OK).await;
            if read_request(&mut stream).await.is_some() {
                counted.fetch_add(1, Ordering::SeqCst);
            }
            end.of(stream).await;
        }
    })
    .await;
    Case { warm_up: true, arrived, ..case }
}

async fn slow() -> Vec<Case> {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n";
    let silent = accepting("127.0.0.1:0", |mut stream| async move {
        until_closed(&mut stream).await;
    })
    .await;
    let handshake =
        Case::new("never answers the TLS handshake", format!("https://{silent}/"), sender());
    let cases = vec![
        handshake,
        answers("never answers", "", End::Stay).await,
        drips("sends its head byte by byte", "HTTP/1.1 200 OK\r\nx: ").await,
        answers("sends the head of a 200 and never its body", head, End::Stay).await,
        drips("sends the body of a 200 byte by byte", head).await,
        answers(
            "sends `100 Continue` and nothing more",
            "HTTP/1.1 100 Continue\r\n\r\n",
            End::Stay,
        )
        .await,
    ];
    cases.into_iter().map(Case::within_three_seconds).collect()
}

async fn drips(does: &str, beginning: &'static str) -> Case {
    handles(does, move |mut stream| async move {
        let mut written = stream.write_all(beginning.as_bytes()).await;
        while written.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
            written = stream.write_all(b"x").await;
        }
    })
    .await
}
