//! The settings that the owner of a webhook chooses.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    Invalid,
    delivery::format::{Format, MAX_BODY_BYTES, MAX_EVENTS},
    endpoint::url::StoredUrl,
    event::{
        event_type::{EventPattern, EventType},
        process::Process,
    },
    input::{Number, Optional, Own, Shape, Text, body, parsed},
    webhook::{
        filter::{self, Filters, Timing},
        policy::{MAX_DISABLE_AFTER_DAYS, MAX_RETRY_AFTER_SECONDS, RotationSignature},
        profile::{Method, Profile},
        rate_limit::RateLimit,
        retry::RetrySchedule,
        slack_templates::SlackTemplates,
        success::SuccessStatuses,
    },
};

/// The most patterns that one webhook may subscribe to.
pub const MAX_PATTERNS: usize = 100;
/// The most bytes of a webhook's settings as JSON, without what [`Settings::measured_bytes`] leaves
/// out: each delivery reads those of its webhook.
const MAX_BYTES: usize = 32 * 1024;
const DEFAULT_TIMEOUT_SECONDS: u8 = 5;
/// The smallest bound on a request of several events.
const MIN_REQUEST_BYTES: u32 = 1024;
/// The longest time, in seconds, that a webhook may give its endpoint.
pub const MAX_TIMEOUT_SECONDS: u8 = 30;

body! {
    /// The settings of a webhook, as its owner has chosen them and as they are stored.
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub struct Settings {
        given {
            /// The URL that requests go to.
            ///
            /// It is an absolute `https` URL with a public host, without credentials and without a
            /// fragment. Plain `http` and private addresses only where the deployment allows them.
            pub url: StoredUrl as crate::endpoint::url::UrlText,
        }
        /// The patterns of the event types that the webhook subscribes to.
        ///
        /// One that is not known, and is not the beginning of something that is known, is taken with
        /// a warning, and refused where the workspace's catalogue is closed.
        pub events: Vec<EventPattern> as Subscriptions,
        /// A note, at most 1,024 bytes.
        pub description: Option<String> as Optional<Text<1024>>,
        /// The profile that the defaults come from.
        ///
        /// The workspace's default unless given, or `slack` where the method is.
        #[serde(default)]
        pub profile: Profile = Profile::Standard,
        /// The form in which events are written.
        ///
        /// The profile's format unless given.
        pub format: Option<Format> as Own<Format>,
        /// The moment at which events are delivered that no filter names.
        ///
        /// `immediate` unless given.
        #[serde(default)]
        pub timing: Timing = Timing::Immediate,
        /// The filters, which say which events of which processes are wanted, and when.
        ///
        /// A filter only takes away from `events`.
        #[serde(default)]
        pub filters: Filters = Filters::default(),
        /// The limit on how often requests are made. Where neither the webhook nor its profile has
        /// one, there is none.
        ///
        /// The profile's rate unless given.
        pub rate_limit: Option<RateLimit> as Optional<RateLimit>,
        /// The schedule by which a failed delivery is tried again.
        ///
        /// The profile's schedule unless given.
        pub retry_schedule: Option<RetrySchedule> as Own<RetrySchedule>,
        /// The statuses of an answer that are a success.
        ///
        /// The profile's statuses unless given.
        pub success_statuses: Option<SuccessStatuses> as Own<SuccessStatuses>,
        /// The time that one request may take, head and body, in seconds.
        ///
        /// 5 unless given.
        pub timeout_seconds: Option<u8> as Own<Number<u8, 1, { MAX_TIMEOUT_SECONDS as i64 }>>,
        /// The longest wait that an answer's `Retry-After` can ask for, in seconds. With 0 the
        /// header does not count.
        ///
        /// The profile's wait unless given: 3600, and 0 for `spektr` and `spektr-v1`.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub max_retry_after_seconds: Option<u16>
            as Own<Number<u16, 0, { MAX_RETRY_AFTER_SECONDS as i64 }>>,
        /// True if an answer with status 410 disables the webhook at once. Otherwise it is a
        /// failure like others.
        ///
        /// The profile's choice unless given: true, and false for `spektr`, `spektr-v1` and
        /// `spectra`.
        #[serde(rename = "disableOn410", skip_serializing_if = "Option::is_none")]
        pub disable_on_410: Option<bool> as Own<bool>,
        /// The days of nothing but failures after which the webhook is disabled. 0 is never. Where
        /// neither the webhook nor its profile says it, the deployment does.
        ///
        /// The profile's days unless given: those of the deployment, and 0 for `spektr`,
        /// `spektr-v1` and `spectra`.
        pub disable_after_days: Option<u16>
            as Optional<Number<u16, 0, { MAX_DISABLE_AFTER_DAYS as i64 }>>,
        /// The most events in one request, where the format can carry several.
        ///
        /// The format's limit unless given: 100 for `spektr`, 20 for `slack`, 1 for others.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub max_events_per_request: Option<u8> as Own<Number<u8, 1, { MAX_EVENTS as i64 }>>,
        /// The most bytes of a request with several events. A single event may be larger.
        ///
        /// The profile's limit unless given: 98,304 (96 KiB) for `spektr`, which receivers with the
        /// usual limit of 100 kB take, and 262,144 (256 KiB) for others.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub max_request_bytes: Option<u32>
            as Own<Number<u32, { MIN_REQUEST_BYTES as i64 }, { MAX_BODY_BYTES as i64 }>>,
        /// The secret that signs `X-Webhook-Signature` during the overlap of a rotation, as that
        /// header has room for one signature.
        ///
        /// The profile's choice unless given: `new`, and `old` for `spectra`.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub rotation_signature: Option<RotationSignature> as Own<RotationSignature>,
        /// True if a delivery that has no try left becomes a dead letter, which an operator can
        /// send back. Its history and its replay do not depend on it.
        ///
        /// The profile's choice unless given: true, and false for `spectra`.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub dead_letters: Option<bool> as Own<bool>,
        /// The form of Slack messages by event type, where the format is `slack`: title, fields,
        /// colour and button.
        pub slack_templates: Option<SlackTemplates> as Optional<SlackTemplates>,
        /// True if the webhook gets requests. Deliveries to a webhook that is paused or disabled
        /// are recorded as skipped, and can be replayed.
        ///
        /// False pauses the webhook. True unless given.
        pub enabled: bool = true,
    }
    beside {
        /// It says whether something may be held that the present settings would not hold.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        pub has_held: bool,
    }
}

