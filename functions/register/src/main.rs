//! `register`: the API for webhooks, their history, events and API keys. It also answers on the
//! paths that nobody has.

use axum::{Router, handler::Handler, http::header, routing::MethodRouter};
use posthaste_domain::event::loops::Relayed;
use posthaste_runtime::{
    api::{self, ApiError, MAX_BODY_BYTES},
    aws, telemetry,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let telemetry = telemetry::start(env!("CARGO_BIN_NAME"));
    let routes = with_paths_of_others(register::routes(&aws::load()?)?);
    api::serve(routes, Relayed::Refused, MAX_BODY_BYTES, None, telemetry).await
}

/// The paths with methods that other functions have, and all methods of each: the header `Allow`.
const PATHS_OF_OTHERS: [(&str, &str); 13] = [
    ("/api/v1/deployment", "GET,HEAD"),
    ("/api/v1/deployment/dead-letters", "GET,HEAD"),
    ("/api/v1/deployment/redrives", "GET,HEAD,POST"),
    ("/api/v1/deployment/redrives/{queue}", "DELETE"),
    ("/api/v1/event-types", "GET,HEAD"),
    ("/api/v1/event-types/{name}", "DELETE,GET,HEAD,PUT"),
    ("/api/v1/events", "GET,HEAD,POST"),
    (posthaste_api::openapi::PATH, "GET,HEAD"),
    ("/api/v1/portal-links", "GET,HEAD,POST"),
    ("/api/v1/portal-links/{id}", "DELETE"),
    ("/api/v1/simulations", "GET,HEAD,POST"),
    ("/api/v1/simulations/{id}", "GET,HEAD"),
    ("/api/v1/simulations/{id}/cancel", "POST"),
];

/// Answers 405 on the paths of other functions. Their methods are routes of the gateway, and a
/// method that has no route comes here.
fn with_paths_of_others(mut routes: Router) -> Router {
    for (path, allowed) in PATHS_OF_OTHERS {
        routes = routes.route(path, MethodRouter::new().fallback(elsewhere(allowed)));
    }
    routes
}

fn elsewhere(allowed: &'static str) -> impl Handler<((),), ()> {
    async move || ([(header::ALLOW, allowed)], ApiError::MethodNotAllowed)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use serde_yaml_ng::Value;

    use super::*;

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
                if method == "ANY" {
                    // All methods of such a path have a route, so none comes to this function.
                    continue;
                }
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
