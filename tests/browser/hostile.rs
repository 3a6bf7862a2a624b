//! Hostile data on every page: markup, very long words, marks that turn the text, NUL.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Page, Visit, answer, page_of, sign_in, visit};

/// The global variable that a payload sets where its script runs.
const GLOBAL: &str = "hostile";

/// A text that is many attacks in one.
pub(crate) fn payload() -> String {
    format!(
        "\"'><script>window.{GLOBAL}=1</script><img src=x onerror=window.{GLOBAL}=1>\
         </textarea></title></pre><svg onload=window.{GLOBAL}=1>javascript:window.{GLOBAL}=1 \
         {{{{7*7}}}} \u{202e}\u{2066}turned\u{200f} {}",
        "W".repeat(150)
    )
}

/// The first characters of the payload.
fn of_length(count: usize) -> String {
    payload().chars().take(count).collect()
}

/// The payload with the characters that only the data of events may have.
fn data() -> Value {
    let text = format!("{}\0\u{1b}\u{7f}{}", payload(), "x".repeat(2000));
    json!({ text.clone(): text, "processType": payload(), "contextId": payload() })
}

/// Fills a workspace with hostile things, and returns the paths of the pages that show them.
async fn scene(visit: &Visit) -> Vec<String> {
    let settings = json!({
        "description": of_length(250),
        "headers": { "X-Hostile": "\"><script>window.hostile=1</script>" },
        "retrySchedule": [],
        "filters": { of_length(120): { "order.created": "never" } },
    });
    let webhook = visit.register("mine", settings).await;
    visit.answers("mine", answer(500, &format!("{}\0\u{1b}", payload())));
    let event = json!({
        "type": "order.created",
        "subject": of_length(200),
        "reference": of_length(100),
        "data": data(),
    });
    let event = visit.api.ok(Method::POST, "/events", event).await;
    let long_type = format!("a.{}", "b".repeat(60));
    visit.api.publish(&long_type, data()).await;
    let delivery = visit.deliveries(&webhook, "exhausted", 2).await.remove(0);
    let own = json!({
        "description": payload(),
        "schema": {
            "type": "object",
            "title": payload(),
            "properties": {
                payload(): { "type": "string", "description": payload(), "enum": [payload()] },
            },
        },
        "sample": { payload(): payload() },
    });
    visit.api.ok(Method::PUT, "/event-types/own.hostile", own).await;
    visit.key(json!({ "name": of_length(250), "scopes": ["events:read"] })).await;
    let process = of_length(120);
    visit.api.ok(Method::PATCH, "/workspace", json!({ "processTypes": [process] })).await;
    let mut paths = vec![
        "/console/webhooks".to_owned(),
        "/console/deliveries".to_owned(),
        "/console/events".to_owned(),
        format!("/console/events/{}", event["id"].as_str().unwrap()),
        format!("/console/events/publish?event={}", event["id"].as_str().unwrap()),
        "/console/event-types".to_owned(),
        "/console/event-types/own.hostile".to_owned(),
        "/console/event-types/own.hostile/edit".to_owned(),
        format!("/console/event-types/{long_type}"),
        "/console/settings".to_owned(),
        format!("{}/deliveries/{}", page_of(&webhook), delivery["id"].as_str().unwrap()),
    ];
    let of_webhook =
        ["", "/settings", "/matrix", "/deliveries", "/test?type=own.hostile", "/replay"];
    paths.extend(of_webhook.map(|rest| format!("{}{rest}", page_of(&webhook))));
    paths
}

/// Asserts that nothing foreign has run on the page, and that it fits a phone.
pub(crate) async fn is_harmless(page: &mut Page) {
    page.has_not_run(GLOBAL).await;
    assert!(!page.html().contains("<script>window"), "{}", page.path().await);
    assert!(!page.html().contains(['\0', '\u{1b}']), "{}", page.path().await);
    let shown = page.text().await.unwrap();
    assert!(!shown.contains('\u{202e}'), "{} has turned text: {shown}", page.path().await);
    page.fits().await;
}

