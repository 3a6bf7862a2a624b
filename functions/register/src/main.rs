//! `register`: the API for webhooks, their history, events and API keys.

mod deliveries;
mod events;
mod history;
mod keys;
mod nudge;
mod path;
mod reckoner;
mod replay;
mod send_test;
mod webhooks;

use axum::{
    Router,
    extract::FromRef,
    handler::Handler,
    http::header,
    middleware,
    routing::{any, delete, get, post},
};
use nudge::Turns;
use posthaste_domain::{
    delivery::request::USER_AGENT, endpoint::url::UrlPolicy, event::loops::Relayed,
};
use posthaste_queue::Queue;
use posthaste_runtime::{
    api::{self, ApiError, MAX_BODY_BYTES},
    aws, config,
    door::{self, Door},
    keys::Keys,
    telemetry,
};
use posthaste_sender::Sender;
use posthaste_store::{Deliveries, Events, Registry};
use replay::Queues;
use send_test::Tester;
use webhooks::MostWebhooks;

#[derive(Clone, FromRef)]
struct Shared {
    registry: Registry,
    events: Events,
    deliveries: Deliveries,
    url_policy: UrlPolicy,
    queues: Queues,
    turns: Turns,
    tester: Tester,
    keys: Keys,
    most_webhooks: MostWebhooks,
    door: Door,
}

#[tokio::main]
async fn main() -> Result<(), lambda_http::Error> {
    let telemetry = telemetry::start(env!("CARGO_BIN_NAME"));
    let sdk = aws::load()?;
    let (dynamodb, sqs) = (aws::dynamodb(&sdk), aws::sqs(&sdk));
    let queue = |name| config::text(name).map(|url| Queue::new(sqs.clone(), url));
    let url_policy = config::url_policy()?;
    let deliveries = Deliveries::new(dynamodb.clone(), config::text("DELIVERIES_TABLE")?);
    let registry = Registry::new(dynamodb.clone(), config::text("REGISTRY_TABLE")?);
    let door = Door::new(config::call_limit()?, registry.clone());
    let shared = Shared {
        registry,
        events: Events::new(dynamodb, config::text("EVENTS_TABLE")?),
        turns: Turns { deliveries: deliveries.clone(), queue: queue("TURNS_QUEUE_URL")? },
        deliveries,
        queues: Queues { tasks: queue("DELIVERIES_QUEUE_URL")?, pages: queue("REPLAY_QUEUE_URL")? },
        tester: Tester {
            sender: Sender::new(url_policy.clone(), USER_AGENT)?,
            retention: config::retention()?,
        },
        url_policy,
        most_webhooks: MostWebhooks(config::parsed("MAX_WEBHOOKS", "a number")?),
        keys: Keys::new(aws::secrets_manager(&sdk), config::text("ENCRYPTION_KEY_ARN")?)
            .sealing_urls(config::seal_urls()?),
        door: door.clone(),
    };
    let routes = Router::new()
        .route("/api/v1/webhooks", get(webhooks::list).post(webhooks::create))
        .route(
            "/api/v1/webhooks/{id}",
            get(webhooks::show).patch(webhooks::change).delete(webhooks::remove),
        )
        .route("/api/v1/webhooks/{id}/secret/rotate", post(webhooks::rotate))
        .route("/api/v1/webhooks/{id}/deliveries", get(deliveries::list))
        .route("/api/v1/webhooks/{id}/deliveries/{delivery}", get(deliveries::show))
        .route("/api/v1/webhooks/{id}/deliveries/{delivery}/replay", post(replay::one))
        .route("/api/v1/webhooks/{id}/test", post(send_test::send))
        .route("/api/v1/webhooks/{id}/replay", post(replay::start))
        .route("/api/v1/webhooks/{id}/replay/{job}", get(replay::show).delete(replay::cancel))
        .route("/api/v1/events", get(events::list).fallback(elsewhere("GET,HEAD,POST")))
        .route("/api/v1/events/{id}", get(events::show))
        .route("/api/v1/event-types", any(elsewhere("GET")))
        .route("/api/v1/event-types/{name}", any(elsewhere("GET,PUT,DELETE")))
        .route(posthaste_api::openapi::PATH, any(elsewhere("GET")))
        .route("/api/v1/keys", get(keys::list).post(keys::create))
        .route("/api/v1/keys/{id}", delete(keys::remove))
        .layer(middleware::from_fn_with_state(door, door::weigh));
    api::serve(routes.with_state(shared), Relayed::Refused, MAX_BODY_BYTES, None, telemetry).await
}

/// Answers 405 on a path whose other methods other functions have. Their routes are the gateway's,
/// and what has no route comes here.
fn elsewhere(allowed: &'static str) -> impl Handler<((),), Shared> {
    async move || ([(header::ALLOW, allowed)], ApiError::MethodNotAllowed)
}
