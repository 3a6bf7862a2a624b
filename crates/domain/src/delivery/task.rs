//! The message of the deliveries queue: deliveries of one webhook that are due together.
//!
//! Fields that this version does not know are ignored, and every field that was added since the
//! first version may be absent, so that a version and the one before it understand each other's
//! messages while a deployment is under way. A message that an older version can't understand says
//! so with a higher `v`: see [`crate::message::version`].

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::{
    delivery::made::Made,
    event::Event,
    id::{BatchId, CauseKind, DeliveryId, EventId},
    message::version::{self, Unreadable},
    webhook::key::WebhookKey,
};

/// The largest task message in bytes: SQS bills by 64 KiB, so the events of a larger one travel by
/// reference to the Events table.
pub const MAX_TASK_BYTES: usize = 64 * 1024;
/// The most deliveries of one task. By reference they always fit into [`MAX_TASK_BYTES`].
pub const MAX_DELIVERIES: usize = 400;

/// The most bytes of events that one task may refer to: a function reads those of several tasks at
/// once.
pub const MAX_REFERRED_BYTES: u64 = 4 * 1024 * 1024;

/// Divides things of these sizes, in their order, into tasks.
pub fn parts<T>(things: &[T], bytes: impl Fn(&T) -> u64) -> Vec<&[T]> {
    let mut parts = Vec::new();
    let (mut start, mut sum) = (0, 0_u64);
    for (at, thing) in things.iter().enumerate() {
        let size = bytes(thing);
        if at > start && (at - start == MAX_DELIVERIES || sum + size > MAX_REFERRED_BYTES) {
            parts.push(&things[start..at]);
            (start, sum) = (at, 0);
        }
        sum += size;
    }
    if start < things.len() {
        parts.push(&things[start..]);
    }
    parts
}

/// Deliveries of one webhook that are to be made in this order.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Task<'a> {
    /// The webhook that gets the deliveries.
    #[serde(flatten)]
    pub webhook: Cow<'a, WebhookKey>,
    /// The request that the deliveries share. It was made before, and is made again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<BatchId>,
    /// True if their records have to be looked at first, although this message is new.
    #[serde(default, skip_serializing_if = "is_false")]
    pub recorded: bool,
    /// True if the webhook could not be read, so that nobody knows yet whether it wants the events.
    #[serde(default, skip_serializing_if = "is_false")]
    pub unrouted: bool,
    /// True if somebody sent them back from the dead-letter queue: they get another attempt,
    /// however many they have had.
    #[serde(default, skip_serializing_if = "is_false")]
    pub redriven: bool,
    /// The number of times that a fault that seemed to be ours kept them from being sent, before
    /// this message.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub faults: u32,
    /// The number of times that they were sent on from one message to the next. It is `hops` in
    /// messages, as it was called when the first ones were sent; the hops of an event are another
    /// count.
    #[serde(rename = "hops", default, skip_serializing_if = "is_zero")]
    pub passes: u32,
    /// An attempt that was made for all of them and is still to be recorded. No other attempt is
    /// made before that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made: Option<Made>,
    /// The deliveries, in their order.
    pub deliveries: Vec<Due<'a>>,
}

/// One delivery of a task.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Due<'a> {
    /// The delivery's id.
    pub id: DeliveryId,
    /// The reason why the delivery exists.
    #[serde(default, skip_serializing_if = "CauseKind::is_published")]
    pub cause: CauseKind,
    /// The event, or its id.
    pub content: Content<'a>,
    /// The size of the event's data in bytes, for an event that travels by reference; 0 if nobody
    /// knows it.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub bytes: u64,
}

/// The event of a delivery, or a reference to it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Content<'a> {
    /// The event itself travels in the message.
    Event(Cow<'a, Event>),
    /// The event is in the Events table, under this id.
    EventId(EventId),
}

impl Content<'_> {
    /// The id of the event.
    pub fn event_id(&self) -> EventId {
        match self {
            Self::Event(event) => event.id,
            Self::EventId(id) => *id,
        }
    }
}

impl<'a> Due<'a> {
    /// A delivery whose event travels with it.
    pub fn of(id: DeliveryId, event: &'a Event) -> Self {
        Self {
            id,
            cause: CauseKind::Published,
            content: Content::Event(Cow::Borrowed(event)),
            bytes: 0,
        }
    }

