//! Retries that wait for longer than a message may be under way are parked, and the release
//! function brings them back.

use posthaste_tests::{Action, Aim, Aimed, Answer, Posthaste, RECORD, SOON, Settings, eventually};
use serde_json::{Value, json};

/// The SDK makes fewer tries of a call, so the function itself has to cope with the failure.
const THROTTLED: u32 = 6;

/// Makes a webhook whose first request fails, and then waits about 10 minutes.
async fn failing_once(posthaste: &Posthaste, profile: &str) -> Value {
    let webhook = posthaste
        .register_with("mine", json!({ "profile": profile, "retrySchedule": [600, 600] }))
        .await;
    let responses = [Answer::status(500, 1)].into();
    posthaste.system.inbox().set("mine", Settings { responses, ..Settings::default() });
    webhook
}

/// Makes a webhook with a delivery that has failed once and waits about 10 minutes.
async fn parked(posthaste: &Posthaste, profile: &str) -> Value {
    let webhook = failing_once(posthaste, profile).await;
    let events: Vec<Value> =
        (0..3).map(|n| json!({ "type": "order.created", "data": { "n": n } })).collect();
    let events = if profile == "spektr" { events } else { events[..1].to_vec() };
    posthaste.api.ok(reqwest::Method::POST, "/events", json!({ "events": events })).await;
    posthaste.deliveries(&webhook, "pending", 1).await;
    posthaste.idle().await;
    webhook
}

/// Waits until a fault has hit as often as it should. Messages that a killed function held come
/// again at once.
async fn hit_by(posthaste: &Posthaste, function: &str, aimed: &Aimed, action: &Action, times: u32) {
    eventually("the fault hits", async || (aimed.hits() == times).then_some(())).await;
    if matches!(action, Action::KillBefore | Action::KillAfter) {
        let crashes = || posthaste.system.metrics().functions[function].crashes;
        eventually("it is killed", async || (crashes() == u64::from(times)).then_some(())).await;
        posthaste.come_again();
    }
}

/// Waits until this many items wait for their time and nothing is under way.
async fn comes_to_wait(posthaste: &Posthaste, count: usize) {
    posthaste.idle().await;
    assert_eq!(posthaste.due_items().await.len(), count);
}

fn times_of(action: &Action) -> u32 {
    if *action == Action::Fail { THROTTLED } else { 1 }
}

/// Lets what is parked go out and succeed, so that nothing is left.
async fn goes_out(posthaste: &Posthaste, webhook: &Value, count: usize) {
    posthaste.system.inbox().respond_by_default("mine", None);
    posthaste.fast_forward_parked().await;
    posthaste.release().await;
    posthaste.deliveries(webhook, "succeeded", count).await;
    posthaste.idle().await;
    assert_eq!(posthaste.due_items().await.len(), 0);
}

#[tokio::test]
async fn a_long_wait_is_parked_and_released_when_it_is_over() {
    let posthaste = Posthaste::start().await;
    let webhook = parked(&posthaste, "standard").await;
    let waits = posthaste.due_items().await;
    assert_eq!(waits.len(), 1);
    assert!(
        posthaste.scan("attribute_exists(dueShard)", Value::Null).await.is_empty(),
        "the index does not know it"
    );
    let delivery = posthaste.deliveries(&webhook, "pending", 1).await.remove(0);
    let failed: u64 = posthaste.system.inbox().arrived("mine")[0].at_ms;
    let due: u64 =
        waits[0]["sk"]["S"].as_str().unwrap().split('#').next().unwrap().parse().unwrap();
    assert!(
        (478_000..725_000).contains(&(due - failed)),
        "{} ms: 600 s and a fifth either way",
        due - failed
    );
    posthaste.system.tick("release").await.unwrap();
    posthaste.idle().await;
    assert_eq!(posthaste.system.inbox().arrived("mine").len(), 1, "it is not due yet");
    posthaste.fast_forward_parked().await;
    posthaste.system.tick("release").await.unwrap();
    eventually("it is measured that something was due", async || {
        posthaste.lines("release").iter().any(|line| line.contains("\"OldestDue\":")).then_some(())
    })
    .await;
    let done = posthaste.deliveries(&webhook, "succeeded", 1).await.remove(0);
    assert_eq!((&done["id"], done["attempts"].as_array().unwrap().len()), (&delivery["id"], 2));
    assert_eq!(posthaste.due_items().await.len(), 0);
    posthaste.system.tick("release").await.unwrap();
    posthaste.idle().await;
    assert_eq!(
        posthaste.system.inbox().arrived("mine").len(),
        2,
        "once for each time that it is due"
    );
}

