//! Deliveries can wait for the end of their process.

mod interrupted;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{SystemTime, UNIX_EPOCH},
};

use posthaste_local::binaries;
use posthaste_tests::{Arrived, Posthaste};
use serde_json::{Value, json};

use crate::telemetry::has_no_faults;

fn run(context: &str) -> Value {
    json!({
        "processType": "onboarding", "processName": "Onboarding", "processId": "1",
        "contextId": context, "vendorType": "kyc",
    })
}

fn now_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// Lists the ids of a request's events in their order.
fn ids(request: &Arrived) -> Vec<String> {
    let body: Value = serde_json::from_str(&request.body).unwrap();
    body["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["id"].as_str().unwrap().to_owned())
        .collect()
}

async fn at_process_end(posthaste: &Posthaste) -> Value {
    posthaste.register_with("mine", json!({ "profile": "spektr", "timing": "process_end" })).await
}

#[tokio::test]
async fn what_was_held_arrives_with_the_end_in_order() {
    let posthaste = Posthaste::start().await;
    let webhook = at_process_end(&posthaste).await;
    let mut published = Vec::new();
    for _ in 0..5 {
        published.push(posthaste.api.publish("service_run", run("1")).await);
    }
    let other_run = posthaste.api.publish("service_run", run("2")).await;
    posthaste.idle().await;
    assert_eq!(
        posthaste.system.inbox().arrived("mine").len(),
        0,
        "nothing goes out before the end"
    );
    published.push(posthaste.api.publish("process_run_end", run("1")).await);
    let request = posthaste.arrived("mine", 1).await.remove(0);
    assert_eq!(ids(&request), published, "in the order of the events, the end last");
    posthaste.deliveries(&webhook, "succeeded", 6).await;

    let late = posthaste.api.publish("service_run", run("1")).await;
    assert_eq!(
        ids(&posthaste.arrived("mine", 2).await[1]),
        [late],
        "the run has ended: it goes out at once"
    );
    posthaste.idle().await;
    assert!(
        !posthaste
            .system
            .inbox()
            .arrived("mine")
            .iter()
            .any(|request| ids(request).contains(&other_run))
    );
    let end = posthaste.api.publish("process_run_end", run("2")).await;
    assert_eq!(ids(&posthaste.arrived("mine", 3).await[2]), [other_run, end]);
    posthaste.idle().await;
    has_no_faults(&posthaste);
}

#[tokio::test]
async fn one_request_an_event_keeps_the_order_too() {
    let posthaste = Posthaste::start().await;
    let filters = json!({ "onboarding": { "service_run": "process_end" } });
    posthaste.register_with("mine", json!({ "filters": filters, "events": ["service_run"] })).await;
    let mut published = Vec::new();
    for _ in 0..5 {
        published.push(posthaste.api.publish("service_run", run("1")).await);
    }
    posthaste.idle().await;
    assert_eq!(posthaste.system.inbox().arrived("mine").len(), 0);
    posthaste.api.publish("process_run_end", run("1")).await;
    let arrived = posthaste.arrived("mine", 5).await;
    let order: Vec<&String> =
        arrived.iter().map(|request| &request.headers["webhook-id"]).collect();
    assert_eq!(order, published.iter().collect::<Vec<_>>());
    posthaste.idle().await;
    assert_eq!(
        posthaste.system.inbox().arrived("mine").len(),
        5,
        "the end is not subscribed to, but it counts"
    );
}

#[tokio::test]
async fn a_process_that_never_ends_still_delivers() {
    let template = binaries::template().unwrap().replace("!Ref ProcessEndDeadlineHours", "\"0\"");
    let posthaste = Posthaste::with_template(template).await;
    let webhook = at_process_end(&posthaste).await;
    let mut published = Vec::new();
    for _ in 0..3 {
        published.push(posthaste.api.publish("service_run", run("1")).await);
    }
    posthaste.idle().await;
    posthaste.system.tick("release").await.unwrap();
    let request = posthaste.arrived("mine", 1).await.remove(0);
    assert_eq!(ids(&request), published);
    posthaste.deliveries(&webhook, "succeeded", 3).await;
    posthaste.system.tick("release").await.unwrap();
    posthaste.idle().await;
    assert_eq!(posthaste.system.inbox().arrived("mine").len(), 1, "once");
}

#[tokio::test]
async fn what_is_published_in_one_call_goes_before_the_end_that_is_in_it() {
    // Messages of one call come in any order, and some of them late or twice.
    let posthaste = Posthaste::with_faults("seed=3,duplicate=30%").await;
    let webhook = at_process_end(&posthaste).await;
    let event = |name: &str| json!({ "type": name, "data": run("1") });
    let mut events: Vec<Value> = (0..40).map(|_| event("service_run")).collect();
    events.push(event("process_run_end"));
    let answer =
        posthaste.api.ok(reqwest::Method::POST, "/events", json!({ "events": events })).await;
    let published: Vec<String> = answer["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["id"].as_str().unwrap().to_owned())
        .collect();
    assert!(published.is_sorted(), "the ids of a call sort in its order");
    posthaste.deliveries(&webhook, "succeeded", 41).await;
    let arrived = posthaste.system.inbox().arrived("mine");
    assert_eq!(
        ids(&arrived[0]),
        published,
        "the first request has all, in the order of the call, and the end last"
    );
}

/// An end waits until what goes before it in its call is held, so it reads those events.
#[tokio::test]
async fn the_events_of_a_call_are_read_once_for_all_its_ends() {
    let posthaste = Posthaste::start().await;
    let webhook = at_process_end(&posthaste).await;
    let mut large = run("other");
    large["text"] = json!("x".repeat(100_000));
    let mut events = vec![json!({ "type": "service_run", "data": large }); 10];
    for nth in 0..30 {
        events.push(json!({ "type": "process_run_end", "data": run(&nth.to_string()) }));
    }
    posthaste.api.ok(reqwest::Method::POST, "/events", json!({ "events": events })).await;
    posthaste.deliveries(&webhook, "succeeded", 30).await;
    // Each end looks for what it has to release. An environment reads the call's events with a
    // query for each of eight partitions.
    let queries = posthaste.calls("fanout", "dynamodb:Query");
    assert!(queries <= 30 + 6 * 8, "{queries} queries");
}

/// Lists the ids of the events of some requests in their order, each once.
fn first_arrivals(arrived: &[Arrived]) -> Vec<String> {
    let mut seen = std::collections::HashSet::new();
    arrived.iter().flat_map(ids).filter(|id| seen.insert(id.clone())).collect()
}

/// The run has more events than one task takes, and two ends, while messages come twice.
#[tokio::test]
async fn a_run_of_any_size_keeps_its_order() {
    let posthaste = Posthaste::with_faults("seed=5,duplicate=30%").await;
    let webhook = at_process_end(&posthaste).await;
    let mut published = Vec::new();
    let mut publish = async |events: Vec<Value>| {
        let answer =
            posthaste.api.ok(reqwest::Method::POST, "/events", json!({ "events": events })).await;
        let events = answer["events"].as_array().unwrap().clone();
        published.extend(events.iter().map(|event| event["id"].as_str().unwrap().to_owned()));
    };
    for _ in 0..5 {
        publish(vec![json!({ "type": "service_run", "data": run("1") }); 100]).await;
    }
    posthaste.idle().await;
    for _ in 0..2 {
        publish(vec![json!({ "type": "process_run_end", "data": run("1") })]).await;
    }
    let has_all = |arrived: &[Arrived]| first_arrivals(arrived).len() == published.len();
    // Each part waits for the one before it, and copies of messages are looked after too.
    let arrived = posthaste.system.inbox().wait("mine", has_all, 2 * posthaste_tests::LATER).await;
    let arrived = arrived.expect("all of the run arrives");
    let arrived = first_arrivals(&arrived);
    let (events, ends) = arrived.split_at(500);
    assert_eq!(events, &published[..500], "in two tasks");
    assert_eq!(
        BTreeSet::from_iter(ends),
        BTreeSet::from_iter(&published[500..]),
        "the ends last, in any order"
    );
    assert_eq!(posthaste.deliveries(&webhook, "succeeded", 100).await.len(), 100);
}

#[tokio::test]
async fn an_event_that_two_messages_bring_is_held_once() {
    let posthaste = Posthaste::start().await;
    at_process_end(&posthaste).await;
    // An id of about now.
    let id = posthaste.api.workspace("other").await.publish("order.created", json!({})).await;
    // Two copies in one invocation, with data of different lengths.
    let copies = ["1", "one and a half"].map(|note| {
        let mut data = run("1");
        data["note"] = json!(note);
        json!({ "workspace": "default", "id": id, "type": "service_run", "data": data }).to_string()
    });
    posthaste.send("EventsQueueUrl", &copies).await;
    posthaste.idle().await;
    let end = posthaste.api.publish("process_run_end", run("1")).await;
    let request = posthaste.arrived("mine", 1).await.remove(0);
    assert_eq!(ids(&request), [id, end]);
}

#[tokio::test]
async fn a_webhook_that_holds_nothing_any_more_still_gets_what_it_held() {
    let posthaste = Posthaste::start().await;
    let webhook = at_process_end(&posthaste).await;
    let held = posthaste.api.publish("service_run", run("1")).await;
    posthaste.idle().await;
    let path = format!("/webhooks/{}", webhook["id"]);
    posthaste.api.ok(reqwest::Method::PATCH, &path, json!({ "timing": "immediate" })).await;
    let at_once = posthaste.api.publish("service_run", run("1")).await;
    assert_eq!(ids(&posthaste.arrived("mine", 1).await[0]), [at_once]);
    let end = posthaste.api.publish("process_run_end", run("1")).await;
    assert_eq!(ids(&posthaste.arrived("mine", 2).await[1]), [held, end]);
}

/// Messages come twice and out of order, and several runs go on at once. No event of a run arrives
/// before the run's end is published, and none is lost.
#[tokio::test]
async fn duplicated_and_reordered_messages_change_nothing() {
    let posthaste = Posthaste::with_faults("seed=7,duplicate=40%").await;
    let webhook = at_process_end(&posthaste).await;
    let mut ends: BTreeMap<String, u64> = BTreeMap::new();
    let mut published = Vec::new();
    for position in 0..4 {
        for context in ["1", "2", "3"] {
            // The end comes after one, two or three of the run's events, and is not the last
            // message of its run.
            let is_end = context.parse::<usize>().unwrap() == position;
            let name = if is_end { "process_run_end" } else { "service_run" };
            if is_end {
                ends.insert(context.to_owned(), now_ms());
            }
            let mut data = run(context);
            data["position"] = json!(position);
            published.push((context, position, posthaste.api.publish(name, data).await));
        }
    }
    posthaste.deliveries(&webhook, "succeeded", published.len()).await;
    posthaste.idle().await;
    let mut seen = std::collections::BTreeSet::new();
    for request in posthaste.system.inbox().arrived("mine") {
        let body: Value = serde_json::from_str(&request.body).unwrap();
        for event in body["results"].as_array().unwrap() {
            let context = event["data"]["contextId"].as_str().unwrap();
            assert!(request.at_ms >= ends[context], "{event} came before its end was published");
            seen.insert(event["id"].as_str().unwrap().to_owned());
        }
    }
    let all: std::collections::BTreeSet<String> =
        published.into_iter().map(|(_, _, id)| id).collect();
    assert_eq!(seen, all);
}
