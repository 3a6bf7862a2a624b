//! Usage is what AWS would have counted, in the units that it bills.

use std::collections::BTreeMap;

use serde::Serialize;

/// The things that were used up to a moment, or between two moments.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// The number of events that were stored.
    pub events: u64,
    /// Requests of the HTTP API. A call counts once for each 512 KiB.
    pub api_requests: u64,
    /// The invocations of each function, by its name.
    pub functions: BTreeMap<String, Invoked>,
    /// Requests of SQS, by whoever made them: a function, or the poller of a queue. A call counts
    /// once for each 64 KiB.
    pub sqs_requests: BTreeMap<String, u64>,
    /// The request units and the storage of each table, by its name.
    pub tables: BTreeMap<String, Capacity>,
    /// The bytes that each function logged.
    pub log_bytes: BTreeMap<String, u64>,
    /// Custom metrics by namespace, name and dimensions, each with the number of values that it
    /// got.
    pub custom_metrics: BTreeMap<String, u64>,
    /// The bytes of the HTTP API's access log.
    pub access_log_bytes: u64,
    /// The number of calls of Secrets Manager.
    pub secret_calls: u64,
    /// The number of requests to endpoints and of answers of the API, which leave AWS.
    pub sent_out: u64,
    /// The bytes of these requests and answers.
    pub bytes_out: u64,
}

/// The work of one function.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Invoked {
    /// Lambda bills each invocation as a request.
    pub invocations: u64,
    /// The number of processes that were started.
    pub cold_starts: u64,
    /// The durations of invocations and starts, each rounded up to a whole millisecond.
    pub billed_ms: u64,
    /// The processor time of the processes, user and system time together.
    pub cpu_ms: u64,
    /// The memory that the template gives the function.
    pub memory_mb: u32,
}

/// The request units of a table and its indexes, and the table's contents.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Capacity {
    /// Read request units, rounded as DynamoDB does.
    pub reads: f64,
    /// Write request units, rounded as DynamoDB does.
    pub writes: f64,
    /// The number of items in the table.
    pub items: u64,
    /// The bytes of the items' attributes.
    pub bytes: u64,
}

impl Usage {
    /// Subtracts the usage of an earlier moment, which leaves what was used since then.
    pub fn since(&self, before: &Self) -> Self {
        let functions = self.functions.iter().map(|(name, now)| {
            let before = before.functions.get(name).copied().unwrap_or_default();
            (name.clone(), now.since(before))
        });
        let tables = self.tables.iter().map(|(name, now)| {
            let before = before.tables.get(name).copied().unwrap_or_default();
            (name.clone(), now.since(before))
        });
        Self {
            events: self.events.saturating_sub(before.events),
            api_requests: self.api_requests.saturating_sub(before.api_requests),
            functions: functions.collect(),
            sqs_requests: counted_since(&self.sqs_requests, &before.sqs_requests),
            tables: tables.collect(),
            log_bytes: counted_since(&self.log_bytes, &before.log_bytes),
            custom_metrics: counted_since(&self.custom_metrics, &before.custom_metrics),
            access_log_bytes: self.access_log_bytes.saturating_sub(before.access_log_bytes),
            secret_calls: self.secret_calls.saturating_sub(before.secret_calls),
            sent_out: self.sent_out.saturating_sub(before.sent_out),
            bytes_out: self.bytes_out.saturating_sub(before.bytes_out),
        }
    }

    /// Counts the custom metrics that got a value.
    pub fn metrics_in_use(&self) -> usize {
        self.custom_metrics.values().filter(|values| **values > 0).count()
    }

    /// Puts an assumed duration of all invocations of a function in the place of the measured one,
    /// and leaves starts out.
    #[must_use]
    pub fn assuming(mut self, all_ms: impl Fn(&str, Invoked) -> u64) -> Self {
        for (name, invoked) in &mut self.functions {
            invoked.billed_ms = all_ms(name, *invoked);
            invoked.cpu_ms = 0;
            invoked.cold_starts = 0;
        }
        self
    }

    /// Adds the time for which a function of less memory waits for its share of a processor. Lambda
    /// gives a whole processor at 1,769 MB
    /// (<https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html>), and each process
    /// here has a whole one.
    #[must_use]
    pub fn on_shares_of_a_processor(mut self) -> Self {
        for invoked in self.functions.values_mut() {
            let slower = (1769.0 / f64::from(invoked.memory_mb.max(1)) - 1.0).max(0.0);
            invoked.billed_ms += (invoked.cpu_ms as f64 * slower).ceil() as u64;
        }
        self
    }
}

/// Subtracts the counts of an earlier moment.
fn counted_since(
    now: &BTreeMap<String, u64>,
    before: &BTreeMap<String, u64>,
) -> BTreeMap<String, u64> {
    let mut since = now.clone();
    for (name, count) in &mut since {
        *count = count.saturating_sub(before.get(name).copied().unwrap_or_default());
    }
    since
}

impl Invoked {
    fn since(self, before: Self) -> Self {
        Self {
            invocations: self.invocations.saturating_sub(before.invocations),
            cold_starts: self.cold_starts.saturating_sub(before.cold_starts),
            billed_ms: self.billed_ms.saturating_sub(before.billed_ms),
            cpu_ms: self.cpu_ms.saturating_sub(before.cpu_ms),
            memory_mb: self.memory_mb,
        }
    }
}

impl Capacity {
    fn since(self, before: Self) -> Self {
        Self {
            reads: self.reads - before.reads,
            writes: self.writes - before.writes,
            items: self.items.saturating_sub(before.items),
            bytes: self.bytes.saturating_sub(before.bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invoked(invocations: u64, billed_ms: u64, cpu_ms: u64) -> Usage {
        let invoked = Invoked { invocations, cold_starts: 1, billed_ms, cpu_ms, memory_mb: 512 };
        Usage { functions: [("deliver".to_owned(), invoked)].into(), ..Usage::default() }
    }

    #[test]
    fn what_was_used_since_is_the_difference() {
        let since = invoked(10, 2000, 100).since(&invoked(4, 500, 40));
        let expected =
            Invoked { invocations: 6, cold_starts: 0, billed_ms: 1500, cpu_ms: 60, memory_mb: 512 };
        assert_eq!(since.functions["deliver"], expected);
    }

    #[test]
    fn cpu_time_takes_longer_on_a_share_of_a_processor() {
        // 512 MB are 0.289 of a processor, so 100 ms of work take 346 ms: 246 ms more than here.
        assert_eq!(
            invoked(1, 1000, 100).on_shares_of_a_processor().functions["deliver"].billed_ms,
            1246
        );
    }

    #[test]
    fn an_assumed_duration_takes_the_place_of_what_was_measured() {
        assert_eq!(
            invoked(10, 99, 5).assuming(
                |_, invoked| 200 * invoked.invocations
            ).functions["deliver"].billed_ms,
            2000
        );
    }
}
