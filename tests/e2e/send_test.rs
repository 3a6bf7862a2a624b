//! A test sends a sample at once, and answers with what the endpoint said.

use posthaste_domain::Timestamp;
use posthaste_tests::{Answer, Arrived, Posthaste, Settings, eventually};
use reqwest::Method;
use serde_json::{Value, json};

async fn test(posthaste: &Posthaste, webhook: &Value, body: Value) -> Value {
    posthaste.api.ok(Method::POST, &format!("/webhooks/{}/test", webhook["id"]), body).await
}

/// Reads the record of a test.
async fn record(posthaste: &Posthaste, webhook: &Value, answer: &Value) -> Value {
    let path =
        format!("/webhooks/{}/deliveries/{}", webhook["id"], answer["delivery"].as_str().unwrap());
    posthaste.api.ok(Method::GET, &path, Value::Null).await
}

#[tokio::test]
async fn a_test_is_a_signed_sample_and_is_recorded_as_a_test() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register("mine", &["*"]).await;
    let answer = test(&posthaste, &webhook, json!({ "type": "order.shipped" })).await;
    assert_eq!((&answer["httpStatus"], &answer["error"]), (&json!(200), &json!(null)));
    assert_eq!(answer["eventType"], "order.shipped");
    let arrived = posthaste.arrived("mine", 1).await.remove(0);
    assert_eq!(arrived.headers["webhook-id"], answer["eventId"].as_str().unwrap());
    assert_eq!(arrived.headers["x-webhook-event"], "order.shipped");
    let signatures = serde_json::to_value(arrived.signatures.unwrap()).unwrap();
    assert!(
        signatures.as_object().unwrap().values().all(|verdict| verdict == true),
        "{signatures}"
    );

    let record = record(&posthaste, &webhook, &answer).await;
    assert_eq!((&record["cause"], &record["status"]), (&json!("test"), &json!("succeeded")));
    assert_eq!(record["attempts"].as_array().unwrap().len(), 1);
    assert_eq!(record["request"]["body"], arrived.body.as_str(), "its event is in its record");
    let history = posthaste.deliveries(&webhook, "succeeded", 1).await;
    assert_eq!(history[0]["id"], answer["delivery"]);
    let events = posthaste.api.ok(Method::GET, "/events", Value::Null).await;
    assert_eq!(events["items"], json!([]), "nothing was published");
}

#[tokio::test]
async fn a_test_carries_the_data_that_it_is_given() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register("mine", &["*"]).await;
    let data = json!({ "orderId": 7, "note": "<b>\u{202e}" });
    let answer = test(&posthaste, &webhook, json!({ "type": "order.shipped", "data": data })).await;
    assert_eq!(answer["eventType"], "order.shipped");
    let arrived = posthaste.arrived("mine", 1).await.remove(0);
    let body: Value = serde_json::from_str(&arrived.body).unwrap();
    assert_eq!(body["data"], data, "it does not fit the schema of the type");
    let record = record(&posthaste, &webhook, &answer).await;
    assert_eq!(record["request"]["body"], arrived.body.as_str());

    let most = json!({ "data": { "a": "x".repeat(64 * 1024 - 8) } });
    assert_eq!(test(&posthaste, &webhook, most).await["httpStatus"], 200);
    let path = format!("/webhooks/{}/test", webhook["id"]);
    let more = json!({ "data": { "a": "x".repeat(64 * 1024) } });
    let (status, refused) = posthaste.api.call(Method::POST, &path, more).await;
    assert_eq!((status, &refused["error"]["field"]), (422, &json!("data")));
}

#[tokio::test]
async fn without_a_type_the_first_subscribed_one_is_sent() {
    let posthaste = Posthaste::start().await;
    for (nth, (events, expected)) in [
        (json!(["*"]), "order.created"),
        (json!(["service_run", "*"]), "service_run"),
        (json!(["inventory.*"]), "inventory.sold"),
    ]
    .into_iter()
    .enumerate()
    {
        let webhook =
            posthaste.register_with(&format!("inbox-{nth}"), json!({ "events": events })).await;
        assert_eq!(test(&posthaste, &webhook, json!({})).await["eventType"], expected);
    }
}

