//! A report says what a measurement found, for people and for machines.

use std::{collections::BTreeMap, fmt::Write as _};

use serde::Serialize;
use serde_json::{Value, json};

use crate::{account::Account, options::Subject, system::Bench};

/// The result of one measurement.
pub struct Report {
    title: String,
    conditions: Vec<(&'static str, String)>,
    text: String,
    figures: Value,
    counted: BTreeMap<String, f64>,
    lost: usize,
}

impl Report {
    /// Begins the report of a measurement. It was made under the conditions of every measurement,
    /// and its own.
    pub(crate) fn new(
        title: String,
        subject: &Subject,
        bench: &Bench,
        own: Vec<(&'static str, String)>,
    ) -> Self {
        let mut conditions = vec![("C", subject.concurrency.to_string())];
        conditions.extend(own);
        let mut report = Self::without_a_system(title, subject, conditions);
        report.conditions.push(("errors logged", bench.errors().to_string()));
        report
    }

    /// Begins the report of a measurement that has no running system.
    pub(crate) fn without_a_system(
        title: String,
        subject: &Subject,
        mut conditions: Vec<(&'static str, String)>,
    ) -> Self {
        let processors = std::thread::available_parallelism().map_or(0, usize::from);
        conditions.push(("version", subject.version.clone()));
        conditions.push(("processors", processors.to_string()));
        let (text, figures) = (String::new(), json!({}));
        Self { title, conditions, text, figures, counted: BTreeMap::new(), lost: 0 }
    }

    /// Names the measurement, for example `isolation: hang`.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Returns all figures by name.
    pub fn figures(&self) -> &Value {
        &self.figures
    }

    /// Counts the accepted events that are nowhere.
    pub fn lost(&self) -> usize {
        self.lost
    }

    /// Adds a figure for machines.
    pub(crate) fn figure(&mut self, name: &str, figure: impl Serialize) -> anyhow::Result<()> {
        self.figures[name] = serde_json::to_value(figure)?;
        Ok(())
    }

    /// Adds a figure that is counted and not timed, of which less is better. `compare` judges it.
    pub(crate) fn count(&mut self, name: impl Into<String>, figure: f64) {
        self.counted.insert(name.into(), figure);
    }

    /// Returns the figures that are counted, by name.
    pub fn counted(&self) -> &BTreeMap<String, f64> {
        &self.counted
    }

    /// Adds a line for people.
    pub(crate) fn line(&mut self, line: impl AsRef<str>) {
        self.text.push_str(line.as_ref());
        self.text.push('\n');
    }

    /// Adds the account of all events.
    pub(crate) fn account(&mut self, account: Account) -> anyhow::Result<()> {
        self.line(account.line());
        self.lost = account.lost;
        self.figure("account", account)
    }

    /// Says that this many events are nowhere, where there is no account of events.
    pub(crate) fn lose(&mut self, lost: usize) {
        self.line(format!("{lost} lost"));
        self.lost = lost;
    }

    pub(crate) fn table(&mut self, table: &Table) {
        self.text.push_str(&table.text());
    }

    /// Prints the report as tables, or as one JSON object in a line.
    pub fn print(&self, as_json: bool) {
        if as_json {
            let conditions: Value =
                self.conditions.iter().map(|(name, value)| (*name, value.as_str())).collect();
            println!(
                "{}",
                json!({
                    "measurement": self.title, "conditions": conditions, "figures": self.figures,
                    "counted": self.counted, "lost": self.lost,
                })
            );
        } else {
            let conditions: Vec<String> =
                self.conditions.iter().map(|(name, value)| format!("{name} = {value}")).collect();
            println!("{}\n{}\n\n{}", self.title, conditions.join(", "), self.text);
        }
    }
}

/// A table has columns under headings. The first column is aligned to the left, and the others to
/// the right.
pub(crate) struct Table(Vec<Vec<String>>);

impl Table {
    pub(crate) fn new(headings: &[&str]) -> Self {
        Self(vec![headings.iter().map(|heading| (*heading).to_owned()).collect()])
    }

    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.0.push(cells);
    }

    /// Adds a row of two cells.
    pub(crate) fn pair(&mut self, name: &str, figure: String) {
        self.row(vec![name.to_owned(), figure]);
    }

    pub(crate) fn text(&self) -> String {
        let mut widths = Vec::new();
        for row in &self.0 {
            widths.resize(widths.len().max(row.len()), 0);
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let mut text = String::new();
        for row in &self.0 {
            let mut line = String::new();
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                let _ = if column == 0 {
                    write!(line, "  {cell:width$}")
                } else {
                    write!(line, "  {cell:>width$}")
                };
            }
            let _ = writeln!(text, "{}", line.trim_end());
        }
        text.push('\n');
        text
    }
}

/// Writes seconds with one digit after the point.
pub(crate) fn seconds(micros: u64) -> String {
    format!("{:.1}", micros as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_aligned() {
        let mut table = Table::new(&["what", "ms"]);
        table.row(vec!["alone".to_owned(), "7.25".to_owned()]);
        assert_eq!(table.text(), "  what     ms\n  alone  7.25\n\n");
    }
}
