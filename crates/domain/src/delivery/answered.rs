//! Choosing deliveries by the status of their last answer, or by their event.

use crate::{
    Invalid,
    id::EventId,
    input::{Parameter, has_to_be},
};

/// The statuses of an answer that a list is asked for: from the first to the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answered {
    /// The lowest status.
    pub from: u16,
    /// The highest status.
    pub to: u16,
}

impl Answered {
    /// Reads one status, or a class of them such as `5xx`. None if the text is something else.
    fn parse(text: &str) -> Option<Self> {
        let (number, is_class) = match text.strip_suffix("xx") {
            Some(class) => (class, true),
            None => (text, false),
        };
        let number: u16 =
            number.parse().ok().filter(|_| number.bytes().all(|byte| byte.is_ascii_digit()))?;
        match (number, is_class) {
            (1..=5, true) => Some(Self { from: number * 100, to: number * 100 + 99 }),
            (100..=599, false) => Some(Self { from: number, to: number }),
            _ => None,
        }
    }

    /// Tells whether a status is one of them.
    pub fn contain(self, status: u16) -> bool {
        (self.from..=self.to).contains(&status)
    }
}

impl Parameter for Answered {
    type Value = Self;

    fn read(name: &str, text: String) -> Result<Self, Invalid> {
        Self::parse(&text).ok_or_else(|| {
            has_to_be(name, "a status of HTTP, such as 503, or a class, such as 5xx")
        })
    }
}

/// The parameter that names the event of the deliveries.
pub struct OfEvent;

impl Parameter for OfEvent {
    type Value = EventId;

    fn read(name: &str, text: String) -> Result<EventId, Invalid> {
        text.parse().map_err(|_| has_to_be(name, "the id of an event"))
    }
}

#[cfg(feature = "openapi")]
mod document {
    use super::{Answered, OfEvent};
    use crate::input::openapi::{described, formatted, text};

    described!(OfEvent, "EventId", "The id of an event.", formatted("uuid"));

    described!(
        Answered,
        "HttpStatuses",
        "A status of HTTP, or a class of them, such as `5xx`.",
        text().pattern(Some("^[1-5]([0-9][0-9]|xx)$"))
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_or_a_class_is_read() {
        let read = |text: &str| Answered::read("http_status", text.to_owned());
        assert_eq!(read("503"), Ok(Answered { from: 503, to: 503 }));
        assert_eq!(read("5xx"), Ok(Answered { from: 500, to: 599 }));
        assert!(read("4xx").is_ok_and(|class| class.contain(404) && !class.contain(500)));
        for wrong in ["", "xx", "6xx", "99", "600", "5x", "50xx", "+200", "2xx0", "655xx"] {
            let error = read(wrong).unwrap_err();
            assert_eq!(error.field.as_deref(), Some("http_status"), "{wrong}");
        }
    }
}
