//! A workspace may publish only so many events a second.

use posthaste_local::binaries;
use posthaste_tests::{Action, Aim, Posthaste};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// Starts a system whose workspaces may publish an event a second, and the hundred of one call at
/// once.
async fn limited() -> Posthaste {
    let template = binaries::template().unwrap();
    let (before, parameter) = template.split_at(template.find("  PublishRateLimit:").unwrap());
    Posthaste::with_template(format!(
        "{before}{}",
        parameter.replacen("Default: 1000", "Default: 1", 1)
    ))
    .await
}

fn events(count: usize) -> Value {
    json!({ "events": vec![json!({ "type": "order.created", "data": {} }); count] })
}

#[tokio::test]
async fn a_workspace_that_publishes_too_much_is_told_when_to_come_again_and_others_are_not() {
    let posthaste = limited().await;
    let other = posthaste.api.workspace("other").await;
    posthaste.api.ok(Method::POST, "/events", events(100)).await;
    let body = events(100).to_string();
    let keyed = posthaste.api.with_header("idempotency-key", "a-hundred");
    let answer = keyed.answer(Method::POST, "/events", body).await;
    assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
    let seconds: u64 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=100).contains(&seconds), "{seconds}");
    let answer: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    assert_eq!(answer["error"]["code"], "rate_limited", "{answer}");
    other.ok(Method::POST, "/events", events(100)).await;
    posthaste.idle().await;
    let stored = posthaste.api.ok(Method::GET, "/events?limit=100", Value::Null).await;
    assert_eq!((stored["items"].as_array().unwrap().len(), &stored["next"]), (100, &Value::Null));
}

#[tokio::test]
async fn a_limit_that_can_not_be_asked_for_stops_nobody() {
    let posthaste = limited().await;
    let fault = Aim::at("ingest", "dynamodb:UpdateItem", Action::Fail).times(100);
    let aimed = posthaste.system.faults().aim(fault);
    for _ in 0..2 {
        posthaste.api.ok(Method::POST, "/events", events(100)).await;
    }
    assert!(aimed.hits() >= 2);
}
