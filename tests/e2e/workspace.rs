//! The settings of a workspace: the profile of its webhooks, and its open or closed catalogue.

use posthaste_tests::{Answer, Posthaste, Settings, eventually};
use reqwest::Method;
use serde_json::{Value, json};

async fn change(posthaste: &Posthaste, body: Value) -> Value {
    posthaste.api.ok(Method::PATCH, "/workspace", body).await
}

/// Registers with the body that Spectra's document prints, and an address that the test can watch.
async fn stock_spectra(posthaste: &Posthaste) -> Value {
    let body = json!({
        "url": posthaste.inbox_url("spectra-webhook"),
        "events": ["order.created", "order.shipped", "inventory.sold"],
    });
    posthaste.api.ok(Method::POST, "/webhooks", body).await
}

/// "Fire-and-forget", and the body `{event, timestamp, data}`: by nothing but the printed call.
async fn gets_the_programme_of_spectra(posthaste: &Posthaste) {
    let webhook = stock_spectra(posthaste).await;
    assert_eq!(webhook["profile"], "spectra");
    let responses = [Answer::status(500, 1)].into();
    let inbox = posthaste.system.inbox();
    inbox.set("spectra-webhook", Settings { responses, ..Settings::default() });
    posthaste.api.publish("order.created", json!({ "id": 1 })).await;
    posthaste.deliveries(&webhook, "exhausted", 1).await;
    let request = posthaste.arrived("spectra-webhook", 1).await.remove(0);
    let body: Value = serde_json::from_slice(&request.bytes).unwrap();
    let members: Vec<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        (members, &body["event"]),
        (vec!["data", "event", "timestamp"], &json!("order.created"))
    );
}

#[tokio::test]
async fn a_stock_spectra_client_gets_its_programme_in_a_workspace_of_spectra() {
    let posthaste = Posthaste::start().await;
    let began = posthaste.api.ok(Method::GET, "/workspace", Value::Null).await;
    let expected = json!({
        "name": "default", "environment": "live", "defaultProfile": "standard", "catalogue": "open",
        "processTypes": [],
    });
    assert_eq!(began, expected);
    let before = posthaste.register_with("before", json!({})).await;
    let changed = change(&posthaste, json!({ "defaultProfile": "spectra" })).await;
    assert_eq!(changed["defaultProfile"], "spectra");
    assert_eq!(posthaste.api.ok(Method::GET, "/workspace", Value::Null).await, changed);
    gets_the_programme_of_spectra(&posthaste).await;

    let path = format!("/webhooks/{}", before["id"]);
    let patch = async |body: Value| posthaste.api.ok(Method::PATCH, &path, body).await;
    assert_eq!(patch(json!({ "description": "a" })).await["profile"], "standard");
    assert_eq!(patch(json!({ "profile": null })).await["profile"], "spectra");
    let other = posthaste.api.workspace("other").await;
    let body = json!({ "url": posthaste.inbox_url("other"), "events": ["*"] });
    let registered = other.ok(Method::POST, "/webhooks", body).await;
    assert_eq!(registered["profile"], "standard", "a workspace speaks for itself");
    change(&posthaste, json!({ "defaultProfile": null })).await;
    assert_eq!(stock_spectra(&posthaste).await["profile"], "standard");
}

#[tokio::test]
async fn a_stock_spectra_client_gets_its_programme_in_a_deployment_of_spectra() {
    let parameters = [("DefaultProfile", "spectra")];
    let posthaste = Posthaste::with_parameters(parameters).await;
    gets_the_programme_of_spectra(&posthaste).await;
    change(&posthaste, json!({ "defaultProfile": "dataspike" })).await;
    assert_eq!(stock_spectra(&posthaste).await["profile"], "dataspike");
}

async fn subscribe(posthaste: &Posthaste, event: &str) -> (u16, Value) {
    let body = json!({ "url": posthaste.inbox_url("mine"), "events": [event] });
    posthaste.api.call(Method::POST, "/webhooks", body).await
}

async fn listed(posthaste: &Posthaste, name: &str) -> Option<Value> {
    let path = format!("/event-types/{name}");
    let (status, answer) = posthaste.api.call(Method::GET, &path, Value::Null).await;
    (status == 200).then(|| answer["data"].clone())
}

