//! Operators see the whole deployment through the API, and send dead letters back with it.

use posthaste_tests::{Action, Aim, Answer, Api, Posthaste, eventually};
use reqwest::Method;
use serde_json::{Value, json};

const LETTERS: &str = "/deployment/dead-letters?queue=";
const REDRIVES: &str = "/deployment/redrives";
/// The SDK repeats a call, so it takes some faults to make it fail.
const FAULTS: u32 = 20;

async fn figures(api: &Api) -> Value {
    api.ok(Method::GET, "/deployment", Value::Null).await
}

/// Looks at the dead letters of a queue until there are as many as wanted.
async fn letters(api: &Api, queue: &str, count: usize) -> Vec<Value> {
    let path = format!("{LETTERS}{queue}&limit=50");
    eventually(&format!("{queue} has {count} dead letters"), async || {
        let looked = api.ok(Method::GET, &path, Value::Null).await;
        assert_eq!(looked["queue"], queue);
        let items = looked["items"].as_array().unwrap().clone();
        (items.len() == count).then_some(items)
    })
    .await
}

/// Makes a webhook whose endpoint fails, and this many exhausted deliveries.
async fn exhausted(posthaste: &Posthaste, count: usize) -> Value {
    let settings = json!({ "events": ["order.created"], "retrySchedule": [] });
    let webhook = posthaste.register_with("mine", settings).await;
    posthaste.system.inbox().respond_by_default("mine", Some(Answer::status(500, 1)));
    for n in 0..count {
        posthaste.api.publish("order.created", json!({ "n": n })).await;
    }
    posthaste.deliveries(&webhook, "exhausted", count).await;
    posthaste.idle().await;
    webhook
}

/// The latest redrive of a queue.
async fn redrive(api: &Api, queue: &str) -> Option<Value> {
    let all = api.ok(Method::GET, REDRIVES, Value::Null).await;
    let mut items = all["items"].as_array().unwrap().iter();
    items.find(|item| item["queue"] == queue).cloned()
}

async fn redrive_is(api: &Api, queue: &str, status: &str) -> Value {
    eventually(&format!("the redrive of {queue} is {status}"), async || {
        redrive(api, queue).await.filter(|redrive| redrive["status"] == status)
    })
    .await
}

fn exactly(count: u64) -> Value {
    json!({ "count": count, "atLeast": false })
}

#[tokio::test]
async fn the_figures_tell_what_waits_and_why() {
    let posthaste = Posthaste::start().await;
    let before = figures(&posthaste.api).await;
    assert_eq!(before["version"], env!("CARGO_PKG_VERSION"));
    assert!(before["stage"].is_string(), "{before}");
    assert_eq!((&before["oldestDue"], &before["exhausted"]), (&Value::Null, &json!(0)));
    let nothing = json!({ "webhooks": exactly(0), "tasks": exactly(0) });
    let mut waiting = json!({
        "retries": exactly(0), "processEnd": exactly(0), "limited": nothing, "slow": nothing,
        "sick": nothing, "recovering": nothing,
    });
    assert_eq!(before["waiting"], waiting);

    exhausted(&posthaste, 1).await;
    let settings = json!({ "events": ["order.shipped"], "retrySchedule": [600, 600] });
    posthaste.register_with("parked", settings).await;
    posthaste.system.inbox().respond_by_default("parked", Some(Answer::status(500, 1)));
    let settings =
        json!({ "profile": "spektr", "timing": "process_end", "events": ["service_run"] });
    posthaste.register_with("held", settings).await;
    for (reason, event_type) in [("slow", "order.cancelled"), ("sick", "inventory.sold")] {
        let webhook = posthaste.register_with(reason, json!({ "events": [event_type] })).await;
        posthaste.hold(&webhook, reason).await;
        posthaste.api.publish(event_type, json!({})).await;
        posthaste.backlog_of(&webhook, 1).await;
    }
    posthaste.api.publish("order.shipped", json!({})).await;
    let run = json!({
        "processType": "onboarding", "processName": "Onboarding", "processId": "1",
        "contextId": "1", "vendorType": "kyc",
    });
    posthaste.api.publish("service_run", run).await;
    posthaste.send("EventsQueueUrl", &["{".to_owned()]).await;

    waiting["retries"] = exactly(1);
    waiting["processEnd"] = exactly(1);
    let one = json!({ "webhooks": exactly(1), "tasks": exactly(1) });
    (waiting["slow"], waiting["sick"]) = (one.clone(), one);
    let after = eventually("everything waits that shall wait", async || {
        let figures = figures(&posthaste.api).await;
        let dead = &figures["queues"][0]["deadLetters"];
        (figures["waiting"] == waiting && dead == 1 && figures["exhausted"] == 1).then_some(figures)
    })
    .await;
    let names = after["queues"].as_array().unwrap().iter().map(|queue| queue["name"].clone());
    assert_eq!(names.collect::<Vec<_>>(), ["events", "deliveries", "turns", "replay"]);
    assert_eq!(after["oldestDue"], Value::Null, "nothing is late");

    posthaste.fast_forward_parked().await;
    let late = figures(&posthaste.api).await["oldestDue"].clone();
    assert_eq!(late["dueAt"], "1970-01-01T00:00:01Z");
    assert!(late["lateSeconds"].as_u64() > Some(1_000_000_000), "{late}");
}

