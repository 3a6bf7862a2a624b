//! Bounds on a workspace's schema, so that checking data against it always ends soon: a validator
//! follows references and repeats sub-schemas as often as the schema tells it to.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::BadSchema;

/// The most sub-schemas. Each reference counts as the definition that it refers to.
const MAX_PARTS: usize = 1000;
/// The greatest depth of sub-schemas within each other, references included.
const MAX_DEPTH: usize = 32;
/// The members of a schema that hold the definitions it refers to.
const DEFINITIONS: [&str; 2] = ["$defs", "definitions"];
/// Keywords whose value is no schema, so that nothing in it counts.
pub(super) const PLAIN: [&str; 4] = ["const", "enum", "examples", "default"];
/// Keywords whose value is an object of schemas by name. A member of that object is a name, even if
/// it is called like a keyword.
pub(super) const BY_NAME: [&str; 6] =
    ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies"];
/// The one draft in which `id`, and not `$id`, changes the meaning of references.
const DRAFT_4: &str = "draft-04";

/// Checks a schema, except for its patterns.
pub(super) fn check(schema: &Value) -> Result<(), BadSchema> {
    let is_draft_4 = schema["$schema"].as_str().is_some_and(|draft| draft.contains(DRAFT_4));
    let mut walk = Walk { root: schema, is_draft_4, definitions: HashMap::new() };
    walk.cost(schema, 0, true).map(|_| ())
}

/// The cost of checking data against a part of a schema.
#[derive(Debug, Clone, Copy, Default)]
struct Cost {
    parts: usize,
    /// The number of levels below this part.
    depth: usize,
}

struct Walk<'a> {
    root: &'a Value,
    is_draft_4: bool,
    /// The definitions that have been counted.
    definitions: HashMap<&'a str, Cost>,
}

impl<'a> Walk<'a> {
    /// The cost of a value that stands this deep.
    fn cost(&mut self, value: &'a Value, depth: usize, is_root: bool) -> Result<Cost, BadSchema> {
        is_within(depth)?;
        let mut cost = Cost::default();
        match value {
            Value::Array(values) => {
                for value in values {
                    cost = cost.with(self.cost(value, depth, false)?)?;
                }
            }
            Value::Object(members) => {
                cost.parts = 1;
                for (name, value) in members {
                    cost = cost.with(self.cost_of_member(name, value, depth, is_root)?)?;
                }
            }
            _ => {}
        }
        Ok(cost)
    }

    fn cost_of_member(
        &mut self,
        name: &str,
        value: &'a Value,
        depth: usize,
        is_root: bool,
    ) -> Result<Cost, BadSchema> {
        match (name, value) {
            ("$dynamicRef" | "$recursiveRef" | "$dynamicAnchor" | "$anchor", _) => {
                return Err(BadSchema(format!(
                    "{name} is not supported: refer to #/$defs/… with $ref"
                )));
            }
            ("$id", Value::String(_)) if !is_root => return Err(second_id(name)),
            ("id", Value::String(_)) if !is_root && self.is_draft_4 => return Err(second_id(name)),
            ("$ref", Value::String(target)) => return self.cost_of_reference(target, depth),
            // A validator rewrites a value that should be a pattern, which takes a time that grows
            // with the cube of its length.
            ("format", Value::String(format)) if format == "regex" => {
                return Err(BadSchema("the format \"regex\" is not supported".to_owned()));
            }
            // A definition counts where it is referred to.
            _ if is_root && DEFINITIONS.contains(&name) => return Ok(Cost::default()),
            _ if PLAIN.contains(&name) => return Ok(Cost::default()),
            _ => {}
        }
        let cost = match value {
            Value::Object(named) if BY_NAME.contains(&name) => {
                self.cost_of_named(named, depth + 1)?
            }
            _ => self.cost(value, depth + 1, false)?,
        };
        Ok(cost.below())
    }

    /// The cost of schemas that stand in an object by their names.
    fn cost_of_named(
        &mut self,
        named: &'a Map<String, Value>,
        depth: usize,
    ) -> Result<Cost, BadSchema> {
        is_within(depth)?;
        let mut cost = Cost { parts: 1, depth: 0 };
        for value in named.values() {
            cost = cost.with(self.cost(value, depth + 1, false)?.below())?;
        }
        Ok(cost)
    }

