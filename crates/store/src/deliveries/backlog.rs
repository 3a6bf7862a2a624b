//! The backlogs of webhooks, in which deliveries wait for their turn. See
//! [`posthaste_domain::endpoint::backlog`].

use std::collections::HashSet;

use aws_sdk_dynamodb::{operation::query::builders::QueryFluentBuilder, types::Select};
use posthaste_domain::{
    Timestamp,
    delivery::task::Task,
    endpoint::backlog::{self, Class, Waiting},
    webhook::key::WebhookKey,
};

use crate::{
    StoreError, batch,
    item::{EXPIRES_AT, Item, SK, json, key, number},
    table::{Answer, Range, Table},
    write::{Condition, Update},
};

const PREFIX: &str = "#wait#";
/// An item is kept for so long beyond its event's time at least, should nobody ever work it off.
const LIFE: std::time::Duration = std::time::Duration::from_secs(30 * 24 * 60 * 60);
/// A count takes no more calls than this.
const MAX_COUNTING_CALLS: usize = 2000;

/// The backlogs of all webhooks.
#[derive(Debug, Clone)]
pub struct Backlogs {
    pub(super) table: Table,
}

/// A page of a backlog.
#[derive(Debug, Clone, Default)]
pub struct BacklogPage {
    /// The items, in the order that was asked for.
    pub items: Vec<Waiting>,
    /// It says whether all was read that was asked for.
    pub is_end: bool,
    /// The key of the last item that was looked at, readable or not: the next page begins behind
    /// it.
    pub last: Option<String>,
    /// The number of items that this version can't read. The log says why.
    pub unreadable: usize,
}

impl Backlogs {
    /// Puts items into a webhook's backlog, 25 with a call. Returns the places of those that may not
    /// be there.
    pub async fn put(
        &self,
        webhook: &WebhookKey,
        items: &[Waiting],
    ) -> Result<HashSet<usize>, StoreError> {
        let items = items.iter().map(|waiting| write(webhook, waiting));
        batch::put(&self.table, items.collect::<Result<_, _>>()?).await
    }

    /// Deletes items, 25 with a call. False when one may still be there.
    pub async fn delete(&self, webhook: &WebhookKey, keys: &[String]) -> Result<bool, StoreError> {
        let undone =
            batch::delete(&self.table, keys.iter().map(|key| item_key(webhook, key)).collect())
                .await?;
        Ok(undone.is_empty())
    }

    /// Replaces the task of an item, if it is still there: a part of it is done.
    pub async fn rewrite(
        &self,
        webhook: &WebhookKey,
        key: &str,
        task: &Task<'_>,
    ) -> Result<(), StoreError> {
        let update = Update::at(item_key(webhook, key))
            .set("task", json(task)?)
            .only_if(Condition::some_item());
        self.table.update(update).await.map(drop)
    }

    /// Reads the next items of one class after this key, strongly.
    pub async fn page(
        &self,
        webhook: &WebhookKey,
        class: Class,
        after: Option<&str>,
        limit: usize,
    ) -> Result<BacklogPage, StoreError> {
        let (from, until) = backlog::key_range(class, Timestamp::UNIX_EPOCH, None);
        let query =
            self.between(webhook, &from, &until).limit(i32::try_from(limit).unwrap_or(i32::MAX));
        page(
            Answer::to(
                query.set_exclusive_start_key(after.map(|after| item_key(webhook, after).0)),
            )
            .await?,
        )
    }

    /// Says whether nothing waits, by a strong read.
    pub async fn is_empty(&self, webhook: &WebhookKey) -> Result<bool, StoreError> {
        let query =
            self.table.query(&partition(webhook), Range::All).projection_expression(SK).limit(1);
        Ok(Answer::to(query).await?.items.is_empty())
    }

    /// Reads what of the class waits of events of this time range, the newest first and strongly:
    /// up to `limit` items or as many as a call reads, which is 1 MB, after this key. The second
    /// time is not before the first.
    pub async fn newest(
        &self,
        webhook: &WebhookKey,
        class: Class,
        (from, until): (Timestamp, Option<Timestamp>),
        after: Option<&str>,
        limit: Option<usize>,
    ) -> Result<BacklogPage, StoreError> {
        let (lower, upper) = backlog::key_range(class, from, until);
        let query = self
            .between(webhook, &lower, &upper)
            .scan_index_forward(false)
            .set_limit(limit.map(|limit| i32::try_from(limit).unwrap_or(i32::MAX)))
            .set_exclusive_start_key(after.map(|after| item_key(webhook, after).0));
        page(Answer::to(query).await?)
    }

