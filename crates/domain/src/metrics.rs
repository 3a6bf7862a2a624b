//! The metrics of Posthaste, written in CloudWatch's embedded metric format (EMF), by which a line
//! of the log is a set of metrics. So metrics cost no call. The table in `docs/observability.md`
//! explains each of them.
//!
//! An invocation gathers all its values in [`Measured`], and writes them at its end: one line, and
//! one more for each further combination of [`Labels`]. CloudWatch bills each combination of a
//! metric and its dimensions by the month, so dimensions have few values, and a workspace is none
//! of them.

use std::{collections::BTreeMap, mem};

use jiff::Timestamp;

mod line;

/// The namespace of all metrics.
pub const NAMESPACE: &str = "Posthaste";

/// A metric counts something, or measures a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// Events that publishing calls brought.
    Accepted,
    /// Events that fan-out is done with.
    FannedOut,
    /// Requests that were sent.
    Attempted,
    /// Deliveries that the endpoint has accepted.
    Delivered,
    /// Requests that did not succeed.
    Failed,
    /// Deliveries that were put into a backlog.
    Waiting,
    /// Deliveries that have no try left.
    Exhausted,
    /// Webhooks that were disabled because of their endpoints.
    Disabled,
    /// Work that failed because of a fault of ours: a failed call of AWS, or a bug. It is tried
    /// again.
    Faults,
    /// The time for which the oldest due item of the Deliveries table has been due.
    OldestDue,
    /// The time from the acceptance of an event to the first attempt of a delivery.
    TimeToFirstAttempt,
    /// The time that a request took.
    AttemptTime,
}

/// The way in which several values of a metric become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// They are added up.
    Count,
    /// The largest one counts, in seconds.
    Largest,
    /// All of them count, in milliseconds: CloudWatch computes percentiles of them.
    Spread,
}

impl Metric {
    /// Every metric.
    pub const ALL: [Self; 12] = [
        Self::Accepted,
        Self::FannedOut,
        Self::Attempted,
        Self::Delivered,
        Self::Failed,
        Self::Waiting,
        Self::Exhausted,
        Self::Disabled,
        Self::Faults,
        Self::OldestDue,
        Self::TimeToFirstAttempt,
        Self::AttemptTime,
    ];

    /// The metric's name in CloudWatch.
    pub fn name(self) -> &'static str {
        match self {
            Self::Accepted => "Accepted",
            Self::FannedOut => "FannedOut",
            Self::Attempted => "Attempted",
            Self::Delivered => "Delivered",
            Self::Failed => "Failed",
            Self::Waiting => "Waiting",
            Self::Exhausted => "Exhausted",
            Self::Disabled => "Disabled",
            Self::Faults => "Faults",
            Self::OldestDue => "OldestDue",
            Self::TimeToFirstAttempt => "TimeToFirstAttempt",
            Self::AttemptTime => "AttemptTime",
        }
    }

    fn kind(self) -> Kind {
        match self {
            Self::OldestDue => Kind::Largest,
            Self::TimeToFirstAttempt | Self::AttemptTime => Kind::Spread,
            _ => Kind::Count,
        }
    }

    /// The metric's unit in CloudWatch.
    pub fn unit(self) -> &'static str {
        match self.kind() {
            Kind::Count => "Count",
            Kind::Largest => "Seconds",
            Kind::Spread => "Milliseconds",
        }
    }

    /// The sets of dimensions with which the metric is written.
    pub fn dimensions(self) -> &'static [&'static [&'static str]] {
        match self {
            Self::Delivered => &[&["Stage", "Function"], &["Stage", "Profile"]],
            Self::Failed => &[&["Stage", "Function"], &["Stage", "Profile"], &["Stage", "Code"]],
            Self::Waiting => &[&["Stage", "Function"], &["Stage", "Reason"]],
            _ => &[&["Stage", "Function"]],
        }
    }
}

