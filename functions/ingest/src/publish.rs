//! `POST /api/v1/events`: the 202 is a promise, so it is given only when SQS has every event.

use std::collections::{BTreeMap, BTreeSet};

use axum::{body::Bytes, extract::State, http::StatusCode, response::Response};
use posthaste_api::{Accepted, AcceptedMany};
use posthaste_domain::{
    api_key::Scope,
    catalogue,
    event::{Event, NewEvent, Published},
    id::EventId,
    workspace::Workspace,
};
use posthaste_queue::{Message, Queue};
use posthaste_runtime::{
    api::{ApiError, success},
    auth::Caller,
    clock, random,
};
use posthaste_store::Registry;

pub(crate) async fn publish(
    caller: Caller,
    State(registry): State<Registry>,
    State(events): State<Queue>,
    body: Bytes,
) -> Result<Response, ApiError> {
    caller.needs(Scope::EventsPublish)?;
    let published = NewEvent::parse_call(&body)?;
    check(&registry, &caller.workspace, published.events()).await?;
    let now = clock::now();
    let accept = |event: NewEvent| {
        let entropy = random::bytes().map_err(|error| ApiError::internal(&error))?;
        Ok::<_, ApiError>(event.accept(EventId::new(now, &entropy), caller.workspace.clone(), now))
    };
    match published {
        Published::One(event) => {
            let event = accept(event)?;
            enqueue(&events, std::slice::from_ref(&event)).await?;
            Ok(success(StatusCode::ACCEPTED, Accepted::of(&event)))
        }
        Published::Many(many) => {
            let accepted = many.into_iter().map(accept).collect::<Result<Vec<_>, _>>()?;
            enqueue(&events, &accepted).await?;
            Ok(success(StatusCode::ACCEPTED, AcceptedMany { events: accepted.iter().map(Accepted::of).collect() }))
        }
    }
}

/// Checks data against the schemas of its types. The workspace's own are read with one call; the catalogue's are at hand.
async fn check(registry: &Registry, workspace: &Workspace, events: &[NewEvent]) -> Result<(), ApiError> {
    let own = events.iter().map(NewEvent::event_type).filter(|name| catalogue::find(name.as_str()).is_none());
    let own: BTreeSet<_> = own.map(|name| (workspace.clone(), name.clone())).collect();
    let found = registry.types_by_name(own).await;
    if !found.unread.is_empty() {
        return Err(ApiError::Internal);
    }
    let schemas: BTreeMap<_, _> =
        found.items.into_iter().filter_map(|((_, name), own)| Some((name, own.compile()?))).collect();
    Ok(events.iter().try_for_each(|event| event.check(schemas.get(event.event_type())))?)
}

/// The workspace is the message group, so that no workspace's burst delays another's events.
async fn enqueue(queue: &Queue, events: &[Event]) -> Result<(), ApiError> {
    let message = |event: &Event| Ok(Message::new(serde_json::to_string(event)?, event.workspace.to_string()));
    let messages = events.iter().map(message).collect::<Result<Vec<_>, serde_json::Error>>()?;
    match queue.send(&messages).await.first() {
        None => Ok(()),
        Some((_, error)) => Err(ApiError::internal(error)),
    }
}
