//! One event type: what it means, what its data is, and how it arrives.

use axum::{extract::Path, response::Response};
use maud::{Markup, html};
use posthaste_domain::access::api_key::Scope;
use posthaste_runtime::clock;

use super::{EventType, formats, schema};
use crate::{
    layout::Section,
    parts::{code_block, heading, indented, visible, with_query},
    trouble::Trouble,
    visitor::Visitor,
};

pub(super) async fn show(visitor: Visitor, Path(name): Path<String>) -> Result<Response, Trouble> {
    let found = EventType::find(&visitor, &name).await?;
    let event_type = found.ok_or(Trouble::NotFound)?;
    let title = event_type.title.clone().unwrap_or_else(|| event_type.name.clone());
    let content = html! {
        (heading(&title, actions(&visitor, &event_type)))
        (summary(&event_type))
        (schema_card(&event_type))
        (sample_card(&event_type))
        (formats_card(&visitor, &event_type))
    };
    Ok(visitor.show(Section::EventTypes, &title, content))
}

fn actions(visitor: &Visitor, event_type: &EventType) -> Markup {
    let name = event_type.name.as_str();
    let is_playable = event_type.sample.is_some() && event_type.owner != "posthaste";
    let events = with_query("/console/events", &[("type", name)], &[]);
    let play = with_query("/console/simulations", &[("kind", "event"), ("type", name)], &[]);
    let plays = visitor.is_in_test_mode() && visitor.may(Scope::EventsPublish) && is_playable;
    html! {
        a.button href=(events) { "Events of this type" }
        @if plays {
            a.button href=(play) { "Play it in a simulation" }
        }
        @if event_type.is_own() && visitor.may(Scope::EventsManage) {
            a.button.primary href={ (event_type.page()) "/edit" } {
                @if event_type.is_described() { "Edit" } @else { "Describe" }
                span.sr { " this event type" }
            }
        }
    }
}

fn summary(event_type: &EventType) -> Markup {
    html! {
        section.card aria-label="About this event type" {
            @if let Some(description) = &event_type.description { p { (visible(description)) } }
            @if !event_type.is_described() {
                p {
                    "Events of this type were published, and nobody has described it: its data is "
                    "not checked, and it has no sample."
                }
            }
            dl.facts {
                dt { "Name" } dd { code { (event_type.name) } }
                dt { "From" } dd { (event_type.owner_name()) }
                @if let Some(badge) = event_type.badge() { dt { "Status" } dd { (badge) } }
                @if !event_type.aliases.is_empty() {
                    dt { "Other names" }
                    dd {
                        @for (nth, alias) in event_type.aliases.iter().enumerate() {
                            @if nth > 0 { ", " } code { (alias) }
                        }
                    }
                }
            }
            @if !event_type.notes.is_empty() {
                h2 { "Where the document leaves a choice" }
                ul { @for note in &event_type.notes { li { (note) } } }
            }
        }
    }
}

fn schema_card(event_type: &EventType) -> Markup {
    html! {
        section.card aria-labelledby="schema" {
            h2 id="schema" { "Data" }
            @if let Some(schema) = &event_type.schema {
                @if let Some(table) = schema::table(schema) {
                    p.quiet { "Further properties are welcome, unless the schema forbids them." }
                    (table)
                } @else {
                    p { "The schema names no properties: any object is taken." }
                }
                details {
                    summary { "The JSON Schema itself" }
                    (code_block("JSON Schema", &indented(schema.get())))
                }
            } @else {
                p { "The type has no schema: any object is taken as its data." }
            }
        }
    }
}

fn sample_card(event_type: &EventType) -> Markup {
    html! {
        section.card aria-labelledby="sample" {
            h2 id="sample" { "Sample" }
            @if let Some(sample) = &event_type.sample {
                p.quiet { "An event of this type, as it is published." }
                (code_block("Sample event", &indented(sample.get())))
            } @else {
                p { "The type has no sample. A test of it has empty data." }
            }
        }
    }
}

fn formats_card(visitor: &Visitor, event_type: &EventType) -> Markup {
    let empty = format!(r#"{{"type":"{}","data":{{}}}}"#, event_type.name);
    let sample = event_type.sample.as_ref().map_or(empty.as_str(), |sample| sample.get());
    let bodies = formats::bodies(sample, &visitor.caller.workspace, clock::now());
    html! {
        section.card aria-labelledby="formats" {
            h2 id="formats" { "How it arrives" }
            p.quiet {
                "The body of a request, in each format that a webhook can choose. Ids are \
                    invented here."
            }
            @for (nth, (name, body)) in bodies.iter().enumerate() {
                details open[nth == 0] {
                    summary { "Format " code { (name) } }
                    (code_block(&format!("Body in the format {name}"), &indented(body)))
                }
            }
        }
    }
}
