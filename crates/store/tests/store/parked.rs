//! Retries that are parked, and found when they are due.

use std::collections::BTreeSet;

use posthaste_domain::{
    Timestamp,
    id::{Cause, DeliveryId, EventId, WebhookId},
    parked::{Parked, Part},
    task::{Due, Task},
    workspace::Workspace,
};
use posthaste_store::{Deliveries, ParkedItem, Released};

use crate::table;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap()
}

/// Retries of different deliveries that are due a second apart, the first one at the first second.
fn retries(workspace: &str, count: u16) -> Vec<Parked> {
    let workspace = Workspace::parse(workspace).unwrap();
    let retry = |nth| {
        let event: EventId = format!("01896b5d-3648-7000-8000-00000000{nth:04x}").parse().unwrap();
        let delivery = DeliveryId::derive(event, WebhookId(7), Cause::Published);
        let due = [Due::of_stored(delivery, event, 12)];
        Parked::of(&workspace, WebhookId(7), None, &due, at(i64::from(nth) * 1000)).remove(0)
    };
    (1..=count).map(retry).collect()
}

/// All that is due in all partitions, by pages of this many.
async fn due(deliveries: &Deliveries, until: Timestamp, limit: i32) -> Vec<ParkedItem> {
    let mut items = Vec::new();
    for shard in Part::all().flat_map(Part::shards) {
        let mut after = None;
        loop {
            let page = deliveries.parked(shard, until, after.as_deref(), limit).await.unwrap();
            assert!(page.items.len() <= limit as usize);
            assert!(page.items.is_sorted_by_key(|item| &item.key.1), "by time");
            items.extend(page.items);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
    }
    items
}

#[tokio::test]
async fn what_is_parked_is_found_once_when_it_is_due_and_not_after_it_was_released() {
    let deliveries = Deliveries::new(table::create().await, table::NAME);
    let parked = retries("acme", 60);
    for _ in 0..2 {
        assert!(deliveries.park(&parked).await.unwrap().is_empty(), "parking it again changes nothing");
    }
    assert_eq!(due(&deliveries, at(999), 10).await, []);
    let until_30 = due(&deliveries, at(30_000), 4).await;
    let found: BTreeSet<&str> = until_30.iter().map(|item| item.key.1.as_str()).collect();
    assert_eq!(found, parked[..30].iter().map(|parked| parked.key.as_str()).collect());
    let task = Task::parse(&until_30[0].task).unwrap();
    assert_eq!((task.recorded, task.deliveries.len(), task.deliveries[0].bytes), (true, 1, 12));
    let released = until_30.into_iter().map(|item| Released::Item(item.key)).collect();
    assert_eq!(deliveries.forget_released(released).await.unwrap(), []);
    assert_eq!(due(&deliveries, at(60_000), 100).await.len(), 30);
}

#[tokio::test]
async fn a_workspace_has_four_partitions() {
    let deliveries = Deliveries::new(table::create().await, table::NAME);
    deliveries.park(&retries("acme", 100)).await.unwrap();
    let found = due(&deliveries, at(i64::from(u32::MAX)), 100).await;
    let partitions: BTreeSet<&str> = found.iter().map(|item| item.key.0.as_str()).collect();
    assert_eq!((found.len(), partitions.len()), (100, 4));
}
