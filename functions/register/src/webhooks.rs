//! Registering, reading, changing and removing webhooks.

use std::time::Duration;

use axum::{body::Bytes, extract::State, http::StatusCode, response::Response};
use posthaste_api::{List, Removed, WebhookAnswer};
use posthaste_domain::{
    Invalid,
    access::workspace::Workspace,
    endpoint::{
        health::Health,
        lane::Lane,
        url::{StoredUrl, UrlPolicy},
    },
    id::WebhookId,
    input::Page,
    webhook::{
        Change, ChangeRequest, Registration, Settings, Webhook,
        defaults::Catalogue,
        key::WebhookKey,
        profile::Profile,
        rotation::{RotateSecret, Secrets},
        secret::Secret,
    },
};
use posthaste_runtime::{
    api::{ApiError, success},
    auth::{Allowed, scope::WebhooksManage},
    clock,
    keys::{Keys, KeysError},
    query::Query,
    random,
};
use posthaste_store::{Deliveries, Registry, Replaced, StoreError, Written};

use crate::{
    nudge::Turns,
    path::{InPath, NamedWebhook},
};

/// The number of times that a change is tried again when another call changed the webhook in
/// between.
pub(crate) const CHANGE_TRIES: u32 = 5;
/// The time that a change waits for the encryption key when all it would do with it is to replace
/// an older one.
const RESEALING: Duration = Duration::from_secs(2);

/// An answer warns of so many types at most: each of them is compared with all that there are.
const MAX_WARNINGS: usize = 20;
/// So many process types of a workspace are read.
const MAX_TYPES: i32 = 1_000;

/// The rules of the deployment for webhooks.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    /// The URLs that a webhook may have.
    pub(crate) urls: UrlPolicy,
    /// The number of webhooks that a workspace may have.
    pub(crate) most: usize,
    /// The profile of webhooks whose registration and workspace name none.
    pub(crate) default_profile: Profile,
    /// The time for which the history is kept.
    pub(crate) retention: Duration,
}

pub(crate) async fn create(
    caller: Allowed<WebhooksManage>,
    State(registry): State<Registry>,
    State(deliveries): State<Deliveries>,
    State(rules): State<Rules>,
    State(keys): State<Keys>,
    body: Bytes,
) -> Result<Response, ApiError> {
    let workspace = caller.workspace.clone();
    let own = registry.workspaces.settings(&workspace).await?;
    let profile = own.default_profile.unwrap_or(rules.default_profile);
    let Registration { settings: open, headers } =
        Registration::parse(&body, &rules.urls, profile)?;
    let mut warnings = check_types(&registry, &workspace, &open, None, own.catalogue).await?;
    warnings.extend(doubts(&deliveries, &workspace, &open, None, &own.process_types).await);
    let secret = new_secret()?;
    let key = WebhookKey { workspace, id: registry.webhooks.next_id().await? };
    let secrets = Secrets::new(keys.seal_secret(&key, &secret).await?);
    let headers = keys.seal_headers(&key, &headers).await?;
    let settings = sealed(&keys, &key, open.clone()).await?;
    let now = clock::now();
    let webhook = Webhook {
        key,
        settings,
        secrets,
        headers,
        created_at: now,
        updated_at: now,
        health: Health::default(),
        revision: 1,
    };
    match registry.webhooks.insert(&webhook, rules.most).await? {
        Written::Done => {}
        Written::Refused(invalid) => return Err(invalid.into()),
        Written::Stale => return Err(ApiError::Conflict),
    }
    tracing::info!(webhook.id = %webhook.key.id, "registered a webhook");
    let webhook = Webhook { settings: open, ..webhook };
    let answer = WebhookAnswer::of(&webhook, &Lane::default(), now);
    Ok(success(StatusCode::CREATED, answer.with_secret(&secret).with_warnings(warnings)))
}

