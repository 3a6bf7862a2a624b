//! The things that the path of a call names, as arguments of the handlers.

use std::{collections::HashMap, str::FromStr};

use axum::{
    extract::{FromRequestParts, Path},
    http::request::Parts,
    response::{IntoResponse, Response},
};
use posthaste_domain::{
    Timestamp,
    id::{DeliveryId, EventId, JobId, KeyId, WebhookId},
    webhook::{Webhook, key::WebhookKey},
};
use posthaste_runtime::{
    api::ApiError,
    auth::{Allowed, scope::WebhooksManage},
};
use posthaste_store::{Registry, RemovedWebhook};

use crate::Shared;

/// The id of a thing that a path can name. A text that is no id is the id of nothing.
pub(crate) trait InPath: FromStr {
    /// The name of the part of the path.
    const PART: &str;
    /// The answer where there is no such thing.
    const MISSING: ApiError;
}

impl InPath for WebhookId {
    const PART: &str = "id";
    const MISSING: ApiError = ApiError::NotFound("webhook with this id");
}

impl InPath for DeliveryId {
    const PART: &str = "delivery";
    const MISSING: ApiError = ApiError::NotFound("delivery with this id");
}

impl InPath for JobId {
    const PART: &str = "job";
    const MISSING: ApiError = ApiError::NotFound("replay with this id");
}

impl InPath for EventId {
    const PART: &str = "id";
    const MISSING: ApiError = ApiError::NotFound("event with this id");
}

impl InPath for KeyId {
    const PART: &str = "id";
    const MISSING: ApiError = ApiError::NotFound("API key with this id");
}

/// The id that the path names. It comes behind the caller among the arguments: whoever lacks the
/// scope learns nothing about ids.
pub(crate) struct Named<I>(pub(crate) I);

impl<I: InPath> FromRequestParts<Shared> for Named<I> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &Shared) -> Result<Self, Response> {
        let Path(named) = Path::<HashMap<String, String>>::from_request_parts(parts, state)
            .await
            .map_err(IntoResponse::into_response)?;
        let id = named.get(I::PART).and_then(|text| text.parse().ok());
        id.map(Self).ok_or_else(|| I::MISSING.into_response())
    }
}

/// The key of the webhook that the path names, which the caller may manage if there is one.
pub(crate) struct NamedWebhook(pub(crate) WebhookKey);

impl FromRequestParts<Shared> for NamedWebhook {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &Shared) -> Result<Self, Response> {
        let caller = Allowed::<WebhooksManage>::from_request_parts(parts, state);
        let workspace = caller.await.map_err(IntoResponse::into_response)?.workspace.clone();
        let Named(id) = Named::<WebhookId>::from_request_parts(parts, state).await?;
        // From here on the lines of the call name the webhook.
        tracing::Span::current().record("webhook.id", tracing::field::display(id));
        Ok(Self(WebhookKey { workspace, id }))
    }
}

/// A webhook whose history can be read.
pub(crate) struct KnownWebhook {
    /// The webhook as it is now. A removed one is as it was then, without secrets and without the
    /// values of its headers.
    pub(crate) webhook: Webhook,
    /// The time at which it was removed; none as long as it is there.
    pub(crate) removed_at: Option<Timestamp>,
}

impl NamedWebhook {
    /// Reads the webhook, or what is kept of it if it was removed.
    pub(crate) async fn known(&self, registry: &Registry) -> Result<KnownWebhook, ApiError> {
        if let Some(webhook) = registry.webhooks.get(&self.0).await? {
            return Ok(KnownWebhook { webhook, removed_at: None });
        }
        let RemovedWebhook { webhook, removed_at } =
            registry.revisions.removed(&self.0).await?.ok_or(WebhookId::MISSING)?;
        Ok(KnownWebhook { webhook, removed_at: Some(removed_at) })
    }

    /// Reads the webhook. Whatever can be refused without a read comes first: the caller's scope,
    /// the rest of the path, the query and the body.
    pub(crate) async fn read(&self, registry: &Registry) -> Result<Webhook, ApiError> {
        registry.webhooks.get(&self.0).await?.ok_or(WebhookId::MISSING)
    }
}
