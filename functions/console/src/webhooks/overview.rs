//! One webhook at a glance, and what can be done to it with a button.

use axum::response::Response;
use maud::{Markup, html};
use posthaste_domain::Timestamp;
use posthaste_runtime::clock;
use serde_json::Value;

use super::{InPath, Tab, Webhook, frame, recent};
use crate::{
    layout::{Section, post_form},
    parts::{Tone, badge, time, time_or},
    trouble::Trouble,
    visitor::Visitor,
};

/// So many of the newest deliveries are counted.
const COUNTED: usize = 100;

pub(crate) async fn show(visitor: Visitor, InPath(id): InPath) -> Result<Response, Trouble> {
    let webhook: Webhook = visitor.get(&format!("/webhooks/{id}")).await?;
    let recent = recent::read(&visitor, id, COUNTED).await;
    let content = html! {
        div.grid2 {
            section.card { h2 { "How it is doing" } (doing(&webhook, recent.as_ref())) }
            section.card { h2 { "What it gets" } (gets(&webhook)) }
            section.card { h2 { "Signing secret" } (secret(&visitor, &webhook, clock::now())) }
            section.card { h2 { (if visitor.is_restricted() { "Pause" } else { "Pause and remove" }) } (end(&visitor, &webhook)) }
        }
    };
    Ok(visitor.show(Section::Webhooks, &webhook.name(), frame(&webhook, Tab::Overview, content)))
}

fn doing(webhook: &Webhook, recent: Option<&recent::Recent>) -> Markup {
    let health = &webhook.health;
    let (_, _, why) = webhook.state();
    html! {
        p { (webhook.badge()) @if let Some(why) = why { " " (why) } }
        (recent::part(recent))
        dl.facts {
            dt { "Last success" } dd { (time_or(health.last_success_at, "none yet")) }
            dt { "Last failure" } dd { (time_or(health.last_failure_at, "none")) }
            @if let Some(since) = health.failing_since {
                dt { "Failing since" } dd { (time(since)) }
            }
            @if let Some(until) = health.waits_until {
                dt { "Left alone until" } dd { (time(until)) }
            }
            @if let Some(at) = health.disabled_at { dt { "Disabled" } dd { (time(at)) } }
            dt { "Registered" } dd { (time(webhook.created_at)) }
            dt { "Last changed" } dd { (time(webhook.updated_at)) }
        }
        p { a href={ (webhook.page()) "/deliveries" } { "See its deliveries" } }
    }
}

fn gets(webhook: &Webhook) -> Markup {
    let text = |name: &str| webhook.settings.get(name).map(plain).unwrap_or_default();
    let timing =
        if text("timing") == "process_end" { "at the end of the process" } else { "at once" };
    let rows =
        webhook.settings.get("filters").and_then(Value::as_object).map_or(0, |rows| rows.len());
    html! {
        dl.facts {
            dt { "Event types" }
            dd {
                @for (place, pattern) in webhook.events.iter().enumerate() {
                    @if place > 0 { ", " }
                    code { (pattern) }
                }
            }
            dt { "When" }
            dd {
                (timing)
                @if rows > 0 {
                    ", and as " a href={ (webhook.page()) "/matrix" } { "the matrix" } " says"
                }
            }
            dt { "Profile" } dd { (webhook.profile) }
            dt { "Format" } dd { (text("format")) }
            dt { "Rate limit" }
            dd {
                @match webhook.settings.get("rateLimit").filter(|rate| rate.is_object()) {
                    Some(rate) => { (rate["requests"]) " requests per " (plain(&rate["per"])) },
                    None => span.quiet { "none" },
                }
            }
        }
        p { a href={ (webhook.page()) "/settings" } { "Change its settings" } }
    }
}

fn secret(visitor: &Visitor, webhook: &Webhook, now: Timestamp) -> Markup {
    let older = webhook.previous_secrets_until.filter(|until| *until > now);
    html! {
        p {
            "Each request is signed, so that its receiver knows that it is real. The secret was \
             shown when it was made, and can't be shown again."
        }
        @if let Some(until) = older {
            div.note.waiting {
                p {
                    (badge(Tone::Waiting, "changing")) " The secret before this one signs too until "
                    (time(until)) ". " strong data-until=(until.to_string()) {}
                }
            }
        }
        details {
            summary { "Change the secret" }
            (post_form(visitor, &format!("{}/rotate", webhook.page()), html! {
                div.field {
                    label for="hours" { "Hours for which the old secret signs too" }
                    select id="hours" name="hours" aria-describedby="hours-hint" {
                        option value="24" { "24 hours" }
                        option value="72" { "3 days" }
                        option value="168" { "7 days" }
                        option value="1" { "1 hour" }
                        option value="0" { "none: the old one may have leaked" }
                    }
                    p.quiet id="hours-hint" {
                        "In this time the receiver takes the new secret in, and no request is lost."
                    }
                }
                button type="submit" { "Make a new secret" }
            }))
        }
    }
}

fn end(visitor: &Visitor, webhook: &Webhook) -> Markup {
    let page = webhook.page();
    html! {
        @if webhook.enabled {
            p { "While it is paused nothing is sent. What would go to it is recorded as skipped, and can be replayed." }
            (post_form(visitor, &format!("{page}/pause"), html! {
                button type="submit" { "Pause" }
            }))
        } @else {
            p { "It gets nothing. What would have gone to it is in its history as skipped." }
            (post_form(visitor, &format!("{page}/resume"), html! {
                button.primary type="submit" { "Resume" }
            }))
        }
        @if !visitor.is_restricted() {
            details {
                summary { "Remove the webhook" }
                p { "What waits for it is not sent any more. Nobody can bring it back." }
                (post_form(visitor, &format!("{page}/remove"), html! {
                    button.danger type="submit" { "Remove webhook " (webhook.id) }
                }))
            }
        }
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
