//! Event types: the catalogue, and the types of a workspace's own.

use serde_json::json;

use crate::harness::visit;

#[test]
fn the_catalogue_is_searched_and_a_type_explained() {
    visit("types-catalogue", async |visit| {
        visit.sign_in().await;
        let page = &mut visit.page;
        page.click("Event types").await;
        for owner in ["Spectra", "Spektr", "Dataspike"] {
            page.sees(owner).await;
        }
        page.fill("Search", "Order created").await;
        page.click("Search").await;
        page.sees("order.created").await;
        assert!(!page.text().await.unwrap().contains("service_run"));
        page.open("/console/event-types/service_run").await;
        for shown in
            ["Where the document leaves a choice", "vendorType", "Sample", "How it arrives"]
        {
            page.sees(shown).await;
        }
        page.click("Format cloudevents").await;
        page.sees("\"specversion\": \"1.0\"").await;
        page.click("The JSON Schema itself").await;
        page.sees("$schema").await;
    });
}

#[test]
fn an_own_type_is_added_edited_and_removed() {
    visit("types-own", async |visit| {
        visit.register("mine", json!({})).await;
        visit.sign_in().await;
        let page = &mut visit.page;
        page.open("/console/event-types").await;
        page.click("Add an event type").await;
        page.fill("Name", "ledger closed").await;
        page.fill("JSON Schema of the data", r#"{"type": "object", "required": ["day"]}"#).await;
        page.fill("Sample of the data", r#"{"day": "monday"}"#).await;
        page.click("Store the event type").await;
        assert_eq!(page.status(), 422);
        assert!(page.description("Name").await.len() > 80, "the complaint stands at the name");
        page.fill("Name", "ledger.closed").await;
        page.fill("Sample of the data", "{}").await;
        page.click("Store the event type").await;
        assert_eq!(page.status(), 422);
        assert!(page.description("Sample of the data").await.contains("day"));
        page.passes_axe().await;
        page.fill("Sample of the data", r#"{"day": "monday"}"#).await;
        page.click("Store the event type").await;
        page.sees("The event type ledger.closed was stored.").await;
        page.sees("\"day\": \"monday\"").await;

        page.click("Edit this event type").await;
        page.fill("Description", "A day is over.").await;
        page.click("Store the event type").await;
        page.sees("A day is over.").await;
        page.open("/console/events/publish?type=ledger.closed").await;
        page.fill("Data, a JSON object", "{}").await;
        page.click("Publish").await;
        assert_eq!(page.status(), 422);
        assert!(page.description("Data, a JSON object").await.contains("day"));
        page.fill("Data, a JSON object", r#"{"day": "tuesday"}"#).await;
        page.click("Publish").await;
        page.sees("was published.").await;
        visit.arrived("mine", 1).await;

        let page = &mut visit.page;
        page.open("/console/event-types/ledger.closed/edit").await;
        page.click("Remove this event type").await;
        page.click("Remove ledger.closed").await;
        page.sees("The event type ledger.closed was removed.").await;
    });
}
