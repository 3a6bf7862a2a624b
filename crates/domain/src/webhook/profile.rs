//! Profiles: named bundles of defaults, one for each programme that Posthaste stands in for. Any
//! part can be overridden on a webhook.
//!
//! | profile | format | success | retries | rate | `Retry-After` | disabled |
//! |---|---|---|---|---|---|---|
//! | `standard` | `standard` | 2xx | standard | none | counts | by 410, by days of failures |
//! | `spektr` | `spektr` | 200 | 3, a second apart | none | does not count | never |
//! | `spektr-v1` | `spektr-v1` | 200 | 3, a second apart | none | does not count | never |
//! | `spectra` | `spectra` | 2xx | none | none | counts | never |
//! | `dataspike` | `dataspike` | 200 | standard | none | counts | by 410, by days of failures |
//! | `cloudevents` | `cloudevents` | 2xx | standard | none | counts | by 410, by days of failures |
//! | `slack` | `slack` | 200 with the body `ok` | standard | 1 a second | counts | by 410, by days of failures |
//!
//! One thing is the same for all: an endpoint that keeps timing out is left alone for a while, and a
//! slow one takes turns, because no webhook may hold up others (`endpoint::lane`). So a retry of
//! `spektr` can come later than a second after the attempt before.
//!
//! `spectra` fires and forgets, so it has no dead letters, and its one signature is the old
//! secret's until a rotation has ended. `spektr` has smaller requests, as the receivers of its
//! document take 100 kB.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    Invalid,
    delivery::format::{Format, MAX_BODY_BYTES},
    input::{Shape, one_of},
    webhook::{
        policy::{MAX_RETRY_AFTER_SECONDS, RotationSignature},
        rate_limit::{Period, RateLimit},
        retry::RetrySchedule,
        success::SuccessStatuses,
    },
};

/// The profile that the defaults come from, as the table in the registration's description shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Profile {
    /// The profile for the Standard Webhooks specification.
    #[default]
    Standard,
    /// The profile for `spektr-events-v2.txt` and `spektr-about-webhooks.txt`.
    Spektr,
    /// The profile for `spektr-events-v1.txt`.
    SpektrV1,
    /// The profile for `spectra-register-webhooks.txt`.
    Spectra,
    /// The profile for `dataspike-webhooks.txt`.
    Dataspike,
    /// The profile for CloudEvents 1.0 in structured mode.
    #[serde(rename = "cloudevents")]
    CloudEvents,
    /// The profile for Slack's incoming webhooks.
    Slack,
}

impl Profile {
    /// Every profile, with the name that the API uses.
    pub const NAMES: [(&'static str, Self); 7] = [
        ("standard", Self::Standard),
        ("spektr", Self::Spektr),
        ("spektr-v1", Self::SpektrV1),
        ("spectra", Self::Spectra),
        ("dataspike", Self::Dataspike),
        ("cloudevents", Self::CloudEvents),
        ("slack", Self::Slack),
    ];

    /// The profile's name in the API.
    pub fn name(self) -> &'static str {
        Self::NAMES
            .iter()
            .find(|(_, profile)| *profile == self)
            .map_or("standard", |(name, _)| name)
    }

    /// The format in which events are written.
    pub fn format(self) -> Format {
        match self {
            Self::Standard => Format::Standard,
            Self::Spektr => Format::Spektr,
            Self::SpektrV1 => Format::SpektrV1,
            Self::Spectra => Format::Spectra,
            Self::Dataspike => Format::Dataspike,
            Self::CloudEvents => Format::CloudEvents,
            Self::Slack => Format::Slack,
        }
    }

    /// The statuses of an answer that mean success.
    pub fn success_statuses(self) -> SuccessStatuses {
        match self {
            Self::Standard | Self::Spectra | Self::CloudEvents => SuccessStatuses::Any2xx,
            Self::Spektr | Self::SpektrV1 | Self::Dataspike | Self::Slack => SuccessStatuses::OK,
        }
    }

    /// Returns the waits between attempts.
    pub fn retry_schedule(self) -> RetrySchedule {
        match self {
            Self::Spectra => RetrySchedule::NONE,
            Self::Spektr | Self::SpektrV1 => RetrySchedule::SPEKTR,
            Self::Standard | Self::Dataspike | Self::CloudEvents | Self::Slack => {
                RetrySchedule::STANDARD
            }
        }
    }

