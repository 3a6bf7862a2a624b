//! The fields of filters: times, and the event types to choose from.

use maud::{Markup, html};
use posthaste_domain::Timestamp;
use serde::Deserialize;

use crate::{parts::List, visitor::Visitor};

/// The id of the list of event types that text fields offer.
pub(crate) const TYPES: &str = "known-types";
/// So many event types are offered.
const OFFERED: usize = 100;

/// A time as the API takes it. A time without a zone, as forms have it, is in UTC. What is no time
/// stays as it is, for the API to refuse it.
pub(crate) fn utc(text: &str) -> String {
    if text.parse::<Timestamp>().is_ok() {
        return text.to_owned();
    }
    as_in_forms(text).map_or_else(|| text.to_owned(), |time| format!("{time}Z"))
}

/// A time as forms have it: in UTC, without a zone and without parts of a second.
pub(crate) fn as_in_forms(text: &str) -> Option<String> {
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
}
