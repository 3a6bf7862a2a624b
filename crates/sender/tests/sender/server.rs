//! Servers that answer as they are told, and what tests ask of the client.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use posthaste_domain::endpoint::url::{PublicUrl, UrlPolicy};
use posthaste_sender::{Outcome, Request, Sender};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
};

/// An answer with nothing in it, after which the connection may be used again.
pub(crate) const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

/// The same, after which it may not.
pub(crate) const LAST_OK: &[u8] =
    b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// Reads one request: its head and as much body as its Content-Length says. None when the
/// connection ends first.
pub(crate) async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut request = Vec::new();
    loop {
        if let Some(head) = request.windows(4).position(|window| window == b"\r\n\r\n") {
            let text = String::from_utf8(request.clone()).unwrap();
            let length = text
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |n| n.parse().unwrap());
            if request.len() >= head + 4 + length {
                return Some(text);
            }
        }
        if stream.read_buf(&mut request).await.ok()? == 0 {
            return None;
        }
    }
}

/// An address on which nobody listens, and nobody can as long as the tests run.
pub(crate) fn taken_port() -> SocketAddr {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let address = socket.local_addr().unwrap();
    std::mem::forget(socket);
    address
}

/// A server that hands over every connection.
pub(crate) async fn accepting<F>(
    address: &str,
    connection: impl Fn(TcpStream) -> F + Send + Sync + 'static,
) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(connection(stream));
        }
    });
    address
}

/// A server that reads each connection's first request and hands the connection over.
pub(crate) async fn server<F>(
    answer: impl Fn(String, TcpStream) -> F + Send + Sync + 'static,
) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let answer = Arc::new(answer);
    accepting("127.0.0.1:0", move |mut stream| {
        let answer = answer.clone();
        async move {
            if let Some(request) = read_request(&mut stream).await {
                answer(request, stream).await;
            }
        }
    })
    .await
}

/// A server that answers every connection with these bytes and closes it.
pub(crate) async fn answering(bytes: impl AsRef<[u8]>) -> SocketAddr {
    let bytes: Arc<[u8]> = bytes.as_ref().into();
    server(move |_, mut stream| {
        let bytes = bytes.clone();
        async move {
            let _ = stream.write_all(&bytes).await;
        }
    })
    .await
}

/// Waits until the client closes the connection.
pub(crate) async fn until_closed(stream: &mut (impl AsyncRead + Unpin)) {
    let mut rest = [0; 4096];
    while matches!(stream.read(&mut rest).await, Ok(1..)) {}
}

pub(crate) fn allowing(ranges: &str) -> UrlPolicy {
    UrlPolicy { allow_http: true, allowed: ranges.parse().unwrap() }
}

pub(crate) fn local() -> UrlPolicy {
    allowing("127.0.0.0/8")
}

pub(crate) fn sender() -> Sender {
    Sender::new(local(), "Posthaste/test").unwrap()
}

pub(crate) async fn post(sender: &Sender, url: &str) -> Outcome {
    post_within(sender, url, Duration::from_secs(5)).await
}

pub(crate) async fn post_within(sender: &Sender, url: &str, timeout: Duration) -> Outcome {
    post_body(sender, url, timeout, b"{\"n\": 1.0}".to_vec()).await
}

pub(crate) async fn post_body(
    sender: &Sender,
    url: &str,
    timeout: Duration,
    body: Vec<u8>,
) -> Outcome {
    // As read back from the table, whatever policy it was registered under.
    let url = PublicUrl::try_from(url.to_owned()).unwrap();
    let headers =
        vec![("content-type", "application/json".to_owned()), ("x-odd", "a  b\tc".to_owned())];
    sender.send(Request { url: &url, headers, body: body.into(), timeout }).await
}

pub(crate) fn code_of(outcome: Outcome) -> &'static str {
    outcome.result.expect_err("no answer").code
}
