//! A call is read from its request, and says which permissions it needs.

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use http::HeaderMap;
use posthaste_local_template::Stack;
use serde_json::Value;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    DynamoDb,
    Sqs,
    SecretsManager,
}

/// The partition key of every table of the template.
const PARTITION_KEY: &str = "pk";

/// One call of the AWS JSON protocols.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) service: Service,
    pub(crate) action: String,
    pub(crate) body: Value,
}

/// The ARNs of tables and queues, by the names that calls use.
#[derive(Debug, Default)]
pub(crate) struct Names {
    pub(crate) tables: BTreeMap<String, String>,
    pub(crate) queues: BTreeMap<String, String>,
}

impl Names {
    pub(crate) fn of(stack: &Stack) -> Self {
        let tables = stack.tables.iter().map(|table| (table.name.clone(), table.arn.clone()));
        let queues = stack.queues.iter().map(|queue| (queue.name.clone(), queue.arn.clone()));
        Self { tables: tables.collect(), queues: queues.collect() }
    }

    /// Finds the ARN of a table. A name without one stands for itself.
    fn table(&self, name: &Value) -> String {
        arn(&self.tables, name.as_str().unwrap_or_default())
    }
}

impl Call {
    pub(crate) fn of(headers: &HeaderMap, body: &[u8]) -> Option<Self> {
        let (prefix, action) = headers.get("x-amz-target")?.to_str().ok()?.split_once('.')?;
        let service = match prefix {
            "DynamoDB_20120810" => Service::DynamoDb,
            "AmazonSQS" => Service::Sqs,
            "secretsmanager" => Service::SecretsManager,
            _ => return None,
        };
        Some(Self {
            service,
            action: action.to_owned(),
            body: serde_json::from_slice(body).unwrap_or_default(),
        })
    }

    /// Names the operation with its service, such as `dynamodb:UpdateItem`.
    pub(crate) fn operation(&self) -> String {
        let service = match self.service {
            Service::DynamoDb => "dynamodb",
            Service::Sqs => "sqs",
            Service::SecretsManager => "secretsmanager",
        };
        format!("{service}:{}", self.action)
    }

    /// Lists the IAM actions that this call needs, each with the ARN of its resource. A name that
    /// the stack does not have stands as its own ARN, which no role permits.
    pub(crate) fn permissions(&self, names: &Names) -> Vec<(String, String)> {
        match self.service {
            Service::DynamoDb => self.table_permissions(names),
            Service::Sqs if self.action.ends_with("MessageMoveTask") => self.move_permissions(),
            Service::Sqs if self.action == "ListMessageMoveTasks" => self.move_permissions(),
            Service::Sqs => {
                // A batch call needs the permission of its single form.
                let action = self.action.strip_suffix("Batch").unwrap_or(&self.action);
                let url = self.body["QueueUrl"].as_str().unwrap_or_default();
                let name = url.rsplit('/').next().unwrap_or_default();
                vec![(format!("sqs:{action}"), arn(&names.queues, name))]
            }
            Service::SecretsManager => {
                let secret = self.body["SecretId"].as_str().unwrap_or_default();
                vec![(self.operation(), secret.to_owned())]
            }
        }
    }

