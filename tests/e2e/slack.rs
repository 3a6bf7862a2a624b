//! Slack can be the receiver, with Block Kit messages at Slack's pace.

use posthaste_tests::{Answer, Posthaste, Settings};
use reqwest::Method;
use serde_json::{Value, json};

async fn register(posthaste: &Posthaste, responses: Vec<Answer>) -> Value {
    let webhook = posthaste.register_with("slack", json!({ "method": "slack" })).await;
    let ok = Some(Answer { body: "ok".to_owned(), ..Answer::status(200, 1) });
    posthaste
        .system
        .inbox()
        .set("slack", Settings { responses: responses.into(), default: ok, ..Settings::default() });
    webhook
}

fn blocks(body: &str) -> Vec<Value> {
    let message: Value = serde_json::from_str(body).unwrap();
    assert!(message["text"].is_string(), "{message}");
    message["blocks"].as_array().unwrap().clone()
}

#[tokio::test]
async fn an_event_becomes_a_readable_message() {
    let posthaste = Posthaste::start().await;
    let webhook = register(&posthaste, Vec::new()).await;
    assert_eq!((&webhook["profile"], &webhook["format"]), (&json!("slack"), &json!("slack")));
    assert_eq!(webhook["rateLimit"], json!({ "requests": 1, "per": "second" }));
    let event = json!({
        "type": "order.created", "subject": "c-1",
        "data": { "total": 1.0, "orderUrl": "https://shop.example.com/7" },
    });
    posthaste.api.ok(Method::POST, "/events", event).await;
    let request = posthaste.arrived("slack", 1).await.remove(0);
    assert_eq!(request.headers["content-type"], "application/json");
    let blocks = blocks(&request.body);
    assert_eq!(blocks[0]["text"]["text"], "*<https://shop.example.com/7|Order created>*\nc-1");
    assert_eq!(blocks[0]["fields"][0]["text"], "*Total*\n1.0");
    posthaste.deliveries(&webhook, "succeeded", 1).await;
}

#[tokio::test]
async fn a_template_says_what_a_message_about_a_type_looks_like() {
    let posthaste = Posthaste::start().await;
    let webhook = register(&posthaste, Vec::new()).await;
    let path = format!("/webhooks/{}", webhook["id"]);
    let templates = json!({
        "PROCESS_RUN_START": {
            "title": "{{data.processName}} began for {{subject}}",
            "fields": [
                { "label": "Process", "path": "data.processType" },
                { "label": "Parent", "path": "data.parentProcessId" },
            ],
            "color": "#36a64f",
            "button": {
                "text": "Open the run",
                "url": "https://app.example.com/runs/{{data.contextId}}",
            },
        },
    });
    let set = json!({ "slackTemplates": templates });
    let changed = posthaste.api.ok(Method::PATCH, &path, set).await;
    let named = json!({ "process_run_start": templates["PROCESS_RUN_START"] });
    assert_eq!(changed["slackTemplates"], named);
    let event = json!({
        "type": "process_run_start", "subject": "c-1",
        "data": {
            "processType": "risk", "processName": "Risk & more <now>", "processId": "12345",
            "contextId": "67890", "token": "secret-token",
        },
    });
    posthaste.api.ok(Method::POST, "/events", event).await;
    let request = posthaste.arrived("slack", 1).await.remove(0);
    assert!(!request.body.contains("secret-token"), "{}", request.body);
    let message: Value = serde_json::from_str(&request.body).unwrap();
    let attachment = &message["attachments"][0];
    assert_eq!(attachment["color"], "#36a64f");
    let blocks = attachment["blocks"].as_array().unwrap();
    assert_eq!(blocks[0]["text"]["text"], "Risk &amp; more &lt;now&gt; began for c-1");
    let fields = blocks[1]["fields"].as_array().unwrap();
    assert_eq!((fields.len(), &fields[0]["text"]), (1, &json!("*Process*\nrisk")));
    assert_eq!(blocks[2]["elements"][0]["url"], "https://app.example.com/runs/67890");
    posthaste.deliveries(&webhook, "succeeded", 1).await;

    let refused =
        json!({ "slackTemplates": { "process_run_start": { "title": "{{data.token}}" } } });
    let (status, answer) = posthaste.api.call(Method::PATCH, &path, refused).await;
    assert_eq!((status, &answer["error"]["code"]), (422, &json!("invalid_template")), "{answer}");
    let elsewhere = json!({
        "url": posthaste.inbox_url("mine"), "events": ["*"], "slackTemplates": templates,
    });
    let (status, answer) = posthaste.api.call(Method::POST, "/webhooks", elsewhere).await;
    assert_eq!((status, &answer["error"]["field"]), (422, &json!("slackTemplates")), "{answer}");
    let reset = posthaste.api.ok(Method::PATCH, &path, json!({ "slackTemplates": null })).await;
    assert_eq!(reset["slackTemplates"], Value::Null);
}

#[tokio::test]
async fn only_ok_is_a_success() {
    let posthaste = Posthaste::start().await;
    let refusal = Answer { body: "invalid_blocks".to_owned(), ..Answer::status(200, 1) };
    let webhook = register(&posthaste, vec![refusal]).await;
    posthaste.api.publish("order.created", json!({})).await;
    let delivery = posthaste.deliveries(&webhook, "succeeded", 1).await.remove(0);
    assert_eq!(delivery["attempts"][0]["error"]["code"], "unexpected_body");
    assert_eq!(delivery["attempts"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_burst_is_a_few_messages_of_one_a_second() {
    let posthaste = Posthaste::start().await;
    let webhook = register(&posthaste, Vec::new()).await;
    let events: Vec<Value> =
        (0..50).map(|n| json!({ "type": "order.created", "data": { "n": n } })).collect();
    posthaste.api.ok(Method::POST, "/events", json!({ "events": events })).await;
    posthaste.deliveries(&webhook, "succeeded", 50).await;
    posthaste.idle().await;
    let arrived = posthaste.system.inbox().arrived("slack");
    assert!(arrived.len() < 50, "{} messages", arrived.len());
    let shown: usize = arrived.iter().map(|request| blocks(&request.body).len() / 2).sum();
    assert_eq!(shown, 50, "every event is in one message");
    for window in arrived.windows(4) {
        let span = window[3].at_us - window[0].at_us;
        assert!(span > 2_700_000, "four messages within {span} µs");
    }
}

#[tokio::test]
async fn retry_after_is_honoured() {
    let posthaste = Posthaste::start().await;
    let header = ("retry-after".to_owned(), "4".to_owned());
    let wait = Answer { headers: [header].into(), ..Answer::status(429, 1) };
    let webhook = register(&posthaste, vec![wait]).await;
    posthaste.api.publish("order.created", json!({})).await;
    let arrived = posthaste.arrived("slack", 2).await;
    let gap = arrived[1].at_ms - arrived[0].at_ms;
    assert!((3950..8000).contains(&gap), "{gap} ms");
    assert_eq!(arrived[0].body, arrived[1].body);
    posthaste.deliveries(&webhook, "succeeded", 1).await;
}
