//! A registered destination: what its settings, its profile and an event together say.

use std::time::Duration;

use jiff::Timestamp;

use crate::{
    event::Event,
    event_type::EventPattern,
    filter::Timing,
    format::Format,
    headers::{HeaderValue, Headers},
    health::Health,
    id::WebhookId,
    operational,
    process::{self, Process},
    rate_limit::RateLimit,
    retry::RetrySchedule,
    rotation::Secrets,
    secret::{Sealed, Secret},
    success::SuccessStatuses,
    workspace::Workspace,
};

mod settings;

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
}

impl Credentials {
    /// The owner's headers as they are sent: names in lower case, with their values.
    pub fn own_headers(&self) -> Vec<(String, String)> {
        self.headers.iter().map(|(name, value)| (name.in_lower_case(), value.reveal().to_owned())).collect()
    }
}

/// What an event means for a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// Nothing.
    Ignore,
    /// It is delivered now.
    Now,
    /// It is delivered when this run of its process has ended.
    Hold {
        /// The run.
        context: String,
    },
    /// It ends this run: what was held for the run is delivered, and after it the event itself if it is wanted.
    End {
        /// The run.
        context: String,
        /// Whether the event itself is to be delivered.
        wanted: bool,
    },
}

impl Webhook {
    /// Whether it gets anything: it was not paused by its owner, nor disabled for what its endpoint did.
    pub fn is_enabled(&self) -> bool {
        self.settings.enabled && self.health.disabled.is_none()
    }

    /// What becomes of an event here. For a paused or disabled webhook too: what comes in the meantime is recorded.
    ///
    /// The end of a run is an end also for a webhook that does not subscribe to it: what was held must not wait for its deadline.
    pub fn route(&self, event: &Event, process: &Process) -> Route {
        let timing = self.timing(event, process);
        match (&process.context_id, timing) {
            (Some(context), timing) if process::ends(&event.event_type) && self.settings.hold_anything() => {
                Route::End { context: context.clone(), wanted: timing.is_some() }
            }
            (_, None) => Route::Ignore,
            (Some(context), Some(Timing::ProcessEnd)) => Route::Hold { context: context.clone() },
            (None, Some(Timing::ProcessEnd)) | (_, Some(Timing::Immediate)) => Route::Now,
        }
    }

    /// Whether an event is, or was, to be delivered here, by the present settings.
    pub fn wants(&self, event: &Event) -> bool {
        self.timing(event, &Process::of(event)).is_some()
    }

    fn timing(&self, event: &Event, process: &Process) -> Option<Timing> {
        let Settings { events, filters, timing, .. } = &self.settings;
        // Who wants everything wants what is published, and not the news of how that went.
        let operational = operational::is_operational(&event.event_type);
        let names = |pattern: &EventPattern| {
            pattern.matches(&event.event_type) && !(operational && *pattern == EventPattern::All)
        };
        if !events.iter().any(names) {
            return None;
        }
        filters.timing(process.process_type.as_deref(), &event.event_type, *timing)
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

#[cfg(test)]
mod tests;
