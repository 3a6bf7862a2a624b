//! The index `activity` finds replays and tests, what happened to a delivery later than its event
//! was accepted, and what waits for the end of a run. Where a delivery is listed is decided in
//! [`posthaste_domain::delivery::history`].
//!
//! The index is sparse: most deliveries are over within a moment, and cost nothing here. Its
//! partitions are those of a workspace, so that one list can be of a webhook and another of all
//! webhooks. The webhooks are spread over eight groups of four partitions, because one partition
//! takes 1,000 writes a second.

use posthaste_domain::{
    Timestamp, access::workspace::Workspace, delivery::history, id::DeliveryId,
    webhook::key::WebhookKey,
};

use super::records::Subject;
use crate::{
    item::{Item, PK, text},
    sharded::{Index, Partition},
    write::{Condition, Update},
};

/// The webhooks of a workspace are spread over so many groups.
const GROUPS: u64 = 8;
/// The deliveries of a group are spread over so many partitions.
const SPREADS: u8 = 4;
/// The attribute that is the partition key of the index.
const PARTITION: &str = "activeIn";
/// The attribute that is its sort key: the place of the delivery in a list.
pub(super) const PLACE: &str = "activeAs";
/// The index.
pub(super) const INDEX: Index =
    Index { name: "activity", partition_key: PARTITION, sort_key: PLACE };

/// Places a record anew where it is not listed at its event.
pub(super) fn placed(update: Update, subject: Subject<'_>, now: Timestamp) -> Update {
    match history::own_place(subject.delivery, subject.cause, now) {
        None => update,
        Some(place) => update
            .set(PARTITION, text(partition(subject.webhook, subject.delivery)))
            .set(PLACE, text(place.to_string())),
    }
}

/// Places an item that is listed at the time of its event.
pub(super) fn held(item: Item, webhook: &WebhookKey, delivery: DeliveryId) -> Item {
    item.with(PARTITION, text(partition(webhook, delivery))).with(PLACE, text(delivery.to_string()))
}

/// The partitions that have the entries of a webhook, with a condition that leaves out those of
/// others: the partition key of the item begins with one of these texts.
pub(super) fn of_webhook(webhook: &WebhookKey, beginnings: &[String]) -> Vec<Partition> {
    if beginnings.is_empty() {
        return Vec::new();
    }
    let is_own = beginnings.iter().map(|beginning| Condition::Begins(PK, beginning.clone()));
    let filter = vec![Condition::Any(is_own.collect())];
    let group = webhook.id.0 % GROUPS;
    let keys = (0..SPREADS).map(|spread| name(&webhook.workspace, group, spread));
    keys.map(|key| Partition { key, index: Some(INDEX), filter: filter.clone() }).collect()
}

/// All partitions of a workspace, without its holds.
pub(super) fn of_records(workspace: &Workspace) -> Vec<Partition> {
    let filter = vec![Condition::Begins(PK, format!("{workspace}#"))];
    let mut partitions = Vec::new();
    for group in 0..GROUPS {
        for spread in 0..SPREADS {
            let key = name(workspace, group, spread);
            partitions.push(Partition { key, index: Some(INDEX), filter: filter.clone() });
        }
    }
    partitions
}

fn partition(webhook: &WebhookKey, delivery: DeliveryId) -> String {
    name(&webhook.workspace, webhook.id.0 % GROUPS, delivery.spread() % SPREADS)
}

fn name(workspace: &Workspace, group: u64, spread: u8) -> String {
    format!("{workspace}#{group}#{spread}")
}
