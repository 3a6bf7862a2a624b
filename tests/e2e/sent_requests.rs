//! One delivery is read with the request of its last attempt, byte for byte as the endpoint got it.

use std::collections::BTreeSet;

use posthaste_tests::{Answer, Arrived, Posthaste, eventually};
use reqwest::Method;
use serde_json::{Value, json};

/// The headers that the connection adds, and the signatures, which no answer has.
const NOT_SHOWN: [&str; 5] =
    ["host", "content-length", "accept", "webhook-signature", "x-webhook-signature"];

fn path(webhook: &Value, delivery: &Value) -> String {
    format!("/webhooks/{}/deliveries/{}", webhook["id"], delivery["id"].as_str().unwrap())
}

async fn shown(posthaste: &Posthaste, webhook: &Value, delivery: &Value) -> Value {
    posthaste.api.ok(Method::GET, &path(webhook, delivery), Value::Null).await
}

async fn change(posthaste: &Posthaste, webhook: &Value, settings: Value) {
    posthaste.api.ok(Method::PATCH, &format!("/webhooks/{}", webhook["id"]), settings).await;
}

async fn remove(posthaste: &Posthaste, webhook: &Value) {
    let path = format!("/webhooks/{}", webhook["id"]);
    posthaste.api.ok(Method::DELETE, &path, Value::Null).await;
}

/// Publishes a run of this many events with one call. A webhook that waits for the end of runs gets
/// them with one request.
async fn publish_run(posthaste: &Posthaste, count: usize) {
    let mut events = Vec::new();
    for n in 1..count {
        let data = json!({ "contextId": "67890", "processType": "risk", "n": n });
        events.push(json!({ "type": "order.created", "data": data }));
    }
    let data = json!({
        "contextId": "67890", "processType": "risk", "processName": "Risk", "processId": "12345",
    });
    events.push(json!({ "type": "process_run_end", "data": data }));
    posthaste.api.ok(Method::POST, "/events", json!({ "events": events })).await;
}

/// Registers an inbox that gets all events of a run together.
async fn register_for_runs(posthaste: &Posthaste, settings: Value) -> Value {
    let mut all = json!({ "timing": "process_end" });
    all.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    posthaste.register_with("mine", all).await
}

/// Asserts that a delivery is shown with just this request. `own` are the headers of its owner.
fn assert_sent(delivery: &Value, arrived: &Arrived, url: &str, own: &[&str]) {
    let request = &delivery["request"];
    assert_eq!(
        (&request["body"], &request["url"], &request["method"], request.get("bodyEncoding")),
        (&json!(arrived.body), &json!(url), &json!("POST"), None),
        "{delivery}"
    );
    assert_eq!(
        (&request["attempt"], delivery.get("requestMissing")),
        (&delivery["attemptCount"], None)
    );
    let headers = request["headers"].as_object().unwrap();
    for (name, value) in headers {
        let expected = if own.contains(&name.as_str()) { "***" } else { &arrived.headers[name] };
        assert_eq!(value, expected, "{name}");
    }
    let names = arrived.headers.keys().map(String::as_str);
    let expected: BTreeSet<&str> = names.filter(|name| !NOT_SHOWN.contains(name)).collect();
    assert_eq!(headers.keys().map(String::as_str).collect::<BTreeSet<_>>(), expected);
}

/// Asserts that each delivery with this status is shown with the request that had its event.
async fn assert_all_sent(posthaste: &Posthaste, webhook: &Value, status: &str, count: usize) {
    let all = posthaste.deliveries(webhook, status, count).await;
    let arrived = posthaste.system.inbox().arrived("mine");
    for listed in all {
        let delivery = shown(posthaste, webhook, &listed).await;
        let event = listed["eventId"].as_str().unwrap();
        let last = arrived.iter().rev().find(|request| request.body.contains(event)).unwrap();
        assert_sent(&delivery, last, &posthaste.inbox_url("mine"), &[]);
    }
}

