//! The envelope of every answer, and the one place where an error becomes an HTTP status.

mod answer;
mod scheduled;
mod serve;

use axum::{
    Router,
    body::HttpBody,
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use lambda_http::RequestExt;
use posthaste_domain::{
    Invalid,
    access::api_key::Scope,
    deployment::LetterQueue,
    event::loops::{self, Relayed},
    id::JobId,
    input::{Complaint, Failure, InvalidKind},
    metrics::Metric,
};
use posthaste_queue::QueueError;
use posthaste_store::{StoreError, Unread};
use serde::Serialize;
use tracing::{Instrument, field::Empty};

use self::answer::Answer;
use crate::{checks::Unchecked, keys::KeysError, limiter::OverLimit, telemetry};

/// `{"success": true, "data": …}`
pub fn success(status: StatusCode, data: impl Serialize) -> Response {
    #[derive(Serialize)]
    struct Success<T> {
        success: bool,
        data: T,
    }
    (status, axum::Json(Success { success: true, data })).into_response()
}

/// The reason why a call failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ApiError {
    /// What the client sent can't be taken.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The path or the query has parts that are not what they have to be, or the body breaks off.
    #[error("the request's path, query or body can't be read")]
    Unreadable,
    /// No key, or one that does not exist.
    #[error("the call needs an Authorization header with a valid API key: Bearer spk_live_…")]
    Unauthorized,
    /// The key lacks a scope.
    #[error("the API key lacks the scope {}", .0.name())]
    Forbidden(Scope),
    /// The key is for live use, and the call is for tests.
    #[error("the call is for test mode: make it with a key that begins with spk_test_")]
    TestModeOnly,
    /// The key is for tests, and the call is about what is live, too.
    #[error("the call is about all that is live: make it with a key that begins with spk_live_")]
    LiveModeOnly,
    /// There is no such thing, or it is another workspace's.
    #[error("there is no {0} here")]
    NotFound(&'static str),
    /// The path exists, the method does not.
    #[error("the path does not take this method")]
    MethodNotAllowed,
    /// The body is written in a content coding such as gzip.
    #[error(
        "a body with Content-Encoding: {0} is not taken: send it as plain JSON, without this header"
    )]
    Encoded(String),
    /// Somebody else changed it at the same time, again and again.
    #[error("it was changed by another call at the same time: read it again and repeat the change")]
    Conflict,
    /// The webhook is paused, so nothing new goes to it.
    #[error("the webhook is paused or disabled: enable it first")]
    WebhookDisabled,
    /// The event of a delivery is past its retention, or was never stored.
    #[error("the delivery's event is no longer stored")]
    EventGone,
    /// The delivery is in its webhook's backlog: it was not made yet, so it can't be made again.
    #[error("the delivery is still waiting for its webhook, and goes out by itself")]
    DeliveryWaiting,
    /// At most one replay runs for a webhook.
    #[error("the replay {0} is running for this webhook")]
    ReplayRunning(JobId),
    /// The dead letters of a queue are being sent back.
    #[
        error(
            "a redrive of the dead letters of {} is running: wait until it is over, or cancel it",
            .0.name()
        )
    ]
    RedriveRunning(LetterQueue),
    /// The workspace publishes more than it may.
    #[
        error(
            "the workspace publishes more than {} events a second: repeat the call in {} s",
            .0.per_second, .0.seconds
        )
    ]
    RateLimited(OverLimit),
    /// The API keys of the workspace make more calls together than they may.
    #[
        error(
            "the workspace makes more than {} calls a second: repeat the call in {} s",
            .0.per_second, .0.seconds
        )
    ]
    TooManyCalls(OverLimit),
    /// Our fault. The cause is in the log, under the request's id.
    #[error("something went wrong on our side; the request id finds it in the log")]
    Internal,
}

impl ApiError {
    /// Logs what happened; the client learns only that it did.
    pub fn internal(error: &dyn std::error::Error) -> Self {
        let causes = std::iter::successors(error.source(), |error| error.source());
        let causes: Vec<String> = causes.map(ToString::to_string).collect();
        tracing::error!(%error, ?causes, "a call failed");
        Self::Internal
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Invalid(invalid) => match invalid.kind {
                InvalidKind::Malformed => StatusCode::BAD_REQUEST,
                InvalidKind::Unacceptable => StatusCode::UNPROCESSABLE_ENTITY,
                InvalidKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
                InvalidKind::Conflicting => StatusCode::CONFLICT,
            },
            Self::Unreadable => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) | Self::TestModeOnly | Self::LiveModeOnly => StatusCode::FORBIDDEN,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Encoded(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Conflict
            | Self::WebhookDisabled
            | Self::EventGone
            | Self::DeliveryWaiting
            | Self::ReplayRunning(_)
            | Self::RedriveRunning(_) => StatusCode::CONFLICT,
            Self::RateLimited(_) | Self::TooManyCalls(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Invalid(invalid) => invalid.code,
            Self::Unreadable => "malformed_request",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden(_) => "forbidden",
            Self::TestModeOnly => "test_mode_only",
            Self::LiveModeOnly => "live_mode_only",
            Self::NotFound(_) => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::Encoded(_) => "unsupported_content_encoding",
            Self::Conflict => "conflict",
            Self::WebhookDisabled => "webhook_disabled",
            Self::EventGone => "event_gone",
            Self::DeliveryWaiting => "delivery_waiting",
            Self::ReplayRunning(_) => "replay_running",
            Self::RedriveRunning(_) => "redrive_running",
            Self::RateLimited(_) => "rate_limited",
            Self::TooManyCalls(_) => "too_many_calls",
            Self::Internal => "internal_error",
        }
    }

