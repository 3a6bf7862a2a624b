//! Every round measures and counts in the same way.

use std::sync::OnceLock;

use clap::Parser;
use posthaste_bench::{Measurement, Report, Subject};

/// A function has at most this many processes, because the rounds run side by side.
pub(crate) const CONCURRENCY: u64 = 5;

/// The command line of a measurement.
#[derive(Parser)]
struct Round {
    #[command(subcommand)]
    what: Measurement,
}

/// Measures one thing, and asserts that nothing is lost.
pub(crate) async fn measure(command: &str) -> Report {
    static SUBJECT: OnceLock<Subject> = OnceLock::new();
    let subject = SUBJECT.get_or_init(|| {
        Subject::debug_build(CONCURRENCY as usize).expect("the functions can be built")
    });
    let round = Round::try_parse_from(["rounds"].into_iter().chain(command.split(' ')))
        .expect("there is such a command");
    let mut reports = Vec::new();
    round.what.run(subject, |report| reports.push(report)).await.expect("it is measured");
    let report = reports.pop().expect("there is a report");
    assert!(reports.is_empty(), "{command} measures one thing");
    report.print(false);
    assert_eq!(report.lost(), 0);
    report
}

/// Reads a figure that counts something, by its JSON pointer.
pub(crate) fn count(report: &Report, pointer: &str) -> u64 {
    let figure = report.figures().pointer(pointer).and_then(serde_json::Value::as_u64);
    figure.unwrap_or_else(|| panic!("{} counts no {pointer}: {}", report.title(), report.figures()))
}