    fn cost_of_reference(&mut self, target: &'a str, depth: usize) -> Result<Cost, BadSchema> {
        if let Some(cost) = self.definitions.get(target).copied() {
            return is_within(depth + cost.depth).map(|()| cost);
        }
        let found = DEFINITIONS.iter().find_map(|place| {
            let name = target.strip_prefix("#/")?.strip_prefix(place)?.strip_prefix('/')?;
            let is_plain = !name.contains(['/', '~', '%']);
            self.root.get(place)?.get(name).filter(|_| is_plain)
        });
        let definition = found.ok_or_else(|| {
            BadSchema(format!(
                "the reference {target:?} is not to #/$defs/<name>, or there is no such definition"
            ))
        })?;
        let cost = self.cost(definition, depth + 1, false)?.below();
        self.definitions.insert(target, cost);
        Ok(cost)
    }
}

impl Cost {
    /// The cost of two values side by side.
    fn with(self, other: Self) -> Result<Self, BadSchema> {
        let parts = self.parts + other.parts;
        if parts > MAX_PARTS {
            return Err(BadSchema(format!(
                "a schema takes at most {MAX_PARTS} sub-schemas, with each reference counted as \
                 what it refers to"
            )));
        }
        Ok(Self { parts, depth: self.depth.max(other.depth) })
    }

    /// The cost seen from one level higher.
    fn below(self) -> Self {
        Self { depth: self.depth + 1, ..self }
    }
}

fn second_id(name: &str) -> BadSchema {
    BadSchema(format!("only the schema itself may have an {name}"))
}

