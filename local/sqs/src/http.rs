//! The server speaks the AWS JSON 1.0 protocol. A call is a POST with the action in a header, and
//! the answer is JSON. An error has a header too, for the SDKs that grew up with the query protocol
//! (<https://smithy.io/2.0/aws/protocols/aws-query-protocol.html#x-amzn-query-error>).

use ::http::{HeaderMap, HeaderValue, Response, StatusCode, header::CONTENT_TYPE};
use axum::{Router, body::Body, extract::DefaultBodyLimit, routing::post};
use bytes::Bytes;
use serde_json::json;

use crate::{ErrorKind, Sqs, SqsError, ids};

/// A request may have a batch of 1 MiB in which JSON escapes every character, and a little more.
const MAX_REQUEST_BYTES: usize = 8 * 1024 * 1024;

const CONTENT: HeaderValue = HeaderValue::from_static("application/x-amz-json-1.0");

impl Sqs {
    /// Carries out a call of `action` with this body, and returns the answer as HTTP.
    pub async fn respond(&self, action: &str, body: Bytes) -> Response<Bytes> {
        match self.call(action, &body).await {
            Ok(answer) => respond(StatusCode::OK, Bytes::from(answer.to_string())),
            Err(error) => {
                tracing::debug!(
                    action,
                    code = error.code(),
                    error = error.message,
                    "sqs call refused"
                );
                error.response()
            }
        }
    }

    /// Makes the router of the whole server, which has the route `POST /`.
    pub fn router(&self) -> Router {
        let sqs = self.clone();
        let route = post(async move |headers: HeaderMap, body: Bytes| {
            sqs.answer(&headers, body).await.map(Body::from)
        });
        Router::new().route("/", route).layer(DefaultBodyLimit::max(MAX_REQUEST_BYTES))
    }

    async fn answer(&self, headers: &HeaderMap, body: Bytes) -> Response<Bytes> {
        let target =
            headers.get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
        match target.strip_prefix("AmazonSQS.") {
            Some(action) => self.respond(action, body).await,
            None => {
                SqsError::new(ErrorKind::UnknownOperation, format!("No action in \"{target}\"."))
                    .response()
            }
        }
    }
}

impl SqsError {
    /// Makes the answer that the server gives with this error.
    pub fn response(&self) -> Response<Bytes> {
        let body = json!({
            "__type": format!("com.amazonaws.sqs#{}", self.shape()), "message": self.message,
        });
        let status =
            StatusCode::from_u16(self.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
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
