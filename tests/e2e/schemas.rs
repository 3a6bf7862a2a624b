//! Some schemas are made to cost a lot.

use posthaste_tests::{Posthaste, Received};
use reqwest::Method;
use serde_json::{Map, Value, json};

fn reason(letter: &Received) -> String {
    format!("{:?}", letter.message_attributes["reason"].value)
}

/// Makes a schema whose check takes a time that doubles with each definition.
fn bomb(property: &str) -> Value {
    let twice = |at: usize| {
        let next = json!({ "$ref": format!("#/$defs/d{}", at + 1) });
        (format!("d{at}"), json!({ "allOf": [next, next] }))
    };
    let definitions: Map<String, Value> =
        (0..60).map(twice).chain([("d60".to_owned(), json!({ "type": "integer" }))]).collect();
    json!({ "properties": { property: { "$ref": "#/$defs/d0" } }, "$defs": definitions })
}

#[tokio::test]
async fn a_schema_that_costs_too_much_is_refused_whatever_its_properties_are_called() {
    let posthaste = Posthaste::start().await;
    for property in ["x", "default", "const", "enum", "examples"] {
        let body = json!({ "schema": bomb(property), "sample": { property: 1 } });
        let (status, answer) = posthaste.api.call(Method::PUT, "/event-types/evil.x", body).await;
        assert_eq!(
            (status, &answer["error"]["code"]),
            (422, &json!("invalid_schema")),
            "{property} {answer}"
        );
    }
}

#[tokio::test]
async fn data_that_is_too_large_for_its_schema_is_refused() {
    let posthaste = Posthaste::start().await;
    let parts: Vec<Value> = (0..450).map(|least| json!({ "minimum": -least })).collect();
    let schema = json!({ "properties": { "list": { "items": { "allOf": parts } } } });
    posthaste.api.ok(Method::PUT, "/event-types/large.list", json!({ "schema": schema })).await;
    let publish = async |count: usize| {
        let data = json!({ "list": vec![1; count] });
        posthaste
            .api
            .call(
                Method::POST,
                "/events",
                json!({ "events": [{ "type": "large.list", "data": data }] }),
            )
            .await
    };
    assert_eq!(publish(100).await.0, 202);
    let (status, answer) = publish(20_000).await;
    let error = &answer["error"];
    assert_eq!(
        (status, &error["code"], &error["field"]),
        (422, &json!("too_costly"), &json!("events[0].data")),
        "{answer}"
    );
    let straight = json!({ "workspace": "default", "type": "large.list", "data": { "list": vec![1; 20_000] } });
    posthaste.send("EventsQueueUrl", &[straight.to_string()]).await;
    assert_eq!(
        reason(&posthaste.receive("EventsDeadLetterQueueUrl").await),
        r#"Text("invalid_event")"#
    );
}

/// Stores a type as an earlier version would have stored it.
async fn store_type(posthaste: &Posthaste, name: &str, schema: &Value) {
    posthaste.api.ok(Method::PUT, &format!("/event-types/{name}"), json!({})).await;
    let stored = json!({ "name": name, "schema": schema }).to_string();
    let update = json!({
        "TableName": posthaste.system.stack().outputs["RegistryTable"],
        "Key": { "pk": { "S": "workspace#default" }, "sk": { "S": format!("type#{name}") } },
        "UpdateExpression": "SET #type = :type", "ExpressionAttributeNames": { "#type": "type" },
        "ExpressionAttributeValues": { ":type": { "S": stored } },
    });
    posthaste.system.dynamodb().call("UpdateItem", &update).await.unwrap();
}

#[tokio::test]
async fn an_event_whose_stored_schema_is_none_any_more_does_not_pass_unchecked() {
    let posthaste = Posthaste::start().await;
    store_type(&posthaste, "evil.x", &bomb("default")).await;
    let event = json!({ "type": "evil.x", "data": { "default": 1 } });
    let (status, answer) = posthaste.api.call(Method::POST, "/events", event).await;
    assert_eq!((status, &answer["error"]["code"]), (422, &json!("unusable_schema")), "{answer}");
    let straight = json!({ "workspace": "default", "type": "evil.x", "data": { "default": 1 } });
    posthaste.send("EventsQueueUrl", &[straight.to_string()]).await;
    assert_eq!(
        reason(&posthaste.receive("EventsDeadLetterQueueUrl").await),
        r#"Text("unusable_schema")"#
    );

    posthaste
        .api
        .ok(Method::PUT, "/event-types/evil.x", json!({ "schema": { "type": "object" } }))
        .await;
    posthaste.api.publish("evil.x", json!({ "default": 1 })).await;
}
