//! The documented requests to endpoints are those that are made.

use std::collections::BTreeSet;

use posthaste_domain::{
    delivery::{format::Format, request::WebhookRequest},
    event::catalogue,
};

use super::*;

/// A request in each format for each type of the catalogue.
fn requests() -> impl Iterator<Item = (&'static str, WebhookRequest)> {
    let samples = catalogue::all().iter().map(|built_in| events::sample(built_in.name).unwrap());
    samples
        .flat_map(|sample| Format::NAMES.map(|(name, _)| (name, outgoing::request(name, &sample))))
        .filter_map(|(name, request)| Some((name, request?)))
}

#[test]
fn every_body_is_one_of_its_formats_schema() {
    let mut document = in_json();
    crate::check::close(&mut document);
    let mut validator = examples::Validator::of(document.clone());
    let mut seen = 0;
    for (name, request) in requests() {
        let body = serde_json::from_slice(&request.body).unwrap();
        let (_, content_type) =
            request.headers.iter().find(|(name, _)| *name == "content-type").unwrap();
        let at = format!(
            "/webhooks/{name}/post/requestBody/content/{}/schema",
            content_type.replace('/', "~1")
        );
        validator.validate(&at, &body).unwrap_or_else(|error| panic!("{name}: {error}\n{body}"));
        seen += 1;
    }
    assert!(seen >= 20 * Format::NAMES.len(), "{seen}");
}

#[test]
fn every_header_is_documented() {
    let document = in_json();
    for (_, request) in requests() {
        let sent: BTreeSet<String> = request
            .headers
            .iter()
            .map(|(name, _)| (*name).to_owned())
            .filter(|name| name != "content-type")
            .collect();
        let documented = document["components"]["parameters"].as_object().unwrap();
        let required = documented.iter().filter(|(_, header)| header["required"] == true);
        let required: BTreeSet<_> = required.map(|(name, _)| name.to_ascii_lowercase()).collect();
        assert_eq!(required, sent);
        assert_eq!(documented["webhook-environment"]["required"], false, "it is sent in test mode");
    }
}
