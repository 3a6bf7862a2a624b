//! A share of the fan-out of one event, which is a message by which `fanout` asks itself for a part
//! of its work.
//!
//! An event of a workspace with many webhooks is fanned out in shares of at most [`MAX_WEBHOOKS`].
//! They are known when the event is first looked at, go out at once, and each is repeated by
//! itself. A share is a range of webhook ids, which don't move, so it means the same whenever it is
//! repeated; a webhook that is registered later is not part of it, and came after the event.
//!
//! Work that can't be done yet is a share, too: the end of a run, which waits until the events
//! before it are held; the rest of a long run, which waits until the part before it has been
//! attempted; and webhooks whose subscriptions this version can't read.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::{
    Invalid,
    event::{Event, MAX_MESSAGE_BYTES, loops},
    id::{DeliveryId, EventId, WebhookId},
    message::version::{self, Unreadable},
};

/// A share has at most this many webhooks.
pub const MAX_WEBHOOKS: usize = 1_000;

/// The webhooks to which an event is fanned out, and what is left to do for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Share {
    /// The first webhook of the share.
    pub from: WebhookId,
    /// The last webhook of the share.
    pub to: WebhookId,
    /// True if only the ends of runs are left to be done.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ends: bool,
    /// The number of events that come before the event in its call, if it is the end of a run:
    /// these go before it.
    #[serde(default, skip_serializing_if = "is_none")]
    pub before: usize,
    /// True if the message that asked for the share had come before, so that its tasks may have
    /// been sent.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub again: bool,
    /// The rest of the run that the event ends, if the share is about that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rest: Option<Rest>,
    /// The number of times that it was tried before: an event before an end was not held, or the
    /// part before the rest had not been attempted.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tries: u32,
    /// The number of times that a subscription could not be read. The version before does not know
    /// this field and counts these in `tries`, so it begins again.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unread: u32,
}

/// The part of a run that is left when an earlier part has been sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Rest {
    /// The event of the earlier part's last delivery.
    pub after: EventId,
    /// True if that event is an end of the run: these are behind all other events.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_end: bool,
    /// The earlier part's last delivery: when it has been attempted, the next part goes out.
    pub last: DeliveryId,
}

impl Share {
    /// The share of all webhooks of a workspace.
    pub const ALL: Self = Self {
        from: WebhookId(0),
        to: WebhookId(u64::MAX),
        ends: false,
        before: 0,
        again: false,
        rest: None,
        tries: 0,
        unread: 0,
    };

    /// Tells whether a webhook is in the share.
    pub fn has(&self, webhook: WebhookId) -> bool {
        (self.from..=self.to).contains(&webhook)
    }

    /// The part of the share from one webhook to another.
    pub fn part(self, from: WebhookId, to: WebhookId) -> Self {
        Self { from, to, ..self }
    }
}

/// The message that carries a share and its event.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Shared<'a> {
    /// The share.
    pub share: Share,
    /// The only webhooks of the share that are left to be done, in the order of their ids; empty
    /// if all of them are. The version before does not know this field and does them all, so
    /// `again` has to be set beside it where that sends tasks once more.
    #[serde(default, skip_serializing_if = "<[WebhookId]>::is_empty")]
    pub only: Cow<'a, [WebhookId]>,
    /// The event, which is stored already.
    pub event: Cow<'a, Event>,
}

impl<'a> Shared<'a> {
    /// Writes the message for a share of an event: for all its webhooks, or for these only.
    pub fn message(
        share: Share,
        only: &'a [WebhookId],
        event: &'a Event,
    ) -> serde_json::Result<String> {
        serde_json::to_string(&Self {
            share,
            only: Cow::Borrowed(only),
            event: Cow::Borrowed(event),
        })
    }

    /// Reads a message of the events queue; none if it carries an event and no share.
    pub fn parse(body: &str) -> Option<Result<Shared<'static>, Unreadable>> {
        body.starts_with(r#"{"share":"#).then(|| version::read(body))
    }

    /// Refuses an event that `fanout` would not have taken either. Anybody who may send to the
    /// events queue can send a share.
    pub fn check(&self) -> Result<(), Invalid> {
        let bytes = self.event.data.get().len();
        if bytes > MAX_MESSAGE_BYTES {
            let message = format!("an event takes at most {MAX_MESSAGE_BYTES} bytes");
            return Err(Invalid::too_large(Some("event.data".to_owned()), message));
        }
        loops::check_hops(self.event.hops)
    }
}

fn is_none(value: &usize) -> bool {
    *value == 0
}

fn is_zero(value: &u32) -> bool {
    *value == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::event;

    #[test]
    fn a_share_travels_with_its_event() {
        let event = event(1, "order.created", r#"{"n": 1.0}"#);
        let message =
            Shared::message(Share::ALL.part(WebhookId(1), WebhookId(1000)), &[], &event).unwrap();
        insta::assert_snapshot!("a_share", message);
        let read = Shared::parse(&message).unwrap().unwrap();
        assert_eq!(
            (read.share.from, read.share.to, read.event.data.get()),
            (WebhookId(1), WebhookId(1000), r#"{"n": 1.0}"#)
        );
        let share = Share { ends: true, before: 3, again: true, tries: 2, ..Share::ALL };
        let message = Shared::message(share, &[], &event).unwrap();
        insta::assert_snapshot!("a_share_of_ends", message);
        assert_eq!(Shared::parse(&message).unwrap().unwrap().share, share);
    }

    #[test]
    fn a_share_can_be_for_some_of_its_webhooks_only() {
        let event = event(1, "order.created", "{}");
        let share = Share { again: true, ..Share::ALL.part(WebhookId(2), WebhookId(9)) };
        let message = Shared::message(share, &[WebhookId(2), WebhookId(9)], &event).unwrap();
        insta::assert_snapshot!("a_share_of_some_webhooks", message);
        let read = Shared::parse(&message).unwrap().unwrap();
        assert_eq!((read.share, read.only.as_ref()), (share, &[WebhookId(2), WebhookId(9)][..]));
    }

    #[test]
    fn a_share_has_the_webhooks_from_its_first_to_its_last() {
        let share = Share::ALL.part(WebhookId(2), WebhookId(9));
        assert_eq!([1, 2, 9, 10].map(|id| share.has(WebhookId(id))), [false, true, true, false]);
    }

    #[test]
    fn a_share_has_no_event_that_would_not_be_taken_by_itself() {
        let shared = |hops, bytes| {
            let data = format!(r#"{{"x":"{}"}}"#, "x".repeat(bytes));
            let event = Event { hops, ..event(1, "order.created", &data) };
            let event = Cow::Owned(event);
            let shared = Shared { share: Share::ALL, only: Cow::default(), event };
            shared.check().map_err(|invalid| invalid.code)
        };
        assert_eq!(shared(5, MAX_MESSAGE_BYTES - 8), Ok(()));
        assert_eq!(shared(5, MAX_MESSAGE_BYTES - 7), Err("too_large"));
        assert_eq!(shared(6, 0), Err(loops::CODE));
    }

    #[test]
    fn an_event_is_no_share() {
        let event = serde_json::to_string(&event(1, "order.created", r#"{"share":1}"#)).unwrap();
        assert!(Shared::parse(&event).is_none());
        assert!(Shared::parse(r#"{"share":1}"#).unwrap().is_err());
    }
}
