//! A webhook's filters choose among the events of processes, and the time of their delivery: this
//! is the matrix of "About webhooks" of the Spektr documents.
//!
//! ```json
//! { "monitoring": { "process_run_start": "never", "process_run_end": "never" },
//!   "onboarding": { "*": "process_end" },
//!   "*":          { "service_run": "never" } }
//! ```
//!
//! A row is a process type, `*` for those that have no row of their own, or `no_process` for events
//! of no process. A cell is an event type, a prefix such as `order.*`, or `*`; the closest one
//! counts. An event without a cell is delivered as the webhook's `timing` says, and so is an event
//! of a process whose type is not known ([`crate::event::run`]). A filter can only take away events
//! that the webhook subscribes to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    Invalid,
    event::{
        event_type::{EventPattern, EventType},
        process::Process,
    },
    input::{Fields, Shape, one_of},
};

mod cell;

pub use cell::Cell;
pub(crate) use cell::subscribed_by;

/// Filters have at most this many rows.
pub const MAX_ROWS: usize = 50;
/// A row has at most this many cells.
pub const MAX_CELLS: usize = 100;
/// The longest process type in bytes.
pub const MAX_PROCESS_TYPE_BYTES: usize = 128;
/// The process types that the Spektr documents name.
pub const DOCUMENTED_PROCESSES: [&str; 4] = ["loop", "monitoring", "onboarding", "risk"];
/// The row of the process types that have none of their own.
pub(super) const EVERY_OTHER: &str = "*";
/// The row of events that belong to no process.
pub(super) const NO_PROCESS: &str = "no_process";

/// The moment at which an event is delivered: when it was published, or when the run of its process
/// has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Timing {
    /// As soon as it was published.
    #[default]
    Immediate,
    /// After its process has ended.
    ProcessEnd,
}

/// The rule for an event: it is not delivered, or it is when it was published or when the run of
/// its process has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Rule {
    /// It is not delivered.
    Never,
    /// It is delivered as soon as it was published.
    Immediate,
    /// It is delivered after its process has ended.
    ProcessEnd,
}

