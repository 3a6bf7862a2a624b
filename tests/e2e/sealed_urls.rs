//! URLs can be credentials, so the table has no more of them in plain than their origin.

use posthaste_local::binaries;
use posthaste_tests::Posthaste;
use reqwest::Method;
use serde_json::{Value, json};

use crate::secrets::{delivered, registry, rotated};

#[tokio::test]
async fn the_registry_holds_no_more_of_a_url_than_its_origin() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register("a-token", &["*"]).await;
    let path = format!("/webhooks/{}", webhook["id"]);
    assert_eq!(webhook["url"], json!(posthaste.inbox_url("a-token")));
    delivered(&posthaste, "a-token").await;
    for change in
        [json!({ "description": "the same" }), json!({ "url": posthaste.inbox_url("a-token") })]
    {
        let changed = posthaste.api.ok(Method::PATCH, &path, change).await;
        assert_eq!(changed["url"], webhook["url"]);
    }
    assert_eq!(posthaste.api.ok(Method::GET, &path, Value::Null).await["url"], webhook["url"]);
    let listed = posthaste.api.ok(Method::GET, "/webhooks", Value::Null).await;
    assert_eq!(listed["items"][0]["url"], webhook["url"]);
    let tried = posthaste
        .api
        .ok(Method::POST, &format!("{path}/test"), json!({ "type": "order.created" }))
        .await;
    assert_eq!(tried["httpStatus"], 200, "{tried}");

    let moved = posthaste
        .api
        .ok(Method::PATCH, &path, json!({ "url": posthaste.inbox_url("another-token") }))
        .await;
    assert_eq!(moved["url"], json!(posthaste.inbox_url("another-token")));
    assert_eq!(rotated(&posthaste.api, &webhook, Value::Null).await["url"], moved["url"]);
    delivered(&posthaste, "another-token").await;
    let stored = registry(&posthaste).await;
    assert!(
        stored.contains(&posthaste.system.urls().inbox) && !stored.contains("-token"),
        "{stored}"
    );
    assert_eq!(posthaste.calls("fanout", "secretsmanager:GetSecretValue"), 0);
}

#[tokio::test]
async fn a_url_that_is_stored_in_plain_is_read_and_sealed_at_the_next_change() {
    let template = binaries::template().unwrap();
    let (before, parameter) = template.split_at(template.find("  SealUrls:").unwrap());
    let plain =
        format!("{before}{}", parameter.replacen("Default: \"true\"", "Default: \"false\"", 1));
    let posthaste = Posthaste::with_template(plain).await;
    let left_open = posthaste.register("a-token", &["*"]).await;
    delivered(&posthaste, "a-token").await;
    let stored = registry(&posthaste).await;
    assert!(
        stored.contains(&format!("\\\"url\\\":\\\"{}", left_open["url"].as_str().unwrap())),
        "{stored}"
    );

    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register("a-token", &["*"]).await;
    let (dynamodb, table) =
        (posthaste.system.dynamodb(), &posthaste.system.stack().outputs["RegistryTable"]);
    let sk = format!("webhook#{:020}", webhook["id"].as_u64().unwrap());
    let key = json!({ "pk": { "S": "workspace#default" }, "sk": { "S": sk } });
    let item = dynamodb.call("GetItem", &json!({ "TableName": table, "Key": key })).await.unwrap()
        ["Item"]
        .clone();
    let mut settings: Value =
        serde_json::from_str(item["settings"]["S"].as_str().unwrap()).unwrap();
    settings["url"] = webhook["url"].clone();
    let update = json!({
        "TableName": table,
        "Key": key,
        "UpdateExpression": "SET settings = :plain",
        "ExpressionAttributeValues": { ":plain": { "S": settings.to_string() } },
    });
    dynamodb.call("UpdateItem", &update).await.unwrap();
    assert!(registry(&posthaste).await.contains("a-token"));
    delivered(&posthaste, "a-token").await;
    let path = format!("/webhooks/{}", webhook["id"]);
    assert_eq!(posthaste.api.ok(Method::PATCH, &path, json!({})).await["url"], webhook["url"]);
    assert!(!registry(&posthaste).await.contains("a-token"));
    delivered(&posthaste, "a-token").await;
}
