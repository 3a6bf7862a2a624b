//! Replays of many deliveries. At most one runs for a webhook: the newest job is named by one item, and a job is begun in one
//! transaction with the replacement of that name, on the condition that the newest has been seen to be over. A job that is over
//! stays over, so nothing has to be unlocked when one ends.

use std::time::Duration;

use aws_sdk_dynamodb::{
    operation::update_item::{UpdateItemError, builders::UpdateItemFluentBuilder},
    types::{Put, ReturnValue, ReturnValuesOnConditionCheckFailure, TransactWriteItem},
};
use posthaste_domain::{
    Timestamp,
    attempt::Failure,
    id::{DeliveryId, JobId, WebhookId},
    replay::{Job, JobStatus, Selection},
    workspace::Workspace,
};

use super::{Deliveries, json};
use crate::{
    StoreError,
    item::{EXPIRES_AT, Item, Read, SK, key, number, text},
};

const LATEST: &str = "latest";
const JOB: &str = "job";
/// A page is counted only by the first who has gone through it.
const AT_PAGE: &str = "page = :page";

/// Whose job it is.
pub type JobOwner<'a> = (&'a Workspace, WebhookId);

/// What a page has come to.
#[derive(Debug, Clone, Copy)]
pub struct TurnedPage<'a> {
    /// How many pages come before it.
    pub page: u64,
    /// How many deliveries are on it.
    pub examined: u64,
    /// How many of them are on the queue again.
    pub replayed: u64,
    /// Where the next page begins; none after the last one.
    pub next: Option<DeliveryId>,
    /// Unique to this run: counting the same page again changes nothing and tells the same.
    pub by: &'a str,
}

/// What counting a page told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Advanced {
    /// The page is counted. The job as it is now.
    Counted(Job),
    /// Another run has counted it. The job as it was found, if there is one.
    Elsewhere(Option<Job>),
}

impl Deliveries {
    /// The newest job of a webhook.
    pub async fn latest_job(&self, owner: JobOwner<'_>) -> Result<Option<JobId>, StoreError> {
        let item = self.job_item(key(partition(owner), LATEST)).await?;
        item.map(|item| item.parsed(JOB)).transpose()
    }

    /// A job of a webhook.
    pub async fn job(&self, owner: JobOwner<'_>, id: JobId) -> Result<Option<Job>, StoreError> {
        self.job_item(job_key(owner, id)).await?.as_ref().map(read).transpose()
    }

    /// Begins a job. False, and nothing is written, if the newest job is not `after` any more, which has to be over.
    pub async fn begin_job(
        &self,
        owner: JobOwner<'_>,
        job: &Job,
        after: Option<JobId>,
        retention: Duration,
    ) -> Result<bool, StoreError> {
        let incomplete = |error| StoreError::incomplete("TransactWriteItems", error);
        let mut latest = key(partition(owner), LATEST);
        latest.insert(JOB.to_owned(), text(job.id.to_string()));
        let latest = Put::builder().table_name(&self.table).set_item(Some(latest));
        let latest = match after {
            None => latest.condition_expression("attribute_not_exists(pk)"),
            Some(after) => latest
                .condition_expression("job = :after")
                .expression_attribute_values(":after", text(after.to_string())),
        };
        let put = Put::builder().table_name(&self.table).set_item(Some(write(owner, job, retention)));
        let begun = self.write_all(vec![
            TransactWriteItem::builder().put(latest.build().map_err(incomplete)?).build(),
            TransactWriteItem::builder().put(put.build().map_err(incomplete)?).build(),
        ]);
        // A refusal can be the repetition of a transaction whose answer got lost.
        Ok(begun.await? || self.latest_job(owner).await? == Some(job.id))
    }

    /// Counts a page, once, whoever else counts it, and ends the job after its last one. A job that was cancelled meanwhile stays so,
    /// but what has been sent for it counts.
    pub async fn advance_job(
        &self,
        owner: JobOwner<'_>,
        id: JobId,
        turned: TurnedPage<'_>,
        retention: Duration,
        now: Timestamp,
    ) -> Result<Advanced, StoreError> {
        let running = self.turn_page(owner, id, turned, retention, now);
        let ending = turned.next.is_none();
        let first = if ending {
            running
                .update_expression(format!("{}, #status = :done", turning(turned)))
                .condition_expression(format!("{AT_PAGE} AND #status = :running"))
                .expression_attribute_names("#status", "status")
                .expression_attribute_values(":running", text(JobStatus::Running.name()))
                .expression_attribute_values(":done", text(JobStatus::Done.name()))
        } else {
            running.update_expression(turning(turned)).condition_expression(AT_PAGE)
        };
        match counted(first, turned).await? {
            Advanced::Elsewhere(Some(job)) if ending && job.page == turned.page => {
                let over = self.turn_page(owner, id, turned, retention, now);
                counted(over.update_expression(turning(turned)).condition_expression(AT_PAGE), turned).await
            }
            result => Ok(result),
        }
    }

