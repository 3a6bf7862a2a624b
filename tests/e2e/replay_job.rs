//! A replay of many deliveries is a job that nothing stops but a person.

use std::collections::BTreeSet;

use posthaste_local::binaries;
use posthaste_tests::{Action, Aim, Answer, Posthaste, eventually};
use reqwest::Method;
use serde_json::{Value, json};

pub(crate) const LONG_AGO: &str = "2020-01-01T00:00:00Z";

/// Starts a system whose replays have pages of three.
pub(crate) async fn start() -> Posthaste {
    let template = binaries::template().unwrap();
    let small = template.replace("REPLAY_PAGE: \"500\"", "REPLAY_PAGE: \"3\"");
    assert_ne!(small, template);
    Posthaste::with_template(small).await
}

/// Makes a webhook with this many exhausted deliveries. Its endpoint takes everything after that.
pub(crate) async fn failed(posthaste: &Posthaste, inbox: &str, count: usize) -> Value {
    let webhook = posthaste.register_with(inbox, json!({ "retrySchedule": [] })).await;
    posthaste.system.inbox().respond_by_default(inbox, Some(Answer::status(500, 1)));
    publish(posthaste, count).await;
    posthaste.deliveries(&webhook, "exhausted", count).await;
    posthaste.system.inbox().respond_by_default(inbox, None);
    webhook
}

async fn publish(posthaste: &Posthaste, count: usize) {
    let events: Vec<Value> =
        (0..count).map(|n| json!({ "type": "order.created", "data": { "n": n } })).collect();
    posthaste.api.ok(Method::POST, "/events", json!({ "events": events })).await;
}

pub(crate) fn path(webhook: &Value) -> String {
    format!("/webhooks/{}/replay", webhook["id"])
}

pub(crate) async fn begin(posthaste: &Posthaste, webhook: &Value, asked: Value) -> Value {
    let job = posthaste.api.ok(Method::POST, &path(webhook), asked).await;
    assert_eq!(job["status"], "running");
    job
}

pub(crate) async fn job(posthaste: &Posthaste, webhook: &Value, job: &Value) -> Value {
    let path = format!("{}/{}", path(webhook), job["id"].as_str().unwrap());
    posthaste.api.ok(Method::GET, &path, Value::Null).await
}

/// Waits until a job is over.
pub(crate) async fn over(posthaste: &Posthaste, webhook: &Value, begun: &Value) -> Value {
    eventually("the replay is over", async || {
        let job = job(posthaste, webhook, begun).await;
        (job["status"] != "running").then_some(job)
    })
    .await
}

/// Lists all deliveries of a webhook with this cause.
async fn history(posthaste: &Posthaste, webhook: &Value, cause: &str) -> Vec<Value> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/webhooks/{}/deliveries?limit=100{cursor}", webhook["id"]);
        let page = posthaste.api.ok(Method::GET, &path, Value::Null).await;
        all.extend(
            page["items"].as_array().unwrap().iter().filter(|item| item["cause"] == cause).cloned(),
        );
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

/// Waits until this many replays have succeeded and nothing else is under way, and returns them.
pub(crate) async fn replayed(posthaste: &Posthaste, webhook: &Value, count: usize) -> Vec<Value> {
    let replays = eventually("all replays have succeeded", async || {
        let replays = history(posthaste, webhook, "replay").await;
        (replays.len() >= count && replays.iter().all(|replay| replay["status"] == "succeeded"))
            .then_some(replays)
    });
    let replays = replays.await;
    assert_eq!(replays.len(), count);
    replays
}

pub(crate) fn counts(job: &Value) -> (&str, u64, u64) {
    (
        job["status"].as_str().unwrap(),
        job["examined"].as_u64().unwrap(),
        job["replayed"].as_u64().unwrap(),
    )
}

