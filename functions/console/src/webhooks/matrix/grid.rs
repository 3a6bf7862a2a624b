//! The rows, the columns and the cells of the matrix.

use std::collections::{BTreeMap, BTreeSet};

use maud::{Markup, html};
use posthaste_domain::{
    event::{
        catalogue,
        event_type::{EventPattern, EventType},
        process::Process,
    },
    webhook::filter::{Filters, Rule, Timing},
};

use super::{Decided, KnownType};
use crate::form::Fields;

/// The column of events that belong to no process.
const NO_PROCESS: &str = "no_process";
/// The column of the process types that have none of their own, and the row of every type.
const EVERY_OTHER: &str = "*";
/// The beginning of the names of the cells' controls.
const CELL: &str = "cell|";

/// The rows and columns that are shown.
#[derive(Debug, PartialEq)]
pub(super) struct Grid {
    pub(super) rows: Vec<Row>,
    /// Process types.
    pub(super) columns: Vec<String>,
    /// True where every event type has a row.
    pub(super) shows_all: bool,
    /// So many event types have no row.
    pub(super) left_out: usize,
}

/// A row: an event type, a prefix of several, or all.
#[derive(Debug, PartialEq)]
pub(super) struct Row {
    pub(super) pattern: EventPattern,
    pub(super) title: Option<String>,
}

impl Grid {
    /// The grid of a webhook: columns for the process types of its workspace and of its filters, and
    /// rows for the types that it subscribes to. Of those that it gets only by `*`, the ones of
    /// other programmes are left out, unless all are wanted.
    pub(super) fn new(
        decided: &Decided,
        profile: &str,
        processes: &[String],
        types: Vec<KnownType>,
        shows_all: bool,
    ) -> Self {
        let Filters(filters) = &decided.filters;
        let named: BTreeSet<EventPattern> =
            filters.values().flat_map(BTreeMap::keys).chain(&decided.events).cloned().collect();
        let mut left_out = 0;
        let mut rows: BTreeMap<EventPattern, Option<String>> =
            named.into_iter().map(|pattern| (pattern, None)).collect();
        rows.insert(EventPattern::All, Some("every other event type".to_owned()));
        for KnownType { name, title, owner } in types {
            let Ok(pattern) = EventPattern::parse_any(&name) else { continue };
            if let Some(known) = rows.get_mut(&pattern) {
                *known = title;
            } else if !is_wanted(decided, &name) {
            } else if shows_all || belongs(&owner, profile) || is_prefixed(decided, &name) {
                rows.insert(pattern, title);
            } else {
                left_out += 1;
            }
        }
        let own = processes.iter().filter(|name| !name.is_empty()).chain(filters.keys());
        let own: BTreeSet<&String> =
            own.filter(|name| ![NO_PROCESS, EVERY_OTHER].contains(&name.as_str())).collect();
        let columns = own.into_iter().cloned();
        let columns = columns.chain([EVERY_OTHER, NO_PROCESS].map(str::to_owned)).collect();
        let rows = rows.into_iter().map(|(pattern, title)| Row { pattern, title }).collect();
        Self { rows, columns, shows_all, left_out }
    }
}

/// Says whether a type belongs to the programme of a profile, or to none.
fn belongs(owner: &str, profile: &str) -> bool {
    matches!(owner, "workspace" | "posthaste") || profile.split('-').next() == Some(owner)
}

/// Says whether the webhook subscribes to the type. `*` leaves the operational ones out.
fn is_wanted(decided: &Decided, name: &str) -> bool {
    EventType::parse_any(name).is_ok_and(|name| {
        let naming = decided.events.iter().filter(|pattern| {
            !(catalogue::is_operational(&name) && **pattern == EventPattern::All)
        });
        naming.into_iter().any(|pattern| pattern.matches(&name))
    })
}

/// Says whether the webhook names the type or a prefix of it.
fn is_prefixed(decided: &Decided, name: &str) -> bool {
    EventType::parse_any(name).is_ok_and(|name| {
        let named = decided.events.iter().filter(|pattern| **pattern != EventPattern::All);
        named.into_iter().any(|pattern| pattern.matches(&name))
    })
}

/// The filters that a form makes of those that are stored. Only cells that are not as they were
/// `shown` are changed, so what somebody else has changed since stays.
pub(super) fn written(form: &Fields, shown: &Filters, stored: &Filters) -> Filters {
    let Filters(mut rows) = stored.clone();
    for (name, value) in form.iter() {
        let place = name.strip_prefix(CELL).and_then(|place| place.rsplit_once('|'));
        let Some((process, pattern)) = place else { continue };
        let Ok(pattern) = EventPattern::parse_any(pattern) else { continue };
        let rule = Rule::NAMES.into_iter().find(|(known, _)| *known == value).map(|(_, rule)| rule);
        if rule == shown.0.get(process).and_then(|cells| cells.get(&pattern)).copied() {
            continue;
        }
        match rule {
            Some(rule) => {
                rows.entry(process.to_owned()).or_default().insert(pattern, rule);
            }
            None => {
                if let Some(cells) = rows.get_mut(process) {
                    cells.remove(&pattern);
                }
            }
        }
    }
    rows.retain(|_, cells| !cells.is_empty());
    Filters(rows)
}

pub(super) fn table(grid: &Grid, decided: &Decided) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="The matrix" {
            table.matrix {
                caption { "Ctrl and an arrow key lead from cell to cell." }
                thead {
                    tr {
                        th scope="col" { "Event type" }
                        @for column in &grid.columns { th scope="col" { (column_name(column)) } }
                    }
                }
                tbody {
                    @for row in &grid.rows {
                        tr {
                            th scope="row" {
                                code { (row.pattern) }
                                @if let Some(title) = &row.title { br; span.quiet { (title) } }
                            }
                            @for column in &grid.columns { td { (cell(column, row, decided)) } }
                        }
                    }
                }
            }
        }
    }
}

