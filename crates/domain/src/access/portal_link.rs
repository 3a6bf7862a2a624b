//! Portal links: a product opens a page of the console for its own customers with one, without
//! giving them an API key.
//!
//! A link can be opened once, and until it expires. Opening it begins a session, which may do what
//! the link's scopes say, and nothing of other webhooks where the link names some. The key that
//! made the link stands behind both: when it is revoked, or the link is deleted, they end.

use std::{collections::BTreeSet, fmt, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    Invalid,
    access::{
        api_key::{KeyHash, Scope, Scopes, base62},
        workspace::Workspace,
    },
    id::{KeyId, PortalLinkId, WebhookId},
    input::{Fields, Number, Optional, body},
};

mod look;
mod shapes;

pub use look::{AccentColor, FrameOrigin, LogoUrl, PortalTheme, ReturnUrl};
use shapes::{FrameOrigins, WebhookIds};
pub use shapes::{MAX_FRAME_ORIGINS, MAX_WEBHOOKS};

/// The beginning of every token.
const PREFIX: &str = "plk_";
/// A link can be opened for this long unless it says otherwise, in seconds: 15 minutes.
pub const DEFAULT_EXPIRY_SECONDS: u32 = 15 * 60;
/// A link can be opened for at most this long, in seconds: a day.
pub const MAX_EXPIRY_SECONDS: u32 = 24 * 60 * 60;
/// A session lasts at most this long, and that long unless its link says otherwise, in seconds: 12
/// hours.
pub const MAX_SESSION_SECONDS: u32 = 12 * 60 * 60;
/// A link is listed for so long after the last session that it can have opened is over.
const LISTED_FOR: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// These scopes reach what no list of webhooks bounds: a key that is made with them sees every
/// webhook.
const UNBOUNDED: [Scope; 2] = [Scope::KeysManage, Scope::WorkspacesManage];

/// The secret of a portal link, as `plk_…`. It is shown once, as a part of the link's address,
/// stored only as its SHA-256, and can't be printed by accident.
#[derive(Clone)]
pub struct PortalToken(String);

impl PortalToken {
    /// A token of 32 random bytes: 43 letters and digits after its prefix, 256 bits.
    pub fn new(random: &[u8; 32]) -> Self {
        Self(format!("{PREFIX}{}", base62(random)))
    }

    /// Takes the text that a browser sent as its token.
    pub fn presented(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The text that is shown once.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Returns whether it has the form of a token that we made: only such a one is worth a look
    /// into the Registry.
    pub fn is_well_formed(&self) -> bool {
        self.0.strip_prefix(PREFIX).is_some_and(|text| {
            text.len() == 43 && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
        })
    }

    /// Returns the hash that is stored and looked up: the SHA-256 in hex. A token has 256 random
    /// bits, so a plain hash can't be searched.
    pub fn hash(&self) -> PortalTokenHash {
        PortalTokenHash(hex::encode(Sha256::digest(self.0.as_bytes())))
    }
}

impl fmt::Debug for PortalToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PortalToken(…)")
    }
}

/// The SHA-256 of a [`PortalToken`] in hex.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PortalTokenHash(String);

impl PortalTokenHash {
    /// Returns the hex digits of the hash.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for PortalTokenHash {
    fn from(hex: String) -> Self {
        Self(hex)
    }
}

body! {
    /// The properties that a portal link is made with.
    #[derive(Debug, Clone, PartialEq)]
    pub struct NewPortalLink {
        /// The scopes of the session that the link opens, which say what it may do: nothing that
        /// the caller's own key may not. With `webhookIds`, neither `keys:manage` nor
        /// `workspaces:manage` is among them.
        pub scopes: BTreeSet<Scope> as Scopes,
        /// The time for which the link can be opened, in seconds: at most a day. 900 unless given.
        pub expires_in_seconds: u32
            as Number<u32, 1, { MAX_EXPIRY_SECONDS as i64 }> = DEFAULT_EXPIRY_SECONDS,
        /// The time for which the session lasts that the link opens, in seconds: at most 12 hours,
        /// which holds unless given.
        pub session_seconds: u32
            as Number<u32, 1, { MAX_SESSION_SECONDS as i64 }> = MAX_SESSION_SECONDS,
        /// The webhooks that the session sees, by their ids. It sees no other one, and can neither
        /// register nor remove one. All webhooks of the workspace unless given.
        pub webhook_ids: Option<Vec<WebhookId>> as Optional<WebhookIds>,
        /// The address that a link on the pages leads back to: https, or http on a loopback host,
        /// at most 2,048 bytes.
        pub return_url: Option<ReturnUrl> as Optional<ReturnUrl>,
        /// The look of the pages.
        pub theme: Option<PortalTheme> as Optional<PortalTheme>,
        /// The origins of the pages that may show the session in a frame, such as
        /// `https://shop.example.com`. None may unless given.
        pub frame_origins: Vec<FrameOrigin> as FrameOrigins = Vec::new(),
    }
}