/// "Click Send Test: a dummy event will be sent immediately": of the document that the webhook is
/// for, and of the present time.
#[tokio::test]
async fn a_dummy_event_fits_the_document_and_has_the_present_time() {
    let posthaste = Posthaste::start().await;
    let click = async |profile: &str| {
        let settings = json!({ "profile": profile, "events": ["*"] });
        let webhook = posthaste.register_with(profile, settings).await;
        let path = format!("/webhooks/{}/test", webhook["id"]);
        let (status, answer) = posthaste.api.raw(Method::POST, &path, "").await;
        assert_eq!((status, &answer["data"]["httpStatus"]), (200, &json!(200)), "{answer}");
        posthaste.arrived(profile, 1).await.remove(0)
    };
    let is_of_now = |timestamp: Timestamp, request: &Arrived| {
        let arrived = i64::try_from(request.at_ms).unwrap();
        assert!((0..10_000).contains(&(arrived - timestamp.as_millisecond())), "{timestamp}");
    };
    let body = |request: &Arrived| serde_json::from_str::<Value>(&request.body).unwrap();

    let dataspike = click("dataspike").await;
    assert_eq!(body(&dataspike)["event_type"], "AML_SCREENING");
    is_of_now(body(&dataspike)["timestamp"].as_str().unwrap().parse().unwrap(), &dataspike);
    let second = click("spektr").await;
    let event = &body(&second)["results"][0];
    assert_eq!(event["eventType"], "process_run_start");
    let milliseconds = event["timestamp"].as_i64().unwrap();
    is_of_now(Timestamp::from_millisecond(milliseconds).unwrap(), &second);
    let first = click("spektr-v1").await;
    assert_eq!(body(&first)["type"], "process_run_start");
    let milliseconds = body(&first)["createdAt"].as_i64().unwrap();
    is_of_now(Timestamp::from_millisecond(milliseconds).unwrap(), &first);
    assert_eq!(body(&click("spectra").await)["event"], "order.created");
}

#[tokio::test]
async fn an_endpoint_that_fails_is_answered_as_it_failed_and_not_tried_again() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register_with(
        "mine",
        json!({ "timeoutSeconds": 1, "rateLimit": { "requests": 1, "per": "minute" } }),
    );
    let webhook = webhook.await;
    let refuse = Answer { body: "no".to_owned(), ..Answer::status(500, 1) };
    let sleep = Answer { delay_ms: 3000, ..Answer::status(200, 1) };
    posthaste
        .system
        .inbox()
        .set("mine", Settings { responses: [refuse, sleep].into(), ..Settings::default() });

    let refused = test(&posthaste, &webhook, json!({})).await;
    assert_eq!((&refused["httpStatus"], &refused["responseBody"]), (&json!(500), &json!("no")));
    assert_eq!(refused["error"]["code"], "http_status");
    let slow = test(&posthaste, &webhook, json!({})).await;
    assert_eq!((&slow["httpStatus"], &slow["error"]["code"]), (&json!(null), &json!("timeout")));
    assert!(slow["durationMs"].as_u64().unwrap() >= 1000, "{slow}");
    for answer in [&refused, &slow] {
        let record = record(&posthaste, &webhook, answer).await;
        assert_eq!((&record["cause"], &record["status"]), (&json!("test"), &json!("exhausted")));
        assert_eq!(record["error"], answer["error"]);
    }
    posthaste.idle().await;
    assert_eq!(posthaste.system.inbox().arrived("mine").len(), 2);
    assert_eq!(
        posthaste.system.metrics().queues[&posthaste.queue("ExhaustedDeliveriesQueueUrl")].visible,
        0
    );
}

#[tokio::test]
async fn an_answer_does_not_keep_the_url_that_it_repeats() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register_with("mine", json!({ "profile": "spectra" })).await;
    let lost = Answer { body: "Cannot POST /inbox/mine".to_owned(), ..Answer::status(404, 2) };
    posthaste
        .system
        .inbox()
        .set("mine", Settings { responses: [lost].into(), ..Settings::default() });
    let tested = test(&posthaste, &webhook, json!({})).await;
    assert_eq!(tested["responseBody"], "Cannot POST /…");
    posthaste.api.publish("order.created", json!({})).await;
    for delivery in posthaste.deliveries(&webhook, "exhausted", 2).await {
        assert_eq!(delivery["responseBody"], "Cannot POST /…");
        assert_eq!(delivery["attempts"][0]["responseBody"], "Cannot POST /…");
    }
}

