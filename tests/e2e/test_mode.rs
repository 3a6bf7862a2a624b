//! Test keys and live keys of one workspace: what belongs to the one never meets what belongs to
//! the other.

use posthaste_tests::{Api, Posthaste, eventually};
use reqwest::Method;
use serde_json::{Value, json};

async fn test_key(posthaste: &Posthaste) -> Api {
    let scopes = json!([
        "webhooks:manage",
        "events:publish",
        "events:read",
        "events:manage",
        "keys:manage",
        "workspaces:manage"
    ]);
    posthaste.api.with_new_key(json!({ "scopes": scopes, "environment": "test" })).await
}

async fn register(posthaste: &Posthaste, api: &Api, inbox: &str, profile: &str) -> Value {
    let url = posthaste.inbox_url(inbox);
    let body = json!({ "url": url, "events": ["*"], "profile": profile });
    api.ok(Method::POST, "/webhooks", body).await
}

/// The ids, or the names, of all that a list has.
async fn listed(api: &Api, path: &str) -> Vec<Value> {
    let page = api.ok(Method::GET, path, Value::Null).await;
    let items = page["items"].as_array().unwrap();
    items.iter().map(|item| item.get("id").unwrap_or(&item["name"]).clone()).collect()
}

#[tokio::test]
async fn live_and_test_never_meet() {
    let posthaste = Posthaste::start().await;
    let (live, test) = (&posthaste.api, test_key(&posthaste).await);
    let of_live = register(&posthaste, live, "live", "standard").await;
    let of_test = register(&posthaste, &test, "test", "standard").await;
    let paid = live.publish("invoice.paid", json!({ "is": "live" })).await;
    let tried = test.publish("invoice.tried", json!({ "is": "test" })).await;
    for (inbox, event, data) in [("live", &paid, "live"), ("test", &tried, "test")] {
        let arrived = posthaste.arrived(inbox, 1).await;
        let body: Value = serde_json::from_slice(&arrived[0].bytes).unwrap();
        assert_eq!(body["data"]["is"], data);
        assert_eq!(arrived[0].headers["webhook-id"], *event);
    }
    posthaste.idle().await;
    for inbox in ["live", "test"] {
        assert_eq!(posthaste.system.inbox().arrived(inbox).len(), 1, "{inbox}");
    }

    for (api, own, other, event, others) in
        [(live, &of_live, &of_test, &paid, &tried), (&test, &of_test, &of_live, &tried, &paid)]
    {
        assert_eq!(listed(api, "/webhooks").await, [own["id"].clone()]);
        assert_eq!(listed(api, "/events").await, [json!(event)]);
        for path in [
            format!("/webhooks/{}", other["id"]),
            format!("/webhooks/{}/deliveries", other["id"]),
            format!("/events/{others}"),
        ] {
            assert_eq!(api.call(Method::GET, &path, Value::Null).await.0, 404, "{path}");
        }
        let history = format!("/webhooks/{}/deliveries", own["id"]);
        assert_eq!(api.ok(Method::GET, &history, Value::Null).await["items"][0]["eventId"], *event);
    }
    eventually("each has its own types", async || {
        let types = [live, &test].map(async |api| listed(api, "/event-types?limit=100").await);
        let [of_live, of_test] = types;
        let last = (of_live.await.pop()?, of_test.await.pop()?);
        (last == (json!("invoice.paid"), json!("invoice.tried"))).then_some(())
    })
    .await;
    test.ok(Method::PATCH, "/workspace", json!({ "catalogue": "closed" })).await;
    assert_eq!(live.ok(Method::GET, "/workspace", Value::Null).await["catalogue"], "open");
}

