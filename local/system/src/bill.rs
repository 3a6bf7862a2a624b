//! What a system would cost on AWS.
//!
//! ```text
//!  Meter, which counts as calls come ──▶ Usage ──▶ Bill ◀── Prices (bench/prices.toml), Terms (template.yaml)
//! ```
//!
//! Counted here are requests, units, bytes and invocations. Durations are measured on this machine, unless a caller says what to assume
//! instead. There are no free tiers, no discounts and no taxes in a bill. Custom metrics cost by the month and not by the event, so they
//! are in the bill of a month ([`idle`]) and not in that of events.

mod access_log;
mod idle;
mod logs;
mod meter;
mod prices;
mod steps;
mod terms;
mod usage;

use serde::Serialize;

pub(crate) use access_log::AccessLog;
pub use idle::{Standing, idle};
pub(crate) use meter::Meter;
pub use prices::{Price, Prices};
pub(crate) use steps::sqs_requests;
pub use terms::Terms;
pub use usage::{Capacity, Invoked, Usage};

/// What a request to an endpoint, or an answer of the API, takes beside its HTTP: TLS records, the headers of TCP and IP, and its share
/// of a TLS handshake. It is an assumption, and rather too large.
const FRAME_BYTES: u64 = 300;

/// A bill: what was used, and its price.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bill {
    /// In the order in which an event passes.
    pub lines: Vec<Line>,
    /// The sum of the lines.
    pub dollars: f64,
}

/// A line of a bill.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    /// The service and what was used of it, such as `DynamoDB writes: Events`.
    pub what: String,
    /// How much it was.
    pub quantity: f64,
    /// What one is, as the price list says.
    pub unit: String,
    /// What it costs.
    pub dollars: f64,
}

impl Bill {
    /// The price of what was used, and of keeping what it stored for as long as the template says.
    pub fn of(usage: &Usage, terms: &Terms, prices: &Prices) -> Self {
        let mut bill = Self { lines: Vec::new(), dollars: 0.0 };
        bill.add("HTTP API", usage.api_requests as f64, &prices.http_api_request);
        let invocations: u64 = usage.functions.values().map(|invoked| invoked.invocations).sum();
        bill.add("Lambda requests", invocations as f64, &prices.lambda_request);
        for (name, invoked) in &usage.functions {
            let gb_seconds = steps::gb_seconds(invoked.memory_mb, invoked.billed_ms);
            bill.add(&format!("Lambda time: {name}"), gb_seconds, &prices.lambda_gb_second);
        }
        for (name, requests) in &usage.sqs_requests {
            bill.add(&format!("SQS: {name}"), *requests as f64, &prices.sqs_request);
        }
        for (table, capacity) in &usage.tables {
            bill.add(&format!("DynamoDB writes: {table}"), capacity.writes, &prices.dynamodb_write);
            bill.add(&format!("DynamoDB reads: {table}"), capacity.reads, &prices.dynamodb_read);
        }
        bill.add_logs(usage, terms, prices);
        for (table, capacity) in &usage.tables {
            let bytes = steps::stored_bytes(capacity.items, capacity.bytes);
            let months = steps::gb_months(bytes, terms.days_kept(table));
            bill.add(&format!("DynamoDB storage: {table}"), months, &prices.dynamodb_storage);
            if terms.has_backups(table) {
                bill.add(&format!("DynamoDB backups: {table}"), months, &prices.dynamodb_backup);
            }
        }
        let sent = usage.bytes_out + FRAME_BYTES * usage.sent_out;
        bill.add("Data transfer out", steps::gb(sent), &prices.data_out);
        bill.add("Secrets Manager calls", usage.secret_calls as f64, &prices.secret_call);
        bill
    }

    fn add_logs(&mut self, usage: &Usage, terms: &Terms, prices: &Prices) {
        let mut logged = usage.access_log_bytes;
        for (name, bytes) in &usage.log_bytes {
            self.add(&format!("Logs: {name}"), steps::gb(*bytes), &prices.logs_ingestion);
            logged += bytes;
        }
        self.add("Logs: API access", steps::gb(usage.access_log_bytes), &prices.logs_ingestion);
        let telling = usage.functions.iter().filter(|(name, _)| !terms.silent.contains(*name));
        let lines = |(_, invoked): (&String, &Invoked)| logs::platform_bytes(invoked.invocations, invoked.cold_starts);
        let bytes: u64 = telling.map(lines).sum();
        self.add("Logs: Lambda's own", steps::gb(bytes), &prices.logs_ingestion);
        logged += bytes;
        let months = steps::gb_months(logged, terms.log_days);
        self.add("Logs: storage", months, &prices.logs_storage);
    }

    /// Adds a line, unless there is nothing in it.
    fn add(&mut self, what: &str, quantity: f64, price: &Price) {
        if quantity > 0.0 {
            let dollars = price.of(quantity);
            self.lines.push(Line { what: what.to_owned(), quantity, unit: price.unit.clone(), dollars });
            self.dollars += dollars;
        }
    }

    /// The same bill for a million of what it is for so many of now.
    #[must_use]
    pub fn for_a_million(mut self, of: u64) -> Self {
        let factor = 1e6 / of.max(1) as f64;
        for line in &mut self.lines {
            line.quantity *= factor;
            line.dollars *= factor;
        }
        self.dollars *= factor;
        self
    }

    /// What all lines together cost whose name begins so.
    pub fn dollars_of(&self, prefix: &str) -> f64 {
        self.lines.iter().filter(|line| line.what.starts_with(prefix)).map(|line| line.dollars).sum()
    }
}

#[cfg(test)]
mod tests;
