//! The ends of runs.

use posthaste_domain::{
    Timestamp,
    id::{Cause, DeliveryId, EventId, WebhookId},
    testing,
};
use posthaste_store::{Deliveries, Holding};

use crate::table;

fn delivery(nth: u8) -> DeliveryId {
    let event: EventId = format!("01896b5d-3648-7000-8000-0000000000{nth:02}").parse().unwrap();
    DeliveryId::derive(event, WebhookId(7), Cause::Published)
}

#[tokio::test]
async fn whoever_ends_a_run_after_another_learns_of_the_first_end() {
    let deliveries = Deliveries::new(table::create().await, table::NAME);
    let webhook = testing::webhook_key(7);
    let run = Holding { webhook: &webhook, context: "1" };
    let now = Timestamp::from_second(1_700_000_000).unwrap();
    let end = async |nth, token: &str| {
        deliveries.holds.end(run, Some(delivery(nth)), token, now).await.unwrap()
    };

    assert!(!deliveries.holds.has_ended(run).await.unwrap());
    assert_eq!(end(1, "a").await, None);
    assert!(deliveries.holds.has_ended(run).await.unwrap());
    assert_eq!(end(1, "a").await, None, "the same call, whose answer was lost");
    assert_eq!(end(1, "b").await, Some(delivery(1)), "a copy of its message");
    assert_eq!(end(2, "c").await, Some(delivery(1)), "another end");
}

#[tokio::test]
async fn the_webhooks_that_know_the_end_of_a_run_are_found_together() {
    let deliveries = Deliveries::new(table::create().await, table::NAME);
    let webhooks = [7, 8, 9].map(testing::webhook_key);
    let now = Timestamp::from_second(1_700_000_000).unwrap();
    for (webhook, context) in [(&webhooks[0], "1"), (&webhooks[1], "2")] {
        let run = Holding { webhook, context };
        deliveries.holds.end(run, None, "a", now).await.unwrap();
    }
    let ended = deliveries.holds.ended(webhooks.clone(), "1").await;
    let ended: Vec<_> = ended.items.into_keys().collect();
    assert_eq!(ended, [webhooks[0].clone()], "another run of the second one has ended");
    assert!(deliveries.holds.ended([], "1").await.items.is_empty());
}
