//! Holds the document against what generators of clients, and tools that make calls, make of it.

use std::collections::BTreeSet;

use super::*;

/// Every object of the document with its pointer. What examples show is not the document's own.
fn objects<'a>(
    at: &str,
    value: &'a Value,
    found: &mut Vec<(String, &'a serde_json::Map<String, Value>)>,
) {
    match value {
        Value::Object(members) => {
            found.push((at.to_owned(), members));
            for (name, value) in
                members.iter().filter(|(name, _)| !matches!(name.as_str(), "example" | "examples"))
            {
                objects(&format!("{at}/{}", name.replace('/', "~1")), value, found);
            }
        }
        Value::Array(items) => {
            items
                .iter()
                .enumerate()
                .for_each(|(nth, value)| objects(&format!("{at}/{nth}"), value, found));
        }
        _ => {}
    }
}

fn all_objects(document: &Value) -> Vec<(String, &serde_json::Map<String, Value>)> {
    let mut found = Vec::new();
    objects("", document, &mut found);
    found
}

/// A generated client sends it, or demands the field: what was to be left to the profile, or as it
/// is, would be set.
#[test]
fn no_schema_has_a_default() {
    let document = in_json();
    for (at, object) in all_objects(&document) {
        // What endpoints may answer else is the answer `default`.
        assert!(!object.contains_key("default") || at.ends_with("/post/responses"), "{at}");
    }
}

/// A generated type of an object that says nothing of its members is one without any.
#[test]
fn every_object_says_what_its_members_are() {
    let document = in_json();
    let mut seen = 0;
    for (at, object) in all_objects(&document) {
        let is_object = |kind: &Value| {
            kind == "object" || kind.as_array().is_some_and(|all| all.contains(&json!("object")))
        };
        if !object.get("type").is_some_and(is_object) {
            continue;
        }
        assert!(
            object.contains_key("properties") || object.contains_key("additionalProperties"),
            "{at}"
        );
        let properties = object.get("properties");
        for name in object.get("required").and_then(Value::as_array).into_iter().flatten() {
            assert!(
                properties.is_some_and(|all| all[name.as_str().unwrap()].is_object()),
                "{at} has no {name}"
            );
        }
        seen += 1;
    }
    assert!(seen > 60, "{seen}");
}

#[test]
fn what_a_page_answers_as_next_is_what_the_following_call_takes() {
    let document = in_json();
    let mut seen = 0;
    for (at, operation) in operations(&document) {
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            if parameter["name"] == "cursor" {
                assert_eq!(parameter["schema"], json!({ "type": "string" }), "{at}");
                seen += 1;
            }
        }
    }
    assert_eq!(seen, 11);
    for (at, object) in all_objects(&document) {
        if let Some(next) = object.get("properties").and_then(|properties| properties.get("next")) {
            assert!(
                next["type"] == "string" || next["type"] == json!(["string", "null"]),
                "{at}: {next}"
            );
        }
    }
}

#[test]
fn links_lead_to_every_operation_that_takes_an_id() {
    let document = in_json();
    let operations = operations(&document);
    let mut reached = BTreeSet::new();
    for (at, operation) in &operations {
        for response in operation["responses"].as_object().unwrap().values() {
            for link in response["links"].as_object().into_iter().flatten().map(|(_, link)| link) {
                let (target_at, target) = operations
                    .iter()
                    .find(|(_, operation)| operation["operationId"] == link["operationId"])
                    .unwrap_or_else(|| panic!("{at}: {link}"));
                let given: BTreeSet<&String> =
                    link["parameters"].as_object().unwrap().keys().collect();
                assert_eq!(given, in_path(target), "{at}: {link}");
                for (_, from) in link["parameters"].as_object().unwrap() {
                    let from = from.as_str().unwrap();
                    let is_there = match from.strip_prefix("$response.body#") {
                        Some(pointer) => {
                            examples_of(response).any(|example| example.pointer(pointer).is_some())
                        }
                        None => from.strip_prefix("$request.path.").is_some_and(|name| {
                            in_path(operation).iter().any(|known| *known == name)
                        }),
                    };
                    assert!(is_there, "{at} has no {from}");
                }
                reached.insert(target_at);
            }
        }
    }
    for (at, operation) in &operations {
        // What makes an event type has its name from the caller.
        assert!(
            in_path(operation).is_empty() || reached.contains(at) || at.starts_with("PUT "),
            "nothing leads to {at}"
        );
    }
}

fn in_path(operation: &Value) -> BTreeSet<&String> {
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let names = parameters
        .filter(|parameter| parameter["in"] == "path")
        .map(|parameter| &parameter["name"]);
    names
        .filter_map(|name| if let Value::String(name) = name { Some(name) } else { None })
        .collect()
}

fn examples_of(response: &Value) -> impl Iterator<Item = &Value> {
    response["content"][JSON]["examples"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(_, example)| &example["value"])
}
