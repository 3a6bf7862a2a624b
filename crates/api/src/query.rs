//! The queries that lists and look-ups take.

use posthaste_domain::{
    Invalid, Timestamp,
    delivery::{
        answered::{Answered, OfEvent},
        attempt::Status,
        log,
    },
    deployment::{self, LetterLimit, LetterQueue},
    event::event_type::EventType,
    fanout::delivered,
    id::{DeliveryId, EventId, WebhookId},
    input::{AnyText, Asked, Cursor, Order, Page, Source, Time, has_to_be},
};

/// The deliveries that a list is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WantedDeliveries {
    /// The list has only deliveries with this status.
    pub status: Option<Status>,
    /// The list has only deliveries whose last answer has one of these statuses.
    pub http_status: Option<Answered>,
    /// The list has only deliveries of events of this type.
    pub event_type: Option<EventType>,
    /// The list has only deliveries of this event.
    pub event: Option<EventId>,
    /// The list has only deliveries whose last activity was at this time or later.
    pub since: Option<Timestamp>,
    /// The list has only deliveries whose last activity was before this time.
    pub until: Option<Timestamp>,
}

impl Asked for WantedDeliveries {
    fn read(query: &mut impl Source) -> Result<Self, Invalid> {
        Ok(Self {
            status: query
                .take::<Status>("status", "The list has only deliveries with this status.")?,
            http_status: query.take::<Answered>(
                "http_status",
                "The list has only deliveries whose last answer has this status, or one of this \
                 class.",
            )?,
            event_type: query.take::<EventType>(
                "event_type",
                "The list has only deliveries of events of this type.",
            )?,
            event: query
                .take::<OfEvent>("event_id", "The list has only deliveries of this event.")?,
            since: query.take::<Time>(
                "since",
                "The list has only deliveries whose last activity was at this time or later.",
            )?,
            until: query.take::<Time>(
                "until",
                "The list has only deliveries whose last activity was before this time.",
            )?,
        })
    }
}

/// A query for deliveries of a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListDeliveries {
    /// The page, which goes from the newest to the oldest.
    pub page: Page<DeliveryId>,
    /// The deliveries that are asked for.
    pub wanted: WantedDeliveries,
}

impl Asked for ListDeliveries {
    fn read(query: &mut impl Source) -> Result<Self, Invalid> {
        Ok(Self { page: Page::read(query)?, wanted: WantedDeliveries::read(query)? })
    }
}

/// A query for deliveries of all webhooks of a workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListAllDeliveries {
    /// The page, which goes from the newest to the oldest.
    pub page: Page<log::Cursor>,
    /// The deliveries that are asked for.
    pub wanted: WantedDeliveries,
}

impl Asked for ListAllDeliveries {
    fn read(query: &mut impl Source) -> Result<Self, Invalid> {
        Ok(Self { page: Page::read(query)?, wanted: WantedDeliveries::read(query)? })
    }
}

/// A query for the deliveries of one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListEventDeliveries {
    /// The page, in the order of the webhooks' ids.
    pub page: Page<WebhookId>,
}

impl Asked for ListEventDeliveries {
    fn read(query: &mut impl Source) -> Result<Self, Invalid> {
        Ok(Self { page: Page::read(query)? })
    }
}

/// A query for published events.
#[derive(Debug, Clone, PartialEq)]
pub struct ListEvents {
    /// The page, which can begin in the middle of an event.
    pub page: Page<delivered::Cursor>,
    /// The list has only events that were accepted at this time or later.
    pub since: Option<Timestamp>,
    /// The list has only events that were accepted before this time.
    pub until: Option<Timestamp>,
    /// The list has only events of this type.
    pub event_type: Option<EventType>,
    /// The list has only events about this subject.
    pub subject: Option<String>,
    /// The order of the list, which begins with the oldest or with the newest.
    pub order: Order,
}

impl Asked for ListEvents {
    fn read(query: &mut impl Source) -> Result<Self, Invalid> {
        let order = "The order of the list, by the time of acceptance: the oldest first, which is \
            `asc` and holds unless given, or the newest.";
        Ok(Self {
            page: Page::read(query)?,
            since: query.take::<Time>(
                "since",
                "The list has only events that were accepted at this time or later.",
            )?,
            until: query.take::<Time>(
                "until",
                "The list has only events that were accepted before this time.",
            )?,
            event_type: query
                .take::<EventType>("type", "The list has only events of this type.")?,
            subject: query
                .take::<AnyText>("subject", "The list has only events about this subject.")?,
            order: query.take::<Order>("order", order)?.unwrap_or_default(),
        })
    }
}

/// A query for some dead letters of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LookAtLetters {
    queue: Option<LetterQueue>,
    /// The call looks at this many letters at most.
    pub limit: u16,
}

/// The number of dead letters that a call looks at when the caller does not say.
const LETTERS: u16 = 10;

impl Asked for LookAtLetters {
    fn read(query: &mut impl Source) -> Result<Self, Invalid> {
        Ok(Self {
            queue: query.take::<LetterQueue>("queue", "The queue whose dead letters are shown.")?,
            limit: query
                .take::<LetterLimit>("limit", "The most letters that are shown. 10 unless given.")?
                .unwrap_or(LETTERS),
        })
    }
}

impl LookAtLetters {
    /// Returns the queue, which has to be given.
    pub fn queue(&self) -> Result<LetterQueue, Invalid> {
        self.queue.ok_or_else(deployment::no_queue)
    }
}

