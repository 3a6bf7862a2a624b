//! Replays of many deliveries. At most one runs for a webhook: the newest job is named by one item,
//! and a job is begun in one transaction with the replacement of that name, on the condition that
//! the newest has been seen to be over. A job that is over stays over, so nothing has to be
//! unlocked when one ends.

use std::time::Duration;

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use posthaste_domain::{
    Timestamp,
    delivery::{
        attempt::Failure,
        replay::{Job, JobStatus, Selection},
    },
    id::{DeliveryId, JobId},
    webhook::key::WebhookKey,
};

use super::holds::write_all;
use crate::{
    StoreError,
    item::{EXPIRES_AT, Item, SK, json, key, number, text},
    table::{Outcome, Table},
    write::{Condition, Update, Write},
};

const LATEST: &str = "latest";
const JOB: &str = "job";

/// The replays of all webhooks.
#[derive(Debug, Clone)]
pub struct Jobs {
    pub(super) table: Table,
}

/// A page of a job that has been gone through.
#[derive(Debug, Clone, Copy)]
pub struct TurnedPage<'a> {
    /// The number of pages before it.
    pub page: u64,
    /// The number of deliveries on it.
    pub examined: u64,
    /// The number of them that are on the queue again.
    pub replayed: u64,
    /// The cursor of the next page; none after the last one.
    pub next: Option<DeliveryId>,
    /// Unique to this run: counting the same page again changes nothing and tells the same.
    pub by: &'a str,
}

/// The outcome of counting a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Advanced {
    /// The page is counted. The job as it is now.
    Counted(Job),
    /// Another run has counted it. The job as it was found, if there is one.
    Elsewhere(Option<Job>),
}

impl Jobs {
    /// Finds the newest job of a webhook.
    pub async fn latest(&self, webhook: &WebhookKey) -> Result<Option<JobId>, StoreError> {
        let item = self.table.get(key(partition(webhook), LATEST)).await?;
        item.map(|item| item.parsed(JOB)).transpose()
    }

    /// Reads a job of a webhook.
    pub async fn get(&self, webhook: &WebhookKey, id: JobId) -> Result<Option<Job>, StoreError> {
        self.table.get(job_key(webhook, id)).await?.as_ref().map(read).transpose()
    }

    /// Begins a job. False, and nothing is written, if the newest job is not `after` any more,
    /// which has to be over.
    pub async fn begin(
        &self,
        webhook: &WebhookKey,
        job: &Job,
        after: Option<JobId>,
        retention: Duration,
    ) -> Result<bool, StoreError> {
        let latest = key(partition(webhook), LATEST).with(JOB, text(job.id.to_string()));
        let is_after = match after {
            None => Condition::no_item(),
            Some(after) => Condition::Is(JOB, text(after.to_string())),
        };
        let writes = [
            Write::Put(latest, vec![is_after]),
            Write::Put(write(webhook, job, retention), vec![]),
        ];
        // A refusal can be the repetition of a transaction whose answer got lost.
        Ok(write_all(&self.table, &writes).await? || self.latest(webhook).await? == Some(job.id))
    }

    /// Counts a page, once, whoever else counts it, and ends the job after its last one. A job that
    /// was cancelled meanwhile stays so, but what has been sent for it counts.
    pub async fn advance(
        &self,
        webhook: &WebhookKey,
        id: JobId,
        turned: TurnedPage<'_>,
        retention: Duration,
        now: Timestamp,
    ) -> Result<Advanced, StoreError> {
        let counting = Update::at(job_key(webhook, id))
            .set("page", number(turned.page + 1))
            .add("examined", number(turned.examined))
            .add("replayed", number(turned.replayed))
            .set("by", text(turned.by))
            .set("updatedAt", text(now.to_string()))
            .set(EXPIRES_AT, expiry(now, retention))
            .set_some("cursor", turned.next.map(|cursor| text(cursor.to_string())))
            // A page is counted only by the first who has gone through it.
            .only_if(Condition::Is("page", number(turned.page)));
        if turned.next.is_some() {
            return self.count(counting, turned).await;
        }
        let ending =
            counting.clone().set("status", text(JobStatus::Done.name())).only_if(is_running());
        match self.count(ending, turned).await? {
            Advanced::Elsewhere(Some(job)) if job.page == turned.page => {
                self.count(counting, turned).await
            }
            result => Ok(result),
        }
    }

