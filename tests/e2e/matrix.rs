//! The matrix of "About webhooks" reaches all events that `spektr-events-v2.txt` prints, although
//! most of them do not say of which type their process is, and some do not name their run.

use std::collections::BTreeMap;

use posthaste_tests::{Action, Aim, Posthaste, eventually};
use reqwest::Method;
use serde_json::{Value, json};

/// Publishes the sample that the document prints for a type, with these members of its data in
/// their place. Returns the event's id.
async fn publish(posthaste: &Posthaste, name: &str, members: Value) -> String {
    let printed = posthaste.api.ok(Method::GET, &format!("/event-types/{name}"), Value::Null).await;
    let mut event = printed["sample"].clone();
    event["subject"] = json!("customer-7");
    event["data"].as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    let answer = posthaste.api.ok(Method::POST, "/events", event).await;
    answer["id"].as_str().unwrap().to_owned()
}

/// Starts a run, and waits until that is known.
async fn start(posthaste: &Posthaste, process_type: &str, run: &str) -> String {
    let id = publish(posthaste, "process_run_start", run_of(process_type, run)).await;
    posthaste.idle().await;
    id
}

fn run_of(process_type: &str, run: &str) -> Value {
    let process = format!("p-{process_type}");
    json!({ "processType": process_type, "processId": process, "contextId": run })
}

/// The members by which a printed alert names its run.
fn alert_of(process_type: &str, run: &str) -> Value {
    json!({ "processId": format!("p-{process_type}"), "contextId": run })
}

/// The ids of the events that have arrived, in their order.
fn arrived(posthaste: &Posthaste, inbox: &str) -> Vec<String> {
    let mut ids = Vec::new();
    for request in posthaste.system.inbox().arrived(inbox) {
        let body: Value = serde_json::from_str(&request.body).unwrap();
        let events = body["results"].as_array().unwrap();
        ids.extend(events.iter().map(|event| event["id"].as_str().unwrap().to_owned()));
    }
    ids
}

/// "For example I do not want to received "Process run started" and "Process run ended" events for
/// monitoring process, because they happen every day and I'd rather focus on events like "Customer
/// record changed"", and "I want alerts and tags at the end of an onboarding".
#[tokio::test]
async fn the_documents_own_example_holds_for_all_events_that_it_prints() {
    let posthaste = Posthaste::start().await;
    let filters = json!({
        "monitoring": { "*": "never", "customer_record_changed": "immediate" },
        "onboarding": { "*": "process_end" },
    });
    posthaste.register_with("mine", json!({ "profile": "spektr", "filters": filters })).await;
    start(&posthaste, "monitoring", "m-1").await;
    publish(&posthaste, "alert_resolved", alert_of("monitoring", "m-1")).await;
    publish(&posthaste, "customer_tag_add", json!({ "processId": "p-monitoring" })).await;
    let by_monitoring = json!({ "method": { "type": "process", "processId": "p-monitoring" } });
    publish(&posthaste, "customer_status_changed", by_monitoring.clone()).await;
    let record = publish(&posthaste, "customer_record_changed", by_monitoring).await;
    posthaste.idle().await;
    assert_eq!(arrived(&posthaste, "mine"), [record], "nothing else of monitoring");

    let mut of_run = vec![start(&posthaste, "onboarding", "o-1").await];
    of_run.push(publish(&posthaste, "alert_resolved", alert_of("onboarding", "o-1")).await);
    of_run.push(
        publish(&posthaste, "customer_tag_add", json!({ "processId": "p-onboarding" })).await,
    );
    posthaste.idle().await;
    assert_eq!(arrived(&posthaste, "mine").len(), 1, "the onboarding has not ended");
    of_run.push(publish(&posthaste, "process_run_end", run_of("onboarding", "o-1")).await);
    posthaste.arrived("mine", 2).await;
    assert_eq!(arrived(&posthaste, "mine")[1..], of_run, "in their order, with the run's end");
}

/// An unknown process type takes nothing away.
#[tokio::test]
async fn an_event_whose_start_is_late_or_missing_is_delivered_at_once() {
    let posthaste = Posthaste::start().await;
    let filters = json!({
        "monitoring": { "alert_resolved": "never" },
        "no_process": { "alert_resolved": "never" },
        "*": { "alert_resolved": "never" },
    });
    posthaste.register_with("mine", json!({ "profile": "spektr", "filters": filters })).await;
    let early = publish(&posthaste, "alert_resolved", alert_of("monitoring", "m-1")).await;
    posthaste.arrived("mine", 1).await;
    let started = start(&posthaste, "monitoring", "m-1").await;
    publish(&posthaste, "alert_resolved", alert_of("monitoring", "m-1")).await;
    publish(&posthaste, "alert_resolved", alert_of("monitoring", "m-2")).await;
    let unknown = publish(&posthaste, "alert_resolved", alert_of("other", "x-1")).await;
    posthaste.idle().await;
    let mut expected = vec![early, started, unknown];
    let mut all = arrived(&posthaste, "mine");
    expected.sort();
    all.sort();
    assert_eq!(all, expected, "a process has one type, also for a run whose start is missing");
}

