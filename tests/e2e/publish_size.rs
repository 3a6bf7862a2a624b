//! The size of a publishing call.

use posthaste_domain::event::MAX_PUBLISH_BYTES;
use posthaste_local::binaries;
use posthaste_tests::{Api, Posthaste};
use reqwest::{Method, header};
use serde_json::{Value, json};

/// A call of so many bytes for events that hold this text again and again.
fn call(text: &str, bytes: usize) -> String {
    const EVENTS: usize = 20;
    let text = text.repeat((bytes / EVENTS - 200) / text.len());
    let event = json!({ "type": "report.made", "data": { "text": "" } }).to_string();
    let event = event.replace(r#""text":"""#, &format!(r#""text":"{text}""#));
    let body = format!(r#"{{"events":[{}]}}"#, vec![event; EVENTS].join(","));
    let spaces = " ".repeat(bytes - body.len());
    body + &spaces
}

/// The functions are not optimised here, and other tests take their processors.
fn patient() -> String {
    let template = binaries::template().unwrap();
    assert!(template.contains("    Timeout: 10\n"));
    template.replace("    Timeout: 10\n", "    Timeout: 29\n")
}

#[tokio::test]
async fn a_call_of_the_largest_size_is_taken_whatever_its_content_type_is() {
    let posthaste = Posthaste::with_template(patient()).await;
    let of_type = |content_type: &str| posthaste.api.with_header("content-type", content_type);
    let (as_json, as_form) = (of_type("application/json"), of_type("application/x-www-form-urlencoded"));
    let publish = async |api: &Api, body: String| {
        assert!(body.len() >= MAX_PUBLISH_BYTES);
        let (status, answer) = api.raw(Method::POST, "/events", body).await;
        (status, answer["error"]["code"].clone(), answer["message"].clone())
    };
    // A quarter of this has to be escaped in a text.
    let order = r#"o-1042 7 \"4711\"\n"#;
    let accepted = (202, Value::Null, Value::Null);
    assert_eq!(publish(&as_json, call(order, MAX_PUBLISH_BYTES)).await, accepted);
    assert_eq!(publish(&as_form, call(order, MAX_PUBLISH_BYTES)).await, accepted);
    let too_large = (413, json!("too_large"), Value::Null);
    assert_eq!(publish(&as_json, call(order, MAX_PUBLISH_BYTES + 1)).await, too_large);
    assert_eq!(publish(&as_form, call(order, MAX_PUBLISH_BYTES + 1)).await, too_large);
    // As a text each of these characters becomes two, so API Gateway can't hand the call on.
    let quotes = call(r#"\""#, MAX_PUBLISH_BYTES);
    assert_eq!(publish(&as_json, quotes).await, (413, Value::Null, json!("Request Entity Too Large")));
    let answer = as_form.answer(Method::POST, "/events", vec![b' '; 17 * 1024 * 1024]).await;
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()[header::CONTENT_TYPE]),
        (413, &"application/json".parse().unwrap())
    );
}
