//! API Gateway's Lambda proxy integration of an HTTP API, payload format 2.0:
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::SystemTime;

use bytes::Bytes;
use http::{HeaderMap, Method, Response, StatusCode};

mod request;
mod response;

/// The largest request body that an HTTP API takes
/// (<https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html>).
pub const REQUEST_LIMIT: usize = 10 * 1024 * 1024;

/// A request as it came in, and where it goes.
#[derive(Debug, Clone)]
pub struct HttpRequest {
    /// Its method.
    pub method: Method,
    /// Its path as it was sent, still percent-encoded.
    pub path: String,
    /// What follows the `?`, as it was sent; empty if there is none.
    pub query: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// The key of the route that it takes: `POST /api/v1/events`.
    pub route_key: String,
    /// The values of the path's variables, decoded.
    pub path_parameters: BTreeMap<String, String>,
    /// The client's address.
    pub source_ip: IpAddr,
    /// An id for this request.
    pub request_id: String,
    /// When it came.
    pub time: SystemTime,
}

/// A request over [`REQUEST_LIMIT`]: the answer is [`error_response`] with 413.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a request body of {0} bytes is over the limit of an HTTP API")]
pub struct RequestTooLarge(pub usize);

/// The event that the function gets for a request.
///
/// # Errors
/// A body over the limit.
pub fn to_event(request: &HttpRequest) -> Result<Bytes, RequestTooLarge> {
    request::to_event(request)
}

/// The response that the client gets for a function's answer; a malformed answer is a 500.
pub fn to_response(answer: &[u8]) -> Response<Bytes> {
    response::to_response(answer).unwrap_or_else(|| error_response(StatusCode::INTERNAL_SERVER_ERROR))
}

/// A response of API Gateway's own: `{"message":"Not Found"}` and its like.
pub fn error_response(status: StatusCode) -> Response<Bytes> {
    response::error_response(status)
}

/// Decodes `%XX`; what isn't UTF-8 is replaced, a `%` without two digits stays.
pub(crate) fn percent_decode(text: &str) -> String {
    let mut rest = text.as_bytes();
    let mut decoded = Vec::with_capacity(rest.len());
    while let Some((&first, after)) = rest.split_first() {
        let escaped = || match *after {
            [high, low, ..] if first == b'%' => Some(digit(high)? << 4 | digit(low)?),
            _ => None,
        };
        match escaped() {
            Some(byte) => {
                decoded.push(byte);
                rest = &after[2..];
            }
            None => {
                decoded.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests;
