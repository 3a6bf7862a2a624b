//! The events that the two Spektr documents print can be published as they are printed. Published
//! once, an event arrives right in both versions.

use posthaste_tests::Posthaste;
use reqwest::Method;
use serde_json::{Value, json};

/// A system with a webhook for each version of the documents.
async fn with_both_versions() -> Posthaste {
    let posthaste = Posthaste::start().await;
    posthaste.register_with("v1", json!({ "profile": "spektr-v1" })).await;
    posthaste.register_with("v2", json!({ "profile": "spektr", "maxEventsPerRequest": 1 })).await;
    posthaste
}

/// The body that arrived in an inbox for the event with this id.
async fn arrived(posthaste: &Posthaste, inbox: &str, count: usize, id: &Value) -> Value {
    let requests = posthaste.arrived(inbox, count).await;
    let bodies = requests.iter().map(|request| {
        let mut body: Value = serde_json::from_str(&request.body).unwrap();
        match body.pointer_mut("/results/0") {
            Some(only) => only.take(),
            None => body,
        }
    });
    let mut of_the_event = bodies.filter(|body| body["id"] == *id);
    of_the_event.next().unwrap_or_else(|| panic!("{id} did not arrive in {inbox}"))
}

/// "PROCESS_RUN_END" of version 1, with the field's child that its table names.
#[tokio::test]
async fn the_end_of_a_run_as_version_1_prints_it_arrives_in_both_versions() {
    let posthaste = with_both_versions().await;
    let field = json!({
        "key": "<field-key>", "label": "<field-label>", "helptext": "<field-helptext>",
        "placeholder": "<field-placeholder>", "internalId": "<field-internal-id>",
        "children": [{ "key": "<child-key>" }],
    });
    let mut printed = json!({
        "id": "<event-id>",
        "spektrId": "<id end-user related to this event>",
        "type": "process_run_end",
        "delivered": null,
        "process_name": "<process-name>",
        "process_output": "<process-output>",
        "files": { "clientFiles": ["<file1>", "<file2>"] },
        "fields": [field],
        "data": {},
        "createdAt": 1_672_531_199_000_u64,
    });
    let accepted = posthaste.api.ok(Method::POST, "/events", printed.clone()).await;
    let first = arrived(&posthaste, "v1", 1, &accepted["id"]).await;
    printed["id"] = accepted["id"].clone();
    assert_eq!(first, printed, "as it was published, with the id that it was given");
    let second = arrived(&posthaste, "v2", 1, &accepted["id"]).await;
    let expected = json!({
        "id": accepted["id"], "spektrId": printed["spektrId"], "eventType": "process_run_end",
        "timestamp": 1_672_531_199_000_u64, "workspaceId": "default",
        "data": {
            "processName": "<process-name>", "processOutput": "<process-output>",
            "files": printed["files"], "fields": printed["fields"],
        },
    });
    assert_eq!(second, expected);
}

/// The shapes and samples of version 1, apart from the end of a run.
fn of_version_1() -> Vec<Value> {
    vec![
        json!({
            "id": "<event-id>", "spektrId": "<id end-user related to this event>",
            "type": "process_run_start", "delivered": true, "createdAt": 1_672_531_199_000_u64,
            "reference": "optional-reference",
            "data": {
                "processType": "risk", "processName": "Risk Assessment", "processId": "12345",
                "contextId": "67890",
            },
        }),
        json!({
            "id": "<event-id>", "spektrId": "<id end-user related to this event>",
            "type": "service_run", "delivered": true, "createdAt": 1_672_531_199_000_u64,
            "data": {
                "vendorType": "service type", "contextId": "<process run id",
                "processId": "<process id>", "processName": "process name",
                "processType": "process type", "reference": "optional-reference",
            },
        }),
        json!({
            "id": "<event-id>", "spektrId": "<id end-user related to this event>",
            "type": "alert_resolved", "delivered": true, "createdAt": 1_672_531_199_000_u64,
            "data": {
                "contextId": "<process-run-id", "processId": "<process-id>",
                "userId": "<user-id that resolved alert>", "alertId": "<alert-id>",
                "alertName": "<alert name>",
            },
        }),
        json!({
            "id": "<event-id>",
            "spektrId": "<id end-user to/from which the tag was added/removed>",
            "type": "customer_tag_add", "delivered": true, "createdAt": 1_672_531_199_000_u64,
            "data": {
                "tagId": "<tag-id>", "action": "add",
                "userId": "<user-id that added/removed the tag>",
                "processId": "<process-id that added/removed>",
            },
        }),
    ]
}