    /// A delivery whose event is read from the Events table.
    pub fn of_stored(id: DeliveryId, event: EventId, bytes: u64) -> Self {
        Self { id, cause: CauseKind::Published, content: Content::EventId(event), bytes }
    }

    /// Gives the delivery another cause.
    pub fn because(self, cause: CauseKind) -> Self {
        Self { cause, ..self }
    }

    /// Replaces the event by its id.
    pub fn by_reference(&self) -> Due<'static> {
        let bytes = match &self.content {
            Content::Event(event) => event.data.get().len() as u64,
            Content::EventId(_) => self.bytes,
        };
        Due {
            id: self.id,
            cause: self.cause,
            content: Content::EventId(self.content.event_id()),
            bytes,
        }
    }
}

impl<'a> Task<'a> {
    /// Deliveries that are due for the first time.
    pub fn new(webhook: &'a WebhookKey, deliveries: Vec<Due<'a>>) -> Self {
        Self {
            webhook: Cow::Borrowed(webhook),
            batch: None,
            recorded: false,
            unrouted: false,
            redriven: false,
            faults: 0,
            passes: 0,
            made: None,
            deliveries,
        }
    }

    /// A task with these deliveries, and otherwise like this one.
    pub fn with(&self, deliveries: Vec<Due<'static>>) -> Task<'static> {
        Task {
            webhook: Cow::Owned(self.webhook.as_ref().clone()),
            batch: self.batch,
            recorded: self.recorded,
            unrouted: self.unrouted,
            redriven: self.redriven,
            faults: self.faults,
            passes: self.passes,
            made: self.made.clone(),
            deliveries,
        }
    }

    /// Writes the message: with the events if they fit, else with their ids.
    pub fn message(&self) -> serde_json::Result<String> {
        let inline = serde_json::to_string(self)?;
        if inline.len() <= MAX_TASK_BYTES {
            return Ok(inline);
        }
        let deliveries = self.deliveries.iter().map(Due::by_reference).collect();
        serde_json::to_string(&Task { deliveries, ..self.clone() })
    }

    /// Reads a message of the deliveries queue.
    pub fn parse(message: &str) -> Result<Task<'static>, Unreadable> {
        version::read(message)
    }
}

fn is_false(value: &bool) -> bool {
    !value
}

fn is_zero(value: &u32) -> bool {
    *value == 0
}

