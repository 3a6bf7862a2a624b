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
        "The webhook's own headers on its requests, by name. An endpoint may ask for \
         `Authorization`, for example. There are at most 20, with at most 4 KiB of names and \
         values. The values are stored encrypted, and no call answers them. Headers that \
         Posthaste or the connection sets can't be set: `Content-*` of the body, `User-Agent`, \
         `X-Webhook-*`, `webhook-*`, `Host`, `Connection` and its like, `Proxy-*`, `Sec-*`. Nor \
         can those in which proxies tell something to the servers behind them, such as \
         `Forwarded`, `X-Forwarded-*`, `X-Real-IP`, `True-Client-IP`, `X-Original-URL`, `X-HTTP- \
         Method-Override`. Neither case nor `_` for `-` makes another name.",
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
mod tests;
