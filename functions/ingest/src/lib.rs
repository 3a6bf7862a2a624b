//! Events come in through the API and go to the events queue. The function `ingest` answers these
//! calls, and `console` makes them for its pages.

mod dry_run;
mod keyed;
mod publish;

use std::time::Duration;

use axum::{Router, middleware, routing::post};
use posthaste_queue::Queue;
use posthaste_runtime::{
    aws::{self, SdkConfig},
    checks::Checks,
    config,
    door::{self, Door},
    limiter::Limiter,
};
use posthaste_store::{Bucket, Deliveries, Registry};

#[derive(Clone, axum::extract::FromRef)]
struct State {
    registry: Registry,
    deliveries: Deliveries,
    events: Queue,
    checks: Checks,
    door: Door,
    /// Of what a workspace publishes.
    limiter: Limiter,
    /// The time for which an event waits for the end of its run at most.
    hold_deadline: Duration,
}

/// The routes, with the tables and the queue that the environment variables name. `checks` are the
/// function's.
///
/// # Errors
/// A variable is missing or can't be read.
pub fn routes(sdk: &SdkConfig, checks: Checks) -> anyhow::Result<Router> {
    let dynamodb = aws::dynamodb(sdk);
    let registry = Registry::new(dynamodb.clone(), config::text("REGISTRY_TABLE")?);
    let door = Door::new(config::call_limit()?, Bucket::PublishingCalls, registry.clone());
    let state = State {
        limiter: Limiter::new(config::publish_limit()?, registry.clone()),
        registry,
        deliveries: Deliveries::new(dynamodb, config::text("DELIVERIES_TABLE")?),
        hold_deadline: config::hold_deadline()?,
        events: Queue::new(aws::sqs(sdk), config::text("EVENTS_QUEUE_URL")?),
        checks,
        door: door.clone(),
    };
    let routes = Router::new().route("/api/v1/events", post(publish::publish));
    Ok(routes.layer(middleware::from_fn_with_state(door, door::weigh)).with_state(state))
}
