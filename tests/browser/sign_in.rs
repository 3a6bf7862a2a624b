//! Signing in and out.

use serde_json::json;

use crate::harness::{sign_in, until_admitted, visit};

#[test]
fn a_key_signs_in_and_the_button_signs_out() {
    visit("browser-sign-in", async |visit| {
        visit.sign_in().await;
        let page = &mut visit.page;
        page.sees("browser-sign-in").await;
        page.click("Sign out").await;
        page.sees("Sign in with an API key").await;
        page.open("/console/webhooks").await;
        assert!(page.path().await.starts_with("/console/sign-in"), "{}", page.path().await);
    });
}

#[test]
fn the_keyboard_is_enough_to_sign_in_and_the_page_is_accessible() {
    visit("browser-keyboard", async |visit| {
        let (page, key) = (&mut visit.page, visit.api.key());
        page.open("/console/sign-in").await;
        page.passes_axe().await;
        page.resize(360, 740).await;
        page.fits().await;
        assert_eq!(page.focused().await, "API key");
        until_admitted(page, async |page| {
            page.type_text("spk_live_wrong").await;
            page.enter().await;
        })
        .await;
        page.sees("An API key begins with").await;
        assert_eq!(page.status(), 422);
        page.passes_axe().await;
        until_admitted(page, async |page| {
            page.type_text(key).await;
            page.enter().await;
        })
        .await;
        page.sees("browser-keyboard").await;
    });
}

#[test]
fn signing_in_needs_no_script() {
    visit("browser-no-scripts", async |visit| {
        visit.page.forbid_scripts().await;
        visit.sign_in().await;
        visit.page.sees("browser-no-scripts").await;
    });
}

#[test]
fn a_stolen_cookie_is_worth_nothing_once_the_key_is_revoked() {
    visit("browser-stolen", async |visit| {
        visit.sign_in().await;
        let stolen = visit.page.cookies().await;
        let mut thief = visit.another_page().await;
        thief.open("/console/sign-in").await;
        thief.take_cookies(stolen).await;
        thief.open("/console/webhooks").await;
        thief.sees("browser-stolen").await;
        visit.revoke_key().await;
        thief.sees_at("/console/webhooks", "Sign in with an API key").await;
    });
}

#[test]
fn a_key_of_test_mode_signs_in_to_test_mode_with_its_own_webhooks() {
    visit("browser-test-mode", async |visit| {
        let live = visit.register("live", json!({})).await;
        let test_key =
            visit.key(json!({ "environment": "test", "scopes": ["webhooks:manage"] })).await;
        sign_in(&mut visit.page, test_key.key()).await;
        visit.page.sees("Test mode.").await;
        visit.page.sees("There is no webhook yet").await;
        visit.sign_in().await;
        visit.page.sees(live["url"].as_str().unwrap()).await;
    });
}
