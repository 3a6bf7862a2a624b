//! Portal links: how they are made, listed and deleted.

use posthaste_domain::Timestamp;
use posthaste_tests::{Action, Aim, Api, Posthaste};
use reqwest::Method;
use serde_json::{Value, json};

use crate::secrets::registry;

async fn made(api: &Api, body: Value) -> Value {
    api.ok(Method::POST, "/portal-links", body).await
}

async fn refused(api: &Api, body: Value) -> (u16, Value, Value) {
    let (status, answer) = api.call(Method::POST, "/portal-links", body).await;
    (status, answer["error"]["code"].clone(), answer["error"]["field"].clone())
}

async fn listed(api: &Api) -> Vec<Value> {
    let page = api.ok(Method::GET, "/portal-links", Value::Null).await;
    page["items"].as_array().unwrap().clone()
}

/// The token in a link's address.
fn token(link: &Value) -> &str {
    let (_, token) = link["url"].as_str().unwrap().split_once("/console/enter?link=").unwrap();
    assert!(token.starts_with("plk_") && token.len() == 47, "{token}");
    token
}

fn seconds_between(from: &Value, until: &Value) -> i64 {
    let time = |value: &Value| value.as_str().unwrap().parse::<Timestamp>().unwrap();
    time(until).duration_since(time(from)).as_secs()
}

#[tokio::test]
async fn a_link_is_made_with_each_field_and_listed() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register("mine", &["*"]).await;
    let theme = json!({
        "name": "Example Shop",
        "logoUrl": "https://shop.example.com/logo.svg",
        "accentColor": "#36A64F",
    });
    let link = made(
        &posthaste.api,
        json!({
            "scopes": ["webhooks:manage", "events:read"],
            "expiresInSeconds": 300,
            "sessionSeconds": 3600,
            "webhookIds": [webhook["id"]],
            "returnUrl": "https://shop.example.com/settings",
            "theme": theme,
            "frameOrigins": ["https://shop.example.com", "http://localhost:3000"],
        }),
    )
    .await;
    token(&link);
    assert!(link["url"].as_str().unwrap().starts_with("http://127.0.0.1:"), "{link}");
    assert_eq!(seconds_between(&link["createdAt"], &link["expiresAt"]), 300);
    let key = posthaste.api.ok(Method::GET, "/keys", Value::Null).await["items"][0]["id"].clone();
    for (field, expected) in [
        ("workspace", json!("default")),
        ("environment", json!("live")),
        ("scopes", json!(["webhooks:manage", "events:read"])),
        ("webhookIds", json!([webhook["id"]])),
        ("returnUrl", json!("https://shop.example.com/settings")),
        ("frameOrigins", json!(["https://shop.example.com", "http://localhost:3000"])),
        ("sessionSeconds", json!(3600)),
        ("openedAt", Value::Null),
        ("createdBy", key),
    ] {
        assert_eq!(link[field], expected, "{field}");
    }
    assert_eq!(link["theme"]["accentColor"], "#36a64f");

    let simple = made(&posthaste.api, json!({ "scopes": ["events:read"] })).await;
    assert_eq!(seconds_between(&simple["createdAt"], &simple["expiresAt"]), 900);
    assert_eq!((&simple["sessionSeconds"], &simple["theme"]), (&json!(43_200), &Value::Null));
    let mut expected = vec![simple, link];
    for link in &mut expected {
        link.as_object_mut().unwrap().remove("url");
    }
    assert_eq!(listed(&posthaste.api).await, expected);
    let page = posthaste.api.ok(Method::GET, "/portal-links?limit=1", Value::Null).await;
    assert_eq!(page["items"], json!([expected[0]]));
    let next = format!("/portal-links?limit=1&cursor={}", page["next"].as_str().unwrap());
    let page = posthaste.api.ok(Method::GET, &next, Value::Null).await;
    assert_eq!((&page["items"], &page["next"]), (&json!([expected[1]]), &Value::Null));
}

#[tokio::test]
async fn every_refusal_names_its_field() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register("mine", &["*"]).await;
    let other = posthaste.api.workspace("other").await;
    let body = json!({ "url": posthaste.inbox_url("other"), "events": ["*"] });
    let foreign = other.ok(Method::POST, "/webhooks", body).await;
    let (id, foreign) = (&webhook["id"], &foreign["id"]);
    for (name, value, field, code) in [
        ("scopes", json!([]), "scopes", "wrong_count"),
        ("scopes", json!(["all"]), "scopes", "wrong_type"),
        ("expiresInSeconds", json!(86_401), "expiresInSeconds", "out_of_range"),
        ("sessionSeconds", json!(43_201), "sessionSeconds", "out_of_range"),
        ("webhookIds", json!([]), "webhookIds", "wrong_count"),
        ("webhookIds", json!([id, "7"]), "webhookIds[1]", "wrong_type"),
        ("webhookIds", json!([id, 7_777_777]), "webhookIds[1]", "unknown_webhook"),
        ("webhookIds", json!([id, id, foreign]), "webhookIds[2]", "unknown_webhook"),
        ("returnUrl", json!("http://shop.example.com"), "returnUrl", "invalid_url"),
        ("theme", json!({ "name": "x".repeat(65) }), "theme.name", "too_long"),
        ("theme", json!({ "logoUrl": "//x" }), "theme.logoUrl", "invalid_url"),
        ("theme", json!({ "accentColor": "green" }), "theme.accentColor", "invalid_color"),
        ("frameOrigins", json!(["https://*.example.com"]), "frameOrigins[0]", "invalid_origin"),
        ("frameOrigin", json!("https://a.example"), "frameOrigin", "unknown_field"),
    ] {
        let mut body = json!({ "scopes": ["webhooks:manage"] });
        body[name] = value;
        let status = if code == "unknown_webhook" { 409 } else { 422 };
        let expected = (status, json!(code), json!(field));
        assert_eq!(refused(&posthaste.api, body.clone()).await, expected, "{body}");
    }
    let expected = (422, json!("missing_field"), json!("scopes"));
    assert_eq!(refused(&posthaste.api, json!({})).await, expected);
    let body = json!({ "scopes": ["webhooks:manage", "keys:manage"], "webhookIds": [id] });
    let expected = (422, json!("unbounded_scope"), json!("scopes"));
    assert_eq!(refused(&posthaste.api, body).await, expected);
    assert_eq!(listed(&posthaste.api).await, [] as [Value; 0]);
}

