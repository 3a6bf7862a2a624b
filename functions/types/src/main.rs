//! `types`: the API for event types, and the OpenAPI document of the whole API.
//!
//! Only these calls need the code that compiles JSON Schemas, and the document. They have a
//! function of their own, so that `register`, which answers most calls, stays small and starts
//! fast.

mod openapi;

use axum::routing::get;
use posthaste_domain::event::loops::Relayed;
use posthaste_runtime::{
    api::{self, MAX_BODY_BYTES},
    aws,
    checks::Checks,
    telemetry,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let telemetry = telemetry::start(env!("CARGO_BIN_NAME"));
    let checks = Checks::default();
    let routes = types::routes(&aws::load()?, checks.clone())?
        .route(posthaste_api::openapi::PATH, get(openapi::show));
    api::serve(routes, Relayed::Refused, MAX_BODY_BYTES, Some(checks), telemetry).await
}
