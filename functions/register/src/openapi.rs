//! The OpenAPI document of the API. It needs no key and has no envelope, as the tools that read it expect.

use std::sync::OnceLock;

use axum::{
    body::Bytes,
    http::header,
    response::{IntoResponse, Response},
};
use posthaste_api::openapi;
use posthaste_runtime::api::ApiError;

/// Written when it is first asked for: a cold start for another call does without.
static DOCUMENT: OnceLock<Bytes> = OnceLock::new();

pub(crate) async fn show() -> Result<Response, ApiError> {
    let document = match DOCUMENT.get() {
        Some(document) => document,
        None => {
            let written = serde_json::to_vec(&openapi::document())?;
            DOCUMENT.get_or_init(|| written.into())
        }
    };
    Ok(([(header::CONTENT_TYPE, "application/json")], document.clone()).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_document_is_answered_as_it_is() {
        for _ in 0..2 {
            let answer = show().await.unwrap();
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
}
