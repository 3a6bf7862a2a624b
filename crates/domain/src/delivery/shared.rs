//! Records keep a part of a request that deliveries shared, so that it can be made again and shown.
//!
//! A record tells this of its last attempt alone. The record of the first delivery has all of them,
//! in their order, and the record of each other one names the first. So one record of a request
//! grows, by some 16 bytes a delivery, and the others stay as small as they were.
//!
//! ```text
//!  first delivery:  1 | bytes of the events (4) | batch (16) | event (16) | event (16) | …
//!               or  2 | bytes of the events (4) | batch (16) | delivery (16), event (16) | …
//!  each other one:  0 | delivery (16), the first one
//! ```
//!
//! The id of a delivery whose event was published derives from the event, so the first form does
//! without it. Replays have ids of their own.

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use crate::{
    event::Event,
    id::{BatchId, Cause, DeliveryId, EventId, WebhookId},
};

const REFERENCE: u8 = 0;
const OF_EVENTS: u8 = 1;
const OF_PAIRS: u8 = 2;

/// The length of an id.
const ID: usize = 16;

/// The deliveries of a request as a record keeps them. In a message they are base64.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed(Vec<u8>);

/// The deliveries of a request, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shared {
    /// This is the record of the first delivery.
    Whole(Whole),
    /// The record of this delivery, which is the first one of the request, has all of them.
    With(DeliveryId),
}

/// All deliveries of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whole {
    /// The id that the deliveries share.
    pub batch: BatchId,
    /// The deliveries with their events, in the order in which the request has them.
    pub deliveries: Vec<(DeliveryId, EventId)>,
    /// The bytes of all their events.
    pub bytes: u64,
}

/// The parts of a request that the records of its deliveries keep.
#[derive(Debug, Clone)]
pub struct Parts {
    first: Option<DeliveryId>,
    reference: Packed,
    whole: Packed,
}

impl Parts {
    /// The part that the record of this delivery keeps.
    pub fn of(&self, delivery: DeliveryId) -> &Packed {
        let is_other = self.first.is_some_and(|first| first != delivery);
        if is_other { &self.reference } else { &self.whole }
    }
}

impl Packed {
    /// Packs the deliveries of a request. None if there is one alone, which never shared a request:
    /// its record says all.
    pub fn of<'e>(
        webhook: WebhookId,
        batch: Option<BatchId>,
        deliveries: impl Iterator<Item = (DeliveryId, &'e Event)> + Clone,
    ) -> Option<Self> {
        let batch = batch?;
        let derive = |event: &Event| DeliveryId::derive(event.id, webhook, Cause::Published);
        let all_derive = deliveries.clone().all(|(id, event)| id == derive(event));
        let bytes: usize = deliveries.clone().map(|(_, event)| event.data.get().len()).sum();
        let mut packed = vec![if all_derive { OF_EVENTS } else { OF_PAIRS }];
        packed.extend(u32::try_from(bytes).unwrap_or(u32::MAX).to_be_bytes());
        packed.extend(batch.to_bytes());
        for (id, event) in deliveries {
            if !all_derive {
                packed.extend(id.to_bytes());
            }
            packed.extend(event.id.to_bytes());
        }
        Some(Self(packed))
    }

    /// The parts that records keep: the first delivery's keeps everything, and each other one's names
    /// the first.
    pub fn parts(&self, webhook: WebhookId) -> Parts {
        let Some(Shared::Whole(Whole { deliveries, .. })) = self.read(webhook) else {
            return Parts { first: None, reference: self.clone(), whole: self.clone() };
        };
        let first = deliveries.first().map(|(first, _)| *first);
        let reference = first.map_or_else(
            || self.clone(),
            |first| Self([[REFERENCE].as_slice(), &first.to_bytes()].concat()),
        );
        Parts { first, reference, whole: self.clone() }
    }

    /// Reads the deliveries. None if these are other bytes than this version writes.
    pub fn read(&self, webhook: WebhookId) -> Option<Shared> {
        let (form, rest) = self.0.split_first()?;
        if *form == REFERENCE {
            return Some(Shared::With(DeliveryId::of_bytes(rest.try_into().ok()?)));
        }
        let (bytes, rest) = rest.split_first_chunk()?;
        let (batch, rest) = rest.split_first_chunk()?;
        let (ids, []) = rest.as_chunks::<ID>() else { return None };
        let derived = |event: EventId| DeliveryId::derive(event, webhook, Cause::Published);
        let deliveries = match *form {
            OF_EVENTS => {
                let events = ids.iter().map(|id| EventId::of_bytes(*id));
                events.map(|event| (derived(event), event)).collect()
            }
            OF_PAIRS => {
                let (pairs, []) = ids.as_chunks::<2>() else { return None };
                let pairs = pairs.iter();
                pairs
                    .map(|[id, event]| (DeliveryId::of_bytes(*id), EventId::of_bytes(*event)))
                    .collect()
            }
            _ => return None,
        };
        let bytes = u32::from_be_bytes(*bytes).into();
        Some(Shared::Whole(Whole { batch: BatchId::of_bytes(*batch), deliveries, bytes }))
    }

