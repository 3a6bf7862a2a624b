//! Headers that a webhook's owner adds to its requests, for example an `Authorization` that the
//! endpoint asks for.
//!
//! Their values are confidential: they are sealed where they are stored, and no answer, log or
//! history shows them.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    Invalid,
    input::{Fields, Shape, text},
};

mod forbidden;

/// A webhook has at most this many headers.
pub const MAX_HEADERS: usize = 20;
/// The longest name of a header, in bytes.
pub const MAX_NAME_BYTES: usize = 64;
/// The longest value of a header, in bytes.
pub const MAX_VALUE_BYTES: usize = 1024;
/// The most bytes of all names and values together: receivers bound the head of a request, many at
/// 8 KiB.
const MAX_BYTES: usize = 4096;
/// The text that is shown instead of a value.
pub const MASK: &str = "***";

/// A header's name: an RFC 9110 token of at most 64 bytes that is not forbidden. Case matters only
/// where it is shown.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HeaderName(String);

/// A header's value: visible ASCII, with spaces and tabs between. It can't be printed by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct HeaderValue(String);

/// The headers of a webhook. `V` is the form of their values: plain or sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Headers<V>(BTreeMap<HeaderName, V>);

impl HeaderName {
    /// The name as its owner wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name in the form in which names are compared and sent.
    pub fn in_lower_case(&self) -> String {
        self.0.to_ascii_lowercase()
    }

    /// The name in a form in which two names that servers confuse are the same. CGI and WSGI
    /// servers hand `X_Key` to a program as they do `X-Key` (RFC 3875, section 4.1.18), and some of
    /// them do so with `X.Key` and all others too.
    fn folded(&self) -> String {
        folded(&self.0)
    }

    fn bytes_in_lower_case(&self) -> impl Iterator<Item = u8> {
        self.0.bytes().map(|byte| byte.to_ascii_lowercase())
    }
}

impl Ord for HeaderName {
    fn cmp(&self, other: &Self) -> Ordering {
        self.bytes_in_lower_case().cmp(other.bytes_in_lower_case())
    }
}

impl PartialOrd for HeaderName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for HeaderName {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for HeaderName {}

impl HeaderValue {
    /// Takes back a value that [`HeaderValue::reveal`] gave out.
    pub fn stored(text: String) -> Self {
        Self(text)
    }

    /// The plain value, which is to be sealed or sent.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for HeaderValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HeaderValue(…)")
    }
}

impl<V> Default for Headers<V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<V> Headers<V> {
    /// Tells whether the webhook has no header.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The headers, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&HeaderName, &V)> {
        self.0.iter()
    }

    /// The names, each with the mask: that is all that is shown.
    pub fn masked(&self) -> BTreeMap<String, &'static str> {
        self.0.keys().map(|name| (name.0.clone(), MASK)).collect()
    }

    /// Converts the values to another form.
    pub fn try_map<T, E>(
        &self,
        mut convert: impl FnMut(&HeaderName, &V) -> Result<T, E>,
    ) -> Result<Headers<T>, E> {
        let converted =
            self.0.iter().map(|(name, value)| Ok((name.clone(), convert(name, value)?)));
        converted.collect::<Result<_, E>>().map(Headers)
    }
}

impl Shape for Headers<HeaderValue> {
    type Value = Self;

    fn read(field: &str, json: &RawValue) -> Result<Self, Invalid> {
        let mut headers = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for (name, json) in Fields::of_object(json, field)?.into_members() {
            let at = format!("{field}.{name}");
            let refused = |code, message: String| Invalid::field(&at, code, message);
            let text = text(&at, json)?;
            let name = read_name(name).map_err(|(code, message)| refused(code, message))?;
            let value = read_value(text).map_err(|(code, message)| refused(code, message))?;
            if !seen.insert(name.folded()) {
                let message = format!(
                    "{at} is given twice: names that differ only in case or in characters such as \
                     - and _ are one"
                );
                return Err(refused("repeated_field", message));
            }
            headers.insert(name, value);
        }
        if headers.len() > MAX_HEADERS {
            return Err(Invalid::field(
                field,
                "wrong_count",
                format!("{field} takes up to {MAX_HEADERS} headers"),
            ));
        }
        let bytes: usize = headers.iter().map(|(name, value)| name.0.len() + value.0.len()).sum();
        if bytes > MAX_BYTES {
            let message = format!("{field} takes at most {MAX_BYTES} bytes of names and values");
            return Err(Invalid::field(field, "too_long", message));
        }
        Ok(Self(headers))
    }
}