/// Asserts that the batch of the request that failed was sent again with the same body.
async fn came_back_as_it_was(posthaste: &Posthaste) {
    let arrived = posthaste.system.inbox().arrived("mine");
    let failed = &arrived[0];
    let again = arrived
        .iter()
        .skip(1)
        .find(|request| request.headers["webhook-id"] == failed.headers["webhook-id"]);
    assert_eq!(again.map(|request| &request.body), Some(&failed.body));
    let body: Value = serde_json::from_str(&failed.body).unwrap();
    assert!(
        body["results"].as_array().unwrap().len() > 1,
        "events of one call are due together: {body}"
    );
}

#[tokio::test]
async fn a_parked_batch_comes_back_as_it_was() {
    let posthaste = Posthaste::start().await;
    let webhook = parked(&posthaste, "spektr").await;
    posthaste.fast_forward_parked().await;
    posthaste.system.tick("release").await.unwrap();
    posthaste.deliveries(&webhook, "succeeded", 3).await;
    posthaste.idle().await;
    came_back_as_it_was(&posthaste).await;
}

/// Each message of the batch comes again by itself, and parks its own delivery.
#[tokio::test]
async fn a_batch_whose_function_died_before_it_was_parked_comes_back_as_it_was() {
    for action in [Action::KillBefore, Action::KillAfter, Action::Fail] {
        let posthaste = Posthaste::start().await;
        let webhook = failing_once(&posthaste, "spektr").await;
        let times = times_of(&action);
        let aim = Aim::at("deliver", "dynamodb:BatchWriteItem", action.clone()).times(times);
        let aimed = posthaste.system.faults().aim(aim);
        let events: Vec<Value> =
            (0..3).map(|n| json!({ "type": "order.created", "data": { "n": n } })).collect();
        posthaste.api.ok(reqwest::Method::POST, "/events", json!({ "events": events })).await;
        hit_by(&posthaste, "deliver", &aimed, &action, times).await;
        let members = async || {
            let body: Value =
                serde_json::from_str(&posthaste.system.inbox().arrived("mine")[0].body).unwrap();
            body["results"].as_array().unwrap().len()
        };
        let whole = usize::from(action == Action::KillAfter);
        comes_to_wait(&posthaste, members().await + whole).await;
        goes_out(&posthaste, &webhook, 3).await;
        came_back_as_it_was(&posthaste).await;
    }
}

#[tokio::test]
async fn a_release_killed_at_any_call_loses_nothing() {
    for operation in ["dynamodb:Query", "sqs:SendMessageBatch", "dynamodb:BatchWriteItem"] {
        for action in [Action::KillBefore, Action::KillAfter] {
            let posthaste = Posthaste::start().await;
            let webhook = parked(&posthaste, "standard").await;
            posthaste.fast_forward_parked().await;
            let aimed =
                posthaste.system.faults().aim(Aim::at("release", operation, action.clone()));
            let killed = posthaste.system.tick("release").await;
            assert!(killed.is_err() && aimed.hits() == 1, "{operation} {action:?}");
            posthaste.system.tick("release").await.unwrap();
            posthaste.deliveries(&webhook, "succeeded", 1).await;
            posthaste.idle().await;
            assert_eq!(posthaste.due_items().await.len(), 0);
            let arrived = posthaste.system.inbox().arrived("mine").len();
            assert!((2..=3).contains(&arrived), "{operation} {action:?}: {arrived} requests");
        }
    }
}

