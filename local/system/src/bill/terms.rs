//! The template says for how long things are stored, and so how much their storage costs.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use posthaste_local_template::{self as template, Stack};
use serde_json::Value;

/// The settings of the template that the bill depends on.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Terms {
    /// The tables that every event adds items to, by name, with the days for which the items are
    /// kept.
    pub table_days: BTreeMap<String, u32>,
    /// The names of the tables that have point-in-time recovery, which is billed as a backup.
    pub backed_up: Vec<String>,
    /// CloudWatch keeps the logs for this many days.
    pub log_days: u32,
    /// The functions for which Lambda writes no lines of its own while all goes well.
    pub silent: BTreeSet<String>,
}

/// Events are kept this much longer than their deliveries, for replays
/// (`crates/store/src/events.rs`).
const EVENT_EXTRA_DAYS: u32 = 7;

impl Terms {
    /// Reads the terms from a stack and the text of its template. `parameters` has the values that
    /// differ from the template's defaults.
    ///
    /// # Errors
    /// The template lacks something of it.
    pub fn of(
        stack: &Stack,
        text: &str,
        parameters: &BTreeMap<String, String>,
    ) -> anyhow::Result<Self> {
        let template = Template { document: template::document(text)?, parameters };
        let days =
            stack.functions.iter().find_map(|function| function.environment.get("RETENTION_DAYS"));
        let days: u32 = days.context("no function has RETENTION_DAYS")?.parse()?;
        let log_days =
            template.parameter("LogRetentionDays").context("there is no LogRetentionDays")?;
        let mut terms = Self { log_days: log_days.parse()?, ..Self::default() };
        terms.table_days.insert(table(stack, "EventsTable")?, days + EVENT_EXTRA_DAYS);
        terms.table_days.insert(table(stack, "DeliveriesTable")?, days);
        for table in &stack.tables {
            if template.backs_up(&table.logical_id) {
                terms.backed_up.push(table.name.clone());
            }
        }
        for function in &stack.functions {
            if template.system_log_level(&function.logical_id).as_deref() == Some("WARN") {
                terms.silent.insert(function.name.clone());
            }
        }
        Ok(terms)
    }

    /// Tells for how many days an event's items in a table are kept. The Registry does not grow
    /// with the events, and so is no such table.
    pub(super) fn days_kept(&self, table: &str) -> u32 {
        self.table_days.get(table).copied().unwrap_or(0)
    }

    pub(super) fn has_backups(&self, table: &str) -> bool {
        self.backed_up.iter().any(|other| other == table)
    }
}

/// Finds the name of the table that an output of the stack tells.
fn table(stack: &Stack, output: &str) -> anyhow::Result<String> {
    stack.outputs.get(output).cloned().with_context(|| format!("no output {output}"))
}

/// The template as it was written, with those settings in it that a stack does not have.
struct Template<'a> {
    document: Value,
    parameters: &'a BTreeMap<String, String>,
}

impl Template<'_> {
    fn parameter(&self, name: &str) -> Option<String> {
        if let Some(given) = self.parameters.get(name) {
            return Some(given.clone());
        }
        match &self.document["Parameters"][name]["Default"] {
            Value::String(default) => Some(default.clone()),
            Value::Number(default) => Some(default.to_string()),
            _ => None,
        }
    }

    /// Tells if a table has point-in-time recovery. A setting with a condition counts as enabled.
    fn backs_up(&self, table: &str) -> bool {
        let recovery =
            &self.document["Resources"][table]["Properties"]["PointInTimeRecoverySpecification"];
        let enabled = recovery.get("PointInTimeRecoveryEnabled");
        enabled.is_some_and(|enabled| *enabled != Value::Bool(false))
    }

    /// Finds the level of the lines that Lambda writes by itself: the function's own, or else that
    /// of all functions.
    fn system_log_level(&self, function: &str) -> Option<String> {
        let properties = &self.document["Resources"][function]["Properties"];
        let own = properties["LoggingConfig"].get("SystemLogLevel");
        let global = &self.document["Globals"]["Function"]["LoggingConfig"]["SystemLogLevel"];
        let level = own.unwrap_or(global);
        match level["Ref"].as_str() {
            Some(name) => self.parameter(name),
            None => level.as_str().map(str::to_owned),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{binaries, system::stack_of};

    fn terms(text: &str, parameters: &[(&str, &str)]) -> Terms {
        let parameters =
            parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let parameters = parameters.collect();
        let stack =
            stack_of(text, &parameters, "http://127.0.0.1:1", "http://127.0.0.1:2").unwrap();
        Terms::of(&stack, text, &parameters).unwrap()
    }

    #[test]
    fn the_template_says_how_long_things_are_kept() {
        let terms = terms(&binaries::template().unwrap(), &[]);
        assert_eq!(terms.days_kept("posthaste-Events"), 37);
        assert_eq!(terms.days_kept("posthaste-Deliveries"), 30);
        assert_eq!(terms.days_kept("posthaste-Registry"), 0);
        assert!(terms.has_backups("posthaste-Registry"));
        assert_eq!(terms.log_days, 30);
        assert_eq!(terms.silent, BTreeSet::from(["ingest", "simulate"].map(str::to_owned)));
    }

    #[test]
    fn parameters_change_them() {
        let text = binaries::template().unwrap();
        let terms = terms(&text, &[("RetentionDays", "60"), ("LogRetentionDays", "7")]);
        assert_eq!((terms.days_kept("posthaste-Events"), terms.log_days), (67, 7));
    }

    fn quiet(level: &str) -> bool {
        let text = binaries::template().unwrap();
        let with_level = text
            .replace("      LogFormat: JSON\n", &format!("      LogFormat: JSON\n      {level}\n"));
        assert_ne!(with_level, text);
        terms(&with_level, &[]).silent.contains("deliver")
    }

    #[test]
    fn at_the_system_log_level_warn_lambda_is_silent_about_success() {
        assert!(quiet("SystemLogLevel: WARN"));
        assert!(!quiet("SystemLogLevel: INFO"));
        assert!(!quiet("SystemLogLevel: !Ref LogLevel"), "which is info");
    }
}
