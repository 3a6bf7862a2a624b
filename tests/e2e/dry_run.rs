//! A dry run says what publishing an event would do, and does nothing.

use std::collections::BTreeMap;

use posthaste_tests::{Api, Posthaste, eventually, now_ms};
use reqwest::Method;
use serde_json::{Value, json};

const DRY: &str = "/events?dry_run=true";
/// The headers that the connection adds, and not Posthaste.
const OF_TRANSPORT: [&str; 4] = ["host", "content-length", "accept", "connection"];
/// The headers that differ from one request to the next.
const OF_ITS_TIME: [&str; 2] = ["webhook-timestamp", "traceparent"];

async fn dry_run(api: &Api, event: &Value) -> Value {
    api.ok(Method::POST, DRY, event.clone()).await
}

/// What a dry run says about one webhook.
fn about<'a>(answer: &'a Value, webhook: &Value) -> &'a Value {
    let all = answer["webhooks"].as_array().unwrap();
    all.iter().find(|of| of["webhook"] == webhook["id"]).unwrap()
}

/// The outcome and the reason for one webhook.
fn verdict<'a>(answer: &'a Value, webhook: &Value) -> [&'a str; 2] {
    let of = about(answer, webhook);
    ["outcome", "reason"].map(|name| of[name].as_str().unwrap())
}

fn of_run(event_type: &str) -> Value {
    let data = json!({
        "processType": "risk", "processId": "p-1", "contextId": "run-1", "processName": "Risk",
        "vendorType": "v", "n": 1.5,
    });
    json!({ "type": event_type, "subject": "customer-7", "data": data })
}

/// The number of items in a table.
async fn items(posthaste: &Posthaste, output: &str) -> usize {
    let table = &posthaste.system.stack().outputs[output];
    let scan = json!({ "TableName": table, "ConsistentRead": true });
    let items = posthaste.system.dynamodb().call("Scan", &scan).await.unwrap()["Items"].clone();
    items.as_array().unwrap().len()
}

#[tokio::test]
async fn every_webhook_of_the_workspace_is_told_of_with_its_reason() {
    let posthaste = Posthaste::start().await;
    let register = async |settings: Value| posthaste.register_with("mine", settings).await;
    let prefix = register(json!({ "events": ["service_run", "*"] })).await;
    let unnamed = register(json!({ "events": ["order.*"] })).await;
    let cell = |rule: &str| json!({ "filters": { "risk": { "service_run": rule } } });
    let at_once = register(cell("immediate")).await;
    let at_end = register(cell("process_end")).await;
    let never = register(cell("never")).await;
    let paused = register(json!({ "enabled": false })).await;
    let limited = register(json!({ "rateLimit": { "requests": 1, "per": "minute" } })).await;
    posthaste.hold(&limited, "limited").await;
    let sick = register(json!({})).await;
    posthaste.hold(&sick, "sick").await;
    let until = now_ms() + 300_000;
    posthaste.set_lane(&sick, json!({ "sickUntil": until })).await;
    let disabled = posthaste.register_failing("gone", &["order.created"], 410, 1).await;
    posthaste.api.publish("order.created", json!({})).await;
    eventually("it is disabled", async || {
        let path = format!("/webhooks/{}", disabled["id"]);
        let of = posthaste.api.ok(Method::GET, &path, Value::Null).await;
        (of["health"]["disabledReason"] == "gone").then_some(())
    })
    .await;

    let answer = dry_run(&posthaste.api, &of_run("service_run")).await;
    for (webhook, outcome, reason) in [
        (&prefix, "now", "immediate"),
        (&unnamed, "never", "not_subscribed"),
        (&at_once, "now", "immediate"),
        (&at_end, "process_end", "held"),
        (&never, "never", "filtered_out"),
        (&paused, "skipped", "paused"),
        (&limited, "waiting", "limited"),
        (&sick, "waiting", "sick"),
        (&disabled, "never", "not_subscribed"),
    ] {
        assert_eq!(verdict(&answer, webhook), [outcome, reason], "{}", about(&answer, webhook));
        let sends = matches!(outcome, "now" | "process_end" | "waiting");
        assert_eq!(about(&answer, webhook)["request"].is_object(), sends, "{reason}");
    }
    assert_eq!(about(&answer, &prefix)["subscription"], "service_run", "the closest one");
    let deciding = json!({ "processType": "risk", "eventType": "service_run", "rule": "never" });
    assert_eq!(about(&answer, &never)["cell"], deciding);
    let held = about(&answer, &at_end);
    assert_eq!(held["run"], "run-1");
    assert!(held["until"].is_string() && about(&answer, &sick)["until"].is_string());
    let process = json!({ "processType": "risk", "processId": "p-1", "contextId": "run-1" });
    assert_eq!(answer["event"]["process"], process);
    assert_eq!(answer["event"].get("id"), None);
    let ordered = dry_run(&posthaste.api, &json!({ "type": "order.created", "data": {} })).await;
    assert_eq!(verdict(&ordered, &disabled), ["skipped", "disabled"]);
}

