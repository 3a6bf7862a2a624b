//! Customers use `spektr` as `spektr-events-v2.txt` and `spektr-about-webhooks.txt` say.

use posthaste_tests::{Answer, Posthaste, Settings, eventually};
use reqwest::Method;
use serde_json::{Value, json};

fn run(process_type: &str, context: &str) -> Value {
    json!({
        "processType": process_type, "processName": "Risk Assessment", "processId": "12345",
        "contextId": context,
    })
}

fn results(body: &str) -> Vec<Value> {
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!(body.as_object().unwrap().len(), 1, "{body}");
    body["results"].as_array().unwrap().clone()
}

#[tokio::test]
async fn an_event_arrives_as_printed() {
    let posthaste = Posthaste::start().await;
    posthaste.register_with("mine", json!({ "profile": "spektr" })).await;
    let event = json!({
        "type": "process_run_start", "subject": "c-1", "timestamp": 1_672_531_199_000_u64,
        "data": run("risk", "67890"),
    });
    let id = posthaste.api.ok(Method::POST, "/events", event).await["id"].clone();
    let request = posthaste.arrived("mine", 1).await.remove(0);
    let expected = json!({
        "id": id, "spektrId": "c-1", "eventType": "process_run_start", "timestamp": 1_672_531_199_000_u64,
        "workspaceId": "default", "data": run("risk", "67890"),
    });
    assert_eq!(results(&request.body), [expected]);
    assert_eq!(request.headers["x-webhook-event"], "process_run_start");
}

#[tokio::test]
async fn a_non_200_response_gets_3_retries_at_1_second_intervals() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register_with("mine", json!({ "profile": "spektr" })).await;
    // 204 is a success elsewhere; here it is no 200.
    let responses = [Answer::status(204, 100)].into();
    posthaste.system.inbox().set("mine", Settings { responses, ..Settings::default() });
    posthaste.api.publish("process_run_start", run("risk", "1")).await;
    let delivery = posthaste.deliveries(&webhook, "exhausted", 1).await.remove(0);
    assert_eq!(delivery["attempts"].as_array().unwrap().len(), 4, "the first try and 3 retries");
    posthaste.idle().await;
    let arrived = posthaste.system.inbox().arrived("mine");
    assert_eq!(arrived.len(), 4);
    for pair in arrived.windows(2) {
        let gap = pair[1].at_ms - pair[0].at_ms;
        assert!((950..4000).contains(&gap), "{gap} ms");
        assert_eq!(
            (&pair[0].body, &pair[0].headers["webhook-id"]),
            (&pair[1].body, &pair[1].headers["webhook-id"])
        );
    }
}

