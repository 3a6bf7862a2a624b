use std::net::Ipv4Addr;
use std::time::{Duration, UNIX_EPOCH};

use http::{HeaderName, HeaderValue};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn request(headers: &[(&str, &str)], body: impl Into<Bytes>) -> HttpRequest {
    let pair = |(name, value): &(&str, &str)| {
        (HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap())
    };
    HttpRequest {
        method: Method::POST,
        path: "/api/v1/events".to_owned(),
        query: String::new(),
        headers: headers.iter().map(pair).collect(),
        body: body.into(),
        route_key: "POST /api/v1/events".to_owned(),
        path_parameters: BTreeMap::new(),
        source_ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
        request_id: "JKJaXmPLvHcESHA=".to_owned(),
        time: UNIX_EPOCH + Duration::from_millis(1_583_348_638_390),
    }
}

fn event(request: &HttpRequest) -> Value {
    serde_json::from_slice(&to_event(request).unwrap()).unwrap()
}

fn body_of(content_type: &str, body: impl Into<Bytes>) -> (Value, Value) {
    let event = event(&request(&[("content-type", content_type)], body));
    (event["body"].clone(), event["isBase64Encoded"].clone())
}

#[test]
fn a_request_with_everything_becomes_an_event() {
    let request = HttpRequest {
        method: Method::PATCH,
        path: "/api/v1/webhooks/a%20b".to_owned(),
        query: "limit=1&type=a&type=b%2Cc&q=x+y&flag".to_owned(),
        path_parameters: BTreeMap::from([("id".to_owned(), "a b".to_owned())]),
        route_key: "PATCH /api/v1/webhooks/{id}".to_owned(),
        ..request(
            &[
                ("Host", "hooks.example.com:8080"),
                ("User-Agent", "curl/8.5.0"),
                ("Accept", "text/html"),
                ("Accept", "application/json"),
                ("Content-Type", "application/json; charset=utf-8"),
                ("Cookie", "a=1; b=2"),
                ("Cookie", "c=3"),
                ("Connection", "keep-alive"),
                ("X-Forwarded-For", "192.0.2.1"),
            ],
            r#"{"url":"https://ä.example"}"#,
        )
    };
    insta::assert_json_snapshot!(event(&request));
}

#[test]
fn a_request_with_nothing_becomes_an_event() {
    insta::assert_json_snapshot!(event(&request(&[], "")));
}

#[test]
fn the_raw_path_is_decoded_and_ends_at_a_decoded_question_mark() {
    let request = HttpRequest {
        path: "/a%2Fb%3Fc".to_owned(),
        query: "d=%20".to_owned(),
        ..request(&[], "")
    };
    let event = event(&request);
    assert_eq!(event["rawPath"], "/a/b");
    assert_eq!(event["requestContext"]["http"]["path"], "/a/b");
    assert_eq!(event["rawQueryString"], "d=%20");
}

#[test]
fn the_host_may_be_an_address() {
    for (host, domain_name, port) in [
        ("127.0.0.1:9000", "127.0.0.1", "9000"),
        ("[::1]:9000", "[::1]", "9000"),
        ("[::1]", "[::1]", "80"),
        ("localhost", "localhost", "80"),
    ] {
        let event = event(&request(&[("host", host)], ""));
        assert_eq!(event["requestContext"]["domainName"], domain_name);
        assert_eq!(event["headers"]["x-forwarded-port"], port);
    }
}

#[test]
fn text_goes_as_it_is_and_everything_else_in_base64() {
    assert_eq!(body_of("application/json", "{}"), (json!("{}"), json!(false)));
    assert_eq!(body_of("Text/Plain;charset=utf-8", "hä"), (json!("hä"), json!(false)));
    assert_eq!(body_of("application/xml", "<a/>"), (json!("<a/>"), json!(false)));
    assert_eq!(body_of("application/x-www-form-urlencoded", "a=1"), (json!("YT0x"), json!(true)));
    assert_eq!(body_of("application/octet-stream", "abc"), (json!("YWJj"), json!(true)));
    assert_eq!(body_of("application/json", vec![0xff]), (json!("/w=="), json!(true)));
    let compressed =
        request(&[("content-type", "application/json"), ("content-encoding", "gzip")], "abc");
    assert_eq!(event(&compressed)["body"], "YWJj");
    assert_eq!(event(&request(&[], "abc"))["body"], "YWJj");
}

#[test]
fn a_body_over_10_mb_is_refused() {
    assert!(to_event(&request(&[], vec![0; REQUEST_LIMIT])).is_ok());
    let error = to_event(&request(&[], vec![0; REQUEST_LIMIT + 1])).unwrap_err();
    assert_eq!(error, RequestTooLarge(10_485_761));
    assert_eq!(
        body(&error_response(StatusCode::PAYLOAD_TOO_LARGE)),
        r#"{"message":"Request Entity Too Large"}"#
    );
}

