//! Tests see webhooks' lanes and backlogs with these methods, and let time pass for them. The
//! webhooks are those of the first workspace.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use crate::{Posthaste, eventually};

/// Returns the Unix time in milliseconds.
pub fn now_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

impl Posthaste {
    /// Reads a webhook's lane as the table has it, as plain JSON. A lane without an item has no
    /// attribute.
    pub async fn lane(&self, webhook: &Value) -> Value {
        let get = json!({
            "TableName": self.deliveries_table(), "Key": lane_key(webhook), "ConsistentRead": true,
        });
        let item = self.system.dynamodb().call("GetItem", &get).await.unwrap()["Item"].clone();
        let attributes = item.as_object().cloned().unwrap_or_default();
        Value::Object(attributes.into_iter().map(|(name, value)| (name, plain(&value))).collect())
    }

    /// Waits until a lane is as wanted, and returns it.
    pub async fn lane_when(
        &self,
        webhook: &Value,
        what: &str,
        is: impl Fn(&Value) -> bool,
    ) -> Value {
        eventually(what, async || Some(self.lane(webhook).await).filter(&is)).await
    }

    /// Changes attributes of a lane. A null removes one.
    pub async fn set_lane(&self, webhook: &Value, changes: Value) {
        let (mut set, mut remove) = (Vec::new(), Vec::new());
        let (mut names, mut values) = (Map::new(), Map::new());
        for (name, value) in changes.as_object().unwrap() {
            names.insert(format!("#{name}"), json!(name));
            let value = match value {
                Value::Null => {
                    remove.push(format!("#{name}"));
                    continue;
                }
                Value::String(text) => json!({ "S": text }),
                number => json!({ "N": number.to_string() }),
            };
            set.push(format!("#{name} = :{name}"));
            values.insert(format!(":{name}"), value);
        }
        let mut update = json!({
            "TableName": self.deliveries_table(), "Key": lane_key(webhook),
            "ExpressionAttributeNames": names,
            "UpdateExpression": clause("SET", &set) + &clause("REMOVE", &remove),
        });
        if !values.is_empty() {
            update["ExpressionAttributeValues"] = Value::Object(values);
        }
        self.system.dynamodb().call("UpdateItem", &update).await.unwrap();
    }

    /// Lists the items of a webhook's backlog in the order of their keys.
    pub async fn backlog(&self, webhook: &Value) -> Vec<Value> {
        let query = json!({
            "TableName": self.deliveries_table(), "ConsistentRead": true,
            "KeyConditionExpression": "pk = :backlog",
            "ExpressionAttributeValues": {
                ":backlog": { "S": format!("#wait#default#{}#0", webhook["id"]) },
            },
        });
        self.system.dynamodb().call("Query", &query).await.unwrap()["Items"]
            .as_array()
            .unwrap()
            .clone()
    }

    /// Waits until a backlog has this many items, and returns them.
    pub async fn backlog_of(&self, webhook: &Value, count: usize) -> Vec<Value> {
        eventually(&format!("{count} deliveries wait"), async || {
            Some(self.backlog(webhook).await).filter(|items| items.len() == count)
        })
        .await
    }

    /// Gives a webhook a lane whose turn sleeps. New deliveries wait until it is woken.
    pub async fn hold(&self, webhook: &Value, reason: &str) {
        let (now, later) = (now_ms(), now_ms() + 600_000);
        let lane = json!({
            "phase": "held", "reason": reason, "openedAt": now,
            "token": format!("{}-{now}", webhook["id"]),
            "wakeAt": later, "dueAt": later, "dueShard": "L3",
        });
        self.set_lane(webhook, lane).await;
    }

    /// Wakes a lane, as if its time had come.
    pub async fn wake(&self, webhook: &Value) {
        self.set_lane(webhook, json!({ "wakeAt": 1000, "dueAt": 1000 })).await;
        self.release().await;
    }

    /// Lets `release` do its round, and another one where it could not do all of it.
    pub async fn release(&self) {
        eventually("release goes through its shards", async || {
            self.system.tick("release").await.ok()
        })
        .await;
    }

    /// Lets a turn that nobody works on begin now, because its function was killed, or because it
    /// waits for a while. Its lease is taken away and its lane woken. If somebody does work on it,
    /// two turns at once may come of it.
    pub async fn hurry_turn(&self, webhook: &Value) {
        let update = json!({
            "TableName": self.deliveries_table(), "Key": lane_key(webhook),
            "UpdateExpression": "SET wakeAt = :past, dueAt = :past REMOVE leaseUntil",
            "ConditionExpression": "attribute_exists(#token)",
            "ExpressionAttributeNames": { "#token": "token" },
            "ExpressionAttributeValues": { ":past": { "N": "1000" } },
        });
        if self.system.dynamodb().call("UpdateItem", &update).await.is_ok() {
            // Faults may hit it: then the next one does it.
            let _ = self.system.tick("release").await;
        }
    }

    /// Lets the message of a killed turn come again now, and find the turn's lease over.
    pub async fn forget_killed_turn(&self, webhook: &Value) {
        let update = json!({
            "TableName": self.deliveries_table(), "Key": lane_key(webhook),
            "UpdateExpression": "SET leaseUntil = :past",
            "ConditionExpression": "attribute_exists(leaseUntil)",
            "ExpressionAttributeValues": { ":past": { "N": "1000" } },
        });
        // The function may have ended its turn before it was killed.
        let _ = self.system.dynamodb().call("UpdateItem", &update).await;
        self.system.sqs().expire_in_flight(&self.queue("TurnsQueueUrl"));
    }

    /// Counts the calls of AWS that a function has made.
    pub fn calls_of(&self, function: &str) -> u64 {
        self.system
            .metrics()
            .calls
            .get(function)
            .map_or(0, |calls| calls.values().map(|calls| calls.count).sum())
    }

    /// Makes the retries that wait as delayed messages due.
    pub async fn fast_forward_retries(&self) {
        self.fast_forward_records().await;
        self.system.sqs().expire_delays(&self.queue("DeliveriesQueueUrl"));
    }

    /// Lets the records say that their retries are due.
    pub async fn fast_forward_records(&self) {
        for item in self.scan("attribute_exists(notBefore)", Value::Null).await {
            let update = json!({
                "TableName": self.deliveries_table(), "Key": { "pk": item["pk"], "sk": item["sk"] },
                "UpdateExpression": "SET notBefore = :past",
                "ExpressionAttributeValues": { ":past": { "N": "1000" } },
                "ConditionExpression": "attribute_exists(notBefore)",
            });
            // One that was made in the meantime waits no more.
            let _ = self.system.dynamodb().call("UpdateItem", &update).await;
        }
    }

    /// Returns the name of the Deliveries table.
    pub fn deliveries_table(&self) -> &str {
        &self.system.stack().outputs["DeliveriesTable"]
    }
}

fn lane_key(webhook: &Value) -> Value {
    json!({ "pk": { "S": format!("#lane#default#{}", webhook["id"]) }, "sk": { "S": "lane" } })
}

fn clause(name: &str, parts: &[String]) -> String {
    if parts.is_empty() { String::new() } else { format!("{name} {} ", parts.join(", ")) }
}

/// Turns a text or a number of DynamoDB into plain JSON.
fn plain(value: &Value) -> Value {
    match (&value["S"], &value["N"]) {
        (Value::String(text), _) => json!(text),
        (_, Value::String(number)) => serde_json::from_str(number).unwrap(),
        _ => Value::Null,
    }
}