#[tokio::test]
async fn a_release_whose_calls_are_throttled_loses_nothing() {
    // A part makes 13 queries at once, and all of them fail.
    for (operation, times) in [
        ("dynamodb:Query", 13 * THROTTLED),
        ("sqs:SendMessageBatch", THROTTLED),
        ("dynamodb:BatchWriteItem", THROTTLED),
    ] {
        let posthaste = Posthaste::start().await;
        let webhook = parked(&posthaste, "standard").await;
        posthaste.fast_forward_parked().await;
        let aimed =
            posthaste.system.faults().aim(Aim::at("release", operation, Action::Fail).times(times));
        eventually("it is released in the end", async || {
            let ticked = posthaste.system.tick("release").await.is_ok();
            (ticked && aimed.hits() == times).then_some(())
        })
        .await;
        posthaste.deliveries(&webhook, "succeeded", 1).await;
        posthaste.idle().await;
        assert_eq!(posthaste.due_items().await.len(), 0);
    }
}

#[tokio::test]
async fn two_releases_of_one_part_at_once_lose_nothing() {
    let posthaste = Posthaste::start().await;
    let webhook = parked(&posthaste, "standard").await;
    posthaste.fast_forward_parked().await;
    let aimed =
        posthaste.system.faults().aim(Aim::at("release", "sqs:SendMessageBatch", Action::Pause));
    let release = posthaste.system.function("release").unwrap();
    // An event that names no part asks for all of them.
    let first = release.invoke("{}".into());
    let second = async {
        tokio::time::timeout(SOON, aimed.hit()).await.expect("the first one has read the item");
        let second = release.invoke("{}".into()).await;
        aimed.release();
        second
    };
    let (first, second) = futures::join!(first, second);
    assert!(first.is_ok() && second.is_ok());
    posthaste.deliveries(&webhook, "succeeded", 1).await;
    posthaste.idle().await;
    assert_eq!(posthaste.due_items().await.len(), 0);
    assert!(posthaste.system.inbox().arrived("mine").len() <= 3, "each release sent it once");
}

#[tokio::test]
async fn a_deliver_that_dies_while_it_parks_loses_nothing() {
    // A record that can't be inserted is updated instead.
    for (operation, or) in [(RECORD, "dynamodb:UpdateItem"), ("dynamodb:BatchWriteItem", "")] {
        for action in [Action::KillBefore, Action::KillAfter, Action::Lose, Action::Fail] {
            let posthaste = Posthaste::start().await;
            let webhook =
                posthaste.register_with("mine", json!({ "retrySchedule": vec![600; 30] })).await;
            posthaste.system.inbox().respond_by_default("mine", Some(Answer::status(500, 1)));
            let times = times_of(&action);
            let aim = Aim::at("deliver", operation, action.clone()).or(or).times(times);
            let aimed = posthaste.system.faults().aim(aim);
            posthaste.api.publish("order.created", json!({})).await;
            hit_by(&posthaste, "deliver", &aimed, &action, times).await;
            comes_to_wait(&posthaste, 1).await;
            goes_out(&posthaste, &webhook, 1).await;
        }
    }
}

#[tokio::test]
async fn a_turn_that_dies_while_it_parks_loses_nothing() {
    for action in [Action::KillBefore, Action::KillAfter, Action::Fail] {
        let posthaste = Posthaste::start().await;
        let webhook = failing_once(&posthaste, "standard").await;
        posthaste.hold(&webhook, "slow").await;
        posthaste.api.publish("order.created", json!({})).await;
        posthaste.backlog_of(&webhook, 1).await;
        let times = times_of(&action);
        let aim = Aim::at("drain", "dynamodb:BatchWriteItem", action.clone()).times(times);
        let aimed = posthaste.system.faults().aim(aim);
        posthaste.wake(&webhook).await;
        tokio::time::timeout(SOON, aimed.hit()).await.expect("the fault hits");
        eventually("it is parked, and not in the backlog any more", async || {
            posthaste.forget_killed_turn(&webhook).await;
            let is_over = aimed.hits() == times && posthaste.backlog(&webhook).await.is_empty();
            (is_over && posthaste.due_items().await.len() == 1).then_some(())
        })
        .await;
        assert_eq!(
            posthaste.system.inbox().arrived("mine").len(),
            1,
            "{action:?}: its record tells that it waits"
        );
        posthaste.set_lane(&webhook, json!({ "phase": null })).await;
        posthaste.fast_forward_parked().await;
        posthaste.release().await;
        eventually("it is made again", async || {
            posthaste.forget_killed_turn(&webhook).await;
            (posthaste.system.inbox().arrived("mine").len() == 2).then_some(())
        })
        .await;
    }
}

