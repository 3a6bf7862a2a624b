//! This small HTTP server listens on loopback for every part of the local system. It reads whole
//! requests and gives whole answers, or no answer at all. It refuses what web pages of other sites
//! send ([`loopback`]).

mod head;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use posthaste_local_lambda::{http_event::error_response, loopback};
use tokio::{net::TcpListener, task::JoinSet};

pub(crate) use head::HeaderLines;
use head::{Record, Recorded};

/// The largest body that is taken, which is DynamoDB's 16 MiB.
const BODY_LIMIT: usize = 16 * 1024 * 1024;

/// After an error no connection is accepted for this long: with every file descriptor in use, the
/// next try would fail at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A running server. Dropping it ends it with its connections.
pub(crate) struct Server {
    address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Server {
    /// Returns `http://127.0.0.1:<port>`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers with `handler` on `listener`. A handler that answers nothing closes the connection.
    pub(crate) fn start<F>(
        listener: TcpListener,
        handler: impl Fn(Request<Bytes>) -> F + Send + Sync + 'static,
    ) -> io::Result<Self>
    where
        F: Future<Output = Option<Response<Bytes>>> + Send + 'static,
    {
        let address = listener.local_addr()?;
        let handler = Arc::new(handler);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let stream = tokio::select! {
                    (stream, _) = accept(|| listener.accept()) => stream,
                    Some(_) = connections.join_next() => continue,
                };
                let _ = stream.set_nodelay(true);
                let handler = handler.clone();
                connections.spawn(async move {
                    let record = Record::default();
                    let stream = Recorded::new(stream, record.clone());
                    let service =
                        service_fn(move |request| answer(handler.clone(), record.clone(), request));
                    let connection = hyper::server::conn::http1::Builder::new()
                        .timer(TokioTimer::new())
                        .preserve_header_case(true)
                        .serve_connection(TokioIo::new(stream), service);
                    // A client that goes away is none of our business.
                    let _ = connection.await;
                });
            }
        });
        Ok(Self { address, _tasks: tasks })
    }
}

/// Waits for the next connection, through all errors.
async fn accept<S, F: Future<Output = io::Result<S>>>(mut next: impl FnMut() -> F) -> S {
    loop {
        match next().await {
            Ok(stream) => return stream,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Closes a connection whose handler gave no answer.
#[derive(Debug, thiserror::Error)]
#[error("no answer is given")]
struct NoAnswer;

async fn answer<F>(
    handler: Arc<impl Fn(Request<Bytes>) -> F + Send + Sync + 'static>,
    record: Record,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, NoAnswer>
where
    F: Future<Output = Option<Response<Bytes>>> + Send + 'static,
{
    let (mut head, body) = request.into_parts();
    if let Some(why) = loopback::refusal(&head.headers) {
        return Ok(text(StatusCode::FORBIDDEN, why).map(Full::new));
    }
    head.extensions.insert(record.header_lines(&head.headers));
    let body = match Limited::new(body, BODY_LIMIT).collect().await {
        Ok(body) => body.to_bytes(),
        // In the words of API Gateway, whose own bound is lower.
        Err(_) => return Ok(error_response(StatusCode::PAYLOAD_TOO_LARGE).map(Full::new)),
    };
    record.begin();
    handler(Request::from_parts(head, body))
        .await
        .map(|response| response.map(Full::new))
        .ok_or(NoAnswer)
}

/// Makes an answer with a JSON body.
pub(crate) fn json(status: StatusCode, body: &impl serde::Serialize) -> Response<Bytes> {
    let body = serde_json::to_vec_pretty(body).unwrap_or_default();
    with_type(status, "application/json", body)
}

/// Makes an answer with a text body.
pub(crate) fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Bytes> {
    with_type(status, "text/plain; charset=utf-8", body)
}

/// Makes an answer with a body of this content type.
pub(crate) fn with_type(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Bytes> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static(content_type));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_can_not_be_accepted_is_tried_again_after_a_pause() {
        let began = tokio::time::Instant::now();
        let mut tries = 0;
        let accepted = accept(|| {
            tries += 1;
            // EMFILE: no file descriptor is left.
            std::future::ready(if tries < 4 {
                Err(io::Error::from_raw_os_error(24))
            } else {
                Ok(tries)
            })
        });
        assert_eq!(accepted.await, 4);
        assert_eq!(began.elapsed(), 3 * ACCEPT_PAUSE);
    }
}