#[tokio::test]
async fn what_is_known_of_a_run_counts() {
    let posthaste = Posthaste::start().await;
    let filters = json!({ "risk": { "*": "process_end" } });
    let webhook = posthaste.register_with("mine", json!({ "filters": filters })).await;
    let alert = |context: Value| {
        let data = json!({ "contextId": context, "alertId": "a", "alertName": "PEP" });
        json!({ "type": "alert_created", "subject": "customer-7", "data": data })
    };
    let early = dry_run(&posthaste.api, &alert(json!("run-1"))).await;
    assert_eq!(verdict(&early, &webhook), ["now", "immediate"], "the start is not known");
    let printed =
        posthaste.api.ok(Method::GET, "/event-types/process_run_start", Value::Null).await;
    let mut start = printed["sample"].clone();
    start["subject"] = json!("customer-7");
    start["data"].as_object_mut().unwrap().extend(
        json!({ "processType": "risk", "processId": "p-1", "contextId": "run-1" })
            .as_object()
            .unwrap()
            .clone(),
    );
    posthaste.api.ok(Method::POST, "/events", start).await;
    posthaste.idle().await;
    let known = dry_run(&posthaste.api, &alert(json!("run-1"))).await;
    assert_eq!(known["event"]["process"]["processType"], "risk");
    assert_eq!(verdict(&known, &webhook), ["process_end", "held"]);
    let ends = dry_run(&posthaste.api, &of_run("process_run_end")).await;
    assert_eq!(verdict(&ends, &webhook), ["now", "ends_run"]);
    let unknown = json!({ "type": "alert_created", "data": { "processType": "risk" } });
    let unknown = dry_run(&posthaste.api, &unknown).await;
    assert_eq!(verdict(&unknown, &webhook), ["now", "no_run"]);

    posthaste.api.ok(Method::POST, "/events", of_run("process_run_end")).await;
    posthaste.arrived("mine", 2).await;
    let late = dry_run(&posthaste.api, &alert(json!("run-1"))).await;
    assert_eq!(verdict(&late, &webhook), ["now", "run_ended"]);
}

/// A request as a dry run shows it, or as it arrived, without what differs from one to the next.
fn comparable(
    headers: impl IntoIterator<Item = (String, String)>,
    body: &str,
    id: &str,
    own: &str,
) -> (BTreeMap<String, String>, String) {
    let mut kept = BTreeMap::new();
    for (name, value) in headers {
        if OF_TRANSPORT.contains(&name.as_str()) {
            continue;
        }
        let is_hidden = name == own || name.ends_with("signature");
        let changes = OF_ITS_TIME.contains(&name.as_str()) || is_hidden;
        kept.insert(name, if changes { String::new() } else { value.replace(id, "<id>") });
    }
    (kept, body.replace(id, "<id>"))
}

