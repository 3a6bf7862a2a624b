//! The catalogue, by owner, and the search in it.

use axum::{extract::Query, response::Response};
use maud::{Markup, html};
use posthaste_domain::access::api_key::Scope;
use serde::Deserialize;

use super::EventType;
use crate::{
    control::writable,
    layout::Section,
    parts::{List, heading, pager, visible, with_query},
    trouble::Trouble,
    visitor::Visitor,
};

const PATH: &str = "/console/event-types";
/// So many types are on a page.
const ON_A_PAGE: usize = 100;
/// A search looks at so many pages of the API's list at most.
const SEARCHED_PAGES: usize = 20;
/// The owners in the order of the page.
const OWNERS: [&str; 5] = ["workspace", "spectra", "spektr", "dataspike", "posthaste"];

#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    q: String,
    #[serde(default)]
    cursor: String,
}

pub(super) async fn show(
    visitor: Visitor,
    Query(Asked { q, cursor }): Query<Asked>,
) -> Result<Response, Trouble> {
    let List { items, next } = read(&visitor, q.trim(), cursor).await?;
    let manages = visitor.may(Scope::EventsManage);
    let content = html! {
        (heading("Event types", html! {
            @if manages { a.button.primary href="/console/event-types/new" { "Add an event type" } }
        }))
        form.search role="search" action=(PATH) {
            label for="q" { "Search" }
            input id="q" name="q" type="search" value=(writable(&q)) placeholder="name, title or description";
            button type="submit" { "Search" }
        }
        @if items.is_empty() {
            p { "No event type has " code { (visible(&q)) } " in its name, its title or its description." }
        }
        @for owner in OWNERS {
            (group(owner, items.iter().filter(|found| found.owner == owner).collect()))
        }
        (pager(PATH, &[("q", &q)], next.as_deref()))
    };
    Ok(visitor.show(Section::EventTypes, "Event types", content))
}

fn group(owner: &str, types: Vec<&EventType>) -> Markup {
    html! {
        @if let Some(first) = types.first() {
            section aria-labelledby={ "of-" (owner) } {
                h2 id={ "of-" (owner) } { (first.owner_name()) }
                ul.rows {
                    @for event_type in types { (row(event_type)) }
                }
            }
        }
    }
}

fn row(event_type: &EventType) -> Markup {
    html! {
        li.row {
            div.main {
                h3 {
                    a href=(event_type.page()) { code { (event_type.name) } }
                    @if let Some(badge) = event_type.badge() { " " (badge) }
                }
                @if let Some(title) = &event_type.title { p { (visible(title)) } }
                @if let Some(description) = &event_type.description {
                    p.quiet { (visible(description)) }
                }
                @if !event_type.is_described() {
                    p.quiet { "Events of it were published, and nobody has described it." }
                }
            }
        }
    }
}

async fn read(visitor: &Visitor, q: &str, mut cursor: String) -> Result<List<EventType>, Trouble> {
    let text = q.to_lowercase();
    let mut found = Vec::new();
    for _ in 0..SEARCHED_PAGES {
        let query = [("limit", "100"), ("cursor", &cursor)];
        let page: List<EventType> = visitor.get(&with_query("/event-types", &query, &[])).await?;
        found.extend(page.items.into_iter().filter(|event_type| event_type.has(&text)));
        match page.next {
            Some(next) => cursor = next,
            None => return Ok(List { items: found, next: None }),
        }
        if text.is_empty() || found.len() >= ON_A_PAGE {
            break;
        }
    }
    Ok(List { items: found, next: Some(cursor) })
}

impl EventType {
    /// Says whether the type has a text, which is in lower case, in what people know of it.
    fn has(&self, text: &str) -> bool {
        let texts = [self.title.as_ref(), self.description.as_ref()].into_iter().flatten();
        let names = std::iter::once(&self.name).chain(&self.aliases);
        names.chain(texts).any(|of_type| of_type.to_lowercase().contains(text))
    }
}