fn is_nothing(value: &u64) -> bool {
    *value == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        access::workspace::Workspace,
        delivery::{format::MAX_EVENTS, shared::Packed},
        id::{Cause, WebhookId},
        testing::webhook_key,
    };

    fn event(data: &str) -> Event {
        let json = r#"{"id":"018566ad-3f93-7fff-bfff-ffffffffffff","type":"order.created","timestamp":"2023-07-18T15:32:13Z","workspace":"acme","data":DATA}"#;
        serde_json::from_str(&json.replace("DATA", data)).unwrap()
    }

    fn message(event: &Event) -> String {
        let webhook = webhook_key(42);
        let due = Due::of(DeliveryId::derive(event.id, webhook.id, Cause::Published), event);
        Task::new(&webhook, vec![due]).message().unwrap()
    }

    #[test]
    fn a_small_event_travels_in_the_message() {
        let event = event(r#"{"n": 1.0}"#);
        insta::assert_snapshot!(message(&event));
        let task = Task::parse(&message(&event)).unwrap();
        let Content::Event(read) = &task.deliveries[0].content else { panic!("by reference") };
        assert_eq!(read.data.get(), r#"{"n": 1.0}"#);
        assert!(!task.recorded && task.batch.is_none());
    }

    #[test]
    fn a_large_event_travels_by_reference() {
        let overhead = message(&event(r#"{"x":""}"#)).len();
        let sized = |bytes: usize| event(&format!(r#"{{"x":"{}"}}"#, "x".repeat(bytes)));
        let fits = message(&sized(MAX_TASK_BYTES - overhead));
        assert_eq!(fits.len(), MAX_TASK_BYTES);
        assert!(matches!(Task::parse(&fits).unwrap().deliveries[0].content, Content::Event(_)));
        let reference = message(&sized(MAX_TASK_BYTES - overhead + 1));
        insta::assert_snapshot!(reference);
        let task = Task::parse(&reference).unwrap();
        assert!(matches!(task.deliveries[0].content, Content::EventId(id) if id == event("{}").id));
    }

    #[test]
    fn the_largest_task_by_reference_fits() {
        let event = event("{}");
        let workspace = Workspace::parse("x".repeat(64)).unwrap();
        let webhook = WebhookKey { workspace, id: WebhookId(u64::MAX) };
        let due = Due::of(DeliveryId::derive(event.id, webhook.id, Cause::Published), &event)
            .by_reference();
        let due = Due { bytes: 256 * 1024, ..due };
        let task = Task {
            batch: BatchId::derive(&[due.id]),
            recorded: true,
            unrouted: true,
            redriven: true,
            faults: u32::MAX,
            passes: u32::MAX,
            ..Task::new(&webhook, vec![due.clone(); MAX_DELIVERIES])
        };
        let message = task.message().unwrap();
        assert!(message.len() <= MAX_TASK_BYTES, "{}", message.len());
        insta::assert_snapshot!(
            "a_task_that_is_made_again",
            Task { deliveries: task.deliveries[..1].to_vec(), ..task.clone() }.message().unwrap()
        );
        assert_eq!(Task::parse(&message).unwrap().batch, task.batch);
        let replays = vec![due.because(CauseKind::Replay); MAX_DELIVERIES];
        let message = Task { deliveries: replays, ..task.clone() }.message().unwrap();
        assert!(message.len() <= MAX_TASK_BYTES, "{}", message.len());
        assert_eq!(
            Task::parse(&message).unwrap().deliveries[MAX_DELIVERIES - 1].cause,
            CauseKind::Replay
        );
    }

    #[test]
    fn a_task_can_say_what_came_of_an_attempt() {
        let webhook = crate::testing::webhook(serde_json::json!({}));
        let body = r#"{"error":"\\""}"#.repeat(100);
        let began = jiff::Timestamp::UNIX_EPOCH;
        let event = event("{}");
        let id = DeliveryId::derive(event.id, webhook.key.id, Cause::Replayed([7; 16]));
        let shared = std::iter::repeat_n((id, &event), MAX_EVENTS);
        let shared = Packed::of(webhook.key.id, BatchId::derive(&[id]), shared);
        let attempt = crate::delivery::attempt::Attempt::answered(
            &webhook,
            &crate::testing::url("https://example.com/"),
            began,
            std::time::Duration::ZERO,
            500,
            body.as_bytes(),
        );
        let made = Made::new("8476a536-e9f4-11e8-9739-2dfe598c3fcd/9/100", &attempt, None, shared);
        let due = Due::of(id, &event);
        let task = Task { made: Some(made), ..Task::new(&webhook.key, vec![due; MAX_DELIVERIES]) };
        let message = task.message().unwrap();
        assert!(message.len() <= MAX_TASK_BYTES, "{}", message.len());
        assert_eq!(Task::parse(&message).unwrap().made, task.made);
        assert_eq!(task.with(Vec::new()).made, task.made);
    }

    #[test]
    fn tasks_are_bounded_in_number_and_in_bytes() {
        let lengths = |sizes: &[u64]| {
            parts(sizes, |size| *size).iter().map(|part| part.len()).collect::<Vec<_>>()
        };
        assert_eq!(lengths(&[1; 801]), [400, 400, 1]);
        assert_eq!(lengths(&[MAX_REFERRED_BYTES / 2; 5]), [2, 2, 1]);
        assert_eq!(lengths(&[MAX_REFERRED_BYTES + 1, 1]), [1, 1], "one is a task, however large");
        assert_eq!(lengths(&[]), Vec::<usize>::new());
    }

    #[test]
    fn a_message_of_the_version_before_is_understood() {
        let old = r#"{"workspace":"acme","webhook":42,"batch":"018566ad-3f93-8f0b-9ed5-36f7ac81ef7b","recorded":true,"slot":{"at":"2026-01-15T09:30:00Z","limit":{"requests":1,"per":"second"}},"deliveries":[{"id":"018566ad-3f93-8f0b-9ed5-36f7ac81ef7b","content":{"eventId":"018566ad-3f93-7fff-bfff-ffffffffffff"}}]}"#;
        let task = Task::parse(old).unwrap();
        assert!(task.recorded && task.batch.is_some() && task.deliveries.len() == 1);
    }

    #[test]
    fn anything_else_is_no_task() {
        for bad in [
            "",
            "{}",
            "null",
            r#"{"workspace":"a","webhook":"42"}"#,
            &message(&event("{}")).replace("acme", "a#b"),
        ] {
            assert!(Task::parse(bad).is_err(), "{bad}");
        }
    }
}