#[cfg(feature = "openapi")]
mod document {
    use utoipa::openapi::ObjectBuilder;

    use super::{HeaderName, HeaderValue, Headers, MAX_HEADERS, MAX_NAME_BYTES, MAX_VALUE_BYTES};
    use crate::input::openapi::{described, map_of, text};

    impl HeaderName {
        /// The texts that are names: RFC 9110 tokens.
        pub fn written() -> ObjectBuilder {
            text().pattern(Some("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")).max_length(Some(MAX_NAME_BYTES))
        }
    }

    described!(
        Headers<HeaderValue>,
        "Headers",
        "Headers of the webhook's own on its requests, by name: what the endpoint asks for, say \
         `Authorization`. Up to 20, with at \
         most 4 KiB of names and values. The values are stored encrypted, and no call answers \
         them. What Posthaste or the connection \
         says itself can't be set: `Content-*` of the body, `User-Agent`, `X-Webhook-*`, \
         `webhook-*`, `Host`, `Connection` and its \
         like, `Proxy-*`, `Sec-*`; nor what proxies say to the servers behind them, such as \
         `Forwarded`, `X-Forwarded-*`, \
         `X-Real-IP`, `True-Client-IP`, `X-Original-URL`, `X-HTTP-Method-Override`. Neither case \
         nor `_` for `-` makes another name.",
        map_of(
            HeaderName::written(),
            text().pattern(Some(r"^([!-~]([\t -~]*[!-~])?)?$")).max_length(Some(MAX_VALUE_BYTES))
        )
        .max_properties(Some(MAX_HEADERS))
    );
}

fn read_name(name: String) -> Result<HeaderName, (&'static str, String)> {
    if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.bytes().all(is_token) {
        let message = format!(
            "a header's name is 1 to {MAX_NAME_BYTES} letters, digits and characters of \
             !#$%&'*+-.^_`|~, as RFC 9110 says"
        );
        return Err(("invalid_header", message));
    }
    if forbidden::is_forbidden(&folded(&name)) {
        let message = format!(
            "{name} can't be set: Posthaste or the connection sets it, or proxies and servers \
             trust it"
        );
        return Err(("forbidden_header", message));
    }
    Ok(HeaderName(name))
}

fn folded(name: &str) -> String {
    name.to_ascii_lowercase().replace(|char: char| !char.is_ascii_alphanumeric(), "-")
}

/// Tells whether a byte may be in a name: RFC 9110, section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Reads a value by RFC 9110, section 5.5, without its obsolete forms and without bytes that are
/// not ASCII. A value neither begins nor ends with a space (RFC 9113, section 8.2.1).
fn read_value(text: String) -> Result<HeaderValue, (&'static str, String)> {
    if text.len() > MAX_VALUE_BYTES {
        return Err((
            "too_long",
            format!("a header's value takes at most {MAX_VALUE_BYTES} bytes"),
        ));
    }
    if text == MASK {
        let message = format!("{MASK} is shown instead of a value: give the value itself");
        return Err(("invalid_header", message));
    }
    let is_clean =
        text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ' || byte == b'\t');
    if !is_clean || text.trim_matches([' ', '\t']).len() != text.len() {
        let message = "a header's value is visible ASCII, with spaces and tabs only between";
        return Err(("invalid_header", message.to_owned()));
    }
    Ok(HeaderValue(text))
}

#[cfg(test)]
mod tests {
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
            read(&json!({ "X-Team": "a\tb c", "Authorization": "Bearer abc", "X-Empty": "" }))
                .unwrap();
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
    fn what_posthaste_says_itself_or_others_believe_is_forbidden() {
        let beginnings = FORBIDDEN_BEGINNINGS.iter().map(|beginning| format!("{beginning}x"));
        let by_request =
            ["content-type", "user-agent", "x-webhook-event", "x-webhook-signature", "webhook-id"];
        let others = [
            "Host",
            "HOST",
            "x-amzn-trace-id",
            "X-Amz-Date",
            "X-Forwarded-For",
            "Proxy-Authorization",
        ];
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
        let others =
            others.into_iter().chain(by_a_program).chain(by_a_lenient_one).chain(by_clouds);
        let names = FORBIDDEN
            .into_iter()
            .chain(by_request)
            .chain(others)
            .map(str::to_owned)
            .chain(beginnings);
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
        let many: serde_json::Map<_, _> =
            (0..21).map(|at| (format!("x-{at}"), json!(""))).collect();
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
        /// What is taken can be neither more than one header nor one of Posthaste's own, whatever
        /// is tried.
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
}
