//! The fields of forms, with what the API says about their values.

use maud::{Markup, html};
use posthaste_domain::Timestamp;
use serde::Deserialize;

use crate::{api::Refusal, parts::List, visitor::Visitor};

/// The id of the list of event types that text fields offer.
pub(crate) const TYPES: &str = "known-types";
/// So many event types are offered.
const OFFERED: usize = 100;

/// A field of a form. Its name is the API's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry<'a> {
    pub(crate) name: &'a str,
    pub(crate) label: &'a str,
    pub(crate) value: &'a str,
    /// What the API has refused.
    pub(crate) refusal: Option<&'a Refusal>,
}

impl Entry<'_> {
    /// A line of text, with a list of values to choose from.
    pub(crate) fn text(self, list: Option<&str>) -> Markup {
        let (invalid, described_by) = self.marks();
        self.around(html! {
            input id=(self.name) name=(self.name) type="text" value=(enterable(self.value))
                list=[list] spellcheck="false" autocomplete="off"
                aria-invalid=[invalid] aria-describedby=[described_by];
        })
    }

    /// A moment in UTC, to the second.
    pub(crate) fn time(self) -> Markup {
        let (invalid, described_by) = self.marks();
        self.around(html! {
            input id=(self.name) name=(self.name) type="datetime-local" step="1"
                value=[as_in_forms(self.value)]
                aria-invalid=[invalid] aria-describedby=[described_by];
        })
    }

    /// One of a few values, each with what people read.
    pub(crate) fn choice(self, choices: &[(&str, &str)]) -> Markup {
        let (invalid, described_by) = self.marks();
        self.around(html! {
            select id=(self.name) name=(self.name)
                aria-invalid=[invalid] aria-describedby=[described_by] {
                @for (value, text) in choices {
                    option value=(value) selected[*value == self.value] { (text) }
                }
            }
        })
    }

    /// Several lines of text.
    pub(crate) fn lines(self) -> Markup {
        let (invalid, described_by) = self.marks();
        self.around(html! {
            textarea id=(self.name) name=(self.name) rows="14" spellcheck="false"
                aria-invalid=[invalid] aria-describedby=[described_by] {
                // A browser leaves out the first line break of the content.
                "\n" (enterable(self.value))
            }
        })
    }

    fn complaint(&self) -> Option<&str> {
        let refusal = self.refusal?;
        is_about(refusal.field.as_deref()?, self.name).then_some(refusal.message.as_str())
    }

    fn marks(&self) -> (Option<&'static str>, Option<String>) {
        match self.complaint() {
            Some(_) => (Some("true"), Some(format!("{}-complaint", self.name))),
            None => (None, None),
        }
    }

    fn around(&self, control: Markup) -> Markup {
        html! {
            div.field {
                label for=(self.name) { (self.label) }
                (control)
                @if let Some(complaint) = self.complaint() {
                    p.complaint id={ (self.name) "-complaint" } role="alert" { (complaint) }
                }
            }
        }
    }
}

/// Text as a control can have it: without control characters other than line breaks and tabs.
fn enterable(text: &str) -> String {
    text.replace(|sign: char| sign.is_control() && !matches!(sign, '\n' | '\r' | '\t'), "\u{fffd}")
}

/// Says whether a complaint about a path is about this field: `data.total` is about `data`.
pub(crate) fn is_about(path: &str, field: &str) -> bool {
    path.strip_prefix(field).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// A time as the API takes it. A time without a zone, as forms have it, is in UTC. What is no time
/// stays as it is, for the API to refuse it.
pub(crate) fn utc(text: &str) -> String {
    if text.parse::<Timestamp>().is_ok() {
        return text.to_owned();
    }
    as_in_forms(text).map_or_else(|| text.to_owned(), |time| format!("{time}Z"))
}

/// A time as forms have it: in UTC, without a zone and without parts of a second.
fn as_in_forms(text: &str) -> Option<String> {
    let at: Result<Timestamp, _> = text.parse();
    at.or_else(|_| format!("{text}Z").parse()).ok().map(in_form)
}

/// The value that a field for a time has for this moment.
pub(crate) fn in_form(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S").to_string()
}

/// The event types that text fields offer, as far as the visitor may know them.
pub(crate) async fn offered_types(visitor: &Visitor) -> Markup {
    #[derive(Deserialize)]
    struct EventType {
        name: String,
    }
    let path = format!("/event-types?limit={OFFERED}");
    let known: Option<List<EventType>> = visitor.get(&path).await.ok();
    html! {
        datalist id=(TYPES) {
            @for known in known.into_iter().flat_map(|known| known.items) {
                option { (known.name) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use super::*;

    #[test]
    fn times_of_forms_are_in_utc() {
        for (text, expected) in [
            ("2026-01-15T08:00", "2026-01-15T08:00:00Z"),
            ("2026-01-15T08:00:07", "2026-01-15T08:00:07Z"),
            ("2026-01-15T09:00:00+01:00", "2026-01-15T09:00:00+01:00"),
            ("yesterday", "yesterday"),
            ("", ""),
        ] {
            assert_eq!(utc(text), expected);
        }
        let shown = as_in_forms("2026-01-15T09:00:00.5+01:00");
        assert_eq!(shown.as_deref(), Some("2026-01-15T08:00:00"));
    }

    #[test]
    fn control_characters_can_not_be_entered() {
        assert_eq!(enterable("a\0b\nc\u{7f}"), "a\u{fffd}b\nc\u{fffd}");
    }

    #[test]
    fn a_complaint_stands_at_its_field() {
        assert!(is_about("data.order[3]", "data") && is_about("data", "data"));
        assert!(!is_about("database", "data") && !is_about("data", "data.x"));
        let refusal = Refusal {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            code: "invalid".to_owned(),
            message: "since has to be a <time>".to_owned(),
            field: Some("since".to_owned()),
            request_id: String::new(),
        };
        let entry = |name| Entry { name, label: "Since", value: "x\">", refusal: Some(&refusal) };
        let shown = entry("since").text(None).into_string();
        assert!(shown.contains(r#"aria-describedby="since-complaint""#), "{shown}");
        assert!(
            shown.contains("&lt;time&gt;") && shown.contains(r#"value="x&quot;&gt;""#),
            "{shown}"
        );
        assert!(!entry("until").text(None).into_string().contains("complaint"));
    }
}