/// The values of the dimensions that not all metrics of an invocation share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Labels {
    /// The profile of the webhook.
    pub profile: Option<&'static str>,
    /// The `error.code` of an attempt.
    pub code: Option<&'static str>,
    /// The reason why deliveries wait.
    pub reason: Option<&'static str>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    Number(u64),
    /// The number of times that each rounded value occurred.
    Spread(BTreeMap<u64, u64>),
}

/// The values that an invocation has gathered.
#[derive(Debug, Default)]
pub struct Measured {
    values: BTreeMap<(Labels, Metric), Value>,
    workspace: Option<String>,
}

/// The origin of the lines.
#[derive(Debug, Clone, Copy)]
pub struct Teller<'a> {
    /// The installation, such as `sandbox`.
    pub stage: &'a str,
    /// The name of the function.
    pub function: &'a str,
    /// The id of the invocation.
    pub request_id: &'a str,
}

impl Measured {
    /// No values, for a static.
    pub const NOTHING: Self = Self { values: BTreeMap::new(), workspace: None };

    /// Adds a value: a number of things, seconds or milliseconds, depending on the metric's unit.
    pub fn add(&mut self, metric: Metric, labels: Labels, value: u64) {
        let key = (labels, metric);
        match metric.kind() {
            // Nothing has happened, so there is nothing to write.
            Kind::Count if value == 0 => {}
            Kind::Spread => {
                let entry =
                    self.values.entry(key).or_insert_with(|| Value::Spread(BTreeMap::new()));
                if let Value::Spread(counts) = entry {
                    *counts.entry(rounded(value)).or_default() += 1;
                }
            }
            kind => {
                let entry = self.values.entry(key).or_insert(Value::Number(0));
                if let Value::Number(number) = entry {
                    *number = if kind == Kind::Largest {
                        (*number).max(value)
                    } else {
                        number.saturating_add(value)
                    };
                }
            }
        }
    }

    /// Sets the workspace that all values belong to. It is a property of the lines and no
    /// dimension.
    pub fn of_workspace(&mut self, workspace: &str) {
        self.workspace = Some(workspace.to_owned());
    }

    /// Writes the gathered values as lines, and begins anew. No line if nothing was measured.
    pub fn take_lines(&mut self, teller: Teller<'_>, now: Timestamp) -> Vec<String> {
        let Self { values, workspace } = mem::take(self);
        let mut by_labels: BTreeMap<Labels, BTreeMap<Metric, Value>> = BTreeMap::new();
        for ((labels, metric), value) in values {
            by_labels.entry(labels).or_default().insert(metric, value);
        }
        // Values without labels need no line of their own.
        if by_labels.len() > 1
            && let Some(plain) = by_labels.remove(&Labels::default())
            && let Some(mut first) = by_labels.first_entry()
        {
            first.get_mut().extend(plain);
        }
        let mut lines = Vec::with_capacity(by_labels.len());
        for (labels, values) in by_labels {
            lines.push(line::write(teller, labels, &values, workspace.as_deref(), now));
        }
        lines
    }
}

/// Rounds to one of twelve steps a decade, at most an eighth away, and to at most 10⁸ ms, about a
/// day. So a spread has fewer than the hundred values that a line may have for a metric.
fn rounded(milliseconds: u64) -> u64 {
    const STEPS: [u64; 12] = [100, 120, 150, 180, 220, 270, 330, 390, 470, 560, 680, 820];
    let mut unit = 1_u64;
    while unit < 10_000_000 && milliseconds >= unit * 10 {
        unit *= 10;
    }
    if milliseconds < 10 {
        return milliseconds;
    }
    let hundredths = milliseconds.saturating_mul(100) / unit;
    let nearest = STEPS.iter().copied().chain([1000]).min_by_key(|step| step.abs_diff(hundredths));
    nearest.unwrap_or(1000) * unit / 100
}

#[cfg(test)]
mod tests;
