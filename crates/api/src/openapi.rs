//! The OpenAPI document of the whole API. `docs/openapi.yaml` is what [`document`] gives, and the
//! API answers it at [`PATH`].
//!
//! Answers are described by the types that are answered, and requests by the bodies that `domain`
//! declares and reads. Answers in examples are made by the code that answers.

mod call;
mod deliveries;
mod deployment;
mod event_types;
mod events;
mod example;
mod keys;
mod outgoing;
mod portal_links;
mod refusal;
mod replay;
pub(crate) mod schema;
mod simulations;
mod webhooks;
mod workspace;

use posthaste_domain::input::Failure;
use serde_json::json;
use utoipa::openapi::{
    Components, HttpMethod, Info, License, ObjectBuilder, OpenApi, PathItem, Paths, RefOr,
    ResponseBuilder, Server, Type,
    path::PathsBuilder,
    security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    tag::{Tag, TagBuilder},
};

use self::{
    call::{Call, JSON, SECURITY},
    refusal::GatewayMessage,
    schema::{Named, add},
};

/// The path at which the API answers the document.
pub const PATH: &str = "/api/v1/openapi.json";

/// The document.
pub fn document() -> OpenApi {
    let mut paths = Paths::new();
    let mut schemas = Named::new();
    add::<Failure>(&mut schemas);
    add::<GatewayMessage>(&mut schemas);
    for call in calls() {
        let (method, path, operation, named) = call.finish();
        paths.add_path_operation(path, vec![method], operation);
        schemas.extend(named);
    }
    let outgoing =
        outgoing::all().into_iter().fold(PathsBuilder::new(), |all, (name, operation)| {
            all.path(name, PathItem::new(HttpMethod::Post, operation))
        });
    let mut info = Info::new("Posthaste", env!("CARGO_PKG_VERSION"));
    info.description = Some(ABOUT.to_owned());
    info.license =
        Some(License::builder().name("Apache-2.0").identifier(Some("Apache-2.0")).build());
    let mut components = Components::new();
    components.schemas.extend(schemas);
    for (name, refusal) in refusal::shared() {
        let response = refusal::response(refusal.status, &[&refusal]);
        components.responses.insert(name.to_owned(), RefOr::T(response));
    }
    for (name, status) in refusal::GATEWAY {
        components.responses.insert(name.to_owned(), RefOr::T(refusal::response(status, &[])));
    }
    components.parameters.extend(outgoing::headers());
    components.add_security_scheme(SECURITY, SecurityScheme::Http(api_key()));
    let mut document = OpenApi::new(info, paths);
    document.servers = Some(vec![Server::new("/")]);
    document.components = Some(components);
    document.webhooks = Some(outgoing.build());
    document.tags = Some(tags());
    document
}

/// Every call of the API, in the order of the document.
fn calls() -> Vec<Call> {
    let mut calls = Vec::new();
    calls.extend(webhooks::calls());
    calls.extend(replay::calls());
    calls.extend(events::calls());
    calls.extend(deliveries::calls());
    calls.extend(event_types::calls());
    calls.extend(simulations::calls());
    calls.extend(workspace::calls());
    calls.extend(keys::calls());
    calls.extend(portal_links::calls());
    calls.extend(deployment::calls());
    calls.push(openapi());
    calls
}

/// The one answer that is not in the envelope.
fn openapi() -> Call {
    let mut call = Call::new(HttpMethod::Get, PATH, "getOpenApi", "Read this document")
        .tag("This document")
        .open(
            "The call takes no API key. The answer is the document itself, without the envelope of \
            the other calls.",
        );
    let schema = schema::open_object()
        .property(
            "openapi",
            ObjectBuilder::new().schema_type(Type::String).pattern(Some(r"^3\.1\.\d+$")),
        )
        .property("info", schema::open_object())
        .property("paths", schema::open_object())
        .required("openapi")
        .required("info")
        .required("paths");
    let beginning = json!({
        "openapi": "3.1.0",
        "info": { "title": "Posthaste", "version": env!("CARGO_PKG_VERSION") },
        "paths": {}
    });
    let content = call::content(RefOr::T(schema.build().into()), [("beginning", Some(beginning))]);
    let response =
        ResponseBuilder::new().description("The document.").content(JSON, content).build();
    call.operation.responses.responses.insert("200".to_owned(), RefOr::T(response));
    call
}

fn api_key() -> utoipa::openapi::security::Http {
    let description = "An API key, as `Authorization: Bearer spk_live_…`. The scopes that an \
        operation names are the key's.";
    HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("spk_live_… or spk_test_…")
        .description(Some(description))
        .build()
}

fn tags() -> Vec<Tag> {
    vec![
        tag("Webhooks", "Destinations, and the history of what was sent to them."),
        tag("Events", "Publishing, and looking up what was published."),
        tag("Deliveries", "What became of events, over all webhooks of a workspace."),
        tag("Event types", "The catalogue, and the types that a workspace adds to it."),
        tag("Simulations", "Realistic events in test mode, to try webhooks out with."),
        tag("Workspace", "The settings that hold for all webhooks and events of a workspace."),
        tag("API keys", "The keys that calls are made with, and their scopes."),
        tag("Portal links", "Pages of the console for a product's own customers."),
        tag(
            "Deployment",
            "What an operator sees of the queues and of what waits, in all workspaces.",
        ),
        tag("This document", "The description of the API for machines."),
        tag("Requests to webhooks", "The requests that endpoints get, in each format."),
    ]
}

fn tag(name: &str, description: &str) -> Tag {
    TagBuilder::new().name(name).description(Some(description)).build()
}

const ABOUT: &str = "\
Posthaste sends webhooks: signed, at least once, with retries and history.

Every answer is in an envelope: `{\"success\": true, \"data\": …}`, or `{\"success\": false, \
\"error\": …}` with a `code` for programs, a \
`message` for people and, where one field or parameter is at fault, its path in `field`. A field \
or parameter that is not known is an \
error. A path that does not exist answers 404, a method that a path does not take answers 405. A \
webhook can't call this API: every path \
refuses what carries a webhook's signature, with 422 `loop_detected`.

Some failures are answered by API Gateway before or instead of the API itself. They have no \
envelope, only `{\"message\": …}`: 429 where \
all callers together make too many calls, 413 for a call that AWS does not take, 503 or 504 for \
one that has taken too long or that \
there is no room for, and 500. After a 429 nothing was done, and the call can be repeated: after \
the seconds of `Retry-After`, or else \
after one, and after twice as long each further time. After a 500, 503 or 504 the call may have \
been carried out. It is safe to repeat if \
it reads, changes or removes something, or publishes with an `Idempotency-Key`.

A list comes in pages: `next` of one is the `cursor` of the following one, and null on the last. A \
page can be shorter than asked for, \
and even empty, although another one follows.";

#[cfg(test)]
mod tests;
