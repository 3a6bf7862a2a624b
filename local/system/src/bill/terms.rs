//! How long the template keeps what it stores.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use posthaste_local_template::{self as template, Stack};
use serde_json::Value;

/// What the bill has to know of the template.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Terms {
    /// Days for which the items of a table are kept that every event adds to, by the table's name.
    pub table_days: BTreeMap<String, u32>,
    /// Tables with point-in-time recovery.
    pub backed_up: Vec<String>,
    /// Days for which logs are kept.
    pub log_days: u32,
    /// The functions for whose invocations Lambda writes no lines of its own where all goes well.
    pub silent: BTreeSet<String>,
}

/// Events are kept longer than their deliveries, for replays: `crates/store/src/events.rs` says so.
const EVENT_EXTRA_DAYS: u32 = 7;

impl Terms {
    /// The terms of a stack, of the text of its template, and of the parameters that are not as there.
    ///
    /// # Errors
    /// The template lacks something of it.
    pub fn of(stack: &Stack, text: &str, parameters: &BTreeMap<String, String>) -> anyhow::Result<Self> {
        let document = template::document(text)?;
        let parameter = |name: &str| match (parameters.get(name), &document["Parameters"][name]["Default"]) {
            (Some(given), _) => Some(given.clone()),
            (None, Value::String(default)) => Some(default.clone()),
            (None, Value::Number(default)) => Some(default.to_string()),
            (None, _) => None,
        };
        let days = stack.functions.iter().find_map(|function| function.environment.get("RETENTION_DAYS"));
        let days: u32 = days.context("no function has RETENTION_DAYS")?.parse()?;
        let table = |output: &str| stack.outputs.get(output).cloned().with_context(|| format!("no output {output}"));
        let backed_up = |table: &&template::Table| {
            let path = format!(
                "/Resources/{}/Properties/PointInTimeRecoverySpecification/PointInTimeRecoveryEnabled",
                table.logical_id
            );
            document.pointer(&path).is_some_and(|enabled| *enabled != Value::Bool(false))
        };
        let is_silent = |function: &&template::Function| {
            let own = format!("/Resources/{}/Properties/LoggingConfig/SystemLogLevel", function.logical_id);
            let level =
                document.pointer(&own).unwrap_or(&document["Globals"]["Function"]["LoggingConfig"]["SystemLogLevel"]);
            let level = match level["Ref"].as_str() {
                Some(name) => parameter(name),
                None => level.as_str().map(str::to_owned),
            };
            level.as_deref() == Some("WARN")
        };
        Ok(Self {
            table_days: [(table("EventsTable")?, days + EVENT_EXTRA_DAYS), (table("DeliveriesTable")?, days)].into(),
            backed_up: stack.tables.iter().filter(backed_up).map(|table| table.name.clone()).collect(),
            log_days: parameter("LogRetentionDays").context("there is no LogRetentionDays")?.parse()?,
            silent: stack.functions.iter().filter(is_silent).map(|function| function.name.clone()).collect(),
        })
    }

    /// Days for which what an event adds to a table is kept. What is in the Registry does not grow with the events.
    pub(super) fn days_kept(&self, table: &str) -> u32 {
        self.table_days.get(table).copied().unwrap_or(0)
    }

    pub(super) fn has_backups(&self, table: &str) -> bool {
        self.backed_up.iter().any(|other| other == table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{binaries, system::stack_of};

    fn terms(text: &str, parameters: &[(&str, &str)]) -> Terms {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let parameters = parameters.iter().map(owned).collect();
        let stack = stack_of(text, &parameters, "http://127.0.0.1:1", "http://127.0.0.1:2").unwrap();
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
        assert_eq!(terms.silent, BTreeSet::from(["ingest".to_owned()]));
    }

    #[test]
    fn parameters_change_them() {
        let text = binaries::template().unwrap();
        let terms = terms(&text, &[("RetentionDays", "60"), ("LogRetentionDays", "7")]);
        assert_eq!((terms.days_kept("posthaste-Events"), terms.log_days), (67, 7));
    }

    #[test]
    fn at_the_system_log_level_warn_lambda_is_silent_about_success() {
        let quiet = |level: &str| {
            let text = binaries::template().unwrap();
            let with_level =
                text.replace("      LogFormat: JSON\n", &format!("      LogFormat: JSON\n      {level}\n"));
            assert_ne!(with_level, text);
            terms(&with_level, &[]).silent.contains("deliver")
        };
        assert!(quiet("SystemLogLevel: WARN"));
        assert!(!quiet("SystemLogLevel: INFO"));
        assert!(!quiet("SystemLogLevel: !Ref LogLevel"), "which is info");
    }
}
