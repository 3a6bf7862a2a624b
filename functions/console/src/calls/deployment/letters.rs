//! `GET /api/v1/deployment/dead-letters`: a look at some dead letters of a queue.

use axum::{extract::State, http::StatusCode, response::Response};
use posthaste_api::{DeadLetter, DeadLetters, Letter, LookAtLetters};
use posthaste_domain::{Timestamp, deployment::LetterQueue};
use posthaste_queue::Looked;
use posthaste_runtime::{
    api::{ApiError, success},
    batch::{DETAIL, EVENT_ID, REASON},
    query::Query,
};

use super::{Operator, queues::Queues};

pub(super) async fn look(
    _: Operator,
    State(queues): State<Queues>,
    Query(asked): Query<LookAtLetters>,
) -> Result<Response, ApiError> {
    let queue = asked.queue()?;
    let looked = queues.letters(queue).look(asked.limit.into()).await?;
    let items = looked.iter().map(|message| letter(queue, message)).collect();
    Ok(success(StatusCode::OK, DeadLetters { queue, items }))
}

fn letter(queue: LetterQueue, message: &Looked) -> DeadLetter {
    let attribute = |name: &str| message.attributes.get(name).map(String::as_str);
    let letter = Letter {
        id: &message.id,
        reason: attribute(REASON),
        detail: attribute(DETAIL),
        event: attribute(EVENT_ID),
        group: message.group.as_deref(),
        sent_at: Timestamp::from_millisecond(message.sent_ms).unwrap_or_default(),
        was_moved: message.was_moved,
        body: &message.body,
    };
    DeadLetter::of(queue, letter)
}
