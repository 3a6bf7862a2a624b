//! The calls that API Gateway hands over.

use std::sync::LazyLock;

use axum::{
    Router,
    body::{Body, Bytes},
    http::{Request, StatusCode},
    response::Response,
    routing::{get, post},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use futures::executor::block_on;
use posthaste_api::{ListDeliveries, ListEvents, LookAtLetters, ShowEvent};
use posthaste_domain::{
    endpoint::url::UrlPolicy,
    event::{NewEvent, loops::Relayed},
    webhook::{Registration, profile::Profile},
};
use posthaste_runtime::{
    api::{self, ApiError, success},
    query::Query,
};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::choices::Choices;

const PATHS: [&str; 7] = [
    "/api/v1/events",
    "/api/v1/webhooks",
    "/api/v1/deliveries",
    "/api/v1/events/one",
    "/api/v1/letters",
    "/api/v1/none",
    "/%ff",
];
const METHODS: [&str; 5] = ["GET", "POST", "PATCH", "DELETE", "OPTIONS"];
const HEADERS: [&str; 8] = [
    "authorization",
    "content-type",
    "content-encoding",
    "content-length",
    "webhook-hops",
    "webhook-signature",
    "traceparent",
    "x-other",
];
/// The largest body of a call here: small, so that a fuzzer reaches it.
const MAX_BODY_BYTES: usize = 512;

static ROUTES: LazyLock<Router> = LazyLock::new(|| {
    no_origins();
    let routes = Router::new()
        .route("/api/v1/events", post(publish).get(async |_: Query<ListEvents>| found()))
        .route("/api/v1/events/one", get(async |_: Query<ShowEvent>| found()))
        .route("/api/v1/deliveries", get(async |_: Query<ListDeliveries>| found()))
        .route("/api/v1/letters", get(async |_: Query<LookAtLetters>| found()))
        .route("/api/v1/webhooks", post(register));
    api::public(routes, Relayed::Counted, MAX_BODY_BYTES).expect("no origins are configured")
});

/// Configures that no page of another origin may call the API.
#[allow(unsafe_code, reason = "a function's settings are environment variables")]
fn no_origins() {
    // Whatever reads variables here does so with Rust's own functions, which wait for this one.
    unsafe { std::env::set_var("CORS_ORIGINS", "") };
}

fn found() -> Response {
    success(StatusCode::OK, json!({}))
}

async fn publish(body: Bytes) -> Result<Response, ApiError> {
    let published = NewEvent::parse_call(&body)?;
    Ok(success(StatusCode::ACCEPTED, published.events().len()))
}

async fn register(body: Bytes) -> Result<Response, ApiError> {
    let read = Registration::parse(&body, &UrlPolicy::default(), Profile::default())?;
    Ok(success(StatusCode::CREATED, read.settings))
}

/// Any call is answered in the envelope: with `success` and data, or with an error that has a code
/// and a sentence. None is our fault.
pub(crate) fn answers_in_the_envelope(input: &[u8]) -> bool {
    let event = event(Choices::new(input)).to_string();
    // No header that arrives has control characters.
    let Ok(request) = lambda_http::request::from_str(&event) else { return false };
    block_on(answer(request.map(Body::new)))
}

/// Makes the call, checks its answer, and says whether it is a success.
async fn answer(request: Request<Body>) -> bool {
    let is_head = request.method() == "HEAD";
    let is_preflight = request.method() == "OPTIONS";
    let Ok(response) = ROUTES.clone().oneshot(request).await;
    let status = response.status();
    assert!(!status.is_server_error(), "{status}");
    let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.expect("a body");
    if is_head || is_preflight && body.is_empty() {
        return status.is_success();
    }
    let answer: Value = serde_json::from_slice(&body).expect("an answer is JSON");
    assert_eq!(answer["success"], status.is_success(), "{status}: {answer}");
    if !status.is_success() {
        let error = &answer["error"];
        assert!(error["code"].is_string() && error["message"].is_string(), "{status}: {answer}");
    }
    status.is_success()
}

/// An event as API Gateway makes it of an HTTP request.
fn event(mut choices: Choices<'_>) -> Value {
    let method = choices.one_of(&METHODS);
    let path = choices.one_of(&PATHS);
    let mut headers = serde_json::Map::new();
    for _ in 0..choices.below(4) {
        headers.insert(choices.one_of(&HEADERS).to_owned(), choices.text(24).into());
    }
    let query = sendable(&choices.text(64));
    let is_encoded = choices.flag();
    let body = choices.rest();
    let body =
        if is_encoded { STANDARD.encode(body) } else { String::from_utf8_lossy(body).into_owned() };
    json!({
        "version": "2.0",
        "routeKey": format!("{method} {path}"),
        "rawPath": path,
        "rawQueryString": query,
        "headers": headers,
        "requestContext": {
            "accountId": "000000000000", "apiId": "api", "domainName": "api.example.com",
            "http": {
                "method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1",
                "userAgent": "fuzz",
            },
            "requestId": "r-1", "routeKey": format!("{method} {path}"), "stage": "$default",
            "time": "12/Mar/2020:19:03:58 +0000", "timeEpoch": 1_583_348_638_390_i64,
        },
        "body": body,
        "isBase64Encoded": is_encoded,
    })
}

/// A query as an HTTP client can send it: `lambda_http` makes a URI of it, or panics.
fn sendable(query: &str) -> String {
    let mut sent = String::new();
    for byte in query.bytes() {
        match byte {
            b'"' | b'#' | b'<' | b'>' => sent.push_str(&format!("%{byte:02X}")),
            b'!'..=b'~' => sent.push(char::from(byte)),
            _ => sent.push_str(&format!("%{byte:02X}")),
        }
    }
    sent
}
