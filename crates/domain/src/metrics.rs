//! What is measured, and how CloudWatch is told: its embedded metric format (EMF), by which a line of the log is a set of metrics.
//! So metrics cost no call. The table in `docs/observability.md` says what each one means.
//!
//! An invocation gathers all that it measures in [`Measured`], and writes it at its end: one line, and one more for each further
//! combination of [`Labels`]. CloudWatch bills each combination of a metric and its dimensions by the month, so dimensions have
//! few values, and a workspace is none of them.

use std::{collections::BTreeMap, mem};

use jiff::Timestamp;

mod line;

/// The namespace of all metrics.
pub const NAMESPACE: &str = "Posthaste";

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// Events that publishing calls brought.
    Accepted,
    /// Events that fan-out is done with.
    FannedOut,
    /// Requests.
    Attempted,
    /// Deliveries that arrived.
    Delivered,
    /// Requests without success.
    Failed,
    /// Deliveries that were put into a backlog.
    Waiting,
    /// Deliveries without a further try.
    Exhausted,
    /// Webhooks that were disabled because of their endpoints.
    Disabled,
    /// What could not be done for a fault of ours: a failed call of AWS, or a bug. It is tried again.
    Faults,
    /// For how long the oldest of what waits in the Deliveries table has been due.
    OldestDue,
    /// The time from the acceptance of an event to the first attempt of a delivery.
    TimeToFirstAttempt,
    /// The time that a request took.
    AttemptTime,
}

/// What becomes of several values of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// They are added up.
    Count,
    /// The largest one counts, in seconds.
    Largest,
    /// All of them count, in milliseconds: CloudWatch has percentiles of them.
    Spread,
}

impl Metric {
    /// All of them.
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

    /// Its name in CloudWatch.
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

    /// Its unit in CloudWatch.
    pub fn unit(self) -> &'static str {
        match self.kind() {
            Kind::Count => "Count",
            Kind::Largest => "Seconds",
            Kind::Spread => "Milliseconds",
        }
    }

    /// The sets of dimensions that it is told with.
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
    /// The webhook's profile.
    pub profile: Option<&'static str>,
    /// The `error.code` of an attempt.
    pub code: Option<&'static str>,
    /// Why deliveries wait.
    pub reason: Option<&'static str>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    Number(u64),
    /// How often each rounded value occurred.
    Spread(BTreeMap<u64, u64>),
}

/// What an invocation has measured.
#[derive(Debug, Default)]
pub struct Measured {
    values: BTreeMap<(Labels, Metric), Value>,
    workspace: Option<String>,
}

/// Whose lines they are.
#[derive(Debug, Clone, Copy)]
pub struct Teller<'a> {
    /// The installation.
    pub stage: &'a str,
    /// The function.
    pub function: &'a str,
    /// The id of the invocation.
    pub request_id: &'a str,
}

impl Measured {
    /// Empty, for a static.
    pub const NOTHING: Self = Self { values: BTreeMap::new(), workspace: None };

    /// Adds a value: a number of things, seconds or milliseconds, as the metric's unit says.
    pub fn add(&mut self, metric: Metric, labels: Labels, value: u64) {
        let key = (labels, metric);
        match metric.kind() {
            // Nothing has happened.
            Kind::Count if value == 0 => {}
            Kind::Spread => {
                let entry = self.values.entry(key).or_insert_with(|| Value::Spread(BTreeMap::new()));
                if let Value::Spread(counts) = entry {
                    *counts.entry(rounded(value)).or_default() += 1;
                }
            }
            kind => {
                let entry = self.values.entry(key).or_insert(Value::Number(0));
                if let Value::Number(number) = entry {
                    *number = if kind == Kind::Largest { (*number).max(value) } else { number.saturating_add(value) };
                }
            }
        }
    }

    /// Says whose all of it is. That is a property of the lines and no dimension.
    pub fn of_workspace(&mut self, workspace: &str) {
        self.workspace = Some(workspace.to_owned());
    }

    /// The lines that tell of it, and begins anew. None where nothing was measured.
    pub fn take_lines(&mut self, teller: Teller<'_>, now: Timestamp) -> Vec<String> {
        let Self { values, workspace } = mem::take(self);
        let mut by_labels: BTreeMap<Labels, BTreeMap<Metric, Value>> = BTreeMap::new();
        for ((labels, metric), value) in values {
            by_labels.entry(labels).or_default().insert(metric, value);
        }
        // What has no labels needs no line of its own.
        if by_labels.len() > 1
            && let Some(plain) = by_labels.remove(&Labels::default())
            && let Some(mut first) = by_labels.first_entry()
        {
            first.get_mut().extend(plain);
        }
        let line = |(labels, values)| line::write(teller, labels, &values, workspace.as_deref(), now);
        by_labels.into_iter().map(line).collect()
    }
}

/// Rounds to one of twelve steps a decade, at most an eighth away, and to at most 10⁸ ms, about a day. So a spread has fewer than
/// the hundred values that a line may have for a metric.
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
