//! An answer as API Gateway takes it.

use std::pin::Pin;

use axum::{body::to_bytes, response::Response};
use lambda_http::{Body, IntoResponse};

/// An answer whose text is UTF-8, as all of the API's are. `lambda_http` by itself would look into
/// its `Content-Type`, and bring the tables of all character sets for that: a twentieth of a
/// function's size.
pub(super) struct Answer(pub(super) Response);

impl IntoResponse for Answer {
    fn into_response(self) -> Pin<Box<dyn Future<Output = Response<Body>> + Send>> {
        Box::pin(async {
            let (parts, body) = self.0.into_parts();
            // What the routes answer is in memory already, so nothing breaks off here.
            let bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
            let body = match String::from_utf8(bytes.into()) {
                Ok(text) if text.is_empty() => Body::Empty,
                Ok(text) => Body::Text(text),
                Err(other) => Body::Binary(other.into_bytes()),
            };
            Response::from_parts(parts, body)
        })
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use super::*;

    async fn body(bytes: &'static [u8]) -> Body {
        let response = (StatusCode::CREATED, [("content-type", "application/json")], bytes);
        let answer =
            Answer(axum::response::IntoResponse::into_response(response)).into_response().await;
        assert_eq!(
            (answer.status(), &answer.headers()["content-type"] == "application/json"),
            (StatusCode::CREATED, true)
        );
        answer.into_body()
    }

    #[tokio::test]
    async fn text_is_text_and_all_else_is_binary() {
        assert_eq!(body("{\"a\":\"ü\"}".as_bytes()).await, Body::Text("{\"a\":\"ü\"}".to_owned()));
        assert_eq!(body(b"").await, Body::Empty);
        assert_eq!(body(b"\xff").await, Body::Binary(vec![0xff]));
    }
}
