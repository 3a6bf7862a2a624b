//! The matrix: for each type of process and each type of event, whether the event is delivered, and
//! when.

mod grid;
mod preview;

use axum::{
    extract::RawQuery,
    http::Method,
    response::{IntoResponse, Response},
};
use maud::{Markup, html};
use posthaste_domain::{
    access::api_key::Scope,
    event::event_type::EventPattern,
    webhook::filter::{DOCUMENTED_PROCESSES, Filters, Timing},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::grid::Grid;
use super::{InPath, Tab, Webhook, frame, settings::warnings};
use crate::{
    api::Refusal,
    form::{Fields, Posted},
    layout::{self, Section},
    parts::{List, complaint, with_query},
    trouble::Trouble,
    visitor::Visitor,
};

/// So many pages of event types are read, of a hundred each.
const TYPE_PAGES: usize = 5;

/// The field with the part of the settings that the form has shown.
const SHOWN: &str = "shown";

/// The things that the address of the page asks for.
struct Asked {
    /// A process type that gets a column.
    add: String,
    /// True where every event type gets a row.
    all: bool,
}

impl Asked {
    fn read(RawQuery(query): &RawQuery) -> Self {
        let fields = Fields::parse(query.as_deref().unwrap_or_default().as_bytes());
        Self { add: fields.text("add").to_owned(), all: fields.has("all") }
    }
}

/// The part of a webhook's settings that decides about events, which a matrix is about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Decided {
    events: Vec<EventPattern>,
    #[serde(default)]
    timing: Timing,
    #[serde(default)]
    filters: Filters,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Workspace {
    process_types: Vec<String>,
}

/// An event type that a row can be about.
#[derive(Debug, Clone, Deserialize)]
struct KnownType {
    name: String,
    title: Option<String>,
    owner: String,
}

pub(crate) async fn show(
    visitor: Visitor,
    InPath(id): InPath,
    query: RawQuery,
) -> Result<Response, Trouble> {
    let (webhook, decided) = read(&visitor, id).await?;
    let grid = grid(&visitor, &webhook, &decided, &Asked::read(&query)).await?;
    let content = content(&visitor, &webhook, &grid, [&decided, &decided], None, None);
    Ok(visitor.show(Section::Webhooks, "Matrix", content))
}

/// Saves the matrix of a form, or shows what it would have done.
pub(crate) async fn change(
    InPath(id): InPath,
    query: RawQuery,
    Posted { visitor, fields }: Posted,
) -> Result<Response, Trouble> {
    let (webhook, before) = read(&visitor, id).await?;
    let shown: Decided =
        serde_json::from_str(fields.text(SHOWN)).unwrap_or_else(|_| before.clone());
    let filters = grid::written(&fields, &shown.filters, &before.filters);
    let timing = serde_json::from_value(json!(fields.text("timing"))).unwrap_or(shown.timing);
    let timing = if timing == shown.timing { before.timing } else { timing };
    let after = Decided { timing, filters, ..before.clone() };
    if fields.has("preview") {
        let seen = preview::read(&visitor, &before, &after).await?;
        let grid = grid(&visitor, &webhook, &after, &Asked::read(&query)).await?;
        let content = content(&visitor, &webhook, &grid, [&shown, &after], Some(&seen), None);
        return Ok(visitor.show(Section::Webhooks, "Matrix", content));
    }
    let body = json!({ "filters": after.filters, "timing": after.timing });
    let path = format!("/webhooks/{id}");
    match visitor.send::<Value>(Method::PATCH, &path, Some(&body)).await? {
        Ok(changed) => {
            let text = format!("The matrix is saved. {}", warnings(&changed));
            visitor.go(&format!("{}/matrix", webhook.page()), text.trim()).await
        }
        Err(refusal) => {
            let grid = grid(&visitor, &webhook, &after, &Asked::read(&query)).await?;
            let content =
                content(&visitor, &webhook, &grid, [&shown, &after], None, Some(&refusal));
            let page = visitor.show(Section::Webhooks, "Matrix", content);
            Ok((refusal.status, page).into_response())
        }
    }
}

async fn read(visitor: &Visitor, id: u64) -> Result<(Webhook, Decided), Trouble> {
    let stored: Value = visitor.get(&format!("/webhooks/{id}")).await?;
    let decided = serde_json::from_value(stored.clone()).map_err(Trouble::bug)?;
    Ok((serde_json::from_value(stored).map_err(Trouble::bug)?, decided))
}

async fn grid(
    visitor: &Visitor,
    webhook: &Webhook,
    decided: &Decided,
    asked: &Asked,
) -> Result<Grid, Trouble> {
    let workspace: Workspace = visitor.get("/workspace").await?;
    let types = if visitor.may(Scope::EventsRead) { types(visitor).await? } else { Vec::new() };
    let mut processes = workspace.process_types;
    processes.push(asked.add.clone());
    if webhook.profile.starts_with("spektr") {
        processes.extend(DOCUMENTED_PROCESSES.map(str::to_owned));
    }
    Ok(Grid::new(decided, &webhook.profile, &processes, types, asked.all))
}

async fn types(visitor: &Visitor) -> Result<Vec<KnownType>, Trouble> {
    let mut types = Vec::new();
    let mut cursor = String::new();
    for _ in 0..TYPE_PAGES {
        let path = with_query("/event-types", &[("limit", "100"), ("cursor", &cursor)], &[]);
        let List { items, next } = visitor.get::<List<KnownType>>(&path).await?;
        types.extend(items);
        let Some(next) = next else { break };
        cursor = next;
    }
    Ok(types)
}

fn content(
    visitor: &Visitor,
    webhook: &Webhook,
    grid: &Grid,
    [shown, decided]: [&Decided; 2],
    seen: Option<&preview::Seen>,
    refusal: Option<&Refusal>,
) -> Markup {
    let page = format!("{}/matrix", webhook.page());
    let action = if grid.shows_all { format!("{page}?all=1") } else { page.clone() };
    let inner = html! {
        @if let Some(refusal) = refusal { (complaint(refusal)) }
        @if let Some(seen) = seen { (preview::part(seen)) }
        p {
            "A cell says when an event of a process is delivered. A cell without a choice follows \
             the closest other cell, or else the time below. The matrix only takes away from the \
             event types that the webhook subscribes to."
        }
        (layout::post_form(visitor, &action, html! {
            input type="hidden" name=(SHOWN) value=(serde_json::to_string(shown).unwrap_or_default());
            div.field {
                label for="timing" { "Events that no cell is about" }
                select id="timing" name="timing" {
                    option value="immediate" selected[decided.timing == Timing::Immediate] { "At once" }
                    option value="process_end" selected[decided.timing == Timing::ProcessEnd] {
                        "At the end of their process"
                    }
                }
            }
            (grid::table(grid, decided))
            div.actions {
                button.primary type="submit" { "Save the matrix" }
                @if visitor.may(Scope::EventsRead) {
                    button type="submit" name="preview" value="1" {
                        "Preview with yesterday's events"
                    }
                }
            }
        }))
        h2 { "Further rows and columns" }
        form.search action=(page) {
            label for="add" { "Process type" }
            input id="add" name="add" type="text" maxlength="128" required;
            button type="submit" { "Add a column" }
        }
        @if !grid.shows_all && grid.left_out > 0 {
            p { a href={ (page) "?all=1" } { "Show " (grid.left_out) " further event types" } }
        }
    };
    frame(webhook, Tab::Matrix, inner)
}
