//! Tests see parked retries with these methods, and let their time come.

use serde_json::{Value, json};

use crate::Posthaste;

impl Posthaste {
    /// Lists the due items, which are parked retries.
    pub async fn due_items(&self) -> Vec<Value> {
        self.scan("begins_with(pk, :due)", json!({ ":due": { "S": "#due#" } })).await
    }

    /// Makes all parked retries due: their items get keys of the past, and so do their records.
    pub async fn fast_forward_parked(&self) {
        for mut item in self.due_items().await {
            let key = json!({ "pk": item["pk"], "sk": item["sk"] });
            let (_, rest) = item["sk"]["S"].as_str().unwrap().split_once('#').unwrap();
            item["sk"] = json!({ "S": format!("0000000001000#{rest}") });
            let delete = json!({ "TableName": self.deliveries_table(), "Key": key });
            self.system.dynamodb().call("DeleteItem", &delete).await.unwrap();
            self.put(item).await;
        }
        self.fast_forward_records().await;
    }

    /// Puts due items with these sort keys straight into a partition.
    pub async fn put_due(&self, shard: u8, keys: &[String], task: &Value) {
        for keys in keys.chunks(25) {
            let mut puts = Vec::new();
            for key in keys {
                let item = json!({
                    "pk": { "S": format!("#due#{shard}") }, "sk": { "S": key },
                    "task": { "S": task.to_string() }, "expiresAt": { "N": "9999999999" },
                });
                puts.push(json!({ "PutRequest": { "Item": item } }));
            }
            let write = json!({ "RequestItems": { self.deliveries_table(): puts } });
            self.system.dynamodb().call("BatchWriteItem", &write).await.unwrap();
        }
    }

    async fn put(&self, item: Value) {
        let put = json!({ "TableName": self.deliveries_table(), "Item": item });
        self.system.dynamodb().call("PutItem", &put).await.unwrap();
    }

    /// Lists all items of the Deliveries table that the filter lets pass.
    pub async fn scan(&self, filter: &str, values: Value) -> Vec<Value> {
        let mut items = Vec::new();
        let mut scan = json!({
            "TableName": self.deliveries_table(), "ConsistentRead": true,
            "FilterExpression": filter,
        });
        if !values.is_null() {
            scan["ExpressionAttributeValues"] = values;
        }
        loop {
            let mut page = self.system.dynamodb().call("Scan", &scan).await.unwrap();
            items.append(page["Items"].as_array_mut().unwrap());
            match page["LastEvaluatedKey"].take() {
                Value::Null => return items,
                last => scan["ExclusiveStartKey"] = last,
            }
        }
    }
}