#[tokio::test]
async fn a_count_that_meets_its_bound_says_so() {
    let posthaste = Posthaste::start().await;
    let far = 9_999_999_999_999_u64;
    for shard in [3, 60] {
        let keys: Vec<String> =
            (0..300).map(|nth| format!("{far}#default#7#delivery-{nth}")).collect();
        posthaste.put_due(shard, &keys, &json!({})).await;
    }
    let retries = figures(&posthaste.api).await["waiting"]["retries"].clone();
    assert_eq!(retries, json!({ "count": 400, "atLeast": true }));
}

#[tokio::test]
async fn looking_at_dead_letters_shows_them_as_text_and_leaves_them_there() {
    let posthaste = Posthaste::start().await;
    let webhook = exhausted(&posthaste, 1).await;
    for _ in 0..3 {
        let letter = letters(&posthaste.api, "exhausted", 1).await.remove(0);
        let delivery = posthaste.deliveries(&webhook, "exhausted", 1).await.remove(0);
        assert_eq!(letter["reason"], "exhausted");
        assert_eq!((&letter["workspace"], &letter["deliveries"]), (&json!("default"), &json!(1)));
        assert_eq!(letter["webhookId"], webhook["id"]);
        assert_eq!(letter["eventIds"], json!([delivery["eventId"]]));
        assert!(letter["detail"].as_str().unwrap().contains("500"), "{letter}");
        assert_eq!(letter["deadSince"], letter["sentAt"]);
        let body: Value = serde_json::from_str(letter["body"].as_str().unwrap()).unwrap();
        assert_eq!(body["deliveries"][0]["id"], delivery["id"]);
    }

    let hostile = r#"</script><img src=x onerror="alert(1)">"#.to_owned();
    let long = format!("{{{}", "ä".repeat(10_000));
    posthaste.send("EventsQueueUrl", &[hostile.clone(), long.clone()]).await;
    let mut shown = letters(&posthaste.api, "events", 2).await;
    shown.sort_by_key(|letter| letter["bodyBytes"].as_u64());
    assert_eq!((&shown[0]["body"], &shown[0]["bodyBytes"]), (&json!(hostile), &json!(39)));
    let cut = shown[1]["body"].as_str().unwrap();
    assert!(long.starts_with(cut) && (4_093..=4_096).contains(&cut.len()), "{}", cut.len());
    assert_eq!(shown[1]["bodyBytes"], long.len());
    for letter in &shown {
        assert_eq!(letter["reason"], "unreadable_event");
        assert_eq!((&letter["webhookId"], &letter["eventIds"]), (&Value::Null, &json!([])));
    }
    let one = posthaste.api.ok(Method::GET, &format!("{LETTERS}events&limit=1"), Value::Null).await;
    assert_eq!(one["items"].as_array().unwrap().len(), 1);
    for (query, field) in
        [("", "queue"), ("?queue=dead", "queue"), ("?queue=turns&limit=51", "limit")]
    {
        let path = format!("/deployment/dead-letters{query}");
        let (status, answer) = posthaste.api.call(Method::GET, &path, Value::Null).await;
        assert_eq!((status, &answer["error"]["field"]), (422, &json!(field)), "{path}");
    }
}

#[tokio::test]
async fn a_look_that_can_not_let_go_loses_no_letter() {
    let posthaste = Posthaste::start().await;
    posthaste.send("EventsQueueUrl", &["{".to_owned()]).await;
    letters(&posthaste.api, "events", 1).await;
    let change = Aim::at("console", "sqs:ChangeMessageVisibilityBatch", Action::Fail);
    let faults = posthaste.system.faults().aim(change.times(FAULTS));
    let looked = posthaste.api.ok(Method::GET, &format!("{LETTERS}events"), Value::Null).await;
    assert_eq!(looked["items"].as_array().unwrap().len(), 1);
    assert!(faults.hits() > 0);
    faults.end();
    // It comes back after ten seconds; here at once.
    posthaste.system.sqs().expire_in_flight(&posthaste.queue("EventsDeadLetterQueueUrl"));
    letters(&posthaste.api, "events", 1).await;

    let receive = Aim::at("console", "sqs:ReceiveMessage", Action::Forbid);
    let faults = posthaste.system.faults().aim(receive.times(FAULTS));
    let path = format!("{LETTERS}events");
    let (status, answer) = posthaste.api.call(Method::GET, &path, Value::Null).await;
    assert_eq!((status, &answer["error"]["code"]), (500, &json!("internal_error")));
    faults.end();
    letters(&posthaste.api, "events", 1).await;
}

