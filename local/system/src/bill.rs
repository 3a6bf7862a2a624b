//! The bill says how much AWS would charge for what a system did.
//!
//! ```text
//!  Meter, which counts as calls come ──▶ Usage ──▶ Bill ◀── Prices (bench/prices.toml), Terms (template.yaml)
//! ```
//!
//! Counted here are requests, units, bytes and invocations. Durations are measured on this machine,
//! unless a caller says what to assume instead. There are no free tiers, no discounts and no taxes
//! in a bill. Custom metrics cost by the month and not by the event, so they are in the bill of a
//! month ([`idle`]) and not in that of events.

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

/// Every request to an endpoint and every answer of the API takes these bytes beside its HTTP: for
/// TLS records, the headers of TCP and IP, and its share of a TLS handshake. The number is an
/// assumption, and rather too large.
const FRAME_BYTES: u64 = 300;

/// A bill lists the things that were used, with their prices.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bill {
    /// The lines stand in the order in which an event passes the services.
    pub lines: Vec<Line>,
    /// The sum of the lines.
    pub dollars: f64,
}

/// A line has the price of one thing that was used.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    /// The service and what was used of it, such as `DynamoDB writes: Events`.
    pub what: String,
    /// The number of units that were used.
    pub quantity: f64,
    /// One unit in words, as the price list has it.
    pub unit: String,
    /// The price of the whole quantity.
    pub dollars: f64,
}

impl Bill {
    /// Charges for the usage, and for keeping what it stored as long as the template says.
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
        let mut platform_bytes = 0;
        for (name, invoked) in &usage.functions {
            if !terms.silent.contains(name) {
                platform_bytes += logs::platform_bytes(invoked.invocations, invoked.cold_starts);
            }
        }
        self.add("Logs: Lambda's own", steps::gb(platform_bytes), &prices.logs_ingestion);
        logged += platform_bytes;
        let months = steps::gb_months(logged, terms.log_days);
        self.add("Logs: storage", months, &prices.logs_storage);
    }

    /// Adds a line, unless there is nothing in it.
    fn add(&mut self, what: &str, quantity: f64, price: &Price) {
        if quantity > 0.0 {
            let dollars = price.of(quantity);
            self.lines.push(Line {
                what: what.to_owned(),
                quantity,
                unit: price.unit.clone(),
                dollars,
            });
            self.dollars += dollars;
        }
    }

    /// Scales the bill of `of` events, or of as many of anything else, to a million of them.
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

    /// Adds up the lines whose names begin with `prefix`.
    pub fn dollars_of(&self, prefix: &str) -> f64 {
        self.lines
            .iter()
            .filter(|line| line.what.starts_with(prefix))
            .map(|line| line.dollars)
            .sum()
    }
}

#[cfg(test)]
mod tests;
