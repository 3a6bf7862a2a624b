//! The meaning of a dead letter's body, as far as it can be read. A letter may be anything: often
//! it is a letter because nobody can read it.

use serde::Deserialize;

use super::LetterQueue;
use crate::{
    delivery::{replay::PageMessage, task::Task},
    endpoint::lane::TurnMessage,
    fanout::share::Shared,
    id::{EventId, WebhookId},
    message::version,
};

/// The bytes of a body that are shown at most.
pub const SHOWN_BYTES: usize = 4 * 1024;
/// A letter names at most so many events.
pub const SHOWN_EVENTS: usize = 20;

/// The things that a body tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// The webhook that the message is about.
    pub webhook: Option<WebhookId>,
    /// The events that the message carries or names: at most [`SHOWN_EVENTS`].
    pub events: Vec<EventId>,
    /// The number of its deliveries, if it is a task.
    pub deliveries: Option<usize>,
}

/// The part of a message of the events queue that names the event.
#[derive(Deserialize)]
struct Named {
    id: EventId,
}

impl Told {
    /// Reads a body from this queue.
    pub fn of(queue: LetterQueue, body: &str) -> Self {
        let told = match queue {
            LetterQueue::Events => Some(Self::of_event(body)),
            LetterQueue::Deliveries | LetterQueue::Exhausted => {
                Task::parse(body).ok().map(|task| Self::of_task(&task))
            }
            LetterQueue::Turns => {
                TurnMessage::parse(body).ok().map(|turn| Self::about(turn.webhook.id))
            }
            LetterQueue::Replay => {
                version::read::<PageMessage>(body).ok().map(|page| Self::about(page.webhook.id))
            }
        };
        told.unwrap_or_default()
    }

    fn about(webhook: WebhookId) -> Self {
        Self { webhook: Some(webhook), ..Self::default() }
    }

    fn of_task(task: &Task<'_>) -> Self {
        let events = task.deliveries.iter().map(|due| due.content.event_id());
        Self {
            webhook: Some(task.webhook.id),
            events: events.take(SHOWN_EVENTS).collect(),
            deliveries: Some(task.deliveries.len()),
        }
    }

    fn of_event(body: &str) -> Self {
        let event = match Shared::parse(body) {
            Some(shared) => shared.ok().map(|shared| shared.event.id),
            None => serde_json::from_str(body).ok().map(|Named { id }| id),
        };
        Self { events: event.into_iter().collect(), ..Self::default() }
    }
}

/// The beginning of a body that is shown. No character is cut in two.
pub fn shown(body: &str) -> &str {
    &body[..body.floor_char_boundary(SHOWN_BYTES)]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        delivery::task::Due,
        id::{Cause, DeliveryId, JobId},
        testing::webhook_key,
    };

    fn event(nth: u8) -> EventId {
        format!("01896b5d-3648-7000-8000-0000000000{nth:02x}").parse().unwrap()
    }

    #[test]
    fn a_task_tells_its_webhook_and_the_first_of_its_events() {
        let deliveries = (0..30).map(|nth| {
            let id = DeliveryId::derive(event(nth), WebhookId(42), Cause::Published);
            Due::of_stored(id, event(nth), 0)
        });
        let key = webhook_key(42);
        let body = Task::new(&key, deliveries.collect()).message().unwrap();
        for queue in [LetterQueue::Deliveries, LetterQueue::Exhausted] {
            let told = Told::of(queue, &body);
            assert_eq!((told.webhook, told.deliveries), (Some(WebhookId(42)), Some(30)));
            assert_eq!(told.events, (0..20).map(event).collect::<Vec<_>>());
        }
        assert_eq!(Told::of(LetterQueue::Events, &body), Told::default());
    }

    #[test]
    fn an_event_tells_its_id_and_a_turn_and_a_page_their_webhooks() {
        let id = event(7);
        let body = format!(r#"{{"id":"{id}","workspace":"acme","type":1}}"#);
        assert_eq!(Told::of(LetterQueue::Events, &body).events, [id], "also where it is no event");
        let turn = TurnMessage { webhook: webhook_key(42), token: "t".to_owned() };
        let turn = serde_json::to_string(&turn).unwrap();
        assert_eq!(Told::of(LetterQueue::Turns, &turn), Told::about(WebhookId(42)));
        let page = PageMessage {
            webhook: webhook_key(42),
            job: JobId::new(jiff::Timestamp::UNIX_EPOCH, &[1; 10]),
            page: 0,
            cursor: None,
            recorded: false,
        };
        let page = serde_json::to_string(&page).unwrap();
        assert_eq!(Told::of(LetterQueue::Replay, &page), Told::about(WebhookId(42)));
    }

    proptest! {
        #[test]
        fn anything_can_be_a_letter(body in ".{0,200}", times in 1..60_usize) {
            let body = body.repeat(times);
            for queue in LetterQueue::ALL {
                prop_assert_eq!(Told::of(queue, &body).webhook, None);
            }
            let shown = shown(&body);
            prop_assert!(body.starts_with(shown) && shown.len() <= SHOWN_BYTES);
            prop_assert!(body.len() <= SHOWN_BYTES || shown.len() > SHOWN_BYTES - 4);
        }
    }
}
