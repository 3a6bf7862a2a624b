//! Deliveries: found with filters, looked into, sent again, and shown as they come.

use posthaste_tests::{Action, Aim, SOON};
use serde_json::json;

use crate::harness::{answer, page_of, visit};

#[test]
fn a_failed_delivery_is_found_with_filters_looked_into_and_replayed() {
    visit("deliveries-failed", async |visit| {
        let bad =
            visit.register("bad", json!({ "events": ["order.*"], "retrySchedule": [] })).await;
        visit.answers("bad", answer(503, r#"{"error": "closed"}"#));
        visit.register("good", json!({ "events": ["inventory.sold"] })).await;
        visit.api.publish("order.created", json!({ "n": 1 })).await;
        visit.api.publish("inventory.sold", json!({})).await;
        visit.deliveries(&bad, "exhausted", 1).await;
        visit.arrived("good", 1).await;
        visit.sign_in().await;
        let page = &mut visit.page;
        page.sees_at("/console/deliveries", "inventory.sold").await;
        page.choose("Status", "exhausted").await;
        page.fill("HTTP status", "5xx").await;
        page.click("Filter").await;
        let path = page.path().await;
        assert!(path.contains("status=exhausted") && path.contains("http_status=5xx"), "{path}");
        assert!(!page.text().await.unwrap().contains("inventory.sold"));
        assert_eq!(page.value("HTTP status").await, "5xx");
        page.passes_axe().await;
        page.open("/console/deliveries?http_status=lots&event_type=order.created").await;
        assert_eq!(page.status(), 422);
        assert!(!page.description("HTTP status").await.is_empty(), "the complaint is at its field");
        assert_eq!(page.value("Event type").await, "order.created");

        page.resize(1280, 800).await;
        page.open(&path).await;
        page.click("order.created to webhook").await;
        for shown in ["Status 503", "\"error\": \"closed\"", "\"n\": 1", "user-agent", "exhausted"]
        {
            page.sees(shown).await;
        }
        let tops = page
            .script(
                "return ['request-title', 'answer-title'].map((id) => \
                 document.getElementById(id).getBoundingClientRect().top)",
                vec![],
            )
            .await
            .unwrap();
        assert_eq!(tops[0], tops[1], "the request and the answer stand side by side");
        visit.answers("bad", answer(200, ""));
        let page = &mut visit.page;
        page.click("Replay this delivery").await;
        page.sees("is being delivered again").await;
        assert_eq!(visit.arrived("bad", 2).await[1].answered, 200);
        visit.page.sees("succeeded").await;
    });
}

#[test]
fn all_failed_deliveries_are_replayed_and_a_replay_is_cancelled() {
    visit("deliveries-replay", async |visit| {
        let webhook = visit.register("mine", json!({ "retrySchedule": [] })).await;
        visit.answers("mine", answer(500, "no"));
        for n in 0..3 {
            visit.api.publish("order.created", json!({ "n": n })).await;
        }
        visit.deliveries(&webhook, "exhausted", 3).await;
        visit.sign_in().await;
        let aim = Aim::at("replay", "dynamodb:UpdateItem", Action::Pause);
        let paused = visit.posthaste().system.faults().aim(aim);
        let page = &mut visit.page;
        page.open(&format!("{}/deliveries", page_of(&webhook))).await;
        page.click("Replay the failed ones").await;
        page.click("Replay them").await;
        page.sees("The replay has begun.").await;
        page.sees("running").await;
        tokio::time::timeout(SOON, paused.hit()).await.expect("the replay is under way");
        let page = &mut visit.page;
        page.click("Cancel this replay").await;
        page.click("Cancel the replay").await;
        page.sees("The replay was cancelled.").await;
        page.passes_axe().await;
        paused.release();

        visit.deliveries(&webhook, "exhausted", 6).await;
        visit.answers("mine", answer(200, ""));
        let page = &mut visit.page;
        page.click("Replay").await;
        page.click("Replay them").await;
        page.sees("Delivered again 3").await;
        page.sees("It has gone through all deliveries of its time.").await;
        visit.arrived("mine", 9).await;
    });
}

#[test]
fn new_rows_appear_without_a_reload() {
    visit("deliveries-live", async |visit| {
        visit.register("mine", json!({})).await;
        visit.sign_in().await;
        let page = &mut visit.page;
        page.open("/console/deliveries").await;
        page.sees("There is no delivery yet.").await;
        page.script("window.stays = 1", vec![]).await.unwrap();
        visit.api.publish("order.created", json!({})).await;
        let page = &mut visit.page;
        page.sees("order.created").await;
        assert_eq!(page.script("return window.stays", vec![]).await.unwrap(), 1);
        let heard = page.text_of("#announcements").await;
        assert!(heard.as_str().unwrap().ends_with("new"), "a screen reader hears it: {heard}");
        visit.api.publish("order.shipped", json!({})).await;
        let page = &mut visit.page;
        page.sees("order.shipped").await;
        page.passes_axe().await;
        assert_eq!(page.script("return window.stays", vec![]).await.unwrap(), 1);
    });
}
