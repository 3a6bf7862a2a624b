//! The body of a request or an answer: formatted, as it is, and byte by byte.

use base64::{Engine, engine::general_purpose::STANDARD};
use maud::{Markup, html};

use crate::parts::{code_block, command, indented, visible};

/// The bytes of so much of a body are shown one by one.
const MOST_BYTES: usize = 2048;
const BYTES_OF_A_LINE: usize = 16;
/// Formatted JSON can be so many times as long as it was.
const MOST_GROWTH: usize = 4;

/// A body as the API answers it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Body<'a> {
    /// The name, such as "Body of the request". A page has each name once.
    pub(crate) name: &'a str,
    /// The id of the element that has it.
    pub(crate) id: &'a str,
    pub(crate) text: &'a str,
    /// The coding in which bytes that are no text are written.
    pub(crate) encoding: Option<&'a str>,
}

impl Body<'_> {
    /// The body in three views, of which the first is open.
    pub(crate) fn show(self) -> Markup {
        if self.text.is_empty() {
            return html! { p.quiet { (self.name) ": it is empty." } };
        }
        match self.encoding {
            Some("base64") => self.binary(),
            _ => self.plain(),
        }
    }

    fn plain(self) -> Markup {
        let formatted = formatted(self.text);
        let is_json = formatted != self.text;
        html! {
            @if is_json {
                details open {
                    summary { (self.name) ", formatted" }
                    (code_block(&format!("{}, formatted", self.name), &formatted))
                }
            }
            details open[!is_json] {
                summary { (self.name) ", as it is" }
                (command(self.id, &format!("{}, as it is", self.name), &visible(self.text)))
            }
            (self.bytes(self.text.as_bytes()))
        }
    }

    fn binary(self) -> Markup {
        // An answer is cut at a multiple of four, so that what is kept of it can be decoded.
        let Ok(bytes) = STANDARD.decode(self.text) else { return self.plain() };
        html! {
            p.quiet {
                (self.name) ": it is not text. Its " (bytes.len()) " bytes are kept in base64."
            }
            details open {
                summary { (self.name) ", as far as it is text" }
                (code_block(
                    &format!("{}, as far as it is text", self.name),
                    &String::from_utf8_lossy(&bytes),
                ))
            }
            details {
                summary { (self.name) ", in base64" }
                (command(self.id, &format!("{}, in base64", self.name), self.text))
            }
            (self.bytes(&bytes))
        }
    }

    fn bytes(self, bytes: &[u8]) -> Markup {
        let shown = &bytes[..bytes.len().min(MOST_BYTES)];
        html! {
            details {
                summary { (self.name) ", byte by byte" }
                @if shown.len() < bytes.len() {
                    p.quiet { "The first " (shown.len()) " of " (bytes.len()) " bytes." }
                } @else {
                    p.quiet { (bytes.len()) @if bytes.len() == 1 { " byte." } @else { " bytes." } }
                }
                (code_block(&format!("{}, byte by byte", self.name), &dump(shown)))
            }
        }
    }
}

/// JSON with a line for each member. Deep lists would grow too long for an answer of Lambda, and
/// stay as they are.
pub(crate) fn formatted(json: &str) -> String {
    let formatted = indented(json);
    let most = json.len() * MOST_GROWTH + 16 * 1024;
    if formatted.len() > most { json.to_owned() } else { formatted }
}

/// Bytes in hexadecimal, with their place before them and the text that they are behind them.
fn dump(bytes: &[u8]) -> String {
    let mut lines = Vec::with_capacity(bytes.len().div_ceil(BYTES_OF_A_LINE));
    for (nth, line) in bytes.chunks(BYTES_OF_A_LINE).enumerate() {
        let digits: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
        let text: String = line
            .iter()
            .map(|byte| if matches!(byte, b' '..=b'~') { char::from(*byte) } else { '.' })
            .collect();
        let place = nth * BYTES_OF_A_LINE;
        lines.push(format!("{place:04x}  {:47}  {text}", digits.join(" ")));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, encoding: Option<&str>) -> String {
        Body { name: "Body", id: "body", text, encoding }.show().into_string()
    }

    #[test]
    fn bytes_are_shown_with_their_places() {
        assert_eq!(
            dump(b"{\"a\": 1}\n\x00 and so on"),
            "0000  7b 22 61 22 3a 20 31 7d 0a 00 20 61 6e 64 20 73  {\"a\": 1}.. and s\n\
             0010  6f 20 6f 6e                                      o on"
        );
    }

    #[test]
    fn a_hostile_body_is_only_text() {
        let page = shown("<script>alert(1)</script>\0\u{202e}", None);
        assert!(!page.contains("<script") && !page.contains('\0') && !page.contains('\u{202e}'));
        let page = shown(r#"{"a":"</code><img src=x onerror=alert(1)>"}"#, None);
        assert!(!page.contains("<img"), "{page}");
    }

    #[test]
    fn json_is_shown_formatted_and_as_it_is() {
        insta::assert_snapshot!(shown(r#"{"a":1.50}"#, None));
    }

    #[test]
    fn json_that_would_grow_too_long_stays_as_it_is() {
        let deep = format!("{}{}1{}", "[".repeat(50), "1,".repeat(100_000), "]".repeat(50));
        assert_eq!(formatted(&deep), deep);
        assert_eq!(formatted("[1,2]"), "[\n  1,\n  2\n]");
    }

    #[test]
    fn a_body_that_is_no_text_is_decoded() {
        let page = shown("/wA8", Some("base64"));
        assert!(page.contains("Its 3 bytes") && page.contains("ff 00 3c"), "{page}");
        assert!(shown("no base64!", Some("base64")).contains("no base64!"));
    }

    #[test]
    fn a_long_body_shows_its_first_bytes() {
        let page = shown(&"x".repeat(5000), None);
        assert!(page.contains("The first 2048 of 5000 bytes."));
    }
}
