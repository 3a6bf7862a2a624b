//! Counts the cost of checking data against a schema before the check is made.
//!
//! A validator applies each part of a schema to each value that the part is meant for. The count
//! goes the same way without comparing anything, so it is never much less than the cost of the
//! check, and it ends with the budget. One step is about the work of one keyword at one value. A
//! part is counted if nobody can tell without comparing whether it applies.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::MAX_WEIGHT_OF_CALL;

/// The most steps that the check of one event may take. In an optimised build a step takes about 15
/// ns where data fits and up to 250 ns where each value has a complaint of its own, and a complaint
/// takes about 100 bytes. So a check takes at most 0.15 s of a whole processor, and 60 MB. An event
/// of 256 KiB takes 100,000 to 200,000 steps with a schema as people write them.
pub const MAX_STEPS: u64 = 500_000;
/// The most steps that the checks of all events of one publishing call may take together. The first
/// event that does not fit ends them, so nearly all of them are of the cheap sort.
pub const MAX_STEPS_OF_CALL: u64 = 4 * MAX_STEPS;

/// The number of bytes of a string that make one step, for keywords that look at its length or its
/// form.
const BYTES_PER_STEP: usize = 256;
/// The number of levels of data that make an error as costly again as one at the top.
const LEVELS_PER_STEP: usize = 8;
/// A validator compares up to this many items each with each, whatever they are.
const FEW_ITEMS: usize = 20;
/// The number of comparisons of items that make one step.
const COMPARISONS_PER_STEP: usize = 8;
/// The largest whole number that a validator's hash tells from the next one.
const MAX_EXACT: u64 = 1 << 53;
/// Keywords that no check looks at.
const NOTES: [&str; 10] = [
    "$comment",
    "$defs",
    "$id",
    "$schema",
    "default",
    "definitions",
    "deprecated",
    "description",
    "examples",
    "title",
];

/// The steps and bytes that are left for the checks of one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// Steps that are left.
    of_call: u64,
    /// Bytes of schemas that are left.
    weight: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { of_call: MAX_STEPS_OF_CALL, weight: MAX_WEIGHT_OF_CALL }
    }
}

/// The reason why a check is not begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TooCostly {
    /// The event is too large for its schema.
    Event,
    /// The events of the call are too large together.
    Call,
    /// The schemas of the call's events are too large together.
    Schemas,
}

/// The cost of a byte of text for each pattern, in units of a quarter of a step.
pub(super) type Prices = HashMap<String, usize>;

impl Budget {
    /// Takes the weight of a schema from the budget, if so much is left.
    pub(super) fn take_schema(&mut self, weight: usize) -> Result<(), TooCostly> {
        self.weight = self.weight.checked_sub(weight).ok_or(TooCostly::Schemas)?;
        Ok(())
    }

    /// Takes the cost of a check from the budget, or tells which bound it exceeds.
    pub(super) fn take(
        &mut self,
        schema: &Value,
        prices: &Prices,
        data: &Value,
    ) -> Result<(), TooCostly> {
        let most = MAX_STEPS.min(self.of_call);
        let mut count = Count { schema, prices, left: most };
        match count.part(schema, data, 0) {
            Ok(()) => {
                self.of_call -= most - count.left;
                Ok(())
            }
            Err(Spent) if most < MAX_STEPS => Err(TooCostly::Call),
            Err(Spent) => Err(TooCostly::Event),
        }
    }
}

/// The error that ends a count: the budget is used up.
struct Spent;

struct Count<'a> {
    schema: &'a Value,
    prices: &'a Prices,
    left: u64,
}

