use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::{
    id::{Cause, DeliveryId, WebhookId},
    testing,
};

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap()
}

fn workspace(nth: usize) -> Workspace {
    Workspace::parse(format!("tenant-{nth}")).unwrap()
}

fn webhook(nth: usize) -> WebhookKey {
    WebhookKey { workspace: workspace(nth), id: WebhookId(7) }
}

fn due(nth: u8) -> Due<'static> {
    let event = testing::event(nth, "order.created", r#"{"n":1}"#);
    Due::of(DeliveryId::derive(event.id, WebhookId(7), Cause::Published), &event).by_reference()
}

fn batch(of: &[Due<'_>]) -> Option<BatchId> {
    BatchId::derive(&of.iter().map(|due| due.id).collect::<Vec<_>>())
}

#[test]
fn a_workspace_owns_four_partitions_in_four_parts() {
    for nth in 0..1000 {
        let parts: BTreeSet<u8> =
            partitions(&workspace(nth)).iter().map(|shard| shard / SHARDS_A_PART).collect();
        assert_eq!(parts.len(), 4, "tenant {nth}");
    }
}

#[test]
fn the_partitions_of_a_workspace_are_the_same_in_every_version() {
    let owned = |name| partitions(&Workspace::parse(name).unwrap());
    assert_eq!(owned("acme"), [19, 61, 25, 48]);
    assert_eq!(owned("globex"), [25, 53, 36, 7]);
}

#[test]
fn few_share_more_than_one_partition_with_a_tenant_and_all_partitions_are_used() {
    let storm = partitions(&workspace(0));
    let mut shared = BTreeMap::<usize, u32>::new();
    let mut used = BTreeMap::<u8, u32>::new();
    for nth in 1..=10_000 {
        let owned = partitions(&workspace(nth));
        *shared.entry(owned.iter().filter(|shard| storm.contains(shard)).count()).or_default() += 1;
        owned.iter().for_each(|shard| *used.entry(*shard).or_default() += 1);
    }
    let of = |count| shared.get(&count).copied().unwrap_or(0);
    assert!(of(0) > 7000 && of(2) + of(3) + of(4) < 400, "{shared:?}");
    assert!(used.len() == 64 && used.values().all(|count| (400..900).contains(count)), "{used:?}");
}

#[test]
fn a_due_item_travels_by_reference_and_its_key_says_when_and_whose() {
    let parked = Parked::of(&webhook(1), None, &[due(1)], at(1_700_000_000_123)).remove(0);
    insta::assert_snapshot!(parked.key);
    insta::assert_snapshot!("the_task_of_a_due_item", serde_json::to_string(&parked.task).unwrap());
    let read = ParkedKey::parse(&parked.key).unwrap();
    assert_eq!((read.due_at, read.workspace), (at(1_700_000_000_123), workspace(1)));
    assert_eq!(read.together, parked.key);
}

#[test]
fn what_failed_alone_waits_alone_and_what_shared_a_request_is_one_item() {
    let (two, webhook) = ([due(1), due(2)], webhook(1));
    let of = |batch| Parked::of(&webhook, batch, &two, at(5));
    assert_eq!(
        of(None).iter().map(|parked| parked.task.deliveries.len()).collect::<Vec<_>>(),
        [1, 1]
    );
    let shared = of(batch(&two));
    assert_eq!(
        (shared.len(), shared[0].task.deliveries.len(), shared[0].task.batch),
        (1, 2, batch(&two))
    );
    assert!(Parked::of(&webhook, batch(&two), &[], at(5)).is_empty());
}

#[test]
fn the_same_delivery_is_put_again_under_the_same_key() {
    let (two, webhook) = ([due(1), due(2)], webhook(1));
    let alone = Parked::of(&webhook, None, &two[..1], at(5)).remove(0);
    let again = Parked::again(&webhook, None, &two[0], at(5));
    assert_eq!((again.shard, &again.key), (alone.shard, &alone.key));
}

/// A function that knows only some of those that shared a request must not replace the item of all
/// of them.
#[test]
fn one_of_a_request_stands_beside_the_item_of_all() {
    let (two, webhook) = ([due(1), due(2)], webhook(1));
    let all = Parked::of(&webhook, batch(&two), &two, at(5)).remove(0);
    let parts: Vec<_> =
        two.iter().map(|due| Parked::again(&webhook, batch(&two), due, at(5))).collect();
    for part in &parts {
        assert_eq!((part.shard, part.task.batch), (all.shard, all.task.batch));
        assert!(part.key > all.key, "it comes after it");
        assert_eq!(ParkedKey::parse(&part.key).unwrap().together, all.key);
    }
    assert_ne!(parts[0].key, parts[1].key);
}

#[test]
fn the_keys_that_are_due_are_below_the_bound() {
    let key = |ms| Parked::of(&webhook(1), None, &[due(1)], at(ms)).remove(0).key;
    let bound = key_after(at(1_000));
    assert!(
        key(0) < bound
            && key(1_000) < bound
            && key(1_001) > bound
            && key(1_700_000_000_000) > bound
    );
}

#[test]
fn another_key_is_not_read() {
    for bad in ["", "lane", "12#acme", "x#acme#7#id", "12#a b#7#id", "12#acme#7#id#a#b"] {
        assert_eq!(ParkedKey::parse(bad), None, "{bad}");
    }
}
