//! What a call is, and which permissions it needs.

use std::collections::BTreeMap;

use http::HeaderMap;
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

/// ARNs by the names that calls use.
#[derive(Debug, Default)]
pub(crate) struct Names {
    pub(crate) tables: BTreeMap<String, String>,
    pub(crate) queues: BTreeMap<String, String>,
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
        Some(Self { service, action: action.to_owned(), body: serde_json::from_slice(body).unwrap_or_default() })
    }

    /// As `dynamodb:UpdateItem`.
    pub(crate) fn operation(&self) -> String {
        let service = match self.service {
            Service::DynamoDb => "dynamodb",
            Service::Sqs => "sqs",
            Service::SecretsManager => "secretsmanager",
        };
        format!("{service}:{}", self.action)
    }

    /// The IAM actions that this call needs, each with the ARN of its resource. A name that the stack does not have is its own ARN,
    /// which no role permits.
    pub(crate) fn permissions(&self, names: &Names) -> Vec<(String, String)> {
        match self.service {
            Service::DynamoDb => self.table_permissions(names),
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

    /// The partition keys of the items that a call names by their keys, its own, those of the parts of a transaction, of a batch of
    /// reads or of writes, or of what a query asks for. A key that is not there is an empty one, which no condition permits.
    pub(crate) fn leading_keys(&self) -> Vec<&str> {
        if self.service != Service::DynamoDb {
            return Vec::new();
        }
        if self.action == "Query" {
            return vec![self.queried_key().unwrap_or_default()];
        }
        let transaction = self.body["TransactItems"].as_array().into_iter().flatten();
        let tables = self.body["RequestItems"].as_object().into_iter().flat_map(|tables| tables.values());
        let writes = tables.filter_map(Value::as_array).flatten();
        let parts = transaction.chain(writes).filter_map(Value::as_object).flat_map(|part| part.values());
        let keys = parts.chain([&self.body]).filter_map(|part| part.get("Item").or_else(|| part.get("Key")));
        let tables = self.body["RequestItems"].as_object().into_iter().flat_map(|tables| tables.values());
        let read = tables.flat_map(|table| table["Keys"].as_array().into_iter().flatten());
        keys.chain(read).map(|key| key[PARTITION_KEY]["S"].as_str().unwrap_or_default()).collect()
    }

    /// What a query wants the partition key to be, where its condition begins as `pk = :value`.
    fn queried_key(&self) -> Option<&str> {
        let mut words = self.body["KeyConditionExpression"].as_str()?.split_whitespace();
        let is_equal = words.next() == Some(PARTITION_KEY) && words.next() == Some("=");
        let value = words.next().filter(|_| is_equal)?;
        self.body["ExpressionAttributeValues"][value]["S"].as_str()
    }

    fn table_permissions(&self, names: &Names) -> Vec<(String, String)> {
        let table = |name: &Value| arn(&names.tables, name.as_str().unwrap_or_default());
        match self.action.as_str() {
            "BatchGetItem" | "BatchWriteItem" => {
                let requests = self.body["RequestItems"].as_object().into_iter().flatten();
                requests.map(|(name, _)| (self.operation(), arn(&names.tables, name))).collect()
            }
            "TransactWriteItems" | "TransactGetItems" => {
                let items = self.body["TransactItems"].as_array().into_iter().flatten();
                let parts = items.filter_map(Value::as_object).flatten();
                parts.map(|(kind, part)| (format!("dynamodb:{}", single(kind)), table(&part["TableName"]))).collect()
            }
            _ => {
                let table = table(&self.body["TableName"]);
                let resource = match self.body["IndexName"].as_str() {
                    Some(index) => format!("{table}/index/{index}"),
                    None => table,
                };
                vec![(self.operation(), resource)]
            }
        }
    }
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
            tables: BTreeMap::from([("t".to_owned(), "arn:t".to_owned()), ("u".to_owned(), "arn:u".to_owned())]),
            queues: BTreeMap::from([("q".to_owned(), "arn:q".to_owned())]),
        };
        let headers = HeaderMap::from_iter([("x-amz-target".parse().unwrap(), target.parse().unwrap())]);
        Call::of(&headers, body.to_string().as_bytes()).unwrap().permissions(&names)
    }

    #[test]
    fn the_leading_keys_are_those_of_every_part() {
        let keys_of = |action: &str, body: Value| {
            let call = Call { service: Service::DynamoDb, action: action.to_owned(), body };
            call.leading_keys().into_iter().map(str::to_owned).collect::<Vec<_>>()
        };
        let keys = |body| keys_of("", body);
        assert_eq!(keys(json!({"Item": {"pk": {"S": "a"}, "sk": {"S": "b"}}})), ["a"]);
        assert_eq!(keys(json!({"Key": {"pk": {"S": "a"}}})), ["a"]);
        assert_eq!(keys(json!({"Key": {"other": {"S": "a"}}})), [""]);
        let parts = json!([{"Put": {"Item": {"pk": {"S": "a"}}}}, {"Update": {"Key": {"pk": {"S": "b"}}}}]);
        assert_eq!(keys(json!({ "TransactItems": parts })), ["a", "b"]);
        let batch = json!({"RequestItems": {"t": {"Keys": [{"pk": {"S": "a"}}, {"other": {"S": "b"}}]}, "u": [{"PutRequest": {}}]}});
        assert_eq!(keys(batch), ["a", ""]);
        let writes =
            json!([{"PutRequest": {"Item": {"pk": {"S": "a"}}}}, {"DeleteRequest": {"Key": {"pk": {"S": "b"}}}}]);
        assert_eq!(keys(json!({ "RequestItems": { "t": writes } })), ["a", "b"]);
        let query = |condition| {
            let values = json!({":pk": {"S": "a"}, ":sk": {"S": "b"}});
            keys_of("Query", json!({"KeyConditionExpression": condition, "ExpressionAttributeValues": values}))
        };
        assert_eq!(query("pk = :pk AND sk < :sk"), ["a"]);
        assert_eq!(query("dueShard = :pk"), [""]);
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(action, arn)| ((*action).to_owned(), (*arn).to_owned())).collect()
    }

    #[test]
    fn every_resource_of_a_call_needs_its_permission() {
        let cases = [
            ("DynamoDB_20120810.GetItem", json!({"TableName": "t"}), pairs(&[("dynamodb:GetItem", "arn:t")])),
            (
                "DynamoDB_20120810.Query",
                json!({"TableName": "t", "IndexName": "due"}),
                pairs(&[("dynamodb:Query", "arn:t/index/due")]),
            ),
            (
                "DynamoDB_20120810.Scan",
                json!({"TableName": "t", "IndexName": "due"}),
                pairs(&[("dynamodb:Scan", "arn:t/index/due")]),
            ),
            ("DynamoDB_20120810.Scan", json!({"TableName": "t"}), pairs(&[("dynamodb:Scan", "arn:t")])),
            (
                "DynamoDB_20120810.BatchGetItem",
                json!({"RequestItems": {"t": {}, "u": {}}}),
                pairs(&[("dynamodb:BatchGetItem", "arn:t"), ("dynamodb:BatchGetItem", "arn:u")]),
            ),
            (
                "DynamoDB_20120810.BatchWriteItem",
                json!({"RequestItems": {"t": [{"PutRequest": {}}], "other": [{"DeleteRequest": {}}]}}),
                pairs(&[("dynamodb:BatchWriteItem", "other"), ("dynamodb:BatchWriteItem", "arn:t")]),
            ),
            (
                "DynamoDB_20120810.TransactWriteItems",
                json!({"TransactItems": [
                    {"Put": {"TableName": "t"}},
                    {"Update": {"TableName": "u"}},
                    {"Delete": {"TableName": "t"}},
                    {"ConditionCheck": {"TableName": "u"}},
                ]}),
                pairs(&[
                    ("dynamodb:PutItem", "arn:t"),
                    ("dynamodb:UpdateItem", "arn:u"),
                    ("dynamodb:DeleteItem", "arn:t"),
                    ("dynamodb:ConditionCheckItem", "arn:u"),
                ]),
            ),
            (
                "DynamoDB_20120810.TransactWriteItems",
                json!({"TransactItems": [{"Delete": {"TableName": "t"}, "Put": {"TableName": "u"}}]}),
                pairs(&[("dynamodb:DeleteItem", "arn:t"), ("dynamodb:PutItem", "arn:u")]),
            ),
            (
                "DynamoDB_20120810.TransactGetItems",
                json!({"TransactItems": [{"Get": {"TableName": "t"}}, {"Get": {"TableName": "u"}}]}),
                pairs(&[("dynamodb:GetItem", "arn:t"), ("dynamodb:GetItem", "arn:u")]),
            ),
            (
                "AmazonSQS.SendMessageBatch",
                json!({"QueueUrl": "http://127.0.0.1:1/0/q"}),
                pairs(&[("sqs:SendMessage", "arn:q")]),
            ),
            (
                "AmazonSQS.SendMessage",
                json!({"QueueUrl": "http://127.0.0.1:1/0/other"}),
                pairs(&[("sqs:SendMessage", "other")]),
            ),
            (
                "secretsmanager.GetSecretValue",
                json!({"SecretId": "arn:s"}),
                pairs(&[("secretsmanager:GetSecretValue", "arn:s")]),
            ),
        ];
        for (target, body, expected) in cases {
            assert_eq!(permissions(target, body), expected, "{target}");
        }
    }
}
