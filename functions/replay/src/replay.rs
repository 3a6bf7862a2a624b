//! The job that replays many deliveries of one webhook.
//!
//! Actors: `register` stores the job and sends its first message; a message makes one page of the
//! history again and sends the message for the next page, until the history is through. The job's
//! states and what a message may do are in [`posthaste_domain::delivery::replay`].
//!
//! Guarantees, wherever the function dies: the tasks of a page are sent, then the page is counted,
//! then the next message is sent, and only then this one is deleted. So before the count the page
//! is gone through again: its deliveries have the same ids, and when the same message comes again
//! deliver looks at what is recorded of them first; a copy of the message may send them twice.
//! After the count, the message that comes again finds the job one page further and sends the next
//! message. A page is counted once, whoever else has a copy of its message. A cancelled job sends
//! no other page. A job never fails for a fault of ours: its message comes again, and in the end is
//! a dead letter that can be sent back. It fails when its webhook is paused or removed, and after
//! [`MAX_PAGES`], so that no chain of messages is endless.

use std::time::Duration;

use aws_lambda_events::event::sqs::SqsBatchResponse;
use futures::stream::FuturesUnordered;
use posthaste_domain::{
    delivery::replay::{Job, JobStatus, Obstacle, PageMessage, PageWait, Step, step},
    endpoint::backlog::Class,
    message::{dead_letter::DeadLetterReason, version},
    webhook::{Webhook, key::WebhookKey},
};
use posthaste_queue::{Message, Queue};
use posthaste_runtime::{
    batch::{Batch, Fate, Record},
    clock,
    deadline::Deadline,
};
use posthaste_store::{Advanced, Deliveries, History, Registry, TurnedPage};
use tracing::Instrument;

use crate::page::{Tasks, tasks};

/// All that replay works with.
#[derive(Debug)]
pub(crate) struct Replay {
    pub(crate) registry: Registry,
    pub(crate) deliveries: Deliveries,
    pub(crate) tasks: Queue,
    pub(crate) batch: Batch,
    /// A job is kept for so long after it last moved.
    pub(crate) retention: Duration,
    /// A page has so many deliveries.
    pub(crate) page: u16,
}

impl Replay {
    /// Handles a batch to its end. `invocation` is unique to this run.
    pub(crate) async fn handle(
        &self,
        records: &[Record],
        invocation: &str,
        deadline: Deadline,
    ) -> SqsBatchResponse {
        let fates: FuturesUnordered<_> = records
            .iter()
            .enumerate()
            .map(async |(at, record)| (at, self.fate(record, invocation, deadline).await))
            .collect();
        self.batch.settle(records, fates).await
    }

    async fn fate(&self, record: &Record, invocation: &str, deadline: Deadline) -> Fate {
        let message: PageMessage = match version::read(&record.body) {
            Ok(message) => message,
            Err(error) => {
                return Fate::of_unreadable(
                    record,
                    &error,
                    DeadLetterReason::UnreadablePage,
                    clock::now(),
                );
            }
        };
        let span = tracing::error_span!(
            "job",
            job.id = %message.job,
            webhook.id = %message.webhook.id,
            workspace = %message.webhook.workspace
        );
        let following = async {
            match tokio::time::timeout_at(
                deadline.instant(),
                self.follow(&message, record, invocation),
            )
            .await
            {
                Ok(Ok(fate)) => fate,
                Ok(Err(error)) => {
                    tracing::error!(error = %format!("{error:#}"), "a page could not be replayed");
                    Fate::after_our_fault(record)
                }
                Err(_) => {
                    tracing::error!("a page could not be replayed in time");
                    Fate::after_our_fault(record)
                }
            }
        };
        following.instrument(span).await
    }

    async fn follow(
        &self,
        message: &PageMessage,
        record: &Record,
        invocation: &str,
    ) -> anyhow::Result<Fate> {
        let job = self.deliveries.jobs.get(&message.webhook, message.job).await?;
        match (step(message, job.as_ref(), record.sent, clock::now()), job) {
            (Step::Read, Some(job)) if self.has_replays_waiting(&message.webhook).await? => {
                // It does not stand still: nobody has to send its message again.
                self.deliveries.jobs.claim_standstill(&message.webhook, &job, clock::now()).await?;
                self.wait(message, record).await
            }
            (Step::Read, Some(job)) => {
                let by = format!("{invocation}/{}", record.message_id);
                let again = message.recorded || record.receives > 1;
                match self.turn(message, &job, again, &by).await? {
                    Some(Advanced::Counted(job)) if job.status == JobStatus::Running => {
                        self.send_next(&job, message).await
                    }
                    Some(Advanced::Elsewhere(job)) => self.leave(message, job, record).await,
                    Some(Advanced::Counted(_)) | None => Ok(Fate::Done),
                }
            }
            (Step::GiveUp, Some(job)) => {
                self.give_up(&message.webhook, &job, Obstacle::TooManyPages).await?;
                Ok(Fate::Done)
            }
            (_, job) => self.leave(message, job, record).await,
        }
    }

