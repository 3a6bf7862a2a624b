//! The operations are the routes of the template, and their parameters are those that the functions read.

use std::collections::BTreeSet;

use super::*;

#[test]
fn the_operations_are_the_routes_of_the_template() {
    let template = fs::read_to_string(root().join("template.yaml")).unwrap();
    let template: serde_yaml_ng::Value = serde_yaml_ng::from_str(&template).unwrap();
    let mut routes = BTreeSet::new();
    for (_, resource) in template["Resources"].as_mapping().unwrap() {
        for (_, event) in resource["Properties"]["Events"].as_mapping().into_iter().flatten() {
            let properties = &event["Properties"];
            // The route $default has neither.
            if let (Some(method), Some(path)) = (properties["Method"].as_str(), properties["Path"].as_str()) {
                assert!(routes.insert(format!("{} {path}", method.to_uppercase())), "{method} {path} is there twice");
            }
        }
    }
    let document = in_json();
    let documented: BTreeSet<String> = operations(&document).into_iter().map(|(at, _)| at).collect();
    assert_eq!(documented, routes);
}

#[test]
fn the_query_parameters_are_those_that_are_read() {
    let document = in_json();
    let operations = operations(&document);
    for (file, id) in [
        ("register/src/webhooks", "listWebhooks"),
        ("register/src/deliveries", "listDeliveries"),
        ("register/src/events", "listEvents"),
        ("types/src/event_types", "listEventTypes"),
        ("register/src/keys", "listKeys"),
    ] {
        let source = fs::read_to_string(root().join(format!("functions/{file}.rs"))).unwrap();
        let source = source.split("#[cfg(test)]").next().unwrap();
        let of = |call| source.split(call).skip(1).map(|rest| rest.split('"').next().unwrap());
        let named = of(".optional(\"").chain(of(".time(\""));
        let read: BTreeSet<&str> = named.chain(source.contains(".limit()").then_some("limit")).collect();
        let (_, operation) = operations.iter().find(|(_, operation)| operation["operationId"] == id).unwrap();
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let in_query = parameters.filter(|parameter| parameter["in"] == "query");
        let documented: BTreeSet<&str> = in_query.map(|parameter| parameter["name"].as_str().unwrap()).collect();
        assert_eq!(documented, read, "{id}");
    }
}