    async fn count(&self, update: Update, turned: TurnedPage<'_>) -> Result<Advanced, StoreError> {
        let item = match self.table.update_and_read(update, ReturnValue::AllNew).await? {
            Outcome::Done(item) => return read(&item).map(Advanced::Counted),
            Outcome::Refused(None) => return Ok(Advanced::Elsewhere(None)),
            Outcome::Refused(Some(item)) => item,
        };
        let job = read(&item)?;
        let is_ours =
            job.page == turned.page + 1 && item.text("by").is_ok_and(|by| by == turned.by);
        Ok(if is_ours { Advanced::Counted(job) } else { Advanced::Elsewhere(Some(job)) })
    }

    /// Ends a running job. Returns the job as it is then; none if there is none.
    pub async fn end(
        &self,
        webhook: &WebhookKey,
        id: JobId,
        status: JobStatus,
        why: Option<&Failure>,
        now: Timestamp,
    ) -> Result<Option<Job>, StoreError> {
        let update = Update::at(job_key(webhook, id))
            .set("status", text(status.name()))
            .set("updatedAt", text(now.to_string()))
            .set("error", json(&why)?)
            .only_if(is_running());
        match self.table.update_and_read(update, ReturnValue::AllNew).await? {
            Outcome::Done(item) => read(&item).map(Some),
            Outcome::Refused(item) => item.as_ref().map(read).transpose(),
        }
    }

    /// Says that a job's message is sent again, unless it has moved since it was read, or another
    /// call says so.
    pub async fn claim_standstill(
        &self,
        webhook: &WebhookKey,
        job: &Job,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let update = Update::at(job_key(webhook, job.id))
            .set("updatedAt", text(now.to_string()))
            .only_if(Condition::Is("updatedAt", text(job.updated_at.to_string())))
            .only_if(is_running());
        self.table.update(update).await
    }
}

fn is_running() -> Condition {
    Condition::Is("status", text(JobStatus::Running.name()))
}

fn write(webhook: &WebhookKey, job: &Job, retention: Duration) -> Item {
    let selection = Selection::NAMES.iter().find(|(_, selection)| *selection == job.selection);
    job_key(webhook, job.id)
        .with("status", text(job.status.name()))
        .with("selection", text(selection.map_or("", |(name, _)| name)))
        .with("since", text(job.since.to_string()))
        .with("until", text(job.until.to_string()))
        .with("examined", number(job.examined))
        .with("replayed", number(job.replayed))
        .with("page", number(job.page))
        .with("createdAt", text(job.created_at.to_string()))
        .with("updatedAt", text(job.updated_at.to_string()))
        .with(EXPIRES_AT, expiry(job.created_at, retention))
}

fn read(item: &Item) -> Result<Job, StoreError> {
    let selection = item.text("selection")?;
    let selection = Selection::NAMES
        .iter()
        .find(|(name, _)| *name == selection)
        .map(|(_, selection)| *selection);
    Ok(Job {
        id: item.parsed(SK)?,
        status: JobStatus::by_name(item.text("status")?).ok_or_else(|| item.corrupt("status"))?,
        selection: selection.ok_or_else(|| item.corrupt("selection"))?,
        since: item.parsed("since")?,
        until: item.parsed("until")?,
        examined: item.number("examined")?,
        replayed: item.number("replayed")?,
        page: item.number("page")?,
        cursor: item.optional("cursor", Item::parsed)?,
        error: item.optional("error", Item::json)?.flatten(),
        created_at: item.parsed("createdAt")?,
        updated_at: item.parsed("updatedAt")?,
    })
}

fn expiry(now: Timestamp, retention: Duration) -> AttributeValue {
    number(now.as_second().saturating_add_unsigned(retention.as_secs()))
}

fn job_key(webhook: &WebhookKey, id: JobId) -> Item {
    key(partition(webhook), id.to_string())
}

fn partition(webhook: &WebhookKey) -> String {
    format!("#replay#{webhook}")
}
