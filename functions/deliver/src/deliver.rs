//! An attempt, and what comes after it.
//!
//! Actors: the poller hands over up to ten tasks; this reads what they need with one call a table, makes their requests side by
//! side, records each attempt, and gives each record its fate as soon as it is known, so a slow endpoint does not hold up the
//! retry of another.
//!
//! States: those of [`posthaste_domain::attempt`]. They are kept in the delivery's record, and the message carries no state.
//!
//! Guarantees, wherever the function dies: before the request, nothing has happened and the message comes again. Between the
//! request and its record, the attempt is made again: the endpoint may get the event twice, with the same `webhook-id`. Between
//! the record and the end of the message, the record says what is left to do: nothing after a success, the rest of the schedule
//! after a failure, the dead letter after the last one. A killed function's messages come again within 60 s, the queue's
//! visibility timeout. A fault of our own (DynamoDB, no time left) costs the delivery no attempt.

use std::{sync::Arc, time::Duration};

use futures::{Stream, StreamExt, stream, stream::FuturesUnordered};
use posthaste_domain::{
    attempt::{self, Attempt, Failure, Next, Turn},
    request::WebhookRequest,
    task::Task,
    webhook::Webhook,
};
use posthaste_runtime::{
    batch::{Fate, Record},
    clock,
    deadline::Deadline,
};
use posthaste_sender::{Request, Sender};
use posthaste_store::{Deliveries, Events, Recorded, Registry, StoreError, Subject};

use crate::facts::Facts;

const EXHAUSTED: &str = "exhausted";

/// What deliver works with.
pub(crate) struct Deliver {
    pub(crate) registry: Registry,
    pub(crate) events: Events,
    pub(crate) deliveries: Deliveries,
    pub(crate) sender: Sender,
    pub(crate) retention: Duration,
}

/// One attempt that is to be made.
struct Job<'a> {
    record: &'a Record,
    subject: Subject<'a>,
    webhook: &'a Webhook,
    attempt_id: String,
    deadline: Deadline,
}