fn is_within(depth: usize) -> Result<(), BadSchema> {
    if depth <= MAX_DEPTH {
        return Ok(());
    }
    Err(BadSchema(format!(
        "sub-schemas and references go at most {MAX_DEPTH} deep, and not in circles"
    )))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::event::schema::patterns;

    /// Everything that is asked of a schema.
    fn check(schema: &Value) -> Result<(), BadSchema> {
        patterns::check(schema)?;
        super::check(schema)
    }

    /// The words that mean something as a keyword, and nothing as a name.
    const KEYWORDS: [&str; 18] = [
        "const",
        "enum",
        "examples",
        "default",
        "pattern",
        "patternProperties",
        "properties",
        "$ref",
        "$id",
        "id",
        "$anchor",
        "$dynamicRef",
        "$recursiveRef",
        "$dynamicAnchor",
        "$defs",
        "definitions",
        "dependencies",
        "items",
    ];

    fn measured(schema: &Value) -> Result<(usize, usize), BadSchema> {
        let mut walk = Walk { root: schema, is_draft_4: false, definitions: HashMap::new() };
        walk.cost(schema, 0, true).map(|cost| (cost.parts, cost.depth))
    }

    /// A schema that refers twice to one that refers twice to another one, and so on.
    fn doubling() -> Map<String, Value> {
        let twice = |at: usize| {
            let next = json!({ "$ref": format!("#/$defs/d{}", at + 1) });
            (format!("d{at}"), json!({ "allOf": [next, next] }))
        };
        (0..20).map(twice).chain([("d20".to_owned(), json!({}))]).collect()
    }

    #[test]
    fn a_property_counts_whatever_its_name_is() {
        for name in KEYWORDS {
            let doubled = json!({ "$ref": "#/$defs/d0" });
            for holder in BY_NAME.into_iter().filter(|holder| !DEFINITIONS.contains(holder)) {
                let bomb = json!({ holder: { name: doubled }, "$defs": doubling() });
                assert!(check(&bomb).is_err(), "{holder} {name}");
                let pattern = json!({ holder: { name: { "pattern": "(a{1,60}){1,60}" } } });
                assert!(check(&pattern).is_err(), "{holder} {name}");
                let small = json!({ holder: { name: { "type": "string" } } });
                assert!(check(&small).is_ok(), "{holder} {name}");
            }
            let defined = json!({
                "$ref": "#/$defs/x", "$defs": { "x": { "$defs": { name: doubled } }, "d0": {} },
            });
            assert!(check(&defined).is_ok(), "{name}");
            let mut definitions = doubling();
            definitions.insert(name.to_owned(), doubled);
            let defined = json!({ "$ref": format!("#/$defs/{name}"), "$defs": definitions });
            assert!(check(&defined).is_err(), "{name}");
        }
    }

    /// A schema of properties, each by one of two names of the same place.
    fn schema_of(shape: &Shape, name: &dyn Fn(usize) -> String) -> Value {
        let children: Map<String, Value> = shape
            .0
            .iter()
            .enumerate()
            .map(|(at, child)| (name(at), schema_of(child, name)))
            .collect();
        json!({ "properties": children, "minimum": 1 })
    }

    #[derive(Debug, Clone)]
    struct Shape(Vec<Shape>);

    fn shape() -> impl Strategy<Value = Shape> {
        let leaf = Just(Shape(Vec::new()));
        leaf.prop_recursive(4, 40, 6, |inner| prop::collection::vec(inner, 0..6).prop_map(Shape))
    }

    proptest! {
        #[test]
        fn properties_named_as_keywords_count_as_much_as_others(
            shape in shape(), first in 0..KEYWORDS.len()
        ) {
            let plain = schema_of(&shape, &|at| format!("x{at}"));
            let hostile = schema_of(
                &shape, &|at| KEYWORDS[(first + at) % KEYWORDS.len()].to_owned()
            );
            prop_assert_eq!(measured(&hostile), measured(&plain));
        }
    }

    #[test]
    fn what_people_write_is_taken() {
        for good in [
            json!({ "type": "object", "properties": {
                "a": { "$ref": "#/$defs/a" }, "b": { "$ref": "#/definitions/b" },
            },
                "$defs": { "a": { "items": { "$ref": "#/definitions/b" } } }, "definitions": { "b": { "pattern": "^[a-z]{1,20}$" } } }),
            json!({
                "properties": { "format": { "const": "regex" } },
                "examples": [{ "format": "regex" }], "format": "date",
            }),
            json!({ "properties": { "x": { "id": "an unknown keyword of this draft" } } }),
            json!({
                "$id": "https://example.com/a.json", "examples": [{ "$ref": "x" }],
                "enum": [{ "$anchor": 1 }],
            }),
        ] {
            assert_eq!(check(&good).err(), None, "{good}");
        }
    }

    #[test]
    fn circles_chains_and_doublings_are_refused() {
        let chain: Map<String, Value> = (0..100)
            .map(|at| (format!("d{at}"), json!({ "$ref": format!("#/$defs/d{}", at + 1) })))
            .chain([("d100".to_owned(), json!({}))])
            .collect();
        let many: Vec<Value> = (0..1001).map(|_| json!({})).collect();
        let patterns: Vec<Value> =
            (0..21).map(|at| json!({ "pattern": format!("a{at}") })).collect();
        for bad in [
            json!({
                "$ref": "#/$defs/a",
                "$defs": { "a": { "properties": { "x": { "$ref": "#/$defs/a" } } } },
            }),
            json!({ "properties": { "x": { "$ref": "#" } } }),
            json!({ "$ref": "#/$defs/d0", "$defs": chain.clone() }),
            json!({
                "anyOf": (0..100).rev().map(|at| json!({
                    "$ref": format!("#/$defs/d{at}"),
                })).collect::<Vec<_>>(),
                "$defs": chain,
            }),
            json!({ "$ref": "#/$defs/d0", "$defs": doubling() }),
            json!({ "anyOf": many }),
            json!({ "anyOf": patterns }),
            json!({ "pattern": "(a{1,60}){1,60}" }),
            json!({ "pattern": r"\cA(a{1,60}){1,60}" }),
            json!({ "patternProperties": { "(a{1,60}){1,60}": {} } }),
            json!({ "properties": { "x": { "$id": "https://example.com/b.json" } } }),
            json!({
                "$schema": "http://json-schema.org/draft-04/schema#",
                "properties": { "x": { "id": "http://example.com/b" } },
            }),
            json!({ "$dynamicRef": "#x" }),
            json!({ "$schema": "http://json-schema.org/draft-07/schema#", "format": "regex" }),
            json!({ "properties": { "const": { "format": "regex" } } }),
            json!({ "$ref": "#/$defs/a", "$defs": { "a": { "format": "regex" } } }),
        ] {
            assert!(check(&bad).is_err(), "{bad}");
        }
    }
}
