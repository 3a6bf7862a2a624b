use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    endpoint::{
        health::{Disabled, Health},
        lane::Phase,
    },
    testing,
};

const RUN: &str = r#"{"processType":"onboarding","contextId":"run-1"}"#;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

/// The forecast for an event with this data, at the time 0, with a deadline of 100 s.
fn forecast(webhook: &Webhook, event_type: &str, data: &str, lane: &Lane, ended: bool) -> Forecast {
    let event = testing::event(1, event_type, data);
    let facts = Facts {
        event_type: &event.event_type,
        process: &Process::of(&event),
        run_has_ended: ended,
        held_until: at(100),
        lane,
        now: at(0),
    };
    Forecast::of(webhook, &facts)
}

fn of(registration: Value, event_type: &str, data: &str) -> Forecast {
    let webhook = testing::webhook(registration);
    forecast(&webhook, event_type, data, &Lane::default(), false)
}

fn held(reason: lane::Reason) -> Lane {
    let sick_until = (reason == lane::Reason::Sick).then(|| at(30));
    Lane { phase: Some(Phase::Held), reason: Some(reason), sick_until, ..Lane::default() }
}

/// One line for a forecast.
fn line(forecast: &Forecast) -> String {
    let Forecast { outcome, reason, subscription, cell, run, until, .. } = forecast;
    let subscription = subscription.as_ref().map(ToString::to_string);
    let cell = cell.as_ref().map(|of| format!("{}/{}: {:?}", of.row, of.column, of.rule));
    let after = until.map(|until| until.duration_since(at(0)).as_secs());
    format!(
        "{outcome:?} {reason:?} {} {} {run:?} {after:?}\n  {}",
        subscription.unwrap_or_default(),
        cell.unwrap_or_default(),
        forecast.message()
    )
}

