//! A publishing call has a limit for its size.

use posthaste_domain::event::MAX_PUBLISH_BYTES;
use posthaste_tests::{Api, Posthaste};
use reqwest::{Method, header};
use serde_json::{Value, json};

/// Makes a call of this many bytes for one small event, which costs no more than another one. These
/// blanks fill it, again and again.
fn call(blanks: &str, bytes: usize) -> String {
    let event = r#""events":[{"type":"order.created","data":{}}]}"#;
    let size = bytes - event.len() - 1;
    let blanks: String = blanks.chars().cycle().take(size).collect();
    format!("{{{blanks}{event}")
}

#[tokio::test]
async fn a_call_of_the_largest_size_is_taken_whatever_its_content_type_is() {
    let posthaste = Posthaste::start().await;
    let of_type = |content_type: &str| posthaste.api.with_header("content-type", content_type);
    let (as_json, as_form) =
        (of_type("application/json"), of_type("application/x-www-form-urlencoded"));
    let publish = async |api: &Api, body: String| {
        assert!(body.len() >= MAX_PUBLISH_BYTES);
        let (status, answer) = api.raw(Method::POST, "/events", body).await;
        (status, answer["error"]["code"].clone(), answer["message"].clone())
    };
    // Of a text a quarter has to be escaped here, of most JSON a fifth.
    let usual = "\n   ";
    let accepted = (202, Value::Null, Value::Null);
    assert_eq!(publish(&as_json, call(usual, MAX_PUBLISH_BYTES)).await, accepted);
    assert_eq!(publish(&as_form, call(usual, MAX_PUBLISH_BYTES)).await, accepted);
    let too_large = (413, json!("too_large"), Value::Null);
    assert_eq!(publish(&as_json, call(usual, MAX_PUBLISH_BYTES + 1)).await, too_large);
    assert_eq!(publish(&as_form, call(usual, MAX_PUBLISH_BYTES + 1)).await, too_large);
    // As a text each of these characters becomes two, so API Gateway can't hand the call on.
    let not_handed_on = (413, Value::Null, json!("Request Entity Too Large"));
    assert_eq!(publish(&as_json, call("\n", MAX_PUBLISH_BYTES)).await, not_handed_on);
    assert_eq!(publish(&as_form, call("\n", MAX_PUBLISH_BYTES)).await, accepted);
    let answer = as_form.answer(Method::POST, "/events", vec![b' '; 17 * 1024 * 1024]).await;
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()[header::CONTENT_TYPE]),
        (413, &"application/json".parse().unwrap())
    );
}
