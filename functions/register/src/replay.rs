//! Making deliveries again: one, or all of a time as a job of the function `replay`.
//!
//! A job's first message is sent before the job is stored: whoever dies between leaves a message
//! that finds no job and ends, and never a job without a message. Should the message of a running
//! job get lost later, whoever asks about the job sends it again.

use std::time::Duration;

use axum::{body::Bytes, extract::State, http::StatusCode, response::Response};
use posthaste_api::{JobAnswer, Replayed};
use posthaste_domain::{
    Timestamp,
    delivery::{
        replay::{Job, JobStatus, StartReplay},
        task::{Due, Task},
    },
    id::{Cause, CauseKind, DeliveryId, JobId},
    webhook::Webhook,
};
use posthaste_queue::{Message, Queue};
use posthaste_runtime::{
    api::{ApiError, success},
    clock, random,
};
use posthaste_store::{Deliveries, Events, Registry};

use crate::{
    deliveries::{self, Found},
    events,
    history::Reader,
    path::{InPath, KnownWebhook, Named, NamedWebhook},
    send_test::Tester,
};

/// The queues that replays go to.
#[derive(Debug, Clone)]
pub(crate) struct Queues {
    /// The deliveries queue.
    pub(crate) tasks: Queue,
    /// The queue of the function `replay`.
    pub(crate) pages: Queue,
}

pub(crate) async fn one(
    named: NamedWebhook,
    Named(id): Named<DeliveryId>,
    State(registry): State<Registry>,
    State(events): State<Events>,
    State(deliveries): State<Deliveries>,
    State(queues): State<Queues>,
) -> Result<Response, ApiError> {
    let webhook = named.read(&registry).await?;
    let record = match deliveries::find(&deliveries, &webhook, id, false).await? {
        Some(Found::Recorded(record)) => record,
        Some(Found::Waits(_)) => return Err(ApiError::DeliveryWaiting),
        None => {
            let (deliveries, events, webhook) = (&deliveries, &events, &webhook);
            let reader = Reader { deliveries, events, webhook, is_removed: false };
            let waiting = reader.on_the_way(id).await?;
            return Err(waiting.map_or(DeliveryId::MISSING, |_| ApiError::DeliveryWaiting));
        }
    };
    is_enabled(&webhook)?;
    let event = events::find(&events, &webhook.key.workspace, record.event_id)
        .await?
        .ok_or(ApiError::EventGone)?;
    let nonce = random::bytes()?;
    let id = DeliveryId::derive(event.id, webhook.key.id, Cause::Replayed(nonce));
    let due = Due::of(id, &event).because(CauseKind::Replay);
    let task = Task::new(&webhook.key, vec![due]).message()?;
    send(&queues.tasks, task, &webhook).await?;
    tracing::info!(delivery.id = %id, "replayed a delivery");
    Ok(success(StatusCode::ACCEPTED, Replayed { id, event_id: event.id, replay_of: record.id }))
}

pub(crate) async fn start(
    named: NamedWebhook,
    State(registry): State<Registry>,
    State(deliveries): State<Deliveries>,
    State(queues): State<Queues>,
    State(Tester { retention, .. }): State<Tester>,
    body: Bytes,
) -> Result<Response, ApiError> {
    let asked = StartReplay::parse(&body)?;
    let webhook = named.read(&registry).await?;
    is_enabled(&webhook)?;
    let now = clock::now();
    let latest = match deliveries.jobs.latest(&webhook.key).await? {
        Some(latest) => {
            is_over(&deliveries, &queues, &webhook, latest, now).await?;
            Some(latest)
        }
        None => None,
    };
    let entropy = random::bytes()?;
    let job = Job::new(JobId::new(now, &entropy), asked, now);
    begin(&deliveries, &queues, &webhook, &job, latest, retention).await?;
    tracing::info!(job.id = %job.id, "began a replay");
    Ok(success(StatusCode::ACCEPTED, JobAnswer::of(job)))
}

pub(crate) async fn show(
    named: NamedWebhook,
    Named(id): Named<JobId>,
    State(registry): State<Registry>,
    State(deliveries): State<Deliveries>,
    State(queues): State<Queues>,
) -> Result<Response, ApiError> {
    let KnownWebhook { webhook, removed_at } = named.known(&registry).await?;
    let job = deliveries.jobs.get(&webhook.key, id).await?.ok_or(JobId::MISSING)?;
    if removed_at.is_none() {
        revive(&deliveries, &queues, &webhook, &job, clock::now()).await?;
    }
    Ok(success(StatusCode::OK, JobAnswer::of(job)))
}

pub(crate) async fn cancel(
    named: NamedWebhook,
    Named(id): Named<JobId>,
    State(registry): State<Registry>,
    State(deliveries): State<Deliveries>,
) -> Result<Response, ApiError> {
    let webhook = named.read(&registry).await?;
    let job = deliveries
        .jobs
        .end(&webhook.key, id, JobStatus::Cancelled, None, clock::now())
        .await?
        .ok_or(JobId::MISSING)?;
    tracing::info!(job.id = %job.id, "cancelled a replay");
    Ok(success(StatusCode::OK, JobAnswer::of(job)))
}

async fn begin(
    deliveries: &Deliveries,
    queues: &Queues,
    webhook: &Webhook,
    job: &Job,
    after: Option<JobId>,
    retention: Duration,
) -> Result<(), ApiError> {
    send_page(queues, webhook, job).await?;
    if deliveries.jobs.begin(&webhook.key, job, after, retention).await? {
        return Ok(());
    }
    // Another call was first.
    Err(deliveries
        .jobs
        .latest(&webhook.key)
        .await?
        .map_or(ApiError::Conflict, ApiError::ReplayRunning))
}

/// An error if the job is running. One that is no longer stored is over.
async fn is_over(
    deliveries: &Deliveries,
    queues: &Queues,
    webhook: &Webhook,
    id: JobId,
    now: Timestamp,
) -> Result<(), ApiError> {
    match deliveries.jobs.get(&webhook.key, id).await? {
        Some(job) if job.status == JobStatus::Running => {
            revive(deliveries, queues, webhook, &job, now).await?;
            Err(ApiError::ReplayRunning(id))
        }
        _ => Ok(()),
    }
}

/// Sends a job's message again if it stands still. A message too many does no harm.
async fn revive(
    deliveries: &Deliveries,
    queues: &Queues,
    webhook: &Webhook,
    job: &Job,
    now: Timestamp,
) -> Result<(), ApiError> {
    if job.stands_still(now) && deliveries.jobs.claim_standstill(&webhook.key, job, now).await? {
        tracing::warn!(job.id = %job.id, "a replay stood still and goes on");
        send_page(queues, webhook, job).await?;
    }
    Ok(())
}

async fn send_page(queues: &Queues, webhook: &Webhook, job: &Job) -> Result<(), ApiError> {
    let page = serde_json::to_string(&job.message(&webhook.key))?;
    send(&queues.pages, page, webhook).await
}

async fn send(queue: &Queue, body: String, webhook: &Webhook) -> Result<(), ApiError> {
    let message = Message::new(body, webhook.key.workspace.to_string());
    queue.send_all(&[message]).await.map_err(|error| ApiError::internal(&error))
}

fn is_enabled(webhook: &Webhook) -> Result<(), ApiError> {
    if webhook.is_enabled() { Ok(()) } else { Err(ApiError::WebhookDisabled) }
}
