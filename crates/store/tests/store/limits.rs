//! Slots of a rate limit, reserved by many at the same time.

use futures::future::join_all;
use posthaste_domain::{
    Timestamp, testing,
    webhook::rate_limit::{Period, RateLimit},
};
use posthaste_store::{Deliveries, Reserved};

use crate::table;

const LIMIT: RateLimit = RateLimit { requests: 100, per: Period::Second };

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap()
}

#[tokio::test]
async fn many_who_reserve_at_once_get_different_slots_and_none_is_overtaken_too_often() {
    let deliveries = Deliveries::new(table::create().await, table::NAME);
    let webhook = testing::webhook_key(7);
    let reserve = |count| deliveries.slots.reserve(&webhook, LIMIT, count, at(10_000));
    let reserved = join_all((0..40).map(|_| reserve(5))).await;
    let mut slots = Vec::new();
    for one in reserved {
        match one.unwrap() {
            Reserved::Slots(some) => slots.extend(some),
            Reserved::Later(next) => assert!(next > at(11_000)),
        }
    }
    slots.sort_unstable();
    let apart = |pair: &[Timestamp]| pair[1].as_millisecond() - pair[0].as_millisecond();
    assert!(slots.windows(2).all(|pair| apart(pair) >= 10), "{slots:?}");
    assert_eq!(
        (slots.len(), slots.first(), slots.last()),
        (101, Some(&at(10_000)), Some(&at(11_000)))
    );
}

#[tokio::test]
async fn slots_begin_anew_after_a_pause_and_under_another_limit() {
    let deliveries = Deliveries::new(table::create().await, table::NAME);
    let webhook = testing::webhook_key(7);
    let slow = RateLimit { requests: 1, per: Period::Minute };
    let reserve =
        async |limit, now| deliveries.slots.reserve(&webhook, limit, 3, at(now)).await.unwrap();
    assert_eq!(reserve(slow, 0).await, Reserved::Slots(vec![at(0)]));
    assert_eq!(reserve(slow, 1000).await, Reserved::Later(at(60_000)));
    assert_eq!(reserve(slow, 59_500).await, Reserved::Slots(vec![at(60_000)]));
    assert_eq!(reserve(slow, 500_000).await, Reserved::Slots(vec![at(500_000)]));
    let other = reserve(LIMIT, 500_100).await;
    assert_eq!(other, Reserved::Slots(vec![at(500_100), at(500_110), at(500_120)]));
}
