//! One delivery: its attempts, its last request and the answer to it.

use axum::{
    extract::Path,
    http::Method,
    response::{IntoResponse, Response},
};
use maud::{Markup, html};
use posthaste_domain::{
    access::api_key::Scope,
    delivery::attempt::Status,
    id::{CauseKind, DeliveryId, WebhookId},
};
use serde::Deserialize;

use super::{
    Delivery, Request,
    body::Body,
    id, request_parts,
    timeline::{self, Next},
};
use crate::{
    api::Refusal,
    form::Posted,
    layout::{Section, post_form},
    parts::{complaint, heading, time},
    trouble::Trouble,
    visitor::Visitor,
};

/// The waits before the retries of a webhook's deliveries, in seconds.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Schedule {
    retry_schedule: Vec<u64>,
}

pub(crate) async fn show(
    visitor: Visitor,
    Path((webhook, delivery)): Path<(String, String)>,
) -> Result<Response, Trouble> {
    page(&visitor, id(&webhook)?, id(&delivery)?, None).await
}

/// Makes the delivery again.
pub(crate) async fn replay(
    Path((webhook, delivery)): Path<(String, String)>,
    Posted { visitor, .. }: Posted,
) -> Result<Response, Trouble> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Replayed {
        id: String,
        event_id: String,
    }
    let (webhook, delivery): (WebhookId, DeliveryId) = (id(&webhook)?, id(&delivery)?);
    let path = format!("/webhooks/{webhook}/deliveries/{delivery}/replay");
    match visitor.send::<Replayed>(Method::POST, &path, None).await? {
        Ok(Replayed { id, event_id }) => {
            let list = format!("/console/webhooks/{webhook}/deliveries?event_id={event_id}");
            let text = format!(
                "The event is being delivered again, as the delivery {id}. It appears here when it \
                 was tried."
            );
            visitor.go(&list, text).await
        }
        Err(refusal) => {
            let status = refusal.status;
            let page = page(&visitor, webhook, delivery, Some(&refusal)).await?;
            Ok((status, page).into_response())
        }
    }
}

async fn page(
    visitor: &Visitor,
    webhook: WebhookId,
    id: DeliveryId,
    refusal: Option<&Refusal>,
) -> Result<Response, Trouble> {
    let delivery: Delivery = visitor.get(&format!("/webhooks/{webhook}/deliveries/{id}")).await?;
    let next = match delivery.status {
        Status::Pending => {
            let settings = visitor.get::<Schedule>(&format!("/webhooks/{webhook}")).await;
            settings.ok().and_then(|settings| Next::of(&delivery, &settings.retry_schedule))
        }
        _ => None,
    };
    let is_live = delivery.is_open() && delivery.webhook_removed_at.is_none();
    let title = format!("Delivery of {}", delivery.event_type);
    let content = html! {
        (crumbs(&delivery))
        (heading(&title, replay_button(visitor, &delivery)))
        @if let Some(refusal) = refusal { (complaint(refusal)) }
        @if let Some(at) = delivery.webhook_removed_at {
            div.note.waiting { p { "The webhook was removed at " (time(at)) "." } }
        }
        div id="delivery" data-live=[is_live.then_some("3")] {
            (state(visitor, &delivery))
            (timeline::card(&delivery, next))
            div.grid2 id="exchange" {
                (request_card(&delivery))
                (answer_card(&delivery))
            }
        }
    };
    Ok(visitor.show(Section::Deliveries, &title, content))
}

fn crumbs(delivery: &Delivery) -> Markup {
    let webhook = delivery.webhook_id;
    html! {
        nav.crumbs aria-label="Where you are" {
            @if delivery.webhook_removed_at.is_some() { "Webhook " (webhook) } @else {
                a href={ "/console/webhooks/" (webhook) } { "Webhook " (webhook) }
            }
            " › " a href={ "/console/webhooks/" (webhook) "/deliveries" } { "Deliveries" }
        }
    }
}

fn replay_button(visitor: &Visitor, delivery: &Delivery) -> Markup {
    let is_possible = delivery.status != Status::Waiting
        && delivery.cause != CauseKind::Test
        && delivery.webhook_removed_at.is_none();
    html! {
        @if is_possible {
            (post_form(visitor, &format!("{}/replay", delivery.page()), html! {
                button type="submit" { "Replay" span.sr { " this delivery" } }
            }))
        }
    }
}

