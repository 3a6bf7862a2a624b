//! The operations are the routes of the template.

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
            // The route $default has neither. A path with all methods is that of pages.
            if let (Some(method), Some(path)) =
                (properties["Method"].as_str(), properties["Path"].as_str())
                && method != "ANY"
            {
                // The pages of the console are no calls of the API.
                if method == "ANY" {
                    continue;
                }
                assert!(
                    routes.insert(format!("{} {path}", method.to_uppercase())),
                    "{method} {path} is there twice"
                );
            }
        }
    }
    // HEAD goes with GET, and is no operation of its own.
    let heads: Vec<String> =
        routes.iter().filter(|route| route.starts_with("HEAD ")).cloned().collect();
    for head in heads {
        routes.remove(&head);
        assert!(routes.contains(&head.replacen("HEAD", "GET", 1)), "{head} has no GET");
    }
    let document = in_json();
    let documented: BTreeSet<String> =
        operations(&document).into_iter().map(|(at, _)| at).collect();
    assert_eq!(documented, routes);
}
