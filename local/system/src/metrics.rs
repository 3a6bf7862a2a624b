//! Metrics count every AWS call by function and operation.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use posthaste_local_lambda::{Function, Stats};
use posthaste_local_sqs::{QueueDepth, Sqs};
use serde::Serialize;

use crate::front::Front;

/// The calls of one function to one operation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Calls {
    /// All calls that arrived, whatever became of them.
    pub count: u64,
    /// The calls that were answered with an error, or not at all.
    pub errors: u64,
    /// The bytes of the calls' bodies.
    pub bytes_in: u64,
    /// The bytes of the answers' bodies.
    pub bytes_out: u64,
}

/// The figures of a system at one moment.
#[derive(Debug, Clone, Serialize)]
pub struct Metrics {
    /// The calls by function and operation, for example `deliver` and `dynamodb:UpdateItem`.
    pub calls: BTreeMap<String, BTreeMap<String, Calls>>,
    /// The figures of each function's processes, by its name.
    pub functions: BTreeMap<String, Stats>,
    /// The messages in each queue, by its name.
    pub queues: BTreeMap<String, Depth>,
}

/// The numbers of messages in a queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Depth {
    /// Messages that can be received.
    pub visible: usize,
    /// Messages that were received but not deleted, and so are hidden.
    pub in_flight: usize,
    /// Messages whose delay has not passed yet.
    pub delayed: usize,
}

impl Metrics {
    /// Counts the calls of a function to an operation.
    pub fn count(&self, function: &str, operation: &str) -> u64 {
        self.calls
            .get(function)
            .and_then(|operations| operations.get(operation))
            .map_or(0, |calls| calls.count)
    }
}

/// The parts of a running system that the metrics are read from.
pub(crate) struct Instruments {
    pub(crate) front: Arc<Front>,
    pub(crate) sqs: Sqs,
    pub(crate) functions: BTreeMap<String, Function>,
}

impl Instruments {
    pub(crate) fn read(&self) -> Metrics {
        let functions =
            self.functions.iter().map(|(name, function)| (name.clone(), function.stats()));
        let queues = self.sqs.queues().into_iter();
        Metrics {
            calls: self.front.counters.snapshot(),
            functions: functions.collect(),
            queues: queues.map(|queue| (queue.name.clone(), Depth::from(queue))).collect(),
        }
    }
}

impl From<QueueDepth> for Depth {
    fn from(queue: QueueDepth) -> Self {
        Self { visible: queue.visible, in_flight: queue.in_flight, delayed: queue.delayed }
    }
}

/// The counters of all calls.
#[derive(Debug, Default)]
pub(crate) struct Counters(Mutex<BTreeMap<String, BTreeMap<String, Calls>>>);

impl Counters {
    pub(crate) fn add(
        &self,
        function: &str,
        operation: &str,
        bytes_in: usize,
        answer: Option<(bool, usize)>,
    ) {
        let mut counters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let calls = counters
            .entry(function.to_owned())
            .or_default()
            .entry(operation.to_owned())
            .or_default();
        calls.count += 1;
        calls.bytes_in += bytes_in as u64;
        calls.errors += u64::from(answer.is_none_or(|(ok, _)| !ok));
        calls.bytes_out += answer.map_or(0, |(_, bytes)| bytes as u64);
    }

    pub(crate) fn snapshot(&self) -> BTreeMap<String, BTreeMap<String, Calls>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