    fn field(&self) -> Option<&str> {
        match self {
            Self::Invalid(invalid) => invalid.field.as_deref(),
            Self::Encoded(_) => Some("Content-Encoding"),
            _ => None,
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Contended { .. } => Self::Conflict,
            _ => Self::internal(&error),
        }
    }
}

impl From<QueueError> for ApiError {
    fn from(error: QueueError) -> Self {
        Self::internal(&error)
    }
}

impl From<KeysError> for ApiError {
    fn from(error: KeysError) -> Self {
        Self::internal(&error)
    }
}

impl From<getrandom::Error> for ApiError {
    fn from(error: getrandom::Error) -> Self {
        Self::internal(&error)
    }
}

impl From<Unread> for ApiError {
    fn from(_: Unread) -> Self {
        Self::Internal
    }
}

impl From<Unchecked> for ApiError {
    fn from(_: Unchecked) -> Self {
        Self::Internal
    }
}

impl From<serde_json::Error> for ApiError {
    fn from(error: serde_json::Error) -> Self {
        Self::internal(&error)
    }
}

impl IntoResponse for ApiError {
    /// The body is written by [`serve`]'s outermost layer, which knows the request's id.
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

pub use scheduled::serve_and_run;
pub use serve::{public, run, serve};

/// The largest body that a call takes that publishes nothing: 256 KiB, far more than any of them
/// needs.
pub use posthaste_domain::input::MAX_BODY_BYTES;

/// The number of hops that the events have that a call publishes: an extension of its request.
#[derive(Debug, Clone, Copy)]
pub struct Hops(pub u8);

fn with_envelope(routes: Router, relayed: Relayed, max_body_bytes: usize) -> Router {
    routes
        .fallback(async || ApiError::NotFound("such path"))
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .layer(DefaultBodyLimit::max(max_body_bytes))
        .layer(middleware::from_fn(refuse_encodings))
        .layer(middleware::from_fn_with_state(relayed, refuse_loops))
        .layer(middleware::from_fn_with_state(max_body_bytes, write_errors))
}

/// Returns what a refusal of axum's own means: it answers one when an extractor can't read the
/// request, and only with a status and a text.
fn refused_by_axum(status: StatusCode, max_body_bytes: usize) -> Option<ApiError> {
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        Some(
            Invalid::too_large(None, format!("the body may have at most {max_body_bytes} bytes"))
                .into(),
        )
    } else if status.is_client_error() {
        Some(ApiError::Unreadable)
    } else if status.is_server_error() {
        tracing::error!(http.status = status.as_u16(), "a route is wired wrongly");
        Some(ApiError::Internal)
    } else {
        None
    }
}

/// A webhook's own request is known by its headers, so it costs no look at a key.
async fn refuse_loops(
    State(relayed): State<Relayed>,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let headers = request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    let hops = loops::check(headers, relayed)?;
    request.extensions_mut().insert(Hops(hops));
    Ok(next.run(request).await)
}

/// A body is taken as it is: what is compressed could be any size. Without a body the header says
/// nothing.
async fn refuse_encodings(request: Request, next: Next) -> Result<Response, ApiError> {
    const MAX_SHOWN: usize = 40;
    let codings = request.headers().get_all(header::CONTENT_ENCODING).iter();
    let codings: Vec<_> =
        codings.flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).collect();
    let foreign = codings
        .iter()
        .map(|coding| coding.trim_ascii())
        .find(|coding| !coding.eq_ignore_ascii_case(b"identity"));
    match foreign {
        Some(coding) if !request.body().is_end_stream() => Err(ApiError::Encoded(
            String::from_utf8_lossy(coding).chars().take(MAX_SHOWN).collect(),
        )),
        _ => Ok(next.run(request).await),
    }
}

async fn write_errors(
    State(max_body_bytes): State<usize>,
    request: Request,
    next: Next,
) -> Response {
    let request_id =
        request.lambda_context_ref().map(|context| context.request_id.clone()).unwrap_or_default();
    let span = tracing::error_span!(
        "request",
        http.method = %request.method(),
        http.path = request.uri().path(),
        workspace = Empty,
        webhook.id = Empty
    );
    let mut response = next.run(request).instrument(span).await;
    let error = response
        .extensions_mut()
        .remove()
        .or_else(|| refused_by_axum(response.status(), max_body_bytes));
    let Some(error) = error else { return response };
    telemetry::count(Metric::Faults, usize::from(error.status().is_server_error()));
    let allow = response.headers_mut().remove(header::ALLOW);
    let failure = Failure {
        success: false,
        error: Complaint {
            code: error.code(),
            message: error.to_string(),
            field: error.field(),
            request_id: &request_id,
        },
    };
    let mut response = (error.status(), axum::Json(failure)).into_response();
    if matches!(error, ApiError::Unauthorized) {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if matches!(error, ApiError::Encoded(_)) {
        response
            .headers_mut()
            .insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    }
    if let ApiError::RateLimited(over) | ApiError::TooManyCalls(over) = error {
        response.headers_mut().insert(header::RETRY_AFTER, over.seconds.into());
    }
    if let Some(allow) = allow {
        response.headers_mut().insert(header::ALLOW, allow);
    }
    response
}

#[cfg(test)]
mod tests;
