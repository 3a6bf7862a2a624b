//! Each measurement has a small round here, with debug builds. Only what is counted is asserted:
//! calls, requests, losses.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a round that can't go on has failed")]

mod measure;

use measure::{CONCURRENCY, count, measure};
use posthaste_bench::Report;

async fn isolation(endpoint: &str) {
    const RATE: u64 = 8;
    const SECONDS: u64 = 7;
    let command =
        format!("isolation --endpoint {endpoint} --rate {RATE} --alone 1 --seconds {SECONDS}");
    let report = measure(&command).await;
    assert_eq!(
        (count(&report, "/whole/events"), count(&report, "/whole/notArrived")),
        (RATE * SECONDS, 0)
    );
    // Until it is sidelined, one for each invocation of `deliver`; then few at once, and each takes
    // most of the time measured.
    let bad = count(&report, "/badRequests");
    assert!((1..=3 * CONCURRENCY).contains(&bad), "{bad} requests went to the bad endpoint");
}

#[tokio::test]
async fn beside_an_endpoint_that_hangs_every_healthy_event_arrives() {
    isolation("hang").await;
}

#[tokio::test]
async fn beside_a_slow_endpoint_every_healthy_event_arrives() {
    isolation("slow").await;
}

async fn waiting(case: &str) {
    let mut calls = Vec::new();
    for waiting in [50, 200] {
        let command = format!(
            "waiting --case {case} --timeout 1 --waiting {waiting} --seconds 3 --patience 60"
        );
        let report = measure(&command).await;
        assert!(report.figures()["takenInAfterSeconds"].is_number(), "all of them wait in the end");
        assert_eq!(
            count(&report, "/account/elsewhere"),
            0,
            "what did not arrive is in the history"
        );
        let beyond = report.figures()["beyondTheOrdinaryPath"].as_f64().unwrap();
        assert!(beyond <= 2.2, "{beyond} calls beyond the ordinary path for each delivery");
        calls.push(count(&report, "/callsWithoutRelease"));
    }
    assert!(calls[0].abs_diff(calls[1]) <= 30, "{calls:?} calls while 50 and 200 deliveries wait");
}

#[tokio::test]
async fn however_many_wait_for_a_dead_endpoint_it_costs_the_same() {
    waiting("dead").await;
}

#[tokio::test]
async fn however_many_wait_for_a_limit_it_costs_the_same() {
    waiting("limit").await;
}

#[tokio::test]
async fn however_many_wait_for_the_limit_of_a_list_it_costs_the_same() {
    waiting("list").await;
}

/// Asserts that everything arrives, and that no second has more requests than the limit and its
/// burst: the slots of half a second, at least one.
async fn limits(requests: u64, events: u64, further: &str) -> Report {
    let command = format!(
        "limits --requests {requests} --events {events} --seconds 60 --patience 60{further}"
    );
    let report = measure(&command).await;
    assert_eq!(count(&report, "/account/arrived"), events);
    let worst = count(&report, "/arrived/worstWindowBegun");
    assert!(
        worst <= requests + (requests / 2).max(1) + 1,
        "{worst} requests began within a second"
    );
    report
}

#[tokio::test]
async fn no_second_has_more_requests_than_the_limit_and_its_burst() {
    limits(10, 100, "").await;
}

#[tokio::test]
async fn what_waits_for_the_limit_of_a_list_leaves_in_full_requests() {
    let report = limits(1, 600, " --list").await;
    let (requests, full) =
        (count(&report, "/arrived/requests"), count(&report, "/arrived/requestsByEvents/100"));
    // One may have been begun before everything was there, and the last one takes what is left.
    assert!(full >= 1 && requests <= full + 2, "{full} of {requests} requests were full");
}

#[tokio::test]
async fn a_busy_webhook_that_was_slow_loses_nothing_and_its_lane_is_closed_in_the_end() {
    let report = measure("recovery --rate 8 --slow 3 --seconds 12 --skip-proof").await;
    assert_eq!(count(&report, "/account/arrived"), count(&report, "/account/accepted"));
    let states = &report.figures()["states"];
    assert!(
        states.as_array().unwrap().iter().any(|seen| seen["state"] == "slow"),
        "it was sidelined: {states}"
    );
    assert_eq!(report.figures()["isClosed"], true, "{states}");
}

#[tokio::test]
async fn no_page_of_the_console_weighs_more_than_sixty_kilobytes() {
    let report = measure("console --times 1").await;
    let pages = report.figures()["pages"].as_object().unwrap();
    assert!(pages.len() > 10, "{pages:?}");
    for (name, page) in pages {
        let bytes = page["firstLoadBytes"].as_u64().unwrap();
        assert!((3_000..60_000).contains(&bytes), "{name} loads {bytes} bytes");
    }
}
