//! The settings of a workspace: its API keys and its defaults.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{page_of, sign_in, visit};

#[test]
fn a_key_is_made_shown_once_used_and_revoked() {
    visit("settings-keys", async |visit| {
        visit.sign_in().await;
        let page = &mut visit.page;
        page.click("Settings").await;
        page.fill("Name", "The shop").await;
        page.click("Make the key").await;
        assert_eq!(page.status(), 422);
        assert_eq!(page.value("Name").await, "The shop");
        page.click("webhooks:manage").await;
        page.click("events:read").await;
        page.click("Make the key").await;
        page.sees("The key was made. It is for settings-keys in live mode.").await;
        let key = page.text_of("#secret").await.as_str().unwrap().to_owned();
        page.passes_axe().await;
        page.reload().await;
        assert!(!page.html().contains(&key), "the key is shown once");
        let shop = visit.api.with_key(&key);
        shop.ok(Method::GET, "/webhooks", Value::Null).await;
        assert_eq!(shop.call(Method::GET, "/keys", Value::Null).await.0, 403);
        let page = &mut visit.page;
        page.click("Revoke the key The shop").await;
        page.click_beside("Revoke the key The shop", "Revoke the key The shop").await;
        page.sees("The key was revoked.").await;
        let keys = visit.api.ok(Method::GET, "/keys", Value::Null).await;
        assert_eq!(keys["items"].as_array().unwrap().len(), 1);
    });
}

#[test]
fn revoking_the_own_key_ends_the_session() {
    visit("settings-own-key", async |visit| {
        let scopes = ["keys:manage", "webhooks:manage"];
        let mine = visit.key(json!({ "name": "Mine", "scopes": scopes })).await;
        sign_in(&mut visit.page, mine.key()).await;
        let page = &mut visit.page;
        page.open("/console/settings").await;
        page.sees("you are signed in with it").await;
        page.click("Revoke the key Mine").await;
        page.click("Revoke the key Mine and sign out").await;
        page.sees("Sign in with an API key").await;
        page.open("/console/settings").await;
        assert!(page.path().await.starts_with("/console/sign-in"));
    });
}

#[test]
fn the_defaults_of_a_workspace_are_changed_and_obeyed() {
    visit("settings-defaults", async |visit| {
        let webhook = visit.register("mine", json!({})).await;
        visit.sign_in().await;
        let page = &mut visit.page;
        page.click("Settings").await;
        page.choose("Default profile", "spektr").await;
        page.choose("Catalogue", "closed: only described types are taken").await;
        page.fill("Process types", "kyb\nvip | <b>").await;
        page.click("Save the settings of the workspace").await;
        page.sees("The settings of the workspace were saved.").await;
        let mine = visit.register("other", json!({})).await;
        assert_eq!(mine["profile"], "spektr");
        let page = &mut visit.page;
        page.open(&format!("{}/matrix", page_of(&webhook))).await;
        page.choose("* of vip | <b>", "never").await;
        page.click("Save the matrix").await;
        page.sees("The matrix is saved.").await;
        assert_eq!(page.value("* of vip | <b>").await, "never");
        page.open("/console/events/publish").await;
        page.fill("Type", "nobody.knows").await;
        page.click("Publish").await;
        assert_eq!(page.status(), 422);
        assert!(!page.description("Type").await.is_empty());
        page.open("/console/settings").await;
        page.choose("Default profile", "back to the deployment’s default").await;
        page.click("Save the settings of the workspace").await;
        page.sees("The settings of the workspace were saved.").await;
        assert_eq!(page.value("Default profile").await, "standard");
    });
}

#[test]
fn a_key_with_few_scopes_sees_only_what_works() {
    visit("settings-few-scopes", async |visit| {
        let publisher = visit.key(json!({ "scopes": ["events:publish"] })).await;
        sign_in(&mut visit.page, publisher.key()).await;
        let page = &mut visit.page;
        page.sees("Publish an event").await;
        let heard = page.outline().await.join("\n");
        for absent in ["Webhooks", "Deliveries", "Event types", "Settings", "Deployment"] {
            assert!(!heard.contains(&format!("link: {absent}")), "{absent}: {heard}");
        }
        page.open("/console/webhooks").await;
        assert_eq!(page.status(), 403);
        page.passes_axe().await;
    });
}
