//! Retries that are parked and deliveries that are held, found when they are due.

use std::{collections::BTreeSet, time::Duration};

use posthaste_domain::{
    Timestamp,
    access::workspace::Workspace,
    delivery::{
        parked::Parked,
        release::Part,
        task::{Due, Task},
    },
    id::{Cause, DeliveryId, EventId, WebhookId},
    testing,
    webhook::key::WebhookKey,
};
use posthaste_store::{
    Deliveries, DueDelivery, DueIndex, Hold, Holding, ParkedItem, Released, Within,
};

use crate::table;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap()
}

/// Retries of different deliveries that are due a second apart, the first one at the first second.
fn retries(workspace: &str, count: u16) -> Vec<Parked> {
    let workspace = Workspace::parse(workspace).unwrap();
    let webhook = WebhookKey { workspace, id: WebhookId(7) };
    let retry = |nth| {
        let event: EventId = format!("01896b5d-3648-7000-8000-00000000{nth:04x}").parse().unwrap();
        let delivery = DeliveryId::derive(event, WebhookId(7), Cause::Published);
        let due = [Due::of_stored(delivery, event, 12)];
        Parked::of(&webhook, None, &due, at(i64::from(nth) * 1000)).remove(0)
    };
    (1..=count).map(retry).collect()
}

/// All that is due in all partitions, by pages of this many.
async fn due(deliveries: &Deliveries, until: Timestamp, limit: i32) -> Vec<ParkedItem> {
    let mut items = Vec::new();
    for shard in Part::all().flat_map(Part::shards) {
        let mut after = None;
        loop {
            let page =
                deliveries.due_items.page(shard, until, after.as_deref(), limit).await.unwrap();
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
        assert!(
            deliveries.due_items.park(&parked).await.unwrap().is_empty(),
            "parking it again changes nothing"
        );
    }
    assert_eq!(due(&deliveries, at(999), 10).await, []);
    let until_30 = due(&deliveries, at(30_000), 4).await;
    let found: BTreeSet<&str> = until_30.iter().map(|item| item.key.1.as_str()).collect();
    assert_eq!(found, parked[..30].iter().map(|parked| parked.key.as_str()).collect());
    let task = Task::parse(&until_30[0].task).unwrap();
    assert_eq!((task.recorded, task.deliveries.len(), task.deliveries[0].bytes), (true, 1, 12));
    let released = until_30.into_iter().map(|item| Released::Item(item.key)).collect();
    assert_eq!(deliveries.due.forget(released).await.unwrap(), []);
    assert_eq!(due(&deliveries, at(60_000), 100).await.len(), 30);
}

#[tokio::test]
async fn a_workspace_has_four_partitions() {
    let deliveries = Deliveries::new(table::create().await, table::NAME);
    deliveries.due_items.park(&retries("acme", 100)).await.unwrap();
    let found = due(&deliveries, at(i64::from(u32::MAX)), 100).await;
    let partitions: BTreeSet<&str> = found.iter().map(|item| item.key.0.as_str()).collect();
    assert_eq!((found.len(), partitions.len()), (100, 4));
}

/// The holds of a run that are due by this time, by pages of 200.
async fn due_holds(deliveries: &Deliveries, until: Timestamp) -> (Vec<DueDelivery>, usize) {
    let (mut due, mut pages) = (Vec::new(), 0);
    for shard in 0..DueIndex::SHARDS {
        let mut after = None;
        loop {
            let page = deliveries.due.page(shard, until, until, after.as_ref(), 200).await.unwrap();
            assert!(page.due.len() <= 200);
            pages += usize::from(!page.due.is_empty());
            due.extend(page.due);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
    }
    (due, pages)
}

#[tokio::test]
async fn many_holds_are_found_page_by_page_and_once() {
    let deliveries = Deliveries::new(table::create().await, table::NAME);
    let webhook = testing::webhook_key(7);
    let run = Holding { webhook: &webhook, context: "run" };
    let began: EventId = "01896b5d-3648-7000-8000-000000000000".parse().unwrap();
    // Ten of each millisecond.
    let hold = |nth: u16| {
        let at = u64::from_str_radix("01896b5d3648", 16).unwrap() + u64::from(nth / 10);
        let time = format!("{at:012x}");
        let event: EventId =
            format!("{}-{}-7000-8000-00000000{nth:04x}", &time[..8], &time[8..]).parse().unwrap();
        Hold {
            is_end: false,
            event,
            delivery: DeliveryId::derive(event, WebhookId(7), Cause::Published),
            bytes: 1,
        }
    };
    let holds: Vec<Hold> = (0..450).map(hold).collect();
    assert!(deliveries.holds.hold(run, &holds, Duration::from_secs(60)).await.unwrap().is_empty());
    assert_eq!(due_holds(&deliveries, began.time()).await, (Vec::new(), 0));
    let (due, pages) = due_holds(&deliveries, began.time() + Duration::from_secs(120)).await;
    let found: BTreeSet<EventId> = due.iter().map(|due| due.event).collect();
    assert_eq!((due.len(), found.len(), pages), (450, 450, 3));
    let released = due.iter().map(DueDelivery::released).collect();
    assert_eq!(deliveries.due.forget(released).await.unwrap(), []);
    assert_eq!(deliveries.holds.held(run, Within::default(), 500).await.unwrap(), []);
}

#[tokio::test]
async fn a_cursor_among_the_ends_of_a_run_goes_on_behind_them() {
    let deliveries = Deliveries::new(table::create().await, table::NAME);
    let webhook = testing::webhook_key(7);
    let run = Holding { webhook: &webhook, context: "run" };
    let hold = |nth: u16, is_end| {
        let event: EventId = format!("01896b5d-3648-7000-8000-00000000{nth:04x}").parse().unwrap();
        Hold {
            is_end,
            event,
            delivery: DeliveryId::derive(event, WebhookId(7), Cause::Published),
            bytes: 1,
        }
    };
    let deadline = Duration::from_secs(60);
    // An event that is newer than the ends goes before them all the same.
    let all = [hold(1, false), hold(9, false), hold(2, true), hold(3, true), hold(4, true)];
    assert!(deliveries.holds.hold(run, &all[..2], deadline).await.unwrap().is_empty());
    for end in &all[2..] {
        deliveries.holds.hold_end(run, *end, deadline).await.unwrap();
    }
    let (mut after, mut seen) = (None, Vec::new());
    while let Some(next) =
        deliveries.holds.held(run, Within { after, ..Within::default() }, 1).await.unwrap().pop()
    {
        let until = Within { until: Some(next.at()), ..Within::default() };
        assert_eq!(deliveries.holds.held(run, until, 10).await.unwrap(), all[..=seen.len()]);
        after = Some(next.at());
        seen.push(next);
        assert!(seen.len() <= all.len(), "each comes once");
    }
    assert_eq!(seen, all);
}
