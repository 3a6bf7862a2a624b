//! `ingest`: events come in through the API and go to the events queue.

mod dry_run;
mod keyed;
mod publish;

use std::time::Duration;

use axum::{Router, middleware, routing::post};
use posthaste_domain::event::{MAX_PUBLISH_BYTES, loops::Relayed};
use posthaste_queue::Queue;
use posthaste_runtime::{
    api, aws,
    checks::Checks,
    config,
    door::{self, Door},
    limiter::Limiter,
    telemetry,
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

#[tokio::main]
async fn main() -> Result<(), lambda_http::Error> {
    let telemetry = telemetry::start(env!("CARGO_BIN_NAME"));
    let sdk = aws::load()?;
    let dynamodb = aws::dynamodb(&sdk);
    let registry = Registry::new(dynamodb.clone(), config::text("REGISTRY_TABLE")?);
    let checks = Checks::default();
    let door = Door::new(config::call_limit()?, Bucket::PublishingCalls, registry.clone());
    let state = State {
        limiter: Limiter::new(config::publish_limit()?, registry.clone()),
        registry,
        deliveries: Deliveries::new(dynamodb, config::text("DELIVERIES_TABLE")?),
        hold_deadline: config::hold_deadline()?,
        events: Queue::new(aws::sqs(&sdk), config::text("EVENTS_QUEUE_URL")?),
        checks: checks.clone(),
        door: door.clone(),
    };
    let routes = Router::new()
        .route("/api/v1/events", post(publish::publish))
        .layer(middleware::from_fn_with_state(door, door::weigh))
        .with_state(state);
    // A body that is a little too large is refused with the call's own words.
    api::serve(routes, Relayed::Counted, MAX_PUBLISH_BYTES + 1024, Some(checks), telemetry).await
}
