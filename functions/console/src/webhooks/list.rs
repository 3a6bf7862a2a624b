//! The list of webhooks, with their states and how their last requests went.

use axum::{
    extract::{RawQuery, State},
    http::StatusCode,
    response::Response,
};
use futures::{StreamExt, stream};
use maud::{Markup, html};
use posthaste_domain::{access::api_key::Scope, id::WebhookId};

use super::{Webhook, first_steps, recent};
use crate::{
    Console,
    control::writable,
    form::Fields,
    layout::Section,
    parts::{List, heading, pager, time, visible, with_query},
    trouble::Trouble,
    visitor::Visitor,
};

/// So many webhooks are on a page.
const ON_A_PAGE: usize = 20;
/// A search looks at so many pages of the API's list at most, of a hundred webhooks each.
const SEARCHED_PAGES: usize = 100;
/// So many of a webhook's newest deliveries are counted.
const COUNTED: usize = 25;
/// The charts of so many webhooks are read at once.
const AT_ONCE: usize = 10;

pub(crate) async fn show(
    visitor: Visitor,
    State(console): State<Console>,
    RawQuery(query): RawQuery,
) -> Result<Response, Trouble> {
    let asked = Fields::parse(query.unwrap_or_default().as_bytes());
    let (q, cursor) = (asked.text("q"), asked.text("cursor"));
    let List { items, next } = found(&visitor, q, cursor).await?;
    let ids: Vec<u64> = items.iter().map(|webhook| webhook.id).collect();
    let recent: Vec<Option<recent::Recent>> = stream::iter(ids)
        .map(|id| recent::read(&visitor, id, COUNTED))
        .buffered(AT_ONCE)
        .collect()
        .await;
    let content = html! {
        (heading("Webhooks", html! {
            @if !visitor.is_restricted() {
                a.button.primary href="/console/webhooks/new" { "Register a webhook" }
            }
        }))
        (search_form(q))
        @if !items.is_empty() {
            ul.rows {
                @for (webhook, recent) in items.iter().zip(&recent) { (row(webhook, recent.as_ref())) }
            }
        } @else if next.is_some() {
            p { "There is none among those that were looked at." }
        } @else if !q.is_empty() {
            p { "No webhook has " code { (visible(q)) } " in its id, its URL or its description." }
        } @else if visitor.portal.is_none() && visitor.may(Scope::EventsPublish) {
            (first_steps::steps(&visitor, console.local_inbox.as_deref()))
        } @else {
            p { "There is no webhook yet." }
        }
        (pager("/console/webhooks", &[("q", q)], next.as_deref()))
    };
    Ok(visitor.show(Section::Webhooks, "Webhooks", content))
}

fn search_form(q: &str) -> Markup {
    html! {
        form.search role="search" action="/console/webhooks" {
            label for="q" { "Search" }
            input id="q" name="q" type="search" value=(writable(q)) placeholder="id, URL or description";
            button type="submit" { "Search" }
        }
    }
}

fn row(webhook: &Webhook, recent: Option<&recent::Recent>) -> Markup {
    let (_, _, why) = webhook.state();
    html! {
        li.row id={ "webhook-" (webhook.id) } {
            div.main {
                h2 { a href=(webhook.page()) { (webhook.name()) } " " (webhook.badge()) }
                p.url { (webhook.url) }
                @if let Some(why) = why { p.quiet { (why) } }
                @if let Some(since) = webhook.health.failing_since {
                    p.quiet { "It has been failing since " (time(since)) "." }
                }
            }
            div.recent { (recent::part(recent)) }
        }
    }
}

/// A page of the webhooks that the visitor sees, from the cursor on: all, or those that have the
/// text.
async fn found(visitor: &Visitor, text: &str, cursor: &str) -> Result<List<Webhook>, Trouble> {
    let named = visitor.portal.as_ref().and_then(|link| link.webhook_ids.as_deref());
    if let Some(named) = named {
        return of_link(visitor, named, text, cursor).await;
    }
    if !text.is_empty() {
        return search(visitor, text, cursor).await;
    }
    let limit = ON_A_PAGE.to_string();
    visitor.get(&with_query("/webhooks", &[("limit", &limit), ("cursor", cursor)], &[])).await
}

/// The same of the webhooks that a portal link names. Each is read by itself, because the lists of
/// the API are about all.
async fn of_link(
    visitor: &Visitor,
    named: &[WebhookId],
    text: &str,
    cursor: &str,
) -> Result<List<Webhook>, Trouble> {
    let text = text.to_lowercase();
    let after: u64 = cursor.parse().unwrap_or(0);
    let mut ids: Vec<u64> = named.iter().map(|id| id.0).filter(|id| *id > after).collect();
    ids.sort_unstable();
    let mut items = Vec::new();
    for id in ids {
        let webhook: Webhook = match visitor.get(&format!("/webhooks/{id}")).await {
            Ok(webhook) => webhook,
            Err(Trouble::Refused(refusal)) if refusal.status == StatusCode::NOT_FOUND => continue,
            Err(trouble) => return Err(trouble),
        };
        if !has(&webhook, &text) {
            continue;
        }
        if items.len() == ON_A_PAGE {
            let next = items.last().map(|last: &Webhook| last.id.to_string());
            return Ok(List { items, next });
        }
        items.push(webhook);
    }
    Ok(List { items, next: None })
}

/// The webhooks that have the text in their id, URL or description, from the cursor on.
async fn search(visitor: &Visitor, text: &str, cursor: &str) -> Result<List<Webhook>, Trouble> {
    let text = text.to_lowercase();
    let mut items = Vec::new();
    let mut cursor = cursor.to_owned();
    for _ in 0..SEARCHED_PAGES {
        let path = with_query("/webhooks", &[("limit", "100"), ("cursor", &cursor)], &[]);
        let page: List<Webhook> = visitor.get(&path).await?;
        for webhook in page.items.into_iter().filter(|webhook| has(webhook, &text)) {
            if items.len() == ON_A_PAGE {
                let next = items.last().map(|last: &Webhook| last.id.to_string());
                return Ok(List { items, next });
            }
            items.push(webhook);
        }
        match page.next {
            Some(next) => cursor = next,
            None => return Ok(List { items, next: None }),
        }
    }
    Ok(List { items, next: Some(cursor) })
}

fn has(webhook: &Webhook, text: &str) -> bool {
    let description = webhook.description.as_deref().unwrap_or_default();
    webhook.id.to_string() == text
        || webhook.url.to_lowercase().contains(text)
        || description.to_lowercase().contains(text)
}
