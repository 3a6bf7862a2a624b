//! API keys of a workspace.

use axum::{
    body::Bytes,
    extract::{Path, Query as UrlQuery, State},
    http::StatusCode,
    response::Response,
};
use posthaste_api::{KeyAnswer, List, Removed};
use posthaste_domain::{
    api_key::{ApiKey, KeyInfo, NewKey, Scope},
    id::KeyId,
};
use posthaste_runtime::{
    api::{ApiError, success},
    auth::Caller,
    clock,
    door::Door,
    query::Query,
    random,
};
use posthaste_store::Registry;

pub(crate) async fn create(
    caller: Caller,
    State(registry): State<Registry>,
    body: Bytes,
) -> Result<Response, ApiError> {
    caller.needs(Scope::KeysManage)?;
    let asked = NewKey::parse(&body)?;
    if asked.workspace.as_ref().is_some_and(|workspace| *workspace != caller.workspace) {
        caller.needs(Scope::WorkspacesManage)?;
    }
    if let Some(scope) = asked.beyond(&caller.scopes) {
        return Err(ApiError::Forbidden(scope));
    }
    let internal = |error| ApiError::internal(&error);
    let key = ApiKey::new(asked.environment, &random::bytes().map_err(internal)?);
    let now = clock::now();
    let info = KeyInfo {
        id: KeyId::new(now, &random::bytes().map_err(internal)?),
        workspace: asked.workspace.unwrap_or(caller.workspace),
        name: asked.name,
        scopes: asked.scopes,
        environment: asked.environment,
        created_at: now,
    };
    registry.insert_key(&key.hash(), &info).await?;
    tracing::info!(key.id = %info.id, key.workspace = %info.workspace, "made an API key");
    Ok(success(StatusCode::CREATED, KeyAnswer { info, key: Some(key.reveal().to_owned()) }))
}

pub(crate) async fn list(
    caller: Caller,
    State(registry): State<Registry>,
    UrlQuery(query): UrlQuery<Vec<(String, String)>>,
) -> Result<Response, ApiError> {
    caller.needs(Scope::KeysManage)?;
    let mut query = Query::new(query)?;
    let (limit, after) = (query.limit()?, query.optional("cursor", "the next of an earlier answer")?);
    query.finish()?;
    let page = registry.keys_page(&caller.workspace, limit, after).await?;
    let items = page.items.into_iter().map(|info| KeyAnswer { info, key: None }).collect();
    Ok(success(StatusCode::OK, List { items, next: page.next.map(|id| id.to_string()) }))
}

pub(crate) async fn remove(
    caller: Caller,
    State(registry): State<Registry>,
    State(door): State<Door>,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    caller.needs(Scope::KeysManage)?;
    let no_key = || ApiError::NotFound("API key with this id");
    let id: KeyId = id.parse().map_err(|_| no_key())?;
    let (info, hash) = registry.listed_key(&caller.workspace, id).await?.ok_or_else(no_key)?;
    if let Some(scope) = info.beyond(&caller.scopes) {
        return Err(ApiError::Forbidden(scope));
    }
    registry.delete_key(&info, &hash).await?;
    door.forget(&hash);
    tracing::info!(key.id = %id, "deleted an API key");
    Ok(success(StatusCode::OK, Removed::of(id)))
}
