//! A request with several events that is too large for its endpoint is divided, and the history
//! says so. The documents' receivers read bodies with `express.json()`, which takes 100 kB unless
//! it is told otherwise, and answers 413 to more.

use posthaste_tests::{Action, Aim, Answer, Arrived, Posthaste, Settings, eventually};
use reqwest::Method;
use serde_json::{Value, json};

use crate::rate_limits::keeps;

/// The most bytes that `express.json()` takes.
const STOCK: usize = 100 * 1024;

/// Registers a webhook for runs of processes, at their end. All events of a run are one request, if
/// the endpoint takes it.
async fn register(posthaste: &Posthaste, settings: Value, max_bytes: usize) -> Value {
    let mut all = json!({ "profile": "spektr", "timing": "process_end" });
    all.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    let webhook = posthaste.register_with("mine", all).await;
    let settings = Settings { max_bytes: Some(max_bytes), ..Settings::default() };
    posthaste.system.inbox().set("mine", settings);
    webhook
}

fn end_of_run() -> Value {
    let data = json!({
        "contextId": "67890", "processType": "risk", "processName": "Risk Assessment",
        "processId": "12345",
    });
    json!({ "type": "process_run_end", "data": data })
}

/// Publishes a run with events of these sizes and its end, in one call. Returns the events' ids.
async fn publish_run(posthaste: &Posthaste, bytes: &[usize]) -> Vec<String> {
    let mut events = Vec::new();
    for size in bytes {
        let data = json!({ "contextId": "67890", "processType": "risk", "x": "x".repeat(*size) });
        events.push(json!({ "type": "order.created", "data": data }));
    }
    events.push(end_of_run());
    let answer = posthaste.api.ok(Method::POST, "/events", json!({ "events": events })).await;
    let events = answer["events"].as_array().unwrap();
    events.iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect()
}

fn ids(request: &Arrived) -> Vec<String> {
    let body: Value = serde_json::from_str(&request.body).unwrap();
    let results = body["results"].as_array().unwrap();
    results.iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect()
}

/// The events that the endpoint has taken, each once, in the order of their arrival.
fn taken(posthaste: &Posthaste) -> Vec<String> {
    taken_of(&posthaste.system.inbox().arrived("mine"))
}

fn taken_of(arrived: &[Arrived]) -> Vec<String> {
    let mut taken = Vec::new();
    for request in arrived.iter().filter(|request| request.answered == 200) {
        let new: Vec<String> = ids(request).into_iter().filter(|id| !taken.contains(id)).collect();
        taken.extend(new);
    }
    taken
}

/// The numbers of events of the requests that have arrived, and the answers to them.
fn requests(posthaste: &Posthaste) -> Vec<(usize, u16)> {
    let arrived = posthaste.system.inbox().arrived("mine");
    arrived.iter().map(|request| (ids(request).len(), request.answered)).collect()
}

/// The status and the code of each attempt of a delivery.
fn attempts(delivery: &Value) -> Vec<(u64, String)> {
    let attempts = delivery["attempts"].as_array().unwrap();
    let described = attempts.iter().map(|attempt| {
        let code = attempt["error"]["code"].as_str().unwrap_or_default().to_owned();
        (attempt["httpStatus"].as_u64().unwrap(), code)
    });
    described.collect()
}

async fn history(posthaste: &Posthaste, webhook: &Value) -> Vec<Value> {
    let path = format!("/webhooks/{}/deliveries?limit=100", webhook["id"]);
    let page = posthaste.api.ok(Method::GET, &path, Value::Null).await;
    page["items"].as_array().unwrap().clone()
}

/// Waits until everything has arrived, while messages of killed functions come again.
async fn arrives(posthaste: &Posthaste, webhook: &Value, count: usize) -> Vec<Value> {
    let path = format!("/webhooks/{}/deliveries?status=succeeded&limit=100", webhook["id"]);
    eventually(&format!("{count} deliveries have succeeded"), async || {
        posthaste.hurry();
        let page = posthaste.api.ok(Method::GET, &path, Value::Null).await;
        let items = page["items"].as_array().unwrap().clone();
        (items.len() == count).then_some(items)
    })
    .await
}