pub(crate) async fn list(
    caller: Allowed<WebhooksManage>,
    State(registry): State<Registry>,
    State(deliveries): State<Deliveries>,
    State(keys): State<Keys>,
    Query(Page { limit, after }): Query<Page<WebhookId>>,
) -> Result<Response, ApiError> {
    let page = registry.webhooks.page(&caller.workspace, limit, after).await?;
    let wanted: Vec<_> = page.items.iter().map(|webhook| webhook.key.clone()).collect();
    let mut lanes = deliveries.lanes.get_all(&wanted).await;
    if !lanes.unread.is_empty() {
        return Err(ApiError::Internal);
    }
    let now = clock::now();
    let mut items = Vec::new();
    for webhook in page.items {
        let lane = lanes.items.remove(&webhook.key).unwrap_or_default();
        items.push(WebhookAnswer::of(&opened(&keys, webhook).await?, &lane, now));
    }
    Ok(success(StatusCode::OK, List { items, next: page.next.map(|id| id.to_string()) }))
}

pub(crate) async fn show(
    named: NamedWebhook,
    State(registry): State<Registry>,
    State(deliveries): State<Deliveries>,
    State(keys): State<Keys>,
) -> Result<Response, ApiError> {
    let webhook = opened(&keys, named.read(&registry).await?).await?;
    let lane = deliveries.lanes.get(&webhook.key).await?;
    Ok(success(StatusCode::OK, WebhookAnswer::of(&webhook, &lane, clock::now())))
}

pub(crate) async fn change(
    NamedWebhook(key): NamedWebhook,
    State(registry): State<Registry>,
    State(deliveries): State<Deliveries>,
    State(turns): State<Turns>,
    State(rules): State<Rules>,
    State(keys): State<Keys>,
    body: Bytes,
) -> Result<Response, ApiError> {
    let request = ChangeRequest::parse(&body, &rules.urls)?;
    let own = registry.workspaces.settings(&key.workspace).await?;
    let profile = own.default_profile.unwrap_or(rules.default_profile);
    // Whether an earlier try, whose answer got lost, or this one sends requests elsewhere.
    for _ in 0..CHANGE_TRIES {
        let webhook = registry.webhooks.get(&key).await?.ok_or(WebhookId::MISSING)?;
        let was = resealed(&keys, webhook.clone()).await;
        let Change { mut settings, headers, enables } =
            request.applied_to(&webhook.settings, profile)?;
        let old = Some(&webhook.settings);
        let mut warnings =
            check_types(&registry, &key.workspace, &settings, old, own.catalogue).await?;
        let declared = &own.process_types;
        warnings.extend(doubts(&deliveries, &key.workspace, &settings, old, declared).await);
        let moved = moved(&keys, &webhook, &settings.url).await?;
        settings = if moved {
            sealed(&keys, &key, settings).await?
        } else {
            Settings { url: webhook.settings.url.clone(), ..settings }
        };
        let headers = match headers {
            Some(headers) => keys.seal_headers(&key, &headers).await?,
            None => webhook.headers,
        };
        // Another endpoint has done nothing yet. And saying that it is enabled enables it again
        // after it was disabled.
        let afresh = moved || (enables && webhook.health != Health::default());
        let health = if afresh { Health::default() } else { webhook.health };
        let at = clock::now();
        let changed = Webhook { settings, headers, updated_at: at, health, ..webhook };
        let changed = resealed(&keys, changed).await;
        let was = Replaced { webhook: &was, at, retention: rules.retention };
        match registry.webhooks.change(&changed, was, afresh).await? {
            Written::Done => {
                let lane = turns.nudge(&key).await;
                let shown = shown(&keys, changed).await;
                let answer = WebhookAnswer::of(&shown, &lane, clock::now());
                return Ok(success(StatusCode::OK, answer.with_warnings(warnings)));
            }
            Written::Refused(invalid) => return Err(invalid.into()),
            Written::Stale => {}
        }
    }
    Err(ApiError::Conflict)
}

