//! `POST /api/v1/events`: the 202 is a promise, so it is given only when SQS has every event.

use axum::{body::Bytes, extract::State, http::StatusCode, response::Response};
use posthaste_domain::{
    Timestamp,
    api_key::Scope,
    event::{Event, NewEvent, Published},
    id::EventId,
};
use posthaste_queue::{Message, Queue};
use posthaste_runtime::{
    api::{ApiError, success},
    auth::Caller,
    clock, random,
};
use serde::Serialize;
use serde_json::json;

/// What is answered of an accepted event.
#[derive(Serialize)]
struct Accepted {
    id: EventId,
    r#type: String,
    timestamp: Timestamp,
}

pub(crate) async fn publish(caller: Caller, State(events): State<Queue>, body: Bytes) -> Result<Response, ApiError> {
    caller.needs(Scope::EventsPublish)?;
    let now = clock::now();
    let accept = |event: NewEvent| {
        let entropy = random::bytes().map_err(|error| ApiError::internal(&error))?;
        Ok::<_, ApiError>(event.accept(EventId::new(now, &entropy), caller.workspace.clone(), now))
    };
    let (accepted, single): (Vec<Event>, bool) = match NewEvent::parse_call(&body)? {
        Published::One(event) => (vec![accept(event)?], true),
        Published::Many(events) => (events.into_iter().map(accept).collect::<Result<_, _>>()?, false),
    };
    enqueue(&events, &accepted).await?;
    let mut answers: Vec<Accepted> = accepted.iter().map(answer).collect();
    Ok(match answers.pop() {
        Some(only) if single => success(StatusCode::ACCEPTED, only),
        last => {
            answers.extend(last);
            success(StatusCode::ACCEPTED, json!({ "events": answers }))
        }
    })
}

/// The workspace is the message group, so that no workspace's burst delays another's events.
async fn enqueue(queue: &Queue, events: &[Event]) -> Result<(), ApiError> {
    let message = |event: &Event| {
        let body = serde_json::to_string(event)?;
        Ok(Message { body, group: Some(event.workspace.to_string()), attributes: Vec::new() })
    };
    let messages = events.iter().map(message).collect::<Result<Vec<_>, serde_json::Error>>()?;
    match queue.send(&messages).await.first() {
        None => Ok(()),
        Some((_, error)) => Err(ApiError::internal(error)),
    }
}

fn answer(event: &Event) -> Accepted {
    Accepted { id: event.id, r#type: event.event_type.to_string(), timestamp: event.timestamp }
}
