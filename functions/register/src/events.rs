//! Answers what was published, for reconciliation: events by time, type and subject, each with
//! whether it has been delivered.

use axum::{extract::State, http::StatusCode, response::Response};
use posthaste_api::{EventAnswer, List, ListEvents, ShowEvent};
use posthaste_domain::{
    access::workspace::Workspace,
    event::{Event, process::OfProcess},
    fanout::delivered::{Cursor, Reckoning},
    id::EventId,
    input::{Order, Page},
};
use posthaste_runtime::{
    api::{ApiError, success},
    auth::{Allowed, scope::EventsRead},
    query::Query,
};
use posthaste_store::{Deliveries, EventQuery, Events, Registry};

use crate::{
    path::{InPath, Named},
    reckoner::Reckoner,
};

pub(crate) async fn list(
    caller: Allowed<EventsRead>,
    State(registry): State<Registry>,
    State(events): State<Events>,
    State(deliveries): State<Deliveries>,
    Query(asked): Query<ListEvents>,
) -> Result<Response, ApiError> {
    let ListEvents { page: Page { limit, after }, since, until, event_type, subject, order } =
        asked;
    let (after, partly) = match after {
        None => (None, None),
        Some(Cursor::After(event)) => (Some(event), None),
        Some(Cursor::Within(partly)) => (Some(partly.event), Some(partly)),
    };
    let descending = order == Order::Descending;
    let query = EventQuery { limit, after, since, until, event_type, subject, descending };
    let reckoner =
        Reckoner { registry: &registry, deliveries: &deliveries, workspace: &caller.workspace };
    // One that is no longer stored is passed over.
    let resumed = match partly {
        Some(partly) => {
            known(&events, &caller.workspace, partly.event).await?.map(|event| (event, partly))
        }
        None => None,
    };
    let (reckoned, next) = match resumed {
        Some((event, partly)) => {
            let reckoning = Reckoning::resumed(event, partly);
            reckoner.reckon(reckoning, Some(partly.webhook), Some(partly.event)).await?
        }
        None => {
            let page = events.list(&caller.workspace, &query).await?;
            reckoner.reckon(Reckoning::new(page.items), None, page.next).await?
        }
    };
    let items =
        reckoned.into_iter().map(|(event, delivered)| EventAnswer::of(event, delivered)).collect();
    Ok(success(StatusCode::OK, List { items, next: next.map(|cursor| cursor.to_string()) }))
}

pub(crate) async fn show(
    caller: Allowed<EventsRead>,
    Named(id): Named<EventId>,
    State(registry): State<Registry>,
    State(events): State<Events>,
    State(deliveries): State<Deliveries>,
    Query(asked): Query<ShowEvent>,
) -> Result<Response, ApiError> {
    let partly = asked.within(id)?;
    let known = known(&events, &caller.workspace, id).await?.ok_or(EventId::MISSING)?;
    let event = known.event.clone();
    let reckoning = match partly {
        Some(partly) => Reckoning::resumed(known, partly),
        None => Reckoning::new(vec![known]),
    };
    let reckoner =
        Reckoner { registry: &registry, deliveries: &deliveries, workspace: &caller.workspace };
    let (reckoned, next) =
        reckoner.reckon(reckoning, partly.map(|partly| partly.webhook), None).await?;
    let delivered = reckoned.into_iter().next().and_then(|(_, delivered)| delivered);
    let next = next.map(|cursor| cursor.to_string());
    Ok(success(StatusCode::OK, EventAnswer { next, ..EventAnswer::of(event, delivered) }))
}

/// An event with what fan-out knew of its process, as long as it is stored.
async fn known(
    events: &Events,
    workspace: &Workspace,
    id: EventId,
) -> Result<Option<OfProcess>, ApiError> {
    let key = (workspace.clone(), id);
    Ok(events.with_processes([key.clone()]).await.one(&key)?)
}

/// An event, as long as it is stored.
pub(crate) async fn find(
    events: &Events,
    workspace: &Workspace,
    id: EventId,
) -> Result<Option<Event>, ApiError> {
    let key = (workspace.clone(), id);
    Ok(events.get([key.clone()]).await.one(&key)?)
}
