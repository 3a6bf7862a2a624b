//! What the owner of a webhook chooses, and how a registration or a change is read.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    Invalid, catalogue,
    event_type::{EventPattern, EventType},
    filter::{self, Filters, Timing},
    format::Format,
    input::{Fields, Whole},
    process::Process,
    profile::{Method, Profile},
    rate_limit::RateLimit,
    retry::{MAX_WAIT_SECONDS, RetrySchedule},
    success::SuccessStatuses,
    url::{PublicUrl, StoredUrl, UrlPolicy},
};

/// The most patterns that one webhook may subscribe to.
pub const MAX_PATTERNS: usize = 100;
const MAX_DESCRIPTION_BYTES: usize = 1024;
/// The most bytes of a webhook's settings as JSON, without what [`Settings::measured_bytes`] leaves out: each delivery reads those of
/// its webhook.
const MAX_BYTES: usize = 32 * 1024;
const DEFAULT_TIMEOUT_SECONDS: u8 = 5;
/// The longest time, in seconds, that a webhook may give its endpoint.
pub const MAX_TIMEOUT_SECONDS: u8 = 30;

/// The settings as they are stored. What is none follows the profile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    /// Where requests go.
    pub url: StoredUrl,
    /// What is subscribed to: 1 to 100 patterns.
    pub events: Vec<EventPattern>,
    /// A note of the owner's, at most 1,024 bytes.
    pub description: Option<String>,
    /// Where the defaults come from.
    #[serde(default)]
    pub profile: Profile,
    /// How events are written, where it is not the profile's way.
    pub format: Option<Format>,
    /// When events are delivered that no filter speaks of.
    #[serde(default)]
    pub timing: Timing,
    /// Which events of which processes are wanted, and when.
    #[serde(default)]
    pub filters: Filters,
    /// Whether something may be held that the present settings would not hold.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_held: bool,
    /// How many requests are made.
    pub rate_limit: Option<RateLimit>,
    /// The waits between attempts.
    pub retry_schedule: Option<RetrySchedule>,
    /// Which statuses are a success.
    pub success_statuses: Option<SuccessStatuses>,
    /// How long one request may take, 1 to 30.
    pub timeout_seconds: Option<u8>,
    /// False pauses it: what comes is recorded as skipped, and can be replayed.
    pub enabled: bool,
}

impl Settings {
    /// Reads a registration.
    pub fn register(fields: Fields<'_>, policy: &UrlPolicy) -> Result<Self, Invalid> {
        Self::read(fields, policy, None)
    }

    /// Reads a change: a field that is absent stays, one that is `null` goes back to its default.
    pub fn change(&self, fields: Fields<'_>, policy: &UrlPolicy) -> Result<Self, Invalid> {
        Self::read(fields, policy, Some(self))
    }

    fn read(fields: Fields<'_>, policy: &UrlPolicy, old: Option<&Self>) -> Result<Self, Invalid> {
        let mut reader = Reader { fields, old };
        let url = reader.setting(
            "url",
            "a text",
            |old| Some(&old.url),
            |text: String| {
                let url = PublicUrl::parse(&text, policy).map_err(|error| ("invalid_url", error.to_string()));
                url.map(StoredUrl::Open)
            },
        )?;
        let events = reader.setting("events", "a list of texts", |old| Some(&old.events), read_events)?;
        let description = reader.setting("description", "a text", |old| old.description.as_ref(), read_description)?;
        let profile = read_profile(&mut reader)?;
        let format = reader.setting("format", "a text", |old| old.format.as_ref(), named("format", &Format::NAMES))?;
        let timing = reader.setting("timing", "a text", |old| Some(&old.timing), named("timing", &Timing::NAMES))?;
        let filters = reader.setting_at("filters", |old| &old.filters, Filters::read)?;
        let rate_limit =
            reader.setting_at("rateLimit", |old| &old.rate_limit, |at, raw| RateLimit::read(at, raw).map(Some))?;
        let retry_schedule =
            reader.setting("retrySchedule", "a list of seconds", |old| old.retry_schedule.as_ref(), read_schedule)?;
        let read_statuses = |at: &str, raw: &RawValue| SuccessStatuses::read(at, raw).map(Some);
        let success_statuses = reader.setting_at("successStatuses", |old| &old.success_statuses, read_statuses)?;
        let timeout_seconds =
            reader.setting("timeoutSeconds", "a whole number", |old| old.timeout_seconds.as_ref(), read_timeout)?;
        let enabled = reader.setting("enabled", "true or false", |old| Some(&old.enabled), Ok)?;
        let settings = Self {
            url: url.ok_or_else(|| reader.fields.missing("url"))?,
            events: events.ok_or_else(|| reader.fields.missing("events"))?,
            description,
            profile,
            format,
            timing: timing.unwrap_or_default(),
            filters: filters.unwrap_or_default(),
            has_held: old.is_some_and(Self::hold_anything),
            rate_limit: rate_limit.flatten(),
            retry_schedule,
            success_statuses: success_statuses.flatten(),
            timeout_seconds,
            enabled: enabled.unwrap_or(true),
        };
        reader.fields.finish()?;
        settings.agrees()?;
        settings.fits()?;
        Ok(settings)
    }