#[tokio::test]
async fn a_request_is_shown_as_it_was_sent_whatever_was_changed_since() {
    let posthaste = Posthaste::start().await;
    let headers = json!({ "Authorization": "Bearer of-mine", "X-Tenant": "acme" });
    let settings = json!({ "headers": headers, "retrySchedule": [1] });
    let webhook = posthaste.register_with("mine", settings).await;
    posthaste.system.inbox().respond("mine", [Answer::status(500, 1)]);
    posthaste.api.publish("order.created", json!({ "n": 1, "text": "größer" })).await;
    let listed = posthaste.deliveries(&webhook, "succeeded", 1).await.remove(0);
    let arrived = posthaste.arrived("mine", 2).await.remove(1);
    assert_eq!(arrived.headers["authorization"], "Bearer of-mine");

    let url = posthaste.inbox_url("mine");
    let own = ["authorization", "x-tenant"];
    let mut unchanged = shown(&posthaste, &webhook, &listed).await;
    assert_sent(&unchanged, &arrived, &url, &own);
    for settings in [
        json!({ "format": "spektr" }),
        json!({ "url": posthaste.inbox_url("other") }),
        json!({ "headers": { "X-Other": "one" } }),
        json!({ "profile": "dataspike" }),
    ] {
        change(&posthaste, &webhook, settings).await;
        assert_eq!(shown(&posthaste, &webhook, &listed).await, unchanged);
    }
    let rotate = format!("/webhooks/{}/secret/rotate", webhook["id"]);
    posthaste.api.ok(Method::POST, &rotate, Value::Null).await;
    assert_eq!(shown(&posthaste, &webhook, &listed).await, unchanged);
    assert_eq!(unchanged.as_object_mut().unwrap().remove("request").unwrap()["attempt"], 2);
    assert_eq!(unchanged, listed, "the rest is as in the list");

    posthaste.api.publish("order.created", json!({ "n": 2 })).await;
    let later = posthaste.arrived("other", 1).await.remove(0);
    let newest = posthaste.deliveries(&webhook, "succeeded", 2).await.remove(0);
    let delivery = shown(&posthaste, &webhook, &newest).await;
    assert_sent(&delivery, &later, &posthaste.inbox_url("other"), &["x-other"]);
}

#[tokio::test]
async fn every_delivery_of_a_batch_is_shown_with_the_whole_request() {
    let posthaste = Posthaste::start().await;
    let settings = json!({ "profile": "spektr", "retrySchedule": [60] });
    let webhook = register_for_runs(&posthaste, settings).await;
    posthaste.system.inbox().respond("mine", [Answer::status(500, 1)]);
    publish_run(&posthaste, 3).await;
    assert_all_sent(&posthaste, &webhook, "pending", 3).await;
    change(&posthaste, &webhook, json!({ "profile": "standard", "format": "spektr" })).await;
    assert_all_sent(&posthaste, &webhook, "pending", 3).await;
}

#[tokio::test]
async fn a_retry_of_a_batch_is_shown_as_it_was_sent_then() {
    let posthaste = Posthaste::start().await;
    let settings = json!({ "profile": "spektr", "retrySchedule": [1, 1] });
    let webhook = register_for_runs(&posthaste, settings).await;
    posthaste.system.inbox().respond("mine", [Answer::status(500, 2)]);
    publish_run(&posthaste, 4).await;
    assert_all_sent(&posthaste, &webhook, "succeeded", 4).await;
    assert_eq!(posthaste.system.inbox().arrived("mine").len(), 3, "all shared each request");
    change(&posthaste, &webhook, json!({ "profile": "standard" })).await;
    assert_all_sent(&posthaste, &webhook, "succeeded", 4).await;
}

#[tokio::test]
async fn the_halves_of_a_request_are_shown_each_as_it_was_sent() {
    let posthaste = Posthaste::start().await;
    let settings = json!({ "profile": "spektr", "retrySchedule": [1] });
    let webhook = register_for_runs(&posthaste, settings).await;
    let too_large = [Answer::status(413, 1), Answer::status(200, 1), Answer::status(500, 1)];
    posthaste.system.inbox().respond("mine", too_large);
    publish_run(&posthaste, 5).await;
    assert_all_sent(&posthaste, &webhook, "succeeded", 5).await;
    assert_eq!(posthaste.system.inbox().arrived("mine").len(), 4);
}

#[tokio::test]
async fn a_slack_message_of_several_events_is_shown_with_each_of_them() {
    let posthaste = Posthaste::start().await;
    let webhook = register_for_runs(&posthaste, json!({ "profile": "slack" })).await;
    let ok = Answer { body: "ok".to_owned(), ..Answer::status(200, 1) };
    posthaste.system.inbox().respond_by_default("mine", Some(ok));
    publish_run(&posthaste, 5).await;
    let listed = posthaste.deliveries(&webhook, "succeeded", 5).await;
    let arrived = posthaste.system.inbox().arrived("mine");
    for listed in &listed {
        let delivery = shown(&posthaste, &webhook, listed).await;
        let id = &delivery["request"]["headers"]["webhook-id"];
        let request = arrived.iter().find(|request| *id == request.headers["webhook-id"]);
        assert_sent(&delivery, request.unwrap(), &posthaste.inbox_url("mine"), &[]);
    }
}

