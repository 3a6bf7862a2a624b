//! `/api/v1/deployment`: what an operator wants to know of the whole deployment, and sending dead
//! letters back. The calls are about all workspaces, so they need the scope that makes workspaces,
//! and a live key: a test key reaches nothing that is live.

mod figures;
mod letters;
mod queues;
mod redrives;

use axum::{
    Router,
    extract::{FromRef, FromRequestParts},
    http::request::Parts,
    middleware,
    routing::{delete, get},
};
use posthaste_domain::access::workspace::Environment;
use posthaste_runtime::{
    api::ApiError,
    auth::{Allowed, scope::WorkspacesManage},
    aws::{self, SdkConfig},
    config,
    door::{self, Door},
};
use posthaste_store::{Bucket, Deliveries, Registry, Waits};

use self::queues::Queues;

#[derive(Clone, FromRef)]
struct Shared {
    queues: Queues,
    waits: Waits,
    stage: Stage,
    door: Door,
}

/// The name of the installation's stage.
#[derive(Clone)]
struct Stage(String);

/// A caller who may see all workspaces.
struct Operator;

impl FromRequestParts<Shared> for Operator {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &Shared) -> Result<Self, ApiError> {
        let caller = Allowed::<WorkspacesManage>::from_request_parts(parts, state).await?;
        match caller.workspace.environment() {
            Environment::Live => Ok(Self),
            Environment::Test => Err(ApiError::LiveModeOnly),
        }
    }
}

/// The routes, with the tables and queues that the environment variables name.
///
/// # Errors
/// A variable is missing or can't be read.
pub(crate) fn routes(sdk: &SdkConfig) -> anyhow::Result<Router> {
    let dynamodb = aws::dynamodb(sdk);
    let registry = Registry::new(dynamodb.clone(), config::text("REGISTRY_TABLE")?);
    let door = Door::new(config::call_limit()?, Bucket::Calls, registry);
    let shared = Shared {
        queues: Queues::from_env(sdk)?,
        waits: Deliveries::new(dynamodb, config::text("DELIVERIES_TABLE")?).waits.clone(),
        stage: Stage(config::text("STAGE")?),
        door: door.clone(),
    };
    let routes = Router::new()
        .route("/api/v1/deployment", get(figures::show))
        .route("/api/v1/deployment/dead-letters", get(letters::look))
        .route("/api/v1/deployment/redrives", get(redrives::list).post(redrives::start))
        .route("/api/v1/deployment/redrives/{queue}", delete(redrives::cancel));
    Ok(routes.layer(middleware::from_fn_with_state(door, door::weigh)).with_state(shared))
}
