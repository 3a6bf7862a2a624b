//! What AWS would have counted.

use std::collections::BTreeMap;

use serde::Serialize;

/// What was used until a moment, or between two.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// Events that were stored.
    pub events: u64,
    /// Requests of the HTTP API, in steps of 512 KiB.
    pub api_requests: u64,
    /// By function.
    pub functions: BTreeMap<String, Invoked>,
    /// Requests of SQS in steps of 64 KiB, by whoever made them: a function, or the poller of a queue.
    pub sqs_requests: BTreeMap<String, u64>,
    /// By table.
    pub tables: BTreeMap<String, Capacity>,
    /// Bytes that functions logged, by function.
    pub log_bytes: BTreeMap<String, u64>,
    /// How many values custom metrics got, by namespace, name and dimensions.
    pub custom_metrics: BTreeMap<String, u64>,
    /// Bytes of the HTTP API's access log.
    pub access_log_bytes: u64,
    /// Calls of Secrets Manager.
    pub secret_calls: u64,
    /// Requests to endpoints and answers of the API.
    pub sent_out: u64,
    /// Their bytes.
    pub bytes_out: u64,
}

/// The invocations of a function.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Invoked {
    /// How many there were.
    pub invocations: u64,
    /// How many processes were started.
    pub cold_starts: u64,
    /// Their durations and those of the starts, each rounded up.
    pub billed_ms: u64,
    /// User and system time.
    pub cpu_ms: u64,
    /// The function's memory.
    pub memory_mb: u32,
}

/// What was asked of a table, its indexes included, and what is in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Capacity {
    /// Read request units.
    pub reads: f64,
    /// Write request units.
    pub writes: f64,
    /// Items in it.
    pub items: u64,
    /// The bytes of their attributes.
    pub bytes: u64,
}

impl Usage {
    /// What was used since an earlier moment.
    pub fn since(&self, before: &Self) -> Self {
        let counts = |now: &BTreeMap<String, u64>, before: &BTreeMap<String, u64>| -> BTreeMap<String, u64> {
            let since = |(name, count): (&String, &u64)| {
                (name.clone(), count.saturating_sub(before.get(name).copied().unwrap_or_default()))
            };
            now.iter().map(since).collect()
        };
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
            sqs_requests: counts(&self.sqs_requests, &before.sqs_requests),
            tables: tables.collect(),
            log_bytes: counts(&self.log_bytes, &before.log_bytes),
            custom_metrics: counts(&self.custom_metrics, &before.custom_metrics),
            access_log_bytes: self.access_log_bytes.saturating_sub(before.access_log_bytes),
            secret_calls: self.secret_calls.saturating_sub(before.secret_calls),
            sent_out: self.sent_out.saturating_sub(before.sent_out),
            bytes_out: self.bytes_out.saturating_sub(before.bytes_out),
        }
    }

    /// How many custom metrics got a value.
    pub fn metrics_in_use(&self) -> usize {
        self.custom_metrics.values().filter(|values| **values > 0).count()
    }

    /// The same with durations of a function's invocations that are assumed and not measured, all together, and without starts.
    #[must_use]
    pub fn assuming(mut self, all_ms: impl Fn(&str, Invoked) -> u64) -> Self {
        for (name, invoked) in &mut self.functions {
            invoked.billed_ms = all_ms(name, *invoked);
            invoked.cpu_ms = 0;
            invoked.cold_starts = 0;
        }
        self
    }

    /// The same with the CPU time that a Lambda function of less memory has a share of a processor for: 1,769 MB are a whole one
    /// (<https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html>), and the processes here have all of one.
    #[must_use]
    pub fn on_shares_of_a_processor(mut self) -> Self {
        for invoked in self.functions.values_mut() {
            let slower = (1769.0 / f64::from(invoked.memory_mb.max(1)) - 1.0).max(0.0);
            invoked.billed_ms += (invoked.cpu_ms as f64 * slower).ceil() as u64;
        }
        self
    }
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
        let expected = Invoked { invocations: 6, cold_starts: 0, billed_ms: 1500, cpu_ms: 60, memory_mb: 512 };
        assert_eq!(since.functions["deliver"], expected);
    }

    #[test]
    fn cpu_time_takes_longer_on_a_share_of_a_processor() {
        // 512 MB are 0.289 of a processor, so 100 ms of work take 346 ms: 246 ms more than here.
        assert_eq!(invoked(1, 1000, 100).on_shares_of_a_processor().functions["deliver"].billed_ms, 1246);
    }

    #[test]
    fn an_assumed_duration_takes_the_place_of_what_was_measured() {
        assert_eq!(
            invoked(10, 99, 5).assuming(|_, invoked| 200 * invoked.invocations).functions["deliver"].billed_ms,
            2000
        );
    }
}
