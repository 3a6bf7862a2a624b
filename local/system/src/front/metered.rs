//! The meter is told what each call would be billed for.
//!
//! The embedded DynamoDB says what a call took of each table and its indexes, rounded as DynamoDB
//! does. What it refuses has no such figure, although a write with a condition that does not hold
//! is billed: that is counted as one unit for each part, and as two in a transaction, so a refused
//! write of an item above 1 KB counts too little.

use bytes::Bytes;
use http::{Request, Response};
use serde::Deserialize;
use serde_json::Value;

use super::{
    Parts,
    call::{Call, Service},
};
use crate::bill::sqs_requests;

/// Makes a call of DynamoDB ask for the units that it takes.
pub(super) fn asking_for_units(call: &Call, request: Request<Bytes>) -> Request<Bytes> {
    const ASKED: &[u8] = br#"{"ReturnConsumedCapacity":"TOTAL","#;
    if call.body.get("ReturnConsumedCapacity").is_some() {
        return request;
    }
    request.map(|body| match body.strip_prefix(b"{") {
        Some(rest) if rest.starts_with(b"\"") => [ASKED, rest].concat().into(),
        _ => body,
    })
}

/// Counts a call that was carried out, whether its answer arrives or not.
pub(super) fn count(parts: &Parts, who: &str, call: &Call, answer: &Response<Bytes>) {
    let meter = &parts.meter;
    match call.service {
        Service::Sqs => meter.sqs(who, sqs_requests(sent_bytes(&call.body))),
        Service::SecretsManager => meter.secret(),
        Service::DynamoDb if answer.status().is_success() => {
            for units in units(answer.body()) {
                let (reads, writes) =
                    if is_write(&call.action) { (0.0, units.units) } else { (units.units, 0.0) };
                meter.table(&units.table, reads, writes);
            }
            if let Some(table) = &parts.events_table {
                let writes =
                    call.body["RequestItems"][table.as_str()].as_array().into_iter().flatten();
                let puts = writes.filter(|write| write.get("PutRequest").is_some());
                meter.events(puts.count() as u64);
            }
        }
        Service::DynamoDb => {
            for (table, writes) in refused(call, answer.body()) {
                meter.table(table, 0.0, writes);
            }
        }
    }
}

/// Adds up the bytes of the messages that a call of SQS sends, be it one or a batch.
fn sent_bytes(body: &Value) -> u64 {
    let entries = body["Entries"].as_array().into_iter().flatten();
    (message_bytes(body) + entries.map(message_bytes).sum::<usize>()) as u64
}

/// Counts the bytes of a message's body and attributes.
fn message_bytes(message: &Value) -> usize {
    let mut bytes = text_length(&message["MessageBody"]);
    for (name, value) in message["MessageAttributes"].as_object().into_iter().flatten() {
        bytes += name.len();
        for part in ["DataType", "StringValue", "BinaryValue"] {
            bytes += text_length(&value[part]);
        }
    }
    bytes
}

fn text_length(value: &Value) -> usize {
    value.as_str().map_or(0, str::len)
}

fn is_write(action: &str) -> bool {
    matches!(
        action,
        "PutItem"
            | "UpdateItem"
            | "DeleteItem"
            | "BatchWriteItem"
            | "BatchExecuteStatement"
            | "TransactWriteItems"
    )
}

/// The units that a call took of a table.
#[derive(Debug, PartialEq, Deserialize)]
struct Units {
    #[serde(rename = "TableName")]
    table: String,
    #[serde(rename = "CapacityUnits")]
    units: f64,
}

fn units(answer: &[u8]) -> Vec<Units> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Consumed {
        Of(Vec<Units>),
        One(Units),
    }
    #[derive(Deserialize)]
    struct Answer {
        #[serde(rename = "ConsumedCapacity")]
        consumed: Option<Consumed>,
    }
    match serde_json::from_slice::<Answer>(answer).ok().and_then(|answer| answer.consumed) {
        Some(Consumed::Of(units)) => units,
        Some(Consumed::One(units)) => vec![units],
        None => Vec::new(),
    }
}

