//! Every AWS call, by function and operation.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use posthaste_local_lambda::Stats;
use serde::Serialize;

/// The calls of one function to one operation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Calls {
    /// How many calls arrived.
    pub count: u64,
    /// How many of them were answered with an error, or not at all.
    pub errors: u64,
    /// The bytes of their bodies.
    pub bytes_in: u64,
    /// The bytes of the answers' bodies.
    pub bytes_out: u64,
}

/// All figures at one moment.
#[derive(Debug, Clone, Serialize)]
pub struct Metrics {
    /// By function and operation, as `deliver` and `dynamodb:UpdateItem`.
    pub calls: BTreeMap<String, BTreeMap<String, Calls>>,
    /// By function.
    pub functions: BTreeMap<String, Stats>,
    /// By queue.
    pub queues: BTreeMap<String, Depth>,
}

/// How many messages a queue holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Depth {
    /// Ready to be received.
    pub visible: usize,
    /// Received and not deleted.
    pub in_flight: usize,
    /// Not ready yet.
    pub delayed: usize,
}

impl Metrics {
    /// How often a function has called an operation.
    pub fn count(&self, function: &str, operation: &str) -> u64 {
        self.calls.get(function).and_then(|operations| operations.get(operation)).map_or(0, |calls| calls.count)
    }
}

/// Counts calls as they come.
#[derive(Debug, Default)]
pub(crate) struct Counters(Mutex<BTreeMap<String, BTreeMap<String, Calls>>>);

impl Counters {
    pub(crate) fn add(&self, function: &str, operation: &str, bytes_in: usize, answer: Option<(bool, usize)>) {
        let mut counters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let calls = counters.entry(function.to_owned()).or_default().entry(operation.to_owned()).or_default();
        calls.count += 1;
        calls.bytes_in += bytes_in as u64;
        calls.errors += u64::from(answer.is_none_or(|(ok, _)| !ok));
        calls.bytes_out += answer.map_or(0, |(_, bytes)| bytes as u64);
    }

    pub(crate) fn snapshot(&self) -> BTreeMap<String, BTreeMap<String, Calls>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
