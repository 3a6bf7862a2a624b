//! `compare` holds two results of `--json` against each other. It judges what is counted, because
//! that does not depend on the machine. Processor time, memory and times are shown, and not judged.

use std::{collections::BTreeMap, fs::read_to_string, path::PathBuf};

use anyhow::{Context, ensure};
use clap::Args;
use serde::Deserialize;
use serde_json::Value;

use crate::report::Table;

/// The options of a comparison.
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// The file with the results before.
    before: PathBuf,
    /// The file with the results after.
    after: PathBuf,
    /// Counted figures may become larger by this many per cent.
    #[arg(long, default_value_t = 2.0)]
    tolerance: f64,
}

/// A line that a measurement printed.
#[derive(Debug, Deserialize)]
struct Printed {
    measurement: String,
    figures: Value,
    #[serde(default)]
    counted: BTreeMap<String, f64>,
    #[serde(default)]
    lost: f64,
}

/// The figures of a file, by measurement and name.
type Figures = BTreeMap<(String, String), f64>;

/// Two figures that are not judged are shown if their names have one of these words.
const SHOWN: [&str; 8] = ["cpu", "seconds", "second", "wall", "memory", "resident", "p50", "p99"];

/// A comparison of two results.
#[derive(Debug)]
pub struct Comparison {
    text: String,
    /// The counted figures that became worse, each with its measurement.
    pub worse: Vec<String>,
}

impl Comparison {
    /// Returns the tables for people.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// Compares two files.
pub fn compare(args: &CompareArgs) -> anyhow::Result<Comparison> {
    let (before, after) = (read(&args.before)?, read(&args.after)?);
    let (counted_before, counted_after) = (counted(&before), counted(&after));
    let is_common = |key: &(String, String)| counted_after.contains_key(key);
    ensure!(counted_before.keys().any(is_common), "the files have no counted figure in common");
    let factor = 1.0 + args.tolerance / 100.0;
    let mut worse = Vec::new();
    let mut table = Table::new(&["counted", "before", "after", "after ÷ before", ""]);
    for (key, before, after) in common(&counted_before, &counted_after) {
        let is_worse = after > before * factor + f64::EPSILON;
        let name = format!("{}: {}", key.0, key.1);
        let verdict = if is_worse { "worse" } else { "" };
        table.row(row(&name, before, after, verdict));
        if is_worse {
            worse.push(name);
        }
    }
    let mut text = table.text();
    let mut table = Table::new(&["not judged", "before", "after", "after ÷ before", ""]);
    for (key, before, after) in common(&shown(&before), &shown(&after)) {
        table.row(row(&format!("{}: {}", key.0, key.1), before, after, ""));
    }
    text.push_str(&table.text());
    for (key, _) in counted_before.iter().filter(|(key, _)| !is_common(key)) {
        text.push_str(&format!("{}: {} is only in the first file\n", key.0, key.1));
    }
    Ok(Comparison { text, worse })
}

fn read(path: &PathBuf) -> anyhow::Result<Vec<Printed>> {
    let text = read_to_string(path).with_context(|| format!("{} can't be read", path.display()))?;
    text.lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| serde_json::from_str(line).context("a line is no result of --json"))
        .collect()
}

fn counted(printed: &[Printed]) -> Figures {
    let mut figures = Figures::new();
    for one in printed {
        figures.insert((one.measurement.clone(), "lost".to_owned()), one.lost);
        for (name, figure) in &one.counted {
            figures.insert((one.measurement.clone(), name.clone()), *figure);
        }
    }
    figures
}

fn shown(printed: &[Printed]) -> Figures {
    let mut figures = Figures::new();
    for one in printed {
        add_leaves(&one.measurement, "", &one.figures, &mut figures);
    }
    figures
}

/// Adds the numbers of a value that are worth showing, each under its path.
fn add_leaves(measurement: &str, path: &str, value: &Value, figures: &mut Figures) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path} {name}") };
                add_leaves(measurement, &path, value, figures);
            }
        }
        Value::Number(number) => {
            let name = path.to_lowercase();
            if SHOWN.iter().any(|word| name.contains(word)) {
                let key = (measurement.to_owned(), path.to_owned());
                figures.extend(number.as_f64().map(|number| (key, number)));
            }
        }
        _ => {}
    }
}

/// Lists what both results have.
fn common<'a>(
    before: &'a Figures,
    after: &'a Figures,
) -> impl Iterator<Item = (&'a (String, String), f64, f64)> {
    before.iter().filter_map(|(key, before)| Some((key, *before, *after.get(key)?)))
}

fn row(name: &str, before: f64, after: f64, verdict: &str) -> Vec<String> {
    let ratio = if before == after { 1.0 } else { after / before };
    let figures = [before, after, ratio].map(|figure| format!("{figure:.3}"));
    [vec![name.to_owned()], figures.to_vec(), vec![verdict.to_owned()]].concat()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn file(calls: f64, cpu: f64, lost: u64) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        let line = json!({
            "measurement": "throughput", "figures": { "cpuMsADelivery": cpu },
            "counted": { "calls": calls }, "lost": lost,
        });
        std::fs::write(file.path(), line.to_string()).unwrap();
        file
    }

    fn worse(before: &tempfile::NamedTempFile, after: &tempfile::NamedTempFile) -> Vec<String> {
        let (before, after) = (before.path().to_owned(), after.path().to_owned());
        compare(&CompareArgs { before, after, tolerance: 2.0 }).unwrap().worse
    }

    #[test]
    fn two_per_cent_more_calls_are_worse_and_processor_time_is_not() {
        let before = file(100.0, 1.0, 0);
        assert_eq!(worse(&before, &file(101.9, 9.0, 0)), [""; 0]);
        assert_eq!(worse(&before, &file(102.1, 0.1, 0)), ["throughput: calls"]);
        assert_eq!(worse(&before, &file(50.0, 1.0, 1)), ["throughput: lost"]);
    }

    #[test]
    fn what_is_not_judged_is_shown() {
        let (before, after) = (file(1.0, 2.0, 0), file(1.0, 3.0, 0));
        let args = CompareArgs {
            before: before.path().to_owned(),
            after: after.path().to_owned(),
            tolerance: 2.0,
        };
        let text = compare(&args).unwrap().text;
        let line = text.lines().find(|line| line.contains("cpuMsADelivery")).unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words, ["throughput:", "cpuMsADelivery", "2.000", "3.000", "1.500"]);
    }
}
