use std::collections::BTreeSet;

use posthaste_domain::{
    Timestamp,
    access::{
        api_key::Scope,
        portal_link::{FrameOrigin, PortalLink, PortalTheme, ReturnUrl},
        workspace::{Environment, Workspace},
    },
    id::{KeyId, PortalLinkId, WebhookId},
};
use serde::Serialize;
use utoipa::ToSchema;

/// A portal link.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PortalLink)]
pub struct PortalLinkAnswer {
    /// The id by which the link is listed and deleted. It tells nothing of the token in its address.
    #[schema(value_type = String, format = "uuid")]
    pub id: PortalLinkId,
    /// The workspace that the link belongs to.
    pub workspace: Workspace,
    /// The environment that the link belongs to: its session reaches nothing of the other one.
    pub environment: Environment,
    /// The scopes of the session, which say what it may do.
    #[schema(value_type = Vec<Scope>)]
    pub scopes: BTreeSet<Scope>,
    /// The webhooks that the session sees, by their ids; null where it sees all of them.
    #[schema(value_type = Option<Vec<u64>>, required = true)]
    pub webhook_ids: Option<Vec<WebhookId>>,
    /// The address that a link on the pages leads back to.
    #[schema(value_type = Option<String>, format = "uri", required = true)]
    pub return_url: Option<ReturnUrl>,
    /// The look of the pages.
    #[schema(required = true)]
    pub theme: Option<PortalThemeAnswer>,
    /// The origins of the pages that may show the session in a frame.
    #[schema(value_type = Vec<FrameOrigin>)]
    pub frame_origins: Vec<FrameOrigin>,
    /// The time at which the link was made.
    #[schema(value_type = String, format = "date-time")]
    pub created_at: Timestamp,
    /// The id of the API key that made the link. When it is revoked, the link and its session end.
    #[schema(value_type = String, format = "uuid")]
    pub created_by: KeyId,
    /// The time until which the link can be opened.
    #[schema(value_type = String, format = "date-time")]
    pub expires_at: Timestamp,
    /// The time for which the session lasts, in seconds.
    pub session_seconds: u32,
    /// The time at which the link was opened; null as long as it was not. It opens once.
    #[schema(value_type = Option<String>, format = "date-time", required = true)]
    pub opened_at: Option<Timestamp>,
    /// The address that opens the link, only in the answer that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = "uri")]
    pub url: Option<String>,
}

/// The look of a portal's pages.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PortalLook)]
pub struct PortalThemeAnswer {
    /// The name of the product.
    #[schema(required = true)]
    pub name: Option<String>,
    /// The address of the product's logo.
    #[schema(required = true, format = "uri")]
    pub logo_url: Option<String>,
    /// The colour of buttons and links.
    #[schema(required = true)]
    pub accent_color: Option<String>,
}

impl PortalLinkAnswer {
    /// Returns the answer for a link, without its address.
    pub fn of(link: PortalLink) -> Self {
        Self {
            id: link.id,
            workspace: link.workspace.in_environment(Environment::Live),
            environment: link.workspace.environment(),
            scopes: link.scopes,
            webhook_ids: link.webhook_ids,
            return_url: link.return_url,
            theme: link.theme.map(PortalThemeAnswer::of),
            frame_origins: link.frame_origins,
            created_at: link.created_at,
            created_by: link.created_by,
            expires_at: link.expires_at,
            session_seconds: link.session_seconds,
            opened_at: link.opened_at,
            url: None,
        }
    }
}

impl PortalThemeAnswer {
    fn of(theme: PortalTheme) -> Self {
        Self {
            name: theme.name,
            logo_url: theme.logo_url.map(|url| url.as_str().to_owned()),
            accent_color: theme.accent_color.map(|color| color.as_str().to_owned()),
        }
    }
}
