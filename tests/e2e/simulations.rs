//! Simulations play realistic events in test mode.

mod interrupted;

use posthaste_domain::event::{catalogue, schema::Budget};
use posthaste_tests::{Api, Arrived, LATER, Posthaste, eventually};
use reqwest::Method;
use serde_json::{Value, json, value::RawValue};

use crate::telemetry::has_no_faults;

/// A key of test mode, and a webhook to this inbox for everything.
pub(crate) async fn in_test_mode(posthaste: &Posthaste, inbox: &str, settings: Value) -> Api {
    let scopes = json!(["webhooks:manage", "events:publish", "events:manage", "keys:manage"]);
    let key = json!({ "scopes": scopes, "environment": "test" });
    let test = posthaste.api.with_new_key(key).await;
    let mut body = json!({ "url": posthaste.inbox_url(inbox), "events": ["*"] });
    body.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    test.ok(Method::POST, "/webhooks", body).await;
    test
}

pub(crate) async fn start(api: &Api, body: Value) -> Value {
    api.ok(Method::POST, "/simulations", body).await
}

fn path(simulation: &Value) -> String {
    format!("/simulations/{}", simulation["id"].as_str().unwrap())
}

async fn shown(api: &Api, simulation: &Value) -> Value {
    api.ok(Method::GET, &path(simulation), Value::Null).await
}

async fn ended(api: &Api, simulation: &Value) -> Value {
    eventually("the simulation has ended", async || {
        let shown = shown(api, simulation).await;
        (shown["status"] != "running").then_some(shown)
    })
    .await
}

/// The event that a request of the standard format carries. Its data fits the schema of its type.
fn event(request: &Arrived) -> Value {
    let event: Value = serde_json::from_slice(&request.bytes).unwrap();
    let built_in = catalogue::find(event["type"].as_str().unwrap()).unwrap();
    let data = RawValue::from_string(event["data"].to_string()).unwrap();
    let fits = built_in.schema().unwrap().check(&data, "data", &mut Budget::default());
    assert_eq!(fits, Ok(()), "{event}");
    event
}

/// The types and the data of requests, in an order that does not depend on their way.
fn told(requests: &[Arrived]) -> Vec<String> {
    let mut told: Vec<String> = requests
        .iter()
        .map(event)
        .map(|event| format!("{} {}", event["type"], event["data"]))
        .collect();
    told.sort();
    told
}

#[tokio::test]
async fn events_of_a_type_arrive_and_the_same_body_plays_the_same_again() {
    let posthaste = Posthaste::start().await;
    let test = in_test_mode(&posthaste, "mine", json!({})).await;
    let body = json!({ "kind": "event", "type": "order.created", "count": 12 });
    let begun = start(&test, body.clone()).await;
    assert_eq!((&begun["total"], &begun["status"]), (&json!(12), &json!("finished")));
    let first = posthaste.arrived("mine", 12).await;
    assert!(first.iter().all(|request| request.headers["webhook-environment"] == "test"));
    let again = start(&test, begun["asked"].clone()).await;
    assert_eq!(again["asked"], begun["asked"]);
    assert_ne!(again["id"], begun["id"]);
    let both = posthaste.arrived("mine", 24).await;
    assert_eq!(told(&both[12..]), told(&first), "the same data");
    let ids: std::collections::BTreeSet<_> =
        both.iter().map(|request| request.headers["webhook-id"].clone()).collect();
    assert_eq!(ids.len(), 24, "and other events");
    start(&test, json!({ "kind": "event", "type": "order.created", "count": 12, "seed": 1 })).await;
    let all = posthaste.arrived("mine", 36).await;
    assert_ne!(told(&all[24..]), told(&first), "another seed plays something else");
    posthaste.idle().await;
    has_no_faults(&posthaste);
}

#[tokio::test]
async fn a_whole_run_arrives_in_its_order_and_tells_how_far_it_is() {
    let posthaste = Posthaste::start().await;
    let test = in_test_mode(&posthaste, "mine", json!({})).await;
    let body = json!({ "kind": "process_run", "processType": "kyb", "speed": 1000, "seed": 3 });
    let begun = start(&test, body).await;
    assert_eq!((&begun["total"], &begun["sent"]), (&json!(14), &json!(14)), "all of it comes soon");
    assert!(begun["played"].as_u64().unwrap() < 14, "{begun}");
    let requests = posthaste.arrived_within("mine", 14, LATER).await;
    let mut events: Vec<Value> = requests.iter().map(event).collect();
    // On a busy machine, two may change places on their way.
    events.sort_by_key(|event| event["timestamp"].as_str().unwrap().to_owned());
    let types: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    let expected = [
        "process_run_start",
        "step_init",
        "step_submit",
        "service_run",
        "step_init",
        "step_submit",
        "service_run",
        "alert_created",
        "alert_escalated",
        "alert_resolved",
        "customer_tag_add",
        "customer_record_changed",
        "customer_status_changed",
        "process_run_end",
    ];
    assert_eq!(types, expected);
    for event in &events {
        assert_eq!(event["data"]["contextId"], events[0]["data"]["contextId"]);
        assert_eq!(event["data"]["processType"], "kyb");
    }
    let done = shown(&test, &begun).await;
    assert_eq!((&done["status"], &done["played"]), (&json!("finished"), &json!(14)));
    let listed = test.ok(Method::GET, "/simulations", Value::Null).await;
    assert_eq!(listed["items"], json!([done]));
    posthaste.idle().await;
    has_no_faults(&posthaste);
}

