use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    forbidden::{FORBIDDEN, FORBIDDEN_BEGINNINGS},
    *,
};

fn read(headers: &Value) -> Result<Headers<HeaderValue>, Invalid> {
    let body = json!({ "headers": headers }).to_string();
    Fields::of_body(body.as_bytes())?.take::<Headers<HeaderValue>>("headers")
}

fn complaint(headers: &Value) -> (String, &'static str) {
    let invalid = read(headers).unwrap_err();
    (invalid.field.unwrap(), invalid.code)
}

#[test]
fn headers_are_read_and_shown_without_their_values() {
    let headers =
        read(&json!({ "X-Team": "a\tb c", "Authorization": "Bearer abc", "X-Empty": "" })).unwrap();
    let plain: Vec<_> =
        headers.iter().map(|(name, value)| (name.in_lower_case(), value.reveal())).collect();
    let expected = [("authorization", "Bearer abc"), ("x-empty", ""), ("x-team", "a\tb c")];
    assert_eq!(plain, expected.map(|(name, value)| (name.to_owned(), value)));
    assert_eq!(
        json!(headers.masked()),
        json!({ "Authorization": "***", "X-Empty": "***", "X-Team": "***" })
    );
    let shown = format!("{headers:?}");
    assert!(shown.contains("Authorization") && !shown.contains("abc"), "{shown}");
}

#[test]
fn headers_keep_their_names_when_their_values_change() {
    let headers = read(&json!({ "X-Team": "a", "Authorization": "b" })).unwrap();
    assert!(!headers.is_empty() && Headers::<HeaderValue>::default().is_empty());
    let lengths =
        headers.try_map(|name, value| Ok::<_, ()>((name.as_str().len(), value.reveal().len())));
    let lengths: Vec<_> =
        lengths.unwrap().iter().map(|(name, both)| (name.as_str().to_owned(), *both)).collect();
    assert_eq!(lengths, [("Authorization".to_owned(), (13, 1)), ("X-Team".to_owned(), (6, 1))]);
}

#[test]
fn names_that_differ_only_in_case_are_equal() {
    let name = |text: &str| HeaderName(text.to_owned());
    assert!(name("X-Team") == name("x-team") && name("X-Team") != name("X-Tear"));
    assert_eq!(name("X-Team").partial_cmp(&name("x-tear")), Some(Ordering::Less));
}

#[test]
fn what_posthaste_says_itself_or_others_believe_is_forbidden() {
    let beginnings = FORBIDDEN_BEGINNINGS.iter().map(|beginning| format!("{beginning}x"));
    let by_request =
        ["content-type", "user-agent", "x-webhook-event", "x-webhook-signature", "webhook-id"];
    let others =
        ["Host", "HOST", "x-amzn-trace-id", "X-Amz-Date", "X-Forwarded-For", "Proxy-Authorization"];
    let by_a_program = [
        "X_Forwarded_For",
        "Webhook_Signature",
        "CONTENT_LENGTH",
        "webhook_hops",
        "True_Client-IP",
    ];
    let by_a_lenient_one =
        ["X.Forwarded.For", "X!Forwarded#For", "x*real~ip", "webhook|id", "Content.Length"];
    let by_clouds = [
        "Fly-Client-IP",
        "X-Middleware-Subrequest",
        "X-MS-Client-Principal",
        "X-MS-Client-Principal-Id",
    ];
    let others = others.into_iter().chain(by_a_program).chain(by_a_lenient_one).chain(by_clouds);
    let names =
        FORBIDDEN.into_iter().chain(by_request).chain(others).map(str::to_owned).chain(beginnings);
    for name in names {
        assert_eq!(
            complaint(&json!({ &name: "x" })),
            (format!("headers.{name}"), "forbidden_header")
        );
    }
    let free = [
        "Authorization",
        "Cookie",
        "X-Api-Key",
        "X_Api_Key",
        "X.Api.Key",
        "Accept",
        "Tea",
        "webhook",
        "x-webhooks",
        "second",
    ];
    for name in free.into_iter().chain(["CF-Access-Client-Id", "CF-Access-Client-Secret"]) {
        assert!(read(&json!({ name: "x" })).is_ok(), "{name}");
    }
}

