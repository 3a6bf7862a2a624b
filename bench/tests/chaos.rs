//! A short round of the chaos, with debug builds, and the same without faults.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a round that can't go on has failed")]

use clap::Parser;
use posthaste_bench::{Measurement, Report, Subject};
use tokio::sync::Mutex;

/// Two rounds side by side would be busy with each other.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// A function has at most this many processes, so that the machine is not only busy with starting
/// them.
const CONCURRENCY: usize = 5;

/// The command line of a measurement.
#[derive(Parser)]
struct Round {
    #[command(subcommand)]
    what: Measurement,
}

/// Lets a round happen. What it finds wrong is an error that names it.
async fn chaos(options: &str) -> Report {
    let _alone = ONE_AT_A_TIME.lock().await;
    let subject = Subject::debug_build(CONCURRENCY).expect("the functions can be built");
    let words = ["rounds", "chaos"].into_iter().chain(options.split_whitespace());
    let round = Round::try_parse_from(words).expect("there are such options");
    let mut reports = Vec::new();
    let found = round
        .what
        .run(&subject, |report| {
            report.print(false);
            reports.push(report);
        })
        .await;
    found.expect("nothing is wrong");
    reports.pop().expect("there is a report")
}

/// Reads a figure of the account.
fn count(report: &Report, pointer: &str) -> u64 {
    let figure = report.figures().pointer(pointer).and_then(serde_json::Value::as_u64);
    figure.unwrap_or_else(|| panic!("there is no {pointer}: {}", report.figures()))
}

#[tokio::test]
async fn under_chaos_nothing_is_lost_or_stuck_or_in_the_wrong_place_and_the_history_is_true() {
    let report = chaos("--events 1500 --minutes 0.3 --seed 15").await;
    assert_eq!(count(&report, "/account/events"), 1500);
    for wrong in
        ["lost", "wrongWorkspace", "stuck", "limitBroken", "historyUntrue", "altered", "uninvited"]
    {
        assert_eq!(count(&report, &format!("/account/wrong/{wrong}")), 0, "{wrong}");
    }
    // It was a chaos: otherwise the round would show nothing.
    for made in ["/crashes", "/made/moods", "/made/deploys"] {
        assert!(count(&report, made) > 0, "{made}");
    }
    // Clocks step where libfaketime is installed, as it is in the checks.
    if std::env::var("POSTHASTE_CLOCKS").is_ok_and(|clocks| clocks == "required") {
        assert!(count(&report, "/made/clockSteps") > 0, "no clock has stepped");
    }
    let (pairs, delivered) =
        (count(&report, "/account/pairs"), count(&report, "/account/deliveredOnce"));
    assert!(pairs > 2000 && delivered > pairs / 2, "{delivered} of {pairs} arrived once");
}

#[tokio::test]
async fn with_nothing_but_copied_messages_the_history_has_every_request_that_counts() {
    let copies = "--faults duplicate=20%,reorder=30% --clock-steps-every 0";
    let report = chaos(&format!("--events 600 --minutes 0.15 --seed 17 {copies}")).await;
    assert_eq!(count(&report, "/account/events"), 600);
    assert!(count(&report, "/account/copies") > 0, "nothing was sent twice");
    for figure in ["unrecordedAtKills", "arrivedUnknown"] {
        assert_eq!(count(&report, &format!("/account/{figure}")), 0, "{figure}");
    }
}

#[tokio::test]
async fn without_faults_no_receiver_sees_a_copy_and_every_request_is_recorded() {
    let quiet = "--faults none --deploys-every 3 --clock-steps-every 0";
    let report = chaos(&format!("--events 600 --minutes 0.15 --seed 16 {quiet}")).await;
    assert_eq!(count(&report, "/account/events"), 600);
    assert_eq!(count(&report, "/account/copies"), 0);
    let unexplained = ["unrecordedAtKills", "failedCopies", "arrivedUnknown"];
    for figure in unexplained {
        assert_eq!(count(&report, &format!("/account/{figure}")), 0, "{figure}");
    }
}
