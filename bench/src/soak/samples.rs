//! The samples of a soak, and the judgement on them: is the last quarter as the second one was?

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{proc::Held, system::Bench};

/// A quarter has become larger if it is over the other by more than this factor, and the slack of
/// its kind.
const FLAT: f64 = 1.1;
const MEMORY_SLACK_KB: f64 = 1024.0;
const FILES_SLACK: f64 = 2.0;
const MESSAGES_SLACK: f64 = 50.0;

/// The figures of one moment.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Sample {
    pub(super) second: u64,
    /// The events that were accepted until then.
    pub(super) events: usize,
    /// The most that a process of each function holds.
    pub(super) functions: BTreeMap<String, Held>,
    /// The items of each table.
    pub(super) items: BTreeMap<String, u64>,
    /// The messages of each queue, whatever they wait for.
    pub(super) queues: BTreeMap<String, usize>,
    /// The local system and the bench hold this much, with the tables in memory.
    pub(super) own: Held,
}

/// One figure in the second quarter and in the last one.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Verdict {
    pub(super) what: String,
    pub(super) second_quarter: f64,
    pub(super) last_quarter: f64,
    pub(super) is_flat: bool,
}

impl Sample {
    pub(super) async fn take(bench: &Bench, second: u64, events: usize) -> anyhow::Result<Self> {
        let metrics = bench.metrics();
        let mut functions = BTreeMap::new();
        for (name, stats) in &metrics.functions {
            let mut most = Held::default();
            for held in stats.pids.iter().filter_map(|pid| Held::by(*pid)) {
                most.resident_kb = most.resident_kb.max(held.resident_kb);
                most.peak_kb = most.peak_kb.max(held.peak_kb);
                most.files = most.files.max(held.files);
            }
            functions.insert(name.clone(), most);
        }
        let queues = metrics.queues.into_iter().map(|(name, depth)| {
            (last_part(&name), depth.visible + depth.in_flight + depth.delayed)
        });
        let tables = bench.usage().await?.tables.into_iter();
        Ok(Self {
            second,
            events,
            functions,
            items: tables.map(|(name, table)| (last_part(&name), table.items)).collect(),
            queues: queues.collect(),
            own: Held::by_us().unwrap_or_default(),
        })
    }
}

fn last_part(name: &str) -> String {
    name.rsplit('-').next().unwrap_or(name).to_owned()
}

/// Tells if a queue keeps what failed until somebody looks, so that it grows with the failures.
pub(super) fn keeps(queue: &str) -> bool {
    queue.ends_with("DeadLetterQueue") || queue.starts_with("Exhausted")
}

/// Judges every figure. There have to be at least eight samples.
pub(super) fn judge(samples: &[Sample]) -> Vec<Verdict> {
    let quarter = samples.len() / 4;
    let (second, last) = (&samples[quarter..2 * quarter], &samples[samples.len() - quarter..]);
    let mut verdicts = Vec::new();
    for name in samples.iter().flat_map(|sample| sample.functions.keys()).collect::<Names<'_>>() {
        let held = |sample: &Sample| {
            sample.functions.get(name).copied().filter(|held| held.resident_kb > 0)
        };
        let resident = |sample: &Sample| held(sample).map(|held| held.resident_kb as f64);
        let files = |sample: &Sample| held(sample).map(|held| held.files as f64);
        let (memory, open) = (format!("{name}: resident KiB"), format!("{name}: open files"));
        verdicts.push(level(memory, MEMORY_SLACK_KB, second, last, resident));
        verdicts.push(level(open, FILES_SLACK, second, last, files));
    }
    for name in samples.iter().flat_map(|sample| sample.queues.keys()).collect::<Names<'_>>() {
        let depth = |sample: &Sample| sample.queues.get(name).copied().unwrap_or(0) as f64;
        if keeps(name) {
            verdicts.push(for_each_event(
                format!("{name}: messages an event"),
                second,
                last,
                depth,
            ));
        } else {
            let what = format!("{name}: messages");
            let depth = |sample: &Sample| Some(depth(sample));
            verdicts.push(level(what, MESSAGES_SLACK, second, last, depth));
        }
    }
    for name in samples.iter().flat_map(|sample| sample.items.keys()).collect::<Names<'_>>() {
        let items = |sample: &Sample| sample.items.get(name).copied().unwrap_or(0) as f64;
        verdicts.push(for_each_event(format!("{name}: items an event"), second, last, items));
    }
    verdicts
}