#[tokio::test]
async fn all_that_failed_is_delivered_again_page_by_page() {
    let posthaste = start().await;
    let webhook = failed(&posthaste, "mine", 7).await;
    publish(&posthaste, 2).await;
    posthaste.deliveries(&webhook, "succeeded", 2).await;
    let begun = begin(&posthaste, &webhook, json!({ "since": LONG_AGO })).await;
    assert_eq!(counts(&over(&posthaste, &webhook, &begun).await), ("done", 9, 7));
    let replays = replayed(&posthaste, &webhook, 7).await;
    let failed: BTreeSet<String> = posthaste
        .deliveries(&webhook, "exhausted", 7)
        .await
        .iter()
        .map(|item| item["eventId"].to_string())
        .collect();
    assert_eq!(
        replays.iter().map(|item| item["eventId"].to_string()).collect::<BTreeSet<_>>(),
        failed
    );
    posthaste.idle().await;
    assert_eq!(posthaste.system.inbox().arrived("mine").len(), 7 + 2 + 7);
    assert!(posthaste.calls("replay", "dynamodb:UpdateItem") >= 3, "it took several pages");
}

#[tokio::test]
async fn all_that_is_over_is_delivered_again_in_its_time_only() {
    let posthaste = start().await;
    let webhook = failed(&posthaste, "mine", 2).await;
    publish(&posthaste, 2).await;
    let succeeded = posthaste.deliveries(&webhook, "succeeded", 2).await;
    let all = json!({ "since": LONG_AGO, "status": "all" });
    let begun = begin(&posthaste, &webhook, all.clone()).await;
    assert_eq!(counts(&over(&posthaste, &webhook, &begun).await), ("done", 4, 4));
    replayed(&posthaste, &webhook, 4).await;
    posthaste.api.ok(Method::POST, &format!("/webhooks/{}/test", webhook["id"]), json!({})).await;
    let begun = begin(&posthaste, &webhook, all).await;
    assert_eq!(
        counts(&over(&posthaste, &webhook, &begun).await),
        ("done", 4, 4),
        "no replays and no tests"
    );
    replayed(&posthaste, &webhook, 8).await;

    let newest = succeeded[0]["createdAt"].as_str().unwrap();
    let until = json!({ "since": LONG_AGO, "until": newest, "status": "all" });
    let begun = begin(&posthaste, &webhook, until).await;
    let ended = over(&posthaste, &webhook, &begun).await;
    let (status, examined, replayed) = counts(&ended);
    assert_eq!(status, "done");
    assert!(
        (2..4).contains(&examined) && examined == replayed,
        "the newest is not before itself: {examined}"
    );
    let begun = begin(&posthaste, &webhook, json!({ "since": "2099-01-01T00:00:00Z" })).await;
    assert_eq!(counts(&over(&posthaste, &webhook, &begun).await), ("done", 0, 0));
}

#[tokio::test]
async fn what_was_skipped_failed_too() {
    let posthaste = start().await;
    let webhook = posthaste.register_failing("mine", &["*"], 500, 1).await;
    posthaste.api.publish("order.created", json!({})).await;
    posthaste.deliveries(&webhook, "pending", 1).await;
    let of_webhook = format!("/webhooks/{}", webhook["id"]);
    posthaste.api.ok(Method::PATCH, &of_webhook, json!({ "enabled": false })).await;
    posthaste.deliveries(&webhook, "skipped", 1).await;
    let (status, answer) =
        posthaste.api.call(Method::POST, &path(&webhook), json!({ "since": LONG_AGO })).await;
    assert_eq!((status, &answer["error"]["code"]), (409, &json!("webhook_disabled")));
    posthaste.api.ok(Method::PATCH, &of_webhook, json!({ "enabled": true })).await;
    let begun = begin(&posthaste, &webhook, json!({ "since": LONG_AGO })).await;
    assert_eq!(counts(&over(&posthaste, &webhook, &begun).await), ("done", 1, 1));
    replayed(&posthaste, &webhook, 1).await;
}

