//! Calls of the API as commands for a shell. The key is never in one: `$KEY` stands in its place.

/// The command that makes a call with this JSON at the deployment with this address.
pub(crate) fn post(origin: &str, path: &str, json: &str) -> String {
    let origin = plain(origin);
    let body = quoted(&escaped(json));
    format!("curl -s {origin}/api/v1{path} -H \"Authorization: Bearer $KEY\" -d {body}")
}

/// The address of the deployment; `$API` where it could mean something to a shell.
fn plain(origin: &str) -> &str {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-:/[]".contains(&byte);
    if origin.ends_with('/') || !origin.bytes().all(is_plain) { "$API" } else { origin }
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
    use super::*;

    #[test]
    fn a_call_is_one_line_for_a_shell() {
        let line = post("https://hooks.example.com", "/webhooks/42/test", r#"{"a":"it's $HOME"}"#);
        let (call, body) = line.split_once(" -d ").unwrap();
        let expected = "curl -s https://hooks.example.com/api/v1/webhooks/42/test \
            -H \"Authorization: Bearer $KEY\"";
        assert_eq!((call, body), (expected, r#"'{"a":"it'\''s $HOME"}'"#));
    }

    #[test]
    fn nothing_in_a_command_is_hidden() {
        assert_eq!(escaped("{\"a\":\"\u{202e}é\"}"), "{\"a\":\"\\u202eé\"}");
    }

    #[test]
    fn an_address_is_never_a_command() {
        assert_eq!(plain("http://localhost:8080"), "http://localhost:8080");
        for origin in ["https://$(id)", "https://a;b", "https://a b", "https://"] {
            assert_eq!(plain(origin), "$API", "{origin}");
        }
    }
}
