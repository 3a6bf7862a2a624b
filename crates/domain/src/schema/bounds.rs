//! What a workspace's schema may not be, so that checking data against it always ends soon: a validator follows references and
//! repeats sub-schemas as often as it is told to.

use std::collections::HashMap;

use serde_json::Value;

use super::BadSchema;

/// The most sub-schemas, with each reference counted as what it refers to.
const MAX_PARTS: usize = 1000;
/// How deep sub-schemas may be within each other, references included.
const MAX_DEPTH: usize = 32;
const MAX_PATTERNS: usize = 20;
/// The most bytes of a compiled pattern: matching costs time in proportion to it.
const MAX_PATTERN_BYTES: usize = 32 * 1024;
/// Where a schema keeps what it refers to.
const DEFINITIONS: [&str; 2] = ["$defs", "definitions"];
/// Keywords whose value is no schema, so that nothing in it counts.
const PLAIN: [&str; 4] = ["const", "enum", "examples", "default"];

/// Checks a schema.
pub(super) fn check(schema: &Value) -> Result<(), BadSchema> {
    let mut walk = Walk { root: schema, definitions: HashMap::new(), patterns: 0 };
    walk.cost(schema, 0, true).map(drop)
}

/// What checking data against a value of a schema costs.
#[derive(Debug, Clone, Copy, Default)]
struct Cost {
    parts: usize,
    /// How deep it goes on from here.
    depth: usize,
}

struct Walk<'a> {
    root: &'a Value,
    /// The definitions that have been counted.
    definitions: HashMap<&'a str, Cost>,
    patterns: usize,
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

    fn cost_of_member(&mut self, name: &str, value: &'a Value, depth: usize, is_root: bool) -> Result<Cost, BadSchema> {
        match (name, value) {
            ("$dynamicRef" | "$recursiveRef" | "$dynamicAnchor" | "$anchor", _) => {
                return Err(BadSchema(format!("{name} is not supported: refer to #/$defs/… with $ref")));
            }
            ("$id", Value::String(_)) if !is_root => {
                return Err(BadSchema("only the schema itself may have an $id".to_owned()));
            }
            ("$ref", Value::String(target)) => return self.cost_of_reference(target, depth),
            ("pattern", Value::String(pattern)) => self.pattern(pattern)?,
            ("patternProperties", Value::Object(properties)) => {
                properties.keys().try_for_each(|pattern| self.pattern(pattern))?;
            }
            // What is defined counts where it is referred to.
            _ if is_root && DEFINITIONS.contains(&name) => return Ok(Cost::default()),
            _ if PLAIN.contains(&name) => return Ok(Cost::default()),
            _ => {}
        }
        Ok(self.cost(value, depth + 1, false)?.below())
    }

    fn cost_of_reference(&mut self, target: &'a str, depth: usize) -> Result<Cost, BadSchema> {
        if let Some(cost) = self.definitions.get(target).copied() {
            return is_within(depth + cost.depth).map(|()| cost);
        }
        let definition = DEFINITIONS.iter().find_map(|place| {
            let name = target.strip_prefix("#/")?.strip_prefix(place)?.strip_prefix('/')?;
            let plain = !name.contains(['/', '~', '%']);
            self.root.get(place)?.get(name).filter(|_| plain)
        });
        let definition = definition.ok_or_else(|| {
            BadSchema(format!("the reference {target:?} is not to #/$defs/<name>, or there is no such definition"))
        })?;
        let cost = self.cost(definition, depth + 1, false)?.below();
        self.definitions.insert(target, cost);
        Ok(cost)
    }

    fn pattern(&mut self, pattern: &str) -> Result<(), BadSchema> {
        self.patterns += 1;
        if self.patterns > MAX_PATTERNS {
            return Err(BadSchema(format!("a schema takes at most {MAX_PATTERNS} patterns")));
        }
        let compiled = regex::RegexBuilder::new(pattern).size_limit(MAX_PATTERN_BYTES).build();
        match compiled {
            Err(regex::Error::CompiledTooBig(_)) => Err(BadSchema(format!("the pattern {pattern:?} is too costly"))),
            // What is no pattern is found by the compiler of the schema, which knows its dialect.
            _ => Ok(()),
        }
    }
}

impl Cost {
    /// The cost of two values side by side.
    fn with(self, other: Self) -> Result<Self, BadSchema> {
        let parts = self.parts + other.parts;
        if parts > MAX_PARTS {
            return Err(BadSchema(format!(
                "a schema takes at most {MAX_PARTS} sub-schemas, with each reference counted as what it refers to"
            )));
        }
        Ok(Self { parts, depth: self.depth.max(other.depth) })
    }

    /// The cost seen from one level higher.
    fn below(self) -> Self {
        Self { depth: self.depth + 1, ..self }
    }
}

fn is_within(depth: usize) -> Result<(), BadSchema> {
    if depth <= MAX_DEPTH {
        return Ok(());
    }
    Err(BadSchema(format!("sub-schemas and references go at most {MAX_DEPTH} deep, and not in circles")))
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;

    #[test]
    fn what_people_write_is_taken() {
        for good in [
            json!({ "type": "object", "properties": { "a": { "$ref": "#/$defs/a" }, "b": { "$ref": "#/definitions/b" } },
                "$defs": { "a": { "items": { "$ref": "#/definitions/b" } } }, "definitions": { "b": { "pattern": "^[a-z]{1,20}$" } } }),
            json!({ "$id": "https://example.com/a.json", "examples": [{ "$ref": "x" }], "enum": [{ "$anchor": 1 }] }),
        ] {
            assert_eq!(check(&good), Ok(()), "{good}");
        }
    }

    #[test]
    fn circles_chains_and_doublings_are_refused() {
        let chain: Map<String, Value> = (0..100)
            .map(|at| (format!("d{at}"), json!({ "$ref": format!("#/$defs/d{}", at + 1) })))
            .chain([("d100".to_owned(), json!({}))])
            .collect();
        let doubling: Map<String, Value> = (0..20)
            .map(|at| {
                let next = json!({ "$ref": format!("#/$defs/d{}", at + 1) });
                (format!("d{at}"), json!({ "allOf": [next, next] }))
            })
            .chain([("d20".to_owned(), json!({}))])
            .collect();
        let many: Vec<Value> = (0..1001).map(|_| json!({})).collect();
        let patterns: Vec<Value> = (0..21).map(|at| json!({ "pattern": format!("a{at}") })).collect();
        for bad in [
            json!({ "$ref": "#/$defs/a", "$defs": { "a": { "properties": { "x": { "$ref": "#/$defs/a" } } } } }),
            json!({ "properties": { "x": { "$ref": "#" } } }),
            json!({ "$ref": "#/$defs/d0", "$defs": chain.clone() }),
            json!({ "anyOf": (0..100).rev().map(|at| json!({ "$ref": format!("#/$defs/d{at}") })).collect::<Vec<_>>(), "$defs": chain }),
            json!({ "$ref": "#/$defs/d0", "$defs": doubling }),
            json!({ "anyOf": many }),
            json!({ "anyOf": patterns }),
            json!({ "pattern": "(a{1,60}){1,60}" }),
            json!({ "patternProperties": { "(a{1,60}){1,60}": {} } }),
            json!({ "properties": { "x": { "$id": "https://example.com/b.json" } } }),
            json!({ "$dynamicRef": "#x" }),
        ] {
            assert!(check(&bad).is_err(), "{bad}");
        }
    }
}
