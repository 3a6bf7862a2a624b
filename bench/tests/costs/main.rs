//! These small rounds measure what things cost. They keep the processors busy, so they are beside
//! no other rounds, and not beside each other. Only what is counted is asserted.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a round that can't go on has failed")]

#[path = "../rounds/measure.rs"]
mod measure;

use std::path::PathBuf;

use measure::{CONCURRENCY, count, measure};
use posthaste_bench::Report;
use tokio::sync::Mutex;

static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// Finds a figure that `compare` judges.
fn counted(report: &Report, name: &str) -> f64 {
    let figures = report.counted();
    *figures.get(name).unwrap_or_else(|| panic!("{name} is not counted: {figures:?}"))
}

#[tokio::test]
async fn every_event_of_many_callers_arrives_at_every_webhook_with_few_calls() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let report = measure("throughput --webhooks 3 --events 20 --warm-up 5 --callers 4").await;
    assert_eq!(count(&report, "/deliveries"), 60);
    assert_eq!(count(&report, "/spent/invocations/ingest"), 20, "each call has one event");
    let all: f64 = report
        .counted()
        .iter()
        .filter(|(name, _)| name.starts_with("calls a delivery: "))
        .filter(|(name, _)| !name.contains(": release "))
        .map(|(_, calls)| calls)
        .sum();
    // Even if no invocation had more than one event or one delivery, there would be no more.
    assert!((0.5..4.0).contains(&all), "{all} calls for a delivery");
    assert!(counted(&report, "bytes of a request to an endpoint") > 1000.0, "data is 1,000 bytes");
}

#[tokio::test]
async fn a_delivery_of_an_event_for_many_webhooks_takes_fewer_calls_than_one_alone() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let report = measure("fanout --webhooks 1,20 --deliveries 20 --callers 2").await;
    assert_eq!((count(&report, "/1/deliveries"), count(&report, "/20/deliveries")), (20, 20));
    let units =
        |webhooks| counted(&report, &format!("write units a delivery, {webhooks} webhooks"));
    // The event's own write is shared by all.
    assert!(units(20) < units(1), "{} and {} write units", units(20), units(1));
}

#[tokio::test]
async fn every_event_that_is_due_counts_and_arrives() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let report = measure("latency --rate 10 --seconds 2 --warm-up 1").await;
    let figures = ["/latencies/events", "/latencies/notArrived", "/refused"];
    assert_eq!(figures.map(|figure| count(&report, figure)), [20, 0, 0]);
}

#[tokio::test]
async fn every_function_starts_and_answers_its_first_invocation_over_tls() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let hello = example("hello");
    let report = measure(&format!("coldstart --times 1 --floor {}", hello.display())).await;
    let functions = report.figures()["functions"].as_object().unwrap();
    assert_eq!(functions.len(), 12, "eleven and the floor: {functions:?}");
    for (name, figures) in functions.iter().filter(|(name, _)| *name != "(floor)") {
        assert!(figures["handshakes"].as_f64().unwrap() >= 1.0, "{name} called nobody over TLS");
        let [next, answer] = ["next", "answer"].map(|at| figures[at]["cpuMs"].as_f64().unwrap());
        assert!(0.0 < next && next < answer, "{name} took {next} ms, and then {answer} ms");
    }
    // `deliver` made its delivery, and `setup` answered CloudFormation.
    assert!(count(&report, "/deliveredToTheEndpoint") >= 2);
}

#[tokio::test]
async fn a_package_is_smaller_than_its_binary() {
    let report = measure("size --only release").await;
    let [bytes, compressed] =
        ["bytes of release", "compressed bytes of release"].map(|name| counted(&report, name));
    assert!(0.0 < compressed && compressed < bytes, "{compressed} of {bytes} bytes");
}

#[tokio::test]
async fn no_function_has_more_processes_than_it_may_after_many_events() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let report = measure("memory --events 30 --webhooks 2 --callers 8").await;
    assert_eq!(count(&report, "/deliveries"), 60);
    for name in ["ingest", "fanout", "deliver", "register"] {
        let processes = count(&report, &format!("/functions/{name}/processes"));
        assert!((1..=CONCURRENCY).contains(&processes), "{name} has {processes} processes");
        assert!(count(&report, &format!("/functions/{name}/residentKb")) > 0);
    }
}

#[tokio::test]
async fn an_event_costs_the_same_however_many_events_and_deliveries_are_stored() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let report = measure("growth --events 100,1000 --histories 100,1000 --measured 10").await;
    assert_eq!(report.figures()["grew"], serde_json::json!({}));
    let stages = report.figures()["stages"].as_object().unwrap();
    assert_eq!(stages.len(), 4);
    let calls = counted(&report, "AWS calls an event, with 1000 deliveries");
    assert!((1.0..10.0).contains(&calls), "{calls} calls for an event");
}

#[tokio::test]
async fn under_a_mixed_load_nothing_is_lost_and_all_is_quiet_in_the_end() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let report = measure("soak --minutes 0.35 --sample 2 --rate 1 --patience 120").await;
    assert_eq!((count(&report, "/load/refused"), count(&report, "/load/missing")), (0, 0));
    assert!(count(&report, "/load/replays") > 0);
    assert_eq!(report.figures()["isQuiet"], true);
    for queue in ["EventsQueue", "DeliveriesQueue"] {
        assert_eq!(count(&report, &format!("/last/queues/{queue}")), 0, "{queue} is empty");
    }
}

/// Finds an example, which cargo builds with the tests.
fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let example = test.ancestors().nth(2).unwrap().join("examples").join(name);
    assert!(example.exists(), "cargo test --package posthaste-bench builds {name}");
    example
}

#[tokio::test]
async fn functions_are_measured_beside_what_their_libraries_take() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let report = measure(&format!("floor --times 20 --bare {}", example("bare").display())).await;
    let took = |what: &str| {
        let took = &report.figures()["took"][what];
        ["cpuMs", "allocations", "allocatedBytes"].map(|figure| took[figure].as_f64().unwrap())
    };
    let bare = "an invocation in which nothing is done";
    for function in ["ingest", "fanout", "deliver"] {
        for (all, floor) in took(function).into_iter().zip(took(bare)) {
            assert!(all > floor && floor > 0.0, "{function} took {all}, and {bare} {floor}");
        }
    }
    assert!(count(&report, "/requests") > 1000, "ten requests in each of 190 invocations");
}
