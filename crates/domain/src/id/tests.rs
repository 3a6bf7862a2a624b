use proptest::prelude::*;

use super::*;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap()
}

#[test]
fn event_ids_are_version_7_and_tell_their_time() {
    let id = EventId::new(at(1_672_531_199_123), &[0xff; 10]);
    assert_eq!(id.to_string(), "01856aa0-c493-7fff-bfff-ffffffffffff");
    assert_eq!(id.time(), at(1_672_531_199_123));
    assert_eq!(id.to_string().parse::<EventId>().unwrap(), id);
}

#[test]
fn a_redelivered_message_is_the_same_event() {
    let first = EventId::of_message("059f36b4-87a3-44ab-83d2-661975830a7d", at(1_672_531_199_123));
    let again = EventId::of_message("059f36b4-87a3-44ab-83d2-661975830a7d", at(1_672_531_199_123));
    let other = EventId::of_message("059f36b4-87a3-44ab-83d2-661975830a7e", at(1_672_531_199_123));
    assert_eq!(first, again);
    assert_ne!(first, other);
    assert_eq!(first.0.get_version_num(), 8);
    assert_eq!(first.time(), at(1_672_531_199_123));
}

#[test]
fn a_repeated_call_derives_the_same_ids() {
    let (time, seed) = (at(1_672_531_199_123), [7; 10]);
    let id = EventId::of_call(time, &seed, 3);
    assert_eq!(id, EventId::of_call(time, &seed, 3));
    assert_ne!(id, EventId::of_call(time, &seed, 4));
    assert_ne!(id, EventId::of_call(time, &[8; 10], 3));
    assert_eq!((id.0.get_version_num(), id.is_ours(), id.time()), (8, true, time));
    assert_eq!(
        id.to_string(),
        "01856aa0-c493-8856-bbbd-4fc6964b7d50",
        "a change of this value gives the calls that are repeated across a deployment other ids"
    );
}

#[test]
fn a_delivery_id_is_a_function_of_event_webhook_and_cause() {
    let event = EventId::new(at(1_672_531_199_123), &[7; 10]);
    let id = DeliveryId::derive(event, WebhookId(42), Cause::Published);
    assert_eq!(id, DeliveryId::derive(event, WebhookId(42), Cause::Published));
    assert_ne!(id, DeliveryId::derive(event, WebhookId(43), Cause::Published));
    assert_ne!(
        id,
        DeliveryId::derive(EventId::new(event.time(), &[8; 10]), WebhookId(42), Cause::Published)
    );
    assert_eq!(
        id.to_string(),
        "01856aa0-c493-8173-8f9a-e97ae5338db4",
        "a change of this value breaks stored deliveries"
    );
}

#[test]
fn each_replay_and_each_test_is_a_delivery_of_its_own() {
    let event = EventId::new(at(1_672_531_199_123), &[7; 10]);
    let id = |cause| DeliveryId::derive(event, WebhookId(42), cause);
    let causes = [
        Cause::Published,
        Cause::Replayed([1; 16]),
        Cause::Replayed([2; 16]),
        Cause::Test([1; 16]),
        Cause::Replayed(JobId::new(at(1), &[3; 10]).nonce()),
    ];
    for (at, cause) in causes.into_iter().enumerate() {
        assert_eq!(id(cause), id(cause));
        assert!(causes[..at].iter().all(|other| id(*other) != id(cause)));
        assert_eq!(id(cause).time(), event.time(), "it stands next to the original");
    }
    for kind in CauseKind::ALL {
        assert_eq!(CauseKind::by_name(kind.name()), Some(kind));
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
    }
}

proptest! {
    #[test]
    fn events_of_one_call_sort_in_its_order(ms in 0i64..1 << 47, x: [u8; 10], y: [u8; 10], mark: [u8; 4], a in 0usize..4096, b in 0usize..4096) {
        let (id, other) = (
            EventId::new(at(ms), &x).of(mark, a), EventId::new(at(ms), &y).of(mark, b)
        );
        prop_assert_eq!(
            (other.place_in_call_of(&id), id.place_in_call_of(&other)), (Some(b), Some(a))
        );
        prop_assert_eq!(EventId::new(at(ms + 1), &y).of(mark, b).place_in_call_of(&id), None);
        let another_mark = [mark[0], !mark[1], mark[2], mark[3]];
        prop_assert_eq!(EventId::new(at(ms), &y).of(another_mark, b).place_in_call_of(&id), None);
        prop_assert_eq!(id.call(), other.call());
        prop_assert_eq!(other.place_in_call_of(&id.call()), Some(b));
        prop_assert!(id.first_at_place(b) < other && other < id.first_at_place(b + 1) || b == 4095);
        prop_assert_ne!(EventId::new(at(ms), &y).of(another_mark, b).call(), id.call());
        prop_assert_eq!(a.cmp(&b).is_lt(), id < other && a != b);
        prop_assert_eq!((id.time(), id.is_ours(), id.0.get_version_num()), (at(ms), true, 7));
        prop_assert_eq!(EventId::of_call(at(ms), &x, a).of(mark, a).0.get_version_num(), 8);
    }

    #[test]
    fn ids_sort_by_time(a in 0i64..1 << 47, b in 0i64..1 << 47, x: [u8; 10], y: [u8; 10]) {
        prop_assume!(a < b);
        prop_assert!(EventId::new(at(a), &x) < EventId::new(at(b), &y));
        let (of_a, of_b) = (EventId::new(at(a), &x), EventId::new(at(b), &y));
        let webhook = WebhookId(1);
        let (first, second) = (
            DeliveryId::derive(of_a, webhook, Cause::Published),
            DeliveryId::derive(of_b, webhook, Cause::Published)
        );
        prop_assert!(first < second);
        prop_assert!(DeliveryId::first_at(at(a)) <= first && first < DeliveryId::first_at(at(b)));
        prop_assert_eq!(first.to_string() < second.to_string(), first < second);
    }
}

#[test]
fn the_mark_of_a_call_leaves_the_version_and_the_variant_as_they_are() {
    for (mark, marked) in [(0x00, 0x80), (0x41, 0x81), (0xff, 0xbf)] {
        let id = EventId::new(at(1), &[7; 10]).of([mark; 4], 0xabc);
        let bytes = id.as_number().to_be_bytes();
        assert_eq!((bytes[6..9].to_vec(), id.is_ours()), (vec![0x7a, 0xbc, marked], true));
        assert_eq!(bytes[9..12], [mark; 3]);
    }
}

#[test]
fn the_calls_of_two_seeds_have_two_marks() {
    assert_ne!(EventId::mark_of_call(&[1; 10]), EventId::mark_of_call(&[2; 10]));
}

#[test]
fn an_id_that_tells_no_time_is_not_ours() {
    let of_version = |version: u128| {
        EventId(Uuid::from_u128(0x01896b5d_3648_0000_8000_000000000001 | version << 76))
    };
    assert_eq!(
        [1, 4, 6, 7, 8].map(|version| of_version(version).is_ours()),
        [false, false, false, true, true]
    );
}