#[test]
fn every_character_of_a_name_that_is_no_letter_or_digit_is_the_same() {
    for char in "!#$%&'*+-.^_`|~".chars() {
        assert_eq!(
            complaint(&json!({ format!("X{char}Real{char}IP"): "x" })).1,
            "forbidden_header",
            "{char}"
        );
    }
    let message = read(&json!({ "Host": "x" })).unwrap_err().message;
    assert_eq!(
        message,
        "Host can't be set: Posthaste or the connection sets it, or proxies and servers \
         trust it"
    );
}

#[test]
fn names_that_are_stored_stay_what_they_are() {
    let json = r#"{"X-Key":"1","X_Forwarded_For":"2","X_Key":"3"}"#;
    let stored: Headers<String> = serde_json::from_str(json).unwrap();
    assert_eq!(serde_json::to_string(&stored).unwrap(), json);
}

#[test]
fn what_is_wrong_is_named() {
    let long_name = "x".repeat(65);
    let many: serde_json::Map<_, _> = (0..21).map(|at| (format!("x-{at}"), json!(""))).collect();
    let large: serde_json::Map<_, _> =
        (0..4).map(|at| (format!("x-{at}"), json!("x".repeat(1024)))).collect();
    let cases = [
        (json!([]), "headers", "wrong_type"),
        (json!({ "a": 1 }), "headers.a", "wrong_type"),
        (json!({ "a": null }), "headers.a", "wrong_type"),
        (json!({ "": "x" }), "headers.", "invalid_header"),
        (json!({ "a b": "x" }), "headers.a b", "invalid_header"),
        (json!({ "a:": "x" }), "headers.a:", "invalid_header"),
        (json!({ "ä": "x" }), "headers.ä", "invalid_header"),
        (json!({ &long_name: "x" }), &format!("headers.{long_name}"), "invalid_header"),
        (json!({ "a": "x\r\nb: y" }), "headers.a", "invalid_header"),
        (json!({ "a": "x\u{0}" }), "headers.a", "invalid_header"),
        (json!({ "a": "ä" }), "headers.a", "invalid_header"),
        (json!({ "a": " x" }), "headers.a", "invalid_header"),
        (json!({ "a": "x\t" }), "headers.a", "invalid_header"),
        (json!({ "a": "***" }), "headers.a", "invalid_header"),
        (json!({ "a": "x".repeat(1025) }), "headers.a", "too_long"),
        (json!({ "a": "x", "A": "y" }), "headers.a", "repeated_field"),
        (json!({ "X_A": "x", "x-a": "y" }), "headers.x-a", "repeated_field"),
        (json!({ "X.A": "x", "x~a": "y" }), "headers.x~a", "repeated_field"),
        (json!(many), "headers", "wrong_count"),
        (json!(large), "headers", "too_long"),
    ];
    for (headers, field, code) in cases {
        let (at, found) = complaint(&headers);
        assert_eq!((at.to_ascii_lowercase().as_str(), found), (field, code), "{headers}");
    }
    assert!(read(&json!({ "a": "x".repeat(1024), "x".repeat(64): "y" })).is_ok());
}

proptest! {
    /// No accepted header can be more than one header, or one of Posthaste's own, whatever is
    /// tried.
    #[test]
    fn what_is_taken_is_one_clean_header(name in "\\PC{0,12}", value in "[\\x00-\\x7f]{0,12}") {
        if let Ok(headers) = read(&json!({ &name: value })) {
            for (name, value) in headers.iter() {
                prop_assert!(!name.as_str().contains([':', ' ', '\r', '\n']));
                prop_assert!(!value.reveal().contains(['\r', '\n', '\0']));
                prop_assert!(!name.folded().starts_with("webhook-"));
            }
        }
    }
}
