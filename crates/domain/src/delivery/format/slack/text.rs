//! Texts as Slack takes them: escaped, and no longer than it allows.

use jiff::Timestamp;
use serde::Serialize;

#[derive(Debug, Clone, Serialize)]
pub(super) struct Text {
    pub(super) r#type: &'static str,
    pub(super) text: String,
    /// Always true in marked-up text: Slack then makes no links or mentions of text that only looks
    /// like one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) verbatim: Option<bool>,
    /// Always false in plain text: a colon in the data begins no picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) emoji: Option<bool>,
}

/// A time that Slack shows in the reader's own time zone:
/// <https://docs.slack.dev/messaging/formatting-message-text#date-formatting>
pub(super) fn date(time: Timestamp) -> String {
    format!("<!date^{}^{{date_short_pretty}} {{time_secs}}|{time}>", time.as_second())
}

pub(super) fn mrkdwn(text: String) -> Text {
    Text { r#type: "mrkdwn", text, verbatim: Some(true), emoji: None }
}

pub(super) fn plain_text(text: &str, chars: usize) -> Text {
    let text = cut_escaped(text, chars);
    Text { r#type: "plain_text", text, verbatim: None, emoji: Some(false) }
}

/// Escapes a text that then has at most so many characters. One that is longer ends with `…`.
pub(super) fn cut_escaped(text: &str, chars: usize) -> String {
    let whole = escape(text);
    if whole.chars().count() <= chars {
        return whole;
    }
    let mut cut = String::new();
    let mut left = chars - 1;
    for char in text.chars() {
        let escaped = escape(char.encode_utf8(&mut [0; 4]));
        // A part of an escape would be shown as it is.
        let Some(rest) = left.checked_sub(escaped.chars().count()) else { break };
        left = rest;
        cut.push_str(&escaped);
    }
    cut.push('…');
    cut
}

/// Escapes the three characters that have a meaning in Slack's text. Without them there is no
/// mention and no link.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

pub(super) fn cut(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        None => text.to_owned(),
        Some(_) => text.chars().take(chars - 1).chain(['…']).collect(),
    }
}