#[test]
fn each_outcome_has_its_reason() {
    let matrix = json!({
        "filters": {
            "onboarding": { "*": "process_end", "order.*": "immediate", "service_run": "never" },
        },
    });
    let at_end = json!({ "timing": "process_end" });
    let mut lines = vec![
        of(json!({}), "order.created", "{}"),
        of(json!({ "events": ["*", "order.*"] }), "order.created", "{}"),
        of(json!({ "events": ["order.*"] }), "inventory.sold", "{}"),
        of(json!({ "events": ["*"] }), "webhook.disabled", "{}"),
        of(matrix.clone(), "service_run", RUN),
        of(matrix.clone(), "order.created", RUN),
        of(matrix.clone(), "alert_created", RUN),
        of(matrix.clone(), "process_run_end", RUN),
        of(matrix.clone(), "alert_created", r#"{"processType":"onboarding"}"#),
        of(at_end.clone(), "service_run", RUN),
        of(at_end.clone(), "service_run", "{}"),
        of(json!({ "enabled": false }), "order.created", "{}"),
        of(json!({ "enabled": false, "timing": "process_end" }), "service_run", RUN),
    ];
    let unwanted = json!({
        "timing": "process_end", "filters": { "onboarding": { "process_run_end": "never" } },
    });
    lines.push(of(unwanted, "process_run_end", RUN));
    let waiting = testing::webhook(at_end);
    lines.push(forecast(&waiting, "service_run", RUN, &Lane::default(), true));
    let plain = testing::webhook(json!({}));
    for reason in [lane::Reason::Limited, lane::Reason::Slow, lane::Reason::Sick] {
        lines.push(forecast(&plain, "order.created", "{}", &held(reason), false));
    }
    let full = Lane { full: true, ..held(lane::Reason::Slow) };
    lines.push(forecast(&plain, "order.created", "{}", &full, false));
    for reason in [health::Reason::Gone, health::Reason::Failing] {
        let disabled = Some(Disabled { at: at(0), reason, is_told: true });
        let disabled =
            Webhook { health: Health { disabled, ..Health::default() }, ..plain.clone() };
        lines.push(forecast(&disabled, "order.created", "{}", &Lane::default(), false));
    }
    let lines: Vec<String> = lines.iter().map(line).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn what_is_held_is_not_said_to_wait() {
    let webhook = testing::webhook(json!({ "timing": "process_end" }));
    let lane = held(lane::Reason::Sick);
    let forecast = forecast(&webhook, "service_run", RUN, &lane, false);
    assert_eq!(forecast.outcome, Outcome::ProcessEnd, "its lane is looked at when the run ends");
}

/// The settings of a webhook, with few names, so that they and the events meet often.
fn registration() -> impl Strategy<Value = Value> {
    let pattern = || prop_oneof!["[ab]", "[ab]\\.[ab]", "[ab]\\.\\*", "\\*", "process_run_end"];
    let rule = prop_oneof![Just("never"), Just("immediate"), Just("process_end")];
    let row = prop::collection::btree_map(pattern(), rule, 0..5);
    let rows = prop::collection::btree_map(
        prop_oneof!["[pq]", "\\*", Just("no_process".to_owned())],
        row,
        0..4,
    );
    let timing = prop_oneof![Just("immediate"), Just("process_end")];
    let events = prop::collection::vec(pattern(), 1..4);
    (events, rows, timing, any::<bool>()).prop_map(|(events, filters, timing, enabled)| {
        json!({ "events": events, "filters": filters, "timing": timing, "enabled": enabled })
    })
}

fn process() -> impl Strategy<Value = Process> {
    let text = |pattern| prop::option::of(pattern);
    (text("[pqr]"), text("[12]"), text("[34]")).prop_map(
        |(process_type, context_id, process_id)| Process {
            process_type,
            context_id,
            process_id,
            is_unnamed: false,
        },
    )
}

proptest! {
    /// The things that a forecast names decide as fan-out does, and nothing else does.
    #[test]
    fn a_forecast_explains_the_route_of_fan_out(
        registration in registration(),
        name in prop_oneof!["[ab](\\.[abc])?", Just("process_run_end".to_owned())],
        process in process(),
        ended: bool,
        is_held: bool,
    ) {
        let webhook = testing::webhook(registration);
        let event_type = EventType::parse(&name).unwrap();
        let lane = if is_held { held(lane::Reason::Limited) } else { Lane::default() };
        let facts = Facts {
            event_type: &event_type, process: &process, run_has_ended: ended,
            held_until: at(100), lane: &lane, now: at(0),
        };
        let forecast = Forecast::of(&webhook, &facts);
        let subscription = Subscription::of(&webhook);

        let timing = forecast.subscription.as_ref().and(match &forecast.cell {
            Some(Cell { rule: Rule::Never, .. }) => None,
            Some(Cell { rule: Rule::Immediate, .. }) => Some(Timing::Immediate),
            Some(Cell { rule: Rule::ProcessEnd, .. }) => Some(Timing::ProcessEnd),
            None => Some(forecast.timing),
        });
        let ends = name == "process_run_end" && webhook.settings.hold_anything();
        let explained = match (process.context_id.clone(), timing) {
            (Some(context), timing) if ends => Route::End { context, wanted: timing.is_some() },
            (_, None) => Route::Ignore,
            (Some(context), Some(Timing::ProcessEnd)) => Route::Hold { context },
            (_, Some(_)) => Route::Now,
        };
        let route = subscription.route(&event_type, &process);
        prop_assert_eq!(&route, &explained);

        let context = held_for(&webhook, &event_type, &process);
        prop_assert_eq!(context.is_some(), matches!(route, Route::Hold { .. }));
        let expected = if !route.is_wanted() {
            Outcome::Never
        } else if !webhook.is_enabled() {
            Outcome::Skipped
        } else if context.is_some() && !ended {
            Outcome::ProcessEnd
        } else if is_held {
            Outcome::Waiting
        } else {
            Outcome::Now
        };
        prop_assert_eq!(forecast.outcome, expected);
        prop_assert!(!forecast.message().is_empty());
    }
}
