//! `register`: the API for webhooks, their history, events and API keys.

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
    handler::Handler,
    http::header,
    middleware,
    routing::{MethodRouter, delete, get, post},
};
use nudge::Turns;
use posthaste_domain::{delivery::request::USER_AGENT, event::loops::Relayed};
use posthaste_queue::Queue;
use posthaste_runtime::{
    api::{self, ApiError, MAX_BODY_BYTES},
    aws, config,
    door::{self, Door},
    keys::Keys,
    telemetry,
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

#[tokio::main]
async fn main() -> Result<(), lambda_http::Error> {
    let telemetry = telemetry::start(env!("CARGO_BIN_NAME"));
    let sdk = aws::load()?;
    let (dynamodb, sqs) = (aws::dynamodb(&sdk), aws::sqs(&sdk));
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
        .route("/api/v1/events", get(events::list))
        .route("/api/v1/events/{id}", get(events::show))
        .route("/api/v1/events/{id}/deliveries", get(log::of_event))
        .route("/api/v1/deliveries", get(log::list))
        .route("/api/v1/workspace", get(workspace::show).patch(workspace::change))
        .route("/api/v1/keys", get(keys::list).post(keys::create))
        .route("/api/v1/keys/{id}", delete(keys::remove));
    let routes =
        with_paths_of_others(routes).layer(middleware::from_fn_with_state(door, door::weigh));
    api::serve(routes.with_state(shared), Relayed::Refused, MAX_BODY_BYTES, None, telemetry).await
}

/// The paths with methods that other functions have, and all methods of each: the header `Allow`.
const PATHS_OF_OTHERS: [(&str, &str); 7] = [
    ("/api/v1/event-types", "GET,HEAD"),
    ("/api/v1/event-types/{name}", "DELETE,GET,HEAD,PUT"),
    ("/api/v1/events", "GET,HEAD,POST"),
    (posthaste_api::openapi::PATH, "GET,HEAD"),
    ("/api/v1/simulations", "GET,HEAD,POST"),
    ("/api/v1/simulations/{id}", "GET,HEAD"),
    ("/api/v1/simulations/{id}/cancel", "POST"),
];

/// Answers 405 on the paths of other functions. Their methods are routes of the gateway, and a
/// method that has no route comes here.
fn with_paths_of_others(mut routes: Router<Shared>) -> Router<Shared> {
    for (path, allowed) in PATHS_OF_OTHERS {
        routes = routes.route(path, MethodRouter::new().fallback(elsewhere(allowed)));
    }
    routes
}

fn elsewhere(allowed: &'static str) -> impl Handler<((),), Shared> {
    async move || ([(header::ALLOW, allowed)], ApiError::MethodNotAllowed)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use posthaste_domain::webhook::profile::Profile;
    use serde_yaml_ng::Value;

    use super::*;

    #[test]
    fn the_template_can_name_every_profile_as_the_default() {
        let template: Value =
            serde_yaml_ng::from_str(include_str!("../../../template.yaml")).unwrap();
        let allowed = template["Parameters"]["DefaultProfile"]["AllowedValues"].as_sequence();
        let allowed: Vec<&str> = allowed.unwrap().iter().filter_map(Value::as_str).collect();
        assert_eq!(allowed, Profile::NAMES.map(|(name, _)| name));
    }

    #[test]
    fn the_paths_of_others_are_those_of_the_template() {
        let template: Value =
            serde_yaml_ng::from_str(include_str!("../../../template.yaml")).unwrap();
        let mut methods: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        let mut of_others = BTreeSet::new();
        for (resource, declared) in template["Resources"].as_mapping().unwrap() {
            for (_, event) in declared["Properties"]["Events"].as_mapping().into_iter().flatten() {
                let route = &event["Properties"];
                let (Some(method), Some(path)) = (route["Method"].as_str(), route["Path"].as_str())
                else {
                    continue;
                };
                let methods = methods.entry(path).or_default();
                methods.insert(method);
                if resource.as_str() != Some("RegisterFunction") {
                    of_others.insert(path);
                } else if method == "GET" {
                    // HEAD has no route there, so it comes to this function, which answers it.
                    methods.insert("HEAD");
                }
            }
        }
        let mut expected = Vec::new();
        for path in of_others {
            let methods = &methods[path];
            assert!(!methods.contains("GET") || methods.contains("HEAD"), "{path} takes no HEAD");
            expected.push((path, methods.iter().copied().collect::<Vec<_>>().join(",")));
        }
        assert_eq!(PATHS_OF_OTHERS.map(|(path, allowed)| (path, allowed.to_owned())), expected[..]);
    }
}
