//! The API for event types. The function `types` answers these calls, and `console` makes them for
//! its pages.

mod event_types;

use axum::{Router, extract::FromRef, middleware, routing::get};
use posthaste_runtime::{
    aws::{self, SdkConfig},
    checks::Checks,
    config,
    door::{self, Door},
};
use posthaste_store::{Bucket, Registry};

#[derive(Clone, FromRef)]
struct Shared {
    registry: Registry,
    checks: Checks,
    door: Door,
}

/// The routes, with the table that the environment variables name. `checks` are the function's.
///
/// # Errors
/// A variable is missing or can't be read.
pub fn routes(sdk: &SdkConfig, checks: Checks) -> anyhow::Result<Router> {
    let registry = Registry::new(aws::dynamodb(sdk), config::text("REGISTRY_TABLE")?);
    let door = Door::new(config::call_limit()?, Bucket::Calls, registry.clone());
    let shared = Shared { registry, checks, door: door.clone() };
    let routes = Router::new().route("/api/v1/event-types", get(event_types::list)).route(
        "/api/v1/event-types/{name}",
        get(event_types::show).put(event_types::put).delete(event_types::remove),
    );
    Ok(routes.layer(middleware::from_fn_with_state(door, door::weigh)).with_state(shared))
}
