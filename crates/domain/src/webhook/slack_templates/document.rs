//! The templates in the OpenAPI document.

use utoipa::{PartialSchema, ToSchema};

use super::{
    Color, Label, Link, MAX_FIELDS, MAX_LABEL_BYTES, MAX_TEMPLATES, MAX_URL_BYTES, Path,
    SlackField, SlackFields, SlackTemplate, SlackTemplates, Words, text::MAX_PATH_CHARS,
};
use crate::{
    event::event_type::EventType,
    input::openapi::{Described, described, list_described, map_of, reference, text},
};

described!(
    SlackTemplates,
    "SlackTemplates",
    "The form of messages by the event's type, up to 50. Messages about other types have the form \
     that they have without templates.",
    map_of(EventType::written(), reference::<SlackTemplate>()).max_properties(Some(MAX_TEMPLATES)),
    refers to SlackTemplate
);

list_described!(SlackFields, SlackField, 0, MAX_FIELDS);

impl<const BYTES: usize> PartialSchema for Words<BYTES> {
    fn schema() -> Described {
        text().min_length(Some(1)).max_length(Some(BYTES)).into()
    }
}

impl PartialSchema for Link {
    fn schema() -> Described {
        Words::<MAX_URL_BYTES>::schema()
    }
}

impl PartialSchema for Label {
    fn schema() -> Described {
        Words::<MAX_LABEL_BYTES>::schema()
    }
}

impl PartialSchema for Path {
    fn schema() -> Described {
        const NAMES: &str = r"^(id|type|timestamp|subject|reference|data(\.[^.]+)+)$";
        text().pattern(Some(NAMES)).max_length(Some(MAX_PATH_CHARS)).into()
    }
}

impl PartialSchema for Color {
    fn schema() -> Described {
        text().pattern(Some("^#[0-9A-Fa-f]{6}$")).into()
    }
}

impl<const BYTES: usize> ToSchema for Words<BYTES> {}
impl ToSchema for Link {}
impl ToSchema for Label {}
impl ToSchema for Path {}
impl ToSchema for Color {}