type Names<'a> = std::collections::BTreeSet<&'a String>;

/// Judges what has to stay as large as it is, by the means of both quarters. A sample in which a
/// function has no process says nothing, and what the second quarter says nothing of is flat.
fn level(
    what: String,
    slack: f64,
    second: &[Sample],
    last: &[Sample],
    figure: impl Fn(&Sample) -> Option<f64>,
) -> Verdict {
    let mean = |samples: &[Sample]| {
        let said: Vec<f64> = samples.iter().filter_map(&figure).collect();
        said.iter().sum::<f64>() / said.len().max(1) as f64
    };
    let (second_quarter, last_quarter) = (mean(second), mean(last));
    let is_known = second.iter().any(|sample| figure(sample).is_some());
    let is_flat = !is_known || last_quarter <= second_quarter * FLAT + slack;
    Verdict { what, second_quarter, last_quarter, is_flat }
}

/// Judges what stays for as long as it is retained: it may grow by so much for each event, and by
/// no more than that later.
fn for_each_event(
    what: String,
    second: &[Sample],
    last: &[Sample],
    figure: impl Fn(&Sample) -> f64,
) -> Verdict {
    let growth = |samples: &[Sample]| {
        let (Some(first), Some(end)) = (samples.first(), samples.last()) else { return 0.0 };
        (figure(end) - figure(first)) / (end.events - first.events).max(1) as f64
    };
    let (second_quarter, last_quarter) = (growth(second), growth(last));
    // What is on its way at the ends of a quarter makes a difference of some items.
    let slack = MESSAGES_SLACK / (last.last().map_or(0, |end| end.events) / 4).max(1) as f64;
    let is_flat = last_quarter <= second_quarter * FLAT + slack;
    Verdict { what, second_quarter, last_quarter, is_flat }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(second: u64, resident_kb: u64, files: u64, items: u64) -> Sample {
        let held = Held { resident_kb, peak_kb: 0, files };
        Sample {
            second,
            events: 100 * second as usize,
            functions: [("deliver".to_owned(), held)].into(),
            items: [("Events".to_owned(), items)].into(),
            queues: [("TurnsQueue".to_owned(), 3)].into(),
            own: Held::default(),
        }
    }

    fn grown(samples: impl Fn(u64) -> Sample) -> Vec<String> {
        let samples: Vec<Sample> = (0..40).map(samples).collect();
        let verdicts = judge(&samples).into_iter().filter(|verdict| !verdict.is_flat);
        verdicts.map(|verdict| verdict.what).collect()
    }

    #[test]
    fn what_stays_or_comes_with_each_event_is_flat() {
        assert_eq!(grown(|at| sample(at, 20_000 + at % 2, 12, 300 * at)), [""; 0]);
    }

    #[test]
    fn a_function_that_starts_late_has_not_grown() {
        let late = |at| sample(at, if at < 15 { 0 } else { 20_000 }, 12, 0);
        assert_eq!(grown(late), [""; 0]);
    }

    #[test]
    fn what_leaks_has_grown() {
        assert_eq!(grown(|at| sample(at, 20_000 + 500 * at, 12, 0)), ["deliver: resident KiB"]);
        assert_eq!(grown(|at| sample(at, 20_000, 12 + at, 0)), ["deliver: open files"]);
        assert_eq!(grown(|at| sample(at, 20_000, 12, at * at * 50)), ["Events: items an event"]);
    }
}
