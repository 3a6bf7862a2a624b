//! The meter counts what AWS would bill, call by call.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use posthaste_local_lambda::LogSink;

use super::{logs, steps, usage::Usage};

/// The counts up to a moment. Processes and time are counted by the functions themselves, and the
/// items of a table by the table.
#[derive(Debug, Default)]
pub(crate) struct Meter(Mutex<Usage>);

impl Meter {
    /// Counts a call of the HTTP API, with the line that its access log gets.
    pub(crate) fn api(&self, request_bytes: usize, answer_bytes: usize, access_line: &str) {
        let mut usage = self.lock();
        usage.api_requests += steps::http_api_requests(request_bytes as u64, answer_bytes as u64);
        if !access_line.is_empty() {
            usage.access_log_bytes += steps::log_bytes(access_line.len());
        }
        usage.sent_out += 1;
        usage.bytes_out += answer_bytes as u64;
    }

    /// Counts requests of SQS under the name of whoever made them.
    pub(crate) fn sqs(&self, who: &str, requests: u64) {
        *self.lock().sqs_requests.entry(who.to_owned()).or_default() += requests;
    }

    /// Counts read and write request units of a table.
    pub(crate) fn table(&self, table: &str, reads: f64, writes: f64) {
        let mut usage = self.lock();
        let capacity = usage.tables.entry(table.to_owned()).or_default();
        capacity.reads += reads;
        capacity.writes += writes;
    }

    /// Counts events that were stored.
    pub(crate) fn events(&self, count: u64) {
        self.lock().events += count;
    }

    /// Counts a call of Secrets Manager.
    pub(crate) fn secret(&self) {
        self.lock().secret_calls += 1;
    }

    /// Makes a sink that counts the lines, and passes them on to `sink`.
    pub(crate) fn counting(self: &Arc<Self>, sink: LogSink) -> LogSink {
        let meter = Arc::clone(self);
        LogSink::new(move |line| {
            meter.line(line.function, line.text);
            sink.take(line);
        })
    }

    fn line(&self, function: &str, text: &str) {
        let mut usage = self.lock();
        *usage.log_bytes.entry(function.to_owned()).or_default() += steps::log_bytes(text.len());
        for metric in logs::embedded_metrics(text) {
            *usage.custom_metrics.entry(metric).or_default() += 1;
        }
    }

    pub(crate) fn snapshot(&self) -> Usage {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Usage> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
