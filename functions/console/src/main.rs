//! `console`: the pages under `/console`.
//!
//! A page is made of calls of the API, which this process answers itself: it has the routes of
//! `register`, `ingest`, `types` and `simulate`. So a person can do here what their API key can do,
//! under the same rules, and nothing else.

mod accent;
mod api;
mod assets;
mod calls;
mod control;
mod cookie;
mod curl;
mod deliveries;
mod deployment;
mod event_types;
mod events;
mod form;
mod json;
mod layout;
mod parts;
mod portal;
mod reach;
mod secure;
mod send_test;
mod settings;
mod sign_in;
mod simulations;
mod trouble;
mod visitor;
mod webhooks;

use api::Api;
use axum::{
    Router, middleware,
    routing::{any, get, post},
};
use posthaste_domain::{
    access::tokens::Limit,
    event::{MAX_PUBLISH_BYTES, loops::Relayed},
};
use posthaste_runtime::{
    api::{self as envelope, MAX_BODY_BYTES},
    aws::{self, SdkConfig},
    checks::Checks,
    config,
    door::Door,
    keys::Keys,
    limiter::Limiter,
    telemetry,
};
use posthaste_store::{Bucket, Registry};

/// The parts that every page needs.
#[derive(Debug, Clone)]
struct Console {
    api: Api,
    registry: Registry,
    keys: Keys,
    door: Door,
    /// Of the tries to sign in from one address.
    sign_ins: Limiter,
    /// The address of the local system's own receiver. A deployment has none.
    local_inbox: Option<String>,
}

/// So many tries to sign in a second from one address, after ten at once.
const SIGN_INS_PER_SECOND: u32 = 1;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let telemetry = telemetry::start(env!("CARGO_BIN_NAME"));
    let (sdk, checks) = (aws::load()?, Checks::default());
    let registry = Registry::new(aws::dynamodb(&sdk), config::text("REGISTRY_TABLE")?);
    let door = Door::new(config::call_limit()?, Bucket::Calls, registry.clone());
    let own = calls::routes(&sdk, registry.clone(), door.clone())?;
    let console = Console {
        api: Api::new(all_calls(&sdk, checks.clone(), own.clone())?),
        keys: Keys::new(aws::secrets_manager(&sdk), config::text("ENCRYPTION_KEY_ARN")?),
        door,
        sign_ins: Limiter::new(Limit::of_calls(SIGN_INS_PER_SECOND), registry.clone()),
        registry,
        local_inbox: config::text("LOCAL_INBOX_URL").ok(),
    };
    let own = envelope::public(own, Relayed::Refused, MAX_BODY_BYTES)?;
    let routes = pages(console).fallback_service(own);
    envelope::run(routes, Some(checks), telemetry).await
}

/// Every call of the API, as the other functions and this one answer it.
fn all_calls(sdk: &SdkConfig, checks: Checks, own: Router) -> anyhow::Result<Router> {
    let (simulations, _) = simulate::routes(sdk)?;
    let routes = register::routes(sdk)?
        .merge(types::routes(sdk, checks.clone())?)
        .merge(ingest::routes(sdk, checks)?)
        .merge(simulations)
        .merge(own);
    Ok(envelope::public(routes, Relayed::Refused, MAX_PUBLISH_BYTES + 1024)?)
}

fn pages(console: Console) -> Router {
    Router::new()
        .route("/console", get(sign_in::home))
        .route("/console/sign-in", get(sign_in::page).post(sign_in::sign_in))
        .route("/console/sign-out", post(sign_in::sign_out))
        .route("/console/mode", post(sign_in::switch))
        .route("/console/enter", get(portal::enter).post(portal::agree))
        .route("/console/assets/{edition}/{name}", get(assets::show))
        .merge(webhooks::routes())
        .merge(deliveries::routes())
        .merge(events::routes())
        .merge(send_test::routes())
        .merge(event_types::routes())
        .merge(simulations::routes())
        .merge(settings::routes())
        .merge(deployment::routes())
        .route("/console/{*page}", any(async || trouble::Trouble::NotFound))
        .layer(middleware::from_fn(secure::answer))
        .with_state(console)
}
