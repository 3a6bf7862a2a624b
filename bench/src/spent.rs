//! What the functions did between two moments: AWS calls, invocations and CPU.

use std::collections::BTreeMap;

use posthaste_local::Metrics;
use serde::Serialize;

use crate::report::Table;

/// Figures by function.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Spent {
    /// By operation too, such as `dynamodb:UpdateItem`.
    pub(crate) calls: BTreeMap<String, BTreeMap<String, u64>>,
    pub(crate) invocations: BTreeMap<String, u64>,
    pub(crate) cpu_ms: BTreeMap<String, u64>,
}

impl Spent {
    pub(crate) fn between(before: &Metrics, after: &Metrics) -> Self {
        let mut spent = Self::default();
        for (function, operations) in &after.calls {
            let since = |(operation, calls): (&String, &posthaste_local::Calls)| {
                (operation.clone(), calls.count - before.count(function, operation))
            };
            let calls = operations.iter().map(since).filter(|(_, count)| *count > 0).collect();
            spent.calls.insert(function.clone(), calls);
        }
        for (function, after) in &after.functions {
            let before = before.functions.get(function).cloned().unwrap_or_default();
            spent.invocations.insert(function.clone(), after.invocations - before.invocations);
            spent.cpu_ms.insert(function.clone(), after.cpu_ms.saturating_sub(before.cpu_ms));
        }
        spent
    }

    /// The AWS calls of a function.
    pub(crate) fn calls_of(&self, function: &str) -> u64 {
        self.calls.get(function).map_or(0, |operations| operations.values().sum())
    }

    /// All AWS calls.
    pub(crate) fn all_calls(&self) -> u64 {
        self.calls.keys().map(|function| self.calls_of(function)).sum()
    }

    pub(crate) fn all_invocations(&self) -> u64 {
        self.invocations.values().sum()
    }

    /// Calls by function and operation, each divided by this number.
    pub(crate) fn calls_per(&self, number: usize) -> BTreeMap<String, f64> {
        let of_function = |(function, operations): (&String, &BTreeMap<String, u64>)| {
            let rate = |(operation, count): (&String, &u64)| {
                (format!("{function} {operation}"), *count as f64 / number.max(1) as f64)
            };
            operations.iter().map(rate).collect::<Vec<_>>()
        };
        self.calls.iter().flat_map(of_function).collect()
    }

    /// A row for each function that did anything, and one for all.
    pub(crate) fn table(&self) -> Table {
        let mut table = Table::new(&["function", "calls", "invocations", "CPU ms", "calls by operation"]);
        for (function, invocations) in &self.invocations {
            let calls = self.calls_of(function);
            if calls + invocations == 0 {
                continue;
            }
            let operations = self.calls.get(function).into_iter().flatten();
            let operations: Vec<String> =
                operations.map(|(operation, count)| format!("{} {count}", short(operation))).collect();
            let cpu_ms = self.cpu_ms.get(function).copied().unwrap_or(0);
            let figures = [calls, *invocations, cpu_ms].map(|figure| figure.to_string());
            table.row([vec![function.clone()], figures.to_vec(), vec![operations.join(", ")]].concat());
        }
        let cpu_ms: u64 = self.cpu_ms.values().sum();
        let all = [self.all_calls(), self.all_invocations(), cpu_ms].map(|figure| figure.to_string());
        table.row([vec!["all".to_owned()], all.to_vec()].concat());
        table
    }
}

/// An operation without its service.
fn short(operation: &str) -> &str {
    operation.split_once(':').map_or(operation, |(_, name)| name)
}
