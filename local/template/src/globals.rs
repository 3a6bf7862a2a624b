//! SAM's `Globals` are properties that every function has.
//! <https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-specification-template-anatomy-globals.html>

use serde_json::{Map, Value};

/// Puts `local` on top of `global`: objects are merged, lists are joined, and anything else is
/// replaced.
pub(crate) fn merge(global: Value, local: Value) -> Value {
    match (global, local) {
        (Value::Object(mut global), Value::Object(local))
            if !is_intrinsic(&global) && !is_intrinsic(&local) =>
        {
            for (key, value) in local {
                let merged = match global.remove(&key) {
                    Some(inherited) => merge(inherited, value),
                    None => value,
                };
                global.insert(key, merged);
            }
            Value::Object(global)
        }
        (Value::Array(mut global), Value::Array(local)) => {
            global.extend(local);
            Value::Array(global)
        }
        (_, local) => local,
    }
}

/// Tells if an object is a call of a function, such as `{"Ref": "X"}`, and not data.
pub(crate) fn is_intrinsic(object: &Map<String, Value>) -> bool {
    object.len() == 1 && object.keys().all(|key| key == "Ref" || key.starts_with("Fn::"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn objects_merge_lists_join_and_the_rest_is_replaced() {
        let cases = [
            (
                json!({"a": {"x": 1, "y": 1}}),
                json!({"a": {"y": 2}, "b": 3}),
                json!({"a": {"x": 1, "y": 2}, "b": 3}),
            ),
            (json!([1]), json!([2]), json!([1, 2])),
            (json!(1), json!(2), json!(2)),
            (json!({"Ref": "A"}), json!({"Fn::Sub": "b"}), json!({"Fn::Sub": "b"})),
            (json!({"a": {"Ref": "A"}}), json!({"a": {"x": 1}}), json!({"a": {"x": 1}})),
        ];
        for (global, local, expected) in cases {
            assert_eq!(merge(global, local), expected);
        }
    }
}
