//! Portal links: opened once, for some webhooks alone, in the frames that they name.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    client::{Proof, Session},
    harness::{Visit, page_of, site::Site, visit},
};

/// Makes a link, and returns the path that opens it.
async fn link(visit: &Visit, body: Value) -> String {
    let made = visit.api.ok(Method::POST, "/portal-links", body).await;
    let base = visit.posthaste().system.urls().api.clone();
    made["url"].as_str().unwrap().strip_prefix(&base).expect("it is of this host").to_owned()
}

/// Says whether a page shows or links the webhook whose description is "The other".
fn tells_of(html: &str, webhook: &Value) -> bool {
    let page = page_of(webhook);
    [format!("{page}\""), format!("{page}/"), "The other".to_owned()]
        .iter()
        .any(|mark| html.contains(mark))
}

#[test]
fn a_link_is_opened_once_and_the_browser_that_opened_it_may_come_again() {
    visit("portal-once", async |visit| {
        visit.register("mine", json!({ "description": "Mine" })).await;
        let theme = json!({ "name": "Example <b>Shop", "accentColor": "#36a64f" });
        let body = json!({
            "scopes": ["webhooks:manage", "events:read"], "theme": theme,
            "returnUrl": "https://shop.example.com/settings",
        });
        let path = link(visit, body).await;
        let page = &mut visit.page;
        page.open(&path).await;
        page.sees("Example <b>Shop").await;
        page.sees("Back to shop.example.com").await;
        page.sees("Mine").await;
        page.passes_axe().await;
        page.open(&path).await;
        page.sees("Mine").await;
        let mut other = visit.another_page().await;
        other.open(&path).await;
        other.sees("This link can't be opened").await;
        assert_eq!(other.status(), 410);
        other.open("/console/webhooks").await;
        assert!(other.path().await.starts_with("/console/sign-in"));
        visit.revoke_key().await;
        visit.page.sees_at("/console/webhooks", "The session is over").await;
    });
}

#[test]
fn nobody_is_led_out_of_their_session_by_a_link() {
    visit("portal-question", async |visit| {
        visit.register("mine", json!({ "description": "My own" })).await;
        let theirs = visit.posthaste().api.workspace("portal-theirs").await;
        let body = json!({ "scopes": ["webhooks:manage"], "theme": { "name": "Bank" } });
        let made = theirs.ok(Method::POST, "/portal-links", body).await;
        let base = visit.posthaste().system.urls().api.clone();
        let path = made["url"].as_str().unwrap().strip_prefix(&base).unwrap().to_owned();
        visit.sign_in().await;
        let page = &mut visit.page;
        page.open(&path).await;
        page.sees("It leads to the workspace portal-theirs, which calls itself Bank.").await;
        page.passes_axe().await;
        page.click("Stay").await;
        page.sees("My own").await;
        page.open(&path).await;
        page.click("Open the link").await;
        page.sees("Bank").await;
        assert!(!page.text().await.unwrap().contains("My own"));
    });
}

#[test]
fn a_links_session_sees_only_its_webhooks() {
    visit("portal-some", async |visit| {
        let mine = visit.register("mine", json!({ "description": "The mine" })).await;
        let other = visit.register("other", json!({ "description": "The other" })).await;
        let event = visit.api.publish("order.created", json!({})).await;
        let theirs = visit.deliveries(&other, "succeeded", 1).await.remove(0);
        visit.deliveries(&mine, "succeeded", 1).await;
        let body = json!({
            "scopes": ["webhooks:manage", "events:read", "events:publish"],
            "webhookIds": [mine["id"]],
        });
        let path = link(visit, body).await;
        let page = &mut visit.page;
        page.open(&path).await;
        page.sees("The mine").await;
        for path in ["/console/webhooks", "/console/webhooks?q=other", "/console/deliveries"] {
            page.open(path).await;
            assert_eq!(page.status(), 200, "{path}");
            assert!(!tells_of(page.html(), &other), "{path}");
        }
        page.open(&format!("/console/events/{event}")).await;
        page.sees(&format!("Delivery to webhook {}", mine["id"])).await;
        assert!(!tells_of(page.html(), &other), "the event went to the other webhook too");
        let of_other = page_of(&other);
        let delivery = format!("{of_other}/deliveries/{}", theirs["id"].as_str().unwrap());
        let of_other = ["", "/settings", "/matrix", "/test", "/deliveries", "/replay"]
            .map(|rest| format!("{of_other}{rest}"));
        let outside = ["/console/settings/portal-links", "/console/deployment"].map(str::to_owned);
        for path in of_other.into_iter().chain(outside).chain([delivery]) {
            page.open(&path).await;
            assert!(page.status() == 404 || page.status() == 403, "{path}: {}", page.status());
            assert!(!tells_of(page.html(), &other), "{path}");
        }
        page.open(&page_of(&mine)).await;
        page.click("Pause").await;
        page.sees("The webhook is paused.").await;
        let cookies = visit.page.cookies().await;
        let cookie = cookies.iter().find(|cookie| cookie.name == "posthaste-session").unwrap();
        let session = Session::with_cookie(visit, &cookie.name, &cookie.value);
        let token = session.token(&page_of(&mine)).await;
        let proof = Proof { token: &token, origin: None };
        for path in [
            format!("{}/pause", page_of(&other)),
            format!("{}/remove", page_of(&other)),
            format!("{}/remove", page_of(&mine)),
            "/console/webhooks/new".to_owned(),
        ] {
            assert_eq!(session.status(&path, proof).await, 404, "{path}");
        }
        let webhooks = visit.api.ok(Method::GET, "/webhooks", Value::Null).await;
        assert_eq!(webhooks["items"].as_array().unwrap().len(), 2);
    });
}

