//! An HTTP API invokes functions by API Gateway's Lambda proxy integration, in payload format 2.0:
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

/// A request as it came in, with the route that it takes.
#[derive(Debug, Clone)]
pub struct HttpRequest {
    /// The HTTP method.
    pub method: Method,
    /// The path as it was sent, still percent-encoded.
    pub path: String,
    /// The text after the `?`, as it was sent. It is empty if there is none.
    pub query: String,
    /// The headers, repeated ones included.
    pub headers: HeaderMap,
    /// The bytes of the body.
    pub body: Bytes,
    /// The key of the route, for example `POST /api/v1/events`.
    pub route_key: String,
    /// The decoded values of the path's variables.
    pub path_parameters: BTreeMap<String, String>,
    /// The client's address, which the function sees as `sourceIp`.
    pub source_ip: IpAddr,
    /// An id that the function sees as `requestId`.
    pub request_id: String,
    /// The time of arrival.
    pub time: SystemTime,
}

/// The request's body is longer than [`REQUEST_LIMIT`]. The answer is [`error_response`] with 413.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a request body of {0} bytes is over the limit of an HTTP API")]
pub struct RequestTooLarge(pub usize);

/// Makes the event that the function gets for a request.
///
/// # Errors
/// The body is over the limit.
pub fn to_event(request: &HttpRequest) -> Result<Bytes, RequestTooLarge> {
    request::to_event(request)
}

/// Makes the response that the client gets for a function's answer. A malformed answer becomes a
/// 500.
pub fn to_response(answer: &[u8]) -> Response<Bytes> {
    response::to_response(answer)
        .unwrap_or_else(|| error_response(StatusCode::INTERNAL_SERVER_ERROR))
}

/// Makes a response of API Gateway's own, such as `{"message":"Not Found"}`.
pub fn error_response(status: StatusCode) -> Response<Bytes> {
    response::error_response(status)
}

/// Decodes `%XX`. Bytes that aren't UTF-8 are replaced, and a `%` without two digits stays.
pub(crate) fn percent_decode(text: &str) -> String {
    let mut rest = text.as_bytes();
    let mut decoded = Vec::with_capacity(rest.len());
    while let Some((&first, after)) = rest.split_first() {
        if first == b'%'
            && let Some(byte) = escaped(after)
        {
            decoded.push(byte);
            rest = &after[2..];
        } else {
            decoded.push(first);
            rest = after;
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// Reads the byte that two hexadecimal digits stand for.
fn escaped(text: &[u8]) -> Option<u8> {
    let [high, low, ..] = *text else { return None };
    Some(digit(high)? << 4 | digit(low)?)
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests;
