//! The catalogue, and a workspace's own event types.

use std::collections::BTreeMap;

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
    input,
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
use posthaste_store::{Page, Registry, Written};

const NO_TYPE: ApiError = ApiError::NotFound("event type with this name");

/// The built-in types by name, and then the workspace's own and those of which events were
/// published.
pub(crate) async fn list(
    caller: Allowed<EventsRead>,
    State(registry): State<Registry>,
    Query(input::Page { limit, after }): Query<input::Page<EventType>>,
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
    let (own, published) = tokio::try_join!(
        registry.types.page(&caller.workspace, room, after.as_ref()),
        registry.published.page(&caller.workspace, room, after.as_ref()),
    )?;
    let page = merged(own, published, usize::from(room));
    for listed in page.items {
        items.push(match listed {
            Listed::Own(own) => EventTypeAnswer::own(own)?,
            Listed::Published(name) => EventTypeAnswer::published(&name),
        });
    }
    Ok(success(StatusCode::OK, List { items, next: page.next.map(|name| name.to_string()) }))
}

/// A type of a workspace: one that it has described, or one of which events were published.
#[derive(Debug)]
enum Listed {
    Own(OwnEventType),
    Published(EventType),
}

impl Listed {
    fn name(&self) -> &EventType {
        match self {
            Self::Own(own) => &own.name,
            Self::Published(name) => name,
        }
    }
}

/// Makes one page of two that begin after the same name. A type that is described is shown so.
fn merged(
    own: Page<OwnEventType, EventType>,
    published: Page<EventType, EventType>,
    room: usize,
) -> Page<Listed, EventType> {
    // Behind the end of either page that goes on, nobody knows what is missing.
    let known_until = [&own.next, &published.next].into_iter().flatten().min().cloned();
    let mut by_name: BTreeMap<EventType, Listed> =
        published.items.into_iter().map(|name| (name.clone(), Listed::Published(name))).collect();
    by_name.extend(own.items.into_iter().map(|own| (own.name.clone(), Listed::Own(own))));
    let mut items: Vec<Listed> = by_name
        .into_values()
        .filter(|listed| known_until.as_ref().is_none_or(|until| listed.name() <= until))
        .collect();
    let is_cut = items.len() > room;
    items.truncate(room);
    let next = if is_cut { items.last().map(|last| last.name().clone()) } else { known_until };
    Page { items, next }
}

pub(crate) async fn show(
    caller: Allowed<EventsRead>,
    State(registry): State<Registry>,
    Path(name): Path<String>,
) -> Result<Response, ApiError> {
    let name = EventType::parse_any(name).map_err(|_| NO_TYPE)?;
    if let Some(built_in) = catalogue::find(name.as_str()) {
        return Ok(success(StatusCode::OK, EventTypeAnswer::built_in(built_in)?));
    }
    let key = (caller.workspace.clone(), name);
    if let Some(own) = registry.types.by_name([key.clone()]).await.one(&key)? {
        return Ok(success(StatusCode::OK, EventTypeAnswer::own(own)?));
    }
    let (workspace, name) = key;
    if registry.published.contains(&workspace, &name).await? {
        return Ok(success(StatusCode::OK, EventTypeAnswer::published(&name)));
    }
    Err(NO_TYPE)
}

pub(crate) async fn put(
    caller: Allowed<EventsManage>,
    State(registry): State<Registry>,
    State(checks): State<Checks>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Response, ApiError> {
    let own = checks.run(move || OwnEventType::parse(&name, &body)).await??;
    match registry.types.put(&caller.workspace, &own, MAX_TYPES).await? {
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
    // One of the workspace's can go whose name became that of a built-in type, or an alias.
    let was_own = registry.types.delete(&caller.workspace, &name).await?;
    let was_published = registry.published.forget(&caller.workspace, &name).await?;
    if !was_own && !was_published {
        not_built_in(&name)?;
        return Err(NO_TYPE);
    }
    tracing::info!("removed an event type");
    Ok(success(StatusCode::OK, Removed::of(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> EventType {
        EventType::parse(text).unwrap()
    }

    fn page(names: &[&str], next: Option<&str>) -> Page<EventType, EventType> {
        Page { items: names.iter().map(|text| name(text)).collect(), next: next.map(name) }
    }

    fn own(names: &[&str], next: Option<&str>) -> Page<OwnEventType, EventType> {
        let items = names.iter().map(|text| OwnEventType::parse(text, b"{}").unwrap());
        Page { items: items.collect(), next: next.map(name) }
    }

    /// The names of a merged page, those of described types in capitals, and the cursor behind it.
    fn listed(
        own: Page<OwnEventType, EventType>,
        published: Page<EventType, EventType>,
    ) -> (String, Option<String>) {
        let page = merged(own, published, 3);
        let names = page.items.iter().map(|listed| match listed {
            Listed::Own(own) => own.name.to_string().to_uppercase(),
            Listed::Published(name) => name.to_string(),
        });
        (names.collect::<Vec<_>>().join(" "), page.next.map(|next| next.to_string()))
    }

    #[test]
    fn types_are_listed_by_name_and_once() {
        assert_eq!(listed(own(&["b", "c"], None), page(&["a", "b"], None)), ("a B C".into(), None));
        let cut = listed(own(&["b", "d"], None), page(&["a", "c"], None));
        assert_eq!(cut, ("a B c".into(), Some("c".into())));
    }

    #[test]
    fn a_page_ends_where_either_of_the_two_goes_on() {
        let cut = listed(own(&["a", "b"], Some("b")), page(&["c", "d"], None));
        assert_eq!(cut, ("A B".into(), Some("b".into())));
        let empty = listed(own(&["z"], None), page(&[], Some("m")));
        assert_eq!(empty, (String::new(), Some("m".into())));
    }
}
