//! Portal links of a workspace.

use axum::{
    Router,
    body::Bytes,
    extract::{FromRef, Path, State},
    http::{HeaderMap, StatusCode, header, uri::Authority},
    middleware,
    response::Response,
    routing::{delete, get},
};
use posthaste_api::{List, PortalLinkAnswer, Removed};
use posthaste_domain::{
    access::portal_link::{NewPortalLink, PortalLink, PortalToken},
    id::PortalLinkId,
    input::Page,
};
use posthaste_runtime::{
    api::{ApiError, success},
    auth::{Allowed, scope::KeysManage},
    clock,
    door::{self, Door},
    query::Query,
    random,
};
use posthaste_store::{Registry, Unread};

const MISSING: ApiError = ApiError::NotFound("portal link with this id");

#[derive(Clone, FromRef)]
struct Shared {
    registry: Registry,
    door: Door,
}

/// The routes for portal links.
pub(crate) fn routes(registry: Registry, door: Door) -> Router {
    Router::new()
        .route("/api/v1/portal-links", get(list).post(create))
        .route("/api/v1/portal-links/{id}", delete(remove))
        .layer(middleware::from_fn_with_state(door.clone(), door::weigh))
        .with_state(Shared { registry, door })
}

async fn create(
    caller: Allowed<KeysManage>,
    State(registry): State<Registry>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let asked = NewPortalLink::parse(&body)?;
    if let Some(scope) = asked.beyond(&caller.scopes) {
        return Err(ApiError::Forbidden(scope));
    }
    if let Some(ids) = &asked.webhook_ids {
        let existing = registry.webhooks.existing(&caller.workspace, ids).await;
        if !existing.unread.is_empty() {
            return Err(Unread.into());
        }
        asked.check_webhooks(|id| existing.items.contains_key(&id))?;
    }
    let origin = origin(&headers).ok_or(ApiError::Unreadable)?;
    let token = PortalToken::new(&random::bytes()?);
    let now = clock::now();
    let id = PortalLinkId::new(now, &random::bytes()?);
    let maker = (caller.key, caller.key_hash.clone());
    let link = PortalLink::new(id, caller.workspace.clone(), asked, maker, now);
    registry.portal_links.insert(&token.hash(), &link).await?;
    tracing::info!(link.id = %id, key.id = %caller.key, "made a portal link");
    // Logs have the paths of calls and no queries.
    let url = format!("{origin}/console/enter?link={}", token.reveal());
    let answer = PortalLinkAnswer { url: Some(url), ..PortalLinkAnswer::of(link) };
    Ok(success(StatusCode::CREATED, answer))
}

async fn list(
    caller: Allowed<KeysManage>,
    State(registry): State<Registry>,
    Query(Page { limit, after }): Query<Page<PortalLinkId>>,
) -> Result<Response, ApiError> {
    let page = registry.portal_links.page(&caller.workspace, limit, after).await?;
    let items = page.items.into_iter().map(PortalLinkAnswer::of).collect();
    Ok(success(StatusCode::OK, List { items, next: page.next.map(|id| id.to_string()) }))
}

async fn remove(
    caller: Allowed<KeysManage>,
    Path(id): Path<String>,
    State(registry): State<Registry>,
) -> Result<Response, ApiError> {
    // A text that is no id is the id of nothing.
    let id: PortalLinkId = id.parse().map_err(|_| MISSING)?;
    let link = registry.portal_links.get(&caller.workspace, id).await?.ok_or(MISSING)?;
    if let Some(scope) = link.beyond(&caller.scopes) {
        return Err(ApiError::Forbidden(scope));
    }
    registry.portal_links.delete(&caller.workspace, id).await?;
    tracing::info!(link.id = %id, "deleted a portal link");
    Ok(success(StatusCode::OK, Removed::of(id)))
}

/// The scheme and the host that the call was made to. API Gateway says the scheme.
fn origin(headers: &HeaderMap) -> Option<String> {
    let host = headers.get(header::HOST)?.to_str().ok()?;
    if host.contains('@') {
        return None;
    }
    let host: Authority = host.parse().ok()?;
    let is_plain = headers.get("x-forwarded-proto").is_some_and(|scheme| scheme == "http");
    let scheme = if is_plain { "http" } else { "https" };
    Some(format!("{scheme}://{host}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_of_the_host_that_the_call_was_made_to() {
        for (host, scheme, expected) in [
            (
                Some("a1b2.execute-api.eu-central-1.amazonaws.com"),
                Some("https"),
                Some("https://a1b2.execute-api.eu-central-1.amazonaws.com"),
            ),
            (Some("127.0.0.1:9000"), Some("http"), Some("http://127.0.0.1:9000")),
            (Some("hooks.example.com"), None, Some("https://hooks.example.com")),
            (Some("hooks.example.com"), Some("javascript"), Some("https://hooks.example.com")),
            (Some("me@hooks.example.com"), Some("https"), None),
            (Some("a b"), None, None),
            (None, Some("https"), None),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(host) = host {
                headers.insert(header::HOST, host.parse().unwrap());
            }
            if let Some(scheme) = scheme {
                headers.insert("x-forwarded-proto", scheme.parse().unwrap());
            }
            assert_eq!(origin(&headers).as_deref(), expected, "{host:?} {scheme:?}");
        }
    }
}
