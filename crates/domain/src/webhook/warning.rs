//! Settings that can be meant, and are most likely a mistake.

use crate::{
    Invalid,
    input::nearest,
    webhook::{
        Settings,
        filter::{DOCUMENTED_PROCESSES, EVERY_OTHER, NO_PROCESS},
    },
};

impl Settings {
    /// The rows of the filters that are not in `old`, and whose process types the documents do not
    /// name.
    fn new_rows(&self, old: Option<&Self>) -> Vec<&str> {
        let is_new = |name: &&str| {
            ![EVERY_OTHER, NO_PROCESS].contains(name)
                && !DOCUMENTED_PROCESSES.contains(name)
                && old.is_none_or(|old| !old.filters.0.contains_key(*name))
        };
        self.filters.0.keys().map(String::as_str).filter(is_new).collect()
    }

    /// Warns of each new row that is for none of the `known` process types: those that the
    /// workspace has declared or seen. It may be a typing error, or a process that has not run yet.
    pub fn warnings(&self, old: Option<&Self>, known: &[String]) -> Vec<Invalid> {
        let mut warnings = Vec::new();
        for row in self.new_rows(old) {
            if known.iter().any(|known| known == row) {
                continue;
            }
            let names = DOCUMENTED_PROCESSES.into_iter().chain(known.iter().map(String::as_str));
            let meant = nearest::names(row, names.chain([NO_PROCESS])).join(" or ");
            let hint =
                if meant.is_empty() { String::new() } else { format!("; did you mean {meant}?") };
            let message = format!("no run of a process of the type {row:?} was seen{hint}");
            let field = format!("filters.{row}");
            warnings.push(Invalid::field(field, "unknown_process_type", message));
        }
        warnings
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::testing;

    fn settings(rows: Value) -> Settings {
        testing::webhook(json!({ "filters": rows })).settings
    }

    #[test]
    fn a_row_for_a_process_type_that_nobody_has_seen_is_doubted() {
        let settings = settings(json!({
            "monitorng": {}, "monitoring": {}, "*": {}, "no_process": {}, "kyb": {}, "kyc": {},
        }));
        let warnings = settings.warnings(None, &["kyc".to_owned()]);
        let told: Vec<(&str, &str)> = warnings
            .iter()
            .map(|warning| (warning.field.as_deref().unwrap(), warning.message.as_str()))
            .collect();
        assert_eq!(
            told,
            [
                (
                    "filters.kyb",
                    "no run of a process of the type \"kyb\" was seen; did you mean kyc?"
                ),
                (
                    "filters.monitorng",
                    "no run of a process of the type \"monitorng\" was seen; did you mean \
                     monitoring?"
                ),
            ]
        );
    }

    #[test]
    fn a_row_that_was_there_before_is_not_doubted_again() {
        let old = settings(json!({ "kyb": {} }));
        let new = settings(json!({ "kyb": {}, "xyz": {} }));
        assert_eq!(new.new_rows(Some(&old)), ["xyz"]);
        let warnings = new.warnings(Some(&old), &[]);
        assert_eq!(warnings[0].message, "no run of a process of the type \"xyz\" was seen");
        assert_eq!(warnings.len(), 1);
    }
}