#[tokio::test]
async fn an_open_catalogue_takes_any_type_and_lists_what_was_published() {
    let posthaste = Posthaste::start().await;
    let (status, first) = subscribe(&posthaste, "invoice.*").await;
    assert_eq!(status, 201, "{first}");
    let warning = &first["data"]["warnings"][0];
    assert_eq!(
        (&warning["code"], &warning["field"]),
        (&json!("unknown_event_type"), &json!("events[0]"))
    );
    posthaste.api.publish("invoice.paid", json!({ "n": 1 })).await;
    posthaste.arrived("mine", 1).await;
    let undescribed = eventually("it is listed", async || listed(&posthaste, "invoice.paid").await);
    let undescribed = undescribed.await;
    assert_eq!(
        (&undescribed["status"], &undescribed["owner"], &undescribed["schema"]),
        (&json!("undescribed"), &json!("workspace"), &Value::Null)
    );
    for known in ["invoice.*", "invoice.paid"] {
        let (_, answer) = subscribe(&posthaste, known).await;
        assert_eq!(answer["data"].get("warnings"), None, "{known}");
    }
    let (_, near) = subscribe(&posthaste, "invoice.payd").await;
    let message = near["data"]["warnings"][0]["message"].as_str().unwrap();
    assert!(message.contains("did you mean invoice.paid?"), "{message}");

    let page = posthaste.api.ok(Method::GET, "/event-types?limit=100", Value::Null).await;
    assert_eq!(page["items"].as_array().unwrap().last(), Some(&undescribed));
    posthaste.api.ok(Method::PUT, "/event-types/invoice.paid", json!({})).await;
    assert_eq!(listed(&posthaste, "invoice.paid").await.unwrap()["status"], "available");
    posthaste.api.ok(Method::DELETE, "/event-types/invoice.paid", Value::Null).await;
    assert_eq!(listed(&posthaste, "invoice.paid").await, None);
}

#[tokio::test]
async fn a_closed_catalogue_refuses_unknown_types_in_both_directions() {
    let posthaste = Posthaste::start().await;
    let all = posthaste.register_with("all", json!({})).await;
    posthaste.api.publish("invoice.sent", json!({})).await;
    posthaste.arrived("all", 1).await;
    eventually("it is listed", async || listed(&posthaste, "invoice.sent").await).await;
    change(&posthaste, json!({ "catalogue": "closed" })).await;
    posthaste.api.ok(Method::PUT, "/event-types/invoice.paid", json!({})).await;
    for unknown in ["invoice.sent", "bill.*"] {
        let (status, answer) = subscribe(&posthaste, unknown).await;
        assert_eq!((status, &answer["error"]["field"]), (422, &json!("events[0]")), "{answer}");
    }
    assert_eq!(subscribe(&posthaste, "invoice.paid").await.0, 201);
    let events = json!({ "events": [
        { "type": "invoice.paid", "data": {} }, { "type": "invoice.sent", "data": {} },
    ] });
    let (status, answer) = posthaste.api.call(Method::POST, "/events", events).await;
    assert_eq!(
        (status, &answer["error"]["code"], &answer["error"]["field"]),
        (422, &json!("unknown_event_type"), &json!("events[1].type"))
    );
    let event = json!({ "workspace": "default", "type": "invoice.sent", "data": {} });
    posthaste.send("EventsQueueUrl", &[event.to_string()]).await;
    let letter = posthaste.receive("EventsDeadLetterQueueUrl").await;
    assert_eq!(serde_json::from_str::<Value>(&letter.body).unwrap(), event);
    posthaste.api.publish("invoice.paid", json!({})).await;
    posthaste.deliveries(&all, "succeeded", 2).await;
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let posthaste = Posthaste::start().await;
    for (body, field, code) in [
        (json!({ "defaultProfile": "stripe" }), "defaultProfile", "invalid_profile"),
        (json!({ "catalogue": "shut" }), "catalogue", "invalid_catalogue"),
        (json!({ "profile": "spectra" }), "profile", "unknown_field"),
    ] {
        let (status, answer) = posthaste.api.call(Method::PATCH, "/workspace", body).await;
        assert_eq!(
            (status, &answer["error"]["field"], &answer["error"]["code"]),
            (422, &json!(field), &json!(code))
        );
    }
    let reader = posthaste.api.with_new_key(json!({ "scopes": ["events:read"] })).await;
    assert_eq!(reader.call(Method::GET, "/workspace", Value::Null).await.0, 403);
}

#[tokio::test]
async fn a_slack_template_for_an_unknown_type_is_doubted_or_refused() {
    let posthaste = Posthaste::start().await;
    let body = |templates: Value| {
        let url = posthaste.inbox_url("slack");
        json!({ "url": url, "events": ["*"], "method": "slack", "slackTemplates": templates })
    };
    let templates = json!({ "order.created": {}, "order.create": {} });
    let made = posthaste.api.ok(Method::POST, "/webhooks", body(templates.clone())).await;
    let warnings = made["warnings"].as_array().unwrap();
    assert_eq!(warnings.len(), 1, "{made}");
    assert_eq!(warnings[0]["field"], "slackTemplates.order.create");
    assert!(warnings[0]["message"].as_str().unwrap().ends_with("did you mean order.created?"));
    change(&posthaste, json!({ "catalogue": "closed" })).await;
    let (status, answer) = posthaste.api.call(Method::POST, "/webhooks", body(templates)).await;
    assert_eq!(
        (status, &answer["error"]["code"], &answer["error"]["field"]),
        (422, &json!("unknown_event_type"), &json!("slackTemplates.order.create"))
    );
    let path = format!("/webhooks/{}", made["id"]);
    let paused = posthaste.api.ok(Method::PATCH, &path, json!({ "enabled": false })).await;
    assert_eq!(paused.get("warnings"), None, "what it had before may stay");
}