impl Count<'_> {
    fn take(&mut self, steps: usize) -> Result<(), Spent> {
        self.left = self.left.checked_sub(steps as u64).ok_or(Spent)?;
        Ok(())
    }

    /// Counts one part of the schema at one value, which is so many levels deep in the data.
    fn part(&mut self, part: &Value, value: &Value, level: usize) -> Result<(), Spent> {
        self.take(1 + level / LEVELS_PER_STEP)?;
        let Value::Object(keywords) = part else { return Ok(()) };
        self.take(size(value))?;
        for (keyword, operand) in
            keywords.iter().filter(|(keyword, _)| !NOTES.contains(&keyword.as_str()))
        {
            self.take(1)?;
            self.keyword(keywords, keyword, operand, value, level)?;
        }
        Ok(())
    }

    /// Counts what one keyword of a schema asks of a value.
    fn keyword(
        &mut self,
        keywords: &Map<String, Value>,
        keyword: &str,
        operand: &Value,
        value: &Value,
        level: usize,
    ) -> Result<(), Spent> {
        match (keyword, operand, value) {
            ("$ref", Value::String(target), _) => {
                match self.schema.pointer(target.trim_start_matches('#')) {
                    Some(part) => self.part(part, value, level),
                    None => Ok(()),
                }
            }
            ("dependentSchemas" | "dependencies", Value::Object(parts), Value::Object(members)) => {
                parts.iter().try_for_each(|(name, part)| match part {
                    _ if !members.contains_key(name) => self.take(1),
                    Value::Array(names) => self.take(names.len()),
                    part => self.part(part, value, level),
                })
            }
            ("pattern", Value::String(pattern), Value::String(text)) => self.pattern(pattern, text),
            ("enum" | "const" | "required" | "dependentRequired", operand, _) => {
                self.take(nodes(operand))
            }
            (_, operand, Value::Object(members)) if is_of_members(keyword) => {
                self.members(keywords, keyword, operand, members, level)
            }
            (_, operand, Value::Array(items)) if is_of_items(keyword) => {
                self.items(keyword, operand, items, level)
            }
            // The rest are keywords for other values, and parts that apply to the value itself:
            // `allOf`, `if` and so on.
            (keyword, _, _) if is_for_containers(keyword) => Ok(()),
            (_, Value::Array(parts), _) => {
                parts.iter().try_for_each(|part| self.part(part, value, level))
            }
            (_, Value::Object(_), _) => self.part(operand, value, level),
            _ => Ok(()),
        }
    }

    /// Counts what a keyword asks of the members of an object.
    fn members(
        &mut self,
        keywords: &Map<String, Value>,
        keyword: &str,
        operand: &Value,
        members: &Map<String, Value>,
        level: usize,
    ) -> Result<(), Spent> {
        match (keyword, operand) {
            ("properties", Value::Object(parts)) => {
                members.iter().try_for_each(|(name, member)| match parts.get(name) {
                    Some(part) => self.part(part, member, level + 1),
                    None => Ok(()),
                })
            }
            ("patternProperties", Value::Object(parts)) => {
                self.pattern_properties(parts, members, level)
            }
            ("additionalProperties", part) => {
                let named = keywords.get("properties");
                let mut others = members
                    .iter()
                    .filter(|(name, _)| named.is_none_or(|named| named.get(name).is_none()));
                others.try_for_each(|(_, member)| self.part(part, member, level + 1))
            }
            ("unevaluatedProperties", part) => {
                members.values().try_for_each(|member| self.part(part, member, level + 1))
            }
            ("propertyNames", part) => members
                .keys()
                .try_for_each(|name| self.part(part, &Value::String(name.clone()), level + 1)),
            _ => Ok(()),
        }
    }

    /// Counts what a keyword asks of the items of a list.
    fn items(
        &mut self,
        keyword: &str,
        operand: &Value,
        items: &[Value],
        level: usize,
    ) -> Result<(), Spent> {
        match (keyword, operand) {
            ("items" | "prefixItems", Value::Array(parts)) => parts
                .iter()
                .zip(items)
                .try_for_each(|(part, item)| self.part(part, item, level + 1)),
            ("items" | "additionalItems" | "unevaluatedItems" | "contains", part) => {
                items.iter().try_for_each(|item| self.part(part, item, level + 1))
            }
            ("uniqueItems", Value::Bool(true)) => self.take(comparisons(items)),
            _ => Ok(()),
        }
    }

    fn pattern_properties(
        &mut self,
        parts: &Map<String, Value>,
        members: &Map<String, Value>,
        level: usize,
    ) -> Result<(), Spent> {
        for (pattern, part) in parts {
            for (name, member) in members {
                self.pattern(pattern, name)?;
                self.part(part, member, level + 1)?;
            }
        }
        Ok(())
    }

    fn pattern(&mut self, pattern: &str, text: &str) -> Result<(), Spent> {
        let price = self.prices.get(pattern).copied().unwrap_or(usize::MAX);
        self.take(1 + text.len().saturating_mul(price) / 4)
    }
}

/// Tells whether a keyword's parts apply to the contents of a value, and not to the value.
fn is_for_containers(keyword: &str) -> bool {
    is_of_members(keyword)
        || is_of_items(keyword)
        || matches!(keyword, "dependentSchemas" | "dependencies")
}

fn is_of_members(keyword: &str) -> bool {
    matches!(
        keyword,
        "properties"
            | "patternProperties"
            | "additionalProperties"
            | "unevaluatedProperties"
            | "propertyNames"
    )
}

fn is_of_items(keyword: &str) -> bool {
    matches!(
        keyword,
        "items"
            | "prefixItems"
            | "additionalItems"
            | "unevaluatedItems"
            | "contains"
            | "uniqueItems"
    )
}

/// The work that a value takes whatever the schema says.
fn size(value: &Value) -> usize {
    match value {
        Value::Object(members) => members.len(),
        Value::Array(items) => items.len(),
        Value::String(text) => text.len() / BYTES_PER_STEP,
        _ => 0,
    }
}

/// The number of values in a value, itself included.
fn nodes(value: &Value) -> usize {
    match value {
        Value::Object(members) => 1 + members.values().map(nodes).sum::<usize>(),
        Value::Array(items) => 1 + items.iter().map(nodes).sum::<usize>(),
        _ => 1,
    }
}

/// The cost of `uniqueItems`. A validator compares few items each with each, and many by their
/// hashes. Different items can have one hash if they contain lists, whose hash does not tell where
/// one begins, or large numbers: those are compared each with each too.
fn comparisons(items: &[Value]) -> usize {
    let all: usize = items.iter().map(nodes).sum();
    if items.len() <= FEW_ITEMS {
        return all * items.len() / COMPARISONS_PER_STEP;
    }
    let alike = items.iter().filter(|item| can_be_alike(item)).count();
    all + alike * alike / COMPARISONS_PER_STEP
}

fn can_be_alike(item: &Value) -> bool {
    match item {
        Value::Array(_) => true,
        Value::Object(members) => members.values().any(can_be_alike),
        Value::Number(number) => {
            let magnitude = number.as_u64().or_else(|| number.as_i64().map(i64::unsigned_abs));
            magnitude.is_some_and(|magnitude| magnitude > MAX_EXACT)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