    /// Lets a page wait until the one before it has left the webhook's backlog.
    async fn wait(&self, message: &PageMessage, record: &Record) -> anyhow::Result<Fate> {
        match PageWait::after(record.receives) {
            PageWait::ComeAgain(wait) => Ok(Fate::RetryIn(wait)),
            PageWait::SendAnew(delay) => {
                let page = PageMessage { recorded: true, ..message.clone() };
                self.send_page(&page, delay).await
            }
        }
    }

    /// Does what is left to do for a message whose page is counted.
    async fn leave(
        &self,
        message: &PageMessage,
        job: Option<Job>,
        record: &Record,
    ) -> anyhow::Result<Fate> {
        match (step(message, job.as_ref(), record.sent, clock::now()), job) {
            (Step::SendNext, Some(job)) => self.send_next(&job, message).await,
            (Step::Wait(wait), _) => Ok(Fate::RetryIn(wait)),
            // It was at another page a moment ago.
            (Step::Read | Step::GiveUp, _) => Ok(Fate::later(record)),
            (Step::Over | Step::SendNext, _) => Ok(Fate::Done),
        }
    }

    /// Says whether deliveries of an earlier page wait in the webhook's backlog: then this page
    /// waits too, or a replay could fill it.
    async fn has_replays_waiting(&self, webhook: &WebhookKey) -> anyhow::Result<bool> {
        if self.deliveries.lanes.get(webhook).await?.phase.is_none() {
            return Ok(false);
        }
        Ok(!self.deliveries.backlogs.page(webhook, Class::Replay, None, 1).await?.items.is_empty())
    }

    /// Goes through a page: sends its tasks and counts them. None if the job can't go on.
    async fn turn(
        &self,
        message: &PageMessage,
        job: &Job,
        again: bool,
        by: &str,
    ) -> anyhow::Result<Option<Advanced>> {
        let webhook = self.registry.webhooks.get(&message.webhook).await?;
        let webhook: Webhook = match webhook {
            Some(webhook) if webhook.is_enabled() => webhook,
            Some(_) => {
                self.give_up(&message.webhook, job, Obstacle::WebhookDisabled).await?;
                return Ok(None);
            }
            None => {
                self.give_up(&message.webhook, job, Obstacle::WebhookGone).await?;
                return Ok(None);
            }
        };
        let history = History {
            limit: self.page,
            before: message.cursor,
            since: Some(job.since),
            until: Some(job.until),
            ..History::default()
        };
        let page = self.deliveries.records.history(&message.webhook, &history).await?;
        let Tasks { examined, replayed, messages } = tasks(&webhook, job, &page.items, again)?;
        self.tasks.send_all(&messages).await?;
        let turned = TurnedPage {
            page: message.page,
            examined: examined.try_into()?,
            replayed: replayed.try_into()?,
            next: page.next,
            by,
        };
        let advanced = self
            .deliveries
            .jobs
            .advance(&message.webhook, job.id, turned, self.retention, clock::now())
            .await?;
        tracing::info!(deliveries = replayed, "replayed a page");
        Ok(Some(advanced))
    }

    /// Ends the job as failed.
    async fn give_up(
        &self,
        webhook: &WebhookKey,
        job: &Job,
        obstacle: Obstacle,
    ) -> anyhow::Result<()> {
        let why = obstacle.failure();
        self.deliveries
            .jobs
            .end(webhook, job.id, JobStatus::Failed, Some(&why), clock::now())
            .await?;
        tracing::warn!(reason = why.code, "a replay can't go on");
        Ok(())
    }

    async fn send_next(&self, job: &Job, message: &PageMessage) -> anyhow::Result<Fate> {
        self.send_page(&job.message(&message.webhook), Duration::ZERO).await
    }

    /// Sends the message of a page, which ends the one that is at work.
    async fn send_page(&self, page: &PageMessage, delay: Duration) -> anyhow::Result<Fate> {
        let body = serde_json::to_string(page)?;
        let message = Message { delay, ..Message::new(body, page.webhook.workspace.to_string()) };
        self.batch.queue.send_all(&[message]).await?;
        Ok(Fate::Done)
    }
}