/// A new secret. The answer is the only one that shows it.
pub(crate) async fn rotate(
    NamedWebhook(key): NamedWebhook,
    State(registry): State<Registry>,
    State(deliveries): State<Deliveries>,
    State(Rules { retention, .. }): State<Rules>,
    State(keys): State<Keys>,
    body: Bytes,
) -> Result<Response, ApiError> {
    let overlap = RotateSecret::parse(&body)?.overlap();
    let secret = new_secret()?;
    // Nothing may fail after the rotation: its answer is the only one that shows the secret.
    let lane = deliveries.lanes.get(&key).await?;
    let mut sealed = None;
    for _ in 0..CHANGE_TRIES {
        let webhook = registry.webhooks.get(&key).await?.ok_or(WebhookId::MISSING)?;
        let was = resealed(&keys, webhook.clone()).await;
        let new = match sealed.take() {
            // A write whose answer got lost: it was carried out, and its repetition refused.
            Some(new) if webhook.secrets.iter().any(|other| *other == new) => {
                let webhook = shown(&keys, webhook).await;
                return Ok(with_secret(&webhook, &lane, &secret));
            }
            Some(new) => new,
            None => keys.seal_secret(&key, &secret).await?,
        };
        let secrets = webhook.secrets.clone().rotate(new, clock::now(), overlap)?;
        let rotated = resealed(&keys, Webhook { secrets, ..webhook }).await;
        let was = Replaced { webhook: &was, at: clock::now(), retention };
        if let Written::Done = registry.webhooks.change(&rotated, was, false).await? {
            tracing::info!("rotated a secret");
            return Ok(with_secret(&shown(&keys, rotated).await, &lane, &secret));
        }
        sealed = Some(rotated.secrets.current);
    }
    Err(ApiError::Conflict)
}

fn with_secret(webhook: &Webhook, lane: &Lane, secret: &Secret) -> Response {
    let answer = WebhookAnswer::of(webhook, lane, clock::now()).with_secret(secret);
    success(StatusCode::OK, answer)
}

pub(crate) async fn remove(
    NamedWebhook(key): NamedWebhook,
    State(registry): State<Registry>,
    State(turns): State<Turns>,
    State(Rules { retention, .. }): State<Rules>,
    State(keys): State<Keys>,
) -> Result<Response, ApiError> {
    for _ in 0..CHANGE_TRIES {
        let was = match registry.webhooks.get(&key).await {
            Ok(found) => Some(resealed(&keys, found.ok_or(WebhookId::MISSING)?).await),
            Err(error @ StoreError::Corrupt { .. }) => {
                tracing::error!(%error, "a webhook is removed that can't be read");
                None
            }
            Err(error) => return Err(error.into()),
        };
        let at = clock::now();
        let was = was.as_ref().map(|webhook| Replaced { webhook, at, retention });
        if let Written::Done = registry.webhooks.delete(&key, was).await? {
            turns.nudge(&key).await;
            tracing::info!("removed a webhook");
            return Ok(success(StatusCode::OK, Removed::of(key.id)));
        }
    }
    Err(ApiError::Conflict)
}

fn new_secret() -> Result<Secret, ApiError> {
    Ok(Secret::new(random::bytes()?))
}

/// What is written is sealed with the newest key. Where that can't be had in a moment, it stays as
/// it is: a webhook can be paused whatever becomes of the key.
async fn resealed(keys: &Keys, webhook: Webhook) -> Webhook {
    match tokio::time::timeout(RESEALING, keys.reseal(&webhook)).await {
        Ok(Ok(Some(resealed))) => resealed,
        Ok(Ok(None)) => webhook,
        Ok(Err(error)) => {
            tracing::warn!(%error, "a webhook stays sealed as it is");
            webhook
        }
        Err(_) => {
            tracing::warn!("a webhook stays sealed as it is: the key did not come in time");
            webhook
        }
    }
}