/// Lists the tables of a refused call with the fewest units that each can be billed for.
fn refused<'a>(call: &'a Call, answer: &[u8]) -> Vec<(&'a str, f64)> {
    #[derive(Deserialize)]
    struct Refusal {
        #[serde(rename = "__type")]
        kind: String,
    }
    let kind =
        serde_json::from_slice::<Refusal>(answer).map_or(String::new(), |refusal| refusal.kind);
    match kind.rsplit('#').next() {
        Some("ConditionalCheckFailedException") => {
            call.body["TableName"].as_str().map(|table| (table, 1.0)).into_iter().collect()
        }
        Some("TransactionCanceledException") if is_write(&call.action) => {
            let parts = call.body["TransactItems"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_object);
            let tables =
                parts.flat_map(|part| part.values()).filter_map(|part| part["TableName"].as_str());
            tables.map(|table| (table, 2.0)).collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn asked(body: &'static str) -> String {
        let body = Bytes::from_static(body.as_bytes());
        let headers =
            [("x-amz-target".parse().unwrap(), "DynamoDB_20120810.GetItem".parse().unwrap())];
        let call = Call::of(&http::HeaderMap::from_iter(headers), &body).unwrap();
        let request = asking_for_units(&call, Request::new(body));
        String::from_utf8(request.into_body().to_vec()).unwrap()
    }

    #[test]
    fn a_call_asks_for_its_units_once() {
        assert_eq!(
            asked(r#"{"TableName":"t"}"#),
            r#"{"ReturnConsumedCapacity":"TOTAL","TableName":"t"}"#
        );
        let asks_itself = r#"{"TableName":"t","ReturnConsumedCapacity":"NONE"}"#;
        assert_eq!(asked(asks_itself), asks_itself);
        assert_eq!(asked("{}"), "{}");
        assert_eq!(asked("no JSON"), "no JSON");
    }

    #[test]
    fn all_messages_of_a_call_count_with_their_attributes() {
        let attribute = json!({ "reason": { "DataType": "String", "StringValue": "exhausted" } });
        assert_eq!(
            sent_bytes(&json!({ "MessageBody": "12345", "MessageAttributes": attribute })),
            5 + 6 + 6 + 9
        );
        assert_eq!(
            sent_bytes(&json!({ "Entries": [{ "MessageBody": "123" }, { "MessageBody": "12" }] })),
            5
        );
        assert_eq!(sent_bytes(&json!({ "Entries": [{ "ReceiptHandle": "x" }] })), 0);
    }

    fn units_of(table: &str, units: f64) -> Units {
        Units { table: table.to_owned(), units }
    }

    #[test]
    fn the_units_of_one_table_and_of_several_are_read() {
        let one = br#"{"Attributes":{},"ConsumedCapacity":{"TableName":"t","CapacityUnits":2.0}}"#;
        assert_eq!(units(one), [units_of("t", 2.0)]);
        let two =
            br#"{"ConsumedCapacity":[{"TableName":"t","CapacityUnits":0.5},{"TableName":"u","CapacityUnits":3}]}"#;
        assert_eq!(units(two), [units_of("t", 0.5), units_of("u", 3.0)]);
        assert_eq!(units(b"{}"), []);
    }

    fn call(action: &str, body: Value) -> Call {
        Call { service: Service::DynamoDb, action: action.to_owned(), body }
    }

    fn answer(kind: &str) -> String {
        json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{kind}") }).to_string()
    }

    #[test]
    fn a_write_whose_condition_does_not_hold_is_billed() {
        let put = call("PutItem", json!({ "TableName": "t" }));
        assert_eq!(
            refused(&put, answer("ConditionalCheckFailedException").as_bytes()),
            [("t", 1.0)]
        );
        assert_eq!(refused(&put, answer("ProvisionedThroughputExceededException").as_bytes()), []);
        let both = json!({
            "TransactItems": [{ "Put": { "TableName": "t" } }, { "Update": { "TableName": "u" } }],
        });
        let both = call("TransactWriteItems", both);
        assert_eq!(
            refused(&both, answer("TransactionCanceledException").as_bytes()),
            [("t", 2.0), ("u", 2.0)]
        );
    }
}