    /// Lists the permissions of a call about a move task, which works in the name of its caller. It
    /// names queues by their ARNs, and a task by a handle in which its source is.
    fn move_permissions(&self) -> Vec<(String, String)> {
        let source = match self.body["TaskHandle"].as_str() {
            Some(handle) => source_of(handle).unwrap_or_default(),
            None => self.body["SourceArn"].as_str().unwrap_or_default().to_owned(),
        };
        let mut needed = vec![(self.operation(), source.clone())];
        for action in ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"] {
            needed.push((action.to_owned(), source.clone()));
        }
        if let Some(destination) = self.body["DestinationArn"].as_str() {
            needed.push(("sqs:SendMessage".to_owned(), destination.to_owned()));
        }
        needed
    }

    /// Lists the partition keys that a call names. They are in its own key, in the parts of its
    /// transaction, in its batch of reads or writes, or in its query's condition, or are the first
    /// parameters of its statements. A missing key counts as an empty one, which no condition
    /// permits.
    pub(crate) fn leading_keys(&self) -> Vec<&str> {
        if self.service != Service::DynamoDb {
            return Vec::new();
        }
        if self.action == "Query" {
            return vec![self.queried_key().unwrap_or_default()];
        }
        let mut items: Vec<&Value> = item_or_key(&self.body).collect();
        for part in self.body["TransactItems"].as_array().into_iter().flatten() {
            items.extend(values(part).flat_map(item_or_key));
        }
        for table in values(&self.body["RequestItems"]) {
            // A batch of writes has a list for each table, a batch of reads an object with keys.
            for write in table.as_array().into_iter().flatten() {
                items.extend(values(write).flat_map(item_or_key));
            }
            items.extend(table["Keys"].as_array().into_iter().flatten());
        }
        let of_items = items.into_iter().map(|item| &item[PARTITION_KEY]);
        let of_statements = self.statements().map(|statement| &statement["Parameters"][0]);
        of_items.chain(of_statements).map(|key| key["S"].as_str().unwrap_or_default()).collect()
    }

    /// Iterates over the statements of a batch of PartiQL.
    fn statements(&self) -> impl Iterator<Item = &Value> {
        self.body["Statements"].as_array().into_iter().flatten()
    }

    /// Reads the partition key of a query whose condition begins with `pk = :value`.
    fn queried_key(&self) -> Option<&str> {
        let mut words = self.body["KeyConditionExpression"].as_str()?.split_whitespace();
        let is_equal = words.next() == Some(PARTITION_KEY) && words.next() == Some("=");
        let value = words.next().filter(|_| is_equal)?;
        self.body["ExpressionAttributeValues"][value]["S"].as_str()
    }

    fn table_permissions(&self, names: &Names) -> Vec<(String, String)> {
        match self.action.as_str() {
            "BatchGetItem" | "BatchWriteItem" => {
                let tables = self.body["RequestItems"].as_object().into_iter().flatten();
                tables.map(|(name, _)| (self.operation(), arn(&names.tables, name))).collect()
            }
            "BatchExecuteStatement" => {
                let texts = self.statements().map(|statement| statement["Statement"].as_str());
                texts.map(|text| inserting(text.unwrap_or_default(), &names.tables)).collect()
            }
            "TransactWriteItems" | "TransactGetItems" => {
                let items = self.body["TransactItems"].as_array().into_iter().flatten();
                let parts = items.filter_map(Value::as_object).flatten();
                parts
                    .map(|(kind, part)| {
                        (format!("dynamodb:{}", single(kind)), names.table(&part["TableName"]))
                    })
                    .collect()
            }
            _ => {
                let table = names.table(&self.body["TableName"]);
                let resource = match self.body["IndexName"].as_str() {
                    Some(index) => format!("{table}/index/{index}"),
                    None => table,
                };
                vec![(self.operation(), resource)]
            }
        }
    }
}

/// Names the permission that a statement `INSERT INTO "table" VALUE {'pk': ?, …}` needs. No role has
/// the one of any other statement.
fn inserting(statement: &str, tables: &BTreeMap<String, String>) -> (String, String) {
    let table = statement.strip_prefix("INSERT INTO \"").and_then(|rest| rest.split_once('"'));
    match table {
        Some((table, rest)) if rest.starts_with(" VALUE {'pk': ?") => {
            ("dynamodb:PartiQLInsert".to_owned(), arn(tables, table))
        }
        _ => ("dynamodb:PartiQLUnknown".to_owned(), statement.to_owned()),
    }
}

/// Reads the ARN of the source from the handle of a move task.
fn source_of(handle: &str) -> Option<String> {
    let handle: Value = serde_json::from_slice(&BASE64_STANDARD.decode(handle).ok()?).ok()?;
    Some(handle["sourceArn"].as_str()?.to_owned())
}

/// Iterates over the values of an object, and over nothing if it is none.
fn values(object: &Value) -> impl Iterator<Item = &Value> {
    object.as_object().into_iter().flat_map(|fields| fields.values())
}

/// Finds the attributes in a part of a call that names an item: a put has all, the others its key.
fn item_or_key(part: &Value) -> impl Iterator<Item = &Value> {
    part.get("Item").or_else(|| part.get("Key")).into_iter()
}

/// IAM has no action for a transaction: each part needs the permission of its single form.
fn single(kind: &str) -> &str {
    match kind {
        "Put" => "PutItem",
        "Update" => "UpdateItem",
        "Delete" => "DeleteItem",
        "Get" => "GetItem",
        "ConditionCheck" => "ConditionCheckItem",
        other => other,
    }
}