/// The version before wrote into the record when a parked retry is due, for the index.
#[tokio::test]
async fn what_the_version_before_has_parked_is_released_too() {
    for (operation, action) in [
        ("dynamodb:BatchGetItem", Action::KillAfter),
        ("dynamodb:UpdateItem", Action::KillBefore),
        ("dynamodb:UpdateItem", Action::KillAfter),
    ] {
        let posthaste = Posthaste::start().await;
        let webhook = parked(&posthaste, "standard").await;
        let item = posthaste.due_items().await.remove(0);
        let table = posthaste.deliveries_table();
        let key = |item: &Value| json!({ "pk": item["pk"], "sk": item["sk"] });
        let delete = json!({ "TableName": table, "Key": key(&item) });
        posthaste.system.dynamodb().call("DeleteItem", &delete).await.unwrap();
        let record = posthaste.scan("attribute_exists(notBefore)", Value::Null).await.remove(0);
        let update = json!({
            "TableName": table, "Key": key(&record),
            "UpdateExpression": "SET dueAt = :past, notBefore = :past, dueShard = :shard",
            "ExpressionAttributeValues": { ":past": { "N": "1000" }, ":shard": { "S": "5" } },
        });
        posthaste.system.dynamodb().call("UpdateItem", &update).await.unwrap();
        let aimed = posthaste.system.faults().aim(Aim::at("release", operation, action.clone()));
        assert!(
            posthaste.system.tick("release").await.is_err() && aimed.hits() == 1,
            "{operation} {action:?}"
        );
        posthaste.system.tick("release").await.unwrap();
        posthaste.deliveries(&webhook, "succeeded", 1).await;
        assert!(posthaste.scan("attribute_exists(dueAt)", Value::Null).await.is_empty());
    }
}

/// Puts this many due items of another workspace, which have been due for longer, into a partition.
async fn storm(posthaste: &Posthaste, shard: u8, count: usize) {
    let task =
        json!({ "workspace": "storm", "webhook": 999_999, "recorded": true, "deliveries": [] });
    let keys: Vec<String> = (0..count).map(|n| format!("{:013}#storm#999999#{n}", 1)).collect();
    posthaste.put_due(shard, &keys, &task).await;
}

/// Finds the partition of the only due item.
async fn shard_of_the_one(posthaste: &Posthaste) -> u8 {
    posthaste.due_items().await[0]["pk"]["S"].as_str().unwrap()["#due#".len()..].parse().unwrap()
}

/// The partitions of a part take turns, a page each.
#[tokio::test]
async fn however_much_one_workspace_has_due_another_one_leaves_in_the_first_rounds() {
    const STORM: usize = 5000;
    const FIRST_ROUNDS: u32 = 60;
    let posthaste = Posthaste::start().await;
    let webhook = parked(&posthaste, "standard").await;
    posthaste.fast_forward_parked().await;
    let shard = shard_of_the_one(&posthaste).await;
    // Another partition of the same part.
    storm(&posthaste, if shard.is_multiple_of(8) { shard + 1 } else { shard - 1 }, STORM).await;
    let aim = Aim::at("release", "sqs:SendMessageBatch", Action::KillBefore).skip(FIRST_ROUNDS);
    let aimed = posthaste.system.faults().aim(aim);
    assert!(posthaste.system.tick("release").await.is_err() && aimed.hits() == 1);
    posthaste.deliveries(&webhook, "succeeded", 1).await;
    let left = posthaste.due_items().await.len();
    assert!(left >= STORM - 10 * FIRST_ROUNDS as usize, "{left} of the storm are left");
}

#[tokio::test]
async fn what_is_refused_does_not_hold_up_what_comes_after_it() {
    let posthaste = Posthaste::start().await;
    let webhook = parked(&posthaste, "standard").await;
    posthaste.fast_forward_parked().await;
    storm(&posthaste, shard_of_the_one(&posthaste).await, 401).await;
    // The first message of every call.
    let aim =
        Aim::at("release", "sqs:SendMessageBatch", Action::FailEntries(vec![0])).times(100_000);
    posthaste.system.faults().aim(aim);
    assert!(posthaste.system.tick("release").await.is_err(), "something could not be sent");
    posthaste.deliveries(&webhook, "succeeded", 1).await;
    assert!(!posthaste.due_items().await.is_empty(), "what was refused is left for the next call");
}
