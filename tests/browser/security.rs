//! Attackers try this: forms of other sites, stolen cookies, other people's things, many keys.

use posthaste_tests::eventually;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    client::{Proof, Session},
    harness::{
        Visit, page_of,
        site::{self, Site},
        visit,
    },
};

async fn is_enabled(visit: &Visit, webhook: &Value) -> bool {
    let path = format!("/webhooks/{}", webhook["id"]);
    visit.api.ok(Method::GET, &path, Value::Null).await["enabled"] == true
}

#[test]
fn a_form_without_the_token_of_its_own_session_is_refused() {
    visit("security-tokens", async |visit| {
        let webhook = visit.register("mine", json!({})).await;
        let pause = format!("{}/pause", page_of(&webhook));
        let mine = Session::signed_in(visit, visit.api.key()).await;
        let other = Session::signed_in(visit, visit.api.key()).await;
        let (token, theirs) =
            (mine.token("/console/webhooks").await, other.token("/console/webhooks").await);
        let half = &token[..16];
        for token in ["", half, theirs.as_str()] {
            assert_eq!(mine.status(&pause, Proof { token, origin: None }).await, 403, "{token}");
        }
        let own = visit.posthaste().system.urls().api.clone();
        let token = token.as_str();
        for origin in ["https://evil.example", "null", "http://127.0.0.1:1", "http://localhost"] {
            let proof = Proof { token, origin: Some(origin) };
            assert_eq!(mine.status(&pause, proof).await, 403, "{origin}");
        }
        assert!(is_enabled(visit, &webhook).await);
        let nobody = Session::nobody(visit);
        assert_eq!(nobody.status(&pause, Proof { token, origin: Some(&own) }).await, 303);
        assert!(is_enabled(visit, &webhook).await, "without a session it leads to the sign-in");
        assert_eq!(mine.status(&pause, Proof { token, origin: Some(&own) }).await, 303);
        assert!(!is_enabled(visit, &webhook).await);
    });
}

#[test]
fn a_form_of_another_site_changes_nothing() {
    visit("security-other-site", async |visit| {
        let webhook = visit.register("mine", json!({})).await;
        visit.sign_in().await;
        let own = visit.posthaste().system.urls().api.clone();
        let form = format!(
            "<!doctype html><html lang=en><title>Win</title><form method=post \
             action='{own}{}/pause'><button>Win a prize</button></form>",
            page_of(&webhook)
        );
        let evil = Site::start("default-src 'none'").await;
        evil.set("/", &form);
        for base in [evil.base.clone(), evil.by_name()] {
            let page = &mut visit.page.at(&base);
            page.open("/").await;
            page.click("Win a prize").await;
            page.sees("The form is too old").await;
            assert_eq!(page.status(), 403);
            assert!(is_enabled(visit, &webhook).await);
        }
    });
}

#[test]
fn no_script_reads_the_cookie_and_no_other_site_shows_the_console() {
    visit("security-cookie", async |visit| {
        visit.sign_in().await;
        let page = &mut visit.page;
        assert_eq!(page.script("return document.cookie", vec![]).await.unwrap(), "");
        let cookies = page.cookies().await;
        assert_eq!(cookies.len(), 1);
        assert!(cookies[0].http_only && cookies[0].path.as_deref() == Some("/"));
        let own = visit.posthaste().system.urls().api.clone();
        let html = format!(
            "<!doctype html><html lang=en><title>Frame</title>\
             <iframe title=Console src='{own}/console/webhooks'></iframe>"
        );
        let other = site::serve(&[("/", &html)], "default-src *").await;
        let page = &mut visit.page.at(&other);
        page.complains_at("/", "frame").await;
        page.enter_frame().await;
        assert!(!page.text().await.unwrap_or_default().contains("Webhooks"));
        page.leave_frame().await;
    });
}

#[test]
fn what_belongs_to_another_workspace_is_not_found() {
    visit("security-foreign", async |visit| {
        let theirs = visit.posthaste().api.workspace("security-theirs").await;
        let url = visit.posthaste().inbox_url("security-theirs");
        let body = json!({ "url": url, "events": ["*"], "description": "Their secret" });
        let webhook = theirs.ok(Method::POST, "/webhooks", body).await;
        let event = theirs.publish("order.created", json!({})).await;
        let path = format!("/webhooks/{}/deliveries", webhook["id"]);
        let delivery = eventually("it is delivered", async || {
            let page = theirs.ok(Method::GET, &path, Value::Null).await;
            page["items"][0]["id"].as_str().map(str::to_owned)
        })
        .await;
        let replay = format!("/webhooks/{}/replay", webhook["id"]);
        let job =
            theirs.ok(Method::POST, &replay, json!({ "since": "2026-01-01T00:00:00Z" })).await;
        let job = job["id"].as_str().unwrap().to_owned();
        let page = page_of(&webhook);
        let mine = Session::signed_in(visit, visit.api.key()).await;
        for path in [
            page.clone(),
            format!("{page}/settings"),
            format!("{page}/matrix"),
            format!("{page}/test"),
            format!("{page}/replay"),
            format!("{page}/replay/{job}"),
            format!("{page}/deliveries/{delivery}"),
            format!("/console/events/{event}"),
            "/console/nothing".to_owned(),
        ] {
            let (status, html) = mine.open(&path).await;
            assert_eq!(status, 404, "{path}");
            assert!(!html.contains("Their secret"), "{path}");
        }
        for path in ["/console/webhooks?q=secret", "/console/deliveries", "/console/events"] {
            let (status, html) = mine.open(path).await;
            assert_eq!(status, 200);
            assert!(!html.contains("Their secret") && !html.contains(&event), "{path}");
        }
        let token = mine.token("/console/webhooks").await;
        let proof = Proof { token: &token, origin: None };
        for action in ["pause", "rotate", "remove", "settings", "matrix", "test", "replay"] {
            let (form, path) =
                ([("hours", "24"), ("type", "order.created")], format!("{page}/{action}"));
            let status = mine.post(&path, &form, proof).await.status();
            assert_eq!(status, 404, "{action}");
        }
        theirs.ok(Method::GET, &format!("/webhooks/{}", webhook["id"]), Value::Null).await;
    });
}

#[test]
fn keys_can_not_be_tried_one_after_the_other() {
    visit("security-tries", async |visit| {
        let nobody = Session::nobody(visit);
        let wrong = format!("spk_live_{}", "A".repeat(43));
        let mut statuses = Vec::new();
        for _ in 0..30 {
            let answer = nobody.try_key(&wrong).await;
            statuses.push(answer.status().as_u16());
            if answer.status() == 429 {
                let page = answer.text().await.unwrap();
                assert!(page.contains("There were too many tries."), "{page}");
                return;
            }
        }
        panic!("nobody was refused: {statuses:?}");
    });
}
