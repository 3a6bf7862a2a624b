//! `POST /api/v1/events`: the 202 is a promise, so it is given only when SQS has every event.

use std::collections::{BTreeSet, HashMap};

use axum::{
    Extension,
    body::Bytes,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode},
    response::Response,
};
use posthaste_api::{Accepted, AcceptedMany, Publishing};
use posthaste_domain::{
    Invalid,
    access::workspace::Workspace,
    event::{Call, Event, NewEvent, Published, catalogue},
    id::EventId,
    metrics::Metric,
    trace::{self, TraceParent},
    webhook::defaults::Catalogue,
};
use posthaste_queue::Queue;
use posthaste_runtime::{
    api::{ApiError, Hops, success},
    auth::{Allowed, scope::EventsPublish},
    checks::Checks,
    clock,
    event_message::event_message,
    limiter::Limiter,
    query::Query,
    random, telemetry,
};
use posthaste_store::{Bucket, Registry};

use crate::{dry_run, keyed::Keyed};

pub(crate) async fn publish(
    caller: Allowed<EventsPublish>,
    State(state): State<crate::State>,
    Extension(Hops(hops)): Extension<Hops>,
    Query(Publishing { dry_run }): Query<Publishing>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let traceparent =
        TraceParent::of_headers(headers.get_all(trace::HEADER).iter().map(HeaderValue::as_bytes));
    let call = Call { hops, traceparent };
    let keyed = Keyed::of(&headers, &state.registry, &caller.workspace)?;
    let published = NewEvent::parse_call(&body)?;
    if let Some(page) = dry_run {
        // It takes no key, so that the call that publishes can have it.
        return dry_run::answer(&state, &caller.workspace, call, published, page).await;
    }
    let crate::State { registry, events: queue, checks, limiter, .. } = &state;
    let alone = matches!(published, Published::One(_));
    let count = published.events().len();
    admit(limiter, &caller.workspace, count).await?;
    let (published, checked) = check(registry, checks, &caller.workspace, published).await?;
    let now = clock::now();
    let events = match keyed {
        None => {
            checked?;
            let mark = random::bytes()?;
            let mut ids = Vec::with_capacity(count);
            for nth in 0..count {
                let entropy = random::bytes()?;
                ids.push(EventId::new(now, &entropy).of(mark, nth));
            }
            let events = published.accept(&ids, &caller.workspace, call, now);
            enqueue(queue, &events).await?;
            events
        }
        Some(keyed) => {
            let started = keyed.start(&body, checked, now).await?;
            let ids = started.event_ids(count);
            let events = published.accept(&ids, &caller.workspace, call, started.accepted_at);
            if !started.sent {
                enqueue(queue, &events).await?;
                keyed.sent(&started).await;
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

/// A call is counted when its body could be read, so a repeated call counts again, and so does one
/// that is refused for what its events say.
async fn admit(limiter: &Limiter, workspace: &Workspace, events: usize) -> Result<(), ApiError> {
    let bucket = Bucket::Publishing(workspace.clone());
    limiter.admit(&bucket, u32::try_from(events).unwrap_or(u32::MAX)).await.map_err(|over| {
        if over.is_new {
            tracing::info!(events, "a publishing call is over its workspace's limit");
        }
        ApiError::RateLimited(over)
    })
}

/// Checks data against the schemas of its types. The workspace's own are read with one call; the
/// built-in ones are at hand. Whether a type may be unknown is read when one is.
pub(crate) async fn check(
    registry: &Registry,
    checks: &Checks,
    workspace: &Workspace,
    published: Published,
) -> Result<(Published, Result<(), Invalid>), ApiError> {
    let types = published.events().iter().map(NewEvent::event_type);
    let own = types.filter(|name| catalogue::find(name.as_str()).is_none());
    let own: BTreeSet<_> = own.map(|name| (workspace.clone(), name.clone())).collect();
    let found = registry.types.by_name(own).await;
    if !found.unread.is_empty() {
        return Err(ApiError::Internal);
    }
    let own: HashMap<_, _> = found.items.into_iter().map(|((_, name), own)| (name, own)).collect();
    let known = published.of_known_types(&own);
    if known < published.events().len()
        && registry.workspaces.settings(workspace).await?.catalogue == Catalogue::Closed
    {
        let checked = published.check_types(&own);
        return Ok((published, checked));
    }
    if known == 0 {
        return Ok((published, Ok(())));
    }
    let checked = checks.run(move || {
        let checked = published.check(&own);
        (published, checked)
    });
    Ok(checked.await?)
}

async fn enqueue(queue: &Queue, events: &[Event]) -> Result<(), ApiError> {
    let mut messages = Vec::with_capacity(events.len());
    for (nth, event) in events.iter().enumerate() {
        messages.push(event_message(event, nth)?);
    }
    let failed = queue.send(&messages).await;
    // What is on the queue is delivered, whatever is answered.
    telemetry::count(Metric::Accepted, events.len() - failed.len());
    if let Some(event) = events.first() {
        telemetry::measured_of(&event.workspace);
    }
    failed.first().map_or(Ok(()), |(_, error)| Err(ApiError::internal(error)))
}
