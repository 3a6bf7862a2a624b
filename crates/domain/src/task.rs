//! The message of the deliveries queue.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::{
    event::Event,
    id::{DeliveryId, EventId, WebhookId},
    workspace::Workspace,
};

/// The largest task message in bytes: SQS bills by 64 KiB, so a larger event travels by reference to the Events table.
pub const MAX_TASK_BYTES: usize = 64 * 1024;

/// One delivery to be made.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task<'a> {
    /// Whose delivery it is.
    pub workspace: Cow<'a, Workspace>,
    /// Where to.
    pub webhook: WebhookId,
    /// Its id.
    pub delivery: DeliveryId,
    /// What.
    pub content: Content<'a>,
}

/// The event of a task.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Content<'a> {
    /// The event itself.
    Event(Cow<'a, Event>),
    /// An event in the Events table, because the message would have become larger than [`MAX_TASK_BYTES`].
    EventId(EventId),
}

impl Content<'_> {
    /// The event's id.
    pub fn event_id(&self) -> EventId {
        match self {
            Self::Event(event) => event.id,
            Self::EventId(id) => *id,
        }
    }
}

impl Task<'_> {
    /// The message that brings this event to this webhook.
    pub fn message(event: &Event, webhook: WebhookId, delivery: DeliveryId) -> serde_json::Result<String> {
        let task = |content| Task { workspace: Cow::Borrowed(&event.workspace), webhook, delivery, content };
        let inline = serde_json::to_string(&task(Content::Event(Cow::Borrowed(event))))?;
        if inline.len() <= MAX_TASK_BYTES {
            Ok(inline)
        } else {
            serde_json::to_string(&task(Content::EventId(event.id)))
        }
    }

    /// Reads a message of the deliveries queue.
    pub fn parse(message: &str) -> serde_json::Result<Task<'static>> {
        serde_json::from_str(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Cause;

    fn event(data: &str) -> Event {
        let json = r#"{"id":"018566ad-3f93-7fff-bfff-ffffffffffff","type":"order.created","timestamp":"2023-07-18T15:32:13Z","workspace":"acme","data":DATA}"#;
        serde_json::from_str(&json.replace("DATA", data)).unwrap()
    }

    fn message(event: &Event) -> String {
        let webhook = WebhookId(42);
        Task::message(event, webhook, DeliveryId::derive(event.id, webhook, Cause::Published)).unwrap()
    }

    #[test]
    fn a_small_event_travels_in_the_message() {
        let event = event(r#"{"n": 1.0}"#);
        insta::assert_snapshot!(message(&event));
        let task = Task::parse(&message(&event)).unwrap();
        let Content::Event(read) = task.content else { panic!("by reference") };
        assert_eq!(read.data.get(), r#"{"n": 1.0}"#);
    }

    #[test]
    fn a_large_event_travels_by_reference() {
        let overhead = message(&event(r#"{"x":""}"#)).len();
        let sized = |bytes: usize| event(&format!(r#"{{"x":"{}"}}"#, "x".repeat(bytes)));
        let fits = message(&sized(MAX_TASK_BYTES - overhead));
        assert_eq!(fits.len(), MAX_TASK_BYTES);
        assert!(matches!(Task::parse(&fits).unwrap().content, Content::Event(_)));
        let reference = message(&sized(MAX_TASK_BYTES - overhead + 1));
        insta::assert_snapshot!(reference);
        assert!(matches!(Task::parse(&reference).unwrap().content, Content::EventId(id) if id == event("{}").id));
    }

    #[test]
    fn anything_else_is_no_task() {
        for bad in
            ["", "{}", "null", r#"{"workspace":"a","webhook":"42"}"#, &message(&event("{}")).replace("acme", "a#b")]
        {
            assert!(Task::parse(bad).is_err(), "{bad}");
        }
    }
}
