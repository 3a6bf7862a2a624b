//! `register`: the API for webhooks, their history, and API keys.

mod deliveries;
mod keys;
mod webhooks;

use axum::{
    Router,
    extract::FromRef,
    routing::{delete, get},
};
use posthaste_domain::url::UrlPolicy;
use posthaste_runtime::{api, aws, config, telemetry};
use posthaste_store::{Deliveries, Registry};

#[derive(Clone, FromRef)]
struct Shared {
    registry: Registry,
    deliveries: Deliveries,
    url_policy: UrlPolicy,
}

#[tokio::main]
async fn main() -> Result<(), lambda_http::Error> {
    telemetry::start();
    let dynamodb = aws::dynamodb(&aws::load().await?);
    let shared = Shared {
        registry: Registry::new(dynamodb.clone(), config::text("REGISTRY_TABLE")?),
        deliveries: Deliveries::new(dynamodb, config::text("DELIVERIES_TABLE")?),
        url_policy: config::url_policy()?,
    };
    let routes = Router::new()
        .route("/api/v1/webhooks", get(webhooks::list).post(webhooks::create))
        .route("/api/v1/webhooks/{id}", get(webhooks::show).patch(webhooks::change).delete(webhooks::remove))
        .route("/api/v1/webhooks/{id}/deliveries", get(deliveries::list))
        .route("/api/v1/keys", get(keys::list).post(keys::create))
        .route("/api/v1/keys/{id}", delete(keys::remove));
    api::serve(routes.with_state(shared)).await
}