#[tokio::test]
async fn a_request_says_that_it_is_a_test_wherever_its_format_can() {
    let posthaste = Posthaste::start().await;
    let test = test_key(&posthaste).await;
    for profile in ["standard", "cloudevents", "spektr", "spectra"] {
        register(&posthaste, &test, profile, profile).await;
        register(&posthaste, &posthaste.api, &format!("live-{profile}"), profile).await;
    }
    test.publish("order.created", json!({})).await;
    posthaste.api.publish("order.created", json!({})).await;
    for (profile, member, expected) in [
        ("standard", "/environment", json!("test")),
        ("cloudevents", "/environment", json!("test")),
        ("cloudevents", "/source", json!("/workspaces/default")),
        ("spektr", "/results/0/workspaceId", json!("default")),
        ("spectra", "/event", json!("order.created")),
    ] {
        let request = posthaste.arrived(profile, 1).await.remove(0);
        assert_eq!(request.headers["webhook-environment"], "test");
        let body: Value = serde_json::from_slice(&request.bytes).unwrap();
        assert_eq!(body.pointer(member), Some(&expected), "{profile}: {body}");
        let live = posthaste.arrived(&format!("live-{profile}"), 1).await.remove(0);
        assert_eq!(live.headers.get("webhook-environment"), None);
        let body: Value = serde_json::from_slice(&live.bytes).unwrap();
        assert_eq!(body.get("environment"), None, "{profile}: {body}");
    }
}

#[tokio::test]
async fn keys_stay_in_their_environment() {
    let posthaste = Posthaste::start().await;
    let test = test_key(&posthaste).await;
    let of_live = listed(&posthaste.api, "/keys").await;
    assert_eq!((of_live.len(), listed(&test, "/keys").await.len()), (1, 1));
    let make = async |api: &Api, body: Value| api.call(Method::POST, "/keys", body).await;
    let (status, made) = make(&test, json!({ "scopes": ["events:read"] })).await;
    assert_eq!((status, &made["data"]["environment"]), (201, &json!("test")));
    assert_eq!(made["data"]["workspace"], "default");
    assert!(made["data"]["key"].as_str().unwrap().starts_with("spk_test_"));
    for (body, field, code) in [
        (json!({ "scopes": ["events:read"], "environment": "live" }), "environment", "live_key"),
        (json!({ "scopes": ["events:read"], "workspace": "a~test" }), "workspace", "wrong_type"),
    ] {
        let (status, answer) = make(&test, body).await;
        assert_eq!(
            (status, &answer["error"]["field"], &answer["error"]["code"]),
            (422, &json!(field), &json!(code))
        );
    }
    let other = json!({ "scopes": ["events:read"], "workspace": "other" });
    assert_eq!(make(&test, other).await.1["data"]["environment"], "test");
    let path = format!("/keys/{}", made["data"]["id"].as_str().unwrap());
    assert_eq!(posthaste.api.call(Method::DELETE, &path, Value::Null).await.0, 404);
    test.ok(Method::DELETE, &path, Value::Null).await;
    let path = format!("/keys/{}", of_live[0].as_str().unwrap());
    assert_eq!(test.call(Method::DELETE, &path, Value::Null).await.0, 404);
}

#[tokio::test]
async fn a_sandbox_begins_in_test_mode() {
    let posthaste = Posthaste::with_parameters([("FirstKeyEnvironment", "test")]).await;
    assert!(posthaste.system.first_key().starts_with("spk_test_"));
    let command = &posthaste.system.stack().outputs["FirstKeyCommand"];
    assert!(command.contains("join('', ['spk_test_', SecretString])"), "{command}");
    register(&posthaste, &posthaste.api, "mine", "standard").await;
    posthaste.api.publish("order.created", json!({ "n": 1 })).await;
    let named = json!({ "workspace": "default~test", "type": "order.created", "data": { "n": 2 } });
    let envelope = json!({
        "version": "0", "id": "3", "detail-type": "order.created", "source": "shop",
        "detail": { "n": 3 },
    });
    posthaste.send("EventsQueueUrl", &[named, envelope].map(|event| event.to_string())).await;
    let arrived = posthaste.arrived("mine", 3).await;
    assert!(arrived.iter().all(|request| request.headers["webhook-environment"] == "test"));
    let command = &posthaste.system.stack().outputs["PublishCommand"];
    assert!(command.contains(r#"{"workspace": "default~test""#), "{command}");
}
