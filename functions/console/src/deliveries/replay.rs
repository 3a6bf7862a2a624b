//! Replays of many deliveries of a webhook.

use std::time::Duration;

use axum::{
    extract::{Path, RawQuery},
    http::Method,
    response::{IntoResponse, Response},
};
use maud::{Markup, html};
use posthaste_domain::{
    Timestamp,
    delivery::{
        attempt::Failure,
        replay::{JobStatus, Selection},
    },
    id::{JobId, WebhookId},
};
use posthaste_runtime::clock;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    filter::{in_form, utc},
    find_webhook, id, sentence,
};
use crate::{
    api::Refusal,
    control::Entered,
    form::{Fields, Posted},
    layout::{Section, post_form},
    parts::{Tone, badge, complaint, heading, time, visible},
    trouble::Trouble,
    visitor::Visitor,
    webhooks::{Tab, Webhook, frame},
};

/// The fields of the form.
const FIELDS: [&str; 3] = ["status", "since", "until"];
/// Unless something else is asked for, a replay begins this long ago.
const USUAL_SPAN: Duration = Duration::from_secs(24 * 60 * 60);

/// A replay of many deliveries, as the API answers it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Job {
    id: JobId,
    status: JobStatus,
    selection: Selection,
    since: Timestamp,
    until: Timestamp,
    examined: u64,
    replayed: u64,
    error: Option<Failure>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// The form that starts a replay.
