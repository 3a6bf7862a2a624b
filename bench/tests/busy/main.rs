//! Small rounds of the measurements that keep every processor busy. They are not beside the other rounds, which watch how quickly an
//! endpoint answers.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a round that can't go on has failed")]

#[path = "../rounds/measure.rs"]
mod measure;

use measure::{CONCURRENCY, count, measure};

#[tokio::test]
async fn what_is_due_in_one_minute_leaves_with_one_call_of_every_part_and_few_calls() {
    const DUE: u64 = 1000;
    let report = measure(&format!("release --due {DUE} --workspaces 4")).await;
    assert_eq!((count(&report, "/sent"), count(&report, "/minutes")), (DUE, 1), "each is sent once");
    let calls = |operation: &str| count(&report, &format!("/spent/calls/release/{operation}"));
    assert!(calls("sqs:SendMessageBatch") <= DUE / 10 + 64, "a partition's last call may have fewer than ten");
    assert!(calls("dynamodb:BatchWriteItem") <= DUE / 25 + 64, "and its last delete fewer than 25");
    // 64 partitions of due items, 8 of the index, 32 of lanes.
    assert_eq!(count(&report, "/idleCalls"), 104);
}

#[tokio::test]
async fn every_event_goes_to_every_webhook_of_a_workspace_with_few_reads() {
    const WEBHOOKS: u64 = 100;
    const EVENTS: u64 = 20;
    let report = measure(&format!("large --webhooks {WEBHOOKS} --events {EVENTS} --patience 120")).await;
    assert_eq!(
        (count(&report, "/sent"), count(&report, "/timeouts")),
        (WEBHOOKS * (EVENTS + 1), 0),
        "each is sent once"
    );
    // One look at the root for each invocation, and in a process that has not seen the index one at its pages.
    let (invocations, reads) = (count(&report, "/invocations"), count(&report, "/indexReads"));
    assert!(reads <= invocations + CONCURRENCY, "{reads} reads of the index in {invocations} invocations");
    assert_eq!(count(&report, "/rootUnits"), 1);
}
