//! Events: published by hand, tried without publishing, and followed.

use serde_json::json;

use crate::harness::{answer, visit};

#[test]
fn an_event_is_tried_without_publishing_then_published_and_delivered() {
    visit("events-publish", async |visit| {
        visit.register("mine", json!({ "events": ["order.*"] })).await;
        visit.register("none", json!({ "events": ["inventory.*"] })).await;
        visit.sign_in().await;
        let page = &mut visit.page;
        page.click("Events").await;
        page.sees("There is no event yet.").await;
        page.click("Publish an event").await;
        page.fill("Begin with the sample of a type", "order.created").await;
        page.click("Fill in the sample").await;
        assert_eq!(page.value("Type").await, "order.created");
        page.fill("Data, a JSON object", "[").await;
        page.click("Publish").await;
        assert_eq!(page.status(), 422);
        assert!(!page.description("Data, a JSON object").await.is_empty());
        assert_eq!(page.value("Data, a JSON object").await, "[");
        page.fill("Data, a JSON object", r#"{"total": 1.50, "processType": "vip"}"#).await;
        page.click("Dry run").await;
        page.sees("1 of these 2 webhooks would get it. Nothing was published.").await;
        page.click("The request to webhook").await;
        page.sees("user-agent").await;
        page.passes_axe().await;
        assert!(page.value("Data, a JSON object").await.contains("1.50"));
        page.click("Publish").await;
        page.sees("was published.").await;
        let sent = visit.arrived("mine", 1).await.remove(0);
        assert!(sent.body.contains("1.50"), "{}", sent.body);
        let page = &mut visit.page;
        page.click("order.created, event").await;
        page.sees("Every webhook that wants it has it.").await;
        page.sees("Delivery to webhook").await;
        page.click("Publish another one like it").await;
        assert!(page.value("Data, a JSON object").await.contains("1.50"));
    });
}

#[test]
fn the_log_of_events_is_filtered_and_says_what_was_delivered() {
    visit("events-log", async |visit| {
        let bad =
            visit.register("bad", json!({ "events": ["order.*"], "retrySchedule": [] })).await;
        visit.answers("bad", answer(500, "no"));
        visit.register("good", json!({ "events": ["inventory.*"] })).await;
        visit.api.publish("order.created", json!({})).await;
        visit.api.publish("inventory.sold", json!({})).await;
        visit.deliveries(&bad, "exhausted", 1).await;
        visit.arrived("good", 1).await;
        visit.sign_in().await;
        let page = &mut visit.page;
        page.sees_at("/console/events?type=order.created", "not delivered").await;
        assert!(!page.text().await.unwrap().contains("inventory.sold, event"));
        page.fill("Type", "inventory.sold").await;
        page.click("Filter").await;
        let path = page.path().await;
        assert!(path.contains("type=inventory.sold"), "{path}");
        page.sees_at(&path, "delivered").await;
        page.click("inventory.sold, event").await;
        page.sees("Every webhook that wants it has it.").await;
        page.click("Delivery to webhook").await;
        page.sees("The endpoint took it.").await;
    });
}
