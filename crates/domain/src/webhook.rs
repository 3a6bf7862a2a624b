//! A registered destination: what its settings, its profile and an event together say.

use std::time::Duration;

use jiff::Timestamp;

use crate::{
    delivery::format::Format,
    endpoint::{health::Health, url::PublicUrl},
    event::{Event, process::Process},
    webhook::{
        headers::{HeaderValue, Headers},
        key::WebhookKey,
        policy::{Policing, RequestBounds},
        rate_limit::RateLimit,
        retry::RetrySchedule,
        rotation::Secrets,
        secret::{Sealed, Secret},
        success::SuccessStatuses,
    },
};

pub mod defaults;
pub mod filter;
pub mod headers;
pub mod key;
pub mod policy;
pub mod profile;
pub mod rate_limit;
mod registration;
pub mod retry;
pub mod rotation;
pub mod secret;
mod settings;
pub mod slack_templates;
pub mod success;
mod warning;

pub use registration::{Change, ChangeRequest, Registration};
#[cfg(feature = "openapi")]
pub use registration::{ChangeWebhook, RegisterWebhook};
pub use settings::{MAX_PATTERNS, MAX_TIMEOUT_SECONDS, Settings};

/// The body that Slack answers to a message that it took.
const SLACK_OK: &[u8] = b"ok";

/// A webhook as it is stored.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// The workspace that owns the webhook, and the webhook's id.
    pub key: WebhookKey,
    /// The settings, which the webhook's owner can change.
    pub settings: Settings,
    /// The secrets that sign the webhook's requests, sealed.
    pub secrets: Secrets<Sealed>,
    /// Its owner's own headers, with their values sealed.
    pub headers: Headers<Sealed>,
    /// The time at which the webhook was registered.
    pub created_at: Timestamp,
    /// The time at which the webhook's settings last changed.
    pub updated_at: Timestamp,
    /// The health of the webhook's endpoint: how it has been doing.
    pub health: Health,
    /// The number of what its owner has set. Each change raises it.
    pub revision: u64,
}

/// The parts of a webhook that are stored sealed, opened: only whoever makes its requests has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The secrets that sign the webhook's requests.
    pub secrets: Secrets<Secret>,
    /// The headers of the requests that are the owner's own.
    pub headers: Headers<HeaderValue>,
    /// The URL that the webhook's requests go to.
    pub url: PublicUrl,
}

impl Credentials {
    /// The owner's headers as they are sent: names in lower case, with their values.
    pub fn own_headers(&self) -> Vec<(String, String)> {
        self.headers
            .iter()
            .map(|(name, value)| (name.in_lower_case(), value.reveal().to_owned()))
            .collect()
    }
}

impl Webhook {
    /// Returns whether the webhook gets anything: it was not paused by its owner, nor disabled for
    /// what its endpoint did.
    pub fn is_enabled(&self) -> bool {
        self.settings.enabled && self.health.disabled.is_none()
    }

    /// Returns whether an event is, or was, to be delivered here, by the present settings.
    pub fn wants(&self, event: &Event) -> bool {
        self.settings.want(&event.event_type, &Process::of(event))
    }

    /// Returns the form in which events are written.
    pub fn format(&self) -> Format {
        self.settings.format()
    }

    /// The waits between its attempts.
    pub fn retry_schedule(&self) -> RetrySchedule {
        self.settings.retry_schedule()
    }

    /// Returns the limit on how often requests are made; none where there is no limit.
    pub fn rate_limit(&self) -> Option<RateLimit> {
        self.settings.rate_limit()
    }

    /// Returns the statuses of an answer that are a success.
    pub fn success_statuses(&self) -> SuccessStatuses {
        self.settings.success_statuses()
    }

    /// Returns the time that one request may take, head and body.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(u64::from(self.settings.timeout_seconds()))
    }

    /// Returns the bounds of one request.
    pub fn request_bounds(&self) -> RequestBounds {
        RequestBounds {
            events: self.settings.max_events_per_request().into(),
            bytes: self.settings.max_request_bytes() as usize,
        }
    }

    /// Returns whether one request can carry several events.
    pub fn batches(&self) -> bool {
        self.settings.max_events_per_request() > 1
    }

    /// Returns the longest wait that an answer's `Retry-After` can ask for. Zero means that the
    /// header does not count.
    pub fn max_retry_after(&self) -> Duration {
        Duration::from_secs(self.settings.max_retry_after_seconds().into())
    }

    /// Returns the rules by which this webhook is disabled. `deployment` is the time of nothing but
    /// failures after which the deployment disables webhooks that do not say otherwise.
    pub fn policing(&self, deployment: Duration) -> Policing {
        let disable_after = match self.settings.disable_after_days() {
            None => Some(deployment),
            Some(0) => None,
            Some(days) => Some(Duration::from_secs(u64::from(days) * 24 * 60 * 60)),
        };
        Policing { disable_after, disable_on_410: self.settings.disable_on_410() }
    }

    /// Returns whether this answer means that the endpoint has the event. Slack's has to say so in
    /// its body too.
    pub fn accepts(&self, http_status: u16, body: &[u8]) -> bool {
        self.success_statuses().contain(http_status)
            && (self.format() != Format::Slack || body.trim_ascii() == SLACK_OK)
    }
}

#[cfg(test)]
mod tests;