impl NewPortalLink {
    /// Reads the request body.
    pub fn parse(body: &[u8]) -> Result<Self, Invalid> {
        let asked = Self::of_fields(Fields::of_body(body)?)?;
        let unbounded = UNBOUNDED.into_iter().find(|scope| asked.scopes.contains(scope));
        match (&asked.webhook_ids, unbounded) {
            (Some(_), Some(scope)) => Err(Invalid::field(
                "scopes",
                "unbounded_scope",
                format!(
                    "a link with webhookIds can't have the scope {}, which reaches every webhook",
                    scope.name()
                ),
            )),
            _ => Ok(asked),
        }
    }

    /// The first scope that is asked for and that the caller does not have itself: nobody can give
    /// more than they have.
    pub fn beyond(&self, held: &BTreeSet<Scope>) -> Option<Scope> {
        self.scopes.difference(held).next().copied()
    }

    /// Complains about the first webhook that does not exist.
    pub fn check_webhooks(&self, exists: impl Fn(WebhookId) -> bool) -> Result<(), Invalid> {
        for (nth, id) in self.webhook_ids.iter().flatten().enumerate() {
            if !exists(*id) {
                return Err(Invalid::conflicting(
                    Some(&format!("webhookIds[{nth}]")),
                    "unknown_webhook",
                    format!("there is no webhook {id} in this workspace"),
                ));
            }
        }
        Ok(())
    }
}

/// A portal link: what is known of it without knowing its token. Its JSON is what is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PortalLink {
    /// The id by which the link is listed and deleted.
    pub id: PortalLinkId,
    /// The workspace that the link belongs to, with its environment: all that a session reaches.
    pub workspace: Workspace,
    /// The scopes of the session.
    pub scopes: BTreeSet<Scope>,
    /// The webhooks that the session sees; all where there is no list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_ids: Option<Vec<WebhookId>>,
    /// The address that the pages lead back to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub return_url: Option<ReturnUrl>,
    /// The look of the pages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub theme: Option<PortalTheme>,
    /// The origins of the pages that may show the session in a frame.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub frame_origins: Vec<FrameOrigin>,
    /// The time at which the link was made.
    pub created_at: Timestamp,
    /// The key that made the link.
    pub created_by: KeyId,
    /// The hash of that key. When the key is gone, the link and its session are of no use.
    pub key_hash: KeyHash,
    /// The time until which the link can be opened.
    pub expires_at: Timestamp,
    /// The time for which the session lasts, in seconds.
    pub session_seconds: u32,
    /// The time at which the link was opened; none as long as it was not. The store keeps it beside
    /// the rest.
    #[serde(skip)]
    pub opened_at: Option<Timestamp>,
}

/// The reason why a link can't be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotOpened {
    /// There is none with this token, or it was deleted.
    #[error("there is no such link")]
    Missing,
    /// It was opened before, and a link opens once.
    #[error("the link was used before")]
    Used,
    /// Its time is over.
    #[error("the link has expired")]
    Expired,
}

impl PortalLink {
    /// The link that a key makes at this time.
    pub fn new(
        id: PortalLinkId,
        workspace: Workspace,
        asked: NewPortalLink,
        (created_by, key_hash): (KeyId, KeyHash),
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            workspace,
            scopes: asked.scopes,
            webhook_ids: asked.webhook_ids,
            return_url: asked.return_url,
            theme: asked.theme,
            frame_origins: asked.frame_origins,
            created_at: now,
            created_by,
            key_hash,
            expires_at: now + seconds(asked.expires_in_seconds),
            session_seconds: asked.session_seconds,
            opened_at: None,
        }
    }

    /// Returns the link as it is when it is opened at this time, or the reason why it can't be.
    pub fn opened(&self, now: Timestamp) -> Result<Self, NotOpened> {
        if self.opened_at.is_some() {
            return Err(NotOpened::Used);
        }
        if now >= self.expires_at {
            return Err(NotOpened::Expired);
        }
        Ok(Self { opened_at: Some(now), ..self.clone() })
    }

    /// The time at which the session ends that was begun with the link; none where none was.
    pub fn session_ends_at(&self) -> Option<Timestamp> {
        self.opened_at.map(|opened_at| opened_at + seconds(self.session_seconds))
    }

    /// Tells whether the session sees this webhook.
    pub fn sees(&self, webhook: WebhookId) -> bool {
        self.webhook_ids.as_ref().is_none_or(|ids| ids.contains(&webhook))
    }

    /// The first scope that the link has and the caller has not: nobody can take away what they
    /// could not give.
    pub fn beyond(&self, held: &BTreeSet<Scope>) -> Option<Scope> {
        self.scopes.difference(held).next().copied()
    }

    /// The time until which the link is listed: some days after any session that it can open.
    pub fn listed_until(&self) -> Timestamp {
        self.expires_at + seconds(self.session_seconds) + LISTED_FOR
    }
}

fn seconds(count: u32) -> Duration {
    Duration::from_secs(u64::from(count))
}

#[cfg(test)]
mod tests;