/// The message that carries the result of an attempt has only those that are not recorded yet.
#[tokio::test]
async fn a_request_whose_result_was_recorded_later_is_shown_with_all_of_its_deliveries() {
    let posthaste = Posthaste::start().await;
    let webhook = register_for_runs(&posthaste, json!({ "profile": "spektr" })).await;
    let throttled = posthaste.record_only(2);
    publish_run(&posthaste, 5).await;
    let name = posthaste.queue("DeliveriesQueueUrl");
    eventually("the attempt is handed on", async || {
        (posthaste.system.metrics().queues[&name].delayed > 0).then_some(())
    })
    .await;
    throttled.end();
    assert_all_sent(&posthaste, &webhook, "succeeded", 5).await;
    assert_eq!(posthaste.system.inbox().arrived("mine").len(), 1, "it was made once");
}

/// Reads a delivery, and returns it with the calls and the read units that it took.
async fn counted(posthaste: &Posthaste, webhook: &Value, delivery: &Value) -> (Value, u64, f64) {
    let reads = async || {
        let usage = posthaste.system.usage().await.unwrap();
        usage.tables.values().map(|table| table.reads).sum::<f64>()
    };
    let calls = || {
        let metrics = posthaste.system.metrics();
        metrics.calls["register"].values().map(|calls| calls.count).sum::<u64>()
    };
    let before = (calls(), reads().await);
    let shown = shown(posthaste, webhook, delivery).await;
    (shown, calls() - before.0, reads().await - before.1)
}

#[tokio::test]
async fn what_is_read_for_a_request_is_bounded() {
    let posthaste = Posthaste::start().await;
    let webhook = register_for_runs(&posthaste, json!({ "profile": "spektr" })).await;
    publish_run(&posthaste, 100).await;
    let listed = posthaste.deliveries(&webhook, "succeeded", 100).await;
    let arrived = posthaste.arrived("mine", 1).await;
    assert_eq!(arrived.len(), 1, "all shared a request");
    posthaste.idle().await;
    let url = posthaste.inbox_url("mine");
    // The newest is the last of the request, and the oldest the first. The first call may read the
    // API key and the encryption key.
    shown(&posthaste, &webhook, &listed[50]).await;
    for (delivery, calls, units) in [(&listed[0], 6, 104.0), (&listed[99], 5, 103.0)] {
        let (delivery, made, taken) = counted(&posthaste, &webhook, delivery).await;
        assert_sent(&delivery, &arrived[0], &url, &[]);
        assert!(made <= calls && taken <= units, "{made} calls and {taken} units");
    }
    change(&posthaste, &webhook, json!({ "format": "standard" })).await;
    remove(&posthaste, &webhook).await;
    let (delivery, made, taken) = counted(&posthaste, &webhook, &listed[0]).await;
    assert_eq!(delivery["request"]["body"], arrived[0].body.as_str());
    assert!(made <= 8 && taken <= 106.0, "{made} calls and {taken} units");

    // A write of DynamoDB costs by the KB.
    let outputs = &posthaste.system.stack().outputs;
    let call = json!({ "TableName": outputs["DeliveriesTable"] });
    let items = posthaste.system.dynamodb().call("Scan", &call).await.unwrap();
    let records = items["Items"].as_array().unwrap().iter();
    let sizes: Vec<usize> = records
        .filter(|item| item.get("attempts").is_some())
        .map(|item| item.to_string().len())
        .collect();
    assert_eq!(sizes.len(), 100);
    assert_eq!(sizes.iter().filter(|size| **size > 1024).count(), 1, "that of the first one");

    let single = posthaste.register_with("other", json!({})).await;
    posthaste.api.publish("order.created", json!({ "n": 1 })).await;
    let listed = posthaste.deliveries(&single, "succeeded", 1).await.remove(0);
    posthaste.idle().await;
    let (delivery, made, taken) = counted(&posthaste, &single, &listed).await;
    assert_eq!(delivery["request"]["attempt"], 1);
    assert!(made <= 5 && taken <= 4.0, "{made} calls and {taken} units");
}