    /// Slack understands no format but its own, and nobody else understands that one.
    fn agrees(&self) -> Result<(), Invalid> {
        if (self.method() == Method::Slack) == (self.format() == Format::Slack) {
            return Ok(());
        }
        Err(Invalid::field("format", "invalid_format", "the format slack and the method slack belong together"))
    }

    /// Each limit alone would let a matrix be larger than what is read with every delivery.
    fn fits(&self) -> Result<(), Invalid> {
        if self.measured_bytes().is_ok_and(|bytes| bytes <= MAX_BYTES) {
            return Ok(());
        }
        Err(Invalid::field("filters", "too_large", format!("the settings of a webhook take at most {MAX_BYTES} bytes")))
    }

    /// The URL has a limit of its own and grows when it is sealed, `enabled` is a byte longer when it is false, and `hasHeld` is no
    /// choice of the owner's. None of them counts, or a webhook that was registered could be too large to be paused.
    fn measured_bytes(&self) -> serde_json::Result<usize> {
        let mut json = serde_json::to_value(self)?;
        if let Some(settings) = json.as_object_mut() {
            settings.retain(|name, _| !matches!(name.as_str(), "url" | "enabled" | "hasHeld"));
        }
        Ok(serde_json::to_string(&json)?.len())
    }

    /// Checks that every subscription and filter that is not in `old` names an event type that is known. `own` are the types of the
    /// workspace: those that [`Self::new_patterns`] match are enough.
    pub fn check_types(&self, old: Option<&Self>, own: &[EventType]) -> Result<(), Invalid> {
        let mut unknown = self.added(old).filter(|(_, pattern)| !catalogue::is_known(pattern, own));
        unknown.next().map_or(Ok(()), |(field, pattern)| Err(catalogue::unknown(&field, pattern, own)))
    }

    /// What the subscriptions and filters that are not in `old` name and the catalogue does not know.
    pub fn new_patterns(&self, old: Option<&Self>) -> BTreeSet<EventPattern> {
        let added = self.added(old).map(|(_, pattern)| pattern);
        added.filter(|pattern| !catalogue::is_known(pattern, &[])).cloned().collect()
    }

    /// The subscriptions and filters that are not in `old`, with their fields.
    fn added<'a>(&'a self, old: Option<&'a Self>) -> impl Iterator<Item = (String, &'a EventPattern)> {
        let unchanged = move |pattern: &EventPattern| {
            old.is_some_and(|old| old.events.contains(pattern) || old.filters.patterns().any(|other| other == pattern))
        };
        let events = self.events.iter().enumerate().map(|(at, pattern)| (format!("events[{at}]"), pattern));
        let filters = self.filters.0.iter().flat_map(|(process, row)| {
            row.keys().map(move |pattern| (format!("filters.{process}.{pattern}"), pattern))
        });
        events.chain(filters).filter(move |(_, pattern)| !unchanged(pattern))
    }

    /// How requests reach the receiver.
    pub fn method(&self) -> Method {
        self.profile.method()
    }

    /// How events are written.
    pub fn format(&self) -> Format {
        self.format.unwrap_or_else(|| self.profile.format())
    }

    /// The waits between attempts.
    pub fn retry_schedule(&self) -> RetrySchedule {
        self.retry_schedule.clone().unwrap_or_else(|| self.profile.retry_schedule())
    }

    /// How many requests are made; none where there is no limit.
    pub fn rate_limit(&self) -> Option<RateLimit> {
        self.rate_limit.or_else(|| self.profile.rate_limit())
    }

    /// Which statuses are a success.
    pub fn success_statuses(&self) -> SuccessStatuses {
        self.success_statuses.clone().unwrap_or_else(|| self.profile.success_statuses())
    }

    /// How long one request may take.
    pub fn timeout_seconds(&self) -> u8 {
        self.timeout_seconds.unwrap_or(DEFAULT_TIMEOUT_SECONDS)
    }

    /// Whether an event of this type, which says this of its process, is, or was, to be delivered, by these settings.
    pub fn want(&self, event_type: &EventType, process: &Process) -> bool {
        filter::timing(&self.events, &self.filters, self.timing, event_type, process).is_some()
    }

    /// Whether any event may wait for the end of its process, by these settings or by earlier ones.
    pub fn hold_anything(&self) -> bool {
        self.has_held || self.timing == Timing::ProcessEnd || self.filters.hold_anything()
    }
}

