//! The environment that `template.yaml` gives a function, read once at its start.

use std::{env, str::FromStr, time::Duration};

use http::HeaderValue;
use posthaste_domain::{
    access::{tokens::Limit, workspace::Workspace},
    endpoint::{address::AllowedCidrs, url::UrlPolicy},
    webhook::profile::Profile,
};
use posthaste_queue::Queue;

/// A variable that is missing or can't be read. It names the variable and does not repeat the
/// value.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It is not set, or not UTF-8.
    #[error("the environment variable {0} is not set")]
    Missing(&'static str),
    /// It says something else than it has to.
    #[error("the environment variable {name} has to be {shape}")]
    Unreadable {
        /// The name of the variable.
        name: &'static str,
        /// The shape that it has to have.
        shape: &'static str,
    },
}

/// Reads a variable that is a text.
pub fn text(name: &'static str) -> Result<String, ConfigError> {
    env::var(name).map_err(|_| ConfigError::Missing(name))
}

/// A value that is parsed; `shape` completes "has to be".
pub fn parsed<T: FromStr>(name: &'static str, shape: &'static str) -> Result<T, ConfigError> {
    text(name)?.parse().map_err(|_| ConfigError::Unreadable { name, shape })
}

/// The queue whose URL is in this variable.
pub fn queue(sqs: &aws_sdk_sqs::Client, name: &'static str) -> Result<Queue, ConfigError> {
    Ok(Queue::new(sqs.clone(), text(name)?))
}

/// `RETENTION_DAYS`: how long events and the history of deliveries are kept.
pub fn retention() -> Result<Duration, ConfigError> {
    let days: u32 = parsed("RETENTION_DAYS", "a number of days")?;
    Ok(Duration::from_secs(u64::from(days) * 24 * 60 * 60))
}

/// `PROCESS_END_DEADLINE_HOURS`: how long a delivery waits for the end of its process.
pub fn hold_deadline() -> Result<Duration, ConfigError> {
    let hours: u32 = parsed("PROCESS_END_DEADLINE_HOURS", "a number of hours")?;
    Ok(Duration::from_secs(u64::from(hours) * 60 * 60))
}

/// `DISABLE_AFTER_DAYS`: after how long of nothing but failures a webhook is disabled.
pub fn disable_after() -> Result<Duration, ConfigError> {
    let days: u32 = parsed("DISABLE_AFTER_DAYS", "a number of days")?;
    Ok(Duration::from_secs(u64::from(days) * 24 * 60 * 60))
}

/// `PUBLISH_RATE_LIMIT`: how many events a second a workspace may publish; none where it is 0.
pub fn publish_limit() -> Result<Option<Limit>, ConfigError> {
    parsed("PUBLISH_RATE_LIMIT", "a number of events").map(Limit::of_events)
}

/// `CALL_RATE_LIMIT`: how many calls a second the API keys of a workspace may make
/// together; none where it is 0.
pub fn call_limit() -> Result<Option<Limit>, ConfigError> {
    parsed("CALL_RATE_LIMIT", "a number of calls").map(Limit::of_calls)
}

/// `DEFAULT_PROFILE`: the profile of webhooks whose registration and workspace name none.
pub fn default_profile() -> Result<Profile, ConfigError> {
    let name = text("DEFAULT_PROFILE")?;
    let known = Profile::NAMES.into_iter().find(|(known, _)| *known == name);
    known
        .map(|(_, profile)| profile)
        .ok_or(ConfigError::Unreadable { name: "DEFAULT_PROFILE", shape: "the name of a profile" })
}

/// `SEAL_URLS`: whether webhooks' URLs are sealed where they are stored.
pub fn seal_urls() -> Result<bool, ConfigError> {
    parsed("SEAL_URLS", "true or false")
}

/// `CORS_ORIGINS`: whose pages may call the API from a browser; empty for none.
pub(crate) fn cors_origins() -> Result<Vec<HeaderValue>, ConfigError> {
    let origins = text("CORS_ORIGINS")?;
    let origins = origins.split(',').filter(|origin| !origin.is_empty()).map(HeaderValue::from_str);
    origins.collect::<Result<_, _>>().map_err(|_| ConfigError::Unreadable {
        name: "CORS_ORIGINS",
        shape: "origins, separated by commas",
    })
}

/// `FIRST_WORKSPACE`: whose the events are that reach the queue without a workspace.
pub fn default_workspace() -> Result<Workspace, ConfigError> {
    Workspace::parse(text("FIRST_WORKSPACE")?).map_err(|_| ConfigError::Unreadable {
        name: "FIRST_WORKSPACE",
        shape: "the name of a workspace",
    })
}

/// `ALLOW_HTTP` and `ALLOWED_CIDRS`: where webhooks may go beyond public https addresses.
pub fn url_policy() -> Result<UrlPolicy, ConfigError> {
    let allow_http = parsed("ALLOW_HTTP", "true or false")?;
    let allowed: AllowedCidrs =
        parsed("ALLOWED_CIDRS", "address ranges as 10.0.0.0/8, separated by commas")?;
    Ok(UrlPolicy { allow_http, allowed })
}
