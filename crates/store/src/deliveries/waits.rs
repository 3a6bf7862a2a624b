//! Looks at all that waits in the table, whoever it belongs to. See
//! [`posthaste_domain::deployment::waiting`].
//!
//! Each query reads one page of a bounded number of entries, and only their keys come back. A look
//! takes 52 read units where nothing waits. At its bounds it takes about 1,700, as long as items
//! have their usual size; an item of many deliveries is larger.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::Select;
use futures::{StreamExt, TryStreamExt, stream};
use posthaste_domain::{
    Timestamp,
    delivery::{parked::ParkedKey, release::Part},
    deployment::waiting::{Counted, Waiting},
    endpoint::lane::{self, Lane, State},
    webhook::key::WebhookKey,
};

use super::{
    DueIndex, backlog, due, holds,
    lanes::{DueLanes, Lanes},
    parked,
};
use crate::{
    StoreError,
    item::{PK, SK},
    table::{Answer, Range, Table},
};

/// The most items that are counted of one partition, and of one backlog.
const MOST_ITEMS: i32 = 200;
/// The most lanes of one partition of the index that are read.
const MOST_LANES: i32 = 32;
/// The most backlogs that are counted.
const MOST_BACKLOGS: usize = 60;
const CONCURRENT_CALLS: usize = 16;

/// All that waits in the table.
#[derive(Debug, Clone)]
pub struct Waits {
    pub(super) table: Table,
}

/// The webhooks whose lanes have a turn, and whether there are more than these.
#[derive(Default)]
struct Webhooks {
    found: Vec<WebhookKey>,
    are_more: bool,
}

impl Webhooks {
    fn add(&mut self, due: DueLanes) {
        self.found.extend(due.webhooks);
        self.are_more |= due.next.is_some() || due.unreadable > 0;
    }
}

impl Waits {
    /// Counts what waits. The reads are eventual.
    pub async fn look(&self) -> Result<Waiting, StoreError> {
        let mut waiting = Waiting::default();
        let parked = stream::iter(Part::all().flat_map(Part::shards))
            .map(|shard| self.parked(shard))
            .buffer_unordered(CONCURRENT_CALLS);
        let found: Vec<_> = parked.try_collect().await?;
        for (tasks, first_due) in found {
            waiting.retries = waiting.retries.and(tasks);
            waiting.due(first_due);
        }
        let held = stream::iter(0..DueIndex::SHARDS)
            .map(|shard| self.indexed(shard))
            .buffer_unordered(CONCURRENT_CALLS);
        let found: Vec<_> = held.try_collect().await?;
        for (held, retries, first_due) in found {
            waiting.held = waiting.held.and(held);
            waiting.retries = waiting.retries.and(retries);
            waiting.due(first_due);
        }
        self.add_backlogs(&mut waiting).await?;
        Ok(waiting)
    }

    /// Counts one partition of due items, and says when the first of them is due.
    async fn parked(&self, shard: u8) -> Result<(Counted, Option<Timestamp>), StoreError> {
        let query = self.table.query(&parked::partition(shard), Range::All);
        let query = query.consistent_read(false).projection_expression(SK).limit(MOST_ITEMS);
        let answer = Answer::to(query).await?;
        let mut first_due = None;
        if let Some(first) = answer.items.first() {
            first_due = ParkedKey::parse(first.text(SK)?).map(|key| key.due_at);
        }
        Ok((counted(&answer), first_due))
    }

    /// Counts the holds in one shard of the index, and what the version before has parked.
    async fn indexed(
        &self,
        shard: u8,
    ) -> Result<(Counted, Counted, Option<Timestamp>), StoreError> {
        let query = due::due_by(&self.table, &due::shard(shard), Timestamp::MAX);
        let answer = Answer::to(query.limit(MOST_ITEMS)).await?;
        let (mut held, mut retries) = (Counted::default(), Counted::default());
        for item in &answer.items {
            let of =
                if item.text(PK)?.starts_with(holds::PREFIX) { &mut held } else { &mut retries };
            of.count += 1;
        }
        held.at_least = answer.next.is_some();
        let first_due = answer.items.first().map(|item| item.time_ms("dueAt")).transpose()?;
        Ok((held, retries, first_due))
    }

    /// Adds the webhooks whose lanes have a turn, and what is in their backlogs. Of lanes that wait
    /// for a probe the partition says that they are sick.
    async fn add_backlogs(&self, waiting: &mut Waiting) -> Result<(), StoreError> {
        let (mut names, mut probe_names) = (Vec::new(), Vec::new());
        for part in Part::all() {
            let (lanes, probes) = lane::due_shards(part);
            names.extend(lanes);
            probe_names.extend(probes);
        }
        let (turns, probes) =
            tokio::try_join!(self.shards(names, MOST_LANES), self.shards(probe_names, MOST_ITEMS))?;
        let lanes = Lanes { table: self.table.clone() }.glance(&turns.found).await;
        if turns.are_more || !lanes.unread.is_empty() {
            waiting.webhooks_left();
        }
        if probes.are_more {
            waiting.sick_left();
        }
        let mut states = in_order(turns.found, &lanes.items);
        states.extend(probes.found.into_iter().map(|webhook| (webhook, State::Sick)));
        let uncounted = Counted { count: 0, at_least: true };
        for (_, state) in states.iter().skip(MOST_BACKLOGS) {
            waiting.webhook(*state, uncounted);
        }
        states.truncate(MOST_BACKLOGS);
        let backlogs = stream::iter(states)
            .map(async |(webhook, state)| (state, self.backlog(&webhook).await))
            .buffer_unordered(CONCURRENT_CALLS);
        let backlogs: Vec<_> = backlogs.collect().await;
        for (state, tasks) in backlogs {
            waiting.webhook(state, tasks?);
        }
        Ok(())
    }

    /// The lanes of these partitions of the index, at most so many of each.
    async fn shards(&self, names: Vec<String>, most: i32) -> Result<Webhooks, StoreError> {
        let lanes = Lanes { table: self.table.clone() };
        let pages = stream::iter(names)
            .map(async |name| lanes.due(&name, Timestamp::MAX, most, None).await)
            .buffered(CONCURRENT_CALLS);
        let pages: Vec<DueLanes> = pages.try_collect().await?;
        let mut webhooks = Webhooks::default();
        for page in pages {
            webhooks.add(page);
        }
        Ok(webhooks)
    }

    async fn backlog(&self, webhook: &WebhookKey) -> Result<Counted, StoreError> {
        let query = self.table.query(&backlog::partition(webhook), Range::All);
        let query = query.consistent_read(false).select(Select::Count).limit(MOST_ITEMS);
        Ok(counted(&Answer::to(query).await?))
    }
}

fn counted(answer: &Answer) -> Counted {
    Counted { count: answer.count as u64, at_least: answer.next.is_some() }
}

/// The webhooks that have a lane, each with its state. A closed lane is in the index for a little
/// longer.
fn in_order(
    webhooks: Vec<WebhookKey>,
    lanes: &HashMap<WebhookKey, Lane>,
) -> Vec<(WebhookKey, State)> {
    let mut states = Vec::new();
    for webhook in webhooks {
        match lanes.get(&webhook).map(Lane::state) {
            None | Some(State::Healthy) => {}
            Some(state) => states.push((webhook, state)),
        }
    }
    states
}