#[test]
fn hostile_data_is_only_text_on_every_page() {
    visit("hostile-data", async |visit| {
        let paths = scene(visit).await;
        visit.sign_in().await;
        let page = &mut visit.page;
        page.resize(360, 740).await;
        for path in &paths {
            page.open(path).await;
            assert_eq!(page.status(), 200, "{path}");
            is_harmless(page).await;
        }
    });
}

#[test]
fn hostile_input_comes_back_as_text() {
    visit("hostile-input", async |visit| {
        let webhook = visit.register("mine", json!({})).await;
        visit.answers("mine", answer(200, &payload()));
        visit.sign_in().await;
        let page = &mut visit.page;
        page.resize(360, 740).await;
        page.open("/console/webhooks/new").await;
        page.set("URL", &payload()).await;
        page.set("Description", &payload()).await;
        page.set("Event types", &payload()).await;
        page.click("Register").await;
        assert_eq!(page.status(), 422);
        is_harmless_but_for_the_input(page).await;
        page.open(&format!("{}/test?type=order.created", page_of(&webhook))).await;
        page.set("Data of the event", &json!({ payload(): payload() }).to_string()).await;
        page.click("Send order.created").await;
        page.sees("The endpoint’s answer").await;
        is_harmless_but_for_the_input(page).await;
        page.open("/console/events/publish?type=order.created").await;
        page.set("Data, a JSON object", &data().to_string()).await;
        page.set("Subject: whom it is about (optional)", &of_length(200)).await;
        page.click("Dry run").await;
        page.sees("Nothing was published.").await;
        is_harmless_but_for_the_input(page).await;
        for query in ["q", "status", "event_type", "since", "cursor", "type", "look", "next"] {
            for path in ["webhooks", "deliveries", "events", "event-types", "settings", "sign-in"] {
                let attack = "%22%27%3E%3Cscript%3Ewindow.hostile%3D1%3C%2Fscript%3E%00%E2%80%AE";
                page.open(&format!("/console/{path}?{query}={attack}")).await;
                page.has_not_run(GLOBAL).await;
                assert!(!page.html().contains("<script>window"), "{path}?{query}");
            }
        }
    });
}

/// What somebody has entered stays in the form as it is, also marks that turn the text.
async fn is_harmless_but_for_the_input(page: &mut Page) {
    page.has_not_run(GLOBAL).await;
    assert!(!page.html().contains("<script>window"), "{}", page.path().await);
    page.fits().await;
}

#[test]
fn hostile_names_of_simulations_and_portals_are_only_text() {
    visit("hostile-names", async |visit| {
        let scopes = ["webhooks:manage", "events:publish", "events:read"];
        let test = visit.key(json!({ "environment": "test", "scopes": scopes })).await;
        let asked = json!({
            "kind": "process_run",
            "processType": of_length(100),
            "processName": of_length(100),
        });
        let simulation = test.ok(Method::POST, "/simulations", asked).await;
        sign_in(&mut visit.page, test.key()).await;
        let page = &mut visit.page;
        page.resize(360, 740).await;
        let one = format!("/console/simulations/{}", simulation["id"].as_str().unwrap());
        for path in ["/console/simulations", &one] {
            page.open(path).await;
            is_harmless(page).await;
        }
        let theme = json!({ "name": of_length(64) });
        let link = json!({ "scopes": ["webhooks:manage"], "theme": theme });
        let link = visit.api.ok(Method::POST, "/portal-links", link).await;
        let base = visit.posthaste().system.urls().api.clone();
        let page = &mut visit.page;
        page.open(link["url"].as_str().unwrap().strip_prefix(&base).unwrap()).await;
        page.sees("Open this link?").await;
        is_harmless(page).await;
        page.click("Open the link").await;
        page.sees("<script>").await;
        is_harmless(page).await;
        visit.sign_in().await;
        visit.page.open("/console/settings/portal-links").await;
        is_harmless(&mut visit.page).await;
    });
}
