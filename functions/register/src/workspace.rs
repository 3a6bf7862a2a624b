//! The settings of the caller's workspace.

use axum::{body::Bytes, extract::State, http::StatusCode, response::Response};
use posthaste_api::WorkspaceAnswer;
use posthaste_runtime::{
    api::{ApiError, success},
    auth::{Allowed, scope::WebhooksManage},
};
use posthaste_store::Registry;

use crate::webhooks::{CHANGE_TRIES, Rules};

pub(crate) async fn show(
    caller: Allowed<WebhooksManage>,
    State(registry): State<Registry>,
    State(rules): State<Rules>,
) -> Result<Response, ApiError> {
    let settings = registry.workspaces.settings(&caller.workspace).await?;
    let answer = WorkspaceAnswer::of(&caller.workspace, settings, rules.default_profile);
    Ok(success(StatusCode::OK, answer))
}

pub(crate) async fn change(
    caller: Allowed<WebhooksManage>,
    State(registry): State<Registry>,
    State(rules): State<Rules>,
    body: Bytes,
) -> Result<Response, ApiError> {
    for _ in 0..CHANGE_TRIES {
        let read = registry.workspaces.stored(&caller.workspace).await?;
        let changed = read.settings.changed_by(&body)?;
        if registry.workspaces.change_settings(&caller.workspace, &read, &changed).await? {
            tracing::info!("changed the settings of a workspace");
            let answer = WorkspaceAnswer::of(&caller.workspace, changed, rules.default_profile);
            return Ok(success(StatusCode::OK, answer));
        }
    }
    Err(ApiError::Conflict)
}
