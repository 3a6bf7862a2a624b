//! The bodies. What each of them looks like is `domain`'s to say; the tests hold these against what
//! it writes.
#![expect(dead_code, reason = "only the shapes are used")]

use posthaste_domain::{
    access::workspace::Workspace, event::event_type::EventType, input::JsonObject,
};
use utoipa::ToSchema;

/// A body in the format of Standard Webhooks.
#[derive(ToSchema)]
pub(super) struct Standard {
    #[schema(inline)]
    r#type: EventType,
    /// The time at which the event happened.
    #[schema(format = "date-time")]
    timestamp: String,
    /// The event's own JSON, byte for byte.
    data: JsonObject,
}

/// Spektr events, version 2: up to 100 events or 256 KiB.
#[derive(ToSchema)]
pub(super) struct Spektr {
    #[schema(inline, min_items = 1, max_items = 100)]
    results: Vec<SpektrEvent>,
}

#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SpektrEvent {
    #[schema(format = "uuid")]
    id: String,
    /// The event's subject.
    #[schema(required = true)]
    spektr_id: Option<String>,
    #[schema(inline)]
    event_type: EventType,
    /// The time at which the event happened, in Unix milliseconds.
    timestamp: i64,
    #[schema(inline)]
    workspace_id: Workspace,
    /// The event's own JSON, byte for byte, with the `reference` that was published beside it.
    data: JsonObject,
}

/// Spektr events, version 1. `process_run_start` alone has `reference`, and `process_run_end` alone
/// has `process_name`, `process_output`, `files` and `fields`.
#[derive(ToSchema)]
pub(super) struct SpektrV1 {
    #[schema(format = "uuid")]
    id: String,
    /// The event's subject.
    #[schema(required = true, rename = "spektrId")]
    spektr_id: Option<String>,
    #[schema(inline)]
    r#type: EventType,
    /// The value is false, or null for `process_run_end`.
    #[schema(required = true)]
    delivered: Option<bool>,
    /// The time at which the event happened, in Unix milliseconds.
    #[schema(rename = "createdAt")]
    created_at: i64,
    #[schema(required = false)]
    reference: String,
    #[schema(value_type = Value, required = false)]
    process_name: (),
    #[schema(value_type = Value, required = false)]
    process_output: (),
    #[schema(value_type = Value, required = false)]
    files: (),
    #[schema(value_type = Value, required = false)]
    fields: (),
    /// The event's own JSON, byte for byte; of `process_run_end` its entries, without the members
    /// that describe the run.
    data: JsonObject,
}

/// A body in the format of Spectra.
#[derive(ToSchema)]
pub(super) struct Spectra {
    #[schema(inline)]
    event: EventType,
    /// The time at which the event happened.
    #[schema(format = "date-time")]
    timestamp: String,
    /// The event's own JSON, byte for byte.
    data: JsonObject,
}

/// A body in the format of Dataspike.
#[derive(ToSchema)]
pub(super) struct Dataspike {
    #[schema(format = "uuid")]
    id: String,
    /// The webhook's `uuid`.
    #[schema(format = "uuid")]
    webhook_id: String,
    #[schema(inline)]
    event_type: EventType,
    #[schema(inline)]
    event: EventType,
    /// The time at which the event happened, in whole seconds.
    #[schema(format = "date-time")]
    timestamp: String,
    /// The event's own JSON, byte for byte.
    payload: JsonObject,
}

/// A body in the format of CloudEvents 1.0, in structured mode.
#[derive(ToSchema)]
pub(super) struct CloudEvents {
    #[schema(pattern = "^1\\.0$")]
    specversion: String,
    #[schema(format = "uuid")]
    id: String,
    #[schema(format = "uri-reference")]
    source: String,
    #[schema(inline)]
    r#type: EventType,
    #[schema(required = false)]
    subject: String,
    /// The time at which the event happened.
    #[schema(format = "date-time")]
    time: String,
    datacontenttype: String,
    /// The producer's own reference.
    #[schema(required = false)]
    reference: String,
    /// The event's own JSON, byte for byte.
    data: JsonObject,
}

/// A message to a Slack channel. Its blocks are Slack's own business: Block Kit.
#[derive(ToSchema)]
pub(super) struct Slack {
    text: String,
    #[schema(max_items = 50)]
    blocks: Vec<JsonObject>,
}
