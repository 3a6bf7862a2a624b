//! What a measurement says, for people and for machines.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::{Value, json};

use crate::{account::Account, options::Subject, system::Bench};

/// The result of one measurement.
pub struct Report {
    title: String,
    conditions: Vec<(&'static str, String)>,
    text: String,
    figures: Value,
    lost: usize,
}

impl Report {
    /// Begins the report of a measurement that was made under these conditions, beside those of every measurement.
    pub(crate) fn new(title: String, subject: &Subject, bench: &Bench, own: Vec<(&'static str, String)>) -> Self {
        let processors = std::thread::available_parallelism().map_or(0, usize::from);
        let mut conditions = vec![("C", subject.concurrency.to_string())];
        conditions.extend(own);
        conditions.push(("version", subject.version.clone()));
        conditions.push(("processors", processors.to_string()));
        conditions.push(("errors logged", bench.errors().to_string()));
        Self { title, conditions, text: String::new(), figures: json!({}), lost: 0 }
    }

    /// What was measured, such as `isolation: hang`.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// All figures, by name.
    pub fn figures(&self) -> &Value {
        &self.figures
    }

    /// How many accepted events are nowhere.
    pub fn lost(&self) -> usize {
        self.lost
    }

    /// Adds figures for machines.
    pub(crate) fn figure(&mut self, name: &str, figure: impl Serialize) -> anyhow::Result<()> {
        self.figures[name] = serde_json::to_value(figure)?;
        Ok(())
    }

    /// Adds a line for people.
    pub(crate) fn line(&mut self, line: impl AsRef<str>) {
        self.text.push_str(line.as_ref());
        self.text.push('\n');
    }

    /// Adds what has become of all events.
    pub(crate) fn account(&mut self, account: Account) -> anyhow::Result<()> {
        self.line(account.line());
        self.lost = account.lost;
        self.figure("account", account)
    }

    /// Says that so many are nowhere, where there is no account of events.
    pub(crate) fn lose(&mut self, lost: usize) {
        self.line(format!("{lost} lost"));
        self.lost = lost;
    }

    pub(crate) fn table(&mut self, table: &Table) {
        self.text.push_str(&table.text());
    }

    /// Prints it as tables, or as one JSON object in a line.
    pub fn print(&self, as_json: bool) {
        if as_json {
            let conditions: Value = self.conditions.iter().map(|(name, value)| (*name, value.as_str())).collect();
            println!("{}", json!({ "measurement": self.title, "conditions": conditions, "figures": self.figures }));
        } else {
            let conditions: Vec<String> =
                self.conditions.iter().map(|(name, value)| format!("{name} = {value}")).collect();
            println!("{}\n{}\n\n{}", self.title, conditions.join(", "), self.text);
        }
    }
}

/// Columns under headings; the first is aligned to the left and the others to the right.
pub(crate) struct Table(Vec<Vec<String>>);

impl Table {
    pub(crate) fn new(headings: &[&str]) -> Self {
        Self(vec![headings.iter().map(|heading| (*heading).to_owned()).collect()])
    }

    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.0.push(cells);
    }

    fn text(&self) -> String {
        let columns = self.0.iter().map(Vec::len).max().unwrap_or(0);
        let width =
            |column: usize| self.0.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
        let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
        let mut text = String::new();
        for row in &self.0 {
            let mut line = String::new();
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                let _ = if column == 0 { write!(line, "  {cell:width$}") } else { write!(line, "  {cell:>width$}") };
            }
            let _ = writeln!(text, "{}", line.trim_end());
        }
        text.push('\n');
        text
    }
}

/// Seconds with one digit after the point.
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
