use serde_json::json;

use super::*;
use crate::testing::{event, webhook};

fn route(registration: serde_json::Value, event_type: &str, data: &str) -> Route {
    let event = event(1, event_type, data);
    Subscription::of(&webhook(registration)).route(&event.event_type, &Process::of(&event))
}

const RUN: &str = r#"{"processType":"onboarding","contextId":"run-1"}"#;

fn context() -> String {
    "run-1".to_owned()
}

#[test]
fn an_event_goes_where_it_is_subscribed_to() {
    assert_eq!(route(json!({}), "order.created", "{}"), Route::Now);
    assert_eq!(route(json!({ "events": ["order.*"] }), "inventory.sold", "{}"), Route::Ignore);
    assert_eq!(
        route(json!({ "enabled": false }), "order.created", "{}"),
        Route::Now,
        "it is recorded as skipped"
    );
    assert_eq!(route(json!({}), "process_run_end", RUN), Route::Now, "nothing can have been held");
}

#[test]
fn operational_events_are_for_who_names_them() {
    assert_eq!(route(json!({}), "webhook.disabled", "{}"), Route::Ignore);
    assert_eq!(route(json!({ "events": ["webhook.*"] }), "webhook.disabled", "{}"), Route::Now);
    assert_eq!(
        route(json!({ "events": ["*", "delivery.exhausted"] }), "delivery.exhausted", "{}"),
        Route::Now
    );
}

#[test]
fn an_event_of_a_run_waits_for_its_end() {
    let at_end = || json!({ "timing": "process_end" });
    assert_eq!(route(at_end(), "service_run", RUN), Route::Hold { context: context() });
    assert_eq!(route(at_end(), "order.created", "{}"), Route::Now, "it belongs to no run");
    assert_eq!(
        route(at_end(), "process_run_end", RUN),
        Route::End { context: context(), wanted: true }
    );
    assert_eq!(route(at_end(), "process_run_end", "{}"), Route::Now);
}

#[test]
fn the_end_counts_for_what_was_held_even_if_it_is_not_wanted() {
    let held = |more: serde_json::Value| {
        let mut registration = json!({
            "filters": {
                "onboarding": { "service_run": "process_end", "process_run_end": "never" },
            },
        });
        registration.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        route(registration, "process_run_end", RUN)
    };
    let unwanted = Route::End { context: context(), wanted: false };
    assert_eq!(held(json!({})), unwanted);
    assert_eq!(held(json!({ "events": ["service_run"] })), unwanted);
    assert_eq!(held(json!({ "enabled": false })), unwanted);
}

#[test]
fn filters_decide_by_the_process() {
    let filters = || {
        json!({
            "filters": { "monitoring": { "*": "never", "alert_resolved": "immediate" } },
            "timing": "process_end",
        })
    };
    let monitoring = r#"{"processType":"monitoring","contextId":"run-1"}"#;
    assert_eq!(route(filters(), "service_run", monitoring), Route::Ignore);
    assert_eq!(route(filters(), "alert_resolved", monitoring), Route::Now);
    assert_eq!(route(filters(), "service_run", RUN), Route::Hold { context: context() });
}

#[test]
fn a_subscription_is_stored_without_what_says_nothing() {
    let plain = Subscription::of(&webhook(serde_json::json!({})));
    insta::assert_snapshot!(serde_json::to_string(&plain).unwrap(), @r#"{"id":42,"events":["*"]}"#);
    let json = serde_json::to_string(&plain).unwrap();
    assert_eq!(serde_json::from_str::<Subscription>(&json).unwrap(), plain);
    let full = Subscription::of(&webhook(serde_json::json!({
        "profile": "spektr", "timing": "process_end",
        "filters": { "onboarding": { "order.*": "never" } }
    })));
    insta::assert_snapshot!("a_full_subscription", serde_json::to_string(&full).unwrap());
    let json = serde_json::to_string(&full).unwrap();
    assert_eq!(serde_json::from_str::<Subscription>(&json).unwrap(), full);
}

#[test]
fn the_start_of_a_run_matters_where_filters_or_an_end_depend_on_it() {
    let of = |settings: serde_json::Value| Subscription::of(&crate::testing::webhook(settings));
    let alert = EventType::parse("alert_resolved").unwrap();
    let depends = |subscription: &Subscription, process_type: Option<&str>, run: Option<&str>| {
        let process = Process {
            process_type: process_type.map(str::to_owned),
            context_id: run.map(str::to_owned),
            ..Process::default()
        };
        subscription.depends_on_more_than(&alert, &process)
    };
    let plain = of(serde_json::json!({}));
    assert!(!depends(&plain, None, None), "whatever it is, the webhook gets it");
    let filters = serde_json::json!({ "risk": { "alert_resolved": "never" } });
    let rows = of(serde_json::json!({ "filters": filters }));
    assert!(depends(&rows, None, Some("1")) && !depends(&rows, Some("risk"), None));
    let at_end = of(serde_json::json!({ "timing": "process_end" }));
    assert!(depends(&at_end, Some("risk"), None) && !depends(&at_end, None, Some("1")));
    let others = of(serde_json::json!({ "filters": filters, "events": ["service_run"] }));
    assert!(!depends(&others, None, None), "it does not subscribe to the event");
}
