//! Each process has a Runtime API of its own:
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::error::{ErrorBody, InvokeError};
use crate::loopback;
use crate::pool::{Pool, Work};
use crate::{ACCOUNT_ID, REGION};

/// Lambda's limit for a synchronous answer is 6 MB, and a little more for its own envelope.
const RESPONSE_LIMIT: usize = 6_291_556;

/// A server for process number `instance` of a pool. Dropping it ends all that it serves.
pub(crate) struct RuntimeApi {
    listener: TcpListener,
    pool: Arc<Pool>,
    instance: u64,
    connections: JoinSet<()>,
}

impl RuntimeApi {
    pub(crate) async fn bind(pool: Arc<Pool>, instance: u64) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        Ok(Self { listener, pool, instance, connections: JoinSet::new() })
    }

    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves for ever. Cancelling this future loses nothing: serving can go on, or end with
    /// [`drain`](Self::drain).
    pub(crate) async fn serve(&mut self) {
        loop {
            tokio::select! {
                accepted = self.listener.accept() => self.accepted(accepted),
                Some(_) = self.connections.join_next() => {}
            }
        }
    }

    /// Serves the requests that the process sent before it ended.
    pub(crate) async fn drain(&mut self) {
        loop {
            tokio::select! {
                biased;
                accepted = self.listener.accept() => self.accepted(accepted),
                ended = self.connections.join_next() => if ended.is_none() { return },
            }
        }
    }

    fn accepted(&mut self, accepted: io::Result<(TcpStream, SocketAddr)>) {
        let Ok((stream, _)) = accepted else { return };
        let _ = stream.set_nodelay(true);
        let (pool, instance) = (Arc::clone(&self.pool), self.instance);
        let service = service_fn(move |request| answer(Arc::clone(&pool), instance, request));
        self.connections.spawn(async move {
            // Half-closed connections are served on: an answer counts even if its process is gone
            // by now. An error is a connection that the process broke off: what that means is seen
            // when the process ends.
            let _ = http1::Builder::new()
                .half_close(true)
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

type Answer = Response<Full<Bytes>>;

async fn answer(
    pool: Arc<Pool>,
    instance: u64,
    request: Request<Incoming>,
) -> Result<Answer, Infallible> {
    let (head, body) = request.into_parts();
    if let Some(why) = loopback::refusal(&head.headers) {
        return Ok(refusal(StatusCode::FORBIDDEN, "Forbidden", why));
    }
    let Some(body) = read(body).await else {
        return Ok(refusal(StatusCode::BAD_REQUEST, "InvalidRequest", "the body is incomplete"));
    };
    let path = head.uri.path().strip_prefix("/2018-06-01/runtime/").unwrap_or_default();
    let path: Vec<_> = path.split('/').collect();
    Ok(match (&head.method, path.as_slice()) {
        (&Method::GET, ["invocation", "next"]) => next(&pool, instance).await,
        (&Method::POST, ["invocation", request_id, "response"]) => {
            response(&pool, instance, request_id, body)
        }
        (&Method::POST, ["invocation", request_id, "error"]) => {
            let error = reported(&head, body);
            let error = InvokeError::FunctionError {
                error_type: error.error_type(),
                message: error.error_message,
            };
            accepted_if(pool.respond(instance, request_id, Err(error)))
        }
        (&Method::POST, ["init", "error"]) => {
            if pool.init_error(instance, reported(&head, body)) {
                accepted()
            } else {
                refusal(StatusCode::FORBIDDEN, "InvalidStateTransition", "the init is over")
            }
        }
        _ => refusal(StatusCode::NOT_FOUND, "UnknownOperation", "there is no such operation"),
    })
}

async fn next(pool: &Arc<Pool>, instance: u64) -> Answer {
    let work = match pool.next(instance) {
        Some(work) => work.await.ok(),
        None => None,
    };
    match work {
        Some(work) => invocation(&pool.spec.name, work),
        None => refusal(
            StatusCode::FORBIDDEN,
            "InvalidStateTransition",
            "the invocation before has no response, or the process is being ended",
        ),
    }
}

fn invocation(function: &str, work: Work) -> Answer {
    let deadline_ms = work.deadline.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let arn = format!("arn:aws:lambda:{REGION}:{ACCOUNT_ID}:function:{function}");
    let mut response = json(StatusCode::OK, work.payload);
    let headers = response.headers_mut();
    for (name, value) in [
        ("lambda-runtime-aws-request-id", work.request_id),
        ("lambda-runtime-deadline-ms", deadline_ms.to_string()),
        ("lambda-runtime-invoked-function-arn", arn),
        ("lambda-runtime-trace-id", work.trace_id),
    ] {
        // Only a function's name could have characters that a header can't, and then there is no
        // header.
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    }
    response
}

fn response(pool: &Arc<Pool>, instance: u64, request_id: &str, body: Body) -> Answer {
    match body {
        Body::Whole(body) => accepted_if(pool.respond(instance, request_id, Ok(body))),
        Body::TooLarge(bytes) => {
            let message = format!(
                "Response payload size ({bytes} bytes) exceeded maximum allowed payload size \
                 ({RESPONSE_LIMIT} bytes)."
            );
            let error_type = "Function.ResponseSizeTooLarge";
            let answer = refusal(StatusCode::PAYLOAD_TOO_LARGE, error_type, &message);
            let error = InvokeError::FunctionError { error_type: error_type.to_owned(), message };
            if pool.respond(instance, request_id, Err(error)) { answer } else { accepted_if(false) }
        }
    }
}

enum Body {
    Whole(Bytes),
    /// A body of this many bytes is over the limit. It was read to its end all the same, because a
    /// process that is still sending doesn't read an answer.
    TooLarge(usize),
}

/// Reads a body, unless the process broke off.
async fn read(mut body: Incoming) -> Option<Body> {
    let mut whole = BytesMut::new();
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.ok()?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        length += data.len();
        if length <= RESPONSE_LIMIT {
            whole.extend_from_slice(&data);
        }
    }
    Some(if length <= RESPONSE_LIMIT {
        Body::Whole(whole.freeze())
    } else {
        Body::TooLarge(length)
    })
}

/// Reads the error that the process reports. The header's type counts if the body has none.
fn reported(head: &http::request::Parts, body: Body) -> ErrorBody {
    let mut error = match body {
        Body::Whole(body) => ErrorBody::read(&body),
        Body::TooLarge(bytes) => {
            ErrorBody { error_message: format!("an error of {bytes} bytes"), error_type: None }
        }
    };
    if error.error_type.is_none() {
        let header = head.headers.get("lambda-runtime-function-error-type");
        error.error_type = header.and_then(|value| value.to_str().ok()).map(str::to_owned);
    }
    error
}

fn accepted_if(known: bool) -> Answer {
    if known {
        accepted()
    } else {
        refusal(StatusCode::BAD_REQUEST, "InvalidRequestID", "Invalid request ID")
    }
}

fn accepted() -> Answer {
    json(StatusCode::ACCEPTED, Bytes::from_static(br#"{"status":"OK"}"#))
}

fn refusal(status: StatusCode, error_type: &str, message: &str) -> Answer {
    let body = serde_json::json!({ "errorType": error_type, "errorMessage": message });
    json(status, body.to_string().into())
}

fn json(status: StatusCode, body: Bytes) -> Answer {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