#[tokio::test]
async fn a_redrive_brings_exhausted_deliveries_to_a_mended_receiver() {
    const COUNT: usize = 8;
    let posthaste = Posthaste::start().await;
    let webhook = exhausted(&posthaste, COUNT).await;
    let api = &posthaste.api;
    posthaste.system.inbox().respond_by_default("mine", None);
    let slowly = json!({ "queue": "exhausted", "maxPerSecond": 1 });
    let started = api.ok(Method::POST, REDRIVES, slowly.clone()).await;
    assert_eq!((&started["to"], &started["status"]), (&json!("deliveries"), &json!("running")));
    assert_eq!(started["maxPerSecond"], 1);

    let (status, answer) = api.call(Method::POST, REDRIVES, slowly).await;
    assert_eq!((status, &answer["error"]["code"]), (409, &json!("redrive_running")));
    let running = redrive(api, "exhausted").await.unwrap();
    assert_eq!((&running["status"], &running["toMove"]), (&json!("running"), &json!(COUNT)));
    assert_eq!(running["handle"], started["handle"]);
    let path = format!("{REDRIVES}/exhausted");
    let cancelled = api.ok(Method::DELETE, &path, Value::Null).await;
    assert_eq!(cancelled["status"], "cancelling");
    let ended = redrive_is(api, "exhausted", "cancelled").await;
    assert_eq!((&ended["moved"], &ended["handle"]), (&cancelled["moved"], &Value::Null));
    assert_eq!(api.call(Method::DELETE, &path, Value::Null).await.0, 404, "none is running");
    let unknown = format!("{REDRIVES}/dead");
    assert_eq!(api.call(Method::DELETE, &unknown, Value::Null).await.0, 404);
    let moved = cancelled["moved"].as_u64().unwrap();
    assert!((1..COUNT as u64).contains(&moved), "{cancelled}");
    letters(api, "exhausted", COUNT - usize::try_from(moved).unwrap()).await;

    api.ok(Method::POST, REDRIVES, json!({ "queue": "exhausted" })).await;
    redrive_is(api, "exhausted", "completed").await;
    let delivered = posthaste.deliveries(&webhook, "succeeded", COUNT).await;
    for delivery in delivered {
        assert_eq!(delivery["attempts"].as_array().unwrap().len(), 2, "one more attempt");
    }
    letters(api, "exhausted", 0).await;
}

#[tokio::test]
async fn the_letters_of_every_queue_can_be_looked_at_and_sent_back() {
    let posthaste = Posthaste::start().await;
    let api = &posthaste.api;
    for (queue, output) in [
        ("events", "EventsDeadLetterQueueUrl"),
        ("deliveries", "DeliveriesDeadLetterQueueUrl"),
        ("turns", "TurnsDeadLetterQueueUrl"),
        ("replay", "ReplayDeadLetterQueueUrl"),
        ("exhausted", "ExhaustedDeliveriesQueueUrl"),
    ] {
        posthaste.send(output, &["?".to_owned()]).await;
        let letter = letters(api, queue, 1).await.remove(0);
        assert_eq!((&letter["reason"], &letter["workspace"]), (&Value::Null, &Value::Null));
        api.ok(Method::POST, REDRIVES, json!({ "queue": queue })).await;
        assert_eq!(redrive_is(api, queue, "completed").await["moved"], 1);
        // It is no message of any queue, so its function writes it as a letter again.
        let again = if queue == "exhausted" { "deliveries" } else { queue };
        let count = if queue == "exhausted" { 2 } else { 1 };
        let reason = letters(api, again, count).await[0]["reason"].clone();
        assert!(reason.as_str().unwrap().starts_with("unreadable_"), "{queue}: {reason}");
    }
}

#[tokio::test]
async fn only_live_keys_with_the_scope_see_the_deployment() {
    let posthaste = Posthaste::start().await;
    let scopes = json!(["keys:manage", "webhooks:manage"]);
    let without = posthaste.api.with_new_key(json!({ "scopes": scopes })).await;
    let key = json!({ "scopes": ["workspaces:manage"], "environment": "test" });
    let test = posthaste.api.with_new_key(key).await;
    let redrive = json!({ "queue": "events" });
    for (method, path, body) in [
        (Method::GET, "/deployment", Value::Null),
        (Method::GET, "/deployment/dead-letters?queue=events", Value::Null),
        (Method::GET, REDRIVES, Value::Null),
        (Method::POST, REDRIVES, redrive),
        (Method::DELETE, "/deployment/redrives/events", Value::Null),
    ] {
        for (api, code) in [(&without, "forbidden"), (&test, "live_mode_only")] {
            let (status, answer) = api.call(method.clone(), path, body.clone()).await;
            assert_eq!((status, &answer["error"]["code"]), (403, &json!(code)), "{method} {path}");
        }
    }
}
