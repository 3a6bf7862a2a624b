//! `types`: the API for event types, and the OpenAPI document of the whole API.
//!
//! Only these calls need the code that compiles JSON Schemas, and the document. They have a
//! function of their own, so that `register`, which answers most calls, stays small and starts
//! fast.

mod event_types;
mod openapi;

use axum::{Router, extract::FromRef, middleware, routing::get};
use posthaste_domain::event::loops::Relayed;
use posthaste_runtime::{
    api::{self, MAX_BODY_BYTES},
    aws,
    checks::Checks,
    config,
    door::{self, Door},
    telemetry,
};
use posthaste_store::{Bucket, Registry};

#[derive(Clone, FromRef)]
struct Shared {
    registry: Registry,
    checks: Checks,
    door: Door,
}

#[tokio::main]
async fn main() -> Result<(), lambda_http::Error> {
    let telemetry = telemetry::start(env!("CARGO_BIN_NAME"));
    let registry = Registry::new(aws::dynamodb(&aws::load()?), config::text("REGISTRY_TABLE")?);
    let checks = Checks::default();
    let door = Door::new(config::call_limit()?, Bucket::Calls, registry.clone());
    let shared = Shared { registry, checks: checks.clone(), door: door.clone() };
    let routes = Router::new()
        .route("/api/v1/event-types", get(event_types::list))
        .route(
            "/api/v1/event-types/{name}",
            get(event_types::show).put(event_types::put).delete(event_types::remove),
        )
        .route(posthaste_api::openapi::PATH, get(openapi::show))
        .layer(middleware::from_fn_with_state(door, door::weigh));
    api::serve(routes.with_state(shared), Relayed::Refused, MAX_BODY_BYTES, Some(checks), telemetry)
        .await
}