fn cell(column: &str, row: &Row, decided: &Decided) -> Markup {
    let Filters(filters) = &decided.filters;
    let chosen = filters.get(column).and_then(|cells| cells.get(&row.pattern)).copied();
    let name = format!("{CELL}{column}|{}", row.pattern);
    let label = format!("{} of {}", row.pattern, column_name(column));
    html! {
        select name=(name) aria-label=(label) {
            option value="" selected[chosen.is_none()] { "– " (follows(column, row, decided)) }
            @for (value, rule) in Rule::NAMES {
                option value=(value) selected[chosen == Some(rule)] { (rule_name(rule)) }
            }
        }
    }
}

fn column_name(column: &str) -> &str {
    match column {
        EVERY_OTHER => "every other process",
        NO_PROCESS => "no process",
        other => other,
    }
}

pub(super) fn rule_name(rule: Rule) -> &'static str {
    match rule {
        Rule::Never => "never",
        Rule::Immediate => "at once",
        Rule::ProcessEnd => "at the end",
    }
}

/// The rule in a cell without a choice of its own, as far as one word can say it.
fn follows(column: &str, row: &Row, decided: &Decided) -> &'static str {
    let EventPattern::Exactly(event_type) = &row.pattern else { return "" };
    let Filters(mut rows) = decided.filters.clone();
    if let Some(cells) = rows.get_mut(column) {
        cells.remove(&row.pattern);
    }
    let process = match column {
        NO_PROCESS => Process::default(),
        // No process type can be the empty text, so only the row of every other is about it.
        EVERY_OTHER => Process { process_type: Some(String::new()), ..Process::default() },
        own => Process { process_type: Some(own.to_owned()), ..Process::default() },
    };
    match Filters(rows).timing(&process, event_type, decided.timing) {
        None => rule_name(Rule::Never),
        Some(Timing::Immediate) => rule_name(Rule::Immediate),
        Some(Timing::ProcessEnd) => rule_name(Rule::ProcessEnd),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn decided() -> Decided {
        serde_json::from_value(json!({
            "events": ["order.*", "process_run_end"],
            "timing": "immediate",
            "filters": { "onboarding": { "order.created": "never", "*": "process_end" } }
        }))
        .unwrap()
    }

    fn known(name: &str, owner: &str) -> KnownType {
        KnownType { name: name.to_owned(), title: None, owner: owner.to_owned() }
    }

    fn sent(pairs: &[(&str, &str)]) -> Fields {
        let form =
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        Fields::parse(form.as_bytes())
    }

    #[test]
    fn a_grid_has_what_the_webhook_subscribes_to() {
        let types = vec![known("order.paid", "workspace"), known("invoice.paid", "workspace")];
        let grid = Grid::new(&decided(), "standard", &["kyb".to_owned()], types, false);
        let rows: Vec<_> = grid.rows.iter().map(|row| row.pattern.to_string()).collect();
        assert_eq!(grid.columns, ["kyb", "onboarding", "*", "no_process"]);
        assert!(rows.contains(&"order.paid".to_owned()) && rows.contains(&"*".to_owned()));
        assert!(!rows.contains(&"invoice.paid".to_owned()), "{rows:?}");
    }

    #[test]
    fn types_of_other_programmes_are_left_out_unless_all_are_wanted() {
        let all = Decided { events: vec![EventPattern::All], ..decided() };
        let types = || vec![known("customer_created", "spektr"), known("x.y", "spectra")];
        let some = Grid::new(&all, "spektr-v1", &[], types(), false);
        assert_eq!(some.left_out, 1);
        assert_eq!(
            Grid::new(&all, "spektr-v1", &[], types(), true).rows.len(),
            some.rows.len() + 1
        );
    }

    #[test]
    fn a_form_changes_the_cells_that_it_has() {
        let before = decided().filters;
        let form = sent(&[
            ("cell|onboarding|order.created", ""),
            ("cell|a|b|order.paid", "immediate"),
            ("cell|no_process|*", "never"),
            ("cell|no_process|not a type", "never"),
            ("cell|kyb|order.paid", ""),
            ("timing", "immediate"),
        ]);
        assert_eq!(
            serde_json::to_value(written(&form, &before, &before)).unwrap(),
            json!({
                "a|b": { "order.paid": "immediate" },
                "no_process": { "*": "never" },
                "onboarding": { "*": "process_end" }
            })
        );
    }

    #[test]
    fn a_cell_that_somebody_else_has_changed_meanwhile_stays() {
        let shown = decided().filters;
        let stored: Filters = serde_json::from_value(json!({ "kyb": { "*": "never" } })).unwrap();
        let form = sent(&[
            ("cell|onboarding|order.created", "never"),
            ("cell|onboarding|*", "immediate"),
            ("cell|kyb|*", ""),
        ]);
        assert_eq!(
            serde_json::to_value(written(&form, &shown, &stored)).unwrap(),
            json!({ "kyb": { "*": "never" }, "onboarding": { "*": "immediate" } })
        );
    }

    #[test]
    fn an_empty_cell_says_what_it_follows() {
        let row = |name: &str| Row { pattern: EventPattern::parse(name).unwrap(), title: None };
        let decided = decided();
        assert_eq!(follows("onboarding", &row("order.created"), &decided), "at the end");
        assert_eq!(follows("*", &row("order.created"), &decided), "at once");
        assert_eq!(follows("no_process", &row("order.created"), &decided), "at once");
    }
}
