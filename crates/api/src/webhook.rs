use std::collections::BTreeMap;

use posthaste_domain::{
    Invalid, Timestamp,
    endpoint::{
        health::Health,
        lane::{Lane, State},
    },
    id::WebhookId,
    webhook::{Settings, Webhook, profile::Method, secret::Secret},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::openapi::schema;

/// A webhook with the settings that are in force: its own, and its profile's for the rest.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Webhook)]
pub struct WebhookAnswer {
    /// The id of the webhook.
    #[schema(value_type = u64)]
    pub id: WebhookId,
    /// The UUID that the `dataspike` format calls `webhook_id`.
    #[schema(format = "uuid")]
    pub uuid: String,
    /// The settings in force.
    #[serde(flatten)]
    #[schema(value_type = schema::InForce, inline)]
    pub settings: Settings,
    /// The way in which requests reach the receiver.
    pub method: Method,
    /// The webhook's own headers, with `***` instead of their values, which no answer shows.
    #[schema(value_type = schema::MaskedHeaders)]
    pub headers: BTreeMap<String, &'static str>,
    /// The health of the webhook's endpoint: how it has been doing.
    pub health: HealthAnswer,
    /// The time at which the last of the secrets before the present one ends, or has ended; null if
    /// there is none.
    #[schema(value_type = Option<String>, format = "date-time", required = true)]
    pub previous_secrets_until: Option<Timestamp>,
    /// The time at which the webhook was registered.
    #[schema(value_type = String, format = "date-time")]
    pub created_at: Timestamp,
    /// The time at which the webhook's settings last changed.
    #[schema(value_type = String, format = "date-time")]
    pub updated_at: Timestamp,
    /// The secret that signs the webhook's requests, only in the answer to its registration and to
    /// a rotation.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^whsec_[A-Za-z0-9+/]{43}=$")]
    pub secret: Option<String>,
    /// The settings that are probably not meant: a subscription to an event type that is not known, or a row of
    /// the filters for a process type that is not known. Only in the answers to a registration and
    /// to a change.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub warnings: Vec<Warning>,
}

/// Something that was taken, and is probably a mistake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Warning {
    /// A stable word for programs.
    pub code: &'static str,
    /// A sentence for people.
    pub message: String,
    /// The path of the field that it is about.
    #[schema(required = true)]
    pub field: Option<String>,
}

impl From<Invalid> for Warning {
    fn from(Invalid { code, message, field, .. }: Invalid) -> Self {
        Self { code, message, field }
    }
}

impl WebhookAnswer {
    /// Returns the answer for this webhook, whose lane this is now. It is without the webhook's
    /// secret, and what is sealed of its URL is masked.
    pub fn of(webhook: &Webhook, lane: &Lane, now: Timestamp) -> Self {
        let Webhook { key, settings, secrets, headers, created_at, updated_at, .. } = webhook;
        Self {
            id: key.id,
            uuid: key.id.uuid(*created_at).to_string(),
            settings: Settings {
                url: settings.url.masked(),
                enabled: webhook.is_enabled(),
                ..settings.in_force()
            },
            method: settings.method(),
            headers: headers.masked(),
            health: HealthAnswer::of(&webhook.health, lane, now),
            previous_secrets_until: secrets.older_until(),
            created_at: *created_at,
            updated_at: *updated_at,
            secret: None,
            warnings: Vec::new(),
        }
    }

    /// The same with the secret, which is shown once.
    #[must_use]
    pub fn with_secret(self, secret: &Secret) -> Self {
        Self { secret: Some(secret.reveal()), ..self }
    }

    /// The same with warnings about what was asked for.
    #[must_use]
    pub fn with_warnings(self, warnings: Vec<Invalid>) -> Self {
        Self { warnings: warnings.into_iter().map(Warning::from).collect(), ..self }
    }
}

/// The health of a webhook's endpoint: how it has been doing.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Health)]
pub struct HealthAnswer {
    /// The way in which deliveries go to the endpoint now.
    #[schema(value_type = State)]
    pub state: &'static str,
    /// A sentence that says what the state means; null where deliveries go straight to the
    /// endpoint.
    #[schema(required = true)]
    pub state_reason: Option<&'static str>,
    /// The time until which nothing is sent, because the endpoint keeps timing out; null where that
    /// is not so.
    #[schema(value_type = Option<String>, format = "date-time", required = true)]
    pub waits_until: Option<Timestamp>,
    /// The time at which the endpoint's failures began; null after a success.
    #[schema(value_type = Option<String>, format = "date-time", required = true)]
    pub failing_since: Option<Timestamp>,
    /// The approximate time of the endpoint's last success: it is noted again after 5 minutes.
    #[schema(value_type = Option<String>, format = "date-time", required = true)]
    pub last_success_at: Option<Timestamp>,
    /// The time at which the endpoint last failed.
    #[schema(value_type = Option<String>, format = "date-time", required = true)]
    pub last_failure_at: Option<Timestamp>,
    /// The time at which the webhook was disabled for what its endpoint did.
    #[schema(value_type = Option<String>, format = "date-time", required = true)]
    pub disabled_at: Option<Timestamp>,
    /// The reason why the webhook was disabled: `failing`, or `gone` after a 410.
    #[schema(required = true)]
    pub disabled_reason: Option<&'static str>,
}

impl HealthAnswer {
    fn of(health: &Health, lane: &Lane, now: Timestamp) -> Self {
        let state = lane.state();
        Self {
            state: state.name(),
            state_reason: state.explanation(),
            waits_until: lane.waits_until(now),
            failing_since: health.failing_since,
            last_success_at: health.last_success_at,
            last_failure_at: health.last_failure_at,
            disabled_at: health.disabled.map(|disabled| disabled.at),
            disabled_reason: health.disabled.map(|disabled| disabled.reason.name()),
        }
    }
}