    /// The bound on the requests that the endpoint gets.
    pub fn rate_limit(self) -> Option<RateLimit> {
        (self == Self::Slack).then_some(RateLimit { requests: 1, per: Period::Second })
    }

    /// The longest wait, in seconds, that an answer's `Retry-After` can ask for. The Spektr
    /// documents have three retries at intervals of a second, whatever the answer says.
    pub fn max_retry_after_seconds(self) -> u16 {
        match self {
            Self::Spektr | Self::SpektrV1 => 0,
            _ => MAX_RETRY_AFTER_SECONDS,
        }
    }

    /// True if a webhook is disabled for what its endpoint does. The Spektr documents and Spectra's
    /// say what follows a failure, and that a webhook ends is not among it.
    pub fn disables(self) -> bool {
        !matches!(self, Self::Spektr | Self::SpektrV1 | Self::Spectra)
    }

    /// The most bytes of a request with several events. The JSON parser of Express, which the
    /// documents' receivers use, takes 100 kB.
    pub fn max_request_bytes(self) -> u32 {
        match self {
            Self::Spektr | Self::SpektrV1 => 96 * 1024,
            _ => MAX_BODY_BYTES as u32,
        }
    }

    /// The secret that signs `X-Webhook-Signature` during a rotation. The handler that Spectra's
    /// document prints knows one secret, and gets its requests once.
    pub fn rotation_signature(self) -> RotationSignature {
        match self {
            Self::Spectra => RotationSignature::Old,
            _ => RotationSignature::New,
        }
    }

    /// True if a delivery that has no try left becomes a dead letter.
    pub fn dead_letters(self) -> bool {
        self != Self::Spectra
    }

    /// The type of the sample that a test sends where the webhook's subscriptions leave the choice:
    /// one that the profile's document prints.
    pub fn sample_type(self) -> &'static str {
        match self {
            Self::Spektr | Self::SpektrV1 => "process_run_start",
            Self::Dataspike => "AML_SCREENING",
            Self::Spectra | Self::Standard | Self::CloudEvents | Self::Slack => "order.created",
        }
    }

    /// The way in which requests reach the receiver.
    pub fn method(self) -> Method {
        if self == Self::Slack { Method::Slack } else { Method::Https }
    }
}

/// The way in which requests reach the receiver. `slack` belongs to the profile `slack`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Method {
    /// The receiver is an endpoint, which gets requests.
    Https,
    /// Messages to a Slack channel.
    Slack,
}

impl Shape for Profile {
    type Value = Self;

    fn read(at: &str, json: &RawValue) -> Result<Self, Invalid> {
        one_of(at, json, &Self::NAMES, "invalid_profile")
    }
}

impl Shape for Method {
    type Value = Self;

    fn read(at: &str, json: &RawValue) -> Result<Self, Invalid> {
        one_of(at, json, &Self::NAMES, "invalid_method")
    }
}

impl Method {
    /// Both methods, with the name that the API uses.
    pub const NAMES: [(&'static str, Self); 2] = [("https", Self::Https), ("slack", Self::Slack)];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_serde_writes() {
        for (name, profile) in Profile::NAMES {
            assert_eq!(serde_json::to_value(profile).unwrap(), name);
            assert_eq!(
                serde_json::to_value(profile.format()).unwrap(),
                name,
                "each profile has the format of its name"
            );
        }
        for (name, method) in Method::NAMES {
            assert_eq!(serde_json::to_value(method).unwrap(), name);
        }
    }

    #[test]
    fn a_profile_has_the_name_that_its_list_gives_it() {
        for (name, profile) in Profile::NAMES {
            assert_eq!(profile.name(), name);
        }
    }

    #[test]
    fn each_profile_keeps_the_promises_of_its_document() {
        let bundle = |profile: Profile| {
            let json = serde_json::json!({
                "success": profile.success_statuses(), "retries": profile.retry_schedule(),
                "rate": profile.rate_limit(),
                "method": profile.method(), "retryAfter": profile.max_retry_after_seconds(),
                "disables": profile.disables(), "bytes": profile.max_request_bytes(),
                "rotation": profile.rotation_signature(), "deadLetters": profile.dead_letters(),
            });
            json.to_string()
        };
        let table: Vec<String> = Profile::NAMES
            .iter()
            .map(|(name, profile)| format!("{name}: {}", bundle(*profile)))
            .collect();
        insta::assert_snapshot!(table.join("\n"));
    }
}
