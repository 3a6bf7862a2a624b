//! The backlogs of webhooks: what waits for its turn. See [`posthaste_domain::backlog`].

use std::collections::HashSet;

use aws_sdk_dynamodb::types::{DeleteRequest, PutRequest, Select, WriteRequest};
use posthaste_domain::{
    Timestamp,
    backlog::{self, Class, Waiting},
    id::WebhookId,
    task::Task,
    workspace::Workspace,
};

use super::Deliveries;
use crate::{
    StoreError, batch,
    item::{EXPIRES_AT, Item, Read, SK, key, number, text},
};

const PREFIX: &str = "#wait#";
/// How long an item is kept at least beyond its event's time, should nobody ever work it off.
const LIFE: std::time::Duration = std::time::Duration::from_secs(30 * 24 * 60 * 60);
/// How many calls a count may take.
const MAX_COUNTING_CALLS: usize = 2000;

/// Where one backlog is.
#[derive(Debug, Clone, Copy)]
pub struct Backlog<'a> {
    /// The workspace that owns the webhook.
    pub workspace: &'a Workspace,
    /// The webhook.
    pub webhook: WebhookId,
}

/// A page of a backlog.
#[derive(Debug, Clone, Default)]
pub struct BacklogPage {
    /// What waits, in the order that was asked for.
    pub items: Vec<Waiting>,
    /// Whether all was read that was asked for.
    pub is_end: bool,
    /// How many items are not what this version writes. Why is in the log.
    pub unreadable: usize,
}

impl Backlog<'_> {
    /// A webhook's backlog is one partition. The shard in its key leaves room for more.
    fn partition(&self) -> String {
        format!("{PREFIX}{}#{}#0", self.workspace, self.webhook)
    }

    fn key(&self, waiting: &str) -> Item {
        key(self.partition(), waiting)
    }

    fn item(&self, waiting: &Waiting) -> Result<Item, StoreError> {
        let event = backlog::time_of(&waiting.key).unwrap_or(waiting.since);
        let mut item = self.key(&waiting.key);
        item.insert("task".to_owned(), text(serde_json::to_string(&waiting.task)?));
        item.insert("bytes".to_owned(), number(waiting.bytes));
        item.insert("since".to_owned(), number(waiting.since.as_millisecond()));
        item.insert(EXPIRES_AT.to_owned(), number((event.max(waiting.since) + LIFE).as_second()));
        Ok(item)
    }
}