/// 100 copies of the document's printed `service_run` are more than `express.json()` takes.
#[tokio::test]
async fn a_batch_that_a_stock_receiver_refuses_arrives_in_halves() {
    let posthaste = Posthaste::start().await;
    let large = json!({ "maxRequestBytes": 262_144 });
    let webhook = register(&posthaste, large, STOCK).await;
    let printed: Value =
        posthaste.api.ok(Method::GET, "/event-types/service_run", Value::Null).await;
    let mut sample = printed["sample"].clone();
    sample["data"]["contextId"] = json!("67890");
    let mut events = vec![sample; 99];
    events.push(end_of_run());
    let answer = posthaste.api.ok(Method::POST, "/events", json!({ "events": events })).await;
    let deliveries = posthaste.deliveries(&webhook, "succeeded", 100).await;
    posthaste.idle().await;
    assert_eq!(requests(&posthaste), [(100, 413), (50, 200), (50, 200)]);
    let published: Vec<&str> = answer["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["id"].as_str().unwrap())
        .collect();
    assert_eq!(taken(&posthaste), published, "the halves keep the order");
    let arrived = posthaste.system.inbox().arrived("mine");
    let webhook_ids: std::collections::BTreeSet<&String> =
        arrived.iter().map(|request| &request.headers["webhook-id"]).collect();
    assert_eq!(webhook_ids.len(), 3, "each half has an id of its own");
    for delivery in &deliveries {
        let made = [(413, "batch_halved".to_owned()), (200, String::new())];
        assert_eq!(attempts(delivery), made);
        assert_eq!(delivery["attemptCount"], 2);
        assert_eq!(
            delivery["attempts"][0]["error"]["message"],
            "the endpoint answered with status 413, so the batch of 100 events was halved"
        );
    }
    let path = format!("/webhooks/{}", webhook["id"]);
    let health = &posthaste.api.ok(Method::GET, &path, Value::Null).await["health"];
    assert_eq!(health["failingSince"], Value::Null, "{health}");
}

/// "Fire-and-forget": there is no retry, and a halving is none.
#[tokio::test]
async fn a_single_event_that_is_too_large_fails_alone() {
    let posthaste = Posthaste::start().await;
    for (schedule, tries) in [(json!([]), 1), (json!([1, 1]), 3)] {
        let webhook = register(&posthaste, json!({ "retrySchedule": schedule }), 5_000).await;
        let published = publish_run(&posthaste, &[10, 10, 10, 10, 10, 9_000, 10]).await;
        let failed = posthaste.deliveries(&webhook, "exhausted", 1).await.remove(0);
        assert_eq!(failed["eventId"], published[5].as_str());
        let mut made = vec![(413, "batch_halved".to_owned()); 2];
        made.extend(vec![(413, "http_status".to_owned()); tries]);
        let halved = attempts(&failed);
        assert_eq!(halved[halved.len() - made.len()..], made, "{halved:?}");
        posthaste.deliveries(&webhook, "succeeded", 7).await;
        posthaste.idle().await;
        let letter = posthaste.receive("ExhaustedDeliveriesQueueUrl").await;
        assert!(letter.body.contains(&published[5]), "{}", letter.body);
        let path = format!("/webhooks/{}", webhook["id"]);
        posthaste.api.ok(Method::DELETE, &path, Value::Null).await;
    }
}

#[tokio::test]
async fn a_function_that_dies_at_any_line_of_a_halving_loses_none_and_keeps_the_order() {
    for (operation, skip) in
        [("dynamodb:UpdateItem", 0), ("dynamodb:UpdateItem", 3), ("dynamodb:UpdateItem", 5)]
    {
        for action in [Action::KillBefore, Action::KillAfter, Action::Lose, Action::Fail] {
            let posthaste = Posthaste::start().await;
            let webhook = register(&posthaste, json!({ "retrySchedule": [] }), 2_000).await;
            let aimed = posthaste
                .system
                .faults()
                .aim(Aim::at("deliver", operation, action.clone()).skip(skip).times(1));
            let published = publish_run(&posthaste, &[700; 4]).await;
            arrives(&posthaste, &webhook, 5).await;
            assert_eq!(taken(&posthaste), published, "{operation} {skip} {action:?}");
            assert!(aimed.hits() > 0, "{operation} {skip} {action:?}");
        }
    }
}

/// Messages come twice, and a run is more than one task takes: its next part waits for the halves.
#[tokio::test]
async fn the_halves_of_a_long_run_keep_its_order_while_messages_come_twice() {
    let posthaste = Posthaste::with_faults("seed=11,duplicate=30%").await;
    let webhook = register(&posthaste, json!({}), 20_000).await;
    let mut published = Vec::new();
    let data = json!({ "contextId": "67890", "processType": "risk", "x": "x".repeat(300) });
    for _ in 0..4 {
        let events = vec![json!({ "type": "order.created", "data": data }); 100];
        let answer = posthaste.api.ok(Method::POST, "/events", json!({ "events": events })).await;
        let events = answer["events"].as_array().unwrap();
        published.extend(events.iter().map(|event| event["id"].as_str().unwrap().to_owned()));
    }
    posthaste.idle().await;
    published.extend(publish_run(&posthaste, &[10]).await);
    // The second part waits for the first one.
    let has_all = |arrived: &[Arrived]| taken_of(arrived).len() == published.len();
    let waiting = posthaste.system.inbox().wait("mine", has_all, 2 * posthaste_tests::LATER);
    assert!(waiting.await.is_some(), "{:?}", requests(&posthaste));
    assert_eq!(taken(&posthaste), published);
    posthaste.deliveries(&webhook, "succeeded", 100).await;
    assert!(requests(&posthaste).contains(&(100, 413)));
}

#[tokio::test]
async fn each_half_takes_a_slot_of_the_rate_limit() {
    let posthaste = Posthaste::start().await;
    let limit = json!({ "rateLimit": { "requests": 1, "per": "second" } });
    let webhook = register(&posthaste, limit, 4_000).await;
    let published = publish_run(&posthaste, &[1_000; 7]).await;
    posthaste.deliveries(&webhook, "succeeded", 8).await;
    assert_eq!(taken(&posthaste), published);
    let sizes: Vec<usize> = requests(&posthaste).iter().map(|(size, _)| *size).collect();
    assert_eq!(sizes, [8, 4, 2, 2, 4], "the last four fit, as the end is small");
    keeps(&posthaste.system.inbox().arrived("mine"), 1);
}

/// Deliveries that wait were published one by one, and a turn puts them into full requests.
#[tokio::test]
async fn a_turn_divides_what_it_has_put_together() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register_with("mine", json!({ "profile": "spektr" })).await;
    posthaste.hold(&webhook, "slow").await;
    let data = json!({ "x": "x".repeat(1_000) });
    let events = vec![json!({ "type": "order.created", "data": data }); 12];
    posthaste.api.ok(Method::POST, "/events", json!({ "events": events })).await;
    posthaste.backlog_of(&webhook, 12).await;
    let settings = Settings { max_bytes: Some(4_000), ..Settings::default() };
    posthaste.system.inbox().set("mine", settings);
    posthaste.wake(&webhook).await;
    for delivery in posthaste.deliveries(&webhook, "succeeded", 12).await {
        let made = attempts(&delivery);
        assert_eq!(made[0], (413, "batch_halved".to_owned()), "{made:?}");
        assert_eq!(made.last(), Some(&(200, String::new())));
    }
    posthaste.idle().await;
    assert_eq!(taken(&posthaste).len(), 12);
    assert!(requests(&posthaste).len() <= 8, "{:?}", requests(&posthaste));
}

