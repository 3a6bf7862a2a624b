use std::{
    fmt::{Debug, Display},
    str::FromStr,
};

use posthaste_domain::{
    Timestamp,
    id::{
        BatchId, Cause, DeliveryId, EventId, JobId, KeyId, PortalLinkId, SimulationId, WebhookId,
    },
};
use proptest::{prelude::*, test_runner::TestCaseError};
use serde::{Serialize, de::DeserializeOwned};
use uuid::{Uuid, Variant};

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap()
}

/// Any time until the year 6429, which is as long as 48 bits of milliseconds lead here.
fn time() -> impl Strategy<Value = i64> {
    0..1_i64 << 47
}

/// Checks that an id is a UUID of this version and time, and is read as it is written.
fn is_written_and_read<I>(id: I, version: usize, ms: i64) -> Result<(), TestCaseError>
where
    I: Display + FromStr<Err: Debug> + PartialEq + Debug + Copy + Serialize + DeserializeOwned,
{
    let text = id.to_string();
    prop_assert_eq!(text.parse::<I>().unwrap(), id);
    let json = serde_json::to_string(&id).unwrap();
    prop_assert_eq!(&json, &format!("\"{text}\""));
    prop_assert_eq!(serde_json::from_str::<I>(&json).unwrap(), id);

    let uuid = Uuid::parse_str(&text).unwrap();
    prop_assert_eq!(uuid.hyphenated().to_string(), text, "it has the one usual form");
    prop_assert_eq!((uuid.get_version_num(), uuid.get_variant()), (version, Variant::RFC4122));
    prop_assert_eq!(uuid.as_u128() >> 80, u128::try_from(ms).unwrap());
    Ok(())
}

proptest! {
    #[test]
    fn a_drawn_id_is_a_uuid_of_version_7(ms in time(), random: [u8; 10]) {
        is_written_and_read(EventId::new(at(ms), &random), 7, ms)?;
        is_written_and_read(KeyId::new(at(ms), &random), 7, ms)?;
        is_written_and_read(PortalLinkId::new(at(ms), &random), 7, ms)?;
        is_written_and_read(JobId::new(at(ms), &random), 7, ms)?;
        is_written_and_read(SimulationId::new(at(ms), &random), 7, ms)?;
    }

    #[test]
    fn a_derived_id_is_a_uuid_of_version_8_of_the_same_time(
        ms in time(), random: [u8; 10], webhook: u64, nonce: [u8; 16], text in ".{0,40}"
    ) {
        let event = EventId::new(at(ms), &random);
        for cause in [Cause::Published, Cause::Replayed(nonce), Cause::Test(nonce)] {
            let delivery = DeliveryId::derive(event, WebhookId(webhook), cause);
            is_written_and_read(delivery, 8, ms)?;
            prop_assert_eq!(delivery.time(), event.time());
            is_written_and_read(BatchId::derive(&[delivery]).unwrap(), 8, ms)?;
            prop_assert_eq!(DeliveryId::of_bytes(delivery.to_bytes()), delivery);
        }
        for id in [
            EventId::of_message(&text, at(ms)),
            EventId::of_envelope(&text, at(ms)),
            EventId::of_operation("webhook.failing", &text, at(ms)),
            EventId::of_call(at(ms), &random, 7),
        ] {
            is_written_and_read(id, 8, ms)?;
            prop_assert!(id.is_ours());
        }
    }

    #[test]
    fn what_differs_has_different_ids(
        ms in time(), one: [u8; 10], other: [u8; 10], a: u64, b: u64, nonce: [u8; 16]
    ) {
        prop_assume!(one[2..] != other[2..] && a != b);
        let [event, another] = [one, other].map(|random| EventId::new(at(ms), &random));
        let mut deliveries = Vec::new();
        for event in [event, another] {
            for webhook in [a, b] {
                for cause in [Cause::Published, Cause::Replayed(nonce), Cause::Test(nonce)] {
                    deliveries.push(DeliveryId::derive(event, WebhookId(webhook), cause));
                }
            }
        }
        let [first, second] = [deliveries[0], deliveries[1]];
        let batches = [vec![first, second], vec![second, first], vec![first], deliveries.clone()];
        let mut batches: Vec<_> = batches.iter().map(|ids| BatchId::derive(ids)).collect();
        deliveries.sort();
        deliveries.dedup();
        prop_assert_eq!(deliveries.len(), 12);
        batches.sort();
        batches.dedup();
        prop_assert_eq!(batches.len(), 4, "a batch is these deliveries in this order");
    }

    #[test]
    fn a_place_in_a_list_keeps_the_delivery_and_takes_the_time(
        ms in time(), then in time(), random: [u8; 10]
    ) {
        let event = EventId::new(at(ms), &random);
        let delivery = DeliveryId::derive(event, WebhookId(1), Cause::Published);
        let placed = delivery.placed_at(at(then));
        prop_assert_eq!(placed.time(), at(then));
        prop_assert_eq!(placed.to_bytes()[6..].to_vec(), delivery.to_bytes()[6..].to_vec());
        prop_assert_eq!(placed.placed_at(at(ms)), delivery);
        prop_assert!(DeliveryId::first_at(at(then)) <= placed && placed <= DeliveryId::LAST);
    }

    #[test]
    fn a_text_that_is_no_uuid_is_no_id(text in "[0-9a-f-]{0,40}") {
        let is_uuid = Uuid::parse_str(&text).is_ok();
        prop_assert_eq!(text.parse::<EventId>().is_ok(), is_uuid);
        prop_assert_eq!(text.parse::<DeliveryId>().is_ok(), is_uuid);
        prop_assert_eq!(text.parse::<WebhookId>().is_ok(), text.parse::<u64>().is_ok());
    }
}
