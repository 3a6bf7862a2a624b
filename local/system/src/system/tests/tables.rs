//! Tables have their indexes, and roles limit the calls to them.

use super::*;

fn put(pk: &str, due_at: u32) -> Value {
    json!({"TableName": "posthaste-Things", "Item": {
        "pk": {"S": pk}, "place": {"S": "0"}, "dueAt": {"N": due_at.to_string()},
        "ownedBy": {"S": "me"}, "more": {"S": "x"},
    }})
}

fn query(index: Option<&str>, condition: &str, values: Value) -> Value {
    let mut query = json!({
        "TableName": "posthaste-Things",
        "KeyConditionExpression": condition,
        "ExpressionAttributeValues": values,
    });
    if let Some(index) = index {
        query["IndexName"] = index.into();
    }
    query
}

fn due() -> Value {
    query(
        Some("due"),
        "place = :s AND dueAt <= :now",
        json!({":s": {"S": "0"}, ":now": {"N": "20"}}),
    )
}

fn owned_by_me() -> Value {
    query(Some("owner"), "ownedBy = :o", json!({":o": {"S": "me"}}))
}

#[tokio::test]
async fn an_index_is_queried_through_the_front() {
    let worker = Worker::start().await;
    for (pk, due_at) in [("b", 20), ("c", 30), ("a", 10)] {
        worker.call("PutItem", put(pk, due_at)).await.unwrap();
    }
    worker
        .call(
            "PutItem",
            json!({"TableName": "posthaste-Things", "Item": {"pk": {"S": "waits for nothing"}}}),
        )
        .await
        .unwrap();
    let found = worker.call("Query", due()).await.unwrap();
    let key = |pk: &str, due_at: &str| {
        json!({
            "pk": {"S": pk}, "place": {"S": "0"}, "dueAt": {"N": due_at},
        })
    };
    assert_eq!(
        found["Items"],
        json!([key("a", "10"), key("b", "20")]),
        "only keys, in the index's order"
    );
    let found = worker.call("Query", owned_by_me()).await.unwrap();
    let items = found["Items"].as_array().unwrap();
    assert_eq!(items.len(), 3);
    assert!(
        items.iter().all(|item| item.as_object().unwrap().keys().eq(["ownedBy", "pk"])),
        "{items:?}"
    );
    let scanned = worker
        .call("Scan", json!({"TableName": "posthaste-Things", "IndexName": "due"}))
        .await
        .unwrap();
    assert_eq!(scanned["Count"], 3, "an item without the key's attributes is not in the index");
}

/// Returns the error of a call that the role does not permit.
fn denied(action: &str, resource: &str) -> Result<Value, (String, String)> {
    let arn = format!("arn:aws:dynamodb:us-east-1:000000000000:table/{resource}");
    let message = format!("User: worker is not authorized to perform: {action} on resource: {arn}");
    Err(("AccessDeniedException".to_owned(), message))
}

#[tokio::test]
async fn a_permission_on_an_index_is_none_on_the_table_or_another_index() {
    let without = TEMPLATE.replace("!Sub \"${Things.Arn}/index/due\", ", "");
    let worker = Worker::with(without, None).await;
    assert_eq!(
        worker.call("Query", due()).await,
        denied("dynamodb:Query", "posthaste-Things/index/due")
    );
    let on_table = query(None, "pk = :pk", json!({":pk": {"S": "a"}}));
    assert_eq!(worker.call("Query", on_table).await, denied("dynamodb:Query", "posthaste-Things"));
    assert!(worker.call("Query", owned_by_me()).await.is_ok());
    assert_eq!(worker.system.metrics().calls["worker"]["dynamodb:Query"].errors, 2);
}

#[tokio::test]
async fn a_transaction_is_permitted_or_refused_part_by_part() {
    let worker = Worker::start().await;
    let transact = |parts: Value| json!({"TransactItems": parts});
    let new =
        |pk: &str| json!({"Put": {"TableName": "posthaste-Things", "Item": {"pk": {"S": pk}}}});
    let on_key = |kind: &str| {
        let part = json!({
            "TableName": "posthaste-Others",
            "Key": {"pk": {"S": "x"}},
            "ConditionExpression": "attribute_not_exists(pk)",
        });
        json!({ kind: part })
    };
    assert!(worker.call("TransactWriteItems", transact(json!([new("a"), new("b")]))).await.is_ok());
    for (kind, action) in [
        ("ConditionCheck", "dynamodb:ConditionCheckItem"),
        ("Delete", "dynamodb:DeleteItem"),
        ("Update", "dynamodb:UpdateItem"),
    ] {
        let answer =
            worker.call("TransactWriteItems", transact(json!([new("c"), on_key(kind)]))).await;
        assert_eq!(answer, denied(action, "posthaste-Others"), "{kind}");
    }
    let get = json!([{"Get": {"TableName": "posthaste-Things", "Key": {"pk": {"S": "a"}}}}]);
    let got = worker.call("TransactGetItems", transact(get)).await;
    assert_eq!(got, denied("dynamodb:GetItem", "posthaste-Things"));
    let batch = json!({"RequestItems": {"posthaste-Things": {"Keys": [{"pk": {"S": "a"}}]}}});
    assert_eq!(
        worker.call("BatchGetItem", batch).await,
        denied("dynamodb:BatchGetItem", "posthaste-Things")
    );
}

#[tokio::test]
async fn a_kept_table_gets_the_indexes_that_it_lacks() {
    let indexes = TEMPLATE.find("      GlobalSecondaryIndexes:").unwrap()
        ..TEMPLATE.find("  Others:").unwrap();
    let mut older = TEMPLATE.to_owned();
    older.replace_range(indexes, "");
    let definitions = older.find("        - {AttributeName: place").unwrap()
        ..older.find("      KeySchema: [{").unwrap();
    older.replace_range(definitions, "");
    let directory = tempfile::tempdir().unwrap();
    let data = Some(directory.path().to_owned());
    let worker = Worker::with(older, data.clone()).await;
    worker.call("PutItem", put("a", 10)).await.unwrap();
    worker.system.stop().await;

    for _ in 0..2 {
        let worker = Worker::with(TEMPLATE.to_owned(), data.clone()).await;
        assert_eq!(worker.call("Query", due()).await.unwrap()["Count"], 1);
        assert_eq!(worker.call("Query", owned_by_me()).await.unwrap()["Count"], 1);
        worker.system.stop().await;
    }
}
