use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, SET_COOKIE};
use http::{Response, StatusCode};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    status_code: Value,
    #[serde(default)]
    headers: Option<BTreeMap<String, Value>>,
    #[serde(default)]
    cookies: Option<Vec<String>>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: Option<bool>,
}

/// Makes the client's response, or none if the answer is malformed.
pub(super) fn to_response(answer: &[u8]) -> Option<Response<Bytes>> {
    match serde_json::from_slice(answer).ok()? {
        Value::Object(answer) if answer.contains_key("statusCode") => {
            explicit(serde_json::from_value(Value::Object(answer)).ok()?)
        }
        // Without a status code the answer is the body. That of a string is its text.
        Value::String(text) => Some(json(StatusCode::OK, text.into())),
        _ => Some(json(StatusCode::OK, Bytes::copy_from_slice(answer))),
    }
}

fn explicit(answer: Answer) -> Option<Response<Bytes>> {
    let body = answer.body.unwrap_or_default();
    let body = if answer.is_base64_encoded == Some(true) {
        STANDARD.decode(body).ok()?
    } else {
        body.into_bytes()
    };
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status(&answer.status_code)?;
    for (name, value) in answer.headers.unwrap_or_default() {
        let name = HeaderName::try_from(name).ok()?;
        // The gateway frames the response itself.
        if !matches!(
            name.as_str(),
            "connection" | "content-length" | "keep-alive" | "transfer-encoding" | "upgrade"
        ) {
            response.headers_mut().append(name, header_value(&value)?);
        }
    }
    for cookie in answer.cookies.unwrap_or_default() {
        response.headers_mut().append(SET_COOKIE, HeaderValue::try_from(cookie).ok()?);
    }
    if !response.body().is_empty() && !response.headers().contains_key(CONTENT_TYPE) {
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    }
    Some(response)
}

/// Reads a status, which is a number or a number in a string. It has to be final: a client would
/// wait for more after a 1xx.
fn status(value: &Value) -> Option<StatusCode> {
    let code = match value {
        Value::String(text) => text.parse().ok()?,
        value => u16::try_from(value.as_u64()?).ok()?,
    };
    StatusCode::from_u16(code).ok().filter(|status| (200..600).contains(&status.as_u16()))
}

fn header_value(value: &Value) -> Option<HeaderValue> {
    match value {
        Value::String(text) => HeaderValue::try_from(text.as_str()).ok(),
        Value::Number(_) | Value::Bool(_) => HeaderValue::try_from(value.to_string()).ok(),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

pub(super) fn error_response(status: StatusCode) -> Response<Bytes> {
    // The gateway keeps the older name.
    let reason = match status {
        StatusCode::PAYLOAD_TOO_LARGE => "Request Entity Too Large",
        status => status.canonical_reason().unwrap_or("Error"),
    };
    json(status, serde_json::json!({ "message": reason }).to_string().into())
}

fn json(status: StatusCode, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
