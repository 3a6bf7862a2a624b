//! Every retry is made, and then there is a dead letter.

use std::time::Duration;

use posthaste_tests::{Answer, Posthaste, Settings};
use serde_json::json;

#[tokio::test]
async fn a_failing_endpoint_is_tried_four_times_a_second_apart_and_then_there_is_a_dead_letter() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register_failing("mine", &["*"], 500, 100).await;
    let event = posthaste.api.publish("order.created", json!({ "n": 1 })).await;
    let arrived = posthaste.arrived("mine", 4).await;
    for pair in arrived.windows(2) {
        let gap = pair[1].at_ms - pair[0].at_ms;
        assert!((950..4000).contains(&gap), "{gap} ms between two attempts");
        assert_eq!(pair[0].headers["webhook-id"], pair[1].headers["webhook-id"]);
        assert_eq!(pair[0].body, pair[1].body);
        assert_ne!(pair[0].headers["webhook-timestamp"], pair[1].headers["webhook-timestamp"]);
    }
    let delivery = posthaste.deliveries(&webhook, "exhausted", 1).await.remove(0);
    assert_eq!(delivery["eventId"], event);
    assert_eq!(delivery["httpStatus"], 500);
    assert_eq!(delivery["responseBody"], "no");
    assert_eq!(delivery["error"]["code"], "http_status");
    let attempts = delivery["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 4);
    for attempt in attempts {
        assert_eq!((&attempt["httpStatus"], &attempt["responseBody"]), (&json!(500), &json!("no")));
    }
    let letter = posthaste.receive("ExhaustedDeliveriesQueueUrl").await;
    assert!(letter.body.contains(delivery["id"].as_str().unwrap()), "{}", letter.body);
    assert_eq!(format!("{:?}", letter.message_attributes["reason"].value), r#"Text("exhausted")"#);
    posthaste.drained("DeliveriesQueueUrl").await;
    assert_eq!(posthaste.system.inbox().arrived("mine").len(), 4, "nothing more came");
    let letters = posthaste.queue("DeliveriesDeadLetterQueueUrl");
    assert_eq!(
        posthaste.system.metrics().queues[&letters].visible,
        0,
        "a failing receiver is no fault of ours"
    );
}

#[tokio::test]
async fn an_endpoint_that_recovers_gets_the_event() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register_failing("mine", &["*"], 503, 2).await;
    posthaste.api.publish("order.created", json!({})).await;
    let delivery = posthaste.deliveries(&webhook, "succeeded", 1).await.remove(0);
    let statuses: Vec<u64> = delivery["attempts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|attempt| attempt["httpStatus"].as_u64().unwrap())
        .collect();
    assert_eq!(statuses, [503, 503, 200]);
    assert_eq!(delivery["error"], json!(null));
    posthaste.drained("DeliveriesQueueUrl").await;
    assert_eq!(
        posthaste.system.metrics().queues[&posthaste.queue("ExhaustedDeliveriesQueueUrl")].visible,
        0
    );
}

#[tokio::test]
async fn a_redriven_dead_letter_gets_another_attempt() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register_failing("mine", &["*"], 500, 4).await;
    posthaste.api.publish("order.created", json!({})).await;
    posthaste.deliveries(&webhook, "exhausted", 1).await;
    let name = posthaste.queue("ExhaustedDeliveriesQueueUrl");
    posthaste_tests::eventually("the dead letter is there", async || {
        (posthaste.system.metrics().queues[&name].visible == 1).then_some(())
    })
    .await;
    posthaste.redrive("ExhaustedDeliveriesQueue").await;
    let delivery = posthaste.deliveries(&webhook, "succeeded", 1).await.remove(0);
    assert_eq!(delivery["attempts"].as_array().unwrap().len(), 5);
}

#[tokio::test]
async fn a_letter_that_is_sent_back_in_vain_is_written_again_although_its_webhook_keeps_none() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register_failing("mine", &["*"], 500, 100).await;
    posthaste.api.publish("order.created", json!({})).await;
    posthaste.deliveries(&webhook, "exhausted", 1).await;
    let name = posthaste.queue("ExhaustedDeliveriesQueueUrl");
    posthaste_tests::eventually("the dead letter is there", async || {
        (posthaste.system.metrics().queues[&name].visible == 1).then_some(())
    })
    .await;
    let path = format!("/webhooks/{}", webhook["id"]);
    posthaste.api.ok(reqwest::Method::PATCH, &path, json!({ "deadLetters": false })).await;
    posthaste.redrive("ExhaustedDeliveriesQueue").await;
    posthaste.arrived("mine", 5).await;
    let letter = posthaste.receive("ExhaustedDeliveriesQueueUrl").await;
    let delivery = posthaste.deliveries(&webhook, "exhausted", 1).await.remove(0);
    assert!(letter.body.contains(delivery["id"].as_str().unwrap()), "{}", letter.body);
}

