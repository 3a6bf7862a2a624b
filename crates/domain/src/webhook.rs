//! A registered destination: what its settings, its profile and an event together say.

use std::time::Duration;

use jiff::Timestamp;

use crate::{
    event::Event,
    format::Format,
    headers::{HeaderValue, Headers},
    health::Health,
    id::WebhookId,
    process::Process,
    rate_limit::RateLimit,
    retry::RetrySchedule,
    rotation::Secrets,
    secret::{Sealed, Secret},
    success::SuccessStatuses,
    url::PublicUrl,
    workspace::Workspace,
};

mod registration;
mod settings;

pub use registration::{Change, Registration};
#[cfg(feature = "openapi")]
pub use registration::{ChangeWebhook, RegisterWebhook};
pub use settings::{MAX_PATTERNS, MAX_TIMEOUT_SECONDS, Settings};

/// What Slack answers to a message that it took.
const SLACK_OK: &[u8] = b"ok";

/// A webhook as it is stored.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// Its id, unique over all workspaces.
    pub id: WebhookId,
    /// Whose it is.
    pub workspace: Workspace,
    /// What its owner can change.
    pub settings: Settings,
    /// What signs its requests, sealed.
    pub secrets: Secrets<Sealed>,
    /// Its owner's own headers, with their values sealed.
    pub headers: Headers<Sealed>,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When its settings last changed.
    pub updated_at: Timestamp,
    /// How its endpoint has been doing.
    pub health: Health,
}

/// What a webhook stores sealed, opened: only who makes its requests has that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// What signs its requests.
    pub secrets: Secrets<Secret>,
    /// Its owner's own headers.
    pub headers: Headers<HeaderValue>,
    /// Where its requests go.
    pub url: PublicUrl,
}

impl Credentials {
    /// The owner's headers as they are sent: names in lower case, with their values.
    pub fn own_headers(&self) -> Vec<(String, String)> {
        self.headers.iter().map(|(name, value)| (name.in_lower_case(), value.reveal().to_owned())).collect()
    }
}

impl Webhook {
    /// Whether it gets anything: it was not paused by its owner, nor disabled for what its endpoint did.
    pub fn is_enabled(&self) -> bool {
        self.settings.enabled && self.health.disabled.is_none()
    }

    /// Whether an event is, or was, to be delivered here, by the present settings.
    pub fn wants(&self, event: &Event) -> bool {
        self.settings.want(&event.event_type, &Process::of(event))
    }

    /// How events are written.
    pub fn format(&self) -> Format {
        self.settings.format()
    }

    /// The waits between its attempts.
    pub fn retry_schedule(&self) -> RetrySchedule {
        self.settings.retry_schedule()
    }

    /// How many requests it gets; none where there is no limit.
    pub fn rate_limit(&self) -> Option<RateLimit> {
        self.settings.rate_limit()
    }

    /// Which statuses are a success.
    pub fn success_statuses(&self) -> SuccessStatuses {
        self.settings.success_statuses()
    }

    /// How long one request may take, head and body.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(u64::from(self.settings.timeout_seconds()))
    }

    /// Whether this answer means that the endpoint has the event. Slack's has to say so in its body too.
    pub fn accepts(&self, http_status: u16, body: &[u8]) -> bool {
        self.success_statuses().contain(http_status)
            && (self.format() != Format::Slack || body.trim_ascii() == SLACK_OK)
    }
}
