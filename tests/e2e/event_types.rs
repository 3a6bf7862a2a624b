//! Events have the types of the catalogue, and those that a workspace makes.

use posthaste_tests::Posthaste;
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn the_catalogue_is_listed_with_schemas_and_samples() {
    let posthaste = Posthaste::start().await;
    let list = posthaste.api.ok(Method::GET, "/event-types?limit=100", Value::Null).await;
    let items = list["items"].as_array().unwrap();
    assert_eq!(items.len(), 29);
    for item in items {
        assert!(
            item["schema"]["type"] == "object" && item["sample"]["type"] == item["name"],
            "{item}"
        );
        let name = item["name"].as_str().unwrap();
        let one = posthaste.api.ok(Method::GET, &format!("/event-types/{name}"), Value::Null).await;
        assert_eq!(one, *item);
    }
    let deprecated: Vec<&Value> = items
        .iter()
        .filter(|item| item["status"] == "deprecated")
        .map(|item| &item["name"])
        .collect();
    assert_eq!(deprecated, ["customer_record_update", "customer_status_change"]);
}

#[tokio::test]
async fn every_sample_can_be_published_but_the_operational_ones() {
    let posthaste = Posthaste::start().await;
    let list = posthaste.api.ok(Method::GET, "/event-types?limit=100", Value::Null).await;
    for item in list["items"].as_array().unwrap() {
        let (status, answer) =
            posthaste.api.call(Method::POST, "/events", item["sample"].clone()).await;
        if item["owner"] == "posthaste" {
            assert_eq!(
                (status, &answer["error"]["code"]),
                (422, &json!("reserved_event_type")),
                "{item}"
            );
        } else {
            assert_eq!(status, 202, "{item} {answer}");
        }
    }
}

/// The lists of both Spektr documents, which print these names as their types.
#[tokio::test]
async fn the_names_of_the_documents_lists_are_names_of_their_types() {
    let posthaste = Posthaste::start().await;
    let api = &posthaste.api;
    let subscribed = json!({
        "profile": "spektr", "events": ["PROCESS_RUN_START", "CUSTOMER_TAG_ADDED"],
        "filters": { "monitoring": { "PROCESS_RUN_START": "never" } },
    });
    let webhook = posthaste.register_with("mine", subscribed).await;
    assert_eq!(webhook["events"], json!(["process_run_start", "customer_tag_add"]));
    assert_eq!(webhook["filters"], json!({ "monitoring": { "process_run_start": "never" } }));

    let run = json!({
        "processType": "risk", "processName": "Risk", "processId": "1", "contextId": "2",
    });
    let accepted =
        api.ok(Method::POST, "/events", json!({ "type": "PROCESS_RUN_START", "data": run })).await;
    assert_eq!(accepted["type"], "process_run_start");
    let tag = json!({
        "workspace": "default", "type": "CUSTOMER_TAG_ADDED", "data": { "action": "add" },
    });
    posthaste.send("EventsQueueUrl", &[tag.to_string()]).await;
    let mut arrived = Vec::new();
    for request in posthaste.arrived("mine", 2).await {
        let body: Value = serde_json::from_str(&request.body).unwrap();
        arrived.push(body["results"][0]["eventType"].clone());
    }
    arrived.sort_by_key(ToString::to_string);
    assert_eq!(arrived, ["customer_tag_add", "process_run_start"]);
    let listed = api.ok(Method::GET, "/events?type=PROCESS_RUN_START", Value::Null).await;
    assert_eq!(listed["items"][0]["id"], accepted["id"]);

    // It is checked as the type that it is, and nobody else can have its name.
    let wrong = json!({ "type": "SERVICE_RUN", "data": {} });
    let (status, answer) = api.call(Method::POST, "/events", wrong).await;
    assert_eq!((status, &answer["error"]["code"]), (422, &json!("missing_field")), "{answer}");
    let (status, answer) = api.call(Method::PUT, "/event-types/SERVICE_RUN", json!({})).await;
    assert_eq!((status, &answer["error"]["code"]), (422, &json!("built_in_event_type")));
    let twice = json!({
        "url": posthaste.inbox_url("mine"), "events": ["*"],
        "filters": { "risk": { "SERVICE_RUN": "never", "service_run": "immediate" } },
    });
    let (status, answer) = api.call(Method::POST, "/webhooks", twice).await;
    assert_eq!((status, &answer["error"]["code"]), (422, &json!("repeated_field")), "{answer}");
}