fn arn(arns: &BTreeMap<String, String>, name: &str) -> String {
    arns.get(name).cloned().unwrap_or_else(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn permissions(target: &str, body: Value) -> Vec<(String, String)> {
        let names = Names {
            tables: BTreeMap::from([
                ("t".to_owned(), "arn:t".to_owned()),
                ("u".to_owned(), "arn:u".to_owned()),
            ]),
            queues: BTreeMap::from([("q".to_owned(), "arn:q".to_owned())]),
        };
        let headers =
            HeaderMap::from_iter([("x-amz-target".parse().unwrap(), target.parse().unwrap())]);
        Call::of(&headers, body.to_string().as_bytes()).unwrap().permissions(&names)
    }

    #[test]
    fn the_leading_keys_are_those_of_every_part() {
        assert_eq!(keys(json!({"Item": {"pk": {"S": "a"}, "sk": {"S": "b"}}})), ["a"]);
        assert_eq!(keys(json!({"Key": {"pk": {"S": "a"}}})), ["a"]);
        assert_eq!(keys(json!({"Key": {"other": {"S": "a"}}})), [""]);
        let parts =
            json!([{"Put": {"Item": {"pk": {"S": "a"}}}}, {"Update": {"Key": {"pk": {"S": "b"}}}}]);
        assert_eq!(keys(json!({ "TransactItems": parts })), ["a", "b"]);
        let batch = json!({
            "RequestItems": {
                "t": {"Keys": [{"pk": {"S": "a"}}, {"other": {"S": "b"}}]},
                "u": [{"PutRequest": {}}],
            },
        });
        assert_eq!(keys(batch), ["a", ""]);
        let writes = json!(
            [
                {"PutRequest": {"Item": {"pk": {"S": "a"}}}},
                {"DeleteRequest": {"Key": {"pk": {"S": "b"}}}}
            ]
        );
        assert_eq!(keys(json!({ "RequestItems": { "t": writes } })), ["a", "b"]);
    }

    #[test]
    fn the_leading_key_of_a_query_is_in_its_condition() {
        assert_eq!(queried_keys("pk = :pk AND sk < :sk"), ["a"]);
        assert_eq!(queried_keys("dueShard = :pk"), [""]);
    }

    fn queried_keys(condition: &str) -> Vec<String> {
        let values = json!({":pk": {"S": "a"}, ":sk": {"S": "b"}});
        keys_of(
            "Query",
            json!({"KeyConditionExpression": condition, "ExpressionAttributeValues": values}),
        )
    }

    fn keys(body: Value) -> Vec<String> {
        keys_of("", body)
    }

    fn keys_of(action: &str, body: Value) -> Vec<String> {
        let call = Call { service: Service::DynamoDb, action: action.to_owned(), body };
        call.leading_keys().into_iter().map(str::to_owned).collect()
    }

    fn assert_needs(target: &str, body: Value, expected: &[(&str, &str)]) {
        let needed = permissions(target, body);
        let needed: Vec<_> =
            needed.iter().map(|(action, arn)| (action.as_str(), arn.as_str())).collect();
        assert_eq!(needed, expected, "{target}");
    }

    #[test]
    fn a_call_needs_a_permission_on_its_table_or_its_index() {
        for action in ["GetItem", "Query", "Scan"] {
            let (target, needed) =
                (format!("DynamoDB_20120810.{action}"), format!("dynamodb:{action}"));
            assert_needs(&target, json!({"TableName": "t"}), &[(&needed, "arn:t")]);
            let on_index = json!({"TableName": "t", "IndexName": "due"});
            assert_needs(&target, on_index, &[(&needed, "arn:t/index/due")]);
        }
    }

    #[test]
    fn a_batch_needs_a_permission_on_each_of_its_tables() {
        let reads = json!({"RequestItems": {"t": {}, "u": {}}});
        let needed = [("dynamodb:BatchGetItem", "arn:t"), ("dynamodb:BatchGetItem", "arn:u")];
        assert_needs("DynamoDB_20120810.BatchGetItem", reads, &needed);
        let writes =
            json!({"RequestItems": {"t": [{"PutRequest": {}}], "other": [{"DeleteRequest": {}}]}});
        let needed = [("dynamodb:BatchWriteItem", "other"), ("dynamodb:BatchWriteItem", "arn:t")];
        assert_needs("DynamoDB_20120810.BatchWriteItem", writes, &needed);
    }

    #[test]
    fn a_batch_of_statements_inserts_by_the_key_that_comes_first() {
        let statement = |text: &str| json!({"Statement": text, "Parameters": [{"S": "a"}]});
        let insert = statement("INSERT INTO \"t\" VALUE {'pk': ?, 'sk': ?}");
        let other = statement("DELETE FROM \"t\" WHERE pk = ?");
        let needed = [
            ("dynamodb:PartiQLInsert", "arn:t"),
            ("dynamodb:PartiQLUnknown", "DELETE FROM \"t\" WHERE pk = ?"),
        ];
        let batch = json!({"Statements": [insert, other]});
        assert_eq!(keys(batch.clone()), ["a", "a"]);
        assert_needs("DynamoDB_20120810.BatchExecuteStatement", batch, &needed);
    }

    #[test]
    fn a_transaction_needs_the_permissions_of_its_parts() {
        let parts = json!({"TransactItems": [
            {"Put": {"TableName": "t"}},
            {"Update": {"TableName": "u"}},
            {"Delete": {"TableName": "t"}},
            {"ConditionCheck": {"TableName": "u"}},
        ]});
        let needed = [
            ("dynamodb:PutItem", "arn:t"),
            ("dynamodb:UpdateItem", "arn:u"),
            ("dynamodb:DeleteItem", "arn:t"),
            ("dynamodb:ConditionCheckItem", "arn:u"),
        ];
        assert_needs("DynamoDB_20120810.TransactWriteItems", parts, &needed);
        let two_in_one =
            json!({"TransactItems": [{"Delete": {"TableName": "t"}, "Put": {"TableName": "u"}}]});
        let needed = [("dynamodb:DeleteItem", "arn:t"), ("dynamodb:PutItem", "arn:u")];
        assert_needs("DynamoDB_20120810.TransactWriteItems", two_in_one, &needed);
        let reads =
            json!({"TransactItems": [{"Get": {"TableName": "t"}}, {"Get": {"TableName": "u"}}]});
        let needed = [("dynamodb:GetItem", "arn:t"), ("dynamodb:GetItem", "arn:u")];
        assert_needs("DynamoDB_20120810.TransactGetItems", reads, &needed);
    }

    #[test]
    fn a_move_task_needs_the_permissions_of_what_it_does() {
        let needed = |action: &'static str| {
            let of_source = [action, "ReceiveMessage", "DeleteMessage", "GetQueueAttributes"];
            of_source.map(|action| (format!("sqs:{action}"), "arn:dead".to_owned())).to_vec()
        };
        let start = json!({"SourceArn": "arn:dead", "DestinationArn": "arn:q"});
        let mut with_destination = needed("StartMessageMoveTask");
        with_destination.push(("sqs:SendMessage".to_owned(), "arn:q".to_owned()));
        assert_eq!(permissions("AmazonSQS.StartMessageMoveTask", start), with_destination);
        let list = json!({"SourceArn": "arn:dead"});
        let listed = permissions("AmazonSQS.ListMessageMoveTasks", list);
        assert_eq!(listed, needed("ListMessageMoveTasks"));
        let handle = BASE64_STANDARD.encode(json!({"sourceArn": "arn:dead"}).to_string());
        let cancel = json!({ "TaskHandle": handle });
        let cancelled = permissions("AmazonSQS.CancelMessageMoveTask", cancel);
        assert_eq!(cancelled, needed("CancelMessageMoveTask"));
    }

    #[test]
    fn a_call_of_sqs_or_secrets_manager_needs_a_permission_on_its_queue_or_its_secret() {
        let send = json!({"QueueUrl": "http://127.0.0.1:1/0/q"});
        assert_needs("AmazonSQS.SendMessageBatch", send, &[("sqs:SendMessage", "arn:q")]);
        let send = json!({"QueueUrl": "http://127.0.0.1:1/0/other"});
        assert_needs("AmazonSQS.SendMessage", send, &[("sqs:SendMessage", "other")]);
        let get = json!({"SecretId": "arn:s"});
        assert_needs(
            "secretsmanager.GetSecretValue",
            get,
            &[("secretsmanager:GetSecretValue", "arn:s")],
        );
    }
}