#[tokio::test]
async fn the_request_is_the_one_that_is_then_made() {
    let posthaste = Posthaste::start().await;
    let profiles =
        ["standard", "spektr", "spektr-v1", "spectra", "dataspike", "cloudevents", "slack"];
    let mut webhooks = Vec::new();
    for profile in profiles {
        let headers = json!({ "X-Own": "tell-nobody" });
        let settings = json!({ "profile": profile, "headers": headers });
        webhooks.push(posthaste.register_with(profile, settings).await);
    }
    let mut event = of_run("service_run");
    event["timestamp"] = json!("2026-01-15T09:29:58.120Z");
    event["reference"] = json!("ref-1");
    // Numbers and spaces are the producer's, byte for byte.
    let body = event.to_string().replace(r#""n":1.5"#, r#""n" : 1.500"#);
    let (status, answer) = posthaste.api.raw(Method::POST, DRY, body.clone()).await;
    assert_eq!(status, 200, "{answer}");
    let text = answer.to_string();
    assert!(!text.contains("tell-nobody") && !text.contains("whsec_"), "{text}");
    let (status, accepted) = posthaste.api.raw(Method::POST, "/events", body).await;
    assert_eq!(status, 202, "{accepted}");
    let id = accepted["data"]["id"].as_str().unwrap();
    for (profile, webhook) in profiles.into_iter().zip(&webhooks) {
        let shown = &about(&answer["data"], webhook)["request"];
        assert_eq!(shown["method"], "POST");
        let url = shown["url"].as_str().unwrap();
        assert!(url.ends_with("/***") && !url.contains(profile), "{url}");
        let headers: BTreeMap<String, String> =
            serde_json::from_value(shown["headers"].clone()).unwrap();
        assert_eq!([&headers["x-own"], &headers["webhook-signature"]], ["***", "***"]);
        let made_up = headers["webhook-id"].clone();
        assert!(made_up.ends_with("-7000-8000-000000000000"), "{made_up}");
        let shown = comparable(headers, shown["body"].as_str().unwrap(), &made_up, "x-own");
        let request = posthaste.arrived(profile, 1).await.remove(0);
        let sent = comparable(request.headers, &request.body, id, "x-own");
        assert_eq!(shown, sent, "{profile}");
    }
}

#[tokio::test]
async fn nothing_is_stored_and_no_key_is_taken() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register("mine", &["*"]).await;
    let event = json!({ "type": "invoice.paid", "data": { "n": 1 } });
    let before =
        [items(&posthaste, "EventsTable").await, items(&posthaste, "DeliveriesTable").await];
    let keyed = posthaste.api.with_header("idempotency-key", "invoice-1");
    dry_run(&keyed, &event).await;
    posthaste.idle().await;
    let after =
        [items(&posthaste, "EventsTable").await, items(&posthaste, "DeliveriesTable").await];
    assert_eq!(after, before);
    assert_eq!(posthaste.system.inbox().arrived("mine").len(), 0);
    for path in ["/events".to_owned(), format!("/webhooks/{}/deliveries", webhook["id"])] {
        assert_eq!(posthaste.api.ok(Method::GET, &path, Value::Null).await["items"], json!([]));
    }
    let types = posthaste.api.text(Method::GET, "/event-types?limit=100").await;
    assert!(!types.contains("invoice.paid"), "its type is not noted as published");
    let other = json!({ "type": "invoice.paid", "data": { "n": 2 } });
    keyed.ok(Method::POST, "/events", other).await;
    posthaste.arrived("mine", 1).await;
}

