//! Retries that are parked: each waits as a *due item*, a small item of the Deliveries table that `release` finds when it is due.
//!
//! An item is one task, by reference. Its key is made of what the record says, so whoever finds a record whose retry is not due yet
//! can put the same item again: two functions that do so make one item, and none is missing because a function died between the
//! record and its item.
//!
//! Partitions are shuffle-sharded: a workspace owns four of the 64, in four of the eight parts that `release` works in. So a tenant
//! with a storm of retries delays those tenants that share its partitions, and few share more than one.

use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::{
    id::{BatchId, WebhookId},
    task::{Due, Task},
    workspace::Workspace,
};

/// How far `release` looks ahead: until its next call, and some seconds for the start of that.
pub const AHEAD: Duration = Duration::from_secs(75);

/// In how many parts `release` does its work. Each part has partitions of its own.
const PARTS: u8 = 8;
/// How many partitions of due items each part has.
const SHARDS_A_PART: u8 = 8;
/// How many partitions a workspace owns, each in another part.
const OWNED: usize = 4;

/// One of the parts that `release` works in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part(u8);

impl Part {
    /// The part of this number, from 0 to 7.
    pub fn new(number: u64) -> Option<Self> {
        u8::try_from(number).ok().filter(|number| *number < PARTS).map(Self)
    }

    /// Every part.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..PARTS).map(Self)
    }

    /// The partitions of due items that it works off.
    pub fn shards(self) -> impl Iterator<Item = u8> {
        let first = self.0 * SHARDS_A_PART;
        first..first + SHARDS_A_PART
    }

    /// Those of `count` partitions of another kind that it works off.
    pub fn share_of(self, count: u8) -> impl Iterator<Item = u8> {
        (self.0..count).step_by(usize::from(PARTS))
    }
}

/// A due item.
#[derive(Debug, Clone)]
pub struct Parked {
    /// Its partition, from 0 to 63.
    pub shard: u8,
    /// Its sort key.
    pub key: String,
    /// When its task is due.
    pub due_at: Timestamp,
    /// What is to be delivered, by reference.
    pub task: Task<'static>,
}

impl Parked {
    /// The items of deliveries that have failed: one for those that shared a request, else one each.
    pub fn of(
        workspace: &Workspace,
        webhook: WebhookId,
        batch: Option<BatchId>,
        deliveries: &[Due<'_>],
        due_at: Timestamp,
    ) -> Vec<Self> {
        let owner = Owner { workspace, webhook, due_at };
        match batch {
            Some(batch) if !deliveries.is_empty() => {
                vec![owner.item(batch.spread(), batch.to_string(), Some(batch), deliveries)]
            }
            Some(_) => Vec::new(),
            None => deliveries.iter().map(|due| owner.alone(due)).collect(),
        }
    }

    /// The item of one delivery that is found to wait. If it shared a request, the item of all of them may be there or not, so this
    /// one stands beside it and goes out with it.
    pub fn again(
        workspace: &Workspace,
        webhook: WebhookId,
        batch: Option<BatchId>,
        delivery: &Due<'_>,
        due_at: Timestamp,
    ) -> Self {
        let owner = Owner { workspace, webhook, due_at };
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

/// Who waits, and until when.
struct Owner<'a> {
    workspace: &'a Workspace,
    webhook: WebhookId,
    due_at: Timestamp,
}

impl Owner<'_> {
    fn alone(&self, due: &Due<'_>) -> Parked {
        self.item(due.id.spread(), due.id.to_string(), None, std::slice::from_ref(due))
    }

    fn item(&self, spread: u8, name: String, batch: Option<BatchId>, deliveries: &[Due<'_>]) -> Parked {
        let Self { workspace, webhook, due_at } = *self;
        let shard = partitions(workspace)[usize::from(spread) % OWNED];
        let key = format!("{}#{workspace}#{webhook}#{name}", time(due_at));
        let deliveries = deliveries.iter().map(Due::by_reference).collect();
        let task = Task { batch, recorded: true, ..Task::new(workspace, webhook, Vec::new()) }.with(deliveries);
        Parked { shard, key, due_at, task }
    }
}

/// What all sort keys are below that are due by this time.
pub fn key_after(until: Timestamp) -> String {
    time(until + Duration::from_millis(1))
}

/// Times of the same number of digits are sorted as texts.
fn time(at: Timestamp) -> String {
    format!("{:013}", at.as_millisecond())
}

/// What the sort key of a due item says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParkedKey<'a> {
    /// When it is due.
    pub due_at: Timestamp,
    /// The workspace that owns the delivery.
    pub workspace: Workspace,
    /// What the keys of all items begin with that have to go out as one task.
    pub together: &'a str,
}

impl<'a> ParkedKey<'a> {
    /// Reads a sort key; none if it is something else.
    pub fn parse(key: &'a str) -> Option<Self> {
        let mut parts = key.split('#');
        let due_at = Timestamp::from_millisecond(parts.next()?.parse().ok()?).ok()?;
        let workspace = Workspace::parse(parts.next()?).ok()?;
        let (_webhook, _name) = (parts.next()?, parts.next()?);
        let together = parts.next().map_or(key, |delivery| &key[..key.len() - delivery.len() - 1]);
        parts.next().is_none().then_some(Self { due_at, workspace, together })
    }
}

/// The partitions of a workspace, each in another part.
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