#[tokio::test]
async fn the_catalogue_says_what_was_chosen_where_the_documents_contradict_themselves() {
    let posthaste = Posthaste::start().await;
    let escalated =
        posthaste.api.ok(Method::GET, "/event-types/ALERT_ESCALATED", Value::Null).await;
    assert_eq!(escalated["name"], "alert_escalated");
    assert_eq!(escalated["aliases"], json!(["ALERT_ESCALATED"]));
    let notes = escalated["notes"].as_array().unwrap();
    let name = "The shape and the table print alert_resolved as the event's name; the heading's \
        alert_escalated is used.";
    assert!(notes.contains(&json!(name)), "{notes:?}");
    let own = posthaste.api.ok(Method::PUT, "/event-types/invoice.paid", json!({})).await;
    assert_eq!((&own["aliases"], &own["notes"]), (&json!([]), &json!([])));
}

#[tokio::test]
async fn a_workspace_adds_a_type_of_its_own() {
    let posthaste = Posthaste::start().await;
    let api = &posthaste.api;
    let register = async || {
        api.call(
            Method::POST,
            "/webhooks",
            json!({ "url": posthaste.inbox_url("mine"), "events": ["invoice.*"] }),
        )
        .await
    };
    let schema = json!({
        "type": "object", "required": ["total"], "properties": { "total": { "type": "number" } },
    });
    let body =
        json!({ "description": "An invoice was paid", "schema": schema, "sample": { "total": 1 } });
    let put = api.ok(Method::PUT, "/event-types/invoice.paid", body.clone()).await;
    assert_eq!((&put["owner"], &put["schema"]), (&json!("workspace"), &schema));
    assert_eq!(put["sample"], json!({ "type": "invoice.paid", "data": { "total": 1 } }));
    let (status, registered) = register().await;
    assert_eq!((status, registered["data"].get("warnings")), (201, None));

    let publish = async |data: Value| {
        api.call(Method::POST, "/events", json!({ "type": "invoice.paid", "data": data })).await
    };
    let (status, answer) = publish(json!({ "total": "1" })).await;
    assert_eq!((status, &answer["error"]["field"]), (422, &json!("data.total")), "{answer}");
    assert_eq!(publish(json!({})).await.1["error"]["field"], "data.total");
    assert_eq!(publish(json!({ "total": 1.5, "more": true })).await.0, 202);
    posthaste.arrived("mine", 1).await;

    let mut names = Vec::new();
    let mut query = "limit=10".to_owned();
    loop {
        let page = api.ok(Method::GET, &format!("/event-types?{query}"), Value::Null).await;
        names.extend(
            page["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|item| item["name"].as_str().unwrap().to_owned()),
        );
        match page["next"].as_str() {
            Some(next) => query = format!("limit=10&cursor={next}"),
            None => break,
        }
    }
    assert_eq!((names.len(), names.last().map(String::as_str)), (30, Some("invoice.paid")));
    let other = api.workspace("other").await;
    assert_eq!(other.call(Method::GET, "/event-types/invoice.paid", Value::Null).await.0, 404);
    api.ok(Method::DELETE, "/event-types/invoice.paid", Value::Null).await;
    assert_eq!(api.call(Method::DELETE, "/event-types/invoice.sent", Value::Null).await.0, 404);
    assert_eq!(publish(json!({})).await.0, 202, "a type that nobody described takes any data");
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let posthaste = Posthaste::start().await;
    let cases = [
        (Method::PUT, "/event-types/order.created", json!({}), "name", "built_in_event_type"),
        (Method::PUT, "/event-types/a%20b", json!({}), "name", "invalid_event_type"),
        (
            Method::PUT,
            "/event-types/a",
            json!({ "schema": { "type": "txt" } }),
            "schema",
            "invalid_schema",
        ),
        (
            Method::POST,
            "/events",
            json!({ "type": "customer_tag_add", "data": { "action": 1 } }),
            "data.action",
            "wrong_type",
        ),
    ];
    for (method, path, body, field, code) in cases {
        let (status, answer) = posthaste.api.call(method, path, body).await;
        assert_eq!(
            (status, &answer["error"]["field"], &answer["error"]["code"]),
            (422, &json!(field), &json!(code)),
            "{answer}"
        );
    }
}