fn body(response: &Response<Bytes>) -> &str {
    std::str::from_utf8(response.body()).unwrap()
}

fn headers(response: &Response<Bytes>) -> Vec<(&str, &str)> {
    response
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
        .collect()
}

fn respond(answer: Value) -> Response<Bytes> {
    to_response(answer.to_string().as_bytes())
}

#[test]
fn an_answer_with_a_status_code_says_everything() {
    let response = respond(json!({
        "statusCode": 201,
        "headers": { "Content-Type": "application/json", "X-Count": 3, "content-length": "999" },
        "multiValueHeaders": { "x-ignored": ["by format 2.0"] },
        "cookies": ["a=1; Path=/", "b=2"],
        "body": "{\"success\":true}",
    }));
    assert_eq!(response.status(), 201);
    assert_eq!(
        headers(&response),
        [
            ("content-type", "application/json"),
            ("x-count", "3"),
            ("set-cookie", "a=1; Path=/"),
            ("set-cookie", "b=2"),
        ]
    );
    assert_eq!(body(&response), r#"{"success":true}"#);
}

#[test]
fn a_base64_body_is_decoded() {
    let answer = json!({
        "statusCode": 200, "headers": { "content-type": "image/png" }, "body": "iVA=",
        "isBase64Encoded": true,
    });
    assert_eq!(respond(answer).body(), &[0x89, 0x50][..]);
}

#[test]
fn a_body_without_a_type_is_plain_text_and_no_body_has_no_type() {
    assert_eq!(
        headers(&respond(json!({ "statusCode": "200", "body": "hi" }))),
        [("content-type", "text/plain; charset=utf-8")]
    );
    let response =
        respond(json!({ "statusCode": 204, "headers": null, "cookies": null, "body": null }));
    assert_eq!(
        (response.status(), headers(&response), body(&response)),
        (StatusCode::NO_CONTENT, vec![], "")
    );
}

#[test]
fn an_answer_without_a_status_code_is_the_body() {
    for (answer, expected) in [
        (r#"{"message": "hi" }"#, r#"{"message": "hi" }"#),
        (r#""Hello from Lambda!""#, "Hello from Lambda!"),
        ("[1,2]", "[1,2]"),
        ("null", "null"),
    ] {
        let response = to_response(answer.as_bytes());
        assert_eq!(response.status(), 200);
        assert_eq!(headers(&response), [("content-type", "application/json")]);
        assert_eq!(body(&response), expected);
    }
}

#[test]
fn a_malformed_answer_is_an_internal_server_error() {
    for answer in [
        "",
        "not JSON",
        r#"{"statusCode":null}"#,
        r#"{"statusCode":"ok"}"#,
        r#"{"statusCode":100}"#,
        r#"{"statusCode":600}"#,
        r#"{"statusCode":200.5}"#,
        r#"{"statusCode":200,"body":{"a":1}}"#,
        r#"{"statusCode":200,"body":"?","isBase64Encoded":true}"#,
        r#"{"statusCode":200,"headers":{"a":["b"]}}"#,
        r#"{"statusCode":200,"headers":{"a b":"c"}}"#,
        r#"{"statusCode":200,"headers":{"a":"b\r\nc: d"}}"#,
        r#"{"statusCode":200,"cookies":"a=1"}"#,
    ] {
        let response = to_response(answer.as_bytes());
        assert_eq!(response.status(), 500, "{answer}");
        assert_eq!(body(&response), r#"{"message":"Internal Server Error"}"#);
        assert_eq!(headers(&response), [("content-type", "application/json")]);
    }
}

#[test]
fn what_is_no_escape_stays() {
    assert_eq!(percent_decode("a%2fb%2F%zz%4"), "a/b/%zz%4");
    assert_eq!(percent_decode("%C3%A4%ff%"), "ä\u{fffd}%");
}

proptest! {
    #[test]
    fn any_body_comes_through(body: Vec<u8>, is_json: bool) {
        use base64::Engine as _;
        let content_type = if is_json { "application/json" } else { "application/octet-stream" };
        let event = event(&request(&[("content-type", content_type)], body.clone()));
        let text = event["body"].as_str().unwrap_or_default();
        let received = if event["isBase64Encoded"] == true {
            base64::engine::general_purpose::STANDARD.decode(text).unwrap()
        } else {
            text.as_bytes().to_vec()
        };
        prop_assert_eq!(received, body);
    }

    #[test]
    fn no_answer_panics(answer in "\\PC*") {
        to_response(answer.as_bytes());
    }
}
