//! The answer of a dry run: what publishing an event would mean for each webhook.

use maud::{Markup, html};
use posthaste_domain::{Timestamp, access::api_key::Scope};
use serde::Deserialize;

use super::own_text;
use crate::{
    deliveries::{Request, request_parts},
    parts::{Tone, badge, time, visible},
    visitor::Visitor,
};

/// The id of the form with the event.
pub(crate) const FORM: &str = "event-form";

/// The answer of a dry run.
#[derive(Debug, Deserialize)]
pub(crate) struct DryRun {
    event: WouldBe,
    webhooks: Vec<Forecast>,
    next: Option<String>,
}

/// The event as it would be accepted.
#[derive(Debug, Deserialize)]
struct WouldBe {
    r#type: String,
    timestamp: Timestamp,
    process: Process,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Process {
    process_type: Option<String>,
    process_id: Option<String>,
    context_id: Option<String>,
}

/// The meaning of the event for one webhook.
#[derive(Debug, Deserialize)]
struct Forecast {
    webhook: u64,
    outcome: String,
    reason: String,
    message: String,
    subscription: Option<String>,
    cell: Option<Cell>,
    run: Option<String>,
    until: Option<Timestamp>,
    request: Option<Request>,
}

/// The cell of the filters that decides.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Cell {
    process_type: String,
    event_type: String,
    rule: String,
}

/// The answer, below the form.
pub(crate) fn result(visitor: &Visitor, answer: &DryRun) -> Markup {
    let may_see = visitor.may(Scope::WebhooksManage);
    html! {
        section aria-labelledby="dry-run-title" {
            h2 id="dry-run-title" { "Dry run: what publishing it would do" }
            p role="status" { (summary(&answer.webhooks)) " Nothing was published." }
            (event(&answer.event))
            ul.rows { @for forecast in &answer.webhooks { (row(forecast, may_see)) } }
            @if let Some(next) = &answer.next {
                p.pager {
                    button type="submit" form=(FORM) name="further" value=(next) {
                        "Look at further webhooks"
                    }
                }
            }
        }
    }
}

fn summary(webhooks: &[Forecast]) -> String {
    let getting = webhooks.iter().filter(|forecast| forecast.request.is_some()).count();
    match (getting, webhooks.len()) {
        (_, 0) => "There is no webhook here.".to_owned(),
        (0, _) => "None of these webhooks would get it.".to_owned(),
        (1, 1) => "The only webhook here would get it.".to_owned(),
        (getting, all) => format!("{getting} of these {all} webhooks would get it."),
    }
}

fn event(event: &WouldBe) -> Markup {
    let Process { process_type, process_id, context_id } = &event.process;
    let known = [("Process type", process_type), ("Process", process_id), ("Run", context_id)];
    html! {
        dl.facts {
            dt { "Type" } dd { (event.r#type) }
            dt { "Happened" } dd { (time(event.timestamp)) }
            @for (name, value) in known {
                @if let Some(value) = value { dt { (name) } dd { (own_text(value)) } }
            }
        }
    }
}

fn row(forecast: &Forecast, may_see: bool) -> Markup {
    let id = forecast.webhook;
    let (tone, word) = outcome(&forecast.outcome);
    let name = format!("request to webhook {id}");
    html! {
        li.row id={ "forecast-" (id) } {
            div.main {
                h3 {
                    @if may_see { a href={ "/console/webhooks/" (id) } { "Webhook " (id) } }
                    @else { "Webhook " (id) }
                    " " (badge(tone, word))
                }
                p { (visible(&forecast.message)) " " code { (forecast.reason) } }
                (facts(forecast))
                @if let Some(request) = &forecast.request {
                    details {
                        summary { "The request to webhook " (id) }
                        (request_parts(request, &name, &format!("request-{id}")))
                    }
                }
            }
        }
    }
}

/// The setting that decides about the webhook, as far as any does.
fn facts(forecast: &Forecast) -> Markup {
    let Forecast { subscription, cell, run, until, .. } = forecast;
    let has_facts = subscription.is_some() || cell.is_some() || run.is_some() || until.is_some();
    html! {
        @if has_facts {
            dl.facts {
                @if let Some(subscription) = subscription {
                    dt { "Subscription" } dd { code { (subscription) } }
                }
                @if let Some(Cell { process_type, event_type, rule }) = cell {
                    dt { "Deciding cell" }
                    dd {
                        "row " code { (visible(process_type)) } ", column " code { (event_type) }
                        ": " code { (rule) }
                    }
                }
                @if let Some(run) = run { dt { "Run" } dd { (own_text(run)) } }
                @if let Some(until) = *until { dt { "Until" } dd { (time(until)) } }
            }
        }
    }
}

/// An outcome in a word or two with its colour.
fn outcome(name: &str) -> (Tone, &'static str) {
    match name {
        "now" => (Tone::Good, "at once"),
        "process_end" => (Tone::Waiting, "held"),
        "waiting" => (Tone::Waiting, "waits"),
        "skipped" => (Tone::Bad, "skipped"),
        _ => (Tone::Plain, "not sent"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELD: &str = r#"{"webhook": 42, "outcome": "process_end", "reason": "held",
        "message": "The cell holds it.", "subscription": "*",
        "cell": {"processType": "<onboarding>", "eventType": "*", "rule": "process_end"},
        "run": "c-1", "until": "2026-01-16T09:30:00Z",
        "request": {"method": "POST", "url": "https://example.com/***",
            "headers": {"webhook-signature": "***"}, "body": "{\"type\":\"order.created\"}"}}"#;

    #[test]
    fn a_forecast_says_why() {
        let forecast: Forecast = serde_json::from_str(HELD).unwrap();
        insta::assert_snapshot!(row(&forecast, true).into_string());
        assert!(!row(&forecast, false).into_string().contains("/console/webhooks"));
    }

    #[test]
    fn the_summary_counts_who_would_get_it() {
        let forecast = || serde_json::from_str::<Forecast>(HELD).unwrap();
        let without = || Forecast { request: None, ..forecast() };
        assert_eq!(summary(&[]), "There is no webhook here.");
        assert_eq!(summary(&[forecast()]), "The only webhook here would get it.");
        assert_eq!(summary(&[without()]), "None of these webhooks would get it.");
        assert_eq!(summary(&[forecast(), without()]), "1 of these 2 webhooks would get it.");
    }
}