#[tokio::test]
async fn what_version_1_prints_is_taken_and_arrives_as_printed() {
    let posthaste = with_both_versions().await;
    for (nth, mut printed) in of_version_1().into_iter().enumerate() {
        let accepted = posthaste.api.ok(Method::POST, "/events", printed.clone()).await;
        let first = arrived(&posthaste, "v1", nth + 1, &accepted["id"]).await;
        // The id is the event's own, and nothing has brought it before.
        printed["id"] = accepted["id"].clone();
        printed["delivered"] = json!(false);
        assert_eq!(first, printed);
        let second = arrived(&posthaste, "v2", nth + 1, &accepted["id"]).await;
        assert_eq!(
            (&second["eventType"], &second["spektrId"], &second["timestamp"]),
            (&printed["type"], &printed["spektrId"], &printed["createdAt"])
        );
        if let Some(reference) = printed.get("reference") {
            assert_eq!(second["data"]["reference"], *reference);
        }
    }
}

/// The samples of version 2 are those of the catalogue, which the document's own envelope is put
/// around.
#[tokio::test]
async fn every_sample_of_version_2_is_taken_and_arrives_as_printed() {
    let posthaste = with_both_versions().await;
    let types = posthaste.api.ok(Method::GET, "/event-types?limit=100", Value::Null).await;
    let of_spektr = types["items"].as_array().unwrap().iter().filter(|known| {
        known["owner"] == "spektr"
            && known["name"] != "alert_created"
            && known["sample"].is_object()
    });
    let printed: Vec<Value> = of_spektr
        .map(|known| {
            let sample = &known["sample"];
            json!({
                "id": "6867b8db50ffa326d667ac63",
                "workspaceId": "d861cbbc0b5b5a0fcf201910cf8aa8c2",
                "eventType": sample["type"], "timestamp": sample["timestamp"],
                "spektrId": sample["subject"], "data": sample["data"],
            })
        })
        .collect();
    assert_eq!(printed.len(), 18, "the types that version 2 lists");
    let accepted = posthaste.api.ok(Method::POST, "/events", json!({ "events": printed })).await;
    let accepted = accepted["events"].as_array().unwrap();
    for (mut printed, accepted) in printed.into_iter().zip(accepted) {
        let second = arrived(&posthaste, "v2", 18, &accepted["id"]).await;
        printed["id"] = accepted["id"].clone();
        printed["workspaceId"] = json!("default");
        assert_eq!(second, printed);
    }
}

/// A status change has its cause in `method` (version 2), or in `userId` and `processId` (version
/// 1).
#[tokio::test]
async fn the_cause_of_a_status_change_is_where_each_version_prints_it() {
    let posthaste = with_both_versions().await;
    let data_of = |version: u8| match version {
        1 => json!({
            "oldStatus": "pending", "newStatus": "approved", "customerName": "Unilever",
            "userId": "u-1",
        }),
        _ => json!({
            "oldStatus": "pending", "newStatus": "approved",
            "method": { "type": "process", "processId": "p-1" },
        }),
    };
    for (nth, version) in [1, 2].into_iter().enumerate() {
        let event = json!({ "type": "customer_status_changed", "data": data_of(version) });
        let accepted = posthaste.api.ok(Method::POST, "/events", event).await;
        let first = arrived(&posthaste, "v1", nth + 1, &accepted["id"]).await;
        let second = arrived(&posthaste, "v2", nth + 1, &accepted["id"]).await;
        let (user, process) = (&first["data"]["userId"], &first["data"]["processId"]);
        let method = &second["data"]["method"];
        match version {
            1 => {
                assert_eq!((user, process), (&json!("u-1"), &Value::Null));
                assert_eq!(*method, json!({ "type": "user", "userId": "u-1" }));
            }
            _ => {
                assert_eq!((user, process), (&Value::Null, &json!("p-1")));
                assert_eq!(*method, json!({ "type": "process", "processId": "p-1" }));
            }
        }
    }
}

/// A service can send a printed event straight to the queue too.
#[tokio::test]
async fn a_printed_event_is_taken_from_the_queue() {
    let posthaste = with_both_versions().await;
    let mut printed = of_version_1().remove(0);
    printed["workspace"] = json!("default");
    posthaste.send("EventsQueueUrl", &[printed.to_string()]).await;
    let request = posthaste.arrived("v1", 1).await.remove(0);
    let body: Value = serde_json::from_str(&request.body).unwrap();
    assert_eq!(
        (&body["type"], &body["spektrId"], &body["createdAt"], &body["data"]),
        (&printed["type"], &printed["spektrId"], &printed["createdAt"], &printed["data"])
    );
    let refused = json!({ "type": "service_run", "data": {}, "process_name": "KYC" });
    let (status, answer) = posthaste.api.call(Method::POST, "/events", refused).await;
    assert_eq!((status, &answer["error"]["code"]), (422, &json!("unknown_field")));
}
