//! API keys of a workspace.

use axum::{body::Bytes, extract::State, http::StatusCode, response::Response};
use posthaste_api::{KeyAnswer, List, Removed};
use posthaste_domain::{
    access::api_key::{ApiKey, KeyInfo, NewKey, Scope},
    id::KeyId,
    input::Page,
};
use posthaste_runtime::{
    api::{ApiError, success},
    auth::{Allowed, scope::KeysManage},
    clock,
    door::Door,
    query::Query,
    random,
};
use posthaste_store::Registry;

use crate::path::{InPath, Named};

pub(crate) async fn create(
    caller: Allowed<KeysManage>,
    State(registry): State<Registry>,
    body: Bytes,
) -> Result<Response, ApiError> {
    let asked = NewKey::parse(&body)?;
    let environment = asked.environment_for(caller.workspace.environment())?;
    let workspace = asked.workspace.as_ref().unwrap_or(&caller.workspace);
    if workspace.name() != caller.workspace.name() {
        caller.needs(Scope::WorkspacesManage)?;
    }
    if let Some(scope) = asked.beyond(&caller.scopes) {
        return Err(ApiError::Forbidden(scope));
    }
    let key = ApiKey::new(environment, &new_bytes()?);
    let now = clock::now();
    let info = KeyInfo {
        id: KeyId::new(now, &new_bytes()?),
        workspace: workspace.in_environment(environment),
        name: asked.name,
        scopes: asked.scopes,
        environment,
        created_at: now,
    };
    registry.keys.insert(&key.hash(), &info).await?;
    tracing::info!(key.id = %info.id, key.workspace = %info.workspace, "made an API key");
    let answer = KeyAnswer { key: Some(key.reveal().to_owned()), ..KeyAnswer::of(info) };
    Ok(success(StatusCode::CREATED, answer))
}

pub(crate) async fn list(
    caller: Allowed<KeysManage>,
    State(registry): State<Registry>,
    Query(Page { limit, after }): Query<Page<KeyId>>,
) -> Result<Response, ApiError> {
    let page = registry.keys.page(&caller.workspace, limit, after).await?;
    let items = page.items.into_iter().map(KeyAnswer::of).collect();
    Ok(success(StatusCode::OK, List { items, next: page.next.map(|id| id.to_string()) }))
}

pub(crate) async fn remove(
    caller: Allowed<KeysManage>,
    Named(id): Named<KeyId>,
    State(registry): State<Registry>,
    State(door): State<Door>,
) -> Result<Response, ApiError> {
    let (info, hash) = registry.keys.listed(&caller.workspace, id).await?.ok_or(KeyId::MISSING)?;
    if let Some(scope) = info.beyond(&caller.scopes) {
        return Err(ApiError::Forbidden(scope));
    }
    registry.keys.delete(&caller.workspace, id, &hash).await?;
    door.forget(&hash);
    tracing::info!(key.id = %id, "deleted an API key");
    Ok(success(StatusCode::OK, Removed::of(id)))
}

fn new_bytes<const COUNT: usize>() -> Result<[u8; COUNT], ApiError> {
    Ok(random::bytes()?)
}