impl Settings {
    /// The same settings, with the profile's where it leaves something to its profile.
    #[must_use]
    pub fn in_force(&self) -> Self {
        Self {
            format: Some(self.format()),
            rate_limit: self.rate_limit(),
            retry_schedule: Some(self.retry_schedule()),
            success_statuses: Some(self.success_statuses()),
            timeout_seconds: Some(self.timeout_seconds()),
            max_retry_after_seconds: Some(self.max_retry_after_seconds()),
            disable_on_410: Some(self.disable_on_410()),
            disable_after_days: self.disable_after_days(),
            max_events_per_request: Some(self.max_events_per_request()),
            max_request_bytes: Some(self.max_request_bytes()),
            rotation_signature: Some(self.rotation_signature()),
            dead_letters: Some(self.dead_letters()),
            has_held: false,
            ..self.clone()
        }
    }

    /// Refuses settings that contradict each other, or are too large together.
    pub(super) fn check(&self) -> Result<(), Invalid> {
        self.agrees()?;
        self.fits()
    }

    /// Slack understands no format but its own, and nobody else understands that one.
    fn agrees(&self) -> Result<(), Invalid> {
        let is_slack = self.format() == Format::Slack;
        if (self.method() == Method::Slack) != is_slack {
            let message = "the format slack and the method slack belong together";
            return Err(Invalid::field("format", "invalid_format", message));
        }
        if self.slack_templates.is_some() && !is_slack {
            let message = "slackTemplates belong to the format slack";
            return Err(Invalid::field("slackTemplates", "invalid_format", message));
        }
        Ok(())
    }

    /// Each limit alone would let a matrix be larger than what is read with every delivery.
    fn fits(&self) -> Result<(), Invalid> {
        if self.measured_bytes().is_ok_and(|bytes| bytes <= MAX_BYTES) {
            return Ok(());
        }
        // These two are the only ones that can be so large.
        let templates = self.slack_templates.as_ref().map_or(0, json_bytes);
        let longer =
            if templates > json_bytes(&self.filters) { "slackTemplates" } else { "filters" };
        let message = format!("the settings of a webhook take at most {MAX_BYTES} bytes");
        Err(Invalid::field(longer, "too_large", message))
    }

    /// The URL has a limit of its own and grows when it is sealed, `enabled` is a byte longer when
    /// it is false, and `hasHeld` is no choice of the owner's. Nor is a field that is null, which a
    /// version may have added. None of them counts, or a webhook that was registered could be too
    /// large to be paused.
    fn measured_bytes(&self) -> serde_json::Result<usize> {
        let mut json = serde_json::to_value(self)?;
        if let Some(settings) = json.as_object_mut() {
            settings.retain(|name, value| {
                !value.is_null() && !matches!(name.as_str(), "url" | "enabled" | "hasHeld")
            });
        }
        Ok(serde_json::to_string(&json)?.len())
    }

