//! The events that Posthaste itself publishes, through the pipeline that all events take.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::{
    attempt::Failure,
    catalogue,
    event::Event,
    event_type::EventType,
    health::Reason,
    id::{DeliveryId, EventId, WebhookId},
    webhook::Webhook,
};

/// What happened.
#[derive(Debug, Clone, Copy)]
pub enum Operation<'a> {
    /// `webhook.failing`: failures in a row.
    Failing {
        /// The last one.
        error: Option<&'a Failure>,
    },
    /// `webhook.disabled`
    Disabled {
        /// Why.
        reason: Reason,
    },
    /// `delivery.exhausted`
    Exhausted {
        /// The delivery.
        delivery: DeliveryId,
        /// What it was to bring.
        event: &'a Event,
        /// How many attempts it had.
        attempts: u32,
        /// When the last one was recorded.
        at: Timestamp,
        /// What went wrong in it.
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

    /// The event that tells of it. Its subject is the webhook.
    pub fn event(&self, webhook: &Webhook, now: Timestamp) -> serde_json::Result<Event> {
        let failing_since = webhook.health.failing_since;
        let data = |failing_since, last_error, reason, delivery| Data {
            webhook_id: webhook.id,
            url: webhook.settings.url.shown(),
            failing_since,
            last_error,
            reason,
            delivery,
        };
        let (data, about, at) = match *self {
            Self::Failing { error } => (data(failing_since, error, None, None), webhook.id.to_string(), now),
            Self::Disabled { reason } => (data(failing_since, None, Some(reason), None), webhook.id.to_string(), now),
            Self::Exhausted { delivery, event, attempts, at, error } => {
                let (event_id, event_type) = (event.id, &event.event_type);
                let details = DeliveryData { delivery_id: delivery, event_id, event_type, attempts, error };
                (data(None, None, None, Some(details)), format!("{delivery}#{attempts}"), at)
            }
        };
        let event_type = EventType::parse(self.name()).map_err(serde::ser::Error::custom)?;
        Ok(Event {
            id: EventId::of_operation(self.name(), &about, at),
            event_type,
            timestamp: at,
            workspace: webhook.workspace.clone(),
            subject: Some(webhook.id.to_string()),
            reference: None,
            // A relay that publishes because deliveries are given up goes round in circles too. The other news tells of a webhook
            // and of no event, and comes again only after a success.
            hops: if let Self::Exhausted { event, .. } = self { event.hops } else { 0 },
            traceparent: if let Self::Exhausted { event, .. } = self { event.traceparent } else { None },
            data: RawValue::from_string(serde_json::to_string(&data)?)?,
        })
    }
}

/// The types of events that tell of operations.
pub fn types() -> impl Iterator<Item = EventType> {
    let built_in = catalogue::all().iter().filter(|built_in| built_in.is_operational());
    built_in.filter_map(|built_in| EventType::parse(built_in.name).ok())
}

/// Whether an event tells of an operation. What becomes of it is not told by another one, or there would be no end.
pub fn is_operational(event_type: &EventType) -> bool {
    catalogue::find(event_type.as_str()).is_some_and(catalogue::BuiltIn::is_operational)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{schema::Budget, testing};

    #[test]
    fn each_operation_is_an_event_that_its_schema_takes() {
        let mut webhook =
            testing::webhook(json!({ "url": "https://hooks.slack.com/services/T000/B000/secret?token=secret" }));
        webhook.health.failing_since = Timestamp::from_second(1_700_000_000).ok();
        let error = Failure { code: "timeout".to_owned(), message: "no answer".to_owned() };
        let event = testing::event(1, "order.created", "{}");
        let delivery = DeliveryId::derive(event.id, webhook.id, crate::id::Cause::Published);
        let now = Timestamp::from_second(1_700_000_500).unwrap();
        let operations = [
            Operation::Failing { error: Some(&error) },
            Operation::Disabled { reason: Reason::Gone },
            Operation::Exhausted { delivery, event: &event, attempts: 4, at: now, error: Some(&error) },
        ];
        let mut told = Vec::new();
        for operation in operations {
            let event = operation.event(&webhook, now).unwrap();
            let schema = catalogue::find(event.event_type.as_str()).unwrap().schema().unwrap();
            schema.check(&event.data, "data", &mut Budget::default()).unwrap();
            assert!(is_operational(&event.event_type));
            assert_eq!(event.id.time(), now);
            assert!(!event.data.get().contains("secret"), "{}", event.data);
            told.push(serde_json::to_string(&event).unwrap());
        }
        insta::assert_snapshot!(told.join("\n"));
        let relayed = Event { hops: 3, ..event };
        let news =
            Operation::Exhausted { delivery, event: &relayed, attempts: 4, at: now, error: None }.event(&webhook, now);
        assert_eq!(news.unwrap().hops, 3, "what is published because of it has more hops than the event");
        assert!(!is_operational(&EventType::parse("order.created").unwrap()));
    }

    #[test]
    fn a_delivery_that_is_given_up_again_after_a_crash_is_no_second_event() {
        let webhook = testing::webhook(json!({}));
        let event = testing::event(1, "order.created", "{}");
        let delivery = DeliveryId::derive(event.id, webhook.id, crate::id::Cause::Published);
        let at = Timestamp::from_second(1_700_000_000).unwrap();
        let told = |attempts, now| {
            let exhausted = Operation::Exhausted { delivery, event: &event, attempts, at, error: None };
            exhausted.event(&webhook, Timestamp::from_second(now).unwrap()).unwrap()
        };
        let (first, again) = (told(4, 1_700_000_001), told(4, 1_700_000_061));
        assert_eq!((first.id, first.timestamp), (again.id, again.timestamp));
        assert_ne!(told(5, 1_700_000_061).id, first.id, "its dead letter was sent back, and failed once more");
    }
}