#[tokio::test]
async fn a_timeout_a_refused_connection_and_a_redirect_are_failures_with_their_reasons() {
    let posthaste = Posthaste::start().await;
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let register = async |url: String| {
        posthaste
            .api
            .ok(
                reqwest::Method::POST,
                "/webhooks",
                json!({
                    "url": url, "events": ["*"], "timeoutSeconds": 1, "retrySchedule": [1, 1, 1],
                }),
            )
            .await
    };
    let slow = register(posthaste.inbox_url("slow")).await;
    let moved = register(posthaste.inbox_url("moved")).await;
    let refused = register(format!("http://{nobody}/")).await;
    let answer = Answer { delay_ms: 3000, ..Answer::status(200, 1) };
    posthaste
        .system
        .inbox()
        .set("slow", Settings { responses: [answer].into(), ..Settings::default() });
    let location = ("location".to_owned(), "http://169.254.169.254/latest/meta-data/".to_owned());
    let answer = Answer { headers: [location].into(), ..Answer::status(301, 100) };
    posthaste
        .system
        .inbox()
        .set("moved", Settings { responses: [answer].into(), ..Settings::default() });
    posthaste.api.publish("order.created", json!({})).await;

    let delivery = posthaste.deliveries(&slow, "succeeded", 1).await.remove(0);
    assert_eq!(delivery["attempts"][0]["error"]["code"], "timeout");
    assert!(delivery["attempts"][0]["durationMs"].as_u64().unwrap() >= 1000, "{delivery}");
    let delivery = posthaste.deliveries(&refused, "exhausted", 1).await.remove(0);
    assert_eq!(
        (&delivery["error"]["code"], &delivery["httpStatus"]),
        (&json!("connect_failed"), &json!(null))
    );
    let delivery = posthaste.deliveries(&moved, "exhausted", 1).await.remove(0);
    assert_eq!(
        (&delivery["error"]["code"], &delivery["httpStatus"]),
        (&json!("http_status"), &json!(301))
    );
}

/// The slow endpoint's request and the fast one's are in the same batch: the fast one's retries
/// don't wait for it.
#[tokio::test]
async fn a_slow_endpoint_does_not_hold_up_the_retry_of_another() {
    let posthaste = Posthaste::start().await;
    let slow = posthaste.api.ok(
        reqwest::Method::POST,
        "/webhooks",
        json!({ "url": posthaste.inbox_url("slow"), "events": ["*"], "timeoutSeconds": 20 }),
    );
    slow.await;
    let answer = Answer { delay_ms: 15_000, ..Answer::status(200, 1) };
    posthaste
        .system
        .inbox()
        .set("slow", Settings { responses: [answer].into(), ..Settings::default() });
    posthaste.register_failing("fast", &["*"], 500, 100).await;
    posthaste.api.publish("order.created", json!({})).await;
    let arrived = posthaste.arrived_within("fast", 4, Duration::from_secs(12)).await;
    assert!(arrived[3].at_ms - arrived[0].at_ms < 12_000);
}

/// A dead letter asks for one more attempt, which is not forgotten when it has to wait for its
/// slot.
#[tokio::test]
async fn redriven_dead_letters_of_a_limited_webhook_get_another_attempt() {
    let posthaste = Posthaste::start().await;
    let settings = json!({ "retrySchedule": [], "rateLimit": { "requests": 20, "per": "minute" } });
    let webhook = posthaste.register_with("mine", settings).await;
    posthaste.system.inbox().respond_by_default("mine", Some(Answer::status(500, 1)));
    for n in 0..3 {
        posthaste.api.publish("order.created", json!({ "n": n })).await;
    }
    posthaste.deliveries(&webhook, "exhausted", 3).await;
    posthaste.idle().await;
    posthaste.system.inbox().respond_by_default("mine", None);
    posthaste.redrive("ExhaustedDeliveriesQueue").await;
    posthaste.deliveries(&webhook, "succeeded", 3).await;
}
