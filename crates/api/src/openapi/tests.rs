//! The document against its file, its examples, the parsers, the error mapping and the routes.

mod complaints;
mod endpoints;
mod examples;
mod fields;
mod generators;
mod routes;

use std::{collections::HashMap, fs, iter, path::Path};

use posthaste_domain::{
    Invalid, Timestamp,
    access::{api_key::NewKey, portal_link::NewPortalLink},
    delivery::replay::StartReplay,
    deployment::StartRedrive,
    endpoint::url::UrlPolicy,
    event::{NewEvent, event_type::EventType, own_type::OwnEventType, sample::SendTest},
    simulation::StartSimulation,
    webhook::{
        ChangeRequest, Registration, defaults::WorkspaceSettings, profile::Profile,
        rotation::RotateSecret,
    },
};
use serde_json::{Value, json};

use super::*;

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn in_json() -> Value {
    serde_json::to_value(document()).unwrap()
}

/// Reads a body as the operation does.
fn parse(operation: &str, body: &str) -> Result<(), Invalid> {
    let policy = UrlPolicy::default();
    match operation {
        "registerWebhook" => {
            let default = Profile::default();
            let settings = Registration::parse(body.as_bytes(), &policy, default)?.settings;
            first(settings.unknown_types(None, &[EventType::parse("invoice.sent").unwrap()], &[]))
        }
        "changeWebhook" => {
            let old = example::webhook(42, &example::spektr()).unwrap().settings;
            let request = ChangeRequest::parse(body.as_bytes(), &policy)?;
            let settings = request.applied_to(&old, Profile::default())?.settings;
            first(settings.unknown_types(Some(&old), &[], &[]))
        }
        "rotateSecret" => RotateSecret::parse(body.as_bytes()).map(|_| ()),
        "publishEvents" => {
            let own = [costly_type(), unusable_type()].map(|own| (own.name.clone(), own));
            NewEvent::parse_call(body.as_bytes())?.check(&own.into())
        }
        "putEventType" => {
            let body = body.replace(r#""…""#, &vec!["[]"; 3000].join(","));
            OwnEventType::parse(event_types::OWN, body.as_bytes()).map(|_| ())
        }
        "sendTest" => SendTest::parse(body.as_bytes()).map(|_| ()),
        "startSimulation" => {
            StartSimulation::parse(body.as_bytes())?.samples(&HashMap::new()).map(|_| ())
        }
        "startReplay" => StartReplay::parse(body.as_bytes()).map(|_| ()),
        "changeWorkspace" => WorkspaceSettings::default().changed_by(body.as_bytes()).map(|_| ()),
        "createKey" => NewKey::parse(body.as_bytes()).map(|_| ()),
        "createPortalLink" => NewPortalLink::parse(body.as_bytes()).map(|_| ()),
        "startRedrive" => StartRedrive::parse(body.as_bytes()).map(|_| ()),
        other => panic!("{other} takes no body"),
    }
}

/// The first complaint is the one that a closed catalogue refuses with.
fn first(mut complaints: impl Iterator<Item = Invalid>) -> Result<(), Invalid> {
    complaints.next().map_or(Ok(()), Err)
}

/// A type whose data is always too large for its schema.
fn costly_type() -> OwnEventType {
    let rows = vec![json!({ "$ref": "#/$defs/row" }); 400];
    let schema = json!({ "properties": {
        "rows": { "anyOf": rows },
    }, "$defs": { "row": { "enum": vec![1; 4000] } } });
    OwnEventType::parse("report.made", json!({ "schema": schema }).to_string().as_bytes()).unwrap()
}

/// A type that an earlier version has stored with a schema that goes in circles.
fn unusable_type() -> OwnEventType {
    let stored = r##"{"name":"invoice.voided","schema":{"$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/$defs/a"}}}}"##;
    serde_json::from_str(stored).unwrap()
}

/// The line with its time in quotes: to a reader of YAML 1.1 a bare one is no text.
fn quoted(line: &str) -> String {
    match line.rsplit_once(": ") {
        Some((name, value)) if value.parse::<Timestamp>().is_ok() => format!("{name}: '{value}'\n"),
        _ => format!("{line}\n"),
    }
}

#[test]
fn the_file_is_what_the_code_produces() {
    let file = root().join("docs/openapi.yaml");
    let header = "# Made from crates/api by: UPDATE_OPENAPI=1 cargo test -p posthaste-api\n";
    let yaml = serde_yaml_ng::to_string(&document()).unwrap();
    let produced: String = iter::once(header.to_owned()).chain(yaml.lines().map(quoted)).collect();
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        fs::write(&file, &produced).unwrap();
    }
    let kept = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        kept == produced,
        "docs/openapi.yaml is not what the code produces: UPDATE_OPENAPI=1 cargo test -p \
         posthaste-api"
    );
    let read: Value = serde_yaml_ng::from_str(&kept).unwrap();
    assert_eq!(read, in_json(), "the YAML says the same as the JSON that the API answers");
}

#[test]
fn every_operation_has_what_a_reader_needs() {
    let document = in_json();
    let mut ids = Vec::new();
    let tags: Vec<&str> = document["tags"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tag| tag["name"].as_str().unwrap())
        .collect();
    for (at, operation) in operations(&document) {
        ids.push(operation["operationId"].as_str().unwrap().to_owned());
        assert!(operation["summary"].is_string() && operation["description"].is_string(), "{at}");
        assert!(tags.contains(&operation["tags"][0].as_str().unwrap()), "{at}");
        let in_path = at.matches('{').count();
        let named = operation["parameters"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|parameter| parameter["in"] == "path");
        assert_eq!(named.count(), in_path, "{at}");
        if operation["operationId"] == "getOpenApi" {
            assert_eq!(operation["security"], json!([]));
            continue;
        }
        let scope = operation["security"][0]["apiKey"][0].as_str().unwrap();
        assert!(operation["description"].as_str().unwrap().contains(scope), "{at}");
    }
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!((ids.len(), count), (40, 40));
    assert_eq!(document["openapi"], "3.1.0");
}

#[test]
fn every_reference_leads_somewhere_and_every_schema_is_referred_to() {
    let document = in_json();
    let text = document.to_string();
    for (name, _) in document["components"]["schemas"].as_object().unwrap() {
        assert!(
            text.contains(&format!("\"#/components/schemas/{name}\"")),
            "nothing refers to {name}"
        );
    }
    for rest in text.split("\"#/components/schemas/").skip(1) {
        let name = rest.split('"').next().unwrap();
        assert!(document["components"]["schemas"][name].is_object(), "there is no {name}");
    }
}

/// Every operation of the document, such as `GET /api/v1/webhooks`.
fn operations(document: &Value) -> Vec<(String, &Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    let of_path = |(path, methods): (&String, &'_ Value)| {
        let methods = methods.as_object().unwrap().keys();
        methods
            .map(|method| {
                (format!("{} {path}", method.to_uppercase()), path.clone(), method.clone())
            })
            .collect::<Vec<_>>()
    };
    paths
        .flat_map(of_path)
        .map(|(at, path, method)| (at, &document["paths"][&path][&method]))
        .collect()
}