/// A query for one event.
#[derive(Debug, Clone, PartialEq)]
pub struct ShowEvent {
    cursor: Option<delivered::Cursor>,
}

impl Asked for ShowEvent {
    fn read(query: &mut impl Source) -> Result<Self, Invalid> {
        let about =
            "The `next` of an earlier answer about this event. The call looks at further webhooks.";
        Ok(Self { cursor: query.take::<Cursor<delivered::Cursor>>("cursor", about)? })
    }
}

impl ShowEvent {
    /// Returns the place where the look at this event goes on. A cursor of another event is
    /// refused.
    pub fn within(&self, event: EventId) -> Result<Option<delivered::Partly>, Invalid> {
        match self.cursor {
            None => Ok(None),
            Some(delivered::Cursor::Within(partly)) if partly.event == event => Ok(Some(partly)),
            Some(_) => Err(has_to_be("cursor", "the next of an earlier answer")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "018566ad-3f93-7f0b-9ed5-36f7ac81ef7b";

    fn read<Q: Asked>(pairs: &[(&str, &str)]) -> Result<Q, Invalid> {
        Q::of(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn every_filter_of_deliveries_is_read() {
        let id = "018566ad-3f93-8f0b-9ed5-36f7ac81ef7b";
        let asked = read(&[
            ("limit", "7"),
            ("status", "exhausted"),
            ("http_status", "5xx"),
            ("event_type", "order.created"),
            ("event_id", ID),
            ("since", "2023-07-18T15:32:13Z"),
            ("until", "2023-07-19T00:00:00+02:00"),
            ("cursor", id),
        ]);
        let expected = ListDeliveries {
            page: Page { limit: 7, after: id.parse().ok() },
            wanted: WantedDeliveries {
                status: Some(Status::Exhausted),
                http_status: Some(Answered { from: 500, to: 599 }),
                event_type: EventType::parse("order.created").ok(),
                event: ID.parse().ok(),
                since: "2023-07-18T15:32:13Z".parse().ok(),
                until: "2023-07-18T22:00:00Z".parse().ok(),
            },
        };
        assert_eq!(asked, Ok(expected));
    }

    #[test]
    fn every_filter_of_events_is_read() {
        let asked = read(&[
            ("limit", "7"),
            ("type", "order.created"),
            ("subject", "c-1"),
            ("since", "2023-07-18T15:32:13Z"),
            ("until", "2023-07-19T00:00:00+02:00"),
            ("cursor", ID),
            ("order", "desc"),
        ]);
        let expected = ListEvents {
            page: Page { limit: 7, after: ID.parse().ok() },
            since: "2023-07-18T15:32:13Z".parse().ok(),
            until: "2023-07-18T22:00:00Z".parse().ok(),
            event_type: EventType::parse("order.created").ok(),
            subject: Some("c-1".to_owned()),
            order: Order::Descending,
        };
        assert_eq!(asked, Ok(expected));
        assert_eq!(read::<ListEvents>(&[("order", "asc")]).unwrap().order, Order::Ascending);
    }

    #[test]
    fn a_filter_that_can_not_be_read_is_named() {
        for (name, value) in [
            ("status", "failed"),
            ("http_status", "6xx"),
            ("event_type", "a b"),
            ("event_id", "1"),
            ("since", "yesterday"),
            ("until", "1"),
            ("cursor", "x"),
            ("limit", "0"),
            ("page", "2"),
        ] {
            assert_eq!(
                read::<ListDeliveries>(&[(name, value)]).unwrap_err().field.as_deref(),
                Some(name)
            );
        }
        for (name, value) in [("type", "a b"), ("order", "up"), ("cursor", "x"), ("page", "2")] {
            assert_eq!(
                read::<ListEvents>(&[(name, value)]).unwrap_err().field.as_deref(),
                Some(name)
            );
        }
    }

    #[test]
    fn a_look_at_dead_letters_names_its_queue() {
        let look = |pairs: &[(&str, &str)]| read::<LookAtLetters>(pairs);
        let turns = look(&[("queue", "turns")]).unwrap();
        assert_eq!((turns.queue(), turns.limit), (Ok(LetterQueue::Turns), 10));
        assert_eq!(look(&[("queue", "turns"), ("limit", "50")]).unwrap().limit, 50);
        assert_eq!(look(&[]).unwrap().queue().unwrap_err().field.as_deref(), Some("queue"));
        for (name, value) in
            [("queue", "dead"), ("limit", "0"), ("limit", "51"), ("limit", "x"), ("page", "2")]
        {
            assert_eq!(look(&[(name, value)]).unwrap_err().field.as_deref(), Some(name), "{value}");
        }
    }

    #[test]
    fn a_cursor_in_the_middle_of_an_event_is_of_that_event_alone() {
        let (id, cursor) = (ID.parse().unwrap(), format!("{ID}.7.yes"));
        let Ok(delivered::Cursor::Within(within)) = cursor.parse() else { panic!("{cursor}") };
        let of_one =
            |id: EventId, cursor: &str| read::<ShowEvent>(&[("cursor", cursor)])?.within(id);
        assert_eq!(of_one(id, &cursor), Ok(Some(within)));
        for (other, cursor) in [(EventId::LAST, cursor.as_str()), (id, ID), (id, "x")] {
            assert_eq!(of_one(other, cursor).unwrap_err().field.as_deref(), Some("cursor"));
        }
    }
}