/// A run that waits is one item of the backlog, and its order is kept there too.
#[tokio::test]
async fn a_turn_keeps_the_order_of_the_halves_of_a_run_even_if_it_dies() {
    for skip in [0, 2, 6, 9] {
        let posthaste = Posthaste::start().await;
        let webhook = register(&posthaste, json!({}), 2_000).await;
        posthaste.hold(&webhook, "slow").await;
        let aimed = posthaste
            .system
            .faults()
            .aim(Aim::at("drain", "dynamodb:UpdateItem", Action::KillAfter).skip(skip).times(1));
        let published = publish_run(&posthaste, &[700; 4]).await;
        eventually("something waits", async || {
            (!posthaste.backlog(&webhook).await.is_empty()).then_some(())
        })
        .await;
        posthaste.wake(&webhook).await;
        eventually("the turn has died", async || (aimed.hits() > 0).then_some(())).await;
        posthaste.forget_killed_turn(&webhook).await;
        arrives(&posthaste, &webhook, 5).await;
        assert_eq!(taken(&posthaste), published, "{skip}");
    }
}

/// A half that fails is tried again as it was, by the schedule that its request had.
#[tokio::test]
async fn a_half_that_fails_is_tried_again_as_it_was() {
    let posthaste = Posthaste::start().await;
    let webhook = register(&posthaste, json!({}), 4_000).await;
    let failing = Settings {
        max_bytes: Some(4_000),
        responses: [Answer::status(500, 3)].into(),
        ..Settings::default()
    };
    posthaste.system.inbox().set("mine", failing);
    publish_run(&posthaste, &[1_200; 3]).await;
    posthaste.deliveries(&webhook, "succeeded", 4).await;
    posthaste.idle().await;
    let arrived = posthaste.system.inbox().arrived("mine");
    for request in arrived.iter().filter(|request| request.answered == 500) {
        let later = arrived.iter().rfind(|other| other.body == request.body).unwrap();
        assert_eq!(later.answered, 200);
        assert_eq!(request.headers["webhook-id"], later.headers["webhook-id"]);
    }
    for delivery in history(&posthaste, &webhook).await {
        let failed = attempts(&delivery).iter().filter(|(status, _)| *status == 500).count();
        assert!((1..=3).contains(&failed), "{delivery}");
    }
}

