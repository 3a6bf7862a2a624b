//! The AWS JSON 1.0 protocol: a POST with the action in a header, answered by JSON, an error also by a header for the SDKs that grew
//! up with the query protocol (<https://smithy.io/2.0/aws/protocols/aws-query-protocol.html#x-amzn-query-error>).

use ::http::{HeaderMap, HeaderValue, Response, StatusCode, header::CONTENT_TYPE};
use axum::{Router, body::Body, extract::DefaultBodyLimit, routing::post};
use bytes::Bytes;
use serde_json::json;

use crate::{ErrorKind, Sqs, SqsError, ids};

/// A batch of 1 MiB in which JSON escapes every character, and some room.
const MAX_REQUEST_BYTES: usize = 8 * 1024 * 1024;

const CONTENT: HeaderValue = HeaderValue::from_static("application/x-amz-json-1.0");

impl Sqs {
    /// The answer as HTTP to a call of `action` with this body.
    pub async fn respond(&self, action: &str, body: Bytes) -> Response<Bytes> {
        match self.call(action, &body).await {
            Ok(answer) => respond(StatusCode::OK, Bytes::from(answer.to_string())),
            Err(error) => {
                tracing::debug!(action, code = error.code(), error = error.message, "sqs call refused");
                error.response()
            }
        }
    }

    /// `POST /`, the whole server.
    pub fn router(&self) -> Router {
        let sqs = self.clone();
        let handler = async move |headers: HeaderMap, body: Bytes| {
            let target = headers.get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
            let response = match target.strip_prefix("AmazonSQS.") {
                Some(action) => sqs.respond(action, body).await,
                None => SqsError::new(ErrorKind::UnknownOperation, format!("No action in \"{target}\".")).response(),
            };
            response.map(Body::from)
        };
        Router::new().route("/", post(handler)).layer(DefaultBodyLimit::max(MAX_REQUEST_BYTES))
    }
}

impl SqsError {
    /// The error as the server answers it.
    pub fn response(&self) -> Response<Bytes> {
        let body = json!({"__type": format!("com.amazonaws.sqs#{}", self.shape()), "message": self.message});
        let status = StatusCode::from_u16(self.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = respond(status, Bytes::from(body.to_string()));
        let fault = if self.sender_fault() { "Sender" } else { "Receiver" };
        if let Ok(value) = HeaderValue::try_from(format!("{};{fault}", self.code())) {
            response.headers_mut().insert("x-amzn-query-error", value);
        }
        response
    }
}

fn respond(status: StatusCode, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, CONTENT);
    if let Ok(id) = HeaderValue::try_from(ids::uuid().to_string()) {
        response.headers_mut().insert("x-amzn-requestid", id);
    }
    response
}