#[tokio::test]
async fn what_can_share_a_request_shares_it_again() {
    let posthaste = start().await;
    let webhook =
        posthaste.register_with("mine", json!({ "profile": "spektr", "retrySchedule": [] })).await;
    posthaste.system.inbox().respond_by_default("mine", Some(Answer::status(500, 1)));
    publish(&posthaste, 3).await;
    posthaste.deliveries(&webhook, "exhausted", 3).await;
    posthaste.system.inbox().respond_by_default("mine", None);
    let before = posthaste.system.inbox().arrived("mine").len();
    let begun = begin(&posthaste, &webhook, json!({ "since": LONG_AGO })).await;
    assert_eq!(counts(&over(&posthaste, &webhook, &begun).await), ("done", 3, 3));
    replayed(&posthaste, &webhook, 3).await;
    let arrived = posthaste.system.inbox().arrived("mine");
    assert_eq!(arrived.len(), before + 1);
    let body: Value = serde_json::from_str(&arrived[before].body).unwrap();
    let order: Vec<u64> = body["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["data"]["n"].as_u64().unwrap())
        .collect();
    assert_eq!(order.len(), 3);
}

#[tokio::test]
async fn messages_that_come_twice_are_counted_once() {
    let posthaste = start().await;
    let webhook = failed(&posthaste, "mine", 7).await;
    posthaste.system.faults().set("seed=7,duplicate=100%".parse().unwrap());
    let begun = begin(&posthaste, &webhook, json!({ "since": LONG_AGO })).await;
    assert_eq!(counts(&over(&posthaste, &webhook, &begun).await), ("done", 7, 7));
    replayed(&posthaste, &webhook, 7).await;
    posthaste.system.faults().set("".parse().unwrap());
    posthaste.idle().await;

    // Every message once more: the job is over.
    let first =
        json!({ "workspace": "default", "webhook": webhook["id"], "job": begun["id"], "page": 0 });
    let arrived = posthaste.system.inbox().arrived("mine").len();
    posthaste.send("ReplayQueueUrl", &[first.to_string()]).await;
    posthaste.idle().await;
    assert_eq!(counts(&job(&posthaste, &webhook, &begun).await), ("done", 7, 7));
    assert_eq!(posthaste.system.inbox().arrived("mine").len(), arrived);
    posthaste.send("ReplayQueueUrl", &["no page".to_owned()]).await;
    assert_eq!(posthaste.receive("ReplayDeadLetterQueueUrl").await.body, "no page");
}

#[tokio::test]
async fn a_cancelled_replay_sends_no_other_page() {
    let posthaste = start().await;
    let webhook = failed(&posthaste, "mine", 7).await;
    let paused =
        posthaste.system.faults().aim(Aim::at("replay", "dynamodb:UpdateItem", Action::Pause));
    let begun = begin(&posthaste, &webhook, json!({ "since": LONG_AGO })).await;
    tokio::time::timeout(posthaste_tests::SOON, paused.hit())
        .await
        .expect("the first page is sent");
    let of_job = format!("{}/{}", path(&webhook), begun["id"].as_str().unwrap());
    let cancelled = posthaste.api.ok(Method::DELETE, &of_job, Value::Null).await;
    assert_eq!(counts(&cancelled), ("cancelled", 0, 0));
    paused.release();
    let counted = eventually("the page under way is counted", async || {
        let job = job(&posthaste, &webhook, &begun).await;
        (job["replayed"] == 3).then_some(job)
    });
    assert_eq!(counts(&counted.await), ("cancelled", 3, 3));
    posthaste.idle().await;
    replayed(&posthaste, &webhook, 3).await;
    let again = posthaste.api.ok(Method::DELETE, &of_job, Value::Null).await;
    assert_eq!(counts(&again), ("cancelled", 3, 3), "what is over stays as it is");
    let next = begin(&posthaste, &webhook, json!({ "since": LONG_AGO })).await;
    assert_eq!(counts(&over(&posthaste, &webhook, &next).await), ("done", 7, 7));
    assert_eq!(job_status(&posthaste, &webhook, &begun).await, "cancelled");
}

async fn job_status(posthaste: &Posthaste, webhook: &Value, begun: &Value) -> Value {
    job(posthaste, webhook, begun).await["status"].clone()
}

/// The last page is no exception, although it would have made the job done.
#[tokio::test]
async fn a_replay_cancelled_on_its_last_page_stays_cancelled() {
    let posthaste = start().await;
    let webhook = failed(&posthaste, "mine", 2).await;
    let paused =
        posthaste.system.faults().aim(Aim::at("replay", "dynamodb:UpdateItem", Action::Pause));
    let begun = begin(&posthaste, &webhook, json!({ "since": LONG_AGO })).await;
    tokio::time::timeout(posthaste_tests::SOON, paused.hit()).await.expect("the page is sent");
    let of_job = format!("{}/{}", path(&webhook), begun["id"].as_str().unwrap());
    posthaste.api.ok(Method::DELETE, &of_job, Value::Null).await;
    paused.release();
    posthaste.drained("ReplayQueueUrl").await;
    assert_eq!(counts(&job(&posthaste, &webhook, &begun).await), ("cancelled", 2, 2));
}

#[tokio::test]
async fn one_replay_runs_for_a_webhook() {
    let posthaste = start().await;
    let webhook = failed(&posthaste, "mine", 4).await;
    let other = failed(&posthaste, "other", 1).await;
    let paused = posthaste
        .system
        .faults()
        .aim(Aim::at("replay", "dynamodb:GetItem", Action::Pause).times(9));
    let (path, asked) = (path(&webhook), json!({ "since": LONG_AGO }));
    let both = tokio::join!(
        posthaste.api.call(Method::POST, &path, asked.clone()),
        posthaste.api.call(Method::POST, &path, asked.clone()),
    );
    let (begun, refused) = if both.0.0 == 202 { (both.0, both.1) } else { (both.1, both.0) };
    assert_eq!((begun.0, refused.0), (202, 409), "{begun:?} {refused:?}");
    assert_eq!(refused.1["error"]["code"], "replay_running");
    let begun = begun.1["data"].clone();
    assert!(
        refused.1["error"]["message"].as_str().unwrap().contains(begun["id"].as_str().unwrap()),
        "{refused:?}"
    );
    let (status, _) = posthaste.api.call(Method::POST, &path, asked.clone()).await;
    assert_eq!(status, 409);
    let elsewhere = begin(&posthaste, &other, asked.clone()).await;
    paused.release();
    assert_eq!(
        counts(&over(&posthaste, &webhook, &begun).await),
        ("done", 5, 4),
        "the other's event came here too"
    );
    assert_eq!(over(&posthaste, &other, &elsewhere).await["status"], "done");
    begin(&posthaste, &webhook, asked).await;
}

/// Turns a job that is over into one that runs and has stood still at this page for long.
async fn stop_at_page(posthaste: &Posthaste, webhook: &Value, job: &Value, page: u64) {
    let table = &posthaste.system.stack().outputs["DeliveriesTable"];
    let stopped = json!({
        "TableName": table,
        "Key": {
            "pk": { "S": format!("#replay#default#{}", webhook["id"]) }, "sk": { "S": job["id"] },
        },
        "UpdateExpression": "SET #s = :running, page = :page, examined = :zero, replayed = :zero, \
            updatedAt = :old REMOVE #c",
        "ExpressionAttributeNames": { "#s": "status", "#c": "cursor" },
        "ExpressionAttributeValues": {
            ":running": { "S": "running" }, ":page": { "N": page.to_string() },
            ":zero": { "N": "0" }, ":old": { "S": LONG_AGO }
        },
    });
    posthaste.system.dynamodb().call("UpdateItem", &stopped).await.unwrap();
}

/// A job stands still after a dead letter, or if the queue was emptied.
#[tokio::test]
async fn a_replay_whose_message_is_lost_goes_on_when_somebody_asks() {
    let posthaste = start().await;
    let webhook = failed(&posthaste, "mine", 4).await;
    let begun = begin(&posthaste, &webhook, json!({ "since": LONG_AGO })).await;
    over(&posthaste, &webhook, &begun).await;
    replayed(&posthaste, &webhook, 4).await;
    stop_at_page(&posthaste, &webhook, &begun, 0).await;
    let (status, answer) =
        posthaste.api.call(Method::POST, &path(&webhook), json!({ "since": LONG_AGO })).await;
    assert_eq!((status, &answer["error"]["code"]), (409, &json!("replay_running")));
    assert_eq!(counts(&over(&posthaste, &webhook, &begun).await), ("done", 4, 4));
    replayed(&posthaste, &webhook, 4).await;
}

#[tokio::test]
async fn a_replay_of_a_webhook_that_is_paused_meanwhile_fails() {
    let posthaste = start().await;
    let webhook = failed(&posthaste, "mine", 4).await;
    let paused =
        posthaste.system.faults().aim(Aim::at("replay", "dynamodb:GetItem", Action::Pause));
    let begun = begin(&posthaste, &webhook, json!({ "since": LONG_AGO })).await;
    tokio::time::timeout(posthaste_tests::SOON, paused.hit()).await.expect("it begins");
    let of_webhook = format!("/webhooks/{}", webhook["id"]);
    posthaste.api.ok(Method::PATCH, &of_webhook, json!({ "enabled": false })).await;
    paused.release();
    let job = over(&posthaste, &webhook, &begun).await;
    assert_eq!(
        (counts(&job), &job["error"]["code"]),
        (("failed", 0, 0), &json!("webhook_disabled"))
    );
    posthaste.api.ok(Method::PATCH, &of_webhook, json!({ "enabled": true })).await;
    let begun = begin(&posthaste, &webhook, json!({ "since": LONG_AGO })).await;
    assert_eq!(counts(&over(&posthaste, &webhook, &begun).await), ("done", 4, 4));
}

#[tokio::test]
async fn a_replay_of_too_many_pages_fails() {
    let posthaste = start().await;
    let webhook = failed(&posthaste, "mine", 1).await;
    let begun = begin(&posthaste, &webhook, json!({ "since": LONG_AGO })).await;
    over(&posthaste, &webhook, &begun).await;
    stop_at_page(&posthaste, &webhook, &begun, 100_000).await;
    // Whoever asks for another one sets the one that stands still going.
    let (status, _) =
        posthaste.api.call(Method::POST, &path(&webhook), json!({ "since": LONG_AGO })).await;
    assert_eq!(status, 409);
    let job = over(&posthaste, &webhook, &begun).await;
    assert_eq!((counts(&job), &job["error"]["code"]), (("failed", 0, 0), &json!("too_many_pages")));
}

#[tokio::test]
async fn a_replay_is_its_workspaces_and_its_webhooks_own() {
    let posthaste = start().await;
    let webhook = failed(&posthaste, "mine", 1).await;
    let other = posthaste.register_with("other", json!({})).await;
    let elsewhere = posthaste.api.workspace("elsewhere").await;
    let begun = begin(&posthaste, &webhook, json!({ "since": LONG_AGO })).await;
    let id = begun["id"].as_str().unwrap();
    let (status, _) =
        elsewhere.call(Method::POST, &path(&webhook), json!({ "since": LONG_AGO })).await;
    assert_eq!(status, 404);
    for method in [Method::GET, Method::DELETE] {
        for (api, path) in [
            (&elsewhere, format!("{}/{id}", path(&webhook))),
            (&posthaste.api, format!("{}/{id}", path(&other))),
            (&posthaste.api, format!("{}/018566ad-3f93-7f0b-9ed5-36f7ac81ef7b", path(&webhook))),
            (&posthaste.api, format!("{}/latest", path(&webhook))),
        ] {
            let (status, answer) = api.call(method.clone(), &path, Value::Null).await;
            assert_eq!(
                (status, &answer["error"]["code"]),
                (404, &json!("not_found")),
                "{method} {path}"
            );
        }
    }
    assert_eq!(over(&posthaste, &webhook, &begun).await["status"], "done");
}
