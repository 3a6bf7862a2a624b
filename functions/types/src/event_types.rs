//! The catalogue, and a workspace's own event types.

use axum::{
    body::Bytes,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use posthaste_api::{EventTypeAnswer, List, Removed};
use posthaste_domain::{
    event::{
        catalogue,
        event_type::EventType,
        own_type::{MAX_TYPES, OwnEventType, not_built_in},
    },
    input::Page,
};
use posthaste_runtime::{
    api::{ApiError, success},
    auth::{
        Allowed,
        scope::{EventsManage, EventsRead},
    },
    checks::Checks,
    query::Query,
};
use posthaste_store::{Registry, Written};

const NO_TYPE: ApiError = ApiError::NotFound("event type with this name");

/// The catalogue's types by name, and then the workspace's.
pub(crate) async fn list(
    caller: Allowed<EventsRead>,
    State(registry): State<Registry>,
    Query(Page { limit, after }): Query<Page<EventType>>,
) -> Result<Response, ApiError> {
    let rest = after.as_ref().map_or(catalogue::all(), |after| catalogue::after(after.as_str()));
    let mut items = Vec::new();
    for built_in in rest.iter().take(usize::from(limit)) {
        items.push(EventTypeAnswer::built_in(built_in)?);
    }
    let room = limit - u16::try_from(items.len()).unwrap_or(limit);
    if room == 0 {
        let next = items.last().map(|last| last.name.clone());
        return Ok(success(StatusCode::OK, List { items, next }));
    }
    let after = after.filter(|after| catalogue::find(after.as_str()).is_none());
    let page = registry.types(&caller.workspace, room, after.as_ref()).await?;
    for own in page.items {
        items.push(EventTypeAnswer::own(own)?);
    }
    Ok(success(StatusCode::OK, List { items, next: page.next.map(|name| name.to_string()) }))
}

pub(crate) async fn show(
    caller: Allowed<EventsRead>,
    State(registry): State<Registry>,
    Path(name): Path<String>,
) -> Result<Response, ApiError> {
    if let Some(built_in) = catalogue::find(&name) {
        return Ok(success(StatusCode::OK, EventTypeAnswer::built_in(built_in)?));
    }
    let key = (caller.workspace.clone(), EventType::parse(name).map_err(|_| NO_TYPE)?);
    let own = registry.types_by_name([key.clone()]).await.one(&key)?.ok_or(NO_TYPE)?;
    Ok(success(StatusCode::OK, EventTypeAnswer::own(own)?))
}

pub(crate) async fn put(
    caller: Allowed<EventsManage>,
    State(registry): State<Registry>,
    State(checks): State<Checks>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Response, ApiError> {
    let own = checks.run(move || OwnEventType::parse(&name, &body)).await??;
    match registry.put_type(&caller.workspace, &own, MAX_TYPES).await? {
        Written::Done => {}
        Written::Refused(invalid) => return Err(invalid.into()),
        Written::Stale => return Err(ApiError::Conflict),
    }
    tracing::info!("put an event type");
    Ok(success(StatusCode::OK, EventTypeAnswer::own(own)?))
}

/// Webhooks that subscribe to it stay as they are, and events of it are still taken, without a
/// check of their data.
pub(crate) async fn remove(
    caller: Allowed<EventsManage>,
    State(registry): State<Registry>,
    Path(name): Path<String>,
) -> Result<Response, ApiError> {
    let name = EventType::parse(name).map_err(|_| NO_TYPE)?;
    // One of the workspace's that got the name of a built-in type later can go.
    if !registry.delete_type(&caller.workspace, &name).await? {
        not_built_in(&name)?;
        return Err(NO_TYPE);
    }
    tracing::info!("removed an event type");
    Ok(success(StatusCode::OK, Removed::of(name)))
}