#[tokio::test]
async fn a_dry_run_refuses_what_publishing_refuses_and_several_events() {
    let posthaste = Posthaste::start().await;
    let event = json!({ "type": "order.created", "data": {} });
    let several = json!({ "events": [event, event] });
    let reserved = json!({ "type": "webhook.disabled", "data": {} });
    let unfit = json!({ "type": "service_run", "data": {} });
    for (path, body, code) in [
        (DRY, &several, "several_events"),
        (DRY, &reserved, "reserved_event_type"),
        (DRY, &json!({ "type": "order.created" }), "missing_field"),
        (DRY, &json!({ "type": "a", "data": {}, "x": 1 }), "unknown_field"),
        ("/events?dry_run=yes", &event, "invalid_parameter"),
        ("/events?dryrun=true", &event, "unknown_parameter"),
        ("/events?dry_run=true&limit=0", &event, "invalid_parameter"),
    ] {
        let (status, answer) = posthaste.api.call(Method::POST, path, body.clone()).await;
        assert_eq!((status, &answer["error"]["code"]), (422, &json!(code)), "{path} {answer}");
    }
    let dry = posthaste.api.call(Method::POST, DRY, unfit.clone()).await;
    let published = posthaste.api.call(Method::POST, "/events", unfit).await;
    assert_eq!((dry.0, &dry.1["error"]["code"]), (published.0, &published.1["error"]["code"]));
    let looping = posthaste.api.with_header("webhook-hops", "5");
    assert_eq!(looping.call(Method::POST, DRY, event.clone()).await.0, 422);
    let wrong_key = posthaste.api.with_header("idempotency-key", "a b");
    assert_eq!(wrong_key.call(Method::POST, DRY, event.clone()).await.0, 422);
    let one = json!({ "events": [event] });
    assert_eq!(dry_run(&posthaste.api, &one).await["webhooks"], json!([]));
    posthaste.api.ok(Method::PATCH, "/workspace", json!({ "catalogue": "closed" })).await;
    let unknown = json!({ "type": "invoice.paid", "data": {} });
    let (status, answer) = posthaste.api.call(Method::POST, DRY, unknown).await;
    assert_eq!((status, &answer["error"]["code"]), (422, &json!("unknown_event_type")));
    let (status, _) = posthaste.api.call(Method::POST, "/events?dry_run=false", event).await;
    assert_eq!(status, 202);
}

#[tokio::test]
async fn a_key_sees_the_webhooks_of_its_workspace_and_its_environment_page_by_page() {
    let posthaste = Posthaste::start().await;
    let mut own = Vec::new();
    for _ in 0..5 {
        own.push(posthaste.register("mine", &["*"]).await["id"].clone());
    }
    let scopes = json!(["webhooks:manage", "events:publish"]);
    let test = json!({ "scopes": scopes, "environment": "test" });
    let test = posthaste.api.with_new_key(test).await;
    let other = posthaste.api.workspace("other").await;
    for api in [&test, &other] {
        let body = json!({ "url": posthaste.inbox_url("others"), "events": ["*"] });
        api.ok(Method::POST, "/webhooks", body).await;
    }
    let event = json!({ "type": "order.created", "data": {} });
    let publisher = posthaste.api.with_new_key(json!({ "scopes": ["events:publish"] })).await;
    let (mut seen, mut sizes, mut cursor) = (Vec::new(), Vec::new(), String::new());
    loop {
        let path = format!("{DRY}&limit=2{cursor}");
        let page = publisher.ok(Method::POST, &path, event.clone()).await;
        let webhooks = page["webhooks"].as_array().unwrap();
        sizes.push(webhooks.len());
        seen.extend(webhooks.iter().map(|of| of["webhook"].clone()));
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!((seen, sizes), (own, vec![2, 2, 1]));
    let of_test = dry_run(&test, &event).await;
    assert_eq!(of_test["webhooks"].as_array().unwrap().len(), 1);
    let headers = &of_test["webhooks"][0]["request"]["headers"];
    assert_eq!(headers["webhook-environment"], "test");
    let reader = posthaste.api.with_new_key(json!({ "scopes": ["events:read"] })).await;
    assert_eq!(reader.call(Method::POST, DRY, event).await.0, 403);
}

#[tokio::test]
async fn a_page_ends_where_its_requests_are_large() {
    let posthaste = Posthaste::start().await;
    for _ in 0..8 {
        posthaste.register("mine", &["*"]).await;
    }
    // In the answer each quote takes four bytes, and Lambda hands back 6 MiB at most.
    let list = vec![""; 80_000];
    let event = json!({ "type": "order.created", "data": { "list": list } });
    let first = dry_run(&posthaste.api, &event).await;
    let count = first["webhooks"].as_array().unwrap().len();
    assert!((4..8).contains(&count), "{count}");
    let next = first["next"].as_str().unwrap();
    let path = format!("{DRY}&cursor={next}");
    let rest = posthaste.api.ok(Method::POST, &path, event).await;
    let last = rest["webhooks"].as_array().unwrap().len();
    assert_eq!((count + last, &rest["next"]), (8, &Value::Null));
}
