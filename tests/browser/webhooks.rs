//! Webhooks: registered, changed, paused and removed with the pages alone.

use std::process::{Command, Stdio};

use posthaste_tests::Settings;
use serde_json::{Value, json};

use crate::harness::{Visit, page_of, visit};

#[test]
fn a_webhook_is_registered_with_a_form_and_gets_what_a_form_publishes() {
    visit("webhooks-register", async |visit| {
        let url = visit.posthaste().inbox_url(&visit.inbox("orders"));
        visit.sign_in().await;
        let page = &mut visit.page;
        page.sees("Three steps to the first delivery").await;
        page.click("Register a webhook").await;
        page.fill("URL", "ftp://example.com/").await;
        page.fill("Description", "Orders <of all>").await;
        page.fill("Event types", "order.*").await;
        page.click("Register").await;
        page.sees("Register a webhook").await;
        assert_eq!(page.status(), 422);
        let said = page.description("URL").await;
        assert!(said.contains("http"), "the API's message stands at the field: {said}");
        assert_eq!(page.value("Description").await, "Orders <of all>");
        assert_eq!(page.value("Event types").await, "order.*");
        page.passes_axe().await;

        page.fill("URL", &url).await;
        page.click("Register").await;
        page.sees("The webhook is registered.").await;
        page.sees("Orders <of all>").await;
        let secret = page.text_of("#secret").await.as_str().unwrap().to_owned();
        assert!(secret.starts_with("whsec_"), "{secret}");
        let inbox = visit.inbox("orders");
        let settings = Settings { secret: Some(secret.clone()), ..Settings::default() };
        visit.posthaste().system.inbox().set(&inbox, settings);
        let page = &mut visit.page;
        page.reload().await;
        assert!(!page.html().contains(&secret), "the secret is shown once");

        page.open("/console/events/publish?type=order.created").await;
        page.click("Publish").await;
        page.sees("was published.").await;
        let request = visit.arrived("orders", 1).await.remove(0);
        assert!(request.body.contains("order.created"), "{}", request.body);
        assert!(request.signatures.is_some_and(|signatures| signatures.standard));
    });
}

#[test]
fn settings_are_changed_with_a_form_and_obeyed() {
    visit("webhooks-settings", async |visit| {
        let webhook = visit.register("mine", json!({ "headers": { "X-Old": "1" } })).await;
        visit.sign_in().await;
        let page = &mut visit.page;
        page.open(&page_of(&webhook)).await;
        page.click("Change its settings").await;
        page.click("Requests").await;
        page.fill("Timeout in seconds", "soon").await;
        page.fill("Headers of your own", "X-Tenant: globex").await;
        page.click("Save").await;
        assert_eq!(page.status(), 422);
        assert!(page.description("Timeout in seconds").await.contains("number"));
        assert_eq!(page.value("Headers of your own").await, "X-Tenant: globex");
        page.fill("Timeout in seconds", "7").await;
        page.choose("Format", "cloudevents").await;
        page.click("Save").await;
        page.sees("The settings are saved.").await;

        visit.api.publish("order.created", json!({})).await;
        let request = visit.arrived("mine", 1).await.remove(0);
        assert_eq!(request.headers["x-tenant"], "globex");
        assert!(!request.headers.contains_key("x-old"), "new lines replace all that there were");
        let body: Value = serde_json::from_str(&request.body).unwrap();
        assert_eq!(body["specversion"], "1.0");
        let page = &mut visit.page;
        page.click("Change its settings").await;
        assert_eq!(page.value("Timeout in seconds").await, "7");
        page.sees("Now there are: X-Tenant").await;
        assert!(!page.html().contains("globex"), "values are never shown again");
    });
}

#[test]
fn a_webhook_is_paused_resumed_and_removed() {
    visit("webhooks-pause", async |visit| {
        let webhook = visit.register("mine", json!({})).await;
        visit.sign_in().await;
        let page = &mut visit.page;
        page.open(&page_of(&webhook)).await;
        page.click("Pause").await;
        page.sees("The webhook is paused.").await;
        visit.api.publish("order.created", json!({ "n": 1 })).await;
        visit.deliveries(&webhook, "skipped", 1).await;
        let page = &mut visit.page;
        page.click("Resume").await;
        page.sees("The webhook gets events again.").await;
        visit.api.publish("order.created", json!({ "n": 2 })).await;
        let arrived = visit.arrived("mine", 1).await;
        assert!(arrived[0].body.contains("\"n\":2"), "{}", arrived[0].body);

        let page = &mut visit.page;
        page.click("Remove the webhook").await;
        page.click(&format!("Remove webhook {}", webhook["id"])).await;
        page.sees(&format!("Webhook {} is removed.", webhook["id"])).await;
        page.open(&page_of(&webhook)).await;
        assert_eq!(page.status(), 404);
        page.open(&format!("{}/deliveries", page_of(&webhook))).await;
        page.sees("The webhook was removed").await;
        page.sees("order.created").await;
    });
}

