//! `simulate`: the API for simulations, and every minute their next events.
//!
//! One function does both, because a call that starts a simulation sends its first events itself,
//! as the schedule does with all that follow.

// The type of the whole function is nested deeper than the compiler looks by itself.
#![recursion_limit = "256"]

use posthaste_domain::event::loops::Relayed;
use posthaste_runtime::{
    api::{self, MAX_BODY_BYTES},
    aws, telemetry,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let telemetry = telemetry::start(env!("CARGO_BIN_NAME"));
    let (routes, player) = simulate::routes(&aws::load()?)?;
    let every_minute = async |deadline| player.play_all(deadline).await;
    api::serve_and_run(routes, Relayed::Refused, MAX_BODY_BYTES, every_minute, telemetry).await
}
