//! The log of published events.

use axum::{
    extract::RawQuery,
    http::Method,
    response::{IntoResponse, Response},
};
use maud::{Markup, html};
use posthaste_domain::access::api_key::Scope;

use super::{Event, own_text};
use crate::{
    control::{Control, Entered},
    deliveries::filter::{TYPES, offered_types, utc},
    form::Fields,
    layout::{Section, redirect},
    parts::{List, complaint, heading, pager, time, with_query},
    trouble::Trouble,
    visitor::Visitor,
};

const PATH: &str = "/console/events";
/// So many events are on a page.
const ON_A_PAGE: &str = "30";
/// The filters of the API.
const FILTERS: [&str; 5] = ["type", "subject", "since", "until", "order"];

pub(crate) async fn show(visitor: Visitor, RawQuery(query): RawQuery) -> Result<Response, Trouble> {
    if !visitor.may(Scope::EventsRead) && visitor.may(Scope::EventsPublish) {
        return redirect("/console/events/publish");
    }
    let asked = Fields::parse(query.unwrap_or_default().as_bytes());
    let filters = FILTERS.map(|name| (name, asked.text(name)));
    let cursor = asked.text("cursor");
    let order = order(&asked);
    let (since, until) = (utc(asked.text("since")), utc(asked.text("until")));
    let path = with_query(
        "/events",
        &[("type", asked.text("type")), ("subject", asked.text("subject"))],
        &[
            ("since", &since),
            ("until", &until),
            ("order", order),
            ("limit", ON_A_PAGE),
            ("cursor", cursor),
        ],
    );
    let found = visitor.send::<List<Event>>(Method::GET, &path, None).await?;
    let (page, refusal) = match found {
        Ok(page) => (page, None),
        Err(refusal) if refusal.field.is_some() => {
            (List { items: vec![], next: None }, Some(refusal))
        }
        Err(refusal) => return Err(Trouble::Refused(refusal)),
    };
    let is_filtered = filters.iter().any(|(_, value)| !value.is_empty());
    let is_refused = refusal.is_some();
    let entered = match refusal {
        Some(refusal) => Entered::refused(asked.clone(), refusal, &FILTERS),
        None => Entered::fresh(asked.clone()),
    };
    let is_live = cursor.is_empty() && order == "desc" && !is_refused;
    let says_delivered = !visitor.is_restricted();
    let may_publish = visitor.may(Scope::EventsPublish);
    let content = html! {
        (heading("Events", html! {
            @if may_publish {
                a.button.primary href="/console/events/publish" { "Publish an event" }
            }
        }))
        @if let Some(refusal) = &entered.refusal { (complaint(refusal)) }
        (filter_form(&entered, &offered_types(&visitor).await))
        ul.rows id="events" data-live=[is_live.then_some("4")] {
            @for event in &page.items { (row(event, says_delivered)) }
            @if page.items.is_empty() && !is_refused {
                (none(is_filtered, page.next.is_some(), may_publish))
            }
        }
        (pager(PATH, &filters, page.next.as_deref()))
    };
    Ok((entered.status(), visitor.show(Section::Events, "Events", content)).into_response())
}

/// The newest events come first, unless something else is asked for.
fn order(asked: &Fields) -> &str {
    match asked.text("order") {
        "" => "desc",
        order => order,
    }
}

fn filter_form(entered: &Entered, types: &Markup) -> Markup {
    let field = |name, label| entered.control(name, label, "");
    let orders = [("desc", "the newest first"), ("asc", "the oldest first")];
    let order = Control { value: order(&entered.fields), ..field("order", "Order") };
    html! {
        form.filters role="search" aria-label="Filter the events" action=(PATH) {
            (field("type", "Type").line_in(TYPES))
            (field("subject", "Subject").line(false))
            (field("since", "Accepted since (UTC)").time())
            (field("until", "Until (UTC)").time())
            (order.choice(orders.into_iter()))
            button type="submit" { "Filter" }
            a.button href=(PATH) { "Clear" span.sr { " the filters" } }
            (types)
        }
    }
}

fn none(is_filtered: bool, has_more: bool, may_publish: bool) -> Markup {
    html! {
        li.row id="no-event" {
            p {
                @if has_more {
                    "There is nothing on this page. The next page looks further."
                } @else if is_filtered {
                    "No event fits the filters."
                } @else {
                    "There is no event yet. The first one appears here by itself."
                    @if may_publish {
                        " " a href="/console/events/publish" { "Publish one by hand" }
                        ", or let a service call " code { "POST /api/v1/events" } "."
                    }
                }
            }
        }
    }
}

/// A row. Whether every webhook has the event is only for who sees all webhooks.
fn row(event: &Event, says_delivered: bool) -> Markup {
    html! {
        li.row id={ "event-" (event.id) } {
            div.main {
                h2 {
                    a href=(event.page()) { (event.r#type) span.sr { ", event " (event.id) } }
                    @if says_delivered { " " (event.badge()) }
                }
                @if let Some(subject) = &event.subject { p { "about " (own_text(subject)) } }
                p.quiet { code { (event.id) } }
            }
            div.recent { p.quiet { (time(event.accepted_at)) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_subjects_are_only_text() {
        let event: Event = serde_json::from_str(
            r#"{"id": "019bc0fd-89c0-703c-910e-5da247f81b66", "type": "order.created",
                "timestamp": "2026-01-15T09:30:00Z", "subject": "<b>\u202ex\u0000</b>",
                "reference": null, "delivered": false, "acceptedAt": "2026-01-15T09:30:00Z",
                "data": {"b": 1.50}}"#,
        )
        .unwrap();
        assert_eq!(event.data.get(), r#"{"b": 1.50}"#);
        insta::assert_snapshot!(row(&event, true).into_string());
        assert!(!row(&event, false).into_string().contains("delivered"));
    }

    #[test]
    fn the_newest_event_is_the_first() {
        assert_eq!(order(&Fields::default()), "desc");
        assert_eq!(order(&Fields::parse(b"order=asc")), "asc");
    }
}
