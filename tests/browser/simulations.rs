//! Simulations in test mode, which nobody takes for live mode.

use reqwest::Method;
use serde_json::json;

use crate::harness::{Visit, sign_in, visit};

/// Signs in with a key of test mode, and registers a webhook there to the inbox `test`.
async fn in_test_mode(visit: &mut Visit) {
    let scopes = ["webhooks:manage", "events:publish", "events:read"];
    let test = visit.key(json!({ "environment": "test", "scopes": scopes })).await;
    let url = visit.posthaste().inbox_url(&visit.inbox("test"));
    test.ok(Method::POST, "/webhooks", json!({ "url": url, "events": ["*"] })).await;
    sign_in(&mut visit.page, test.key()).await;
}

#[test]
fn events_of_a_type_are_played_with_progress() {
    visit("simulations-event", async |visit| {
        in_test_mode(visit).await;
        let page = &mut visit.page;
        page.click("Simulations").await;
        page.click("Events of one type").await;
        page.choose("Event type", "order.created").await;
        page.fill("Number of events", "3").await;
        page.click("Start the simulation").await;
        page.sees("The simulation has begun.").await;
        page.sees("3 of 3").await;
        page.sees("Every event was published.").await;
        page.passes_axe().await;
        let arrived = visit.arrived("test", 3).await;
        assert!(arrived.iter().all(|request| request.headers["webhook-environment"] == "test"));
        let page = &mut visit.page;
        page.click("Events that were published since it started").await;
        page.sees("order.created").await;
    });
}

#[test]
fn a_run_of_a_process_is_started_and_cancelled() {
    visit("simulations-run", async |visit| {
        in_test_mode(visit).await;
        let page = &mut visit.page;
        page.open("/console/simulations").await;
        page.fill("Process type", "onboarding").await;
        page.fill("Process name", "Sign up").await;
        page.click("Start the simulation").await;
        page.sees("A run of Sign up").await;
        page.sees("Its events are being published.").await;
        page.click("Cancel this simulation").await;
        page.click("Cancel the simulation").await;
        page.sees("The simulation was cancelled.").await;
        page.click("Play it again").await;
        assert_eq!(page.value("Process name").await, "Sign up");
    });
}

#[test]
fn live_and_test_mode_are_told_apart_and_never_mixed() {
    visit("simulations-modes", async |visit| {
        let live = visit.register("live", json!({})).await;
        visit.sign_in().await;
        let page = &mut visit.page;
        assert_eq!(page.script("return document.body.dataset.mode", vec![]).await.unwrap(), "live");
        assert!(!page.text().await.unwrap().contains("Test mode"));
        page.open("/console/simulations").await;
        page.sees("You are in live mode.").await;
        page.click("Switch to test mode").await;
        page.sees("Nothing here is live").await;
        page.sees("Three steps to the first delivery").await;
        let url = visit.posthaste().inbox_url(&visit.inbox("test"));
        let page = &mut visit.page;
        page.click("Register a webhook").await;
        page.fill("URL", &url).await;
        page.fill("Event types", "*").await;
        page.click("Register").await;
        page.sees("The webhook is registered.").await;
        let title = page.script("return document.title", vec![]).await.unwrap();
        assert!(title.as_str().unwrap().contains("test"), "{title}");
        let heard = page.outline().await;
        assert!(heard.iter().any(|line| line == "StaticText: MODE:"), "{heard:#?}");
        page.open(&format!("/console/webhooks/{}", live["id"])).await;
        assert_eq!(page.status(), 404, "a live webhook is not there");
        page.open("/console/events/publish?type=order.created").await;
        page.sees("Publishing sends it to the test webhooks.").await;
        page.click("Publish").await;
        page.sees("was published.").await;
        visit.arrived("test", 1).await;
        let page = &mut visit.page;
        page.click("Switch to live").await;
        page.sees("/inbox/simulations-modes-live").await;
        assert!(visit.posthaste().system.inbox().arrived(&visit.inbox("live")).is_empty());
    });
}

#[test]
fn a_key_of_test_mode_never_reaches_live_mode() {
    visit("simulations-test-key", async |visit| {
        in_test_mode(visit).await;
        let page = &mut visit.page;
        page.sees("Nothing here is live").await;
        page.click("Switch to live").await;
        page.sees("Sign in with an API key").await;
        page.open("/console/webhooks").await;
        page.sees("Nothing here is live").await;
    });
}