#[tokio::test]
async fn an_address_that_may_not_be_reached_is_not_reached() {
    // The URL is in the table as the test can change it.
    let template =
        posthaste_local::binaries::template().unwrap().replace("!Ref SealUrls", "\"false\"");
    let posthaste = Posthaste::with_template(template).await;
    let webhook = posthaste.register_with("mine", json!({})).await;
    // A deployment can stop allowing what it allowed when the webhook was registered.
    let table = &posthaste.system.stack().outputs["RegistryTable"];
    let items =
        posthaste.system.dynamodb().call("Scan", &json!({ "TableName": table })).await.unwrap();
    for item in items["Items"].as_array().unwrap() {
        let text = item.to_string();
        let moved = text.replace(&posthaste.inbox_url("mine"), "http://169.254.169.254/");
        if text != moved {
            let item: Value = serde_json::from_str(&moved).unwrap();
            let put = json!({ "TableName": table, "Item": item });
            posthaste.system.dynamodb().call("PutItem", &put).await.unwrap();
        }
    }
    let answer = test(&posthaste, &webhook, json!({})).await;
    assert_eq!(
        (&answer["httpStatus"], &answer["error"]["code"]),
        (&json!(null), &json!("address_not_allowed"))
    );
}

#[tokio::test]
async fn a_paused_webhook_gets_a_test_too() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register_with("mine", json!({ "enabled": false })).await;
    assert_eq!(test(&posthaste, &webhook, json!({})).await["httpStatus"], 200);
    assert_eq!(posthaste.system.inbox().arrived("mine").len(), 1);
}

#[tokio::test]
async fn a_type_of_ones_own_is_sent_with_its_sample_and_an_unknown_one_is_refused() {
    let posthaste = Posthaste::start().await;
    posthaste
        .api
        .ok(Method::PUT, "/event-types/invoice.paid", json!({ "sample": { "total": 7 } }))
        .await;
    let webhook = posthaste.register_with("mine", json!({ "events": ["invoice.*"] })).await;
    assert_eq!(test(&posthaste, &webhook, json!({})).await["eventType"], "invoice.paid");
    let body: Value = serde_json::from_str(&posthaste.arrived("mine", 1).await[0].body).unwrap();
    assert_eq!((&body["type"], &body["data"]), (&json!("invoice.paid"), &json!({ "total": 7 })));

    let path = format!("/webhooks/{}/test", webhook["id"]);
    let (status, answer) =
        posthaste.api.call(Method::POST, &path, json!({ "type": "invoice.payed" })).await;
    assert_eq!((status, &answer["error"]["code"]), (422, &json!("unknown_event_type")));
    assert!(answer["error"]["message"].as_str().unwrap().contains("invoice.paid"), "{answer}");
    let (status, _) = posthaste.api.call(Method::POST, "/webhooks/999/test", json!({})).await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn a_type_that_nobody_has_described_is_sent_where_it_is_used() {
    let posthaste = Posthaste::start().await;
    let named = posthaste.register_with("named", json!({ "events": ["ledger.closed"] })).await;
    let answer = test(&posthaste, &named, json!({})).await;
    assert_eq!(answer["eventType"], "ledger.closed", "the webhook names it");
    let body: Value = serde_json::from_str(&posthaste.arrived("named", 1).await[0].body).unwrap();
    assert_eq!((&body["type"], &body["data"]), (&json!("ledger.closed"), &json!({})));

    let below = posthaste.register_with("below", json!({ "events": ["ledger.*"] })).await;
    let path = format!("/webhooks/{}/test", below["id"]);
    let opened = json!({ "type": "ledger.opened" });
    assert_eq!(posthaste.api.call(Method::POST, &path, opened.clone()).await.0, 422);
    posthaste.api.publish("ledger.opened", json!({ "n": 1 })).await;
    posthaste.arrived("below", 1).await;
    eventually("it was published", async || {
        (posthaste.api.call(Method::POST, &path, opened.clone()).await.0 == 200).then_some(())
    })
    .await;
    assert_eq!(test(&posthaste, &below, json!({})).await["eventType"], "ledger.opened");
}
