//! One event: its data, and what became of it at each webhook.

use axum::{
    extract::{Path, RawQuery},
    response::Response,
};
use maud::{Markup, html};
use posthaste_domain::{access::api_key::Scope, id::EventId};

use super::{Event, own_text};
use crate::{
    deliveries::{Delivery, body::Body, id, read_on},
    form::Fields,
    layout::Section,
    parts::{List, heading, pager, time, with_query},
    trouble::Trouble,
    visitor::Visitor,
};

/// So many deliveries are on a page.
const ON_A_PAGE: &str = "50";

pub(crate) async fn show(
    visitor: Visitor,
    Path(event): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Trouble> {
    let id: EventId = id(&event)?;
    let asked = Fields::parse(query.unwrap_or_default().as_bytes());
    let (path, look) = (format!("/events/{id}"), asked.text("look"));
    let event: Event = visitor.get(&with_query(&path, &[("cursor", look)], &[])).await?;
    let cursor = asked.text("cursor");
    let deliveries: Option<List<Delivery>> = if visitor.may(Scope::WebhooksManage) {
        let path = format!("{path}/deliveries");
        let page = read_on(&visitor, &path, &[("limit", ON_A_PAGE)], cursor).await?;
        Some(page.map_err(Trouble::Refused)?)
    } else {
        None
    };
    let is_open = deliveries
        .as_ref()
        .is_none_or(|page| page.items.is_empty() || page.items.iter().any(Delivery::is_open));
    let sees_all = !visitor.is_restricted();
    let is_done = sees_all && event.delivered == Some(true);
    let is_live = cursor.is_empty() && look.is_empty() && is_open && !is_done;
    let content = html! {
        nav.crumbs aria-label="Where you are" { a href="/console/events" { "Events" } }
        (heading(&event.r#type, html! {
            @if visitor.may(Scope::EventsPublish) {
                a.button href=(event.again()) {
                    "Publish another one like it"
                }
            }
        }))
        div id="event" data-live=[is_live.then_some("3")] {
            (facts(&event, sees_all))
            @if let Some(page) = &deliveries { (deliveries_card(&event, page, look, sees_all)) }
        }
        section.card aria-labelledby="data-title" {
            h2 id="data-title" { "Data" }
            (Body { name: "Data", id: "data", text: event.data.get(), encoding: None }.show())
        }
    };
    Ok(visitor.show(Section::Events, &event.r#type, content))
}

/// The facts about the event. Only somebody who sees all webhooks learns whether all of them have it.
fn facts(event: &Event, sees_all: bool) -> Markup {
    html! {
        section.card id="state" aria-labelledby="state-title" {
            @if sees_all {
                h2 id="state-title" data-said { "State " (event.badge()) }
                p {
                    (event.meaning())
                    @if let Some(next) = &event.next {
                        " " a href=(with_query(&event.page(), &[("look", next)], &[])) {
                            "Look at further webhooks"
                        }
                    }
                }
            } @else {
                h2 id="state-title" { "The event" }
            }
            dl.facts {
                dt { "Event" } dd { code { (event.id) } }
                @if let Some(subject) = &event.subject {
                    dt { "Subject" } dd { (own_text(subject)) }
                }
                @if let Some(reference) = &event.reference {
                    dt { "Reference" } dd { (own_text(reference)) }
                }
                dt { "Happened" } dd { (time(event.timestamp)) }
                dt { "Accepted" } dd { (time(event.accepted_at)) }
            }
        }
    }
}

fn deliveries_card(event: &Event, page: &List<Delivery>, look: &str, sees_all: bool) -> Markup {
    html! {
        section id="deliveries" aria-labelledby="deliveries-title" {
            h2 id="deliveries-title" { "Deliveries" }
            @if page.items.is_empty() {
                p {
                    @if page.next.is_some() {
                        "There is no delivery on this page. The next page looks further."
                    } @else if !sees_all {
                        "None of your webhooks gets it."
                    } @else {
                        "No webhook gets it. "
                        a href=(event.again()) { "A dry run" }
                        " of an event like this one says why."
                    }
                }
            } @else {
                ul.rows { @for delivery in &page.items { (row(delivery)) } }
            }
            (pager(&event.page(), &[("look", look)], page.next.as_deref()))
            p.quiet {
                "These are the deliveries that publishing it caused. Replays of it are in "
                "the lists of their webhooks."
            }
        }
    }
}

fn row(delivery: &Delivery) -> Markup {
    let webhook = delivery.webhook_id;
    html! {
        li.row id={ "delivery-" (delivery.id) } {
            div.main {
                h3 {
                    a href=(delivery.page()) { "Delivery to webhook " (webhook) }
                    " " (delivery.badge())
                }
                p { (delivery.meaning()) }
                p.quiet {
                    (delivery.attempt_count)
                    @if delivery.attempt_count == 1 { " attempt" } @else { " attempts" }
                    " · " a href={ "/console/webhooks/" (webhook) } { "Webhook " (webhook) }
                }
            }
            div.recent { p.quiet { (time(delivery.updated_at)) } }
        }
    }
}
