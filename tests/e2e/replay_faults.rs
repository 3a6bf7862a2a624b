//! Many deliveries are replayed while functions die and calls fail: nothing is lost, and every
//! delivery is counted once.

use std::time::Duration;

use posthaste_tests::{Action, Aim, Posthaste, eventually};
use reqwest::Method;
use serde_json::{Value, json};

use crate::replay_job::{LONG_AGO, begin, counts, failed, job, over, path, replayed, start};

/// Waits until a job is over. Messages that killed functions held come again soon.
async fn over_despite(posthaste: &Posthaste, webhook: &Value, begun: &Value) -> Value {
    eventually("the replay is over", async || {
        posthaste.hurry();
        tokio::time::sleep(Duration::from_millis(300)).await;
        let job = job(posthaste, webhook, begun).await;
        (job["status"] != "running").then_some(job)
    })
    .await
}

/// Kills the function at each of its calls in turn.
async fn killed(action: Action) {
    let posthaste = start().await;
    let webhook = failed(&posthaste, "mine", 7).await;
    let calls = [
        ("dynamodb:GetItem", 0),
        ("dynamodb:GetItem", 1),
        ("dynamodb:GetItem", 2),
        ("dynamodb:Query", 0),
        ("dynamodb:Query", 9),
        ("sqs:SendMessageBatch", 0),
        ("sqs:SendMessageBatch", 1),
        ("dynamodb:UpdateItem", 0),
        ("dynamodb:UpdateItem", 2),
    ];
    let mut replays = 0;
    for (operation, skip) in calls {
        let aim = Aim::at("replay", operation, action.clone()).skip(skip);
        let aimed = posthaste.system.faults().aim(aim);
        let begun = begin(&posthaste, &webhook, json!({ "since": LONG_AGO })).await;
        let done = over_despite(&posthaste, &webhook, &begun).await;
        assert_eq!(aimed.hits(), 1, "{operation} {skip} {action:?}");
        assert_eq!(counts(&done), ("done", 7, 7), "{operation} {skip} {action:?}");
        replays += 7;
        replayed(&posthaste, &webhook, replays).await;
    }
}

#[tokio::test]
async fn a_replay_killed_before_any_call_goes_on_and_counts_exactly() {
    killed(Action::KillBefore).await;
}

#[tokio::test]
async fn a_replay_killed_after_any_call_goes_on_and_counts_exactly() {
    killed(Action::KillAfter).await;
}

#[tokio::test]
async fn a_replay_whose_calls_fail_or_lose_their_answers_goes_on_and_counts_exactly() {
    let posthaste = start().await;
    let webhook = failed(&posthaste, "mine", 7).await;
    let mut replays = 0;
    for operation in
        ["dynamodb:GetItem", "dynamodb:Query", "sqs:SendMessageBatch", "dynamodb:UpdateItem"]
    {
        for (action, times) in [(Action::Fail, 6), (Action::Lose, 1)] {
            let aim = Aim::at("replay", operation, action.clone()).times(times);
            let aimed = posthaste.system.faults().aim(aim);
            let begun = begin(&posthaste, &webhook, json!({ "since": LONG_AGO })).await;
            let done = over_despite(&posthaste, &webhook, &begun).await;
            assert!(aimed.hits() >= 1, "{operation} {action:?}");
            assert_eq!(counts(&done), ("done", 7, 7), "{operation} {action:?}");
            replays += 7;
            replayed(&posthaste, &webhook, replays).await;
        }
    }
}

#[tokio::test]
async fn a_call_that_dies_leaves_a_replay_that_runs_or_none() {
    let posthaste = start().await;
    let webhook = failed(&posthaste, "mine", 4).await;
    for operation in ["sqs:SendMessageBatch", "dynamodb:TransactWriteItems"] {
        for action in [Action::KillBefore, Action::KillAfter, Action::Lose] {
            let aimed =
                posthaste.system.faults().aim(Aim::at("register", operation, action.clone()));
            let (status, answer) = posthaste
                .api
                .call(Method::POST, &path(&webhook), json!({ "since": LONG_AGO }))
                .await;
            assert_eq!(aimed.hits(), 1, "{operation} {action:?}");
            if action == Action::Lose {
                assert_eq!(status, 202, "{operation}: {answer}");
                assert_eq!(
                    counts(&over(&posthaste, &webhook, &answer["data"]).await),
                    ("done", 4, 4)
                );
                continue;
            }
            assert!(status >= 500, "{operation} {action:?}: {answer}");
            // The next call finds nothing that blocks it for long.
            let begun = eventually("a replay can begin", async || {
                posthaste.hurry();
                tokio::time::sleep(Duration::from_millis(300)).await;
                let (status, answer) = posthaste
                    .api
                    .call(Method::POST, &path(&webhook), json!({ "since": LONG_AGO }))
                    .await;
                (status == 202).then(|| answer["data"].clone())
            });
            let begun = begun.await;
            assert_eq!(
                counts(&over(&posthaste, &webhook, &begun).await),
                ("done", 4, 4),
                "{operation} {action:?}"
            );
        }
    }
}

/// The queue gives a message up after a hundred receives, without a reason, and the job would be
/// `running` for ever.
#[tokio::test]
async fn a_page_that_waits_for_the_backlog_for_long_goes_on_as_a_new_message() {
    let posthaste = start().await;
    let webhook = failed(&posthaste, "mine", 4).await;
    posthaste.hold(&webhook, "slow").await;
    let begun = begin(&posthaste, &webhook, json!({ "since": LONG_AGO })).await;
    posthaste.backlog_of(&webhook, 3).await;
    let depth = |output| posthaste.system.metrics().queues[&posthaste.queue(output)];
    eventually("its message is a new one that comes later", async || {
        posthaste.hurry();
        let depth = depth("ReplayQueueUrl");
        (depth.delayed == 1 && depth.visible + depth.in_flight == 0).then_some(())
    })
    .await;
    assert_eq!(depth("ReplayDeadLetterQueueUrl").visible, 0);
    assert_eq!(counts(&job(&posthaste, &webhook, &begun).await), ("running", 3, 3));
}
