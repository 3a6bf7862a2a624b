//! The origin of a message on the events queue decides the id of its event. Every copy of a
//! message, every rule that sends the same envelope, and a dead letter that is sent back, have to
//! come to the same id.

use std::time::Duration;

use jiff::Timestamp;

use crate::id::EventId;

/// An id that a message brings may be this much older than the message: as long as a message and
/// its dead letter can wait.
const OLDEST_ID: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// An id may be this much newer than its message, because clocks differ.
const NEWEST_ID: Duration = Duration::from_secs(60 * 60);

/// The attributes that SQS gives a message.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// The SQS id. A message that is sent back from a dead-letter queue gets another one.
    pub message_id: &'a str,
    /// The time at which the message was sent, or sent back.
    pub sent: Timestamp,
    /// The id that the event had when its message became a dead letter.
    pub kept: Option<EventId>,
}

impl Origin<'_> {
    /// Tells whether a message of this age can carry an event with an id of this `time`.
    pub(super) fn is_near(&self, time: Timestamp) -> bool {
        self.sent - OLDEST_ID <= time && time <= self.sent + NEWEST_ID
    }

    /// The id of an event that names none itself.
    pub(super) fn id(&self) -> EventId {
        self.kept_id().unwrap_or_else(|| EventId::of_message(self.message_id, self.sent))
    }

    /// The id of an event in an EventBridge envelope: from the envelope's own id, or from the
    /// message if the envelope has no time near to that of its message.
    pub(super) fn id_of_envelope(&self, id: Option<&str>, time: Option<Timestamp>) -> EventId {
        if let Some(kept) = self.kept_id() {
            return kept;
        }
        match (id, time) {
            (Some(id), Some(time)) if self.is_near(time) => EventId::of_envelope(id, time),
            _ => self.id(),
        }
    }

    fn kept_id(&self) -> Option<EventId> {
        self.kept.filter(|id| id.is_ours() && self.is_near(id.time()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * 60 * 60;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    fn origin(message_id: &str, second: i64) -> Origin<'_> {
        Origin { message_id, sent: at(second), kept: None }
    }

    #[test]
    fn two_rules_that_match_an_event_send_one_event() {
        let id = |message_id, sent, time| {
            origin(message_id, sent).id_of_envelope(Some("e-1"), Some(at(time)))
        };
        assert_eq!(id("m-1", 1, 0), id("m-2", 7, 0));
        assert_eq!(id("m-1", 1, 0).time(), at(0));
        assert_ne!(id("m-1", 1, 0), origin("m-1", 1).id_of_envelope(Some("e-2"), Some(at(0))));
    }

    #[test]
    fn an_envelope_without_a_near_time_is_known_by_its_message() {
        let id = |time: Option<i64>| origin("m", 0).id_of_envelope(Some("e-1"), time.map(at));
        let of_message = EventId::of_message("m", at(0));
        assert_eq!([id(None), id(Some(-31 * DAY)), id(Some(DAY))], [of_message; 3]);
        assert_eq!(origin("m", 0).id_of_envelope(None, Some(at(0))), of_message);
        assert_ne!(id(Some(-20 * DAY)), of_message);
    }

    #[test]
    fn a_dead_letter_that_is_sent_back_keeps_its_id() {
        let first = origin("m-1", 0).id();
        let redriven = Origin { kept: Some(first), ..origin("m-2", 14 * DAY) };
        assert_eq!(redriven.id(), first);
        assert_eq!(redriven.id_of_envelope(Some("e-1"), Some(at(14 * DAY))), first);
        let forged = Origin { kept: Some(first), ..origin("m-2", 31 * DAY) };
        assert_eq!(forged.id(), EventId::of_message("m-2", at(31 * DAY)), "no event is that old");
    }
}
