use posthaste_domain::{
    event::{catalogue::BuiltIn, event_type::EventType, own_type::OwnEventType},
    input::JsonObject,
};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::openapi::schema;

/// An event type: one of the catalogue's, or the workspace's own.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = EventType)]
pub struct EventTypeAnswer {
    /// The name of the type, as events and subscriptions use it.
    #[schema(value_type = EventType)]
    pub name: String,
    /// A few words for a person.
    #[schema(required = true)]
    pub title: Option<String>,
    /// A sentence for a person.
    #[schema(required = true)]
    pub description: Option<String>,
    /// The owner of the type: `spektr`, `spectra`, `dataspike`, `posthaste`, or `workspace` for the
    /// workspace's own.
    #[schema(schema_with = schema::owner)]
    pub owner: &'static str,
    /// The state of the type: `available`, `deprecated` or `wip`, or `undescribed` for one of which
    /// events were published and that nobody has described.
    #[schema(schema_with = schema::type_status)]
    pub status: &'static str,
    /// Other names by which the type can be published and subscribed to. Events and answers have
    /// its one name.
    #[schema(value_type = Vec<EventType>)]
    pub aliases: Vec<&'static str>,
    /// The choices that were made where the document contradicts itself.
    pub notes: Vec<&'static str>,
    /// The JSON Schema that `data` has to fit; null if anything does.
    #[schema(value_type = Option<JsonObject>, required = true)]
    pub schema: Option<Box<RawValue>>,
    /// An event of the type, as it is published.
    #[schema(value_type = Option<JsonObject>, required = true)]
    pub sample: Option<Box<RawValue>>,
}

impl EventTypeAnswer {
    /// Returns the answer for a type of the catalogue.
    pub fn built_in(built_in: &BuiltIn) -> serde_json::Result<Self> {
        Ok(Self {
            name: built_in.name.to_owned(),
            title: Some(built_in.title.to_owned()),
            description: Some(built_in.description.to_owned()),
            owner: built_in.owner,
            status: built_in.status,
            aliases: built_in.aliases.to_vec(),
            notes: built_in.notes.to_vec(),
            schema: Some(RawValue::from_string(built_in.schema.to_owned())?),
            sample: Some(RawValue::from_string(built_in.sample.to_owned())?),
        })
    }

    /// Returns the answer for a type of which events were published, and that nobody has described.
    pub fn published(name: &EventType) -> Self {
        Self {
            name: name.to_string(),
            title: None,
            description: None,
            owner: "workspace",
            status: "undescribed",
            aliases: Vec::new(),
            notes: Vec::new(),
            schema: None,
            sample: None,
        }
    }

    /// Returns the answer for a workspace's own type.
    pub fn own(own: OwnEventType) -> serde_json::Result<Self> {
        let name = own.name.to_string();
        let event = |data: Box<RawValue>| {
            RawValue::from_string(format!(r#"{{"type":"{name}","data":{data}}}"#))
        };
        let sample = own.sample.map(event).transpose()?;
        let OwnEventType { description, schema, .. } = own;
        Ok(Self {
            name,
            title: None,
            description,
            owner: "workspace",
            status: "available",
            aliases: Vec::new(),
            notes: Vec::new(),
            schema,
            sample,
        })
    }
}

#[cfg(test)]
mod page;
