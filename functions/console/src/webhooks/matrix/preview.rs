//! A preview tells how a matrix would have treated the events of the last day, beside the present one.

use std::collections::BTreeMap;

use maud::{Markup, html};
use posthaste_domain::{
    Timestamp,
    event::{event_type::EventType, process::Process},
    fanout::subscription::{Route, Subscription},
    id::WebhookId,
    webhook::filter::Rule,
};
use posthaste_runtime::clock;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Decided, grid::rule_name};
use crate::{
    parts::{List, Tone, badge, time, with_query},
    trouble::Trouble,
    visitor::Visitor,
};

/// So many pages of events are looked at, of a hundred each.
const PAGES: usize = 5;
/// The time that is looked back on.
const DAY: std::time::Duration = std::time::Duration::from_secs(24 * 60 * 60);

/// The events of the last day, under both matrices.
#[derive(Debug, PartialEq)]
pub(super) struct Seen {
    lines: Vec<Line>,
    events: usize,
    /// The time of the oldest event that was looked at, where not all were.
    cut_at: Option<Timestamp>,
}

/// The events of one type and process type.
#[derive(Debug, PartialEq)]
struct Line {
    event_type: String,
    process: String,
    count: usize,
    before: &'static str,
    after: &'static str,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    r#type: EventType,
    accepted_at: Timestamp,
    data: Box<RawValue>,
}

pub(super) async fn read(
    visitor: &Visitor,
    before: &Decided,
    after: &Decided,
) -> Result<Seen, Trouble> {
    let since = (clock::now() - DAY).to_string();
    let mut events: Vec<Event> = Vec::new();
    let mut cursor = String::new();
    for _ in 0..PAGES {
        let query = [("limit", "100"), ("order", "desc"), ("since", &since), ("cursor", &cursor)];
        let page: List<Event> = visitor.get(&with_query("/events", &query, &[])).await?;
        events.extend(page.items);
        let Some(next) = page.next else { return Ok(seen(&events, before, after, None)) };
        cursor = next;
    }
    let cut_at = events.iter().map(|event| event.accepted_at).min();
    Ok(seen(&events, before, after, cut_at))
}

fn seen(events: &[Event], before: &Decided, after: &Decided, cut_at: Option<Timestamp>) -> Seen {
    let (before, after) = (subscription(before), subscription(after));
    let processes = processes(events);
    let mut counts: BTreeMap<(String, String, &str, &str), usize> = BTreeMap::new();
    for (event, process) in events.iter().zip(&processes) {
        let outcome =
            |subscription: &Subscription| outcome(&subscription.route(&event.r#type, process));
        let (before, after) = (outcome(&before), outcome(&after));
        let place = (event.r#type.to_string(), process_name(process), before, after);
        *counts.entry(place).or_default() += 1;
    }
    let lines = counts.into_iter().map(|((event_type, process, before, after), count)| Line {
        event_type,
        process,
        count,
        before,
        after,
    });
    let mut lines: Vec<Line> = lines.collect();
    lines.sort_by_key(|line| line.before == line.after);
    Seen { lines, events: events.len(), cut_at }
}

/// The processes that the events name. The type of a process, where the event itself does not
/// say it, is what another event of the same run says.
fn processes(events: &[Event]) -> Vec<Process> {
    let own: Vec<Process> = events.iter().map(|event| Process::of_data(&event.data)).collect();
    let known: BTreeMap<&String, &String> = own
        .iter()
        .filter_map(|process| process.context_id.as_ref().zip(process.process_type.as_ref()))
        .collect();
    let completed = own.iter().map(|process| {
        let of_run = process.context_id.as_ref().and_then(|run| known.get(run).copied());
        let process_type = process.process_type.as_ref().or(of_run).cloned();
        Process { process_type, ..process.clone() }
    });
    completed.collect()
}

fn subscription(decided: &Decided) -> Subscription {
    let Decided { events, timing, filters } = decided.clone();
    let holds =
        filters.hold_anything() || timing == posthaste_domain::webhook::filter::Timing::ProcessEnd;
    Subscription { id: WebhookId(0), events, timing, filters, holds, batches: false }
}

fn outcome(route: &Route) -> &'static str {
    match route {
        Route::Ignore | Route::End { wanted: false, .. } => rule_name(Rule::Never),
        Route::Now | Route::End { wanted: true, .. } => rule_name(Rule::Immediate),
        Route::Hold { .. } => rule_name(Rule::ProcessEnd),
    }
}

fn process_name(process: &Process) -> String {
    match &process.process_type {
        Some(process_type) => process_type.clone(),
        None if process.is_none() => "no process".to_owned(),
        None => "not known".to_owned(),
    }
}

pub(super) fn part(seen: &Seen) -> Markup {
    let changed = seen.lines.iter().filter(|line| line.before != line.after);
    let changed: usize = changed.map(|line| line.count).sum();
    html! {
        section.card aria-labelledby="preview" {
            h2 id="preview" { "Preview: nothing is saved yet" }
            p role="status" {
                "Of the " (seen.events) " events of the last 24 hours, " strong { (changed) }
                " would have gone another way."
                @if let Some(at) = seen.cut_at {
                    " There were more: these are the newest, since " (time(at)) "."
                }
            }
            @if !seen.lines.is_empty() {
                div.scroll tabindex="0" role="region" aria-label="Preview" {
                    table {
                        thead {
                            tr {
                                th scope="col" { "Event type" }
                                th scope="col" { "Process" }
                                th scope="col" { "Events" }
                                th scope="col" { "As it is now" }
                                th scope="col" { "With these changes" }
                            }
                        }
                        tbody {
                            @for line in &seen.lines {
                                tr {
                                    th scope="row" { code { (line.event_type) } }
                                    td { (line.process) }
                                    td.number { (line.count) }
                                    td { (line.before) }
                                    td {
                                        @if line.before == line.after { (line.after) }
                                        @else { (badge(Tone::Waiting, line.after)) }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(name: &str, data: &serde_json::Value) -> Event {
        serde_json::from_str(
            &json!({ "type": name, "acceptedAt": "2026-01-01T00:00:00Z", "data": data })
                .to_string(),
        )
        .unwrap()
    }

    fn decided(filters: &serde_json::Value) -> Decided {
        serde_json::from_value(json!({ "events": ["*"], "filters": filters })).unwrap()
    }

    #[test]
    fn changes_stand_first_and_runs_tell_the_type_of_their_process() {
        let run = json!({ "processType": "onboarding", "contextId": "c-1" });
        let events = [
            event("process_run_start", &run),
            event("service_run", &json!({ "contextId": "c-1" })),
            event("service_run", &json!({ "contextId": "c-1" })),
            event("order.created", &json!({})),
        ];
        let before = decided(&json!({}));
        let after = decided(&json!({ "onboarding": { "service_run": "process_end" } }));
        let seen = seen(&events, &before, &after, None);
        assert_eq!(
            seen.lines[0],
            Line {
                event_type: "service_run".to_owned(),
                process: "onboarding".to_owned(),
                count: 2,
                before: "at once",
                after: "at the end",
            }
        );
        assert_eq!((seen.lines.len(), seen.events), (3, 4));
        assert!(seen.lines[1..].iter().all(|line| line.before == line.after));
    }
}