/// The events of a half may have come in several messages, which wait for a slot together.
#[tokio::test]
async fn a_half_that_waits_stays_one_request() {
    let posthaste = Posthaste::start().await;
    let limit = json!({ "requests": 1, "per": "second" });
    let settings = json!({ "profile": "spektr", "rateLimit": limit });
    let webhook = posthaste.register_with("mine", settings).await;
    let inbox = Settings { max_bytes: Some(4_000), ..Settings::default() };
    posthaste.system.inbox().set("mine", inbox);
    let data = json!({ "x": "x".repeat(1_000) });
    let events = vec![json!({ "type": "order.created", "data": data }); 20];
    posthaste.api.ok(Method::POST, "/events", json!({ "events": events })).await;
    posthaste.deliveries(&webhook, "succeeded", 20).await;
    let made = requests(&posthaste);
    let successes = made.iter().filter(|(_, status)| *status == 200).count();
    assert!(successes < 14, "{made:?}");
    assert_eq!(taken(&posthaste).len(), 20);
    keeps(&posthaste.system.inbox().arrived("mine"), 1);
}

/// The answer travels in a message until all records have it, and the request is not made again.
#[tokio::test]
async fn a_halving_that_can_not_be_recorded_is_carried_out_later() {
    let posthaste = Posthaste::start().await;
    let webhook = register(&posthaste, json!({ "retrySchedule": [] }), 2_000).await;
    let throttled = posthaste.record_only(2);
    let published = publish_run(&posthaste, &[700; 4]).await;
    posthaste.arrived("mine", 1).await;
    eventually("the attempt is handed on", async || {
        let depth = posthaste.system.metrics().queues[&posthaste.queue("DeliveriesQueueUrl")];
        (depth.delayed == 1 && depth.visible + depth.in_flight == 0).then_some(())
    })
    .await;
    throttled.end();
    let deliveries = posthaste.deliveries(&webhook, "succeeded", 5).await;
    assert_eq!(taken(&posthaste), published);
    let wholes = requests(&posthaste).into_iter().filter(|(size, _)| *size == 5).count();
    assert_eq!(wholes, 1, "{:?}", requests(&posthaste));
    for delivery in deliveries {
        let made = attempts(&delivery);
        let as_whole = delivery["attempts"].as_array().unwrap().iter().filter(|attempt| {
            attempt["error"]["message"].as_str().is_some_and(|text| text.contains("of 5 events"))
        });
        assert_eq!(as_whole.count(), 1, "it is recorded once: {made:?}");
    }
}
