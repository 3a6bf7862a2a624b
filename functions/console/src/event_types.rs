//! The pages about event types.

mod edit;
mod formats;
mod list;
mod schema;
mod show;

use axum::{
    Router,
    routing::{get, post},
};
use maud::Markup;
use posthaste_domain::event::event_type;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    Console,
    json::Members,
    parts::{self, List, Tone, with_query},
    trouble::Trouble,
    visitor::Visitor,
};

pub(crate) fn routes() -> Router<Console> {
    Router::new()
        .route("/console/event-types", get(list::show))
        .route("/console/event-types/new", get(edit::new).post(edit::add))
        .route("/console/event-types/{name}", get(show::show))
        .route("/console/event-types/{name}/edit", get(edit::edit).post(edit::save))
        .route("/console/event-types/{name}/remove", post(edit::remove))
}

/// Pages that offer types look at so many pages of the API's list, of a hundred types each.
const OFFERED_PAGES: usize = 3;

/// An event type, as the API answers it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct EventType {
    pub(crate) name: String,
    pub(crate) title: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) owner: String,
    pub(crate) status: String,
    pub(crate) aliases: Vec<String>,
    pub(crate) notes: Vec<String>,
    pub(crate) schema: Option<Box<RawValue>>,
    /// An event, as it is published.
    pub(crate) sample: Option<Box<RawValue>>,
}

impl EventType {
    /// Reads a type; none if there is none with this name.
    pub(crate) async fn find(visitor: &Visitor, name: &str) -> Result<Option<Self>, Trouble> {
        if event_type::EventType::parse(name).is_err() {
            return Ok(None);
        }
        match visitor.get(&format!("/event-types/{name}")).await {
            Ok(found) => Ok(Some(found)),
            Err(Trouble::Refused(refusal)) if refusal.status.as_u16() == 404 => Ok(None),
            Err(trouble) => Err(trouble),
        }
    }

    /// The types that a form offers: all, unless the workspace has hundreds.
    pub(crate) async fn offered(visitor: &Visitor) -> Result<Vec<Self>, Trouble> {
        let (mut found, mut cursor) = (Vec::new(), String::new());
        for _ in 0..OFFERED_PAGES {
            let query = [("limit", "100"), ("cursor", &cursor)];
            let page: List<Self> = visitor.get(&with_query("/event-types", &query, &[])).await?;
            found.extend(page.items);
            let Some(next) = page.next else { break };
            cursor = next;
        }
        Ok(found)
    }

    /// The address of the type's page.
    pub(crate) fn page(&self) -> String {
        format!("/console/event-types/{}", self.name)
    }

    /// The data of the sample.
    pub(crate) fn sample_data(&self) -> Option<String> {
        let event = Members::of(self.sample.as_deref()?);
        Some(event.get("data")?.get().to_owned())
    }

    /// Says whether the workspace can change or remove the type.
    fn is_own(&self) -> bool {
        self.owner == "workspace"
    }

    /// Says whether somebody has described the type.
    fn is_described(&self) -> bool {
        self.status != "undescribed"
    }

    /// The name of the owner, for people.
    fn owner_name(&self) -> &str {
        match self.owner.as_str() {
            "spektr" => "Spektr",
            "spectra" => "Spectra",
            "dataspike" => "Dataspike",
            "posthaste" => "Posthaste",
            "workspace" => "This workspace",
            other => other,
        }
    }

    /// A badge for a state that is not the common one.
    fn badge(&self) -> Option<Markup> {
        match self.status.as_str() {
            "available" => None,
            "deprecated" => Some(parts::badge(Tone::Waiting, "deprecated")),
            "wip" => Some(parts::badge(Tone::Waiting, "work in progress")),
            "undescribed" => Some(parts::badge(Tone::Plain, "not described")),
            other => Some(parts::badge(Tone::Plain, other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_of_a_sample_stays_as_it_is_written() {
        let json = r#"{"name":"a","owner":"workspace","status":"available","aliases":[],"notes":[],
            "sample":{"type":"a","data":{"b": 1.50,"a":2}}}"#;
        let event_type: EventType = serde_json::from_str(json).unwrap();
        assert_eq!(event_type.sample_data().unwrap(), r#"{"b": 1.50,"a":2}"#);
        assert!(event_type.is_own() && event_type.badge().is_none());
    }
}
