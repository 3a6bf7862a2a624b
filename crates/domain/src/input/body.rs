//! The body of a call as a JSON text, and what people send instead of one.

use serde_json::value::RawValue;

use super::Invalid;

/// The most levels of objects and lists within each other in JSON that is published, its outermost
/// object included. Readers of JSON have bounds of their own: 64 levels in .NET, 100 in Ruby, 128
/// in serde_json. With what the formats put around an event, 50 stay below all of them.
pub const MAX_DEPTH: usize = 50;

/// Refuses JSON that stands at `path` and has more than [`MAX_DEPTH`] levels.
pub fn check_depth(path: &str, json: &str) -> Result<(), Invalid> {
    if depth(json) <= MAX_DEPTH {
        return Ok(());
    }
    let message =
        format!("{path} has more than {MAX_DEPTH} levels of objects and lists within each other");
    Err(Invalid::field(path, "too_deep", message))
}

/// Returns the number of levels of objects and lists that a well-formed text has.
fn depth(json: &str) -> usize {
    let (mut level, mut deepest): (usize, usize) = (0, 0);
    let mut bytes = json.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'{' | b'[' => {
                level += 1;
                deepest = deepest.max(level);
            }
            b'}' | b']' => level = level.saturating_sub(1),
            b'"' => skip_text(&mut bytes),
            _ => {}
        }
    }
    deepest
}

/// Goes on behind the quotation mark that ends a text.
fn skip_text(bytes: &mut std::str::Bytes<'_>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return,
            b'\\' => drop(bytes.next()),
            _ => {}
        }
    }
}

/// The JSON object that a body has to be.
pub(super) fn object(body: &[u8]) -> Result<&RawValue, Invalid> {
    if body.trim_ascii().is_empty() {
        return Err(Invalid::malformed("the body is empty, and has to be a JSON object"));
    }
    let text =
        std::str::from_utf8(body).map_err(|_| Invalid::malformed("the body is not UTF-8"))?;
    let raw: &RawValue =
        serde_json::from_str(text).map_err(|error| Invalid::malformed(no_json(text, &error)))?;
    if raw.get().starts_with('{') {
        Ok(raw)
    } else {
        Err(Invalid::malformed("the body has to be a JSON object"))
    }
}

fn no_json(text: &str, error: &serde_json::Error) -> String {
    let (line, column) = (error.line(), error.column());
    if text.starts_with('\u{feff}') {
        "the body begins with a byte order mark (BOM), which JSON does not have: send it without"
            .to_owned()
    } else if is_form(text) {
        "the body is a form, and has to be a JSON object".to_owned()
    } else if error.is_eof() {
        format!("the body is not JSON: it breaks off at line {line}, column {column}")
    } else {
        format!("the body is not JSON: line {line}, column {column} is where it stops being JSON")
    }
}

/// Returns whether a text that is not JSON is `name=value`, as HTML forms and `curl -d name=value`
/// send it.
fn is_form(text: &str) -> bool {
    let name = text.split_once('=').map(|(name, _)| name);
    name.is_some_and(|name| {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.[]%+".contains(&byte);
        name.bytes().next().is_some_and(|first| first.is_ascii_alphabetic())
            && name.bytes().all(is_plain)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::InvalidKind;

    #[test]
    fn what_is_no_json_object_is_named_in_our_own_words() {
        for (body, message) in [
            ("", "the body is empty, and has to be a JSON object"),
            (" \r\n", "the body is empty, and has to be a JSON object"),
            ("[1]", "the body has to be a JSON object"),
            ("null", "the body has to be a JSON object"),
            ("{", "the body is not JSON: it breaks off at line 1, column 1"),
            (
                "{\n  \"a\": 1,\n}",
                "the body is not JSON: line 3, column 1 is where it stops being JSON",
            ),
            ("<a b=\"c\"/>", "the body is not JSON: line 1, column 1 is where it stops being JSON"),
            ("{'a': 1}", "the body is not JSON: line 1, column 2 is where it stops being JSON"),
            ("type=order.created&data=%7B%7D", "the body is a form, and has to be a JSON object"),
            (
                "\u{feff}{}",
                "the body begins with a byte order mark (BOM), which JSON does not have: send \
                 it without",
            ),
        ] {
            let invalid = object(body.as_bytes()).unwrap_err();
            assert_eq!(
                (invalid.message.as_str(), invalid.kind),
                (message, InvalidKind::Malformed),
                "{body:?}"
            );
        }
        assert_eq!(object(b"\xff{}").unwrap_err(), Invalid::malformed("the body is not UTF-8"));
        assert!(object(b" {} ").is_ok());
    }

    #[test]
    fn levels_are_counted_outside_of_texts() {
        for (json, levels) in [
            ("1", 0),
            ("{}", 1),
            (r#"{"a":[{"b":[]}],"c":[]}"#, 4),
            (r#"{"a":"[[[[\"[[[[","b":[1]}"#, 2),
            (r#"{"a\\":{"{{{":"\\"}}"#, 2),
        ] {
            assert_eq!(depth(json), levels, "{json}");
        }
    }

    #[test]
    fn json_of_50_levels_is_taken_and_of_51_is_not() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert_eq!(check_depth("data", &nested(50)), Ok(()));
        for levels in [51, 100_000] {
            let invalid = check_depth("events[3].data", &nested(levels)).unwrap_err();
            let message =
                "events[3].data has more than 50 levels of objects and lists within each other";
            assert_eq!(invalid, Invalid::field("events[3].data", "too_deep", message));
        }
    }
}
