//! The small parts that pages are made of.

use maud::{Markup, PreEscaped, html};
use posthaste_domain::Timestamp;
use serde::{Deserialize, de::IgnoredAny};

use crate::api::Refusal;

/// A page of a list, as the API answers it.
#[derive(Debug, Deserialize)]
pub(crate) struct List<T> {
    pub(crate) items: Vec<T>,
    pub(crate) next: Option<String>,
}

/// The colour of a badge, which repeats what its text says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Bad,
    Waiting,
    Plain,
}

impl Tone {
    fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Bad => "bad",
            Self::Waiting => "waiting",
            Self::Plain => "plain",
        }
    }
}

/// A word in a coloured frame.
pub(crate) fn badge(tone: Tone, text: &str) -> Markup {
    html! { span.badge.(tone.class()) { (text) } }
}

/// A moment. It is shown in UTC, and the script shows it in the reader's own time instead.
pub(crate) fn time(at: Timestamp) -> Markup {
    let utc = at.strftime("%Y-%m-%d %H:%M:%S").to_string();
    html! { time datetime=(at.to_string()) title={ (utc) " UTC" } { (utc) " UTC" } }
}

/// A moment that may not have come.
pub(crate) fn time_or(at: Option<Timestamp>, none: &str) -> Markup {
    html! {
        @match at {
            Some(at) => (time(at)),
            None => span.quiet { (none) },
        }
    }
}

/// The heading of a page, with what can be done from there at its side.
pub(crate) fn heading(title: &str, actions: Markup) -> Markup {
    html! {
        div.heading {
            h1 { (title) }
            div.actions { (actions) }
        }
    }
}

/// The way to the next page of a list: the same address with its cursor.
pub(crate) fn pager(path: &str, query: &[(&str, &str)], next: Option<&str>) -> Markup {
    html! {
        @if let Some(next) = next {
            p.pager {
                a rel="next" href=(with_query(path, query, &[("cursor", next)])) { "Next page" }
            }
        }
    }
}

/// An address with these parameters. Those without a value are left out.
pub(crate) fn with_query(path: &str, query: &[(&str, &str)], more: &[(&str, &str)]) -> String {
    let mut written = url::form_urlencoded::Serializer::new(String::new());
    let given = query.iter().chain(more).filter(|(_, value)| !value.is_empty());
    let text = written.extend_pairs(given).finish();
    if text.is_empty() { path.to_owned() } else { format!("{path}?{text}") }
}

/// A complaint that is about no field of the form.
pub(crate) fn complaint(refusal: &Refusal) -> Markup {
    html! {
        div.note.bad role="alert" {
            p {
                @if let Some(field) = &refusal.field { code { (field) } " " }
                (refusal.message)
            }
        }
    }
}

/// JSON as people read it, with a line for each member. Each value stays written as it is, and text
/// that is no JSON stays as it is altogether.
pub(crate) fn indented(json: &str) -> String {
    if serde_json::from_str::<IgnoredAny>(json).is_err() {
        return json.to_owned();
    }
    let mut shown = String::with_capacity(json.len() * 2);
    let (mut depth, mut in_string, mut is_escaped) = (0, false, false);
    let mut signs =
        json.chars().filter(|sign| !sign.is_ascii_whitespace() || *sign == ' ').peekable();
    while let Some(sign) = signs.next() {
        if in_string {
            shown.push(sign);
            in_string = is_escaped || sign != '"';
            is_escaped = sign == '\\' && !is_escaped;
            continue;
        }
        match sign {
            ' ' => {}
            '{' | '[' => {
                shown.push(sign);
                while signs.next_if_eq(&' ').is_some() {}
                if signs.peek().is_some_and(|next| !matches!(next, '}' | ']')) {
                    depth += 1;
                    new_line(&mut shown, depth);
                }
            }
            '}' | ']' => {
                if !shown.ends_with(['{', '[']) {
                    depth = usize::saturating_sub(depth, 1);
                    new_line(&mut shown, depth);
                }
                shown.push(sign);
            }
            ',' => {
                shown.push(sign);
                new_line(&mut shown, depth);
            }
            ':' => shown.push_str(": "),
            _ => {
                in_string = sign == '"';
                shown.push(sign);
            }
        }
    }
    shown
}

fn new_line(text: &mut String, depth: usize) {
    text.push('\n');
    text.push_str(&"  ".repeat(depth));
}

