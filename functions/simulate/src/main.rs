//! `simulate`: the API for simulations, and every minute their next events.
//!
//! One function does both, because a call that starts a simulation sends its first events itself,
//! as the schedule does with all that follow.

mod calls;
mod play;

use std::time::Duration;

use axum::{
    Router,
    extract::FromRef,
    middleware,
    routing::{get, post},
};
use play::Player;
use posthaste_domain::event::loops::Relayed;
use posthaste_runtime::{
    api::{self, MAX_BODY_BYTES},
    aws, config,
    door::{self, Door},
    telemetry,
};
use posthaste_store::{Bucket, Registry};

#[derive(Clone, FromRef)]
struct Shared {
    registry: Registry,
    player: Player,
    retention: Duration,
    door: Door,
}

#[tokio::main]
async fn main() -> Result<(), lambda_http::Error> {
    let telemetry = telemetry::start(env!("CARGO_BIN_NAME"));
    let sdk = aws::load()?;
    let registry = Registry::new(aws::dynamodb(&sdk), config::text("REGISTRY_TABLE")?);
    let events = config::queue(&aws::sqs(&sdk), "EVENTS_QUEUE_URL")?;
    let player = Player { simulations: registry.simulations.clone(), events };
    let door = Door::new(config::call_limit()?, Bucket::Calls, registry.clone());
    let shared = Shared {
        registry,
        player: player.clone(),
        retention: config::retention()?,
        door: door.clone(),
    };
    let routes = Router::new()
        .route("/api/v1/simulations", get(calls::list).post(calls::start))
        .route("/api/v1/simulations/{id}", get(calls::show))
        .route("/api/v1/simulations/{id}/cancel", post(calls::cancel))
        .layer(middleware::from_fn_with_state(door, door::weigh))
        .with_state(shared);
    let every_minute = async |deadline| player.play_all(deadline).await;
    api::serve_and_run(routes, Relayed::Refused, MAX_BODY_BYTES, every_minute, telemetry).await
}
