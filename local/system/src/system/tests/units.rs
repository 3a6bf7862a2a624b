//! Calls of DynamoDB are billed in units.

use super::*;

/// Makes a thing of about so many bytes, which is in both indexes.
fn thing(pk: &str, bytes: usize) -> Value {
    let text = |text: String| json!({ "S": text });
    json!({
        "pk": { "S": pk }, "place": { "S": "0" }, "dueAt": { "N": "10" }, "ownedBy": { "S": "me" },
        "more": text("x".repeat(bytes)),
    })
}

#[tokio::test]
async fn a_call_is_billed_with_its_indexes_and_transactions_twice() {
    let worker = Worker::start().await;
    let table = "posthaste-Things";
    // The reads and the writes that a call is billed for.
    let billed = async |operation: &str, body: Value| {
        let before = worker.system.usage().await.unwrap();
        let answer = worker.call(operation, body).await;
        let since = worker.system.usage().await.unwrap().since(&before).tables[table];
        (answer.is_ok(), since.reads, since.writes)
    };
    let put = |item: Value| json!({ "TableName": table, "Item": item });
    assert_eq!(
        billed("PutItem", put(thing("a", 800))).await,
        (true, 0.0, 1.0 + 1.0 + 1.0),
        "the table and two indexes"
    );
    assert_eq!(
        billed("PutItem", put(thing("a", 1500))).await,
        (true, 0.0, 2.0),
        "what the indexes have stays"
    );
    assert_eq!(
        billed("PutItem", put(thing("a", 10))).await,
        (true, 0.0, 2.0),
        "the item before was longer"
    );

    let mut twice = put(thing("a", 10));
    twice["ConditionExpression"] = "attribute_not_exists(pk)".into();
    assert_eq!(billed("PutItem", twice).await, (false, 0.0, 1.0), "a condition that does not hold");

    let part = json!({ "Put": { "TableName": table, "Item": { "pk": { "S": "b" } } } });
    assert_eq!(
        billed("TransactWriteItems", json!({ "TransactItems": [part] })).await,
        (true, 0.0, 2.0)
    );

    let query = json!({
        "TableName": table, "IndexName": "owner",
        "KeyConditionExpression": "ownedBy = :o",
        "ExpressionAttributeValues": { ":o": { "S": "me" } },
    });
    assert_eq!(
        billed("Query", query).await,
        (true, 0.5, 0.0),
        "an eventually consistent read is half a unit"
    );
    let usage = worker.system.usage().await.unwrap();
    assert_eq!(usage.tables[table].items, 2);
}
