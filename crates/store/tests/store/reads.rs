//! Checks what reading costs, in the read units that DynamoDB counts.

use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::{
    Client,
    config::{
        ConfigBag, Intercept, RuntimeComponents,
        interceptors::AfterDeserializationInterceptorContextRef,
    },
    error::BoxError,
    operation::{batch_get_item::BatchGetItemOutput, query::QueryOutput},
    types::{AttributeValue, PutRequest, WriteRequest},
};
use futures::{StreamExt, TryStreamExt, stream};
use posthaste_domain::{
    Timestamp,
    access::workspace::Workspace,
    delivery::attempt::Status,
    id::{Cause, DeliveryId, EventId, WebhookId},
    testing,
};
use posthaste_store::{Deliveries, History, Registry};

use crate::table;

const WEBHOOK: WebhookId = WebhookId(7);

/// Adds up what the calls of a client took.
#[derive(Debug, Clone, Default)]
pub(crate) struct Meter(Arc<Mutex<(usize, f64)>>);

impl Meter {
    /// Returns how many calls there were, and their read units, since the last time somebody asked.
    pub(crate) fn taken(&self) -> (usize, f64) {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl Intercept for Meter {
    fn name(&self) -> &'static str {
        "meter"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let Ok(output) = context.output_or_error() else { return Ok(()) };
        let query = output
            .downcast_ref::<QueryOutput>()
            .map(|output| output.consumed_capacity().into_iter().collect());
        let get = output
            .downcast_ref::<BatchGetItemOutput>()
            .map(|output| output.consumed_capacity().iter().collect());
        let consumed: Vec<_> = query.or(get).unwrap_or_default();
        let units: f64 = consumed.iter().map(|consumed| consumed.capacity_units().unwrap()).sum();
        let mut taken = self.0.lock().unwrap();
        *taken = (taken.0 + 1, taken.1 + units);
        Ok(())
    }
}

pub(crate) fn metered(client: &Client) -> (Client, Meter) {
    let meter = Meter::default();
    (Client::from_conf(client.config().to_builder().interceptor(meter.clone()).build()), meter)
}

fn workspace() -> Workspace {
    Workspace::parse("acme").unwrap()
}

fn event(nth: i64) -> EventId {
    let mut entropy = [0; 10];
    entropy[..8]
        .copy_from_slice(&nth.wrapping_mul(0x9e37_79b9_7f4a_7c15_u64.cast_signed()).to_be_bytes());
    EventId::new(Timestamp::from_millisecond(1_700_000_000_000 + nth).unwrap(), &entropy)
}

fn delivery(nth: i64) -> DeliveryId {
    DeliveryId::derive(event(nth), WEBHOOK, Cause::Published)
}

/// Stores so many records of 2 KB, of which the oldest alone is exhausted.
async fn store_records(client: &Client, count: i64) {
    let text = |value: String| AttributeValue::S(value);
    let record = |nth: i64| {
        let (id, at) = (delivery(nth), event(nth).time().to_string());
        let status = if nth == 0 { Status::Exhausted } else { Status::Succeeded };
        let put = PutRequest::builder()
            .item("pk", text(format!("acme#7#{}", id.spread() % 8)))
            .item("sk", text(id.to_string()))
            .item("eventId", text(event(nth).to_string()))
            .item("eventType", text("order.created".to_owned()))
            .item("status", text(status.name().to_owned()))
            .item("updatedAt", text(at))
            .item("responseBody", text("x".repeat(1800)));
        WriteRequest::builder().put_request(put.build().unwrap()).build()
    };
    let records: Vec<_> = (0..count).map(record).collect();
    let written = stream::iter(records.chunks(25)).map(async |records| {
        client
            .batch_write_item()
            .request_items(table::NAME, records.to_vec())
            .send()
            .await
            .map(drop)
    });
    written.buffer_unordered(8).try_collect::<()>().await.unwrap();
}

#[tokio::test]
async fn a_page_of_the_history_reads_about_what_it_shows_and_a_filter_what_it_may() {
    let client = table::create().await;
    store_records(&client, 3000).await;
    let (client, meter) = metered(&client);
    let deliveries = Deliveries::new(client, table::NAME);
    let expected: Vec<DeliveryId> = (0..3000).rev().map(delivery).collect();

    for (limit, most) in [(50, 65.0), (500, 390.0)] {
        let mut history = History { limit, ..History::default() };
        let mut read = Vec::new();
        for page in 0..4 {
            let page_read =
                deliveries.records.history(&testing::webhook_key(7), &history).await.unwrap();
            let (calls, units) = meter.taken();
            assert!(
                calls <= 20 && units <= most,
                "page {page} of {limit}: {calls} calls, {units} units"
            );
            read.extend(page_read.items.iter().map(|record| record.id));
            history.before = page_read.next;
        }
        assert_eq!(read, expected[..4 * usize::from(limit)]);
    }

    // 3,000 records of 2 KB are 1,500 read units, of which a page looks through 1,000.
    let mut history = History { limit: 50, status: Some(Status::Exhausted), ..History::default() };
    let first = deliveries.records.history(&testing::webhook_key(7), &history).await.unwrap();
    let (calls, units) = meter.taken();
    assert!(calls <= 64 && (900.0..1100.0).contains(&units), "{calls} calls, {units} units");
    assert!(first.items.is_empty());
    history.before = first.next;
    let second = deliveries.records.history(&testing::webhook_key(7), &history).await.unwrap();
    assert!(meter.taken().1 < 700.0);
    assert_eq!((second.items[0].id, second.next), (delivery(0), None));
}

#[tokio::test]
async fn what_a_look_up_takes_is_told() {
    let client = table::create().await;
    store_records(&client, 300).await;
    let (client, meter) = metered(&client);
    let deliveries = Deliveries::new(client, table::NAME);
    let found = deliveries
        .records
        .statuses(&workspace(), (0..310).map(|nth| (WEBHOOK, delivery(nth))))
        .await;
    assert_eq!((found.items.len(), found.unread.len()), (300, 0));
    assert_eq!(found.items[&delivery(0)], Status::Exhausted);
    // Read eventually, 4 KB or nothing are half a unit.
    assert_eq!((found.read_units, meter.taken()), (155.0, (4, 155.0)));
}

#[tokio::test]
async fn webhooks_are_read_a_megabyte_at_a_time_without_their_secrets() {
    let client = table::create().await;
    let text = |value: &str| AttributeValue::S(value.to_owned());
    let settings = r#"{"url":"https://example.com/","events":["order.*"],"description":null,"format":null,"rateLimit":null,"retrySchedule":null,"successStatuses":null,"timeoutSeconds":null,"enabled":true}"#;
    for id in 1..=4 {
        let put = client.put_item().table_name(table::NAME).item("pk", text("workspace#acme"));
        let put = put
            .item("sk", text(&format!("webhook#{id:020}")))
            .item("createdAt", text("2026-01-15T00:00:00Z"));
        let put = put.item("settings", text(if id == 2 { "{}" } else { settings }));
        put.item("headers", text(&"x".repeat(340_000))).send().await.unwrap();
    }
    let (client, meter) = metered(&client);
    let registry = Registry::new(client, table::NAME);
    let first = registry.webhooks.subscribers(&workspace(), None).await.unwrap();
    let ids = |read: &posthaste_store::Subscribers| {
        read.subscribers.iter().map(|one| one.id.0).collect::<Vec<_>>()
    };
    assert_eq!(
        (ids(&first), first.is_one_unreadable, first.next),
        (vec![1, 3], true, Some(WebhookId(3)))
    );
    assert_eq!(meter.taken(), (1, first.read_units));
    assert!((200.0..300.0).contains(&first.read_units), "{}", first.read_units);
    let second = registry.webhooks.subscribers(&workspace(), first.next).await.unwrap();
    assert_eq!((ids(&second), second.is_one_unreadable, second.next), (vec![4], false, None));
}