#[test]
fn a_secret_is_changed_and_the_end_of_the_old_one_is_counted_down() {
    visit("webhooks-rotate", async |visit| {
        let webhook = visit.register("mine", json!({})).await;
        visit.sign_in().await;
        let page = &mut visit.page;
        page.open(&page_of(&webhook)).await;
        page.click("Change the secret").await;
        page.choose("Hours for which the old secret signs too", "24 hours").await;
        page.click("Make a new secret").await;
        page.sees("There is a new secret.").await;
        page.sees("23 h 59 min left").await;
        let secret = page.text_of("#secret").await.as_str().unwrap().to_owned();
        assert_ne!(json!(secret), webhook["secret"]);
        let inbox = visit.inbox("mine");
        let settings = Settings { secret: Some(secret), ..Settings::default() };
        visit.posthaste().system.inbox().set(&inbox, settings);
        visit.api.publish("order.created", json!({})).await;
        let request = visit.arrived("mine", 1).await.remove(0);
        assert!(request.signatures.is_some_and(|signatures| signatures.standard));
    });
}

#[test]
fn the_lines_of_the_three_steps_work_as_they_are_printed() {
    visit("webhooks-steps", async |visit| {
        visit.sign_in().await;
        let page = &mut visit.page;
        page.sees("Three steps to the first delivery").await;
        for step in ["#step-register", "#step-publish"] {
            let line = page.text_of(step).await;
            let answer = in_a_shell(line.as_str().unwrap(), visit.api.key());
            assert_eq!(answer["success"], true, "{line}: {answer}");
        }
        let arrived = visit.posthaste().arrived("mine", 1).await;
        assert!(arrived[0].body.contains("42"), "{}", arrived[0].body);
        let page = &mut visit.page;
        page.click("deliveries").await;
        page.sees("order.created").await;
    });
}

#[test]
fn webhooks_are_found_by_their_id_url_and_description() {
    visit("webhooks-search", async |visit| {
        let orders = visit.register("orders", json!({ "description": "The orders" })).await;
        visit.register("stock", json!({ "description": "The stock" })).await;
        visit.sign_in().await;
        let id = orders["id"].to_string();
        for text in ["the ORDERS", "search-orders", &id] {
            let page = &mut visit.page;
            page.fill("Search", text).await;
            page.click("Search").await;
            page.sees("The orders").await;
            assert_eq!(page.value("Search").await, text);
            // The number of a webhook may be a part of an address too.
            let has_other = page.text().await.unwrap().contains("The stock");
            assert!(text == id || !has_other, "{text}");
        }
        visit.page.fill("Search", "nothing").await;
        visit.page.click("Search").await;
        visit.page.sees("No webhook has nothing in its id").await;
    });
}

#[test]
fn everything_but_live_rows_works_without_scripts() {
    visit("webhooks-no-scripts", async |visit| {
        visit.page.forbid_scripts().await;
        visit.sign_in().await;
        let url = visit.posthaste().inbox_url(&visit.inbox("mine"));
        let page = &mut visit.page;
        page.click("Register a webhook").await;
        page.fill("URL", &url).await;
        page.fill("Event types", "*").await;
        page.click("Register").await;
        page.sees("The webhook is registered.").await;
        page.click("Matrix").await;
        page.choose("* of no process", "at once").await;
        page.click("Preview").await;
        page.sees("nothing is saved yet").await;
        page.click("Save the matrix").await;
        page.sees("The matrix is saved.").await;
        page.click("Send test").await;
        page.click("Show its sample").await;
        let send = page.text_of("form[method=post][data-wait] button").await;
        page.click(send.as_str().unwrap()).await;
        page.sees("The endpoint’s answer").await;
        page.open("/console/events/publish?type=order.created").await;
        page.click("Dry run").await;
        page.sees("The only webhook here would get it.").await;
        page.click("Publish").await;
        page.sees("was published.").await;
        visit.arrived("mine", 2).await;
        without_scripts_deliveries(visit).await;
    });
}

async fn without_scripts_deliveries(visit: &mut Visit) {
    let page = &mut visit.page;
    page.sees_at("/console/deliveries", "order.created").await;
    page.choose("Status", "succeeded").await;
    page.click("Filter").await;
    // The test is listed too.
    page.click_beside("succeeded 1 attempt", "order.created to webhook").await;
    page.sees("The endpoint took it.").await;
    page.click("Body of the request, byte by byte").await;
    page.sees("0000").await;
    page.click("Replay this delivery").await;
    page.sees("is being delivered again").await;
    visit.arrived("mine", 3).await;
}

/// Runs a line as somebody's shell does, with their API key as `KEY`, and returns the answer.
pub(crate) fn in_a_shell(line: &str, key: &str) -> Value {
    let ran = Command::new("sh")
        .args(["-c", line])
        .env("KEY", key)
        .stderr(Stdio::null())
        .output()
        .expect("sh can be run");
    serde_json::from_slice(&ran.stdout).unwrap_or_else(|_| panic!("{line} answers no JSON"))
}
