//! The list of webhooks, with their states and how their last requests went.

use axum::{
    extract::{Query, State},
    response::Response,
};
use futures::{StreamExt, stream};
use maud::{Markup, html};
use serde::Deserialize;

use super::{Webhook, first_steps, recent};
use crate::{
    Console,
    layout::Section,
    parts::{List, heading, pager, time, with_query},
    trouble::Trouble,
    visitor::Visitor,
};

/// So many webhooks are on a page.
const ON_A_PAGE: usize = 20;
/// A search looks at so many pages of the API's list at most, of a hundred webhooks each.
const SEARCHED_PAGES: usize = 100;
/// So many of a webhook's newest deliveries are counted.
const COUNTED: usize = 100;
/// The charts of so many webhooks are read at once.
const AT_ONCE: usize = 10;

#[derive(Debug, Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    q: String,
    #[serde(default)]
    cursor: String,
}

pub(crate) async fn show(
    visitor: Visitor,
    State(console): State<Console>,
    Query(Asked { q, cursor }): Query<Asked>,
) -> Result<Response, Trouble> {
    let found = if q.trim().is_empty() {
        let limit = ON_A_PAGE.to_string();
        visitor
            .get(&with_query("/webhooks", &[("limit", &limit), ("cursor", &cursor)], &[]))
            .await?
    } else {
        search(&visitor, q.trim(), &cursor).await?
    };
    let List { items, next }: List<Webhook> = found;
    let ids: Vec<u64> = items.iter().map(|webhook| webhook.id).collect();
    let recent: Vec<Option<recent::Recent>> = stream::iter(ids)
        .map(|id| recent::read(&visitor, id, COUNTED))
        .buffered(AT_ONCE)
        .collect()
        .await;
    let content = html! {
        (heading("Webhooks", html! {
            a.button.primary href="/console/webhooks/new" { "Register a webhook" }
        }))
        (search_form(&q))
        @if items.is_empty() && q.trim().is_empty() {
            (first_steps::steps(&visitor, console.local_inbox.as_deref()))
        } @else if items.is_empty() {
            p { "No webhook has " code { (q) } " in its id, its URL or its description." }
        } @else {
            ul.rows {
                @for (webhook, recent) in items.iter().zip(&recent) { (row(webhook, recent.as_ref())) }
            }
            (pager("/console/webhooks", &[("q", &q)], next.as_deref()))
        }
    };
    Ok(visitor.show(Section::Webhooks, "Webhooks", content))
}

fn search_form(q: &str) -> Markup {
    html! {
        form.search role="search" action="/console/webhooks" {
            label for="q" { "Search" }
            input id="q" name="q" type="search" value=(q) placeholder="id, URL or description";
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
