//! Operational events are those that Posthaste itself publishes, through the pipeline that all
//! events take.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    Invalid,
    delivery::attempt::Failure,
    endpoint::health::{Disabled, Reason},
    event::{Event, catalogue, event_type::EventType},
    id::{DeliveryId, EventId, WebhookId},
    webhook::Webhook,
};

/// An operation is news about a webhook or a delivery.
#[derive(Debug, Clone, Copy)]
pub enum Operation<'a> {
    /// A webhook has failed several times in a row: `webhook.failing`.
    Failing {
        /// The time of the first of these failures.
        since: Option<Timestamp>,
        /// The time at which they were first about to be announced, as the webhook's item has it.
        at: Timestamp,
        /// The last failure.
        error: Option<&'a Failure>,
    },
    /// A webhook was disabled: `webhook.disabled`.
    Disabled {
        /// The time of the first failure since the last success.
        since: Option<Timestamp>,
        /// The time and the reason of the disabling, as the webhook's item has them.
        disabled: Disabled,
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

    /// Makes the event that announces the operation. Its subject is the webhook. Its id and its
    /// time come from what is stored about the operation, so that news which is published again
    /// after a crash is the same event.
    pub fn event(&self, webhook: &Webhook) -> serde_json::Result<Event> {
        let mut data = Data {
            webhook_id: webhook.key.id,
            url: webhook.settings.url.shown(),
            failing_since: None,
            last_error: None,
            reason: None,
            delivery: None,
        };
        let mut about = webhook.key.id.to_string();
        // A relay that publishes because deliveries are given up goes round in circles too, so that
        // news inherits the hops of its event. The other news is about a webhook and no event, and
        // comes again only after a success.
        let (mut hops, mut traceparent) = (0, None);
        let at = match *self {
            Self::Failing { since, at, error } => {
                (data.failing_since, data.last_error) = (since, error);
                at
            }
            Self::Disabled { since, disabled } => {
                (data.failing_since, data.reason) = (since, Some(disabled.reason));
                disabled.at
            }
            Self::Exhausted { delivery, event, attempts, at, error } => {
                data.delivery = Some(DeliveryData {
                    delivery_id: delivery,
                    event_id: event.id,
                    event_type: &event.event_type,
                    attempts,
                    error,
                });
                about = format!("{delivery}#{attempts}");
                (hops, traceparent) = (event.hops, event.traceparent);
                at
            }
        };
        let event_type = EventType::parse(self.name()).map_err(serde::ser::Error::custom)?;
        Ok(Event {
            id: EventId::of_operation(self.name(), &about, at),
            event_type,
            timestamp: at,
            workspace: webhook.key.workspace.clone(),
            subject: Some(webhook.key.id.to_string()),
            reference: None,
            hops,
            traceparent,
            data: RawValue::from_string(serde_json::to_string(&data)?)?,
        })
    }
}

/// The members of the data of `delivery.exhausted` that its id derives from.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GivenUp {
    delivery_id: DeliveryId,
    attempts: u32,
}

/// Refuses an event of an operational type with an id that Posthaste does not give it. This keeps a
/// service from publishing one by mistake, for example by passing on what a webhook brought it. It
/// is no protection against somebody who makes the id as Posthaste does.
pub fn check_id(event: &Event) -> Result<(), Invalid> {
    let name = event.event_type.as_str();
    if !catalogue::is_operational(&event.event_type) {
        return Ok(());
    }
    let about = match serde_json::from_str::<GivenUp>(event.data.get()) {
        Ok(GivenUp { delivery_id, attempts }) => Some(format!("{delivery_id}#{attempts}")),
        Err(_) => event.subject.clone(),
    };
    let id = about.map(|about| EventId::of_operation(name, &about, event.timestamp));
    if id == Some(event.id) {
        return Ok(());
    }
    let message = format!("{name} is published by Posthaste alone");
    Err(Invalid::field("type", "reserved_event_type", message))
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
        let webhook = testing::webhook(
            json!({ "url": "https://hooks.slack.com/services/T000/B000/secret?token=secret" }),
        );
        let since = Timestamp::from_second(1_700_000_000).ok();
        let error = Failure { code: "timeout".to_owned(), message: "no answer".to_owned() };
        let event = testing::event(1, "order.created", "{}");
        let delivery = DeliveryId::derive(event.id, webhook.key.id, crate::id::Cause::Published);
        let now = Timestamp::from_second(1_700_000_500).unwrap();
        let operations = [
            Operation::Failing { since, at: now, error: Some(&error) },
            Operation::Disabled {
                since,
                disabled: Disabled { at: now, reason: Reason::Gone, is_told: false },
            },
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
            let event = operation.event(&webhook).unwrap();
            let schema = catalogue::find(event.event_type.as_str()).unwrap().schema().unwrap();
            schema.check(&event.data, "data", &mut Budget::default()).unwrap();
            assert!(catalogue::is_operational(&event.event_type));
            assert_eq!(event.id.time(), now);
            check_id(&event).unwrap();
            let forged = Event { id: testing::event(1, "a", "{}").id, ..event.clone() };
            assert_eq!(check_id(&forged).unwrap_err().code, "reserved_event_type");
            assert!(!event.data.get().contains("secret"), "{}", event.data);
            told.push(serde_json::to_string(&event).unwrap());
        }
        insta::assert_snapshot!(told.join("\n"));
        check_id(&event).unwrap();
        let relayed = Event { hops: 3, ..event };
        let news =
            Operation::Exhausted { delivery, event: &relayed, attempts: 4, at: now, error: None }
                .event(&webhook);
        assert_eq!(
            news.unwrap().hops,
            3,
            "what is published because of it has more hops than the event"
        );
        assert!(!catalogue::is_operational(&EventType::parse("order.created").unwrap()));
    }

    #[test]
    fn the_sample_of_a_delivery_that_is_given_up_has_ids_as_they_are_sent() {
        let built_in = catalogue::find("delivery.exhausted").unwrap();
        let sample: serde_json::Value = serde_json::from_str(built_in.sample).unwrap();
        let data = &sample["data"];
        let given_up: GivenUp = serde_json::from_value(data.clone()).unwrap();
        assert_eq!(given_up.delivery_id.to_string(), data["deliveryId"]);
        let event: EventId = data["eventId"].as_str().unwrap().parse().unwrap();
        assert!(event.is_ours());
        let wait = format!("within {} s", webhook_timeout());
        assert!(data["error"]["message"].as_str().unwrap().ends_with(&wait), "{data}");
    }

    fn webhook_timeout() -> u64 {
        testing::webhook(json!({})).timeout().as_secs()
    }

    #[test]
    fn a_delivery_that_is_given_up_again_after_a_crash_is_no_second_event() {
        let webhook = testing::webhook(json!({}));
        let event = testing::event(1, "order.created", "{}");
        let delivery = DeliveryId::derive(event.id, webhook.key.id, crate::id::Cause::Published);
        let at = Timestamp::from_second(1_700_000_000).unwrap();
        let told = |attempts| {
            let exhausted =
                Operation::Exhausted { delivery, event: &event, attempts, at, error: None };
            exhausted.event(&webhook).unwrap()
        };
        let (first, again) = (told(4), told(4));
        assert_eq!((first.id, first.timestamp), (again.id, at));
        assert_ne!(told(5).id, first.id, "its dead letter was sent back, and failed once more");
    }
}
