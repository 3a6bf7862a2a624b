//! The deliveries of all webhooks, and those of one.

use axum::{
    extract::{Path, RawQuery},
    response::{IntoResponse, Response},
};
use maud::{Markup, html};
use posthaste_domain::{
    access::api_key::Scope,
    delivery::attempt::{Failure, Status},
    id::{CauseKind, WebhookId},
};

use super::{
    Delivery,
    filter::{TYPES, offered_types, utc},
    find_webhook, id, read_on, sentence,
};
use crate::{
    control::Entered,
    form::Fields,
    layout::Section,
    parts::{List, complaint, heading, pager, time, visible, with_query},
    trouble::Trouble,
    visitor::Visitor,
    webhooks::{Tab, frame},
};

/// So many deliveries are on a page.
const ON_A_PAGE: &str = "30";
/// So many are looked at for a page of who sees only some of them.
const LOOKED_AT: &str = "100";
/// The filters of the API.
const FILTERS: [&str; 6] = ["status", "http_status", "event_type", "event_id", "since", "until"];
const HTTP_STATUSES: [&str; 12] =
    ["2xx", "3xx", "4xx", "5xx", "200", "400", "401", "404", "410", "429", "500", "503"];

/// The list of deliveries that a page is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    AllWebhooks,
    Webhook(WebhookId),
}

impl Of {
    /// The path of the list, in the API and behind `/console`.
    fn path(self) -> String {
        match self {
            Self::AllWebhooks => "/deliveries".to_owned(),
            Self::Webhook(id) => format!("/webhooks/{id}/deliveries"),
        }
    }

    fn section(self) -> Section {
        match self {
            Self::AllWebhooks => Section::Deliveries,
            Self::Webhook(_) => Section::Webhooks,
        }
    }
}

pub(crate) async fn all(visitor: Visitor, RawQuery(query): RawQuery) -> Result<Response, Trouble> {
    show(visitor, Of::AllWebhooks, query).await
}