    /// Takes back bytes from a record.
    pub fn stored(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes for a record.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Serialize for Packed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&STANDARD_NO_PAD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Packed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD_NO_PAD.decode(text).map(Self).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing;

    const WEBHOOK: WebhookId = WebhookId(7);

    fn events(count: u8) -> Vec<Event> {
        (0..count).map(|nth| testing::event(nth, "order.created", r#"{"n":1}"#)).collect()
    }

    fn delivery(event: &Event, cause: Cause) -> DeliveryId {
        DeliveryId::derive(event.id, WEBHOOK, cause)
    }

    fn packed(deliveries: &[(DeliveryId, &Event)]) -> (Packed, BatchId) {
        let ids: Vec<_> = deliveries.iter().map(|(id, _)| *id).collect();
        let batch = BatchId::derive(&ids).unwrap();
        (Packed::of(WEBHOOK, Some(batch), deliveries.iter().copied()).unwrap(), batch)
    }

    proptest! {
        #[test]
        fn what_is_packed_is_read_again(count in 1..=100_u8, replayed in any::<u128>()) {
            let events = events(count);
            let mut deliveries = Vec::new();
            for (nth, event) in events.iter().enumerate() {
                let is_replay = replayed >> nth & 1 == 1;
                let cause = if is_replay { Cause::Replayed([7; 16]) } else { Cause::Published };
                deliveries.push((delivery(event, cause), event));
            }
            let (packed, batch) = packed(&deliveries);
            let whole = Shared::Whole(Whole {
                batch,
                deliveries: deliveries.iter().map(|(id, event)| (*id, event.id)).collect(),
                bytes: 7 * u64::from(count),
            });
            prop_assert_eq!(packed.read(WEBHOOK), Some(whole.clone()));
            let parts = packed.parts(WEBHOOK);
            for (nth, (id, _)) in deliveries.iter().enumerate() {
                let kept = parts.of(*id);
                let expected = if nth == 0 { whole.clone() } else { Shared::With(deliveries[0].0) };
                prop_assert_eq!(kept.read(WEBHOOK), Some(expected));
            }
            let json = serde_json::to_string(&packed).unwrap();
            prop_assert_eq!(serde_json::from_str::<Packed>(&json).unwrap(), packed);
        }

        #[test]
        fn other_bytes_are_nothing(
            form in 3..=u8::MAX, rest in prop::collection::vec(any::<u8>(), 0..60)
        ) {
            prop_assert_eq!(Packed([vec![form], rest].concat()).read(WEBHOOK), None);
        }
    }

    #[test]
    fn only_the_record_of_the_first_delivery_grows() {
        let events = events(100);
        let deliveries: Vec<_> =
            events.iter().map(|event| (delivery(event, Cause::Published), event)).collect();
        let (packed, _) = packed(&deliveries);
        assert_eq!(packed.bytes().len(), 1 + 4 + 16 + 100 * 16);
        assert_eq!(packed.parts(WEBHOOK).of(deliveries[1].0).bytes().len(), 17);
        let alone = deliveries[..1].iter().copied();
        assert_eq!(Packed::of(WEBHOOK, None, alone), None, "the record says all");
        assert!(serde_json::from_str::<Packed>("\"é\"").is_err());
    }

    #[test]
    fn the_bytes_of_both_forms_stay_as_they_are() {
        let events = events(2);
        let published = |nth: usize| (delivery(&events[nth], Cause::Published), &events[nth]);
        let replayed = (delivery(&events[1], Cause::Replayed([7; 16])), &events[1]);
        let (first, _) = packed(&[published(0), published(1)]);
        let (second, _) = packed(&[published(0), replayed]);
        let other = first.parts(WEBHOOK).of(published(1).0).clone();
        insta::assert_snapshot!([first, second, other].map(|packed| hex(&packed)).join("\n"));
    }

    fn hex(packed: &Packed) -> String {
        packed.bytes().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
