//! A workspace in which a lot has happened, for looking at the pages.

use posthaste_tests::{Answer, Api};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Visit, answer, page_of};

/// The scene that has happened, and who can look at it.
pub(crate) struct Scenery {
    /// The pages of the visit's own key, by the name of their picture.
    pub(crate) live: Vec<(&'static str, String)>,
    /// The pages of the operator.
    pub(crate) operator: Vec<(&'static str, String)>,
    /// The pages of the test key.
    pub(crate) test: Vec<(&'static str, String)>,
    /// A client with the test key.
    pub(crate) test_key: Api,
    /// The path that opens a portal link.
    pub(crate) portal: String,
}

impl Scenery {
    /// Lets it happen.
    pub(crate) async fn build(visit: &Visit) -> Self {
        let warehouse = warehouse(visit).await;
        let crm = visit
            .register("crm", json!({ "description": "Customer relations", "retrySchedule": [] }))
            .await;
        visit.answers("crm", answer(503, r#"{"error": "maintenance", "until": "06:00"}"#));
        others(visit).await;
        own_type(visit).await;
        let events = printed_events(visit).await;
        visit.arrived("warehouse", 4).await;
        let failed = visit.deliveries(&crm, "exhausted", events).await;
        visit.deliveries(&warehouse, "succeeded", 3).await;
        let replay = format!("/webhooks/{}/replay", crm["id"]);
        let since = json!({ "since": "2026-01-01T00:00:00Z" });
        let job = visit.api.ok(Method::POST, &replay, since).await;
        let rotate = format!("/webhooks/{}/secret/rotate", warehouse["id"]);
        visit.api.ok(Method::POST, &rotate, json!({ "overlapSeconds": 86_400 })).await;
        let (test_key, simulations) = in_test_mode(visit).await;
        let chosen = failed.iter().find(|delivery| delivery["eventType"] == "service_run");
        let chosen = chosen.unwrap_or(&failed[0]);
        let live = live_pages(&warehouse, &crm, chosen, job["id"].as_str().unwrap());
        Self {
            live,
            operator: vec![
                ("deployment", "/console/deployment".to_owned()),
                ("dead-letters", "/console/deployment/dead-letters?queue=exhausted".to_owned()),
            ],
            test: simulations,
            test_key,
            portal: portal_link(visit, &[&warehouse, &crm]).await,
        }
    }
}

fn live_pages(
    warehouse: &Value,
    crm: &Value,
    failed: &Value,
    job: &str,
) -> Vec<(&'static str, String)> {
    let (good, bad) = (page_of(warehouse), page_of(crm));
    let delivery = failed["id"].as_str().unwrap();
    let event = failed["eventId"].as_str().unwrap();
    vec![
        ("webhooks", "/console/webhooks".to_owned()),
        ("webhook", good.clone()),
        ("webhook-failing", bad.clone()),
        ("webhook-new", "/console/webhooks/new".to_owned()),
        ("webhook-settings", format!("{good}/settings")),
        ("matrix", format!("{good}/matrix")),
        ("send-test", format!("{good}/test?type=order.created")),
        ("webhook-deliveries", format!("{bad}/deliveries")),
        ("replay-new", format!("{bad}/replay")),
        ("replay", format!("{bad}/replay/{job}")),
        ("delivery", format!("{bad}/deliveries/{delivery}")),
        ("deliveries", "/console/deliveries".to_owned()),
        ("events", "/console/events".to_owned()),
        ("event", format!("/console/events/{event}")),
        ("publish", "/console/events/publish?type=service_run".to_owned()),
        ("event-types", "/console/event-types".to_owned()),
        ("event-type", "/console/event-types/process_run_end".to_owned()),
        ("event-type-own", "/console/event-types/ledger.closed".to_owned()),
        ("event-type-edit", "/console/event-types/ledger.closed/edit".to_owned()),
        ("settings", "/console/settings".to_owned()),
        ("portal-links", "/console/settings/portal-links".to_owned()),
        ("not-found", "/console/webhooks/7".to_owned()),
    ]
}

/// A webhook whose endpoint is well, with a matrix of its own.
async fn warehouse(visit: &Visit) -> Value {
    let settings = json!({
        "description": "Warehouse",
        "events": ["order.*", "inventory.sold", "service_run", "process_run_end"],
        "filters": {
            "onboarding": { "service_run": "process_end", "order.created": "never" },
            "*": { "service_run": "immediate" },
        },
        "headers": { "X-Team": "logistics" },
    });
    visit.api.ok(Method::PATCH, "/workspace", json!({ "processTypes": ["onboarding"] })).await;
    visit.register("warehouse", settings).await
}

/// Webhooks that are limited, paused and timing out.
async fn others(visit: &Visit) {
    let limit = json!({ "requests": 1, "per": "minute" });
    visit.register("billing", json!({ "description": "Billing", "rateLimit": limit })).await;
    let paused = visit.register("archive", json!({ "description": "Archive" })).await;
    let path = format!("/webhooks/{}", paused["id"]);
    visit.api.ok(Method::PATCH, &path, json!({ "enabled": false })).await;
    visit.answers("slow", Answer { delay_ms: 4000, ..Answer::status(200, 1) });
    let settings = json!({
        "description": "Data lake", "timeoutSeconds": 1, "profile": "spektr", "events": ["*"],
    });
    visit.register("slow", settings).await;
}

async fn own_type(visit: &Visit) {
    let ledger = json!({
        "description": "The books of a day are closed.",
        "schema": {
            "type": "object",
            "required": ["day"],
            "properties": {
                "day": { "type": "string", "description": "The day in ISO 8601." },
                "totals": {
                    "type": "object",
                    "properties": { "credit": { "type": "number" }, "debit": { "type": "number" } },
                },
            },
        },
        "sample": { "day": "2026-01-15", "totals": { "credit": 120.5, "debit": 99.0 } },
    });
    visit.api.ok(Method::PUT, "/event-types/ledger.closed", ledger).await;
}

/// Publishes the event that the documents print for each type, and returns how many there are.
async fn printed_events(visit: &Visit) -> usize {
    let types = visit.api.ok(Method::GET, "/event-types?limit=100", Value::Null).await;
    let types = types["items"].as_array().unwrap().iter();
    let printed = types.filter(|found| found["owner"] != "posthaste" && !found["sample"].is_null());
    let samples: Vec<Value> = printed.map(|found| found["sample"].clone()).collect();
    visit.api.ok(Method::POST, "/events", json!({ "events": samples })).await;
    samples.len()
}

/// Starts simulations with a key of test mode. Returns its client, and the pages there.
async fn in_test_mode(visit: &Visit) -> (Api, Vec<(&'static str, String)>) {
    let scopes = ["webhooks:manage", "events:publish", "events:read"];
    let key = json!({ "name": "Tests", "environment": "test", "scopes": scopes });
    let test = visit.key(key).await;
    let url = visit.posthaste().inbox_url(&visit.inbox("test"));
    test.ok(Method::POST, "/webhooks", json!({ "url": url, "events": ["*"] })).await;
    let events = json!({ "kind": "event", "type": "order.created", "count": 5 });
    test.ok(Method::POST, "/simulations", events).await;
    let run = json!({ "kind": "process_run", "processType": "onboarding", "speed": 10 });
    let run = test.ok(Method::POST, "/simulations", run).await;
    let pages = vec![
        ("webhooks-test-mode", "/console/webhooks".to_owned()),
        ("simulations", "/console/simulations".to_owned()),
        ("simulations-trickle", "/console/simulations?kind=trickle".to_owned()),
        ("simulation", format!("/console/simulations/{}", run["id"].as_str().unwrap())),
    ];
    (test, pages)
}

async fn portal_link(visit: &Visit, webhooks: &[&Value]) -> String {
    let ids: Vec<&Value> = webhooks.iter().map(|webhook| &webhook["id"]).collect();
    let link = json!({
        "scopes": ["webhooks:manage", "events:read"],
        "webhookIds": ids,
        "returnUrl": "https://shop.example.com/settings",
        "theme": { "name": "Example Shop", "accentColor": "#0b7a5c" },
    });
    let made = visit.api.ok(Method::POST, "/portal-links", link).await;
    let base = &visit.posthaste().system.urls().api;
    made["url"].as_str().unwrap().strip_prefix(base.as_str()).unwrap().to_owned()
}
