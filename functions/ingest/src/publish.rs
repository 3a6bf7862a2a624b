//! `POST /api/v1/events`: the 202 is a promise, so it is given only when SQS has every event.

use std::collections::{BTreeMap, BTreeSet};

use axum::{
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
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

use crate::keyed::Keyed;

pub(crate) async fn publish(
    caller: Caller,
    State(registry): State<Registry>,
    State(queue): State<Queue>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    caller.needs(Scope::EventsPublish)?;
    let keyed = Keyed::of(&headers, &registry, &caller.workspace)?;
    let published = NewEvent::parse_call(&body)?;
    let alone = matches!(published, Published::One(_));
    let count = published.events().len();
    let checked = check(&registry, &caller.workspace, published.events()).await;
    let now = clock::now();
    let events = match keyed {
        None => {
            checked?;
            let id = |nth| random::bytes().map(|entropy| EventId::new(now, &entropy).nth(nth));
            let ids = (0..count).map(id).collect::<Result<Vec<_>, _>>().map_err(|error| ApiError::internal(&error))?;
            let events = published.accept(&ids, &caller.workspace, now);
            enqueue(&queue, &events).await?;
            events
        }
        Some(keyed) => {
            let call = keyed.start(&body, checked, now).await?;
            let events = published.accept(&call.event_ids(count), &caller.workspace, call.accepted_at);
            if !call.sent {
                enqueue(&queue, &events).await?;
                keyed.sent(&call).await;
            }
            events
        }
    };
    let mut accepted: Vec<_> = events.iter().map(Accepted::of).collect();
    Ok(match accepted.pop() {
        Some(only) if alone => success(StatusCode::ACCEPTED, only),
        last => {
            accepted.extend(last);
            success(StatusCode::ACCEPTED, AcceptedMany { events: accepted })
        }
    })
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
