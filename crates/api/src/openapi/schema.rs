//! The schemas of what `domain` defines. The names come from its tables, the rest is tested against its parsers.

use std::{borrow::Cow, collections::BTreeSet};

use posthaste_domain::event::FIRST_MILLISECOND;
use posthaste_domain::{api_key, attempt, catalogue, filter, format, headers, id, lane, profile, rate_limit, replay};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        ArrayBuilder, ObjectBuilder, OneOfBuilder, Ref, RefOr, Schema, Type, schema::AdditionalProperties,
        schema::SchemaType,
    },
};

/// A list of schemas by name.
pub(crate) type Named = Vec<(String, RefOr<Schema>)>;

/// A type that stands for one of `domain`: what it is in JSON, and which named schemas it refers to.
macro_rules! mirrors {
    ($($(#[doc = $doc:literal])+ $name:ident $(refers to $other:ident)? = $schema:expr;)+) => {$(
        $(#[doc = $doc])+
        pub(crate) struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let description = concat!($($doc),+).trim();
                $schema.description(Some(description)).into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn schemas(_schemas: &mut Named) {
                $(add::<$other>(_schemas);)?
            }
        }
    )+};
}

mirrors! {
    /// An object in JSON, whatever its members.
    JsonObject = open_object();
    /// The name of a sort of event: words of `A-Z a-z 0-9 _ -` parted by single dots.
    EventTypeName = text().pattern(Some(r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$")).max_length(Some(128));
    /// What is subscribed to: one event type, every type below a prefix as `order.*`, or `*`.
    EventPattern = text().pattern(Some(r"^(\*|[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*(\.\*)?)$")).max_length(Some(130));
    /// How requests reach the receiver. `slack` belongs to the profile `slack`.
    Method = one_of(profile::Method::NAMES.map(|(name, _)| name));
    /// Where the defaults come from, as the table in the registration's description shows.
    Profile = one_of(profile::Profile::NAMES.map(|(name, _)| name));
    /// How events are written. `slack` belongs to the method `slack`.
    Format = one_of(format::Format::NAMES.map(|(name, _)| name));
    /// When an event is delivered: when it was published, or when the run of its process has ended.
    Timing = one_of(filter::Timing::NAMES.map(|(name, _)| name));
    /// What becomes of an event: it is not delivered, or it is when it was published or when the run of its process has ended.
    Rule = one_of(filter::Rule::NAMES.map(|(name, _)| name));
    /// Where a delivery stands. `pending`: an attempt failed and another will follow. `succeeded`: the endpoint took it.
    /// `exhausted`: the last attempt failed. `skipped`: the webhook was paused or disabled when its turn came, or too much was waiting
    /// for it. `waiting`: no attempt was made yet, because the webhook can take no more for now.
    Status = one_of(attempt::Status::ALL.map(attempt::Status::name));
    /// How deliveries go to an endpoint. `healthy`: straight. `limited`: more have come than the rate limit allows, and they go out at
    /// the limit. `slow`: it takes long to answer, and they take turns. `sick`: it keeps timing out, and one at a time finds out
    /// whether it is back. `recovering`: it is quick again, and what has waited is being sent.
    HealthState = one_of(lane::State::NAMES.map(|(name, _)| name));
    /// What makes deliveries wait. `limited`: the webhook's rate limit. `slow`: its endpoint takes long to answer. `sick`: its endpoint
    /// keeps timing out.
    WaitingReason = one_of(lane::Reason::NAMES.map(|(name, _)| name));
    /// Why a delivery exists. `published`: its event was published. `replay`: a person asked for it again. `test`: it is a sample.
    Cause = one_of(id::CauseKind::ALL.map(id::CauseKind::name));
    /// Which deliveries are made again. `failed`: those that are exhausted or skipped. `all`: those that succeeded too.
    Selection = one_of(replay::Selection::NAMES.map(|(name, _)| name));
    /// Where a replay stands. `running`: it goes on. `done`: it has gone through everything. `cancelled`: it was stopped.
    /// `failed`: it could not go on, as `error` says.
    JobStatus = one_of(replay::JobStatus::NAMES.map(|(name, _)| name));
    /// What a key may do.
    Scope = one_of(api_key::Scope::ALL.map(api_key::Scope::name));
    /// What a key is meant for. It shows in the key's prefix and changes nothing else.
    Environment = one_of(ENVIRONMENTS);
    /// The name of a workspace.
    Workspace = text().pattern(Some("^[A-Za-z0-9][A-Za-z0-9_.-]*$")).max_length(Some(64));
    /// The waits, in seconds, after the first try and after each retry. An empty list means no retry.
    RetrySchedule = ArrayBuilder::new()
        .items(ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).maximum(Some(604_800)))
        .max_items(Some(30));
    /// Which statuses of an answer are a success: `2xx`, or a list. 410 and 429 are never one.
    SuccessStatuses = OneOfBuilder::new().item(one_of(["2xx"])).item(
        ArrayBuilder::new()
            .items(ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(200)).maximum(Some(499)))
            .min_items(Some(1))
            .max_items(Some(20)),
    );
    /// A row for each process type, with `*` for those that have no row. In it, a rule for each event type, prefix or `*`; the
    /// closest one counts. What has no rule follows the webhook's `timing`. Up to 50 rows of up to 100 rules.
    Filters refers to Rule = ObjectBuilder::new()
        .schema_type(Type::Object)
        .property_names(Some(text().min_length(Some(1)).max_length(Some(128))))
        .additional_properties(Some(AdditionalProperties::RefOr(RefOr::T(Schema::Object(
            ObjectBuilder::new()
                .schema_type(Type::Object)
                .property_names(Some(pattern_text()))
                .additional_properties(Some(AdditionalProperties::RefOr(reference::<Rule>())))
                .max_properties(Some(100))
                .build(),
        )))))
        .max_properties(Some(50));
    /// Headers of the webhook's own on its requests, by name: what the endpoint asks for, say `Authorization`. Up to 20, with at
    /// most 4 KiB of names and values. The values are stored encrypted, and no call answers them. What Posthaste or the connection
    /// says itself can't be set: `Content-*` of the body, `User-Agent`, `X-Webhook-*`, `webhook-*`, `Host`, `Connection` and its
    /// like, `Proxy-*`, `Sec-*`; nor what proxies say to the servers behind them, such as `Forwarded`, `X-Forwarded-*`, `X-Real-IP`,
    /// `True-Client-IP`, `X-Original-URL`, `X-HTTP-Method-Override`. Neither case nor `_` for `-` makes another name.
    Headers = ObjectBuilder::new()
        .schema_type(Type::Object)
        .property_names(Some(header_name()))
        .additional_properties(Some(AdditionalProperties::RefOr(RefOr::T(
            text()
                .pattern(Some(r"^([!-~]([\t -~]*[!-~])?)?$"))
                .max_length(Some(headers::MAX_VALUE_BYTES))
                .build()
                .into(),
        ))))
        .max_properties(Some(headers::MAX_HEADERS));
    /// The names of a webhook's own headers.
    MaskedHeaders = ObjectBuilder::new()
        .schema_type(Type::Object)
        .property_names(Some(header_name()))
        .additional_properties(Some(AdditionalProperties::RefOr(RefOr::T(one_of([headers::MASK]).build().into()))));
}

/// How often requests are made at most. They are spread evenly over the period.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its shape is used")]
pub(crate) struct RateLimit {
    /// How many.
    #[schema(minimum = 1, maximum = 1000)]
    requests: u32,
    /// In what time.
    #[schema(schema_with = period)]
    per: rate_limit::Period,
}

/// One HTTP request that was made for a delivery.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "only its shape is used")]
pub(crate) struct Attempt {
    /// When it began.
    #[schema(format = "date-time")]
    at: String,
    /// How long it took.
    duration_ms: u64,
    /// The answer's status; null if there was no answer.
    #[schema(required = true)]
    http_status: Option<u16>,
    /// The beginning of the answer's body. What it repeats of the webhook's path and query is `/…`.
    #[schema(required = true)]
    response_body: Option<String>,
    /// `base64` where the body is not text.
    #[schema(nullable = false)]
    response_body_encoding: Option<Encoding>,
    /// Why it failed; null when it succeeded.
    #[schema(required = true)]
    error: Option<AttemptFailure>,
}

/// How a body that is not text is written.
#[derive(ToSchema)]
#[serde(rename_all = "lowercase")]
#[expect(dead_code, reason = "only its shape is used")]
pub(crate) enum Encoding {
    Base64,
}

/// Why an attempt failed.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its shape is used")]
pub(crate) struct AttemptFailure {
    /// A stable word for programs, as `http_status` or `timeout`.
    #[schema(pattern = "^[a-z0-9_]+$")]
    code: String,
    /// A sentence for people.
    message: String,
}

/// An API key.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "only its shape is used")]
pub(crate) struct Key {
    /// For listing and revoking. It tells nothing of the key.
    #[schema(format = "uuid")]
    id: String,
    /// Whose it is.
    workspace: Workspace,
    /// A note of its maker's.
    #[schema(required = true)]
    name: Option<String>,
    /// What it may do.
    scopes: Vec<Scope>,
    /// What it is meant for.
    environment: Environment,
    /// When it was made.
    #[schema(format = "date-time")]
    created_at: String,
    /// The key itself, only in the answer that made it.
    #[schema(required = false, pattern = "^spk_(live|test)_[A-Za-z0-9]{43}$")]
    key: String,
}

impl PartialSchema for crate::KeyAnswer {
    fn schema() -> RefOr<Schema> {
        Key::schema()
    }
}

impl ToSchema for crate::KeyAnswer {
    fn name() -> Cow<'static, str> {
        Key::name()
    }

    fn schemas(schemas: &mut Named) {
        Key::schemas(schemas);
    }
}

