//! A webhook can't make Posthaste call its own API, whatever its URL and its own headers are.

use posthaste_tests::{Answer, Arrived, Posthaste, Settings};
use reqwest::Method;
use serde_json::{Value, json};

/// Lists every call of the API, as its document has it.
async fn calls(posthaste: &Posthaste) -> Vec<(Method, String)> {
    let document: Value =
        serde_json::from_str(&posthaste.api.text(Method::GET, "/openapi.json").await).unwrap();
    let mut calls = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let path = path.strip_prefix("/api/v1").unwrap();
        for method in item.as_object().unwrap().keys() {
            calls.push((method.to_uppercase().parse().unwrap(), path.replace(['{', '}'], "")));
        }
    }
    calls
}

/// Counts the calls of AWS that these functions have made.
fn spent(posthaste: &Posthaste) -> u64 {
    let metrics = posthaste.system.metrics();
    let of =
        |function: &str| metrics.calls.get(function).into_iter().flat_map(|calls| calls.values());
    let functions = ["register", "ingest", "types", "simulate", "console"];
    functions.into_iter().flat_map(of).map(|calls| calls.count).sum()
}

#[tokio::test]
async fn every_call_of_a_webhook_is_refused_before_it_costs_anything() {
    let posthaste = Posthaste::start().await;
    let calls = calls(&posthaste).await;
    assert!(calls.len() >= 23, "{calls:?}");
    let before = spent(&posthaste);
    for (header, value) in [("webhook-signature", "v1,AAAA"), ("x-webhook-signature", "sha256=00")]
    {
        let webhook = posthaste.api.with_header(header, value);
        for (method, path) in &calls {
            let (status, answer) = webhook.call(method.clone(), path, Value::Null).await;
            let error = &answer["error"];
            let found = (status, error["code"].as_str(), error["field"].as_str());
            assert_eq!(
                found,
                (422, Some("loop_detected"), Some(header)),
                "{method} {path}: {answer}"
            );
        }
    }
    let relay = posthaste.api.with_header("webhook-hops", "0");
    for (method, path) in
        calls.iter().filter(|(method, path)| (method, path.as_str()) != (&Method::POST, "/events"))
    {
        let (status, answer) = relay.call(method.clone(), path, Value::Null).await;
        assert_eq!(
            (status, &answer["error"]["code"]),
            (422, &json!("loop_detected")),
            "{method} {path}: {answer}"
        );
    }
    assert_eq!(spent(&posthaste), before);
}

#[tokio::test]
async fn a_webhook_that_leads_to_publishing_publishes_nothing() {
    let posthaste = Posthaste::start().await;
    let looping = json!({
        "url": format!("{}/api/v1/events", posthaste.system.urls().api),
        "events": ["order.*"],
        "headers": { "Authorization": format!("Bearer {}", posthaste.system.first_key()) },
        "retrySchedule": [],
    });
    let webhook = posthaste.api.ok(Method::POST, "/webhooks", looping).await;
    posthaste.api.publish("order.created", json!({ "orderId": "loop" })).await;
    let failed = posthaste.deliveries(&webhook, "exhausted", 1).await;
    posthaste.idle().await;
    let events = posthaste.api.ok(Method::GET, "/events?type=order.created", Value::Null).await;
    assert_eq!(events["items"].as_array().unwrap().len(), 1, "{events}");
    let path =
        format!("/webhooks/{}/deliveries/{}", webhook["id"], failed[0]["id"].as_str().unwrap());
    let delivery = posthaste.api.ok(Method::GET, &path, Value::Null).await;
    let attempt = &delivery["attempts"][0];
    assert_eq!(attempt["httpStatus"], 422, "{delivery}");
    assert!(attempt.to_string().contains("loop_detected"), "{delivery}");
}

fn hops(request: &Arrived) -> &str {
    &request.headers["webhook-hops"]
}

#[tokio::test]
async fn what_a_relay_publishes_again_goes_round_five_times_and_no_further() {
    let posthaste = Posthaste::start().await;
    posthaste.register("mine", &["order.*"]).await;
    let event = json!({ "type": "order.created", "data": { "orderId": "loop" } });
    posthaste.api.ok(Method::POST, "/events", event.clone()).await;
    for round in 0..5 {
        let arrived = posthaste.arrived("mine", round + 1).await;
        let last = hops(&arrived[round]);
        assert_eq!(last, round.to_string());
        posthaste
            .api
            .with_header("webhook-hops", last)
            .ok(Method::POST, "/events", event.clone())
            .await;
    }
    let arrived = posthaste.arrived("mine", 6).await;
    let relay = posthaste.api.with_header("webhook-hops", hops(&arrived[5]));
    let (status, answer) = relay.call(Method::POST, "/events", event).await;
    assert_eq!((status, &answer["error"]["code"]), (422, &json!("loop_detected")), "{answer}");
}

#[tokio::test]
async fn hops_last_through_replays_and_go_on_to_the_news_of_failures() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste
        .register_with("mine", json!({ "events": ["order.*"], "retrySchedule": [] }))
        .await;
    let gone = Answer { body: "no".to_owned(), ..Answer::status(500, 1) };
    posthaste
        .system
        .inbox()
        .set("mine", Settings { responses: [gone].into(), ..Settings::default() });
    posthaste.register("news", &["delivery.exhausted"]).await;
    let event = json!({ "type": "order.created", "data": {} });
    posthaste.api.with_header("webhook-hops", "2").ok(Method::POST, "/events", event).await;
    assert_eq!(hops(&posthaste.arrived("news", 1).await[0]), "3");
    let failed = posthaste.deliveries(&webhook, "exhausted", 1).await;
    let path = format!(
        "/webhooks/{}/deliveries/{}/replay",
        webhook["id"],
        failed[0]["id"].as_str().unwrap()
    );
    posthaste.api.ok(Method::POST, &path, Value::Null).await;
    let arrived = posthaste.arrived("mine", 2).await;
    assert_eq!([hops(&arrived[0]), hops(&arrived[1])], ["3", "3"]);
}
