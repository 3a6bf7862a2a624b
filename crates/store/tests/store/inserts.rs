//! New records go to the table together.

use std::time::Duration;

use futures::future::join_all;
use posthaste_domain::{
    Timestamp,
    delivery::{attempt::Attempt, sequence::Recorded},
    event::Event,
    id::{Cause, CauseKind, DeliveryId, WebhookId},
    testing,
};
use posthaste_store::{Deliveries, NewAttempt, Subject};

use crate::{
    reads::{Meter, metered},
    table,
};

/// Records a success of each of these deliveries, all at once.
async fn record(deliveries: &Deliveries, events: &[Event]) -> Vec<Recorded> {
    let (webhook, now) = (testing::webhook_key(7), Timestamp::UNIX_EPOCH);
    let attempt = &Attempt {
        at: now,
        duration_ms: 7,
        http_status: Some(200),
        response_body: None,
        response_body_encoding: None,
        error: None,
        revision: Some(1),
    };
    let recording = events.iter().enumerate().map(async |(nth, event)| {
        let subject = Subject {
            delivery: DeliveryId::derive(event.id, WebhookId(7), Cause::Published),
            webhook: &webhook,
            event,
            cause: CauseKind::Published,
            retention: Duration::from_secs(60),
        };
        let id = nth.to_string();
        let new =
            NewAttempt { attempt, id: &id, known: 0, retry: None, shared: None, follows: None };
        deliveries.records.record_attempt(subject, new, now).await.unwrap()
    });
    join_all(recording).await
}

async fn deliveries() -> (Deliveries, Meter) {
    let (client, meter) = metered(&table::create().await);
    (Deliveries::new(client, table::NAME), meter)
}

#[tokio::test]
async fn sixty_new_records_are_three_calls() {
    let (deliveries, meter) = deliveries().await;
    let events: Vec<Event> =
        (0..60).map(|nth| testing::event(nth, "order.created", "{}")).collect();
    assert_eq!(record(&deliveries, &events).await, [Recorded::Counted(1); 60]);
    assert_eq!(meter.taken().0, 3);
}

/// DynamoDB refuses a call that names an item twice. The second copy, which began in the same
/// millisecond, finds out that another attempt was recorded.
#[tokio::test]
async fn two_attempts_of_one_delivery_do_not_go_together() {
    let (deliveries, meter) = deliveries().await;
    let events = [0, 0, 1].map(|nth| testing::event(nth, "order.created", "{}"));
    let recorded = record(&deliveries, &events).await;
    assert_eq!(recorded, [Recorded::Counted(1), Recorded::Stale(1), Recorded::Counted(1)]);
    assert_eq!(meter.taken().0, 2, "the update of the second copy was refused");
}
