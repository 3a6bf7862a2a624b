//! Registering, reading, changing and removing webhooks.

use std::collections::BTreeMap;

use axum::{
    body::Bytes,
    extract::{Path, Query as UrlQuery, State},
    http::StatusCode,
    response::Response,
};
use posthaste_api::{List, Removed, WebhookAnswer};
use posthaste_domain::{
    api_key::Scope,
    health::Health,
    id::WebhookId,
    input::Fields,
    secret::Secret,
    url::UrlPolicy,
    webhook::{Settings, Webhook},
    workspace::Workspace,
};
use posthaste_runtime::{
    api::{ApiError, success},
    auth::Caller,
    clock,
    query::Query,
    random,
};
use posthaste_store::Registry;

/// How often a change is tried again when another call changed the webhook in between.
const CHANGE_TRIES: u32 = 5;
const NO_WEBHOOK: ApiError = ApiError::NotFound("webhook with this id");

pub(crate) async fn create(
    caller: Caller,
    State(registry): State<Registry>,
    State(policy): State<UrlPolicy>,
    body: Bytes,
) -> Result<Response, ApiError> {
    caller.needs(Scope::WebhooksManage)?;
    let settings = Settings::register(Fields::of_body(&body)?, &policy)?;
    check_types(&registry, &caller.workspace, &settings, None).await?;
    let secret = Secret::new(random::bytes().map_err(|error| ApiError::internal(&error))?);
    let now = clock::now();
    let id = registry.next_webhook_id().await?;
    let webhook = Webhook {
        id,
        workspace: caller.workspace,
        settings,
        secret,
        created_at: now,
        updated_at: now,
        health: Health::default(),
    };
    registry.insert_webhook(&webhook).await?;
    tracing::info!(webhook.id = %id, workspace = %webhook.workspace, "registered a webhook");
    let secret = Some(webhook.secret.reveal());
    Ok(success(StatusCode::CREATED, WebhookAnswer { secret, ..WebhookAnswer::of(&webhook) }))
}

pub(crate) async fn list(
    caller: Caller,
    State(registry): State<Registry>,
    UrlQuery(query): UrlQuery<BTreeMap<String, String>>,
) -> Result<Response, ApiError> {
    caller.needs(Scope::WebhooksManage)?;
    let mut query = Query::new(query);
    let (limit, after) = (query.limit()?, query.optional("cursor", "the next of an earlier answer")?);
    query.finish()?;
    let page = registry.webhooks_page(&caller.workspace, limit, after).await?;
    let items = page.items.iter().map(WebhookAnswer::of).collect();
    Ok(success(StatusCode::OK, List { items, next: page.next.map(|id| id.to_string()) }))
}

pub(crate) async fn show(
    caller: Caller,
    State(registry): State<Registry>,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    caller.needs(Scope::WebhooksManage)?;
    let webhook = find(&registry, &caller.workspace, &id).await?;
    Ok(success(StatusCode::OK, WebhookAnswer::of(&webhook)))
}

pub(crate) async fn change(
    caller: Caller,
    State(registry): State<Registry>,
    State(policy): State<UrlPolicy>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Response, ApiError> {
    caller.needs(Scope::WebhooksManage)?;
    let id = parse_id(&id)?;
    let enables = Fields::of_body(&body)?.raw("enabled").is_some_and(|raw| raw.get() == "true");
    for _ in 0..CHANGE_TRIES {
        let (webhook, revision) = registry.webhook(&caller.workspace, id).await?.ok_or(NO_WEBHOOK)?;
        let settings = webhook.settings.change(Fields::of_body(&body)?, &policy)?;
        check_types(&registry, &caller.workspace, &settings, Some(&webhook.settings)).await?;
        // Saying that it is enabled enables it again after it was disabled, with a clean slate.
        let afresh = enables && webhook.health.disabled.is_some();
        let health = if afresh { Health::default() } else { webhook.health };
        let changed = Webhook { settings, updated_at: clock::now(), health, ..webhook };
        if registry.change_webhook(&changed, revision, afresh).await? {
            return Ok(success(StatusCode::OK, WebhookAnswer::of(&changed)));
        }
    }
    Err(ApiError::Conflict)
}

pub(crate) async fn remove(
    caller: Caller,
    State(registry): State<Registry>,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    caller.needs(Scope::WebhooksManage)?;
    let id = parse_id(&id)?;
    if !registry.delete_webhook(&caller.workspace, id).await? {
        return Err(NO_WEBHOOK);
    }
    tracing::info!(webhook.id = %id, workspace = %caller.workspace, "removed a webhook");
    Ok(success(StatusCode::OK, Removed::of(id)))
}

/// Refuses what is not known. The workspace's own types are read only when the catalogue does not do.
async fn check_types(
    registry: &Registry,
    workspace: &Workspace,
    settings: &Settings,
    old: Option<&Settings>,
) -> Result<(), ApiError> {
    if settings.check_types(old, &[]).is_ok() {
        return Ok(());
    }
    let own = registry.type_names(workspace).await?;
    Ok(settings.check_types(old, &own)?)
}

/// The webhook with this id, if it is the workspace's.
pub(crate) async fn find(registry: &Registry, workspace: &Workspace, id: &str) -> Result<Webhook, ApiError> {
    let found = registry.webhook(workspace, parse_id(id)?).await?;
    found.map(|(webhook, _)| webhook).ok_or(NO_WEBHOOK)
}

/// What is no id is the id of nothing.
fn parse_id(id: &str) -> Result<WebhookId, ApiError> {
    id.parse().map_err(|_| NO_WEBHOOK)
}
