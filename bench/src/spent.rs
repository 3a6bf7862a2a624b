//! Functions spend AWS calls, invocations and CPU time between two moments.

use std::collections::BTreeMap;

use posthaste_local::Metrics;
use serde::Serialize;

use crate::report::Table;

/// The figures of each function, by its name.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Spent {
    /// The calls of each function by operation, for example `dynamodb:UpdateItem`.
    pub(crate) calls: BTreeMap<String, BTreeMap<String, u64>>,
    pub(crate) invocations: BTreeMap<String, u64>,
    pub(crate) cpu_ms: BTreeMap<String, u64>,
    /// The bytes of the bodies of each function's calls and of their answers.
    pub(crate) bytes: BTreeMap<String, u64>,
}

impl Spent {
    pub(crate) fn between(before: &Metrics, after: &Metrics) -> Self {
        let mut spent = Self::default();
        for (function, operations) in &after.calls {
            let spent_calls = spent.calls.entry(function.clone()).or_default();
            for (operation, calls) in operations {
                let count = calls.count - before.count(function, operation);
                if count > 0 {
                    spent_calls.insert(operation.clone(), count);
                }
            }
            let bytes = bytes_of(after, function) - bytes_of(before, function);
            spent.bytes.insert(function.clone(), bytes);
        }
        for (function, after) in &after.functions {
            let before = before.functions.get(function).cloned().unwrap_or_default();
            spent.invocations.insert(function.clone(), after.invocations - before.invocations);
            spent.cpu_ms.insert(function.clone(), after.cpu_ms.saturating_sub(before.cpu_ms));
        }
        spent
    }

    /// Adds up the AWS calls of a function.
    pub(crate) fn calls_of(&self, function: &str) -> u64 {
        self.calls.get(function).map_or(0, |operations| operations.values().sum())
    }

    /// Counts the calls of a function to one operation.
    pub(crate) fn count(&self, function: &str, operation: &str) -> u64 {
        self.calls
            .get(function)
            .and_then(|operations| operations.get(operation))
            .copied()
            .unwrap_or(0)
    }

    /// Adds up all AWS calls.
    pub(crate) fn all_calls(&self) -> u64 {
        self.calls.keys().map(|function| self.calls_of(function)).sum()
    }

    pub(crate) fn all_invocations(&self) -> u64 {
        self.invocations.values().sum()
    }

    /// Divides the calls of each function and operation by this number.
    pub(crate) fn calls_per(&self, number: usize) -> BTreeMap<String, f64> {
        let mut rates = BTreeMap::new();
        for (function, operations) in &self.calls {
            for (operation, count) in operations {
                rates.insert(
                    format!("{function} {operation}"),
                    *count as f64 / number.max(1) as f64,
                );
            }
        }
        rates
    }

    /// Makes a table with a row for each function that did anything, and one for all.
    pub(crate) fn table(&self) -> Table {
        let mut table =
            Table::new(&["function", "calls", "invocations", "CPU ms", "calls by operation"]);
        for (function, invocations) in &self.invocations {
            let calls = self.calls_of(function);
            if calls + invocations == 0 {
                continue;
            }
            let operations = self.calls.get(function).into_iter().flatten();
            let operations: Vec<String> = operations
                .map(|(operation, count)| format!("{} {count}", short(operation)))
                .collect();
            let cpu_ms = self.cpu_ms.get(function).copied().unwrap_or(0);
            let figures = [calls, *invocations, cpu_ms].map(|figure| figure.to_string());
            table.row(
                [vec![function.clone()], figures.to_vec(), vec![operations.join(", ")]].concat(),
            );
        }
        let cpu_ms: u64 = self.cpu_ms.values().sum();
        let all =
            [self.all_calls(), self.all_invocations(), cpu_ms].map(|figure| figure.to_string());
        table.row([vec!["all".to_owned()], all.to_vec()].concat());
        table
    }
}

/// Adds up the bytes of a function's calls.
fn bytes_of(metrics: &Metrics, function: &str) -> u64 {
    let operations = metrics.calls.get(function).into_iter().flatten();
    operations.map(|(_, calls)| calls.bytes_in + calls.bytes_out).sum()
}

/// Drops the service from an operation's name.
fn short(operation: &str) -> &str {
    operation.split_once(':').map_or(operation, |(_, name)| name)
}