/// Settings whose URL is open, as they are stored.
async fn sealed(
    keys: &Keys,
    webhook: &WebhookKey,
    settings: Settings,
) -> Result<Settings, ApiError> {
    match &settings.url {
        StoredUrl::Open(url) => {
            Ok(Settings { url: keys.seal_url(webhook, url).await?, ..settings })
        }
        StoredUrl::Sealed { .. } => Ok(settings),
    }
}

/// A webhook whose owner sees its URL.
pub(crate) async fn opened(keys: &Keys, webhook: Webhook) -> Result<Webhook, ApiError> {
    let url = StoredUrl::Open(keys.open_url(&webhook).await?);
    Ok(Webhook { settings: Settings { url, ..webhook.settings }, ..webhook })
}

/// The same after a change, whose answer must not fail: where the key can't be had in a moment, the
/// owner sees the origin only.
async fn shown(keys: &Keys, webhook: Webhook) -> Webhook {
    match tokio::time::timeout(RESEALING, keys.open_url(&webhook)).await {
        Ok(Ok(url)) => Webhook {
            settings: Settings { url: StoredUrl::Open(url), ..webhook.settings },
            ..webhook
        },
        Ok(Err(error)) => {
            tracing::warn!(%error, "a webhook's URL is answered without what is sealed of it");
            webhook
        }
        Err(_) => {
            tracing::warn!(
                "a webhook's URL is answered without what is sealed of it: the key did not \
                 come in time"
            );
            webhook
        }
    }
}

/// Returns whether a change sends requests elsewhere. What a URL was that does not open any more,
/// nobody can say.
async fn moved(keys: &Keys, webhook: &Webhook, url: &StoredUrl) -> Result<bool, ApiError> {
    let StoredUrl::Open(new) = url else { return Ok(false) };
    match keys.open_url(webhook).await {
        Ok(old) => Ok(old != *new),
        Err(KeysError::Seal(_)) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

/// Complains about types that are not known: a closed catalogue refuses them, an open one warns of
/// them. Of the workspace's types those are read that the built-in ones lack, and others only to
/// suggest one.
async fn check_types(
    registry: &Registry,
    workspace: &Workspace,
    settings: &Settings,
    old: Option<&Settings>,
    catalogue: Catalogue,
) -> Result<Vec<Invalid>, ApiError> {
    let mut known = registry.types.matching(workspace, settings.new_patterns(old, &[])).await?;
    if catalogue == Catalogue::Open {
        let patterns = settings.new_patterns(old, &known);
        known.extend(registry.published.matching(workspace, patterns).await?);
    }
    if settings.new_patterns(old, &known).is_empty() {
        return Ok(Vec::new());
    }
    let mut similar = registry.types.some_names(workspace).await?;
    if catalogue == Catalogue::Open {
        similar.extend(registry.published.some_names(workspace).await?);
    }
    let mut unknown = settings.unknown_types(old, &known, &similar);
    match catalogue {
        Catalogue::Open => Ok(unknown.take(MAX_WARNINGS).collect()),
        Catalogue::Closed => unknown.next().map_or(Ok(Vec::new()), |invalid| Err(invalid.into())),
    }
}

/// Doubts about new rows of the filters. The process types that the workspace has seen are read
/// only where there is a row that neither the documents nor the workspace's settings name. A doubt
/// that can't be looked into is none.
async fn doubts(
    deliveries: &Deliveries,
    workspace: &Workspace,
    settings: &Settings,
    old: Option<&Settings>,
    declared: &[String],
) -> Vec<Invalid> {
    if settings.warnings(old, declared).is_empty() {
        return Vec::new();
    }
    match deliveries.runs.types(workspace, MAX_TYPES).await {
        Ok(mut known) => {
            known.extend_from_slice(declared);
            settings.warnings(old, &known)
        }
        Err(error) => {
            tracing::warn!(%error, "the process types of a workspace could not be read");
            Vec::new()
        }
    }
}
