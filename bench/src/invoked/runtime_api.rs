//! This Runtime API has invocations for one process, and notes when the process asks for one and when
//! it answers.

use std::{convert::Infallible, sync::Arc, time::SystemTime};

use anyhow::{Context, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response, StatusCode, body::Incoming, header::HeaderValue, server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot},
    task::{JoinHandle, JoinSet},
};

/// The function may work at the invocation for this long.
const TIMEOUT_MS: u128 = 30_000;

/// A process speaks to the Runtime API for one of these reasons.
pub(super) enum Said {
    /// It asks for the next invocation, and gets what is sent here.
    Next(oneshot::Sender<Bytes>),
    Answer(Bytes),
    Error(Bytes),
}

/// The Runtime API. It ends when this is dropped, with its connections.
pub(super) struct RuntimeApi {
    pub(super) address: String,
    said: mpsc::UnboundedReceiver<Said>,
    serving: JoinHandle<()>,
}

impl RuntimeApi {
    pub(super) fn start() -> anyhow::Result<Self> {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let address = listener.local_addr()?.to_string();
        let (say, said) = mpsc::unbounded_channel();
        let serving = tokio::spawn(serve(listener, say));
        Ok(Self { address, said, serving })
    }

    /// Waits until the process asks for an invocation. The sender takes it.
    pub(super) async fn next(&mut self) -> anyhow::Result<oneshot::Sender<Bytes>> {
        match self.said.recv().await.context("the Runtime API has ended")? {
            Said::Next(invocation) => Ok(invocation),
            Said::Answer(_) => bail!("it answered before it had an invocation"),
            Said::Error(error) => bail!("it did not start: {}", String::from_utf8_lossy(&error)),
        }
    }

    /// Waits for the answer to the invocation.
    pub(super) async fn answer(&mut self) -> anyhow::Result<Bytes> {
        match self.said.recv().await.context("the Runtime API has ended")? {
            Said::Answer(answer) => Ok(answer),
            Said::Error(error) => bail!("it failed: {}", String::from_utf8_lossy(&error)),
            Said::Next(_) => bail!("it asked for another invocation before it had answered"),
        }
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, say: mpsc::UnboundedSender<Said>) {
    let say = Arc::new(say);
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        let say = say.clone();
        let service = service_fn(move |request| answer(request, say.clone()));
        connections.spawn(async move {
            // The process is killed in the end, which breaks its connections.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    say: Arc<mpsc::UnboundedSender<Said>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    if path.ends_with("/invocation/next") {
        let (give, invocation) = oneshot::channel();
        let _ = say.send(Said::Next(give));
        // Where nobody sends another invocation, whoever asks for one waits until it is killed.
        return Ok(match invocation.await {
            Ok(payload) => with_payload(payload),
            Err(_) => std::future::pending().await,
        });
    }
    let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let _ =
        say.send(if path.ends_with("/response") { Said::Answer(body) } else { Said::Error(body) });
    let mut accepted = Response::new(Full::new(Bytes::from_static(b"{\"status\":\"OK\"}")));
    *accepted.status_mut() = StatusCode::ACCEPTED;
    Ok(accepted)
}

fn with_payload(payload: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(payload));
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let deadline = HeaderValue::from_str(&(now.as_millis() + TIMEOUT_MS).to_string());
    let fixed = [
        ("lambda-runtime-aws-request-id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd"),
        (
            "lambda-runtime-invoked-function-arn",
            "arn:aws:lambda:us-east-1:000000000000:function:cold",
        ),
        ("lambda-runtime-trace-id", "Root=1-691f0c40-0123456789abcdef01234567"),
    ];
    let headers = response.headers_mut();
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(deadline) = deadline {
        headers.insert("lambda-runtime-deadline-ms", deadline);
    }
    response
}
