//! What a million events and an idle month cost. One round at a time: an endpoint that seems slow because others keep the processors
//! busy lets deliveries wait, and that has its price.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a round that can't go on has failed")]

#[path = "../rounds/measure.rs"]
#[allow(dead_code, reason = "other rounds count, and these take dollars")]
mod measure;

use measure::measure;
use posthaste_bench::Report;
use tokio::sync::Mutex;

static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// Dollars of a report whose durations are assumed, so that they depend on nothing but what is counted.
fn assumed_dollars(report: &Report) -> f64 {
    report.figures()["assumed"]["dollars"].as_f64().unwrap()
}

async fn dollars_a_million(per_call: usize, calls: usize) -> f64 {
    let near = "--endpoint-ms 0 --dynamodb-ms 0 --sqs-ms 0";
    assumed_dollars(&measure(&format!("bill --per-call {per_call} --calls {calls} {near}")).await)
}

/// The README's table names this many dollars, give or take a thirtieth, in the row that begins with these words.
fn assert_said(words: &str, dollars: f64) {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).unwrap();
    let (_, rest) =
        readme.split_once(&format!("| {words} | ")).unwrap_or_else(|| panic!("the README has no {words:?}"));
    let said: f64 = rest.split_whitespace().next().unwrap().parse().unwrap();
    assert!((said / dollars - 1.0).abs() < 1.0 / 30.0, "it is ${dollars:.2}, and the README says ${said:.2}");
}

#[tokio::test]
async fn a_million_events_in_calls_of_a_hundred_cost_less_than_2_60_dollars() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let dollars = dollars_a_million(100, 3).await;
    assert!((1.25..2.6).contains(&dollars), "${dollars:.2}; `cargo bench-posthaste bill` shows what for");
    assert_said("a million events with one webhook each, published in calls of 100", dollars);
}

#[tokio::test]
async fn a_million_events_in_calls_of_their_own_cost_less_than_9_dollars() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let dollars = dollars_a_million(1, 10).await;
    assert!((2.25..9.0).contains(&dollars), "${dollars:.2}; `cargo bench-posthaste bill` shows what for");
    assert_said("a million events with one webhook each, every one alone", dollars);
}

#[tokio::test]
async fn the_readme_says_what_idling_costs() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let dollars = assumed_dollars(&measure("bill --idle").await);
    assert_said("a month in which nothing is published", dollars);
}
