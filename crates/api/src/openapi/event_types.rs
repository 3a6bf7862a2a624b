//! `/api/v1/event-types`

use posthaste_domain::{
    access::api_key::Scope,
    event::{
        catalogue,
        event_type::EventType,
        own_type::{MAX_TYPES, OwnEventType, PutEventType, too_many},
        schema::MAX_STEPS,
    },
    input::Page,
};
use serde_json::{Value, json};
use utoipa::{PartialSchema, openapi::HttpMethod};

use super::{
    call::Call,
    example::{self, shown},
    refusal::Refusal,
    webhooks,
};
use crate::EventTypeAnswer;

const ALL: &str = "/api/v1/event-types";
const ONE: &str = "/api/v1/event-types/{name}";
const TAG: &str = "Event types";
const NO_TYPE: &str = "event type with this name";
/// The type of the examples.
pub(super) const OWN: &str = "invoice.paid";

pub(super) fn calls() -> [Call; 4] {
    [list(), show(), put(), remove()]
}

fn list() -> Call {
    Call::new(HttpMethod::Get, ALL, "listEventTypes", "List event types")
        .tag(TAG)
        .needs(
            Scope::EventsRead,
            "The types of the catalogue by name, and then the workspace's own by name.",
        )
        .pages::<Page<EventType>>()
        .answers_page::<EventTypeAnswer>(
            "A page of event types.",
            example::list([built_in("order.shipped"), own(&invoice())].into_iter().flatten()),
        )
        .leads_to(["getEventType"], [("name", "$response.body#/data/items/0/name")])
}

fn show() -> Call {
    Call::new(HttpMethod::Get, ONE, "getEventType", "Read an event type")
        .tag(TAG)
        .needs(
            Scope::EventsRead,
            "The answer has the JSON Schema of the type's data and an example event.",
        )
        .names("name", NO_TYPE, EventType::schema())
        .answers::<EventTypeAnswer>(
            200,
            "The event type.",
            [
                ("ofTheCatalogue", built_in("process_run_start")),
                ("ofTheWorkspace", own(&invoice())),
            ],
        )
}

fn put() -> Call {
    Call::new(HttpMethod::Put, ONE, "putEventType", "Add or replace an event type")
        .tag(TAG)
        .needs(Scope::EventsManage, PUTTING)
        .names("name", "", EventType::schema())
        .takes::<PutEventType>(
            [("nothingButItsName", Some(json!({}))), ("withASchema", Some(invoice()))]
        )
        .answers::<EventTypeAnswer>(
            200, "The event type as it is now.", [("withASchema", own(&invoice()))]
        )
        .leads_to(["getEventType", "removeEventType"], [("name", "$response.body#/data/name")])
        .refuses([Refusal::too_large_body()])
        .refuses([
            Refusal::new(409, "too_many_event_types", too_many(MAX_TYPES).message),
            webhooks::conflict(),
            Refusal::body(
                "invalid_schema",
                "schema",
                r##"{"schema": {"$ref": "#/$defs/invoice"}}"##,
                "the reference \"#/$defs/invoice\" is not to #/$defs/<name>, or there is no such \
                 definition",
            ),
            Refusal::body(
                "missing_field",
                "sample.id",
                r#"{"schema": {"required": ["id"]}, "sample": {}}"#,
                "sample.id is required",
            ),
            Refusal::body(
                "too_costly",
                "sample",
                r#"{"schema": {"properties": {"rows": {"uniqueItems": true}}}, "sample": {"rows": ["…"]}}"#,
                format!(
                    "sample is too large for the schema of its type: the check would take more \
                     than {MAX_STEPS} steps"
                ),
            ),
            Refusal::body(
                "unknown_field",
                "scheme",
                r#"{"scheme": {}}"#,
                "scheme is not a known field; did you mean schema?",
            ),
        ])
}

fn remove() -> Call {
    Call::new(HttpMethod::Delete, ONE, "removeEventType", "Remove an event type")
        .tag(TAG)
        .needs(Scope::EventsManage, REMOVING)
        .names("name", NO_TYPE, EventType::schema())
        .removes(EventType::schema(), example::removed(OWN))
        .refuses([
            webhooks::conflict(),
            Refusal {
                field: Some("name"),
                ..Refusal::new(422, "built_in_event_type", "order.created is a built-in type")
            },
        ])
}

fn invoice() -> Value {
    json!({
        "description": "An invoice was paid in full.",
        "schema": {
            "type": "object",
            "required": ["invoiceId", "total"],
            "properties": {
                "invoiceId": { "type": "string" }, "total": { "type": "number", "minimum": 0 },
            }
        },
        "sample": { "invoiceId": "inv_204", "total": 12.5 }
    })
}

fn built_in(name: &str) -> Option<Value> {
    shown(EventTypeAnswer::built_in(catalogue::find(name)?).ok()?)
}

fn own(body: &Value) -> Option<Value> {
    let own = OwnEventType::parse(OWN, body.to_string().as_bytes()).ok()?;
    shown(EventTypeAnswer::own(own).ok()?)
}

const PUTTING: &str = "\
The type is the workspace's own. Events of it are checked against its schema when they are \
published. The name of a type of the catalogue can't be taken.";

const REMOVING: &str = "\
Webhooks that subscribe to it stay as they are, and events of it are still taken, without a check \
of their data. A type of the catalogue can't be removed.";
