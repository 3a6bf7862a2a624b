//! Running the routes of a function.

use axum::Router;
use lambda_http::{Adapter, tower::ServiceExt};
use lambda_runtime::Runtime;
use posthaste_domain::event::loops::Relayed;

use super::{answer::Answer, with_envelope};
use crate::{
    checks::Checks,
    config::{self, ConfigError},
    cors,
    telemetry::Telemetry,
};

/// Runs a function's routes: unknown paths and methods and unreadable requests answer in the
/// envelope too, and every error tells the request's id. A call that a webhook makes is refused
/// before anything else; of one that a relay sends, `relayed` says what is made, and [`Hops`] tells
/// of it. A body larger than `max_body_bytes` answers 413. A call that refuses a smaller body with
/// its own words has to get it: leave a little room above the call's own bound. `telemetry` is the
/// function's. Where one of its `checks`, if it makes any, did not end in time, the process ends
/// after the answer.
pub async fn serve(
    routes: Router,
    relayed: Relayed,
    max_body_bytes: usize,
    checks: Option<Checks>,
    telemetry: Telemetry,
) -> Result<(), lambda_http::Error> {
    run(public(routes, relayed, max_body_bytes)?, checks, telemetry).await
}

/// Runs routes that are complete as they are.
pub async fn run(
    routes: Router,
    checks: Option<Checks>,
    telemetry: Telemetry,
) -> Result<(), lambda_http::Error> {
    let runtime = Runtime::new(Adapter::from(ServiceExt::<lambda_http::Request>::map_response(
        routes, Answer,
    )));
    runtime.layer(telemetry).layer(checks.unwrap_or_default().ending()).run().await
}

/// The routes as [`serve`] runs them.
///
/// # Errors
/// The origins whose pages may call the API can't be read.
pub fn public(
    routes: Router,
    relayed: Relayed,
    max_body_bytes: usize,
) -> Result<Router, ConfigError> {
    Ok(cors::allowing(with_envelope(routes, relayed, max_body_bytes), config::cors_origins()?))
}