impl Deliveries {
    /// Puts items into backlogs, 25 with a call. Returns the places of those that may not be there.
    pub async fn put_waiting(&self, items: &[(Backlog<'_>, Waiting)]) -> Result<HashSet<usize>, StoreError> {
        let put = |(backlog, waiting): &(Backlog<'_>, Waiting)| {
            let item = backlog.item(waiting)?;
            let put = PutRequest::builder().set_item(Some(item.clone())).build();
            let put = put.map_err(|error| StoreError::incomplete("BatchWriteItem", error))?;
            Ok((item, WriteRequest::builder().put_request(put).build()))
        };
        let writes = items.iter().map(put).collect::<Result<Vec<_>, StoreError>>()?;
        Ok(batch::write(&self.client, &self.table, &writes).await)
    }

    /// Deletes items, 25 with a call. False when one may still be there.
    pub async fn delete_waiting(&self, backlog: Backlog<'_>, keys: &[String]) -> Result<bool, StoreError> {
        let delete = |waiting: &String| {
            let key = backlog.key(waiting);
            let delete = DeleteRequest::builder().set_key(Some(key.clone())).build();
            let delete = delete.map_err(|error| StoreError::incomplete("BatchWriteItem", error))?;
            Ok((key, WriteRequest::builder().delete_request(delete).build()))
        };
        let deletes = keys.iter().map(delete).collect::<Result<Vec<_>, StoreError>>()?;
        Ok(batch::write(&self.client, &self.table, &deletes).await.is_empty())
    }

    /// Replaces the task of an item, if it is still there: a part of it is done.
    pub async fn rewrite_waiting(&self, backlog: Backlog<'_>, key: &str, task: &Task<'_>) -> Result<(), StoreError> {
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(backlog.key(key)))
            .update_expression("SET #task = :task")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_names("#task", "task")
            .expression_attribute_values(":task", text(serde_json::to_string(task)?));
        StoreError::unless_refused("UpdateItem", update.send().await).map(drop)
    }

    /// The next items of one class, after this key, read strongly.
    pub async fn waiting(
        &self,
        backlog: Backlog<'_>,
        class: Class,
        after: Option<&str>,
        limit: usize,
    ) -> Result<BacklogPage, StoreError> {
        let (from, until) = backlog::key_range(class, Timestamp::UNIX_EPOCH, None);
        let query = self
            .waiting_query(backlog, &from, &until)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .set_exclusive_start_key(after.map(|after| backlog.key(after)));
        let answer = query.send().await.map_err(StoreError::call("Query"))?;
        Ok(page(answer.items(), answer.last_evaluated_key.is_none()))
    }

    /// Whether nothing waits, read strongly.
    pub async fn is_backlog_empty(&self, backlog: Backlog<'_>) -> Result<bool, StoreError> {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("pk = :backlog")
            .expression_attribute_values(":backlog", text(backlog.partition()))
            .projection_expression(SK)
            .limit(1);
        let answer = query.send().await.map_err(StoreError::call("Query"))?;
        Ok(answer.items().is_empty())
    }

    /// What of the class waits, of events of this time range, the newest first and read strongly: up to `limit` items or as many as
    /// a call reads, which is 1 MB, after this key. The second time is not before the first.
    pub async fn waiting_newest(
        &self,
        backlog: Backlog<'_>,
        class: Class,
        (from, until): (Timestamp, Option<Timestamp>),
        after: Option<&str>,
        limit: Option<usize>,
    ) -> Result<BacklogPage, StoreError> {
        let (lower, upper) = backlog::key_range(class, from, until);
        let query = self
            .waiting_query(backlog, &lower, &upper)
            .scan_index_forward(false)
            .set_limit(limit.map(|limit| i32::try_from(limit).unwrap_or(i32::MAX)))
            .set_exclusive_start_key(after.map(|after| backlog.key(after)));
        let answer = query.send().await.map_err(StoreError::call("Query"))?;
        Ok(page(answer.items(), answer.last_evaluated_key.is_none()))
    }

    /// Whether at least this many items wait. A small backlog is counted with one call; a large one is first estimated from how
    /// close together its oldest and its newest items are, and only counted where that is too many.
    pub async fn has_waiting(&self, backlog: Backlog<'_>, most: u64) -> Result<bool, StoreError> {
        let (oldest, newest) = tokio::try_join!(self.density(backlog, true), self.density(backlog, false))?;
        if oldest.is_all {
            return Ok(oldest.count >= most);
        }
        let span = newest.first_ms.saturating_sub(oldest.first_ms);
        let sampled = (oldest.last_ms - oldest.first_ms) + (newest.first_ms - newest.last_ms);
        let estimate = (oldest.count + newest.count) as f64 * (span as f64 / sampled.max(1) as f64);
        if estimate < most as f64 / 2.0 {
            return Ok(false);
        }
        Ok(self.count(backlog, most).await? >= most)
    }

    async fn density(&self, backlog: Backlog<'_>, oldest: bool) -> Result<Density, StoreError> {
        let (from, until) = backlog::key_range(Class::Live, Timestamp::UNIX_EPOCH, None);
        let query = self.waiting_query(backlog, &from, &until).scan_index_forward(oldest).projection_expression(SK);
        let answer = query.send().await.map_err(StoreError::call("Query"))?;
        let time = |item: Option<&Item>| -> Result<i64, StoreError> {
            let time = item.map(|item| item.text(SK)).transpose()?.and_then(backlog::time_of);
            Ok(time.map_or(0, |time| time.as_millisecond()))
        };
        Ok(Density {
            count: answer.items().len() as u64,
            first_ms: time(answer.items().first())?,
            last_ms: time(answer.items().last())?,
            is_all: answer.last_evaluated_key.is_none(),
        })
    }

    /// How many items wait, counted up to `most`.
    async fn count(&self, backlog: Backlog<'_>, most: u64) -> Result<u64, StoreError> {
        let (mut count, mut start) = (0, None);
        for _ in 0..MAX_COUNTING_CALLS {
            let query = self
                .client
                .query()
                .table_name(&self.table)
                .key_condition_expression("pk = :backlog")
                .expression_attribute_values(":backlog", text(backlog.partition()))
                .select(Select::Count)
                .set_exclusive_start_key(start);
            let answer = query.send().await.map_err(StoreError::call("Query"))?;
            count += u64::try_from(answer.count).unwrap_or(0);
            start = answer.last_evaluated_key;
            if start.is_none() || count >= most {
                break;
            }
        }
        Ok(count)
    }

    fn waiting_query(
        &self,
        backlog: Backlog<'_>,
        from: &str,
        until: &str,
    ) -> aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder {
        self.client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("pk = :backlog AND sk BETWEEN :from AND :until")
            .expression_attribute_values(":backlog", text(backlog.partition()))
            .expression_attribute_values(":from", text(from))
            .expression_attribute_values(":until", text(until))
    }
}

/// How many items a call read at one end of a backlog, and over what time.
struct Density {
    count: u64,
    first_ms: i64,
    last_ms: i64,
    is_all: bool,
}

/// One item that can't be read says nothing about the others.
fn page(items: &[Item], is_end: bool) -> BacklogPage {
    let mut page = BacklogPage { is_end, ..BacklogPage::default() };
    for item in items {
        match read(item) {
            Ok(waiting) => page.items.push(waiting),
            Err(error) => {
                tracing::error!(%error, "an item of a backlog can't be read");
                page.unreadable += 1;
            }
        }
    }
    page
}

fn read(item: &Item) -> Result<Waiting, StoreError> {
    let since = Timestamp::from_millisecond(item.number("since")?).map_err(|_| item.corrupt("since"))?;
    Ok(Waiting { key: item.text(SK)?.to_owned(), task: item.json("task")?, bytes: item.number("bytes")?, since })
}