    /// Returns the way in which requests reach the receiver.
    pub fn method(&self) -> Method {
        self.profile.method()
    }

    /// Returns the form in which events are written.
    pub fn format(&self) -> Format {
        self.format.unwrap_or_else(|| self.profile.format())
    }

    /// Returns the waits between attempts.
    pub fn retry_schedule(&self) -> RetrySchedule {
        self.retry_schedule.clone().unwrap_or_else(|| self.profile.retry_schedule())
    }

    /// Returns the limit on how often requests are made; none where there is no limit.
    pub fn rate_limit(&self) -> Option<RateLimit> {
        self.rate_limit.or_else(|| self.profile.rate_limit())
    }

    /// Returns the statuses of an answer that are a success.
    pub fn success_statuses(&self) -> SuccessStatuses {
        self.success_statuses.clone().unwrap_or_else(|| self.profile.success_statuses())
    }

    /// Returns the time that one request may take, in seconds.
    pub fn timeout_seconds(&self) -> u8 {
        self.timeout_seconds.unwrap_or(DEFAULT_TIMEOUT_SECONDS)
    }

    /// Returns the longest wait, in seconds, that an answer's `Retry-After` can ask for.
    pub fn max_retry_after_seconds(&self) -> u16 {
        self.max_retry_after_seconds.unwrap_or_else(|| self.profile.max_retry_after_seconds())
    }

    /// Returns whether an answer with status 410 disables the webhook.
    pub fn disable_on_410(&self) -> bool {
        self.disable_on_410.unwrap_or_else(|| self.profile.disables())
    }

    /// Returns the days of nothing but failures that disable the webhook: 0 is never, none is what
    /// the deployment says.
    pub fn disable_after_days(&self) -> Option<u16> {
        self.disable_after_days.or_else(|| (!self.profile.disables()).then_some(0))
    }

    /// Returns the most events in one request: no more than the format can carry.
    pub fn max_events_per_request(&self) -> u8 {
        let most = self.format().max_events();
        self.max_events_per_request.map_or(most, |asked| asked.min(most))
    }

    /// Returns the most bytes of a request with several events.
    pub fn max_request_bytes(&self) -> u32 {
        self.max_request_bytes.unwrap_or_else(|| self.profile.max_request_bytes())
    }

    /// Returns the secret that signs `X-Webhook-Signature` during a rotation.
    pub fn rotation_signature(&self) -> RotationSignature {
        self.rotation_signature.unwrap_or_else(|| self.profile.rotation_signature())
    }

    /// Returns whether a delivery that has no try left becomes a dead letter.
    pub fn dead_letters(&self) -> bool {
        self.dead_letters.unwrap_or_else(|| self.profile.dead_letters())
    }

    /// Returns whether an event of this type, which says this of its process, is, or was, to be
    /// delivered, by these settings.
    pub fn want(&self, event_type: &EventType, process: &Process) -> bool {
        filter::timing(&self.events, &self.filters, self.timing, event_type, process).is_some()
    }

    /// Returns whether any event may wait for the end of its process, by these settings or by
    /// earlier ones.
    pub fn hold_anything(&self) -> bool {
        self.has_held || self.timing == Timing::ProcessEnd || self.filters.hold_anything()
    }
}

/// The length of a value as JSON, in bytes.
fn json_bytes(value: &impl Serialize) -> usize {
    serde_json::to_string(value).map_or(0, |json| json.len())
}

/// The subscriptions of a webhook.
pub(crate) struct Subscriptions;

impl Shape for Subscriptions {
    type Value = Vec<EventPattern>;
    const NAMED: bool = false;

    fn read(at: &str, json: &RawValue) -> Result<Vec<EventPattern>, Invalid> {
        let texts: Vec<String> = parsed(at, json, "a list of texts")?;
        if texts.is_empty() || texts.len() > MAX_PATTERNS {
            return Err(Invalid::field(
                at,
                "wrong_count",
                format!("{at} takes 1 to {MAX_PATTERNS} subscriptions"),
            ));
        }
        let mut patterns = Vec::with_capacity(texts.len());
        for text in texts {
            patterns.push(EventPattern::parse_any(&text).map_err(|error| {
                Invalid::field(
                    at,
                    "invalid_event_type",
                    format!("{text:?} can't be subscribed to: {error}"),
                )
            })?);
        }
        Ok(patterns)
    }
}

#[cfg(feature = "openapi")]
crate::input::openapi::list_described!(Subscriptions, EventPattern, 1, MAX_PATTERNS);

mod names;

#[cfg(test)]
mod tests;