const ENVIRONMENTS: [&str; 2] = ["live", "test"];
const PERIODS: [&str; 2] = ["second", "minute"];

fn period() -> ObjectBuilder {
    one_of(PERIODS)
}

/// Whose a type can be: the owners of the catalogue, and the workspace itself.
pub(crate) fn owner() -> ObjectBuilder {
    let owners: BTreeSet<&str> = catalogue::all().iter().map(|built_in| built_in.owner).collect();
    let owners = owners.into_iter().chain(["workspace"]);
    one_of(owners).description(Some("The programme whose type it is, or `workspace` for the workspace's own."))
}

pub(crate) fn type_status() -> ObjectBuilder {
    one_of(["available", "deprecated", "wip"]).description(Some("Whether events of it are to be expected."))
}

pub(crate) fn always_true() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Boolean).enum_values(Some([true]))
}

/// A time of day and date in RFC 3339, or Unix milliseconds.
pub(crate) fn moment() -> OneOfBuilder {
    OneOfBuilder::new()
        .item(text().format(Some(utoipa::openapi::SchemaFormat::Custom("date-time".to_owned()))))
        .item(ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(FIRST_MILLISECOND)))
        .item(ObjectBuilder::new().schema_type(Type::Null))
        .description(Some(
            "When it happened, in RFC 3339, from 1970 on, or as Unix milliseconds, from 2001 on: a smaller number is refused, as it would \
             be a present time in seconds. The time of acceptance unless given.",
        ))
}

pub(crate) fn one_of(names: impl IntoIterator<Item = &'static str>) -> ObjectBuilder {
    text().enum_values(Some(names))
}

/// An object that says nothing of its members. It has to say that, or generated clients take it for one that has none.
pub(crate) fn open_object() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Object).additional_properties(Some(AdditionalProperties::FreeForm(true)))
}

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(SchemaType::Type(Type::String))
}

fn pattern_text() -> Schema {
    match EventPattern::schema() {
        RefOr::T(schema) => schema,
        RefOr::Ref(_) => text().into(),
    }
}

/// An RFC 9110 token.
fn header_name() -> Schema {
    text().pattern(Some("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")).max_length(Some(headers::MAX_NAME_BYTES)).build().into()
}

/// Refers to the named schema of this type.
pub(crate) fn reference<T: ToSchema>() -> RefOr<Schema> {
    RefOr::Ref(Ref::from_schema_name(T::name()))
}

/// Adds a type's schema, and those it refers to.
pub(crate) fn add<T: ToSchema>(schemas: &mut Named) {
    schemas.push((T::name().into_owned(), T::schema()));
    T::schemas(schemas);
}
