//! The list of simulations, and the start of one.

use axum::{
    http::{Method, Uri},
    response::{IntoResponse, Response},
};
use maud::{Markup, html};
use posthaste_domain::access::api_key::Scope;

use super::{
    Simulation,
    form::{self, Kind, NAMES, PATH},
};
use crate::{
    control::Entered,
    event_types::EventType,
    form::{Fields, Posted},
    layout::{Section, post_form},
    parts::{List, complaint, heading, pager, time, visible, with_query},
    trouble::Trouble,
    visitor::Visitor,
};

const TITLE: &str = "Simulations";

/// The list, with a form that has what the query says.
pub(super) async fn show(visitor: Visitor, uri: Uri) -> Result<Response, Trouble> {
    if !visitor.is_in_test_mode() {
        return Ok(visitor.show(Section::Simulations, TITLE, in_live_mode(&visitor)));
    }
    let fields = Fields::parse(uri.query().unwrap_or_default().as_bytes());
    page(&visitor, &Entered::fresh(fields)).await
}

/// Starts a simulation, and leads to it.
pub(super) async fn start(Posted { visitor, fields }: Posted) -> Result<Response, Trouble> {
    let body = form::body(Kind::named(fields.text("kind")), &fields);
    match visitor.send::<Simulation>(Method::POST, "/simulations", Some(&body)).await? {
        Ok(started) => visitor.go(&started.page(), "The simulation has begun.").await,
        Err(refusal) => {
            let entered = Entered::refused(fields, refusal, &NAMES);
            let page = page(&visitor, &entered).await?;
            Ok((entered.status(), page).into_response())
        }
    }
}

async fn page(visitor: &Visitor, entered: &Entered) -> Result<Response, Trouble> {
    let kind = Kind::named(entered.fields.text("kind"));
    let cursor = entered.fields.text("cursor");
    let query = with_query("/simulations", &[("limit", "20"), ("cursor", cursor)], &[]);
    let List { items, next }: List<Simulation> = visitor.get(&query).await?;
    let needs_types = kind != Kind::ProcessRun && visitor.may(Scope::EventsRead);
    let offered = if needs_types { EventType::offered(visitor).await? } else { Vec::new() };
    let content = html! {
        (heading(TITLE, html! {}))
        @if let Some(refusal) = &entered.refusal { (complaint(refusal)) }
        p {
            "Realistic events are published for the webhooks of test mode, with filters, timing, "
            "batches and retries as always."
        }
        (form::card(visitor, kind, entered, &offered))
        h2 id="played" { "Simulations of the last weeks" }
        @if items.is_empty() {
            p { "None was started yet." }
        } @else {
            (rows(&items))
            (pager(PATH, &[], next.as_deref()))
        }
    };
    Ok(visitor.show(Section::Simulations, TITLE, content))
}

fn rows(simulations: &[Simulation]) -> Markup {
    let is_live = simulations.iter().any(Simulation::is_under_way);
    html! {
        ul.rows id="simulations" aria-labelledby="played" data-live=[is_live.then_some("3")] {
            @for simulation in simulations {
                li.row id={ "simulation-" (simulation.id) } {
                    div.main {
                        h3 {
                            a href=(simulation.page()) { (visible(&simulation.asked.title())) }
                            " " (simulation.badge())
                        }
                        p.quiet { "Started " (time(simulation.started_at)) }
                    }
                    div.recent {
                        p { (simulation.played) " of " (simulation.total) " events played" }
                    }
                }
            }
        }
    }
}

/// A simulation in live mode would reach customers, so there is none.
fn in_live_mode(visitor: &Visitor) -> Markup {
    html! {
        (heading(TITLE, html! {}))
        section.card aria-label="Test mode" {
            p {
                "You are in live mode. Simulations publish invented events, so they are for test "
                "mode alone."
            }
            @if visitor.portal.is_none() {
                (post_form(visitor, "/console/mode", html! {
                    button.primary type="submit" { "Switch to test mode" }
                }))
            }
        }
    }
}