pub(crate) async fn form(
    visitor: Visitor,
    Path(webhook): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Trouble> {
    let asked = Fields::parse(query.unwrap_or_default().as_bytes());
    let usual = in_form(clock::now() - USUAL_SPAN);
    let usual = (!asked.has("since")).then_some(("since", usual.as_str()));
    let entered = Entered::fresh(Fields::of(asked.iter().chain(usual)));
    form_page(&visitor, id(&webhook)?, &entered).await
}

/// Starts a replay.
pub(crate) async fn start(
    Path(webhook): Path<String>,
    Posted { visitor, fields }: Posted,
) -> Result<Response, Trouble> {
    let webhook: WebhookId = id(&webhook)?;
    let path = format!("/webhooks/{webhook}/replay");
    match visitor.send::<Job>(Method::POST, &path, Some(&body(&fields))).await? {
        Ok(job) => visitor.go(&format!("/console{path}/{}", job.id), "The replay has begun.").await,
        Err(refusal) => {
            form_page(&visitor, webhook, &Entered::refused(fields, refusal, &FIELDS)).await
        }
    }
}

pub(crate) async fn show(
    visitor: Visitor,
    Path((webhook, job)): Path<(String, String)>,
) -> Result<Response, Trouble> {
    let (webhook, job): (WebhookId, JobId) = (id(&webhook)?, id(&job)?);
    let job: Job = visitor.get(&format!("/webhooks/{webhook}/replay/{job}")).await?;
    let progress = progress(&visitor, webhook, &job);
    let content = match find_webhook(&visitor, webhook).await? {
        Some(webhook) => frame(&webhook, Tab::Replay, progress),
        None => html! { (heading("Replay of a webhook that was removed", html! {})) (progress) },
    };
    Ok(visitor.show(Section::Webhooks, "Replay", content))
}

/// Stops a replay.
pub(crate) async fn cancel(
    Path((webhook, job)): Path<(String, String)>,
    Posted { visitor, .. }: Posted,
) -> Result<Response, Trouble> {
    let (webhook, job): (WebhookId, JobId) = (id(&webhook)?, id(&job)?);
    let path = format!("/webhooks/{webhook}/replay/{job}");
    let job = visitor.send::<Job>(Method::DELETE, &path, None).await?.map_err(Trouble::Refused)?;
    let text = match job.status {
        JobStatus::Cancelled => {
            "The replay was cancelled. What is on the queue already still goes out."
        }
        _ => "The replay had ended before it could be cancelled.",
    };
    visitor.go(&format!("/console{path}"), text).await
}

/// The body of the call that starts a replay. What the form leaves empty is left out.
fn body(fields: &Fields) -> Value {
    let times = [("since", utc(fields.text("since"))), ("until", utc(fields.text("until")))];
    let status = ("status", fields.text("status").to_owned());
    let given = times.into_iter().chain([status]).filter(|(_, value)| !value.is_empty());
    let body: Map<_, _> =
        given.map(|(name, value)| (name.to_owned(), Value::String(value))).collect();
    Value::Object(body)
}

async fn form_page(
    visitor: &Visitor,
    webhook: WebhookId,
    entered: &Entered,
) -> Result<Response, Trouble> {
    let known: Webhook = visitor.get(&format!("/webhooks/{webhook}")).await?;
    let field = |name, label| entered.control(name, label, "");
    let choices = [
        ("failed", "Failed: exhausted or skipped"),
        ("all", "All that are over, also those that succeeded"),
    ];
    let path = format!("/console/webhooks/{webhook}/replay");
    let content = html! {
        section.card.narrow {
            h2 { "Replay many deliveries" }
            p { "Their events are delivered again, by the webhook's settings of now." }
            @if let Some(refusal) = &entered.refusal {
                (complaint(refusal))
                @if let Some(running) = running(refusal) {
                    p { a href={ (path) "/" (running) } { "Look at the replay that is running" } }
                }
            }
            (post_form(visitor, &path, html! {
                (field("status", "Which deliveries").choice(choices.into_iter()))
                (field("since", "Events accepted since (UTC)").time())
                (field("until", "Until (UTC), now unless given").time())
                p.quiet {
                    "Deliveries that are still being tried are left alone, and so are replays and \
                     tests. Replaying twice sends twice."
                }
                button.primary type="submit" { "Replay them" }
            }))
        }
    };
    let content = frame(&known, Tab::Replay, content);
    let page = visitor.show(Section::Webhooks, "Replay deliveries", content);
    Ok((entered.status(), page).into_response())
}

/// The replay that keeps another one from starting, as the refusal names it.
fn running(refusal: &Refusal) -> Option<JobId> {
    let is_meant = refusal.code == "replay_running";
    let mut words = refusal.message.split_whitespace().filter(|_| is_meant);
    words.find_map(|word| word.parse().ok())
}

fn progress(visitor: &Visitor, webhook: WebhookId, job: &Job) -> Markup {
    let is_running = job.status == JobStatus::Running;
    let cancel = format!("/console/webhooks/{webhook}/replay/{}/cancel", job.id);
    html! {
        div id="replay" data-live=[is_running.then_some("2")] {
            section.card id="replay-state" aria-labelledby="replay-title" {
                h2 id="replay-title" data-said { "Replay " (state_badge(job.status)) }
                (figures(job))
            }
            @if is_running {
                details id="replay-cancel" {
                    summary { "Cancel this replay" }
                    (post_form(visitor, &cancel, html! {
                        p { "What is on the queue already still goes out." }
                        button.danger type="submit" { "Cancel the replay" }
                    }))
                }
            }
        }
    }
}

fn figures(job: &Job) -> Markup {
    html! {
        @match job.status {
            JobStatus::Running => {
                p {
                    "It goes from the newest event to the oldest. "
                    progress aria-label="The replay is under way" {}
                }
            }
            JobStatus::Done => p { "It has gone through all deliveries of its time." },
            JobStatus::Cancelled => p { "Somebody has stopped it." },
            JobStatus::Failed => p { "It could not go on." },
        }
        @if let Some(error) = &job.error { p { (visible(&sentence(&error.message))) } }
        dl.facts {
            dt { "Delivered again" } dd { (job.replayed) }
            dt { "Looked at" } dd { (job.examined) }
            dt { "Which" }
            dd {
                @match job.selection {
                    Selection::Failed => "Failed: exhausted or skipped",
                    Selection::All => "All that are over",
                }
            }
            dt { "Since" } dd { (time(job.since)) }
            dt { "Until" } dd { (time(job.until)) }
            dt { "Begun" } dd { (time(job.created_at)) }
            dt { "Last moved" } dd { (time(job.updated_at)) }
        }
    }
}

fn state_badge(status: JobStatus) -> Markup {
    match status {
        JobStatus::Running => badge(Tone::Waiting, "running"),
        JobStatus::Done => badge(Tone::Good, "done"),
        JobStatus::Cancelled => badge(Tone::Plain, "cancelled"),
        JobStatus::Failed => badge(Tone::Bad, "failed"),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_form_becomes_the_body_of_the_call() {
        let fields = Fields::parse(b"status=all&since=2026-01-15T08%3A00&until=");
        assert_eq!(body(&fields), json!({"status": "all", "since": "2026-01-15T08:00:00Z"}));
        assert_eq!(body(&Fields::default()), json!({}));
    }

    #[test]
    fn a_refusal_names_the_replay_that_runs() {
        let id = "019bc0fd-89c0-7c10-9e27-b34de8610af4";
        let refusal = |code: &str| Refusal {
            status: StatusCode::CONFLICT,
            code: code.to_owned(),
            message: format!("the replay {id} is running for this webhook"),
            field: None,
            request_id: String::new(),
        };
        assert_eq!(
            running(&refusal("replay_running")).map(|id| id.to_string()).as_deref(),
            Some(id)
        );
        assert_eq!(running(&refusal("webhook_disabled")), None);
    }
}
