//! One simulation: how far it is, what it plays, and how to stop or repeat it.

use axum::{extract::Path, http::Method, response::Response};
use maud::{Markup, html};
use posthaste_domain::id::SimulationId;

use super::{Asked, Simulation, form::PATH};
use crate::{
    form::Posted,
    layout::{Section, post_form},
    parts::{heading, time, visible, with_query},
    trouble::Trouble,
    visitor::Visitor,
};

pub(super) async fn show(visitor: Visitor, Path(id): Path<String>) -> Result<Response, Trouble> {
    let id = read_id(&id)?;
    let simulation: Simulation = visitor.get(&format!("/simulations/{id}")).await?;
    let content = html! {
        nav.crumbs aria-label="Where this is" { a href=(PATH) { "Simulations" } }
        (heading(&visible(&simulation.asked.title()), html! {
            a.button href=(again(&simulation.asked)) { "Play it again" }
        }))
        (progress(&simulation))
        (facts(&simulation))
        @if simulation.is_running() { (cancellation(&visitor, &simulation)) }
    };
    Ok(visitor.show(Section::Simulations, "Simulation", content))
}

pub(super) async fn cancel(
    Path(id): Path<String>,
    Posted { visitor, .. }: Posted,
) -> Result<Response, Trouble> {
    let id = read_id(&id)?;
    let path = format!("/simulations/{id}/cancel");
    let cancelled = visitor.send::<Simulation>(Method::POST, &path, None).await?;
    let simulation = cancelled.map_err(Trouble::Refused)?;
    let done = match simulation.status.as_str() {
        "cancelled" => "The simulation was cancelled.",
        _ => "The simulation had ended already.",
    };
    visitor.go(&simulation.page(), done).await
}

fn read_id(text: &str) -> Result<SimulationId, Trouble> {
    text.parse().map_err(|_| Trouble::NotFound)
}

/// The form for the same simulation.
fn again(asked: &Asked) -> String {
    let fields = asked.fields();
    let fields: Vec<(&str, &str)> =
        fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    with_query(PATH, &[("kind", &asked.kind)], &fields)
}

/// The part that changes by itself. Events come up to 75 seconds after the simulation has ended.
fn progress(simulation: &Simulation) -> Markup {
    let Simulation { total, sent, played, .. } = simulation;
    let is_live = simulation.is_under_way();
    html! {
        section.card id="progress" aria-label="Progress" data-live=[is_live.then_some("3")] {
            p id="progress-state" data-said { (simulation.badge()) " " (sentence(simulation)) }
            div id="progress-bar" {
                progress aria-label="Events that were played" max=(total) value=(played) {
                    (played) " of " (total)
                }
            }
            dl.facts id="progress-counts" {
                dt { "Played" } dd { (played) " of " (total) }
                dt { "Sent ahead" } dd { (sent.saturating_sub(*played)) }
            }
        }
    }
}

fn sentence(simulation: &Simulation) -> &'static str {
    match (simulation.status.as_str(), simulation.is_under_way()) {
        ("running", _) => "Its events are being published.",
        ("finished", true) => "Every event is sent; the last ones arrive when their time comes.",
        ("finished", false) => "Every event was published.",
        (_, true) => "It was stopped. What was sent ahead still arrives.",
        (_, false) => "It was stopped before its end.",
    }
}

fn facts(simulation: &Simulation) -> Markup {
    let Simulation { asked, started_at, ends_at, .. } = simulation;
    let single = asked.fields().into_iter().filter(|(name, _)| *name != "types");
    let since = started_at.to_string();
    let name = asked.r#type.as_deref().unwrap_or_default();
    let events = with_query("/console/events", &[("since", &since), ("type", name)], &[]);
    html! {
        section.card aria-labelledby="asked" {
            h2 id="asked" { "What it plays" }
            dl.facts {
                @for (name, value) in single {
                    dt { (label(name)) } dd { (visible(&value)) }
                }
                @if !asked.types.is_empty() {
                    dt { "Types" } dd { (asked.types.join(", ")) }
                }
                dt { "Started" } dd { (time(*started_at)) }
                dt { "Last event" } dd { (time(*ends_at)) }
            }
            p { a href=(events) { "Events that were published since it started" } }
        }
    }
}

fn label(name: &str) -> &'static str {
    match name {
        "type" => "Event type",
        "count" => "Events",
        "processType" => "Process type",
        "processName" => "Process name",
        "speed" => "Speed",
        "perMinute" => "Events a minute",
        "minutes" => "Minutes",
        _ => "Seed",
    }
}

fn cancellation(visitor: &Visitor, simulation: &Simulation) -> Markup {
    html! {
        details {
            summary { "Cancel this simulation" }
            p { "What was sent ahead still arrives: events are sent up to 75 seconds before their \
                time." }
            (post_form(visitor, &format!("{}/cancel", simulation.page()), html! {
                button.danger type="submit" { "Cancel the simulation" }
            }))
        }
    }
}

#[cfg(test)]
mod tests {
    use posthaste_domain::Timestamp;

    use super::*;

    fn simulation(status: &str, sent: u32, played: u32) -> Simulation {
        Simulation {
            id: "id".to_owned(),
            status: status.to_owned(),
            asked: Asked { kind: "event".to_owned(), seed: Some(7), ..Asked::default() },
            total: 12,
            sent,
            played,
            started_at: Timestamp::UNIX_EPOCH,
            ends_at: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn progress_is_live_until_the_last_event_was_played() {
        let shown =
            |status, sent, played| progress(&simulation(status, sent, played)).into_string();
        insta::assert_snapshot!(shown("running", 5, 3));
        assert!(shown("finished", 12, 11).contains("data-live"));
        for (status, played) in [("finished", 12), ("cancelled", 5)] {
            assert!(!shown(status, played, played).contains("data-live"), "{status}");
        }
    }

    #[test]
    fn a_simulation_can_be_asked_for_again() {
        let asked = simulation("finished", 1, 1).asked;
        assert_eq!(again(&asked), "/console/simulations?kind=event&seed=7");
    }
}