#[tokio::test]
async fn a_test_and_replays_are_shown_with_their_requests() {
    let posthaste = Posthaste::start().await;
    let settings = json!({ "profile": "spektr", "headers": { "X-Tenant": "acme" } });
    let webhook = posthaste.register_with("mine", settings).await;
    let test = format!("/webhooks/{}/test", webhook["id"]);
    let answer = posthaste.api.ok(Method::POST, &test, Value::Null).await;
    let arrived = posthaste.arrived("mine", 1).await.remove(0);
    change(&posthaste, &webhook, json!({ "profile": "standard" })).await;
    let url = posthaste.inbox_url("mine");
    let test = json!({ "id": answer["delivery"] });
    assert_sent(&shown(&posthaste, &webhook, &test).await, &arrived, &url, &["x-tenant"]);

    let settings = json!({ "profile": "spektr", "headers": null, "timing": "process_end" });
    change(&posthaste, &webhook, settings).await;
    publish_run(&posthaste, 3).await;
    posthaste.deliveries(&webhook, "succeeded", 4).await;
    let job = format!("/webhooks/{}/replay", webhook["id"]);
    let all = json!({ "since": "2020-01-01T00:00:00Z", "status": "all" });
    posthaste.api.ok(Method::POST, &job, all).await;
    let all = posthaste.deliveries(&webhook, "succeeded", 7).await;
    let arrived = posthaste.system.inbox().arrived("mine");
    for listed in all.iter().filter(|listed| listed["cause"] == "replay") {
        let delivery = shown(&posthaste, &webhook, listed).await;
        let id = &delivery["request"]["headers"]["webhook-id"];
        let request = arrived.iter().find(|request| *id == request.headers["webhook-id"]).unwrap();
        assert_sent(&delivery, request, &url, &[]);
    }
}

#[tokio::test]
async fn a_request_that_is_no_longer_known_is_left_out_with_the_reason() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register_with("mine", json!({ "retrySchedule": [] })).await;
    let event = posthaste.api.publish("order.created", json!({ "n": 1 })).await;
    let listed = posthaste.deliveries(&webhook, "succeeded", 1).await.remove(0);
    let outputs = &posthaste.system.stack().outputs;
    forget(&posthaste, &outputs["EventsTable"], |item| {
        item["sk"]["S"].as_str() == Some(event.as_str())
    })
    .await;
    let delivery = shown(&posthaste, &webhook, &listed).await;
    assert_eq!(
        (&delivery["requestMissing"], delivery.get("request")),
        (&json!("event_gone"), None)
    );

    change(&posthaste, &webhook, json!({ "description": "another" })).await;
    forget(&posthaste, &outputs["RegistryTable"], |item| {
        item["pk"]["S"].as_str().unwrap().starts_with("revision#")
    })
    .await;
    let delivery = shown(&posthaste, &webhook, &listed).await;
    assert_eq!(delivery["requestMissing"], "settings_gone");
}

/// Deletes the items of a table that are not to be there any more.
async fn forget(posthaste: &Posthaste, table: &str, is_over: impl Fn(&Value) -> bool) {
    let dynamodb = posthaste.system.dynamodb();
    let answer = dynamodb.call("Scan", &json!({ "TableName": table })).await.unwrap();
    let items: Vec<_> =
        answer["Items"].as_array().unwrap().iter().filter(|item| is_over(item)).collect();
    assert!(!items.is_empty(), "there is nothing to forget");
    for item in items {
        let key = json!({ "pk": item["pk"], "sk": item["sk"] });
        dynamodb.call("DeleteItem", &json!({ "TableName": table, "Key": key })).await.unwrap();
    }
}

#[tokio::test]
async fn the_history_of_a_removed_webhook_can_be_read_by_its_workspace() {
    let posthaste = Posthaste::start().await;
    let webhook = register_for_runs(&posthaste, json!({ "profile": "spektr" })).await;
    publish_run(&posthaste, 3).await;
    let listed = posthaste.deliveries(&webhook, "succeeded", 3).await;
    let one = shown(&posthaste, &webhook, &listed[0]).await;
    assert!(one.get("webhookRemovedAt").is_none());
    change(&posthaste, &webhook, json!({ "format": "standard" })).await;
    remove(&posthaste, &webhook).await;

    let gone = format!("/webhooks/{}", webhook["id"]);
    let mut after = shown(&posthaste, &webhook, &listed[0]).await;
    let removed_at = after.as_object_mut().unwrap().remove("webhookRemovedAt").unwrap();
    assert_eq!(after, one, "with the request as it was sent");
    for delivery in posthaste.deliveries(&webhook, "succeeded", 3).await {
        assert_eq!(delivery["webhookRemovedAt"], removed_at);
    }
    let since = json!({ "since": "2020-01-01T00:00:00Z" });
    let replay = format!("{}/replay", path(&webhook, &listed[0]));
    for (method, path, body) in [
        (Method::GET, gone.clone(), Value::Null),
        (Method::DELETE, gone.clone(), Value::Null),
        (Method::PATCH, gone.clone(), json!({ "enabled": true })),
        (Method::POST, format!("{gone}/test"), Value::Null),
        (Method::POST, format!("{gone}/replay"), since),
        (Method::POST, replay, Value::Null),
    ] {
        assert_eq!(posthaste.api.call(method, &path, body).await.0, 404, "{path}");
    }
    let other = posthaste.api.workspace("other").await;
    for path in [format!("{gone}/deliveries"), path(&webhook, &listed[0])] {
        assert_eq!(other.call(Method::GET, &path, Value::Null).await.0, 404, "{path}");
    }
}
