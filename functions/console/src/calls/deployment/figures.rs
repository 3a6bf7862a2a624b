//! `GET /api/v1/deployment`: figures of the whole deployment.

use axum::{extract::State, http::StatusCode, response::Response};
use futures::future::{try_join, try_join_all};
use posthaste_api::{DeploymentAnswer, OldestDue, QueueAnswer, WaitingFigures};
use posthaste_domain::deployment::{LetterQueue, WorkQueue};
use posthaste_queue::QueueError;
use posthaste_runtime::{
    api::{ApiError, success},
    clock,
};

use super::{Operator, Shared, queues::Queues};

pub(super) async fn show(
    _: Operator,
    State(Shared { queues, waits, stage, .. }): State<Shared>,
) -> Result<Response, ApiError> {
    let looks = WorkQueue::ALL.map(|queue| of_queue(&queues, queue));
    let depths = try_join(try_join_all(looks), queues.letters(LetterQueue::Exhausted).depth());
    let (depths, waiting) = tokio::join!(depths, waits.look());
    let ((of_queues, exhausted), waiting) = (depths?, waiting?);
    let answer = DeploymentAnswer {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        stage: stage.0,
        queues: of_queues,
        exhausted: exhausted.all(),
        oldest_due: OldestDue::of(&waiting, clock::now()),
        waiting: WaitingFigures::of(&waiting),
    };
    Ok(success(StatusCode::OK, answer))
}

async fn of_queue(queues: &Queues, name: WorkQueue) -> Result<QueueAnswer, QueueError> {
    let letters = queues.letters(name.letters());
    let (depth, letters) = try_join(queues.work(name).depth(), letters.depth()).await?;
    Ok(QueueAnswer {
        name,
        waiting: depth.waiting,
        in_flight: depth.in_flight,
        delayed: depth.delayed,
        dead_letters: letters.all(),
    })
}
