//! Calls of the API as commands for a shell. The key is never in one: `$KEY` stands in its place.

use axum::http::{HeaderMap, header};

use crate::cookie::is_loopback;

/// The command that makes a call with this JSON. The address is the one that the page itself has.
pub(crate) fn post(headers: &HeaderMap, path: &str, json: &str) -> String {
    let origin = origin(headers);
    let body = quoted(&escaped(json));
    format!("curl -s {origin}/api/v1{path} -H \"Authorization: Bearer $KEY\" -d {body}")
}

/// The scheme and the host of the page; `$API` where its host could mean something to a shell.
fn origin(headers: &HeaderMap) -> String {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
    if host.is_empty() || !host.bytes().all(is_plain) {
        return "$API".to_owned();
    }
    let scheme = if is_loopback(headers) { "http" } else { "https" };
    format!("{scheme}://{host}")
}

/// The same JSON with an escape for each sign that a reader would not see. They can only stand in
/// its texts.
fn escaped(json: &str) -> String {
    let mut written = String::with_capacity(json.len());
    for sign in json.chars() {
        match sign {
            '\u{7f}'..='\u{9f}'
            | '\u{61c}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}'
            | '\u{feff}' => {
                written += &format!("\\u{:04x}", u32::from(sign));
            }
            _ => written.push(sign),
        }
    }
    written
}

/// A text that a shell takes as one word, whatever is in it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn from(host: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::HOST, HeaderValue::from_static(host))])
    }

    #[test]
    fn a_call_is_one_line_for_a_shell() {
        let line =
            post(&from("hooks.example.com"), "/webhooks/42/test", r#"{"data":{"a":"it's $HOME"}}"#);
        let expected = r#"curl -s https://hooks.example.com/api/v1/webhooks/42/test -H "Authorization: Bearer $KEY" -d '{"data":{"a":"it'\''s $HOME"}}'"#;
        assert_eq!(line, expected);
    }

    #[test]
    fn nothing_in_a_command_is_hidden() {
        assert_eq!(escaped("{\"a\":\"\u{202e}é\"}"), "{\"a\":\"\\u202eé\"}");
    }

    #[test]
    fn an_address_is_never_a_command() {
        assert_eq!(origin(&from("localhost:8080")), "http://localhost:8080");
        for host in ["$(id)", "a;b", "a b", ""] {
            assert_eq!(origin(&from(host)), "$API", "{host}");
        }
    }
}
