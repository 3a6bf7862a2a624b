//! The API for simulations, and their player. The function `simulate` has both, and `console` makes
//! the calls for its pages.

mod calls;
mod play;

use std::time::Duration;

use axum::{
    Router,
    extract::FromRef,
    middleware,
    routing::{get, post},
};
use posthaste_runtime::{
    aws::{self, SdkConfig},
    config,
    door::{self, Door},
};
use posthaste_store::{Bucket, Registry};

pub use play::Player;

#[derive(Clone, FromRef)]
struct Shared {
    registry: Registry,
    player: Player,
    retention: Duration,
    door: Door,
}

/// The routes and their player, with the table and the queue that the environment variables name.
///
/// # Errors
/// A variable is missing or can't be read.
pub fn routes(sdk: &SdkConfig) -> anyhow::Result<(Router, Player)> {
    let registry = Registry::new(aws::dynamodb(sdk), config::text("REGISTRY_TABLE")?);
    let events = config::queue(&aws::sqs(sdk), "EVENTS_QUEUE_URL")?;
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
    Ok((routes, player))
}
