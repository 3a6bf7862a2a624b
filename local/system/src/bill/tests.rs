use std::collections::BTreeSet;

use super::*;

const GIB: u64 = 1 << 30;

fn terms() -> Terms {
    Terms {
        table_days: [("Events".to_owned(), 60)].into(),
        backed_up: vec!["Events".to_owned()],
        log_days: 15,
        silent: BTreeSet::new(),
    }
}

/// Lists the lines of a bill with their dollars.
fn dollars(usage: &Usage) -> Vec<(String, f64)> {
    let bill = Bill::of(usage, &terms(), &Prices::known().unwrap());
    let sum: f64 = bill.lines.iter().map(|line| line.dollars).sum();
    assert!((bill.dollars - sum).abs() < 1e-9, "{} is the sum of its lines", bill.dollars);
    let round = |dollars: f64| (dollars * 1e6).round() / 1e6;
    bill.lines.into_iter().map(|line| (line.what, round(line.dollars))).collect()
}

fn owned(lines: &[(&str, f64)]) -> Vec<(String, f64)> {
    lines.iter().map(|(what, dollars)| ((*what).to_owned(), *dollars)).collect()
}

#[test]
fn invocations_cost_their_requests_and_their_memory_for_as_long_as_they_take() {
    let invoked = Invoked {
        invocations: 1_000_000,
        billed_ms: 2_000_000_000,
        memory_mb: 512,
        ..Invoked::default()
    };
    let mut lines =
        dollars(&Usage { functions: [("deliver".to_owned(), invoked)].into(), ..Usage::default() });
    // Half a GB for 2,000,000 seconds.
    assert_eq!(lines[..2], owned(&[("Lambda requests", 0.2), ("Lambda time: deliver", 13.3334)]));
    let logs = lines.split_off(2);
    assert_eq!(
        logs.iter().map(|(what, _)| what.as_str()).collect::<Vec<_>>(),
        ["Logs: Lambda's own", "Logs: storage"]
    );
}

#[test]
fn requests_and_units_cost_their_list_price() {
    let usage = Usage {
        api_requests: 2_000_000,
        sqs_requests: [("poller".to_owned(), 5_000_000)].into(),
        tables: [(
            "Registry".to_owned(),
            Capacity { reads: 4e6, writes: 2e6, items: 9, bytes: GIB },
        )]
        .into(),
        secret_calls: 10_000,
        ..Usage::default()
    };
    let expected = [
        ("HTTP API", 2.0),
        ("SQS: poller", 2.0),
        ("DynamoDB writes: Registry", 1.25),
        ("DynamoDB reads: Registry", 0.5),
        ("Secrets Manager calls", 0.05),
    ];
    assert_eq!(
        dollars(&usage),
        owned(&expected),
        "and what is in the Registry does not grow with the events"
    );
}

#[test]
fn what_is_stored_costs_as_long_as_it_is_kept_and_backups_too() {
    let items = GIB / 200;
    let capacity = Capacity { items, bytes: GIB - 100 * items, ..Capacity::default() };
    let usage = Usage { tables: [("Events".to_owned(), capacity)].into(), ..Usage::default() };
    // A GiB with the frames of its items, for two months.
    assert_eq!(
        dollars(&usage),
        owned(&[("DynamoDB storage: Events", 0.5), ("DynamoDB backups: Events", 0.4)])
    );
}

#[test]
fn logs_cost_when_they_are_written_and_while_they_are_kept() {
    let usage = Usage {
        log_bytes: [("deliver".to_owned(), GIB)].into(),
        access_log_bytes: GIB,
        ..Usage::default()
    };
    let expected = [("Logs: deliver", 0.5), ("Logs: API access", 0.5), ("Logs: storage", 0.03)];
    assert_eq!(dollars(&usage), owned(&expected));
}

#[test]
fn what_leaves_aws_counts_with_its_frames() {
    let usage = Usage { bytes_out: GIB - 3000, sent_out: 10, ..Usage::default() };
    assert_eq!(dollars(&usage), owned(&[("Data transfer out", 0.09)]));
}

#[test]
fn a_bill_for_a_million_is_the_bill_for_fewer_times_what_is_missing() {
    let usage = Usage { api_requests: 500, ..Usage::default() };
    let bill = Bill::of(&usage, &terms(), &Prices::known().unwrap()).for_a_million(1000);
    assert!((bill.dollars - 0.5).abs() < 1e-9);
    assert_eq!((bill.lines[0].quantity, bill.dollars_of("HTTP")), (500_000.0, bill.dollars));
}