pub(crate) async fn of_webhook(
    visitor: Visitor,
    Path(webhook): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Trouble> {
    let webhook = id(&webhook)?;
    show(visitor, Of::Webhook(webhook), query).await
}

async fn show(visitor: Visitor, of: Of, query: Option<String>) -> Result<Response, Trouble> {
    let asked = Fields::parse(query.unwrap_or_default().as_bytes());
    let filters = FILTERS.map(|name| (name, asked.text(name)));
    let cursor = asked.text("cursor");
    let times = [("since", utc(asked.text("since"))), ("until", utc(asked.text("until")))];
    let times = times.each_ref().map(|(name, value)| (*name, value.as_str()));
    let mut parameters: Vec<_> = filters[..4].iter().copied().chain(times).collect();
    let sees_some = visitor.is_restricted() && of == Of::AllWebhooks;
    parameters.push(("limit", if sees_some { LOOKED_AT } else { ON_A_PAGE }));
    let (page, refusal) = match read_on(&visitor, &of.path(), &parameters, cursor).await? {
        Ok(page) => (page, None),
        Err(refusal) if refusal.field.is_some() => {
            (List { items: vec![], next: None }, Some(refusal))
        }
        Err(refusal) => return Err(Trouble::Refused(refusal)),
    };
    let (is_refused, is_filtered) =
        (refusal.is_some(), filters.iter().any(|(_, value)| !value.is_empty()));
    let entered = match refusal {
        Some(refusal) => Entered::refused(asked.clone(), refusal, &FILTERS),
        None => Entered::fresh(asked.clone()),
    };
    let own_path = format!("/console{}", of.path());
    let is_live = cursor.is_empty() && !is_refused;
    let list = html! {
        @if let Some(refusal) = &entered.refusal { (complaint(refusal)) }
        (filter_form(&own_path, &entered, &offered_types(&visitor).await))
        ul.rows id="deliveries" data-live=[is_live.then_some("3")] {
            @for delivery in &page.items { (row(&visitor, of, delivery)) }
            @if page.items.is_empty() && !is_refused {
                @let may_publish = visitor.may(Scope::EventsPublish);
                (none(of, is_filtered, page.next.is_some(), may_publish))
            }
        }
        (pager(&own_path, &filters, page.next.as_deref()))
    };
    let content = framed(&visitor, of, &asked, &page.items, list).await?;
    Ok((entered.status(), visitor.show(of.section(), "Deliveries", content)).into_response())
}

/// The page around a list. The history of a webhook can be read after the webhook was removed.
async fn framed(
    visitor: &Visitor,
    of: Of,
    asked: &Fields,
    deliveries: &[Delivery],
    list: Markup,
) -> Result<Markup, Trouble> {
    let Of::Webhook(id) = of else {
        return Ok(html! { (heading("Deliveries", html! {})) (list) });
    };
    if let Some(webhook) = find_webhook(visitor, id).await? {
        let times = ["since", "until"].map(|name| (name, asked.text(name)));
        let replay = with_query(&format!("/console/webhooks/{id}/replay"), &times, &[]);
        let content = html! {
            p { a.button href=(replay) { "Replay the failed ones" } }
            (list)
        };
        return Ok(frame(&webhook, Tab::Deliveries, content));
    }
    let removed_at = deliveries.iter().find_map(|delivery| delivery.webhook_removed_at);
    Ok(html! {
        (heading(&format!("Deliveries of webhook {id}"), html! {}))
        div.note.waiting {
            p {
                "The webhook was removed"
                @if let Some(at) = removed_at { " at " (time(at)) }
                ". This is its history."
            }
        }
        (list)
    })
}

fn filter_form(path: &str, entered: &Entered, types: &Markup) -> Markup {
    let field = |name, label| entered.control(name, label, "");
    let statuses = Status::ALL.map(|status| (status.name(), status.name()));
    let statuses = [("", "all")].into_iter().chain(statuses);
    html! {
        form.filters role="search" aria-label="Filter the deliveries" action=(path) {
            (field("status", "Status").choice(statuses))
            (field("http_status", "HTTP status").line_in("http-statuses"))
            (field("event_type", "Event type").line_in(TYPES))
            (field("event_id", "Event id").line(false))
            (field("since", "Since (UTC)").time())
            (field("until", "Until (UTC)").time())
            button type="submit" { "Filter" }
            a.button href=(path) { "Clear" span.sr { " the filters" } }
            datalist id="http-statuses" { @for status in HTTP_STATUSES { option { (status) } } }
            (types)
        }
    }
}

fn none(of: Of, is_filtered: bool, has_more: bool, may_publish: bool) -> Markup {
    html! {
        li.row id="no-delivery" {
            p {
                @if has_more {
                    "No delivery on this page fits the filters. The next page looks further back."
                } @else if is_filtered {
                    "No delivery fits the filters."
                } @else {
                    "There is no delivery yet. The first one appears here by itself."
                    @if let Of::Webhook(id) = of {
                        " " a href={ "/console/webhooks/" (id) "/test" } { "Send a test" }
                        " to this webhook."
                    }
                    @if may_publish {
                        " " a href="/console/events/publish" { "Publish an event" } "."
                    }
                }
            }
        }
    }
}

fn row(visitor: &Visitor, of: Of, delivery: &Delivery) -> Markup {
    let (webhook, event) = (delivery.webhook_id, &delivery.event_id);
    html! {
        li.row id={ "delivery-" (delivery.id) } {
            div.main {
                h2 {
                    a href=(delivery.page()) {
                        (delivery.event_type)
                        span.sr { " to webhook " (webhook) ", delivery " (delivery.id) }
                    }
                    " " (delivery.badge())
                }
                p { (result(delivery)) }
                p.quiet {
                    @if of == Of::AllWebhooks {
                        a href={ "/console/webhooks/" (webhook) "/deliveries" } {
                            "Webhook " (webhook) span.sr { ", its deliveries" }
                        }
                        " · "
                    }
                    @if delivery.cause == CauseKind::Test || !visitor.may(Scope::EventsRead) {
                        "event " code { (event) }
                    } @else {
                        "event " a href={ "/console/events/" (event) } { code { (event) } }
                    }
                }
            }
            div.recent { p.quiet { (time(delivery.updated_at)) } }
        }
    }
}

/// The outcome of a delivery so far, in a line.
fn result(delivery: &Delivery) -> Markup {
    let kind = match delivery.cause {
        CauseKind::Published => None,
        CauseKind::Replay => Some("Replay. "),
        CauseKind::Test => Some("Test. "),
    };
    html! {
        @if let Some(kind) = kind { (kind) }
        @match delivery.attempt_count {
            0 => (delivery.meaning()),
            1 => "1 attempt. ",
            count => { (count) " attempts. " }
        }
        @if delivery.attempt_count > 0 {
            @match (&delivery.error, delivery.http_status) {
                (Some(Failure { message, .. }), _) => (visible(&sentence(message))),
                (None, Some(status)) => { "The endpoint answered with status " (status) "." }
                (None, None) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn delivery(more: &serde_json::Value) -> Delivery {
        let mut all = json!({
            "id": "019bc0fd-89c0-8f84-9995-83c9061dfdc2", "webhookId": 7,
            "eventId": "019bc0fd-89c0-703c-910e-5da247f81b66", "eventType": "order.created",
            "cause": "published", "status": "succeeded", "httpStatus": 200, "responseBody": "",
            "error": null, "attempts": [], "attemptCount": 1,
            "createdAt": "2026-01-15T09:30:00Z", "updatedAt": "2026-01-15T09:30:01Z"
        });
        let more = more.as_object().unwrap();
        all.as_object_mut().unwrap().extend(more.clone());
        serde_json::from_value(all).unwrap()
    }

    #[test]
    fn the_result_of_a_delivery_is_a_line() {
        let line = |more| result(&delivery(&more)).into_string();
        assert_eq!(line(json!({})), "1 attempt. The endpoint answered with status 200.");
        let error = json!({"code": "timeout", "message": "no answer within 5 s"});
        assert_eq!(
            line(
                json!({"status": "pending", "error": error, "attemptCount": 3, "cause": "replay"})
            ),
            "Replay. 3 attempts. No answer within 5 s."
        );
        let waiting = json!({"reason": "queued", "since": "2026-01-15T09:30:00Z", "until": null});
        assert_eq!(
            line(json!({"status": "waiting", "attemptCount": 0, "waiting": waiting})),
            "It is on its way to its first attempt."
        );
        let error = json!({"code": "webhook_disabled", "message": "the webhook <was> paused"});
        assert_eq!(
            line(json!({"status": "skipped", "attemptCount": 0, "error": error})),
            "It was not sent. The webhook &lt;was&gt; paused."
        );
    }

    #[test]
    fn what_is_missing_says_what_to_do() {
        let empty = none(Of::Webhook(WebhookId(7)), false, false, true).into_string();
        assert!(empty.contains("/console/webhooks/7/test") && empty.contains("Publish"), "{empty}");
        let empty = none(Of::AllWebhooks, true, false, true).into_string();
        assert!(empty.contains("fits the filters") && !empty.contains("Publish"), "{empty}");
    }
}