impl Rule {
    /// Every rule, with the name that the API uses.
    pub const NAMES: [(&'static str, Self); 3] =
        [("never", Self::Never), ("immediate", Self::Immediate), ("process_end", Self::ProcessEnd)];
}

impl Timing {
    /// Every timing, with the name that the API uses.
    pub const NAMES: [(&'static str, Self); 2] =
        [("immediate", Self::Immediate), ("process_end", Self::ProcessEnd)];

    /// Tells whether this is the default.
    pub(crate) fn is_immediate(&self) -> bool {
        *self == Self::Immediate
    }
}

/// The time at which an event of this type is delivered to a webhook with these settings; none if
/// it is not delivered.
pub(crate) fn timing(
    subscribed: &[EventPattern],
    filters: &Filters,
    default: Timing,
    event_type: &EventType,
    process: &Process,
) -> Option<Timing> {
    subscribed_by(subscribed, event_type)?;
    filters.timing(process, event_type, default)
}

/// A row of the matrix: the rules by event type.
type Row = BTreeMap<EventPattern, Rule>;

/// The rows of the matrix by process type.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Filters(pub BTreeMap<String, Row>);

impl Filters {
    /// Tells whether there is no row.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the moment at which an event of this type and process is delivered; none when it is
    /// not.
    pub fn timing(
        &self,
        process: &Process,
        event_type: &EventType,
        default: Timing,
    ) -> Option<Timing> {
        match self.cell(process, event_type).map(|cell| cell.rule) {
            None => Some(default),
            Some(Rule::Never) => None,
            Some(Rule::Immediate) => Some(Timing::Immediate),
            Some(Rule::ProcessEnd) => Some(Timing::ProcessEnd),
        }
    }

    /// Tells whether any cell makes an event wait.
    pub fn hold_anything(&self) -> bool {
        self.0.values().flat_map(BTreeMap::values).any(|rule| *rule == Rule::ProcessEnd)
    }

    /// Every event type and prefix that is named.
    pub fn patterns(&self) -> impl Iterator<Item = &EventPattern> {
        self.0.values().flat_map(BTreeMap::keys)
    }
}

impl Shape for Filters {
    type Value = Self;

    fn read(at: &str, json: &RawValue) -> Result<Self, Invalid> {
        let members = Fields::of_object(json, at)?.into_members();
        if members.len() > MAX_ROWS {
            return Err(Invalid::field(
                at,
                "wrong_count",
                format!("{at} takes at most {MAX_ROWS} process types"),
            ));
        }
        let mut rows = BTreeMap::new();
        for (process_type, json) in members {
            let at = format!("{at}.{process_type}");
            if process_type.is_empty() || process_type.len() > MAX_PROCESS_TYPE_BYTES {
                let message = format!("a process type has 1 to {MAX_PROCESS_TYPE_BYTES} bytes");
                return Err(Invalid::field(at, "invalid_process_type", message));
            }
            rows.insert(process_type, read_row(&at, json)?);
        }
        Ok(Self(rows))
    }
}

fn read_row(at: &str, json: &RawValue) -> Result<Row, Invalid> {
    let members = Fields::of_object(json, at)?.into_members();
    if members.len() > MAX_CELLS {
        return Err(Invalid::field(
            at,
            "wrong_count",
            format!("{at} takes at most {MAX_CELLS} event types"),
        ));
    }
    let mut cells = BTreeMap::new();
    for (pattern, json) in members {
        let at = format!("{at}.{pattern}");
        let pattern = EventPattern::parse_any(&pattern)
            .map_err(|error| Invalid::field(&at, "invalid_event_type", format!("{at}: {error}")))?;
        let named = pattern.to_string();
        if cells.insert(pattern, Rule::read(&at, json)?).is_some() {
            let message = format!("{at} is given twice, by two names of {named}");
            return Err(Invalid::field(&at, "repeated_field", message));
        }
    }
    Ok(cells)
}

impl Shape for Rule {
    type Value = Self;

    fn read(at: &str, json: &RawValue) -> Result<Self, Invalid> {
        serde_json::from_str(json.get()).map_err(|_| {
            let names = Self::NAMES.map(|(name, _)| name).join(", ");
            Invalid::field(at, "invalid_rule", format!("{at} has to be one of {names}"))
        })
    }
}

impl Shape for Timing {
    type Value = Self;

    fn read(at: &str, json: &RawValue) -> Result<Self, Invalid> {
        one_of(at, json, &Self::NAMES, "invalid_timing")
    }
}

#[cfg(feature = "openapi")]
mod document {
    use super::{EventPattern, Filters, MAX_CELLS, MAX_PROCESS_TYPE_BYTES, MAX_ROWS, Rule};
    use crate::input::openapi::{described, map_of, reference, text};

    described!(
        Filters,
        "Filters",
        "There is a row for each process type. The row `*` is for those that have none, and the \
         row `no_process` for events of no process. A row has a rule for each event type, prefix \
         or `*`, and the closest one counts. An event without a rule follows the webhook's \
         `timing`, and so does an event of a process whose type is not known. There are up to 50 \
         rows of up to 100 rules.",
        map_of(
            text().min_length(Some(1)).max_length(Some(MAX_PROCESS_TYPE_BYTES)),
            map_of(EventPattern::written(), reference::<Rule>()).max_properties(Some(MAX_CELLS)),
        )
        .max_properties(Some(MAX_ROWS)),
        refers to Rule
    );
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filters(json: serde_json::Value) -> Filters {
        serde_json::from_value(json).unwrap()
    }

    fn of(process_type: Option<&str>) -> Process {
        Process { process_type: process_type.map(str::to_owned), ..Process::default() }
    }

    #[test]
    fn events_of_no_process_have_a_row_of_their_own() {
        let filters = filters(serde_json::json!({
            "no_process": { "customer_record_changed": "never", "alert.*": "process_end" },
            "*": { "customer_record_changed": "process_end" },
        }));
        let record = event_type("customer_record_changed");
        let timing = |process: &Process| filters.timing(process, &record, Timing::Immediate);
        assert_eq!(timing(&of(None)), None);
        assert_eq!(timing(&of(Some("monitoring"))), Some(Timing::ProcessEnd));
        for unknown in [
            Process { context_id: Some("67890".to_owned()), ..Process::default() },
            Process { process_id: Some("12345".to_owned()), ..Process::default() },
            Process { is_unnamed: true, ..Process::default() },
        ] {
            let told = timing(&unknown);
            assert_eq!(told, Some(Timing::Immediate), "what is not known takes nothing away");
        }
    }

    fn event_type(name: &str) -> EventType {
        EventType::parse(name).unwrap()
    }

    #[test]
    fn everything_but_no_run_started_or_ended_for_monitoring_is_one_rule() {
        let filters = filters(serde_json::json!({
            "monitoring": { "process_run_start": "never", "process_run_end": "never" },
        }));
        let timing =
            |process, name| filters.timing(&of(process), &event_type(name), Timing::Immediate);
        assert_eq!(timing(Some("monitoring"), "process_run_start"), None);
        assert_eq!(timing(Some("monitoring"), "process_run_end"), None);
        assert_eq!(timing(Some("monitoring"), "service_run"), Some(Timing::Immediate));
        assert_eq!(timing(Some("onboarding"), "process_run_start"), Some(Timing::Immediate));
        assert_eq!(timing(None, "customer_record_changed"), Some(Timing::Immediate));
    }

    #[test]
    fn the_closest_cell_and_the_own_row_count() {
        let filters = filters(serde_json::json!({
            "onboarding": {
                "*": "process_end", "order.*": "immediate", "order.line.*": "never",
                "order.line.added": "process_end",
            },
            "*": { "order.created": "never" }
        }));
        let timing = |process, name| {
            filters.timing(&of(Some(process)), &event_type(name), Timing::Immediate)
        };
        assert_eq!(timing("onboarding", "service_run"), Some(Timing::ProcessEnd));
        assert_eq!(
            timing("onboarding", "order.created"),
            Some(Timing::Immediate),
            "its own row counts, not the row *"
        );
        assert_eq!(timing("onboarding", "order.line.removed"), None);
        assert_eq!(timing("onboarding", "order.line.added"), Some(Timing::ProcessEnd));
        assert_eq!(timing("risk", "order.created"), None);
        assert_eq!(timing("risk", "order.shipped"), Some(Timing::Immediate));
    }

    fn rule() -> impl Strategy<Value = Rule> {
        prop_oneof![Just(Rule::Never), Just(Rule::Immediate), Just(Rule::ProcessEnd)]
    }

    /// Few names, so that cells and events meet often.
    fn matrix() -> impl Strategy<Value = Filters> {
        let pattern = prop_oneof!["[ab]", "[ab]\\.[ab]", "[ab]\\.\\*", "\\*"];
        let pattern = pattern.prop_map(|text| EventPattern::parse(&text).unwrap());
        let row = prop::collection::btree_map(pattern, rule(), 0..6);
        prop::collection::btree_map(prop_oneof!["[pq]", "\\*"], row, 0..4).prop_map(Filters)
    }

    proptest! {
        #[test]
        fn what_no_cell_matches_follows_the_webhook(
            filters in matrix(), name in "[ab](\\.[abc])?", process in "[pqr]", at_end: bool
        ) {
            let event_type = event_type(&name);
            let default = if at_end { Timing::ProcessEnd } else { Timing::Immediate };
            let row = filters.0.get(&process).or_else(|| filters.0.get("*"));
            let cells: Vec<_> = row
                .into_iter()
                .flatten()
                .filter(|(pattern, _)| pattern.matches(&event_type))
                .collect();
            let timing = filters.timing(&of(Some(&process)), &event_type, default);
            if cells.is_empty() {
                prop_assert_eq!(timing, Some(default));
            }
            if let Some((_, rule)) = cells.iter().find(|(pattern, _)| pattern.to_string() == name) {
                let expected = match rule {
                    Rule::Never => None, Rule::Immediate => Some(Timing::Immediate),
                    Rule::ProcessEnd => Some(Timing::ProcessEnd)
                };
                prop_assert_eq!(timing, expected, "an exact cell decides");
            }
            let of_none = filters.timing(&of(None), &event_type, default);
            prop_assert_eq!(of_none, Some(default), "no process, no filter");
            if timing == Some(Timing::ProcessEnd) && default == Timing::Immediate {
                prop_assert!(filters.hold_anything());
            }
        }

        #[test]
        fn a_row_of_its_own_hides_the_row_of_the_others(
            filters in matrix(), name in "[ab]", rule in rule()
        ) {
            let event_type = event_type(&name);
            let before = filters.timing(&of(Some("p")), &event_type, Timing::Immediate);
            let mut changed = filters.clone();
            changed.0.entry("*".to_owned()).or_default().insert(
                EventPattern::parse(&name).unwrap(), rule
            );
            if filters.0.contains_key("p") {
                let after = changed.timing(&of(Some("p")), &event_type, Timing::Immediate);
                prop_assert_eq!(after, before);
            }
        }

        #[test]
        fn filters_are_stored_as_they_were_given(filters in matrix()) {
            let json = serde_json::to_string(&filters).unwrap();
            prop_assert_eq!(serde_json::from_str::<Filters>(&json).unwrap(), filters);
        }
    }
}
