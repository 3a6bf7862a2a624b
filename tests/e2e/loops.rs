//! Lambda stops chains of sends that lead back to a function, unless the template allows them.

use posthaste_local::binaries;
use posthaste_tests::{Posthaste, eventually};
use serde_json::json;

use crate::replay_job::{LONG_AGO, begin, counts, failed, job, over};

/// A replay has this many pages of one delivery each, which are more invocations than Lambda allows
/// to a chain.
const DELIVERIES: u64 = 20;

/// Makes a template whose replays have pages of one delivery.
fn template() -> String {
    let template = binaries::template().unwrap();
    let small = template.replace("REPLAY_PAGE: \"500\"", "REPLAY_PAGE: \"1\"");
    assert_ne!(small, template);
    small
}

#[tokio::test]
async fn a_replay_goes_through_any_number_of_pages_because_its_template_allows_it() {
    let posthaste = Posthaste::with_template(template()).await;
    let webhook = failed(&posthaste, "mine", DELIVERIES as usize).await;
    let begun = begin(&posthaste, &webhook, json!({ "since": LONG_AGO })).await;
    assert_eq!(counts(&over(&posthaste, &webhook, &begun).await), ("done", DELIVERIES, DELIVERIES));
    assert_eq!(posthaste.system.metrics().functions["replay"].recursion_dropped, 0);
}

#[tokio::test]
async fn a_replay_whose_template_does_not_allow_it_stands_still_after_the_16th_page() {
    let template = template();
    let (before, replay) = template.split_at(template.find("  ReplayFunction:").unwrap());
    let terminated = replay.replacen("      RecursiveLoop: Allow\n", "", 1);
    assert_ne!(terminated, replay);
    let posthaste = Posthaste::with_template(format!("{before}{terminated}")).await;
    let webhook = failed(&posthaste, "mine", DELIVERIES as usize).await;
    let begun = begin(&posthaste, &webhook, json!({ "since": LONG_AGO })).await;
    eventually("an invocation is dropped", async || {
        (posthaste.system.metrics().functions["replay"].recursion_dropped == 1).then_some(())
    })
    .await;
    assert_eq!(job(&posthaste, &webhook, &begun).await["status"], "running");
    assert_eq!(
        posthaste.calls("replay", "dynamodb:UpdateItem"),
        16,
        "each page is counted by one call"
    );
}