    /// Says whether at least this many live items wait; a replay does not fill a backlog, because
    /// its pages wait for each other. A small backlog is counted with one call; a large one is
    /// first estimated from how close together its oldest and its newest items are, and only
    /// counted where that is too many.
    pub async fn has_at_least(&self, webhook: &WebhookKey, most: u64) -> Result<bool, StoreError> {
        let (oldest, newest) =
            tokio::try_join!(self.density(webhook, true), self.density(webhook, false))?;
        if oldest.is_all {
            return Ok(oldest.count >= most);
        }
        let span = newest.first_ms.saturating_sub(oldest.first_ms);
        let sampled = (oldest.last_ms - oldest.first_ms) + (newest.first_ms - newest.last_ms);
        let estimate = (oldest.count + newest.count) as f64 * (span as f64 / sampled.max(1) as f64);
        if estimate < most as f64 / 2.0 {
            return Ok(false);
        }
        Ok(self.count(webhook, most).await? >= most)
    }

    async fn density(&self, webhook: &WebhookKey, oldest: bool) -> Result<Density, StoreError> {
        let query = self.live(webhook).scan_index_forward(oldest).projection_expression(SK);
        let answer = Answer::to(query).await?;
        Ok(Density {
            count: answer.items.len() as u64,
            first_ms: event_ms(answer.items.first())?,
            last_ms: event_ms(answer.items.last())?,
            is_all: answer.next.is_none(),
        })
    }

    /// Counts the live items that wait, up to `most`.
    async fn count(&self, webhook: &WebhookKey, most: u64) -> Result<u64, StoreError> {
        let mut count = 0;
        let mut start = None;
        for _ in 0..MAX_COUNTING_CALLS {
            let query = self.live(webhook).consistent_read(false);
            let query = query.select(Select::Count).set_exclusive_start_key(start);
            let answer = Answer::to(query).await?;
            count += answer.count as u64;
            start = answer.next.map(|key| key.0);
            if start.is_none() || count >= most {
                break;
            }
        }
        Ok(count)
    }

    fn live(&self, webhook: &WebhookKey) -> QueryFluentBuilder {
        let (from, until) = backlog::key_range(Class::Live, Timestamp::UNIX_EPOCH, None);
        self.between(webhook, &from, &until)
    }

    fn between(&self, webhook: &WebhookKey, from: &str, until: &str) -> QueryFluentBuilder {
        self.table.query(&partition(webhook), Range::Between(from, until))
    }
}

/// A webhook's backlog is one partition. The shard in its key leaves room for more.
pub(super) fn partition(webhook: &WebhookKey) -> String {
    format!("{PREFIX}{webhook}#0")
}

fn item_key(webhook: &WebhookKey, waiting: &str) -> Item {
    key(partition(webhook), waiting)
}

fn write(webhook: &WebhookKey, waiting: &Waiting) -> Result<Item, StoreError> {
    let event = backlog::time_of(&waiting.key).unwrap_or(waiting.since);
    Ok(item_key(webhook, &waiting.key)
        .with("task", json(&waiting.task)?)
        .with("bytes", number(waiting.bytes))
        .with("since", number(waiting.since.as_millisecond()))
        .with(EXPIRES_AT, number((event.max(waiting.since) + LIFE).as_second())))
}

/// The items that one call read at one end of a backlog: their number and their times.
struct Density {
    count: u64,
    first_ms: i64,
    last_ms: i64,
    is_all: bool,
}

/// The time of an item's event; 0 without an item, or where its key has no time.
fn event_ms(item: Option<&Item>) -> Result<i64, StoreError> {
    let Some(item) = item else { return Ok(0) };
    Ok(backlog::time_of(item.text(SK)?).map_or(0, |time| time.as_millisecond()))
}

/// One item that can't be read says nothing about the others.
fn page(answer: Answer) -> Result<BacklogPage, StoreError> {
    let last = answer.items.last().map(|item| item.text(SK).map(str::to_owned)).transpose()?;
    let is_end = answer.next.is_none();
    let mut page = BacklogPage { is_end, last, ..BacklogPage::default() };
    for item in &answer.items {
        match read(item) {
            Ok(waiting) => page.items.push(waiting),
            Err(error) => {
                tracing::error!(%error, "an item of a backlog can't be read");
                page.unreadable += 1;
            }
        }
    }
    Ok(page)
}

fn read(item: &Item) -> Result<Waiting, StoreError> {
    Ok(Waiting {
        key: item.text(SK)?.to_owned(),
        task: item.json("task")?,
        bytes: item.number("bytes")?,
        since: item.time_ms("since")?,
    })
}
