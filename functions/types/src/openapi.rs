//! The OpenAPI document of the API. It needs no key and has no envelope, as the tools that read it
//! expect.

use axum::{
    body::Bytes,
    http::header,
    response::{IntoResponse, Response},
};

/// `build.rs` makes it.
const DOCUMENT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/openapi.json"));

pub(crate) async fn show() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], Bytes::from_static(DOCUMENT)).into_response()
}

#[cfg(test)]
mod tests {
    use posthaste_api::openapi;

    use super::*;

    #[tokio::test]
    async fn the_document_is_answered_as_it_is() {
        let answer = show().await;
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()[header::CONTENT_TYPE]),
            (200, &"application/json".parse().unwrap())
        );
        let body = axum::body::to_bytes(answer.into_body(), usize::MAX).await.unwrap();
        let document: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(document, serde_json::to_value(openapi::document()).unwrap());
        assert_eq!(posthaste_api::check::answer("GET", openapi::PATH, 200, &document), Ok(()));
    }
}
