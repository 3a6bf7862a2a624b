//! The matrix: set with the keyboard, previewed, saved and obeyed.

use serde_json::json;

use crate::harness::{page_of, visit, web_driver::Key};

#[test]
fn the_matrix_is_set_with_the_keyboard_alone_and_obeyed() {
    visit("matrix-keyboard", async |visit| {
        let webhook = visit.register("mine", json!({ "events": ["order.*"] })).await;
        visit.register("all", json!({})).await;
        visit.api.publish("order.created", json!({ "processType": "vip" })).await;
        visit.arrived("mine", 1).await;
        visit.arrived("all", 1).await;
        visit.sign_in().await;
        let page = &mut visit.page;
        page.open(&format!("{}/matrix", page_of(&webhook))).await;
        page.tab_to("Process type").await;
        page.type_text("vip").await;
        page.press(Key::Enter).await;
        page.tab_to("order.created of vip").await;
        page.type_text("never").await;
        assert_eq!(page.value("order.created of vip").await, "never");
        page.chord(Key::Control, Key::Down).await;
        assert_eq!(page.focused().await, "order.shipped of vip");
        page.passes_axe().await;
        page.tab_to("Preview with yesterday's events").await;
        page.press(Key::Enter).await;
        page.sees("Of the 1 events of the last 24 hours, 1 would have gone another way.").await;
        assert_eq!(page.value("order.created of vip").await, "never");
        page.passes_axe().await;
        page.tab_to("Save the matrix").await;
        page.press(Key::Enter).await;
        page.sees("The matrix is saved.").await;
        assert_eq!(page.value("order.created of vip").await, "never");

        visit.api.publish("order.created", json!({ "n": 1, "processType": "vip" })).await;
        visit.arrived("all", 2).await;
        visit.api.publish("order.created", json!({ "n": 2, "processType": "other" })).await;
        visit.arrived("all", 3).await;
        let arrived = visit.arrived("mine", 2).await;
        assert_eq!(arrived.len(), 2);
        assert!(arrived[1].body.contains("\"n\":2"), "{}", arrived[1].body);
    });
}

#[test]
fn a_cell_can_hold_events_until_the_end_of_their_process() {
    visit("matrix-end", async |visit| {
        let settings = json!({ "profile": "spektr", "events": ["service_run", "process_run_end"] });
        let webhook = visit.register("mine", settings).await;
        visit.sign_in().await;
        let page = &mut visit.page;
        page.open(&format!("{}/matrix", page_of(&webhook))).await;
        page.choose("service_run of every other process", "at the end").await;
        page.click("Save the matrix").await;
        page.sees("The matrix is saved.").await;
        let data = json!({
            "processType": "onboarding", "processName": "Onboarding", "processId": "1",
            "contextId": "1", "vendorType": "kyc",
        });
        visit.api.publish("service_run", data).await;
        visit.deliveries(&webhook, "waiting", 1).await;
        let page = &mut visit.page;
        page.open(&format!("{}/deliveries", page_of(&webhook))).await;
        page.click("service_run to webhook").await;
        page.sees("It is held until the run of its process ends").await;
    });
}
