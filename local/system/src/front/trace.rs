//! A call that sends messages may have a trace header. SQS keeps it with each message, and so the
//! chain of sends is known when the message invokes a function. Functions send the header, and so
//! does anybody else who takes part in a trace; a developer's tool doesn't.

use bytes::Bytes;
use http::Request;
use serde_json::{Map, Value, json};

use super::call::{Call, Service};

const HEADER: &str = "x-amzn-trace-id";

/// Copies the call's trace header into its messages. The header of the message itself comes first,
/// if it has one (<https://docs.aws.amazon.com/xray/latest/devguide/xray-services-sqs.html>).
pub(super) fn keep(call: &mut Call, request: Request<Bytes>) -> Request<Bytes> {
    let Some(header) = request.headers().get(HEADER).and_then(|header| header.to_str().ok()) else {
        return request;
    };
    let messages = messages(call);
    if messages.is_empty() {
        return request;
    }
    for message in messages {
        let attributes = message.entry("MessageSystemAttributes").or_insert_with(|| json!({}));
        if let Some(attributes) = attributes.as_object_mut() {
            let own = attributes.entry("AWSTraceHeader");
            own.or_insert_with(|| json!({ "DataType": "String", "StringValue": header }));
        }
    }
    request.map(|_| call.body.to_string().into())
}

/// Finds the messages that the call sends.
fn messages(call: &mut Call) -> Vec<&mut Map<String, Value>> {
    match (call.service, call.action.as_str()) {
        (Service::Sqs, "SendMessage") => call.body.as_object_mut().into_iter().collect(),
        (Service::Sqs, "SendMessageBatch") => {
            let entries = call.body.get_mut("Entries").and_then(Value::as_array_mut);
            entries.into_iter().flatten().filter_map(Value::as_object_mut).collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Passes a call with this body through [`keep`], and returns the body that comes out.
    fn kept(target: &str, body: &str, header: Option<&str>) -> String {
        let mut request = Request::post("/").header("x-amz-target", target);
        if let Some(header) = header {
            request = request.header(HEADER, header);
        }
        let request = request.body(Bytes::from(body.to_owned())).unwrap();
        let mut call = Call::of(request.headers(), request.body()).unwrap();
        let passed_on = keep(&mut call, request).into_body();
        String::from_utf8(passed_on.to_vec()).unwrap()
    }

    fn attribute(header: &str) -> Value {
        json!({ "AWSTraceHeader": { "DataType": "String", "StringValue": header } })
    }

    #[test]
    fn each_message_gets_the_header_of_its_call() {
        let sent = kept("AmazonSQS.SendMessage", r#"{"MessageBody":"a"}"#, Some("Root=1"));
        let expected =
            json!({ "MessageBody": "a", "MessageSystemAttributes": attribute("Root=1") });
        assert_eq!(serde_json::from_str::<Value>(&sent).unwrap(), expected);

        let own = json!({ "Id": "b", "MessageSystemAttributes": attribute("Root=2") });
        let batch = json!({ "Entries": [{ "Id": "a" }, own] });
        let sent: Value = serde_json::from_str(&kept(
            "AmazonSQS.SendMessageBatch",
            &batch.to_string(),
            Some("Root=1"),
        ))
        .unwrap();
        let expected = [json!({ "Id": "a", "MessageSystemAttributes": attribute("Root=1") }), own];
        assert_eq!(sent, json!({ "Entries": expected }), "a message's own comes first");
    }

    #[test]
    fn any_other_call_is_passed_on_as_it_is() {
        for (target, body, header) in [
            ("AmazonSQS.SendMessage", "{ \"MessageBody\": \"a\" }", None),
            ("AmazonSQS.SendMessage", "{ no JSON", Some("Root=1")),
            ("AmazonSQS.SendMessageBatch", "[ \"no object\" ]", Some("Root=1")),
            ("AmazonSQS.DeleteMessage", "{ \"ReceiptHandle\": \"a\" }", Some("Root=1")),
            ("DynamoDB_20120810.GetItem", "{ \"TableName\": \"t\" }", Some("Root=1")),
        ] {
            assert_eq!(kept(target, body, header), body, "{target}");
        }
    }
}
