//! The pages for operators. Their figures are about a whole deployment, so each test has its own.

use posthaste_tests::{Answer, Posthaste, SOON};
use reqwest::Method;
use serde_json::json;

use crate::{
    harness::{answer, sign_in, visit},
    hostile::{is_harmless, payload},
};

#[test]
fn an_operator_sees_what_waits_and_sends_a_dead_letter_back() {
    visit("deployment-redrive", async |visit| {
        let own = Posthaste::start().await;
        let webhook = own.register_with("mine", json!({ "retrySchedule": [] })).await;
        own.system.inbox().respond_by_default("mine", Some(answer(500, "<b>closed</b>")));
        own.api.publish("order.created", json!({})).await;
        own.deliveries(&webhook, "exhausted", 1).await;
        own.register_with("limited", json!({ "rateLimit": { "requests": 1, "per": "minute" } }))
            .await;
        for n in 0..3 {
            own.api.publish("order.shipped", json!({ "n": n })).await;
        }
        own.arrived("limited", 1).await;
        let page = &mut visit.page.at(&own.system.urls().api);
        sign_in(page, own.api.key()).await;
        page.click("Deployment").await;
        for shown in ["events", "deliveries", "turns", "replay", "exhausted"] {
            page.sees(shown).await;
        }
        page.passes_axe().await;
        page.open("/console/deployment/dead-letters?queue=exhausted").await;
        page.sees("500").await;
        page.passes_axe().await;
        own.system.inbox().respond_by_default("mine", Some(Answer::status(200, 1)));
        page.fill("Letters a second, at most", "5").await;
        page.click("Send all back from the dead letters of exhausted").await;
        page.sees("The redrive of exhausted has begun.").await;
        page.sees("completed").await;
        let taken = own
            .system
            .inbox()
            .wait("mine", |all| all.iter().any(|request| request.answered == 200), SOON)
            .await;
        assert!(taken.is_some(), "the dead letter is delivered");
    });
}

#[test]
fn a_hostile_dead_letter_is_only_text() {
    visit("deployment-hostile", async |visit| {
        let own = Posthaste::start().await;
        own.send("EventsQueueUrl", &[payload()]).await;
        let page = &mut visit.page.at(&own.system.urls().api);
        page.resize(360, 740).await;
        sign_in(page, own.api.key()).await;
        page.sees_at("/console/deployment/dead-letters?queue=events", "Letter 1").await;
        page.click("Text of the message").await;
        page.sees("<script>window").await;
        is_harmless(page).await;
        page.passes_axe().await;
    });
}

#[test]
fn the_deployment_is_for_operators_in_live_mode_alone() {
    visit("deployment-closed", async |visit| {
        visit.sign_in().await;
        let page = &mut visit.page;
        let heard = page.outline().await.join("\n");
        assert!(!heard.contains("link: Deployment"), "{heard}");
        for path in ["/console/deployment", "/console/deployment/dead-letters?queue=events"] {
            page.open(path).await;
            assert_eq!(page.status(), 403, "{path}");
        }
        let scopes = ["webhooks:manage", "workspaces:manage"];
        let test = visit.key(json!({ "environment": "test", "scopes": scopes })).await;
        assert_eq!(test.call(Method::GET, "/deployment", json!(null)).await.0, 403);
        sign_in(&mut visit.page, test.key()).await;
        let page = &mut visit.page;
        page.open("/console/deployment").await;
        page.sees("The deployment is shown in live mode alone").await;
        page.sees("Switch to live mode").await;
    });
}