#[tokio::test]
async fn nobody_gives_or_takes_away_more_than_they_have() {
    let posthaste = Posthaste::start().await;
    let scopes = json!(["keys:manage", "events:read"]);
    let keeper = posthaste.api.with_new_key(json!({ "scopes": scopes })).await;
    let (status, code, _) = refused(&keeper, json!({ "scopes": ["webhooks:manage"] })).await;
    assert_eq!((status, code), (403, json!("forbidden")));
    let given = made(&keeper, json!({ "scopes": ["events:read"] })).await;
    let beyond = made(&posthaste.api, json!({ "scopes": ["webhooks:manage"] })).await;
    let path = |link: &Value| format!("/portal-links/{}", link["id"].as_str().unwrap());
    assert_eq!(keeper.call(Method::DELETE, &path(&beyond), Value::Null).await.0, 403);
    keeper.ok(Method::DELETE, &path(&given), Value::Null).await;

    let reader = posthaste.api.with_new_key(json!({ "scopes": ["events:read"] })).await;
    assert_eq!(refused(&reader, json!({ "scopes": ["events:read"] })).await.0, 403);
    assert_eq!(reader.call(Method::GET, "/portal-links", Value::Null).await.0, 403);
    assert_eq!(reader.call(Method::DELETE, &path(&beyond), Value::Null).await.0, 403);
    assert_eq!(listed(&posthaste.api).await.len(), 1);
}

#[tokio::test]
async fn a_link_is_of_its_workspace_and_its_environment_alone() {
    let posthaste = Posthaste::start().await;
    let link = made(&posthaste.api, json!({ "scopes": ["events:read"] })).await;
    let path = format!("/portal-links/{}", link["id"].as_str().unwrap());
    let body = json!({ "scopes": ["keys:manage", "events:read"], "environment": "test" });
    let test = posthaste.api.with_new_key(body).await;
    for other in [posthaste.api.workspace("other").await, test.clone()] {
        assert_eq!(listed(&other).await, [] as [Value; 0]);
        let (status, answer) = other.call(Method::DELETE, &path, Value::Null).await;
        assert_eq!((status, &answer["error"]["code"]), (404, &json!("not_found")));
    }
    let tried = made(&test, json!({ "scopes": ["events:read"] })).await;
    assert_eq!((&tried["workspace"], &tried["environment"]), (&json!("default"), &json!("test")));
    assert_eq!(listed(&test).await.len(), 1);

    posthaste.api.ok(Method::DELETE, &path, Value::Null).await;
    assert_eq!(listed(&posthaste.api).await, [] as [Value; 0]);
    for gone in [path.as_str(), "/portal-links/7"] {
        assert_eq!(posthaste.api.call(Method::DELETE, gone, Value::Null).await.0, 404, "{gone}");
    }
    assert!(!registry(&posthaste).await.contains(link["id"].as_str().unwrap()));
}

#[tokio::test]
async fn the_token_is_in_no_later_answer_no_item_and_no_line() {
    let posthaste = Posthaste::start().await;
    let link = made(&posthaste.api, json!({ "scopes": ["events:read"] })).await;
    let secret = token(&link).strip_prefix("plk_").unwrap();
    let stored = registry(&posthaste).await;
    assert!(stored.contains(link["id"].as_str().unwrap()), "{stored}");
    let answered = json!(listed(&posthaste.api).await).to_string();
    let path = format!("/portal-links/{}", link["id"].as_str().unwrap());
    let deleted = posthaste.api.ok(Method::DELETE, &path, Value::Null).await.to_string();
    let lines = posthaste.lines("console").join("\n");
    assert!(lines.contains("made a portal link"), "{lines}");
    for text in [stored, answered, deleted, lines] {
        assert!(!text.contains(secret), "{text}");
    }
}

#[tokio::test]
async fn a_link_whose_write_failed_or_lost_its_answer_is_there_whole_or_not_at_all() {
    let posthaste = Posthaste::start().await;
    let operation = "dynamodb:TransactWriteItems";
    let aimed = posthaste.system.faults().aim(Aim::at("console", operation, Action::Lose));
    let link = made(&posthaste.api, json!({ "scopes": ["events:read"] })).await;
    assert_eq!((aimed.hits(), listed(&posthaste.api).await.len()), (1, 1));
    posthaste.system.faults().aim(Aim::at("console", operation, Action::KillBefore));
    let (status, _) = posthaste
        .api
        .exchange(Method::POST, "/portal-links", json!({ "scopes": ["events:read"] }).to_string())
        .await;
    assert_eq!(status, 500);
    let links = listed(&posthaste.api).await;
    assert_eq!(links.len(), 1);
    assert_eq!(links[0]["id"], link["id"]);
}
