use axum::{
    body::{Body, Bytes},
    extract::Path,
    routing::{get, post},
};
use posthaste_domain::{
    Timestamp,
    event::{event_type::EventType, own_type},
    simulation::too_many_running,
};
use tower::ServiceExt;

use serde_json::json;

use super::*;

fn order_created() -> EventType {
    EventType::parse("order.created").unwrap()
}

const MAX_BODY_BYTES: usize = 16;

async fn answer(method: &str, path: &str, body: impl Into<Body>) -> (Option<String>, String) {
    answer_to(method, path, &[], body).await
}

async fn answer_to(
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Body>,
) -> (Option<String>, String) {
    let routes = Router::new()
        .route("/ok", get(async || success(StatusCode::OK, json!({ "id": 1 }))))
        .route("/field", get(async || ApiError::from(Invalid::field("url", "invalid_url", "no"))))
        .route(
            "/many",
            get(async || {
                ApiError::from(Invalid::conflicting(None, "too_many_webhooks", "no more"))
            }),
        )
        .route("/types", get(async || ApiError::from(own_type::too_many(1000))))
        .route(
            "/built-in",
            get(async || ApiError::from(own_type::not_built_in(&order_created()).unwrap_err())),
        )
        .route(
            "/large-index",
            get(async || {
                ApiError::from(Invalid::conflicting(Some("events"), "too_many_subscriptions", "no"))
            }),
        )
        .route(
            "/operational",
            get(async || {
                ApiError::from(Invalid::conflicting(
                    Some("events"),
                    "too_many_operational_webhooks",
                    "no",
                ))
            }),
        )
        .route("/malformed", get(async || ApiError::from(Invalid::malformed("no"))))
        .route("/large", get(async || ApiError::from(Invalid::too_large(None, "no"))))
        .route("/unauthorized", get(async || ApiError::Unauthorized))
        .route("/forbidden", get(async || ApiError::Forbidden(Scope::KeysManage)))
        .route("/test-mode", get(async || ApiError::TestModeOnly))
        .route("/live-mode", get(async || ApiError::LiveModeOnly))
        .route("/redrive", get(async || ApiError::RedriveRunning(LetterQueue::Exhausted)))
        .route("/simulations", get(async || ApiError::from(too_many_running())))
        .route("/conflict", get(async || ApiError::Conflict))
        .route("/paused", get(async || ApiError::WebhookDisabled))
        .route("/gone", get(async || ApiError::EventGone))
        .route("/waiting", get(async || ApiError::DeliveryWaiting))
        .route(
            "/running",
            get(async || ApiError::ReplayRunning(JobId::new(Timestamp::UNIX_EPOCH, &[7; 10]))),
        )
        .route("/limited", get(async || ApiError::RateLimited(OverLimit::new(1000, 2, true))))
        .route("/calls", get(async || ApiError::TooManyCalls(OverLimit::new(100, 1, true))))
        .route(
            "/internal",
            get(async || ApiError::internal(&std::io::Error::other("the table's secret name"))),
        )
        .route("/things/{id}", get(async |_: Path<String>| StatusCode::NO_CONTENT))
        .route("/body", post(async |body: Bytes| success(StatusCode::OK, body.len())))
        .route("/no-parameter", get(async |_: Path<String>| StatusCode::NO_CONTENT));
    let request = Request::builder().method(method).uri(path);
    let request =
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let request = request.body(body.into()).unwrap();
    let response =
        with_envelope(routes, Relayed::Refused, MAX_BODY_BYTES).oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let allow =
        response.headers().get(header::ALLOW).map(|allow| allow.to_str().unwrap().to_owned());
    let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (allow, format!("{method} {path} {status} {}", String::from_utf8(body.to_vec()).unwrap()))
}

#[tokio::test]
async fn every_answer_has_the_envelope() {
    let mut answers = Vec::new();
    for path in [
        "/ok",
        "/field",
        "/many",
        "/types",
        "/built-in",
        "/large-index",
        "/operational",
        "/malformed",
        "/large",
        "/unauthorized",
        "/forbidden",
        "/test-mode",
        "/live-mode",
        "/redrive",
        "/simulations",
        "/conflict",
        "/paused",
        "/gone",
        "/waiting",
        "/running",
        "/limited",
        "/calls",
        "/internal",
        "/nowhere",
        "/things/%FF",
        "/no-parameter",
    ] {
        answers.push(answer("GET", path, Body::empty()).await.1);
    }
    answers.push(answer("POST", "/body", vec![b' '; MAX_BODY_BYTES]).await.1);
    answers.push(answer("POST", "/body", vec![b' '; MAX_BODY_BYTES + 1]).await.1);
    let broken =
        Body::from_stream(futures::stream::iter([Err::<Bytes, _>(std::io::Error::other("cut"))]));
    answers.push(answer("POST", "/body", broken).await.1);
    insta::assert_snapshot!(answers.join("\n"));
}

#[tokio::test]
async fn every_path_refuses_what_a_webhook_sends() {
    let mut answers = Vec::new();
    for path in ["/ok", "/unauthorized", "/nowhere"] {
        answers.push(
            answer_to("GET", path, &[("Webhook-Signature", "v1,AAAA")], Body::empty()).await.1,
        );
    }
    answers.push(answer_to("GET", "/ok", &[("Webhook-Hops", "0")], Body::empty()).await.1);
    answers.push(
        answer_to("POST", "/ok", &[("X-Webhook-Signature", "sha256=00")], Body::empty()).await.1,
    );
    insta::assert_snapshot!(answers.join("\n"));
}

#[tokio::test]
async fn a_compressed_body_is_refused_by_name() {
    let mut answers = Vec::new();
    for (coding, body) in [("gzip", "{}"), ("identity, br", "{}"), ("Identity", "{}"), ("gzip", "")]
    {
        answers.push(answer_to("POST", "/body", &[("Content-Encoding", coding)], body).await.1);
    }
    insta::assert_snapshot!(answers.join("\n"));
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_ones() {
    let (allow, answer) = answer("DELETE", "/ok", Body::empty()).await;
    assert_eq!(allow.as_deref(), Some("GET,HEAD"));
    assert!(
        answer.contains(r#" 405 {"success":false,"error":{"code":"method_not_allowed","#),
        "{answer}"
    );
}

#[tokio::test]
async fn what_needs_no_envelope_is_left_as_it_is() {
    assert_eq!(answer("GET", "/things/1", Body::empty()).await.1, "GET /things/1 204 ");
}