/// Why a value of the right JSON type is refused: a code and a sentence.
type Refusal = (&'static str, String);

/// The fields of a request, and the settings that it changes.
struct Reader<'a, 'o> {
    fields: Fields<'a>,
    old: Option<&'o Settings>,
}

impl<'a> Reader<'a, '_> {
    /// One setting: what the field says, none where it says `null` or where nothing is said and there is no old value.
    fn setting<T: Deserialize<'a>, V: Clone>(
        &mut self,
        name: &'static str,
        shape: &str,
        old: impl FnOnce(&Settings) -> Option<&V>,
        read: impl FnOnce(T) -> Result<V, Refusal>,
    ) -> Result<Option<V>, Invalid> {
        let at = self.fields.at(name);
        match self.fields.raw_or_null(name) {
            None => Ok(self.old.and_then(old).cloned()),
            Some(raw) if raw.get() == "null" => Ok(None),
            Some(raw) => {
                let value = serde_json::from_str(raw.get())
                    .map_err(|_| Invalid::field(&at, "wrong_type", format!("{at} has to be {shape}")))?;
                read(value).map(Some).map_err(|(code, message)| Invalid::field(at, code, message))
            }
        }
    }

    /// The same for a setting whose complaints name a place within it.
    fn setting_at<V: Clone>(
        &mut self,
        name: &'static str,
        old: impl FnOnce(&Settings) -> &V,
        read: impl FnOnce(&str, &'a RawValue) -> Result<V, Invalid>,
    ) -> Result<Option<V>, Invalid> {
        match self.fields.raw_or_null(name) {
            None => Ok(self.old.map(old).cloned()),
            Some(raw) if raw.get() == "null" => Ok(None),
            Some(raw) => read(&self.fields.at(name), raw).map(Some),
        }
    }
}

/// The profile. A `method` without a profile chooses one: `slack` the profile slack, `https` the default instead of it.
fn read_profile(reader: &mut Reader<'_, '_>) -> Result<Profile, Invalid> {
    let is_named = reader.fields.has("profile");
    let profile = reader.setting("profile", "a text", |old| Some(&old.profile), named("profile", &Profile::NAMES))?;
    let profile = profile.unwrap_or_default();
    let method = reader.setting("method", "a text", |_| None, named("method", &Method::NAMES))?;
    match method {
        None => Ok(profile),
        Some(method) if profile.method() == method => Ok(profile),
        Some(_) if is_named => {
            Err(Invalid::field("method", "invalid_method", "the method slack and the profile slack belong together"))
        }
        Some(Method::Slack) => Ok(Profile::Slack),
        Some(Method::Https) => Ok(Profile::default()),
    }
}

/// Reads the name of one of these.
fn named<V: Copy>(
    field: &'static str,
    names: &'static [(&'static str, V)],
) -> impl FnOnce(String) -> Result<V, Refusal> {
    move |wanted| match names.iter().find(|(name, _)| *name == wanted) {
        Some((_, value)) => Ok(*value),
        None => {
            let known: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
            let code = match field {
                "profile" => "invalid_profile",
                "format" => "invalid_format",
                "method" => "invalid_method",
                _ => "invalid_timing",
            };
            Err((code, format!("{wanted:?} is not a {field}; known are {}", known.join(", "))))
        }
    }
}

fn read_events(texts: Vec<String>) -> Result<Vec<EventPattern>, Refusal> {
    if texts.is_empty() || texts.len() > MAX_PATTERNS {
        return Err(("wrong_count", format!("events takes 1 to {MAX_PATTERNS} subscriptions")));
    }
    let read = |text: &String| {
        EventPattern::parse(text)
            .map_err(|error| ("invalid_event_type", format!("{text:?} can't be subscribed to: {error}")))
    };
    texts.iter().map(read).collect()
}

fn read_description(text: String) -> Result<String, Refusal> {
    if text.len() <= MAX_DESCRIPTION_BYTES {
        Ok(text)
    } else {
        Err(("too_long", format!("description takes at most {MAX_DESCRIPTION_BYTES} bytes")))
    }
}

fn read_schedule(seconds: Vec<Whole>) -> Result<RetrySchedule, Refusal> {
    let seconds: Option<Vec<u32>> = seconds.into_iter().map(|seconds| seconds.within(1..=MAX_WAIT_SECONDS)).collect();
    seconds.and_then(RetrySchedule::new).ok_or_else(|| {
        ("out_of_range", "retrySchedule is a list of up to 30 waits, each 1 second to 7 days (604800)".to_owned())
    })
}

fn read_timeout(seconds: Whole) -> Result<u8, Refusal> {
    let in_range = seconds.within(1..=MAX_TIMEOUT_SECONDS);
    in_range.ok_or_else(|| ("out_of_range", format!("timeoutSeconds is 1 to {MAX_TIMEOUT_SECONDS}")))
}

#[cfg(test)]
mod tests;
