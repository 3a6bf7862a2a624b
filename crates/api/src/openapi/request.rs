//! The bodies that calls take. Their parsers are in `domain`; tests hold these against them.
//!
//! No schema has a `default`: generated clients send it, or demand the field, and so set what was to be left to a profile. What holds
//! where a field is absent is said in its description.
#![expect(dead_code, reason = "only the shapes are used")]

use std::borrow::Cow;

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, Schema},
};

use super::schema::{self, Named};

/// What a webhook is registered with. A `null` is the same as a field that is left out.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RegisterWebhook {
    /// Where requests go: an absolute `https` URL with a public host, without credentials and without a fragment. Plain `http`
    /// and private addresses only where the deployment allows them.
    #[schema(format = "uri", max_length = 2048)]
    url: String,
    /// What is subscribed to. Each has to be known or the beginning of something that is known.
    #[schema(min_items = 1, max_items = 100)]
    events: Vec<schema::EventPattern>,
    /// A note, at most 1,024 bytes.
    #[schema(max_length = 1024)]
    description: Option<String>,
    /// `slack` stands for the profile `slack`.
    method: Option<schema::Method>,
    /// Where the defaults come from. `standard` unless given, or `slack` where the method is.
    profile: Option<schema::Profile>,
    /// How events are written. The profile's format unless given.
    format: Option<schema::Format>,
    /// When events are delivered that no filter speaks of. `immediate` unless given.
    timing: Option<schema::Timing>,
    /// Which events of which processes are wanted, and when. A filter only takes away from `events`.
    filters: Option<schema::Filters>,
    /// How often requests are made at most. The profile's rate unless given.
    rate_limit: Option<schema::RateLimit>,
    /// When a failed delivery is tried again. The profile's schedule unless given.
    retry_schedule: Option<schema::RetrySchedule>,
    /// Which statuses are a success. The profile's unless given.
    success_statuses: Option<schema::SuccessStatuses>,
    /// How long one request may take, head and body, in seconds. 5 unless given.
    #[schema(minimum = 1, maximum = 30)]
    timeout_seconds: Option<u8>,
    /// Its own headers. In a change they replace all that there were.
    headers: Option<schema::Headers>,
    /// False pauses it: what comes is recorded as skipped, and can be replayed. True unless given.
    enabled: Option<bool>,
}

/// The fields of a registration, none of which has to be there.
pub(crate) struct ChangeWebhook;

impl PartialSchema for ChangeWebhook {
    fn schema() -> RefOr<Schema> {
        let mut schema = RegisterWebhook::schema();
        if let RefOr::T(Schema::Object(object)) = &mut schema {
            object.required.clear();
            object.description = Some(
                "What is changed. A field that is absent stays, one that is `null` goes back to its default."
                    .to_owned(),
            );
        }
        schema
    }
}

impl ToSchema for ChangeWebhook {
    fn name() -> Cow<'static, str> {
        "ChangeWebhook".into()
    }

    fn schemas(schemas: &mut Named) {
        RegisterWebhook::schemas(schemas);
    }
}

/// How a secret is rotated. The body may be left out.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RotateSecret {
    /// How long the secret before signs too, in seconds: up to seven days. 86,400 (a day) unless given.
    #[schema(minimum = 0, maximum = 604_800)]
    overlap_seconds: Option<u32>,
}

/// An event to publish, at most 256 KiB.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewEvent {
    /// What sort of thing happened.
    r#type: schema::EventTypeName,
    /// The event's own JSON. It reaches receivers byte for byte. Data of a type that has a JSON Schema has to fit it; further
    /// fields are welcome. It has at most 50 levels of objects and lists within each other.
    data: schema::JsonObject,
    /// Whom it is about, at most 256 bytes.
    #[schema(max_length = 256)]
    subject: Option<String>,
    #[schema(schema_with = schema::moment, required = false)]
    timestamp: (),
    /// The producer's own reference, at most 256 bytes.
    #[schema(max_length = 256)]
    reference: Option<String>,
}

/// Several events in one call, at most 4 MiB. Either all of them are accepted or none.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewEvents {
    /// The events.
    #[schema(min_items = 1, max_items = 100)]
    events: Vec<NewEvent>,
}

/// One event, or several.
#[derive(ToSchema)]
#[serde(untagged)]
pub(crate) enum PublishEvents {
    One(NewEvent),
    Many(NewEvents),
}

/// What one event, or several, are answered with.
#[derive(ToSchema)]
#[serde(untagged)]
pub(crate) enum Published {
    One(crate::Accepted),
    Many(crate::AcceptedMany),
}

/// An event type of the workspace's own.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PutEventType {
    /// A note, at most 1,024 bytes.
    #[schema(max_length = 1024)]
    description: Option<String>,
    /// The JSON Schema (2020-12 unless it names another draft) that `data` has to fit, at most 64 KiB. It refers to nothing
    /// outside itself.
    schema: Option<schema::JsonObject>,
    /// The `data` of an example event, at most 64 KiB and 50 levels. It has to fit the schema.
    sample: Option<schema::JsonObject>,
}

/// What is sent as a test.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SendTest {
    /// The type of the sample: one of the catalogue or of the workspace's own. The first known one that the webhook subscribes to
    /// unless given.
    r#type: Option<schema::EventTypeName>,
}

/// Which deliveries of a webhook are made again.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StartReplay {
    /// Those of events that were accepted then or later.
    #[schema(format = "date-time")]
    since: String,
    /// Those of events that were accepted before. The time of the call unless given, which is also the latest.
    #[schema(format = "date-time")]
    until: Option<String>,
    /// How they ended. `failed` unless given.
    status: Option<schema::Selection>,
}

/// What a key is made with.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewKey {
    /// What it may do: nothing that the caller's own key may not.
    #[schema(min_items = 1)]
    scopes: Vec<schema::Scope>,
    /// A note, at most 256 bytes.
    #[schema(max_length = 256)]
    name: Option<String>,
    /// What it is meant for. `live` unless given.
    environment: Option<schema::Environment>,
    /// Whose it is. The caller's workspace unless given; another one needs the scope `workspaces:manage`.
    workspace: Option<schema::Workspace>,
}
