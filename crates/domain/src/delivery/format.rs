//! The formats in which events are written for a receiver. Each is one file with one pure function;
//! a new one needs a file, a variant of [`Format`] and its lines here.
//!
//! A format writes as many of the events that are due together as fit into one request: one, unless
//! the format has a list. The same events of the same webhook always give the same bytes, so a
//! retry sends what the first attempt sent. `data` is in the body as the producer wrote it, byte
//! for byte, wherever a format carries it at all (Slack's shows it).

mod cloudevents;
mod dataspike;
mod end_user;
mod reference;
pub(crate) mod slack;
mod spectra;
mod spektr;
mod spektr_v1;
mod standard;
mod status;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
#[cfg(feature = "openapi")]
use utoipa::{
    PartialSchema,
    openapi::{RefOr, Schema},
};
use uuid::Uuid;

use crate::{
    Invalid,
    event::Event,
    input::{Shape, one_of},
    webhook::{policy::RequestBounds, slack_templates::SlackTemplates},
};

/// The most bytes of a body that carries several events: 256 KiB. One event alone may need more.
pub const MAX_BODY_BYTES: usize = 256 * 1024;
/// The most events of one body.
pub const MAX_EVENTS: usize = 100;
const JSON: &str = "application/json";

/// The form in which events are written. `slack` belongs to the method `slack`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Format {
    /// Standard Webhooks: `{"type", "timestamp", "data"}`.
    #[default]
    Standard,
    /// The Spektr document, version 2: `{"results": [event, …]}`.
    Spektr,
    /// The Spektr document, version 1: one event, with the special shape of `process_run_end`.
    SpektrV1,
    /// The Spectra document: `{"event", "timestamp", "data"}`.
    Spectra,
    /// The Dataspike document: `{"id", "webhook_id", "event_type", "event",
    /// "timestamp", "payload"}`.
    Dataspike,
    /// CloudEvents 1.0, structured mode, JSON.
    #[serde(rename = "cloudevents")]
    CloudEvents,
    /// A Slack message of Block Kit blocks.
    Slack,
}

/// A request body that a format has written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// The exact bytes that are signed and sent.
    pub bytes: Vec<u8>,
    /// The value of `Content-Type`.
    pub content_type: &'static str,
    /// The number of events in the body. They are the first ones of those given, and at least one.
    pub event_count: usize,
}

impl Shape for Format {
    type Value = Self;

    fn read(at: &str, json: &RawValue) -> Result<Self, Invalid> {
        one_of(at, json, &Self::NAMES, "invalid_format")
    }
}

impl Format {
    /// Every format, with the name that the API uses.
    pub const NAMES: [(&'static str, Self); 7] = [
        ("standard", Self::Standard),
        ("spektr", Self::Spektr),
        ("spektr-v1", Self::SpektrV1),
        ("spectra", Self::Spectra),
        ("dataspike", Self::Dataspike),
        ("cloudevents", Self::CloudEvents),
        ("slack", Self::Slack),
    ];

    /// Tells whether one request can carry several events.
    pub fn batches(self) -> bool {
        self.max_events() > 1
    }

    /// The most events that one request can carry.
    pub fn max_events(self) -> u8 {
        match self {
            Self::Spektr => MAX_EVENTS as u8,
            Self::Slack => slack::MAX_EVENTS,
            _ => 1,
        }
    }

    /// Writes as many of the first events as fit into one body. At least one event has to be given.
    /// `webhook` is the UUID of the webhook, which one format names, and `templates` are what it
    /// says about Slack messages.
    pub fn write(
        self,
        webhook: Uuid,
        events: &[&Event],
        bounds: RequestBounds,
        templates: Option<&SlackTemplates>,
    ) -> serde_json::Result<Body> {
        let Some(first) = events.first() else {
            return Ok(Body { bytes: Vec::new(), content_type: JSON, event_count: 0 });
        };
        let bytes = match self {
            Self::Standard => standard::body(first)?,
            Self::SpektrV1 => spektr_v1::body(first)?,
            Self::Spectra => spectra::body(first)?,
            Self::Dataspike => dataspike::body(webhook, first)?,
            Self::Spektr => return spektr::body(events, bounds),
            Self::CloudEvents => return cloudevents::body(first),
            Self::Slack => return slack::body(events, bounds, templates),
        };
        Ok(Body { bytes, content_type: JSON, event_count: 1 })
    }
}

#[cfg(feature = "openapi")]
impl Format {
    /// Describes the bodies of this format.
    pub fn schema_of_bodies(self) -> RefOr<Schema> {
        match self {
            Self::Standard => standard::Body::schema(),
            Self::Spektr => spektr::schema(),
            Self::SpektrV1 => spektr_v1::schema(),
            Self::Spectra => spectra::Body::schema(),
            Self::Dataspike => dataspike::Payload::schema(),
            Self::CloudEvents => cloudevents::CloudEvent::schema(),
            Self::Slack => slack::Message::schema(),
        }
    }
}

#[cfg(test)]
mod tests;
