//! `/api/v1/deployment/redrives`: sending dead letters back. SQS does the work and knows its state,
//! so nothing is stored.

use axum::{
    body::Bytes,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use futures::future::try_join_all;
use posthaste_api::{RedriveAnswer, RedriveStatus, Redrives};
use posthaste_domain::{
    Timestamp,
    deployment::{LetterQueue, StartRedrive},
};
use posthaste_queue::{MoveTask, QueueError};
use posthaste_runtime::{
    api::{ApiError, success},
    clock,
};

use super::{Operator, queues::Queues};

const MISSING: ApiError = ApiError::NotFound("running redrive of this queue");

/// A call that is repeated because its answer got lost is told that a redrive runs: its own.
pub(super) async fn start(
    _: Operator,
    State(queues): State<Queues>,
    body: Bytes,
) -> Result<Response, ApiError> {
    let StartRedrive { queue, max_per_second } = StartRedrive::parse(&body)?;
    let to = queue.destination();
    let letters = queues.letters(queue);
    let started = letters.start_move(queues.work(to), max_per_second).await?;
    let handle = started.ok_or(ApiError::RedriveRunning(queue))?;
    tracing::info!(queue.name = queue.name(), "started a redrive");
    let answer = RedriveAnswer {
        queue,
        to,
        status: RedriveStatus::Running,
        moved: 0,
        to_move: None,
        max_per_second,
        started_at: clock::now(),
        failure: None,
        handle: Some(handle),
    };
    Ok(success(StatusCode::ACCEPTED, answer))
}

pub(super) async fn list(_: Operator, State(queues): State<Queues>) -> Result<Response, ApiError> {
    let looks = LetterQueue::ALL.map(|queue| of_queue(&queues, queue));
    let items = try_join_all(looks).await?.concat();
    Ok(success(StatusCode::OK, Redrives { items }))
}

async fn of_queue(queues: &Queues, queue: LetterQueue) -> Result<Vec<RedriveAnswer>, QueueError> {
    let tasks = queues.letters(queue).moves().await?;
    Ok(tasks.into_iter().map(|task| answer(queue, task)).collect())
}

pub(super) async fn cancel(
    _: Operator,
    State(queues): State<Queues>,
    Path(name): Path<String>,
) -> Result<Response, ApiError> {
    let queue = LetterQueue::by_name(&name).ok_or(MISSING)?;
    let letters = queues.letters(queue);
    let mut tasks = letters.moves().await?.into_iter();
    let task = tasks.find(|task| task.running().is_some()).ok_or(MISSING)?;
    let handle = task.running().ok_or(MISSING)?;
    let moved = letters.cancel_move(handle).await?.ok_or(MISSING)?;
    tracing::info!(queue.name = queue.name(), "cancelled a redrive");
    let cancelled = RedriveAnswer {
        status: RedriveStatus::Cancelling,
        moved,
        handle: None,
        ..answer(queue, task)
    };
    Ok(success(StatusCode::OK, cancelled))
}

fn answer(queue: LetterQueue, task: MoveTask) -> RedriveAnswer {
    RedriveAnswer {
        queue,
        to: queue.destination(),
        status: RedriveStatus::of(&task.status),
        moved: task.moved,
        to_move: task.to_move,
        max_per_second: task.max_per_second,
        started_at: Timestamp::from_millisecond(task.started_ms).unwrap_or_default(),
        failure: task.failure,
        handle: task.handle,
    }
}
