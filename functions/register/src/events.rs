//! What was published, for reconciliation: events by time, type and subject, each with whether it has been delivered.

use axum::{
    extract::{Path, Query as UrlQuery, State},
    http::StatusCode,
    response::Response,
};
use posthaste_api::{EventAnswer, List};
use posthaste_domain::{
    Invalid,
    api_key::Scope,
    delivered::{Cursor, Partly, Reckoning},
    event::Event,
    event_type::EventType,
    id::EventId,
    workspace::Workspace,
};
use posthaste_runtime::{
    api::{ApiError, success},
    auth::Caller,
    query::Query,
};
use posthaste_store::{Deliveries, EventQuery, Events, Registry};

use crate::reckoner::Reckoner;

const NO_EVENT: ApiError = ApiError::NotFound("event with this id");

pub(crate) async fn list(
    caller: Caller,
    State(registry): State<Registry>,
    State(events): State<Events>,
    State(deliveries): State<Deliveries>,
    UrlQuery(query): UrlQuery<Vec<(String, String)>>,
) -> Result<Response, ApiError> {
    caller.needs(Scope::EventsRead)?;
    let Asked { query, partly } = read(Query::new(query)?)?;
    let reckoner = Reckoner { registry: &registry, deliveries: &deliveries, workspace: &caller.workspace };
    // One that is no longer stored is passed over.
    let resumed = match partly {
        Some(partly) => find(&events, &caller.workspace, partly.event).await?.map(|event| (event, partly)),
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
    let items = reckoned.into_iter().map(|(event, delivered)| EventAnswer::of(event, delivered)).collect();
    Ok(success(StatusCode::OK, List { items, next: next.map(|cursor| cursor.to_string()) }))
}

pub(crate) async fn show(
    caller: Caller,
    State(registry): State<Registry>,
    State(events): State<Events>,
    State(deliveries): State<Deliveries>,
    Path(id): Path<String>,
    UrlQuery(query): UrlQuery<Vec<(String, String)>>,
) -> Result<Response, ApiError> {
    caller.needs(Scope::EventsRead)?;
    let id: EventId = id.parse().map_err(|_| NO_EVENT)?;
    let partly = read_partly(Query::new(query)?, id)?;
    let event = find(&events, &caller.workspace, id).await?.ok_or(NO_EVENT)?;
    let reckoning = match partly {
        Some(partly) => Reckoning::resumed(event.clone(), partly),
        None => Reckoning::new(vec![event.clone()]),
    };
    let reckoner = Reckoner { registry: &registry, deliveries: &deliveries, workspace: &caller.workspace };
    let (reckoned, next) = reckoner.reckon(reckoning, partly.map(|partly| partly.webhook), None).await?;
    let delivered = reckoned.into_iter().next().and_then(|(_, delivered)| delivered);
    let next = next.map(|cursor| cursor.to_string());
    Ok(success(StatusCode::OK, EventAnswer { next, ..EventAnswer::of(event, delivered) }))
}

/// An event, as long as it is stored.
pub(crate) async fn find(events: &Events, workspace: &Workspace, id: EventId) -> Result<Option<Event>, ApiError> {
    let key = (workspace.clone(), id);
    let mut found = events.get([key.clone()]).await;
    if found.unread.contains(&key) { Err(ApiError::Internal) } else { Ok(found.items.remove(&key)) }
}

/// Which events are asked for.
#[derive(Debug, PartialEq)]
struct Asked {
    query: EventQuery,
    /// The event to go on with, before those of the query.
    partly: Option<Partly>,
}

/// The cursor of a call for one event, which has to be a cursor of that event.
fn read_partly(mut query: Query, id: EventId) -> Result<Option<Partly>, Invalid> {
    let cursor: Option<Cursor> = query.optional("cursor", CURSOR)?;
    query.finish()?;
    match cursor {
        None => Ok(None),
        Some(Cursor::Within(partly)) if partly.event == id => Ok(Some(partly)),
        Some(_) => Err(Invalid::field("cursor", "invalid_parameter", format!("cursor has to be {CURSOR}"))),
    }
}

const CURSOR: &str = "the next of an earlier answer";

fn read(mut query: Query) -> Result<Asked, Invalid> {
    let has_to_be =
        |name: &str, shape: &str| Invalid::field(name, "invalid_parameter", format!("{name} has to be {shape}"));
    let event_type: Option<String> = query.optional("type", "an event type")?;
    let event_type = event_type.map(|name| EventType::parse(name).map_err(|_| has_to_be("type", "an event type")));
    let order: Option<String> = query.optional("order", "asc or desc")?;
    let descending = match order.as_deref() {
        None | Some("asc") => false,
        Some("desc") => true,
        Some(_) => return Err(has_to_be("order", "asc or desc")),
    };
    let cursor: Option<Cursor> = query.optional("cursor", CURSOR)?;
    let (after, partly) = match cursor {
        None => (None, None),
        Some(Cursor::After(event)) => (Some(event), None),
        Some(Cursor::Within(partly)) => (Some(partly.event), Some(partly)),
    };
    let asked = EventQuery {
        limit: query.limit()?,
        after,
        since: query.time("since")?,
        until: query.time("until")?,
        event_type: event_type.transpose()?,
        subject: query.optional("subject", "a text")?,
        descending,
    };
    query.finish()?;
    Ok(Asked { query: asked, partly })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "018566ad-3f93-7f0b-9ed5-36f7ac81ef7b";

    fn parsed(pairs: &[(&str, &str)]) -> Result<Asked, Invalid> {
        read(Query::new(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())?)
    }

    #[test]
    fn every_filter_is_read() {
        let query = parsed(&[
            ("limit", "7"),
            ("type", "order.created"),
            ("subject", "c-1"),
            ("since", "2023-07-18T15:32:13Z"),
            ("until", "2023-07-19T00:00:00+02:00"),
            ("cursor", ID),
            ("order", "desc"),
        ]);
        let expected = EventQuery {
            limit: 7,
            after: ID.parse().ok(),
            since: "2023-07-18T15:32:13Z".parse().ok(),
            until: "2023-07-18T22:00:00Z".parse().ok(),
            event_type: EventType::parse("order.created").ok(),
            subject: Some("c-1".to_owned()),
            descending: true,
        };
        assert_eq!(query, Ok(Asked { query: expected, partly: None }));
        assert!(!parsed(&[("order", "asc")]).unwrap().query.descending);
    }

    #[test]
    fn a_filter_that_can_not_be_read_is_named() {
        for (name, value) in
            [("type", "a b"), ("order", "up"), ("since", "yesterday"), ("until", "1"), ("cursor", "x"), ("page", "2")]
        {
            assert_eq!(parsed(&[(name, value)]).unwrap_err().field.as_deref(), Some(name));
        }
    }
    #[test]
    fn a_cursor_in_the_middle_of_an_event_goes_on_there() {
        let (id, cursor) = (ID.parse().unwrap(), format!("{ID}.7.yes"));
        let Ok(Cursor::Within(within)) = cursor.parse() else { panic!("{cursor}") };
        let asked = parsed(&[("cursor", &cursor)]).unwrap();
        assert_eq!((asked.partly, asked.query.after), (Some(within), Some(id)));
        let of_one =
            |id: EventId, cursor: &str| read_partly(Query::new(vec![("cursor".to_owned(), cursor.to_owned())])?, id);
        assert_eq!(of_one(id, &cursor), Ok(Some(within)));
        for (other, cursor) in [(EventId::LAST, cursor.as_str()), (id, ID), (id, "x")] {
            assert_eq!(of_one(other, cursor).unwrap_err().field.as_deref(), Some("cursor"));
        }
    }
}
