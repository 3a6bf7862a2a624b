//! Faults can leave some entries of a batch call undone. SQS reports them as `Failed`, DynamoDB as
//! unprocessed, and of a batch of statements each in its place.

use serde_json::{Map, Value, json};

use super::call::{Call, Service};

/// Splits a call into a call without the entries at these places, and these entries. A call that
/// loses all its entries leaves none.
pub(super) fn part(call: &Call, indices: &[usize]) -> (Option<Value>, Value) {
    let mut kept = call.body.clone();
    let left_out = match (call.service, call.action.as_str()) {
        (Service::Sqs, _) => split(&mut kept["Entries"], indices, 0),
        (_, "BatchWriteItem") => by_table(&mut kept, indices, |request| request),
        (_, "BatchGetItem") => by_table(&mut kept, indices, |request| &mut request["Keys"]),
        (_, "BatchExecuteStatement") => {
            split(&mut kept["Statements"], indices, 0);
            json!(indices)
        }
        _ => json!([]),
    };
    let empty = match call.service {
        Service::Sqs => kept["Entries"].as_array().is_some_and(Vec::is_empty),
        _ if call.action == "BatchExecuteStatement" => {
            kept["Statements"].as_array().is_some_and(Vec::is_empty)
        }
        _ => kept["RequestItems"].as_object().is_some_and(Map::is_empty),
    };
    ((!empty).then_some(kept), left_out)
}

/// Adds the entries that were left out to the body of the answer.
pub(super) fn report(call: &Call, answer: &[u8], left_out: Value) -> String {
    let mut answer: Value = serde_json::from_slice(answer).unwrap_or_default();
    match (call.service, call.action.as_str()) {
        (Service::Sqs, _) => {
            let failed = left_out.as_array().into_iter().flatten().map(|entry| {
                json!({
                    "Id": entry["Id"], "Code": "InternalError", "SenderFault": false,
                    "Message": "an injected fault",
                })
            });
            let mut all = answer["Failed"].as_array().cloned().unwrap_or_default();
            all.extend(failed);
            answer["Failed"] = all.into();
            if answer["Successful"].is_null() {
                answer["Successful"] = json!([]);
            }
        }
        (_, "BatchWriteItem") => answer["UnprocessedItems"] = left_out,
        (_, "BatchExecuteStatement") => report_statements(call, &mut answer, &left_out),
        _ => {
            answer["UnprocessedKeys"] = left_out;
            if answer["Responses"].is_null() {
                answer["Responses"] = json!({});
            }
        }
    }
    answer.to_string()
}

/// Puts an error into the place of each statement that was left out.
fn report_statements(call: &Call, answer: &mut Value, left_out: &Value) {
    let all = call.body["Statements"].as_array().map_or(0, Vec::len);
    let mut carried_out = answer["Responses"].as_array().cloned().unwrap_or_default().into_iter();
    let mut responses = Vec::new();
    for place in 0..all {
        let is_left_out = left_out.as_array().is_some_and(|places| places.contains(&json!(place)));
        responses.push(if is_left_out {
            json!({ "Error": { "Code": "ThrottlingError", "Message": "an injected fault" } })
        } else {
            carried_out.next().unwrap_or_default()
        });
    }
    answer["Responses"] = responses.into();
}

/// Takes entries out of each table's list. The places count on from table to table.
fn by_table(body: &mut Value, indices: &[usize], list: impl Fn(&mut Value) -> &mut Value) -> Value {
    let Some(tables) = body["RequestItems"].as_object_mut() else { return json!({}) };
    let mut left_out = Map::new();
    let mut first = 0;
    for (name, request) in tables.iter_mut() {
        let count = list(request).as_array().map_or(0, Vec::len);
        let taken = split(list(request), indices, first);
        first += count;
        if taken.as_array().is_some_and(|taken| !taken.is_empty()) {
            let mut unprocessed = request.clone();
            *list(&mut unprocessed) = taken;
            left_out.insert(name.clone(), unprocessed);
        }
    }
    tables.retain(|_, request| list(request).as_array().is_some_and(|items| !items.is_empty()));
    left_out.into()
}

/// Takes the entries at these places out of a list whose first entry is at `first`.
fn split(list: &mut Value, indices: &[usize], first: usize) -> Value {
    let items = list.as_array_mut().map(std::mem::take).unwrap_or_default();
    let (mut taken, mut kept) = (Vec::new(), Vec::new());
    for (place, item) in items.into_iter().enumerate() {
        if indices.contains(&(first + place)) { taken.push(item) } else { kept.push(item) }
    }
    *list = kept.into();
    taken.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(service: Service, action: &str, body: Value) -> Call {
        Call { service, action: action.to_owned(), body }
    }

    #[test]
    fn sqs_entries_are_reported_as_failed() {
        let call = call(
            Service::Sqs,
            "SendMessageBatch",
            json!({"QueueUrl": "q", "Entries": [{"Id": "a"}, {"Id": "b"}, {"Id": "c"}]}),
        );
        let (kept, left_out) = part(&call, &[0, 2]);
        assert_eq!(kept.unwrap()["Entries"], json!([{"Id": "b"}]));
        let report: Value =
            serde_json::from_str(&report(&call, br#"{"Successful":[{"Id":"b"}]}"#, left_out))
                .unwrap();
        let ids: Vec<_> =
            report["Failed"].as_array().unwrap().iter().map(|entry| entry["Id"].clone()).collect();
        assert_eq!(ids, ["a", "c"]);
        assert_eq!(part(&call, &[0, 1, 2]).0, None);
    }

    #[test]
    fn statements_are_reported_in_their_places() {
        let call = call(
            Service::DynamoDb,
            "BatchExecuteStatement",
            json!({"Statements": [{"Statement": "a"}, {"Statement": "b"}, {"Statement": "c"}]}),
        );
        let (kept, left_out) = part(&call, &[1]);
        let of_kept = json!([{"Statement": "a"}, {"Statement": "c"}]);
        assert_eq!(kept.unwrap()["Statements"], of_kept);
        let answer = br#"{"Responses":[{"TableName":"1"},{"TableName":"3"}]}"#;
        let report: Value = serde_json::from_str(&report(&call, answer, left_out)).unwrap();
        let error = json!({"Code": "ThrottlingError", "Message": "an injected fault"});
        assert_eq!(
            report["Responses"],
            json!([{"TableName": "1"}, {"Error": error}, {"TableName": "3"}])
        );
        assert_eq!(part(&call, &[0, 1, 2]).0, None);
    }

    #[test]
    fn dynamodb_items_are_reported_as_unprocessed() {
        let write = call(
            Service::DynamoDb,
            "BatchWriteItem",
            json!({"RequestItems": {"t": [1, 2], "u": [3]}}),
        );
        let (kept, left_out) = part(&write, &[1, 2]);
        assert_eq!(kept.unwrap()["RequestItems"], json!({"t": [1]}));
        assert_eq!(left_out, json!({"t": [2], "u": [3]}));
        let get = call(
            Service::DynamoDb,
            "BatchGetItem",
            json!({"RequestItems": {"t": {"Keys": [1, 2], "ConsistentRead": true}}}),
        );
        let (kept, left_out) = part(&get, &[0]);
        assert_eq!(kept.unwrap()["RequestItems"]["t"]["Keys"], json!([2]));
        assert_eq!(left_out, json!({"t": {"Keys": [1], "ConsistentRead": true}}));
    }
}
