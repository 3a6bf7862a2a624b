//! Schemas that no type of `domain` has.

use std::collections::BTreeSet;

use posthaste_domain::{
    event::catalogue,
    input::openapi::{Described, answered, map_of, text},
    webhook::{
        Settings,
        defaults::WorkspaceSettings,
        headers::{self, HeaderName},
    },
};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, Type},
};

pub(crate) use posthaste_domain::input::openapi::{Named, open_object, reference};

/// The names of a webhook's own headers.
pub(crate) struct MaskedHeaders;

impl PartialSchema for MaskedHeaders {
    fn schema() -> Described {
        let mask = one_of([headers::MASK]).build();
        let description = Some("The names of a webhook's own headers.");
        map_of(HeaderName::written(), Schema::from(mask)).description(description).into()
    }
}

impl ToSchema for MaskedHeaders {}

/// The settings of a webhook as they are answered.
pub(crate) struct InForce;

impl PartialSchema for InForce {
    fn schema() -> Described {
        answered::<Settings>(ObjectBuilder::new()).into()
    }
}

impl ToSchema for InForce {
    fn schemas(named: &mut Named) {
        Settings::schemas(named);
    }
}

/// The settings of a workspace as they are answered.
pub(crate) struct WorkspaceInForce;

impl PartialSchema for WorkspaceInForce {
    fn schema() -> Described {
        answered::<WorkspaceSettings>(ObjectBuilder::new()).into()
    }
}

impl ToSchema for WorkspaceInForce {
    fn schemas(named: &mut Named) {
        WorkspaceSettings::schemas(named);
    }
}

/// Describes who can own a type: the owners of the catalogue, and the workspace itself.
pub(crate) fn owner() -> ObjectBuilder {
    let owners: BTreeSet<&str> = catalogue::all().iter().map(|built_in| built_in.owner).collect();
    let owners = owners.into_iter().chain(["workspace"]);
    one_of(owners).description(Some(
        "The programme whose type it is, or `workspace` for the workspace's own.",
    ))
}

pub(crate) fn type_status() -> ObjectBuilder {
    one_of(["available", "deprecated", "wip", "undescribed"]).description(Some(
        "The state of the type, which says whether its events are to be expected.",
    ))
}

pub(crate) fn always_true() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Boolean).enum_values(Some([true]))
}

pub(crate) fn one_of(names: impl IntoIterator<Item = &'static str>) -> ObjectBuilder {
    text().enum_values(Some(names))
}

/// Adds a type's schema, and those it refers to.
pub(crate) fn add<T: ToSchema>(schemas: &mut Named) {
    schemas.push((T::name().into_owned(), flat(T::schema())));
    T::schemas(schemas);
}

/// A type with flattened parts is described as all of several objects. This makes one object of
/// them, which generated clients understand better.
fn flat(schema: Described) -> Described {
    let RefOr::T(Schema::AllOf(parts)) = schema else { return schema };
    let mut whole = ObjectBuilder::new().description(parts.description).build();
    for part in parts.items {
        if let RefOr::T(Schema::Object(part)) = flat(part) {
            whole.properties.extend(part.properties);
            whole.required.extend(part.required);
        }
    }
    RefOr::T(whole.into())
}