#[test]
fn a_session_is_shown_in_a_frame_of_the_origins_that_its_link_names() {
    visit("portal-frame", async |visit| {
        visit.register("mine", json!({ "description": "In the frame" })).await;
        let (named, stranger) =
            (Site::start("default-src *").await, Site::start("default-src *").await);
        let body = json!({ "scopes": ["webhooks:manage"], "frameOrigins": [named.by_name()] });
        for site in [&named, &stranger] {
            let path = link(visit, body.clone()).await;
            let url = format!("{}{path}", visit.posthaste().system.urls().api);
            site.set(
                "/",
                &format!(
                    "<!doctype html><html lang=en><title>Shop</title><h1>Shop</h1>\
                     <iframe title=Webhooks width=1000 height=700 src='{url}'></iframe>"
                ),
            );
        }
        let page = &mut visit.page.at(&named.by_name());
        for _ in 0..2 {
            page.open("/").await;
            page.enter_frame().await;
            page.sees("In the frame").await;
            page.leave_frame().await;
        }
        page.enter_frame().await;
        page.click("In the frame").await;
        page.sees("How it is doing").await;
        page.click("Pause").await;
        page.sees("The webhook is paused.").await;
        page.leave_frame().await;

        let page = &mut visit.page.at(&stranger.by_name());
        page.complains_at("/", "frame-ancestors").await;
        page.enter_frame().await;
        assert!(!page.text().await.unwrap_or_default().contains("In the frame"));
        page.leave_frame().await;
    });
}

#[test]
fn links_are_made_listed_and_deleted_in_the_settings() {
    visit("portal-settings", async |visit| {
        let webhook = visit.register("mine", json!({ "description": "Mine" })).await;
        visit.sign_in().await;
        let page = &mut visit.page;
        page.click("Settings").await;
        page.click("See and make portal links").await;
        page.sees("There is no link yet.").await;
        page.fill("Name of your product", "Shop").await;
        page.fill("Colour of buttons and links", "green").await;
        page.fill("Webhooks", &webhook["id"].to_string()).await;
        page.click("Make the link").await;
        assert_eq!(page.status(), 422);
        assert_eq!(page.value("Name of your product").await, "Shop");
        assert!(page.description("Colour of buttons and links").await.len() > 20);
        page.fill("Colour of buttons and links", "#36a64f").await;
        page.click("Make the link").await;
        page.sees("The portal link was made.").await;
        page.passes_axe().await;
        let url = page.text_of("#secret").await.as_str().unwrap().to_owned();
        let base = visit.posthaste().system.urls().api.clone();
        let mut customer = visit.another_page().await;
        customer.open(url.strip_prefix(&base).unwrap()).await;
        customer.sees("Shop").await;
        customer.sees("Mine").await;
        let page = &mut visit.page;
        page.reload().await;
        assert!(!page.html().contains("plk_"), "the link is shown once");
        page.click("Delete the link").await;
        page.click_beside("Delete the link", "Delete the link").await;
        page.sees("The portal link was deleted").await;
        customer.sees_at("/console/webhooks", "The session is over").await;
    });
}