fn state(visitor: &Visitor, delivery: &Delivery) -> Markup {
    let event = &delivery.event_id;
    html! {
        section.card id="state" aria-labelledby="state-title" {
            h2 id="state-title" data-said { "State " (delivery.badge()) }
            p { (delivery.meaning()) }
            dl.facts {
                dt { "Event" }
                dd {
                    @if delivery.cause == CauseKind::Test || !visitor.may(Scope::EventsRead) {
                        code { (event) }
                    } @else {
                        a href={ "/console/events/" (event) } { code { (event) } }
                    }
                }
                dt { "Delivery" } dd { code { (delivery.id) } }
                dt { "Cause" }
                dd {
                    @match delivery.cause {
                        CauseKind::Published => "The event was published.",
                        CauseKind::Replay => "The event was asked for again.",
                        CauseKind::Test => "It is a test.",
                    }
                }
                dt { "Attempts" } dd { (delivery.attempt_count) }
                dt { "Accepted" } dd { (time(delivery.created_at)) }
                dt { "Last changed" } dd { (time(delivery.updated_at)) }
            }
        }
    }
}

fn request_card(delivery: &Delivery) -> Markup {
    html! {
        section.card aria-labelledby="request-title" {
            h2 id="request-title" { "Request" }
            @match (&delivery.request, &delivery.request_missing) {
                (Some(request), _) => (request_as_sent(request)),
                (None, Some(missing)) => p { (why_missing(missing)) },
                (None, None) => p { "No request was made yet." },
            }
        }
    }
}

fn request_as_sent(request: &Request) -> Markup {
    html! {
        p.quiet {
            @if let Some(attempt) = request.attempt { "It is that of attempt " (attempt) ". " }
            "Signatures are left out, and the values of the webhook's own headers are masked."
        }
        (request_parts(request, "request", "request"))
    }
}

fn answer_card(delivery: &Delivery) -> Markup {
    html! {
        section.card aria-labelledby="answer-title" {
            h2 id="answer-title" { "Answer" }
            @match delivery.http_status {
                Some(status) => p { "Status " strong { (status) } }
                None => p { "There is no answer." },
            }
            @if let Some(body) = &delivery.response_body {
                (Body {
                    name: "Body of the answer",
                    id: "answer-body",
                    text: body,
                    encoding: delivery.response_body_encoding.as_deref(),
                }.show())
            }
            p.quiet {
                "Headers of answers are not kept. Up to 16 KiB of a failure's body and up to 1 KiB \
                 of a success's are. " code { "/…" } " stands for what the answer repeats of the \
                 webhook's path and query."
            }
        }
    }
}

/// The reason for which the request can't be shown.
fn why_missing(missing: &str) -> &'static str {
    match missing {
        "event_gone" => "An event of the request is no longer stored, so it can't be shown.",
        "settings_gone" => "The settings that it was made with are no longer kept.",
        "settings_unknown" => {
            "An earlier version of Posthaste made it, and has not noted what it was made of."
        }
        "batch_changed" => {
            "The first delivery of the request was tried again without this one, so its record is \
             about another request."
        }
        "too_large" => "The events of the request have more than 2 MiB together, too much to show.",
        _ => "It can't be shown.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_shown_with_its_headers() {
        let request = Request {
            attempt: Some(2),
            method: "POST".to_owned(),
            url: "https://example.com/\u{202e}x".to_owned(),
            headers: [("x-team".to_owned(), "<b>".to_owned())].into(),
            body: "{}".to_owned(),
            body_encoding: None,
        };
        insta::assert_snapshot!(request_as_sent(&request).into_string());
    }

    #[test]
    fn every_missing_request_has_its_reason() {
        let missing =
            ["event_gone", "settings_gone", "settings_unknown", "batch_changed", "too_large"];
        let mut reasons: Vec<_> = missing.into_iter().map(why_missing).collect();
        reasons.dedup();
        assert_eq!(reasons.len(), missing.len());
        assert!(!reasons.contains(&why_missing("")));
    }
}