impl Deliver {
    /// The fates of the records, each as soon as it is known. `invocation` is unique to this run.
    pub(crate) async fn handle<'a>(
        &'a self,
        records: &'a [Record],
        invocation: &'a str,
        deadline: Deadline,
    ) -> impl Stream<Item = (usize, Fate)> + 'a {
        let mut unreadable = Vec::new();
        let mut tasks = Vec::new();
        for (at, record) in records.iter().enumerate() {
            match Task::parse(&record.body) {
                Ok(task) => tasks.push((at, task)),
                Err(error) => {
                    unreadable.push((at, Fate::DeadLetter { reason: "unreadable_task", detail: error.to_string() }))
                }
            }
        }
        let facts = Facts::read(self, records, &tasks).await;
        let facts = facts
            .inspect_err(|error| tracing::error!(%error, "the batch's webhooks, events or records could not be read"))
            .ok();
        let facts = Arc::new(facts);
        let deliveries: FuturesUnordered<_> = tasks
            .into_iter()
            .map(|(at, task)| {
                let facts = facts.clone();
                async move {
                    let record = &records[at];
                    let Some(facts) = facts.as_ref() else { return (at, Fate::after_our_fault(record)) };
                    let work = self.take_turn(record, &task, facts, format!("{invocation}/{at}"), deadline);
                    let fate = tokio::time::timeout_at(deadline.instant(), work).await.unwrap_or_else(|_| {
                        tracing::error!(delivery.id = %task.delivery, "a delivery ran out of time");
                        Ok(Fate::after_our_fault(record))
                    });
                    let fate = fate.unwrap_or_else(|error| {
                        tracing::error!(delivery.id = %task.delivery, %error, "a delivery could not be recorded");
                        Fate::after_our_fault(record)
                    });
                    (at, fate)
                }
            })
            .collect();
        stream::iter(unreadable).chain(deliveries)
    }

    async fn take_turn(
        &self,
        record: &Record,
        task: &Task<'_>,
        facts: &Facts,
        attempt_id: String,
        deadline: Deadline,
    ) -> Result<Fate, StoreError> {
        let webhook = facts.webhooks.get(&(task.workspace.as_ref().clone(), task.webhook));
        let Some(event) = facts.event(task) else {
            return Ok(Fate::DeadLetter { reason: "event_gone", detail: "the event is no longer stored".to_owned() });
        };
        let subject = Subject { delivery: task.delivery, webhook: task.webhook, event, retention: self.retention };
        let turn = attempt::turn(webhook, facts.progress.get(&task.delivery).copied(), record.redriven);
        match (turn, webhook) {
            (Turn::Send, Some(webhook)) => self.attempt(Job { record, subject, webhook, attempt_id, deadline }).await,
            (Turn::DeadLetter, _) => self.exhaust(subject, "no attempt is left").await,
            (Turn::Skip, _) => self.skip(subject).await,
            (Turn::Send | Turn::Over | Turn::Drop, _) => {
                tracing::info!(delivery.id = %task.delivery, ?turn, "nothing to do");
                Ok(Fate::Done)
            }
        }
    }

    async fn attempt(&self, job: Job<'_>) -> Result<Fate, StoreError> {
        let Job { record, subject, webhook, attempt_id, deadline } = job;
        if deadline.left() < webhook.timeout() {
            // The endpoint would get less time than it is promised.
            return Ok(Fate::RetryIn(Duration::ZERO));
        }
        let began = clock::now();
        let request = WebhookRequest::new(webhook, subject.event, began)?;
        let outcome = self
            .sender
            .send(Request {
                url: &webhook.settings.url,
                headers: request.headers,
                body: request.body.into(),
                timeout: webhook.timeout(),
            })
            .await;
        let attempt = match outcome.result {
            Ok(response) => Attempt::answered(webhook, began, outcome.duration, response.status, &response.body),
            Err(error) if error.ours => {
                tracing::error!(delivery.id = %subject.delivery, error.code = error.code, error.detail = %error.detail, "our own fault kept a request from being sent");
                return Ok(Fate::after_our_fault(record));
            }
            Err(error) => Attempt::unanswered(
                began,
                outcome.duration,
                Failure { code: error.code.to_owned(), message: error.message },
            ),
        };
        let recorded = self.deliveries.record_attempt(subject, &attempt, &attempt_id, clock::now()).await?;
        tracing::info!(
            delivery.id = %subject.delivery,
            event.id = %subject.event.id,
            webhook.id = %webhook.id,
            workspace = %webhook.workspace,
            http.status = attempt.http_status,
            error.code = attempt.error.as_ref().map(|error| error.code.as_str()),
            duration.ms = attempt.duration_ms,
            ?recorded,
            "attempted"
        );
        match (attempt.error, recorded) {
            (None, _) | (_, Recorded::AlreadySucceeded) => Ok(Fate::Done),
            (Some(failure), Recorded::Counted(attempts)) => {
                match attempt::after_failure(&webhook.retry_schedule(), attempts) {
                    Next::RetryIn(wait) => Ok(Fate::RetryIn(wait)),
                    Next::Exhausted => self.exhaust(subject, &failure.message).await,
                }
            }
        }
    }

    /// The record first, then the dead letter: when the function dies between, the message comes again and the record says that
    /// the dead letter is due.
    async fn exhaust(&self, subject: Subject<'_>, why: &str) -> Result<Fate, StoreError> {
        self.deliveries.mark_exhausted(subject, clock::now()).await?;
        Ok(Fate::DeadLetter { reason: EXHAUSTED, detail: why.to_owned() })
    }

    async fn skip(&self, subject: Subject<'_>) -> Result<Fate, StoreError> {
        let why = Failure {
            code: "webhook_disabled".to_owned(),
            message: "the webhook was paused when the delivery's turn came".to_owned(),
        };
        self.deliveries.mark_skipped(subject, &why, clock::now()).await?;
        Ok(Fate::Done)
    }
}
