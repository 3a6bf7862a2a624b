//! A retry that waits long is parked, as a *due item*: a small item of the Deliveries table that
//! `release` finds when it is due.
//!
//! An item is one task, by reference. Its key is made of the record's content, so whoever finds a
//! record whose retry is not due yet can put the same item again: two functions that do so make one
//! item, and none is missing because a function died between the record and its item.
//!
//! Partitions are shuffle-sharded: a workspace owns four of the 64, in four of the eight parts that
//! `release` works in. So a tenant with a storm of retries delays those tenants that share its
//! partitions, and few share more than one.

use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::{
    access::workspace::Workspace,
    delivery::{
        release::{PARTS, SHARDS_A_PART},
        task::{Due, Task},
    },
    id::BatchId,
    webhook::key::WebhookKey,
};

/// A workspace owns this many partitions, each in another part.
const OWNED: usize = 4;

/// A due item.
#[derive(Debug, Clone)]
pub struct Parked {
    /// The partition of the item, from 0 to 63.
    pub shard: u8,
    /// The sort key of the item.
    pub key: String,
    /// The time at which the task is due.
    pub due_at: Timestamp,
    /// The deliveries, with their events by reference.
    pub task: Task<'static>,
}

impl Parked {
    /// Makes the items of deliveries that have failed: one for those that shared a request, else
    /// one each.
    pub fn of(
        webhook: &WebhookKey,
        batch: Option<BatchId>,
        deliveries: &[Due<'_>],
        due_at: Timestamp,
    ) -> Vec<Self> {
        let owner = Owner { webhook, due_at };
        match batch {
            Some(batch) if !deliveries.is_empty() => {
                vec![owner.item(batch.spread(), batch.to_string(), Some(batch), deliveries)]
            }
            Some(_) => Vec::new(),
            None => deliveries.iter().map(|due| owner.alone(due)).collect(),
        }
    }

    /// Makes the item of one delivery that is found to wait. If it shared a request, the item of
    /// all of them may exist or not, so this one stands beside it and goes out with it.
    pub fn again(
        webhook: &WebhookKey,
        batch: Option<BatchId>,
        delivery: &Due<'_>,
        due_at: Timestamp,
    ) -> Self {
        let owner = Owner { webhook, due_at };
        match batch {
            Some(batch) => owner.item(
                batch.spread(),
                format!("{batch}#{}", delivery.id),
                Some(batch),
                std::slice::from_ref(delivery),
            ),
            None => owner.alone(delivery),
        }
    }
}

/// The webhook whose deliveries wait, and the time until which they do.
struct Owner<'a> {
    webhook: &'a WebhookKey,
    due_at: Timestamp,
}

impl Owner<'_> {
    fn alone(&self, due: &Due<'_>) -> Parked {
        self.item(due.id.spread(), due.id.to_string(), None, std::slice::from_ref(due))
    }

    fn item(
        &self,
        spread: u8,
        name: String,
        batch: Option<BatchId>,
        deliveries: &[Due<'_>],
    ) -> Parked {
        let Self { webhook, due_at } = *self;
        let shard = partitions(&webhook.workspace)[usize::from(spread) % OWNED];
        let key = format!("{}#{webhook}#{name}", time(due_at));
        let stored = deliveries.iter().map(Due::by_reference).collect();
        let task = Task { batch, recorded: true, ..Task::new(webhook, Vec::new()) }.with(stored);
        Parked { shard, key, due_at, task }
    }
}

/// The upper bound of the sort keys of items that are due by this time.
pub fn key_after(until: Timestamp) -> String {
    time(until + Duration::from_millis(1))
}

/// Writes a time with a fixed number of digits, so that times sort as texts.
fn time(at: Timestamp) -> String {
    format!("{:013}", at.as_millisecond())
}

/// A due item's sort key, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParkedKey<'a> {
    /// The time at which the item is due.
    pub due_at: Timestamp,
    /// The workspace that owns the delivery.
    pub workspace: Workspace,
    /// The common beginning of the keys of all items that have to go out as one task.
    pub together: &'a str,
}

impl<'a> ParkedKey<'a> {
    /// Reads a sort key; none if the text is something else.
    pub fn parse(key: &'a str) -> Option<Self> {
        let mut parts = key.split('#');
        let due_at = Timestamp::from_millisecond(parts.next()?.parse().ok()?).ok()?;
        let workspace = Workspace::parse(parts.next()?).ok()?;
        let (_webhook, _name) = (parts.next()?, parts.next()?);
        let together = parts.next().map_or(key, |delivery| &key[..key.len() - delivery.len() - 1]);
        parts.next().is_none().then_some(Self { due_at, workspace, together })
    }
}

/// The partitions that a workspace owns, each in another part.
fn partitions(workspace: &Workspace) -> [u8; OWNED] {
    let digest = Sha256::digest(workspace.as_str());
    let mut parts: Vec<u8> = (0..PARTS).collect();
    std::array::from_fn(|nth| {
        let part = parts.swap_remove(usize::from(digest[2 * nth]) % parts.len());
        part * SHARDS_A_PART + digest[2 * nth + 1] % SHARDS_A_PART
    })
}

#[cfg(test)]
mod tests;