#[tokio::test]
async fn events_of_no_process_have_a_row_of_their_own() {
    let posthaste = Posthaste::start().await;
    let filters = json!({ "no_process": { "customer_status_changed": "never" } });
    posthaste.register_with("mine", json!({ "profile": "spektr", "filters": filters })).await;
    let by_user = json!({ "method": { "type": "user", "userId": "u-1" } });
    publish(&posthaste, "customer_status_changed", by_user).await;
    // The document prints this one: a process caused it, and it does not say which one.
    let printed = publish(&posthaste, "customer_status_changed", json!({})).await;
    let record = publish(&posthaste, "customer_record_changed", json!({})).await;
    posthaste.idle().await;
    let mut all = arrived(&posthaste, "mine");
    all.sort();
    assert_eq!(all, [printed, record]);
}

/// An event counts as delivered by what fan-out knew of its process.
#[tokio::test]
async fn an_event_that_a_webhook_does_not_want_is_delivered_when_the_others_have_it() {
    let posthaste = Posthaste::start().await;
    let filters = json!({ "monitoring": { "alert_resolved": "never" } });
    posthaste.register_with("mine", json!({ "profile": "spektr", "filters": filters })).await;
    posthaste.register_with("all", json!({ "profile": "spektr" })).await;
    start(&posthaste, "monitoring", "m-1").await;
    let alert = publish(&posthaste, "alert_resolved", alert_of("monitoring", "m-1")).await;
    posthaste.idle().await;
    let one = posthaste.api.ok(Method::GET, &format!("/events/{alert}"), Value::Null).await;
    assert_eq!(one["delivered"], true, "{one}");
    let list = posthaste.api.ok(Method::GET, "/events?type=alert_resolved", Value::Null).await;
    assert_eq!(list["items"][0]["delivered"], true, "{list}");
}

/// The calls that fan-out makes for one event, by operation.
async fn calls_for(posthaste: &Posthaste, name: &str, members: Value) -> BTreeMap<String, u64> {
    posthaste.idle().await;
    let before = posthaste.system.metrics();
    publish(posthaste, name, members).await;
    posthaste.idle().await;
    let after = posthaste.system.metrics();
    let calls = after.calls["fanout"].iter();
    let made = calls.map(|(operation, calls)| {
        (operation.clone(), calls.count - before.count("fanout", operation))
    });
    made.filter(|(operation, count)| operation.starts_with("dynamodb:") && *count > 0).collect()
}

#[tokio::test]
async fn the_start_of_a_run_is_read_only_where_an_events_way_depends_on_it() {
    let posthaste = Posthaste::start().await;
    posthaste.register_with("all", json!({ "profile": "spektr" })).await;
    start(&posthaste, "monitoring", "m-1").await;
    let calls = |pairs: &[(&str, u64)]| {
        pairs.iter().map(|(operation, count)| (format!("dynamodb:{operation}"), *count)).collect()
    };
    let plain: BTreeMap<String, u64> = calls(&[("BatchGetItem", 1), ("BatchWriteItem", 1)]);
    let alert = || alert_of("monitoring", "m-1");
    let without_matrix = calls_for(&posthaste, "alert_resolved", alert()).await;
    assert_eq!(without_matrix, plain, "the root of the routing index, and the event");

    let filters = json!({ "monitoring": { "alert_resolved": "never" } });
    let rows = json!({ "profile": "spektr", "filters": filters, "events": ["alert_resolved"] });
    posthaste.register_with("mine", rows).await;
    start(&posthaste, "monitoring", "m-2").await;
    let with_matrix = calls_for(&posthaste, "alert_resolved", alert()).await;
    assert_eq!(with_matrix, calls(&[("BatchGetItem", 2), ("BatchWriteItem", 1)]), "one call more");
    let complete = run_of("monitoring", "m-1");
    assert_eq!(
        calls_for(&posthaste, "alert_resolved", complete).await,
        plain,
        "it says all itself"
    );
    let other = json!({ "processId": "p-monitoring" });
    let unwanted = calls_for(&posthaste, "customer_tag_add", other).await;
    assert_eq!(unwanted, plain, "no webhook with a matrix subscribes to it");
    let started = calls_for(&posthaste, "process_run_start", run_of("monitoring", "m-3")).await;
    assert_eq!(
        started,
        calls(&[("BatchGetItem", 1), ("BatchWriteItem", 2)]),
        "the start is stored"
    );
}