/// Publishes ten events with one call. They are fanned out together, so they are due together.
async fn publish_ten(posthaste: &Posthaste) -> Vec<String> {
    let events: Vec<Value> =
        (0..10).map(|n| json!({ "type": "order.created", "data": { "n": n } })).collect();
    let answer = posthaste.api.ok(Method::POST, "/events", json!({ "events": events })).await;
    let mut ids: Vec<String> = answer["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["id"].as_str().unwrap().to_owned())
        .collect();
    ids.sort();
    ids
}

fn ids(body: &str) -> Vec<String> {
    results(body).iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn what_is_due_together_is_one_request_in_the_order_of_the_events() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register_with("mine", json!({ "profile": "spektr" })).await;
    let published = publish_ten(&posthaste).await;
    let delivered = posthaste.deliveries(&webhook, "succeeded", 10).await;
    posthaste.idle().await;
    let arrived = posthaste.system.inbox().arrived("mine");
    assert!(arrived.len() < 10, "{} requests", arrived.len());
    let mut seen: Vec<String> = Vec::new();
    for request in &arrived {
        let ids = ids(&request.body);
        assert!(ids.is_sorted(), "{ids:?}");
        seen.extend(ids);
    }
    seen.sort();
    assert_eq!(seen, published, "each event is in one request");
    assert_eq!(delivered.len(), 10, "the history shows each");
}

#[tokio::test]
async fn a_failed_batch_is_tried_again_as_it_was() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register_with("mine", json!({ "profile": "spektr" })).await;
    let responses = [Answer::status(500, 1)].into();
    posthaste.system.inbox().set("mine", Settings { responses, ..Settings::default() });
    publish_ten(&posthaste).await;
    let delivered = posthaste.deliveries(&webhook, "succeeded", 10).await;
    posthaste.idle().await;
    let arrived = posthaste.system.inbox().arrived("mine");
    let batch = &arrived[0].headers["webhook-id"];
    let same: Vec<_> =
        arrived.iter().filter(|request| request.headers["webhook-id"] == *batch).collect();
    assert_eq!(same.len(), 2);
    assert_eq!(same[0].body, same[1].body);
    assert!(same[1].at_ms - same[0].at_ms >= 950);
    let failed = ids(&arrived[0].body);
    assert!(failed.len() > 1, "{failed:?}");
    for delivery in delivered {
        let statuses: Vec<u64> = delivery["attempts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|attempt| attempt["httpStatus"].as_u64().unwrap())
            .collect();
        let in_failed = failed.contains(&delivery["eventId"].as_str().unwrap().to_owned());
        assert_eq!(statuses, if in_failed { vec![500, 200] } else { vec![200] }, "{delivery}");
    }
}

#[tokio::test]
async fn an_exhausted_batch_is_a_dead_letter_that_can_be_sent_back() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register_with("mine", json!({ "profile": "spektr" })).await;
    let responses = [Answer::status(500, 4)].into();
    posthaste.system.inbox().set("mine", Settings { responses, ..Settings::default() });
    let events: Vec<Value> =
        (0..3).map(|n| json!({ "type": "order.created", "data": { "n": n } })).collect();
    posthaste.api.ok(Method::POST, "/events", json!({ "events": events })).await;
    let exhausted = eventually("a batch is exhausted", async || {
        let page = posthaste
            .api
            .ok(
                Method::GET,
                &format!("/webhooks/{}/deliveries?status=exhausted", webhook["id"]),
                Value::Null,
            )
            .await;
        let items = page["items"].as_array().unwrap().clone();
        (!items.is_empty()).then_some(items)
    })
    .await;
    posthaste.idle().await;
    posthaste.redrive("ExhaustedDeliveriesQueue").await;
    posthaste.deliveries(&webhook, "succeeded", 3).await;
    let arrived = posthaste.system.inbox().arrived("mine");
    let dead: Vec<_> = arrived.iter().filter(|request| request.answered == 500).collect();
    let again: Vec<_> = arrived
        .iter()
        .filter(|request| {
            request.answered == 200
                && request.headers["webhook-id"] == dead[0].headers["webhook-id"]
        })
        .collect();
    assert_eq!((again.len(), &again[0].body), (1, &dead[0].body));
    assert!(!exhausted.is_empty());
}

/// "I do not want to receive process run started and ended for the monitoring process."
#[tokio::test]
async fn which_events_of_which_process_are_wanted_can_be_configured() {
    let posthaste = Posthaste::start().await;
    let filters =
        json!({ "monitoring": { "process_run_start": "never", "process_run_end": "never" } });
    let webhook =
        posthaste.register_with("mine", json!({ "profile": "spektr", "filters": filters })).await;
    assert_eq!(webhook["filters"], filters);
    posthaste.api.publish("process_run_start", run("monitoring", "1")).await;
    posthaste.api.publish("process_run_end", run("monitoring", "1")).await;
    posthaste.api.publish("process_run_start", run("onboarding", "2")).await;
    let mut changed = run("monitoring", "1");
    changed["oldStatus"] = json!("pending");
    posthaste.api.publish("customer_status_changed", changed).await;
    posthaste.deliveries(&webhook, "succeeded", 2).await;
    posthaste.idle().await;
    let mut types: Vec<String> = posthaste
        .system
        .inbox()
        .arrived("mine")
        .iter()
        .flat_map(|request| results(&request.body))
        .map(|event| format!("{} {}", event["data"]["processType"], event["eventType"]))
        .collect();
    types.sort();
    assert_eq!(
        types,
        [r#""monitoring" "customer_status_changed""#, r#""onboarding" "process_run_start""#]
    );
}

#[tokio::test]
async fn the_rate_limit_can_be_set() {
    let posthaste = Posthaste::start().await;
    let limit = json!({ "requests": 2, "per": "second" });
    let webhook = posthaste
        .register_with("mine", json!({ "profile": "spektr-v1", "rateLimit": limit }))
        .await;
    assert_eq!(webhook["rateLimit"], limit);
    for _ in 0..6 {
        posthaste.api.publish("process_run_start", run("risk", "1")).await;
    }
    let arrived = posthaste.arrived("mine", 6).await;
    for window in arrived.windows(4) {
        let span = window[3].at_us - window[0].at_us;
        // The limit and a burst of one: a slot may be used half a second late.
        assert!(span > 950_000, "four requests within {span} µs");
    }
    posthaste.deliveries(&webhook, "succeeded", 6).await;
}