/// Text of somebody else as it can stand in a page: a control character is shown as its picture,
/// and a mark that turns the direction of the text by its number.
pub(crate) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for sign in text.chars() {
        match sign {
            '\n' | '\t' => shown.push(sign),
            '\0'..='\x1f' => {
                shown.push(char::from_u32(0x2400 + u32::from(sign)).unwrap_or('\u{fffd}'));
            }
            '\x7f' => shown.push('\u{2421}'),
            '\u{80}'..='\u{9f}' | '\u{fdd0}'..='\u{fdef}' => shown.push('\u{fffd}'),
            '\u{61c}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}' => {
                shown += &format!("[U+{:04X}]", u32::from(sign));
            }
            _ if u32::from(sign) & 0xfffe == 0xfffe => shown.push('\u{fffd}'),
            _ => shown.push(sign),
        }
    }
    shown
}

/// Text of somebody else, in a box that can be scrolled with the keyboard too.
pub(crate) fn code_block(label: &str, text: &str) -> Markup {
    html! { pre.code tabindex="0" role="region" aria-label=(label) { code { (visible(text)) } } }
}

/// A command for a shell, with a button that copies it.
pub(crate) fn command(id: &str, label: &str, text: &str) -> Markup {
    html! {
        div.command {
            pre.code id=(id) tabindex="0" role="region" aria-label=(label) { (text) }
            button.small type="button" data-copy=(id) hidden { "Copy" }
        }
    }
}

/// A bar of a chart: how many attempts went well and how many did not, at a moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Bar {
    pub(crate) good: u32,
    pub(crate) bad: u32,
}

/// Bars side by side, drawn with attributes alone: the policy of the pages forbids inline styles.
pub(crate) fn chart(label: &str, bars: &[Bar]) -> Markup {
    const HEIGHT: u32 = 28;
    const STEP: usize = 8;
    let most = bars.iter().map(|bar| bar.good + bar.bad).max().unwrap_or(0).max(1);
    let height = |count: u32| (count * HEIGHT).div_ceil(most);
    let mut rects = String::new();
    for (place, bar) in bars.iter().enumerate() {
        let (x, bad, good) = (place * STEP, height(bar.bad), height(bar.good).min(HEIGHT));
        if bar.good + bar.bad == 0 {
            rects += &format!(
                "<rect class=\"none\" x=\"{x}\" y=\"{}\" width=\"6\" height=\"1\"/>",
                HEIGHT - 1
            );
            continue;
        }
        let good = good.min(HEIGHT - bad.min(HEIGHT));
        rects += &format!(
            "<rect class=\"good\" x=\"{x}\" y=\"{}\" width=\"6\" height=\"{good}\"/>\
             <rect class=\"bad\" x=\"{x}\" y=\"{}\" width=\"6\" height=\"{bad}\"/>",
            HEIGHT - good,
            HEIGHT - good - bad,
        );
    }
    let width = bars.len() * STEP;
    html! {
        svg.chart role="img" aria-label=(label) viewBox={ "0 0 " (width) " " (HEIGHT) }
            width=(width) height=(HEIGHT) { (PreEscaped(rects)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_leave_out_what_is_empty() {
        let query = [("status", "failed"), ("type", "")];
        assert_eq!(
            with_query("/console/deliveries", &query, &[("cursor", "a b&c")]),
            "/console/deliveries?status=failed&cursor=a+b%26c"
        );
        assert_eq!(with_query("/console/events", &[("type", "")], &[]), "/console/events");
    }

    #[test]
    fn json_is_indented_and_other_text_is_left_alone() {
        assert_eq!(
            indented(r#"{"b":1.50,"a":[2, {} ],"c":"x{,\"y"}"#),
            "{\n  \"b\": 1.50,\n  \"a\": [\n    2,\n    {}\n  ],\n  \"c\": \"x{,\\\"y\"\n}"
        );
        assert_eq!(indented("<b>no JSON"), "<b>no JSON");
    }

    #[test]
    fn foreign_text_is_escaped() {
        let shown = code_block("Body", "<script>alert(1)</script>").into_string();
        assert!(shown.contains("&lt;script&gt;") && !shown.contains("<script>"), "{shown}");
    }

    #[test]
    fn signs_that_nobody_sees_are_shown() {
        assert_eq!(visible("a\0\r\n\tb\u{202e}c\u{7f}\u{ffff}d"), "a␀␍\n\tb[U+202E]c␡\u{fffd}d");
        assert_eq!(visible("é 日本 👩‍🚀"), "é 日本 👩‍🚀");
    }

    #[test]
    fn bars_never_leave_their_chart() {
        let bars =
            [Bar { good: 0, bad: 0 }, Bar { good: 1, bad: 999 }, Bar { good: 500, bad: 500 }];
        insta::assert_snapshot!(chart("Attempts", &bars).into_string());
    }
}