#[tokio::test]
async fn a_start_that_can_not_be_stored_or_read_comes_again() {
    let filters = json!({ "monitoring": { "alert_resolved": "never" } });
    // An invocation reads the root of the routing index first, and stores the event beside the
    // start.
    for (operation, action, times) in [
        ("dynamodb:BatchWriteItem", Action::KillBefore, 1),
        ("dynamodb:BatchWriteItem", Action::KillAfter, 1),
        // More than the SDK tries, so that the function itself has to cope.
        ("dynamodb:BatchWriteItem", Action::Fail, 8),
        ("dynamodb:BatchGetItem", Action::Fail, 8),
    ] {
        let posthaste = Posthaste::start().await;
        let webhook = posthaste
            .register_with("mine", json!({ "profile": "spektr", "filters": filters }))
            .await;
        let aimed = posthaste
            .system
            .faults()
            .aim(Aim::at("fanout", operation, action.clone()).skip(1).times(times));
        publish(&posthaste, "process_run_start", run_of("monitoring", "m-1")).await;
        eventually("the start is delivered", async || {
            posthaste.hurry();
            (arrived(&posthaste, "mine").len() == 1).then_some(())
        })
        .await;
        publish(&posthaste, "alert_resolved", alert_of("monitoring", "m-1")).await;
        let all = publish(&posthaste, "customer_record_changed", json!({})).await;
        eventually("the record is delivered", async || {
            posthaste.hurry();
            arrived(&posthaste, "mine").contains(&all).then_some(())
        })
        .await;
        eventually("all is fanned out", async || {
            posthaste.hurry();
            let depth = posthaste.system.metrics().queues[&posthaste.queue("EventsQueueUrl")];
            (depth.visible + depth.in_flight + depth.delayed == 0).then_some(())
        })
        .await;
        posthaste.idle().await;
        assert!(aimed.hits() > 0, "{operation} {action:?}");
        assert_eq!(arrived(&posthaste, "mine").len(), 2, "{operation} {action:?}: {webhook}");
    }
}

#[tokio::test]
async fn a_row_for_a_process_type_that_nobody_has_seen_is_accepted_with_a_warning() {
    let posthaste = Posthaste::start().await;
    let register = async |row: &str| {
        let filters = json!({ row: { "alert_resolved": "never" } });
        posthaste.register_with("mine", json!({ "profile": "spektr", "filters": filters })).await
    };
    let doubted = register("monitorng").await;
    let message =
        "no run of a process of the type \"monitorng\" was seen; did you mean monitoring?";
    let expected = json!([{
        "field": "filters.monitorng", "code": "unknown_process_type", "message": message,
    }]);
    assert_eq!(doubted["warnings"], expected, "{doubted}");
    for known in ["monitoring", "*", "no_process"] {
        assert_eq!(register(known).await["warnings"], Value::Null, "{known}");
    }
    assert!(register("kyb").await["warnings"].is_array());
    start(&posthaste, "kyb", "k-1").await;
    assert_eq!(register("kyb").await["warnings"], Value::Null, "a run was seen");
    let path = format!("/webhooks/{}", doubted["id"]);
    let change = json!({ "filters": { "monitorng": {}, "riks": {} } });
    let changed = posthaste.api.ok(Method::PATCH, &path, change).await;
    let fields: Vec<&Value> =
        changed["warnings"].as_array().unwrap().iter().map(|warning| &warning["field"]).collect();
    assert_eq!(fields, ["filters.riks"], "only what is new is doubted");
}

#[tokio::test]
async fn a_process_type_that_the_workspace_declares_is_not_doubted() {
    let posthaste = Posthaste::start().await;
    let declare = json!({ "processTypes": ["kyb", "periodic_review"] });
    let changed = posthaste.api.ok(Method::PATCH, "/workspace", declare).await;
    assert_eq!(changed["processTypes"], json!(["kyb", "periodic_review"]));
    let warnings = async |row: &str| {
        let filters = json!({ row: { "alert_resolved": "never" } });
        let settings = json!({ "profile": "spektr", "filters": filters });
        posthaste.register_with("mine", settings).await["warnings"].clone()
    };
    assert_eq!(warnings("periodic_review").await, Value::Null);
    let doubted = warnings("periodic_revew").await;
    let message = doubted[0]["message"].as_str().unwrap();
    assert!(message.ends_with("did you mean periodic_review?"), "{message}");
    posthaste.api.ok(Method::PATCH, "/workspace", json!({ "processTypes": null })).await;
    assert_eq!(warnings("periodic_review").await[0]["code"], "unknown_process_type");
}