#[tokio::test]
async fn a_run_reaches_a_webhook_that_waits_for_its_end_as_one() {
    let posthaste = Posthaste::start().await;
    let settings = json!({ "profile": "spektr", "timing": "process_end" });
    let test = in_test_mode(&posthaste, "mine", settings).await;
    start(&test, json!({ "kind": "process_run", "speed": 20, "seed": 4 })).await;
    let request = posthaste.arrived_within("mine", 1, LATER).await.remove(0);
    let body: Value = serde_json::from_slice(&request.bytes).unwrap();
    let results = body["results"].as_array().unwrap();
    assert_eq!(results.len(), 14, "{body}");
    assert_eq!(results[13]["eventType"], "process_run_end");
    assert!(results.iter().all(|result| result["spektrId"] == results[0]["spektrId"]), "{body}");
    posthaste.idle().await;
    assert_eq!(posthaste.system.inbox().arrived("mine").len(), 1);
}

#[tokio::test]
async fn a_trickle_plays_what_is_due_soon_and_nothing_after_it_was_cancelled() {
    let posthaste = Posthaste::start().await;
    let test = in_test_mode(&posthaste, "mine", json!({})).await;
    let sample = json!({ "sample": { "total": 1.0 } });
    test.ok(Method::PUT, "/event-types/invoice.paid", sample).await;
    let body = json!({
        "kind": "trickle", "types": ["invoice.paid"], "perMinute": 60, "minutes": 60,
    });
    let begun = start(&test, body).await;
    let sent = begun["sent"].as_u64().unwrap();
    assert!((74..=80).contains(&sent), "{begun}");
    assert_eq!((&begun["status"], &begun["total"]), (&json!("running"), &json!(3600)));
    let requests = posthaste.arrived("mine", 3).await;
    for request in &requests {
        let event: Value = serde_json::from_slice(&request.bytes).unwrap();
        let expected = (&json!("invoice.paid"), &json!({ "total": 1.0 }));
        assert_eq!((&event["type"], &event["data"]), expected);
    }
    posthaste.system.tick("simulate").await.unwrap();
    let further = shown(&test, &begun).await;
    assert!(further["sent"].as_u64().unwrap() > sent, "the schedule goes on: {further}");
    let cancel = format!("{}/cancel", path(&begun));
    let cancelled = test.ok(Method::POST, &cancel, Value::Null).await;
    assert_eq!(cancelled["status"], "cancelled");
    let batches = posthaste.calls("simulate", "sqs:SendMessageBatch");
    posthaste.system.tick("simulate").await.unwrap();
    assert_eq!(posthaste.calls("simulate", "sqs:SendMessageBatch"), batches);
    let again = test.ok(Method::POST, &cancel, Value::Null).await;
    assert_eq!(again, cancelled, "what is over stays as it is");
    let next = start(&test, json!({ "kind": "event", "type": "order.created" })).await;
    assert_eq!(ended(&test, &next).await["status"], "finished");
    let page = test.ok(Method::GET, "/simulations?limit=1", Value::Null).await;
    assert_eq!(page["items"][0]["id"], next["id"], "the newest first");
    let rest = format!("/simulations?cursor={}", page["next"].as_str().unwrap());
    let page = test.ok(Method::GET, &rest, Value::Null).await;
    assert_eq!((&page["items"][0]["id"], &page["next"]), (&begun["id"], &Value::Null));
}

#[tokio::test]
async fn a_live_key_and_what_can_not_be_played_are_refused() {
    let posthaste = Posthaste::start().await;
    let test = in_test_mode(&posthaste, "mine", json!({})).await;
    let code = |answer: &Value| answer["error"]["code"].as_str().unwrap_or_default().to_owned();
    let trickle = json!({ "kind": "trickle" });
    let begun = start(&test, trickle.clone()).await;
    for (method, path) in [
        (Method::POST, "/simulations".to_owned()),
        (Method::GET, "/simulations".to_owned()),
        (Method::GET, path(&begun)),
        (Method::POST, format!("{}/cancel", path(&begun))),
    ] {
        let (status, answer) = posthaste.api.call(method, &path, trickle.clone()).await;
        assert_eq!((status, code(&answer)), (403, "test_mode_only".to_owned()), "{path}");
    }
    let reader = test.with_new_key(json!({ "scopes": ["webhooks:manage"] })).await;
    let (status, answer) = reader.call(Method::POST, "/simulations", trickle.clone()).await;
    assert_eq!((status, code(&answer)), (403, "forbidden".to_owned()));
    test.ok(Method::PUT, "/event-types/invoice.bare", json!({})).await;
    for (event_type, expected) in [
        ("invoice.bare", "no_sample"),
        ("invoice.none", "unknown_event_type"),
        ("webhook.failing", "reserved_event_type"),
    ] {
        let body = json!({ "kind": "event", "type": event_type });
        let (status, answer) = test.call(Method::POST, "/simulations", body).await;
        assert_eq!((status, code(&answer)), (422, expected.to_owned()), "{answer}");
    }
    for unknown in ["/simulations/x", "/simulations/018f4e2b-0000-7000-8000-000000000000"] {
        assert_eq!(test.call(Method::GET, unknown, Value::Null).await.0, 404);
    }
    for _ in 1..5 {
        start(&test, trickle.clone()).await;
    }
    let (status, answer) = test.call(Method::POST, "/simulations", trickle.clone()).await;
    assert_eq!((status, code(&answer)), (409, "too_many_simulations".to_owned()));
    test.ok(Method::POST, &format!("{}/cancel", path(&begun)), Value::Null).await;
    start(&test, trickle).await;
}
