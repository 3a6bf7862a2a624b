//! Operational events are those that Posthaste itself publishes, through the pipeline that all
//! events take.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::{
    delivery::attempt::Failure,
    endpoint::health::Reason,
    event::{Event, event_type::EventType},
    id::{DeliveryId, EventId, WebhookId},
    webhook::Webhook,
};

/// An operation is news about a webhook or a delivery.
#[derive(Debug, Clone, Copy)]
pub enum Operation<'a> {
    /// A webhook has failed several times in a row: `webhook.failing`.
    Failing {
        /// The last failure.
        error: Option<&'a Failure>,
    },
    /// A webhook was disabled: `webhook.disabled`.
    Disabled {
        /// The reason why it was disabled.
        reason: Reason,
    },
    /// A delivery has no try left: `delivery.exhausted`.
    Exhausted {
        /// The delivery that was given up.
        delivery: DeliveryId,
        /// The event that it was to bring.
        event: &'a Event,
        /// The number of attempts that were made.
        attempts: u32,
        /// The time at which the last attempt was recorded.
        at: Timestamp,
        /// The failure of the last attempt.
        error: Option<&'a Failure>,
    },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Data<'a> {
    webhook_id: WebhookId,
    url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    failing_since: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<&'a Failure>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    delivery: Option<DeliveryData<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DeliveryData<'a> {
    delivery_id: DeliveryId,
    event_id: EventId,
    event_type: &'a EventType,
    attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a Failure>,
}

impl Operation<'_> {
    fn name(&self) -> &'static str {
        match self {
            Self::Failing { .. } => "webhook.failing",
            Self::Disabled { .. } => "webhook.disabled",
            Self::Exhausted { .. } => "delivery.exhausted",
        }
    }

    /// Makes the event that announces the operation. Its subject is the webhook.
    pub fn event(&self, webhook: &Webhook, now: Timestamp) -> serde_json::Result<Event> {
        let mut data = Data {
            webhook_id: webhook.id,
            url: webhook.settings.url.shown(),
            failing_since: webhook.health.failing_since,
            last_error: None,
            reason: None,
            delivery: None,
        };
        let (mut about, mut at) = (webhook.id.to_string(), now);
        // A relay that publishes because deliveries are given up goes round in circles too, so that
        // news inherits the hops of its event. The other news is about a webhook and no event, and
        // comes again only after a success.
        let (mut hops, mut traceparent) = (0, None);
        match *self {
            Self::Failing { error } => data.last_error = error,
            Self::Disabled { reason } => data.reason = Some(reason),
            Self::Exhausted { delivery, event, attempts, at: recorded_at, error } => {
                data.failing_since = None;
                data.delivery = Some(DeliveryData {
                    delivery_id: delivery,
                    event_id: event.id,
                    event_type: &event.event_type,
                    attempts,
                    error,
                });
                (about, at) = (format!("{delivery}#{attempts}"), recorded_at);
                (hops, traceparent) = (event.hops, event.traceparent);
            }
        }
        let event_type = EventType::parse(self.name()).map_err(serde::ser::Error::custom)?;
        Ok(Event {
            id: EventId::of_operation(self.name(), &about, at),
            event_type,
            timestamp: at,
            workspace: webhook.workspace.clone(),
            subject: Some(webhook.id.to_string()),
            reference: None,
            hops,
            traceparent,
            data: RawValue::from_string(serde_json::to_string(&data)?)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        event::{catalogue, schema::Budget},
        testing,
    };

    #[test]
    fn each_operation_is_an_event_that_its_schema_takes() {
        let mut webhook = testing::webhook(
            json!({ "url": "https://hooks.slack.com/services/T000/B000/secret?token=secret" }),
        );
        webhook.health.failing_since = Timestamp::from_second(1_700_000_000).ok();
        let error = Failure { code: "timeout".to_owned(), message: "no answer".to_owned() };
        let event = testing::event(1, "order.created", "{}");
        let delivery = DeliveryId::derive(event.id, webhook.id, crate::id::Cause::Published);
        let now = Timestamp::from_second(1_700_000_500).unwrap();
        let operations = [
            Operation::Failing { error: Some(&error) },
            Operation::Disabled { reason: Reason::Gone },
            Operation::Exhausted {
                delivery,
                event: &event,
                attempts: 4,
                at: now,
                error: Some(&error),
            },
        ];
        let mut told = Vec::new();
        for operation in operations {
            let event = operation.event(&webhook, now).unwrap();
            let schema = catalogue::find(event.event_type.as_str()).unwrap().schema().unwrap();
            schema.check(&event.data, "data", &mut Budget::default()).unwrap();
            assert!(catalogue::is_operational(&event.event_type));
            assert_eq!(event.id.time(), now);
            assert!(!event.data.get().contains("secret"), "{}", event.data);
            told.push(serde_json::to_string(&event).unwrap());
        }
        insta::assert_snapshot!(told.join("\n"));
        let relayed = Event { hops: 3, ..event };
        let news =
            Operation::Exhausted { delivery, event: &relayed, attempts: 4, at: now, error: None }
                .event(&webhook, now);
        assert_eq!(
            news.unwrap().hops,
            3,
            "what is published because of it has more hops than the event"
        );
        assert!(!catalogue::is_operational(&EventType::parse("order.created").unwrap()));
    }

    #[test]
    fn a_delivery_that_is_given_up_again_after_a_crash_is_no_second_event() {
        let webhook = testing::webhook(json!({}));
        let event = testing::event(1, "order.created", "{}");
        let delivery = DeliveryId::derive(event.id, webhook.id, crate::id::Cause::Published);
        let at = Timestamp::from_second(1_700_000_000).unwrap();
        let told = |attempts, now| {
            let exhausted =
                Operation::Exhausted { delivery, event: &event, attempts, at, error: None };
            exhausted.event(&webhook, Timestamp::from_second(now).unwrap()).unwrap()
        };
        let (first, again) = (told(4, 1_700_000_001), told(4, 1_700_000_061));
        assert_eq!((first.id, first.timestamp), (again.id, again.timestamp));
        assert_ne!(
            told(5, 1_700_000_061).id,
            first.id,
            "its dead letter was sent back, and failed once more"
        );
    }
}
