//! These small rounds keep every processor busy. They are not beside the other rounds, which watch
//! how quickly an endpoint answers, and not beside each other: an endpoint that seems slow makes
//! deliveries wait, and that has its price in the bill.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a round that can't go on has failed")]

#[path = "../rounds/measure.rs"]
mod measure;

use measure::{CONCURRENCY, count, measure};
use posthaste_bench::Report;
use tokio::sync::Mutex;

static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

#[tokio::test]
async fn what_is_due_in_one_minute_leaves_with_one_call_of_every_part_and_few_calls() {
    let _alone = ONE_AT_A_TIME.lock().await;
    const DUE: u64 = 1000;
    let report = measure(&format!("release --due {DUE} --workspaces 4")).await;
    assert_eq!(
        (count(&report, "/sent"), count(&report, "/minutes")),
        (DUE, 1),
        "each is sent once"
    );
    let calls = |operation: &str| count(&report, &format!("/spent/calls/release/{operation}"));
    assert!(
        calls("sqs:SendMessageBatch") <= DUE / 10 + 64,
        "a partition's last call may have fewer than ten"
    );
    assert!(calls("dynamodb:BatchWriteItem") <= DUE / 25 + 64, "and its last delete fewer than 25");
    // 64 partitions of due items, 8 of the index, 32 of lanes.
    assert_eq!(count(&report, "/idleCalls"), 104);
}

#[tokio::test]
async fn every_event_goes_to_every_webhook_of_a_workspace_with_few_reads() {
    let _alone = ONE_AT_A_TIME.lock().await;
    const WEBHOOKS: u64 = 100;
    const EVENTS: u64 = 20;
    let report =
        measure(&format!("large --webhooks {WEBHOOKS} --events {EVENTS} --patience 120")).await;
    assert_eq!(
        (count(&report, "/sent"), count(&report, "/timeouts")),
        (WEBHOOKS * (EVENTS + 1), 0),
        "each is sent once"
    );
    // One look at the root for each invocation, and in a process that has not seen the index one at
    // its pages.
    let (invocations, reads) = (count(&report, "/invocations"), count(&report, "/indexReads"));
    assert!(
        reads <= invocations + CONCURRENCY,
        "{reads} reads of the index in {invocations} invocations"
    );
    assert_eq!(count(&report, "/rootUnits"), 1);
}

/// Finds the dollars of a report whose durations are assumed, so that they depend on nothing but
/// what is counted.
fn assumed_dollars(report: &Report) -> f64 {
    report.figures()["assumed"]["dollars"].as_f64().unwrap()
}

async fn dollars_a_million(per_call: usize, calls: usize) -> f64 {
    let near = "--endpoint-ms 0 --dynamodb-ms 0 --sqs-ms 0";
    assumed_dollars(&measure(&format!("bill --per-call {per_call} --calls {calls} {near}")).await)
}

/// Asserts that the README's table names this many dollars, give or take a thirtieth, in the row
/// that begins with these words.
fn assert_said(words: &str, dollars: f64) {
    let readme =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).unwrap();
    let (_, rest) = readme
        .split_once(&format!("| {words} | "))
        .unwrap_or_else(|| panic!("the README has no {words:?}"));
    let said: f64 = rest.split_whitespace().next().unwrap().parse().unwrap();
    assert!(
        (said / dollars - 1.0).abs() < 1.0 / 30.0,
        "it is ${dollars:.2}, and the README says ${said:.2}"
    );
}

#[tokio::test]
async fn a_million_events_in_calls_of_a_hundred_cost_less_than_2_60_dollars() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let dollars = dollars_a_million(100, 3).await;
    assert!(
        (1.25..2.6).contains(&dollars),
        "${dollars:.2}; `cargo bench-posthaste bill` shows what for"
    );
    assert_said("a million events with one webhook each, published in calls of 100", dollars);
}

#[tokio::test]
async fn a_million_events_in_calls_of_their_own_cost_less_than_9_dollars() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let dollars = dollars_a_million(1, 10).await;
    assert!(
        (2.25..9.0).contains(&dollars),
        "${dollars:.2}; `cargo bench-posthaste bill` shows what for"
    );
    assert_said("a million events with one webhook each, every one alone", dollars);
}

#[tokio::test]
async fn the_readme_says_what_idling_costs() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let dollars = assumed_dollars(&measure("bill --idle").await);
    assert_said("a month in which nothing is published", dollars);
}