    /// Ends a running job. Returns the job as it is then; none if there is none.
    pub async fn end_job(
        &self,
        owner: JobOwner<'_>,
        id: JobId,
        status: JobStatus,
        why: Option<&Failure>,
        now: Timestamp,
    ) -> Result<Option<Job>, StoreError> {
        let update = self
            .job_update(owner, id)
            .update_expression("SET #status = :status, updatedAt = :now, #error = :error")
            .condition_expression("#status = :running")
            .expression_attribute_names("#status", "status")
            .expression_attribute_names("#error", "error")
            .expression_attribute_values(":status", text(status.name()))
            .expression_attribute_values(":running", text(JobStatus::Running.name()))
            .expression_attribute_values(":now", text(now.to_string()))
            .expression_attribute_values(":error", json(&why)?);
        match update.send().await {
            Ok(answer) => answer.attributes.as_ref().map(read).transpose(),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(failed)) => failed.item().map(read).transpose(),
                _ => Err(StoreError::call("UpdateItem")(error)),
            },
        }
    }

    /// Says that a job's message is sent again, unless it has moved since it was read, or another call says so.
    pub async fn claim_standstill(&self, owner: JobOwner<'_>, job: &Job, now: Timestamp) -> Result<bool, StoreError> {
        let update = self
            .job_update(owner, job.id)
            .update_expression("SET updatedAt = :now")
            .condition_expression("updatedAt = :read AND #status = :running")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":now", text(now.to_string()))
            .expression_attribute_values(":read", text(job.updated_at.to_string()))
            .expression_attribute_values(":running", text(JobStatus::Running.name()));
        StoreError::unless_refused("UpdateItem", update.send().await)
    }

    async fn job_item(&self, key: Item) -> Result<Option<Item>, StoreError> {
        let get = self.client.get_item().table_name(&self.table).set_key(Some(key)).consistent_read(true);
        Ok(get.send().await.map_err(StoreError::call("GetItem"))?.item)
    }

    fn job_update(&self, owner: JobOwner<'_>, id: JobId) -> UpdateItemFluentBuilder {
        self.client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(job_key(owner, id)))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
    }

    fn turn_page(
        &self,
        owner: JobOwner<'_>,
        id: JobId,
        turned: TurnedPage<'_>,
        retention: Duration,
        now: Timestamp,
    ) -> UpdateItemFluentBuilder {
        let update = self
            .job_update(owner, id)
            .expression_attribute_names("#by", "by")
            .expression_attribute_values(":page", number(turned.page))
            .expression_attribute_values(":next", number(turned.page + 1))
            .expression_attribute_values(":examined", number(turned.examined))
            .expression_attribute_values(":replayed", number(turned.replayed))
            .expression_attribute_values(":by", text(turned.by))
            .expression_attribute_values(":now", text(now.to_string()))
            .expression_attribute_values(":expires", expiry(now, retention));
        match turned.next {
            Some(cursor) => update
                .expression_attribute_names("#cursor", "cursor")
                .expression_attribute_values(":cursor", text(cursor.to_string())),
            None => update,
        }
    }
}

fn turning(turned: TurnedPage<'_>) -> String {
    let cursor = if turned.next.is_some() { ", #cursor = :cursor" } else { "" };
    format!(
        "SET page = :next, examined = examined + :examined, replayed = replayed + :replayed, #by = :by, updatedAt = :now, \
         {EXPIRES_AT} = :expires{cursor}"
    )
}

async fn counted(update: UpdateItemFluentBuilder, turned: TurnedPage<'_>) -> Result<Advanced, StoreError> {
    match update.send().await {
        Ok(answer) => read(&answer.attributes.unwrap_or_default()).map(Advanced::Counted),
        Err(error) => match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                let Some(item) = failed.item() else { return Ok(Advanced::Elsewhere(None)) };
                let job = read(item)?;
                let ours = job.page == turned.page + 1 && item.text("by").is_ok_and(|by| by == turned.by);
                Ok(if ours { Advanced::Counted(job) } else { Advanced::Elsewhere(Some(job)) })
            }
            _ => Err(StoreError::call("UpdateItem")(error)),
        },
    }
}

fn write(owner: JobOwner<'_>, job: &Job, retention: Duration) -> Item {
    let selection = Selection::NAMES.iter().find(|(_, selection)| *selection == job.selection);
    let mut item = job_key(owner, job.id);
    item.extend([
        ("status".to_owned(), text(job.status.name())),
        ("selection".to_owned(), text(selection.map_or("", |(name, _)| name))),
        ("since".to_owned(), text(job.since.to_string())),
        ("until".to_owned(), text(job.until.to_string())),
        ("examined".to_owned(), number(job.examined)),
        ("replayed".to_owned(), number(job.replayed)),
        ("page".to_owned(), number(job.page)),
        ("createdAt".to_owned(), text(job.created_at.to_string())),
        ("updatedAt".to_owned(), text(job.updated_at.to_string())),
        (EXPIRES_AT.to_owned(), expiry(job.created_at, retention)),
    ]);
    item
}

fn read(item: &Item) -> Result<Job, StoreError> {
    let selection = item.text("selection")?;
    let selection = Selection::NAMES.iter().find(|(name, _)| *name == selection).map(|(_, selection)| *selection);
    Ok(Job {
        id: item.parsed(SK)?,
        status: JobStatus::by_name(item.text("status")?).ok_or_else(|| item.corrupt("status"))?,
        selection: selection.ok_or_else(|| item.corrupt("selection"))?,
        since: item.parsed("since")?,
        until: item.parsed("until")?,
        examined: item.number("examined")?,
        replayed: item.number("replayed")?,
        page: item.number("page")?,
        cursor: item.contains_key("cursor").then(|| item.parsed("cursor")).transpose()?,
        error: if item.contains_key("error") { item.json("error")? } else { None },
        created_at: item.parsed("createdAt")?,
        updated_at: item.parsed("updatedAt")?,
    })
}

fn expiry(now: Timestamp, retention: Duration) -> aws_sdk_dynamodb::types::AttributeValue {
    number(now.as_second().saturating_add_unsigned(retention.as_secs()))
}

fn job_key(owner: JobOwner<'_>, id: JobId) -> Item {
    key(partition(owner), id.to_string())
}

fn partition((workspace, webhook): JobOwner<'_>) -> String {
    format!("#replay#{workspace}#{webhook}")
}
