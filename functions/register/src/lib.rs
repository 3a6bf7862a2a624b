//! The API for webhooks, their history, events and API keys. The function `register` answers these
//! calls, and `console` makes them for its pages.

mod deliveries;
mod events;
mod history;
mod keys;
mod log;
mod nudge;
mod owed;
mod path;
mod reckoner;
mod replay;
mod room;
mod send_test;
mod sent;
mod webhooks;
mod workspace;

use axum::{
    Router,
    extract::FromRef,
    middleware,
    routing::{delete, get, post},
};
use nudge::Turns;
use posthaste_domain::delivery::request::USER_AGENT;
use posthaste_queue::Queue;
use posthaste_runtime::{
    aws::{self, SdkConfig},
    config,
    door::{self, Door},
    keys::Keys,
};
use posthaste_sender::Sender;
use posthaste_store::{Bucket, Deliveries, Events, Registry};
use replay::Queues;
use send_test::Tester;
use webhooks::Rules;

#[derive(Clone, FromRef)]
struct Shared {
    registry: Registry,
    events: Events,
    deliveries: Deliveries,
    rules: Rules,
    queues: Queues,
    turns: Turns,
    tester: Tester,
    keys: Keys,
    door: Door,
}

/// The routes, with the tables and queues that the environment variables name.
///
/// # Errors
/// A variable is missing or can't be read.
pub fn routes(sdk: &SdkConfig) -> anyhow::Result<Router> {
    let (dynamodb, sqs) = (aws::dynamodb(sdk), aws::sqs(sdk));
    let queue = |name| config::text(name).map(|url| Queue::new(sqs.clone(), url));
    let urls = config::url_policy()?;
    let deliveries = Deliveries::new(dynamodb.clone(), config::text("DELIVERIES_TABLE")?);
    let registry = Registry::new(dynamodb.clone(), config::text("REGISTRY_TABLE")?);
    let door = Door::new(config::call_limit()?, Bucket::Calls, registry.clone());
    let shared = Shared {
        registry,
        events: Events::new(dynamodb, config::text("EVENTS_TABLE")?),
        turns: Turns { deliveries: deliveries.clone(), queue: queue("TURNS_QUEUE_URL")? },
        deliveries,
        queues: Queues { tasks: queue("DELIVERIES_QUEUE_URL")?, pages: queue("REPLAY_QUEUE_URL")? },
        tester: Tester {
            sender: Sender::new(urls.clone(), USER_AGENT)?,
            retention: config::retention()?,
        },
        rules: Rules {
            urls,
            most: config::parsed("MAX_WEBHOOKS", "a number")?,
            default_profile: config::default_profile()?,
            retention: config::retention()?,
        },
        keys: Keys::new(aws::secrets_manager(sdk), config::text("ENCRYPTION_KEY_ARN")?)
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
        .route("/api/v1/events", get(events::list))
        .route("/api/v1/events/{id}", get(events::show))
        .route("/api/v1/events/{id}/deliveries", get(log::of_event))
        .route("/api/v1/deliveries", get(log::list))
        .route("/api/v1/workspace", get(workspace::show).patch(workspace::change))
        .route("/api/v1/keys", get(keys::list).post(keys::create))
        .route("/api/v1/keys/{id}", delete(keys::remove));
    Ok(routes.layer(middleware::from_fn_with_state(door, door::weigh)).with_state(shared))
}

#[cfg(test)]
mod tests {
    use posthaste_domain::webhook::profile::Profile;
    use serde_yaml_ng::Value;

    #[test]
    fn the_template_can_name_every_profile_as_the_default() {
        let template: Value =
            serde_yaml_ng::from_str(include_str!("../../../template.yaml")).unwrap();
        let allowed = template["Parameters"]["DefaultProfile"]["AllowedValues"].as_sequence();
        let allowed: Vec<&str> = allowed.unwrap().iter().filter_map(Value::as_str).collect();
        assert_eq!(allowed, Profile::NAMES.map(|(name, _)| name));
    }
}
