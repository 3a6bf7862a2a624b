//! Bounds on the patterns of a schema: their number, their form, and the cost of matching them.
//!
//! The compiler of schemas rewrites each pattern before it compiles it, those of definitions that
//! nothing refers to included. It replaces one escape after the other and reads the whole pattern
//! again each time, so the length and the number of escapes have a bound of their own beside the
//! compiled size. So have flags: ECMA-262, whose patterns JSON Schema takes, has none within a
//! pattern, and to fold the case of a large class takes tens of milliseconds before any size is
//! known.

use serde_json::{Map, Value};

use super::{
    BadSchema,
    bounds::{BY_NAME, PLAIN},
    steps::Prices,
};

const MAX_PATTERNS: usize = 20;
/// The most bytes of one pattern.
const MAX_BYTES: usize = 1024;
/// The most backslashes of all patterns together.
const MAX_BACKSLASHES: usize = 100;
/// The most bytes that an escape grows by when it is rewritten, for example when `\s` becomes a
/// class.
const GROWTH: usize = 30;
/// The sizes of compiled patterns. The last one is the most that a pattern may have: matching takes
/// time in proportion to it.
const SIZES_KIB: [usize; 6] = [1, 2, 4, 8, 16, 32];

/// The patterns of one schema.
#[derive(Debug, Default)]
pub(super) struct Patterns {
    /// The cost of matching each pattern.
    pub(super) prices: Prices,
    /// The cost of compiling the patterns, as the bytes of a schema without patterns that takes as
    /// long.
    pub(super) weight: usize,
}

/// Checks the patterns of a whole schema, and returns their cost.
pub(super) fn check(schema: &Value) -> Result<Patterns, BadSchema> {
    let mut found = Vec::new();
    find_in_schema(schema, &mut found);
    if found.len() > MAX_PATTERNS {
        return Err(BadSchema(format!("a schema takes at most {MAX_PATTERNS} patterns")));
    }
    if found.iter().any(|pattern| pattern.len() > MAX_BYTES) {
        return Err(BadSchema(format!("a pattern takes at most {MAX_BYTES} bytes")));
    }
    if found.iter().map(|pattern| backslashes(pattern)).sum::<usize>() > MAX_BACKSLASHES {
        return Err(BadSchema(format!(
            "the patterns of a schema take at most {MAX_BACKSLASHES} backslashes together"
        )));
    }
    if let Some(pattern) = found.iter().find(|pattern| has_flags(pattern)) {
        return Err(BadSchema(format!(
            "the pattern {pattern:?} has flags, which are not supported"
        )));
    }
    let mut patterns = Patterns::default();
    for pattern in found {
        let kib = price(pattern)?;
        let escapes = backslashes(pattern);
        patterns.weight += kib * 1024 + (escapes + 1) * (pattern.len() + escapes * GROWTH);
        patterns.prices.insert(pattern.to_owned(), kib);
    }
    Ok(patterns)
}

fn backslashes(pattern: &str) -> usize {
    pattern.bytes().filter(|byte| *byte == b'\\').count()
}

/// Tells whether a group of the pattern sets flags, as `(?i)` does. Only with the flag `x` could
/// there be a space in between.
fn has_flags(pattern: &str) -> bool {
    let mut rest = pattern.chars();
    while let Some(char) = rest.next() {
        match char {
            '\\' => drop(rest.next()),
            '(' => {
                let flag = rest.as_str().strip_prefix('?').and_then(|group| group.chars().next());
                if flag
                    .is_some_and(|flag| flag == '-' || (flag.is_ascii_alphabetic() && flag != 'P'))
                {
                    return true;
                }
            }
            _ => {}
        }
    }
    false
}

fn find_in_schema<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| find_in_schema(value, found)),
        Value::Object(members) => find_in_keywords(members, found),
        _ => {}
    }
}

fn find_in_keywords<'a>(keywords: &'a Map<String, Value>, found: &mut Vec<&'a str>) {
    for (keyword, operand) in keywords {
        match (keyword.as_str(), operand) {
            ("pattern", Value::String(pattern)) => found.push(pattern),
            (keyword, Value::Object(named)) if BY_NAME.contains(&keyword) => {
                if keyword == "patternProperties" {
                    found.extend(named.keys().map(String::as_str));
                }
                named.values().for_each(|schema| find_in_schema(schema, found));
            }
            (keyword, _) if PLAIN.contains(&keyword) => {}
            _ => find_in_schema(operand, found),
        }
    }
}

/// The cost of matching a byte of text.
fn price(pattern: &str) -> Result<usize, BadSchema> {
    for kib in SIZES_KIB {
        match regex::RegexBuilder::new(pattern).size_limit(kib * 1024).build() {
            Ok(_) => return Ok(kib),
            Err(regex::Error::CompiledTooBig(_)) => {}
            // The compiler of the schema knows further escapes and has no bound, so a pattern that
            // can't be measured here is refused.
            Err(error) => {
                return Err(BadSchema(format!(
                    "the pattern {pattern:?} can't be read: {}",
                    reason(&error.to_string())
                )));
            }
        }
    }
    Err(BadSchema(format!("the pattern {pattern:?} is too costly")))
}

/// The last line of the message about a pattern. The lines before show the pattern.
fn reason(complaint: &str) -> &str {
    let last = complaint.lines().last().unwrap_or_default();
    last.strip_prefix("error: ").unwrap_or(last)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Returns schemas with the pattern at each place where a validator rewrites it, whether
    /// something refers to it or not.
    fn places(pattern: &str) -> [Value; 7] {
        let part = json!({ "pattern": pattern });
        [
            part.clone(),
            json!({ "patternProperties": { pattern: {} } }),
            json!({ "items": [{ "not": part }] }),
            json!({ "properties": { "const": part } }),
            json!({ "$defs": { "nobody refers/to this": part } }),
            json!({ "definitions": { "examples": { "$defs": { "pattern": part } } } }),
            json!({
                "$schema": "http://json-schema.org/draft-07/schema#", "dependencies": { "a": part },
            }),
        ]
    }

    #[test]
    fn a_pattern_that_takes_long_to_rewrite_is_refused_wherever_it_stands() {
        let in_a_class = |escapes: usize| format!("[{}]", r"\s".repeat(escapes));
        let folded = format!("(?i)[{}]", "[a-\u{10ffff}]".repeat(100));
        for long in
            [in_a_class(101), r"\.".repeat(101), r"\cA".repeat(101), "a".repeat(1025), folded]
        {
            for schema in places(&long) {
                assert!(check(&schema).is_err(), "{schema}");
                assert!(
                    super::super::DataSchema::compile(&schema.to_string()).is_err(),
                    "{schema}"
                );
            }
        }
        for short in [in_a_class(100), r"\.".repeat(100), format!("[{}]", "a".repeat(1022))] {
            for schema in places(&short) {
                assert_eq!(
                    check(&schema).map(|patterns| patterns.prices.len()).ok(),
                    Some(1),
                    "{schema}"
                );
            }
        }
    }

    #[test]
    fn the_patterns_of_a_whole_schema_are_counted() {
        let definitions = |count: usize, pattern: &str| {
            let definition = |at: usize| {
                (format!("d{at}"), json!({ "patternProperties": { "a": { "pattern": pattern } } }))
            };
            let definitions: Map<String, Value> = (0..count).map(definition).collect();
            json!({ "$defs": definitions })
        };
        assert!(check(&definitions(10, "a")).is_ok());
        assert!(check(&definitions(11, "a")).is_err());
        assert!(check(&definitions(10, &r"\.".repeat(10))).is_ok());
        assert!(check(&definitions(10, &r"\.".repeat(11))).is_err());
        let weight = |count: usize| {
            check(&definitions(count, r"a\.")).map(|patterns| patterns.weight).unwrap()
        };
        assert_eq!(weight(10), 10 * weight(1), "copies are compiled too");
        assert_eq!(weight(1), (1024 + 1) + (1024 + 2 * (3 + 30)));
    }

    #[test]
    fn a_group_with_flags_is_told_from_others() {
        for flags in ["(?i)a", "a(?-u:b)", r"\\(?s)a", "(a(?x: b))", "(?P<a>(?U)b)"] {
            assert!(has_flags(flags), "{flags}");
        }
        for none in [r"\(?i)", "(?:a)?i", "(?<a>b)(?P<c>d)", "(a)?-b", "a?i"] {
            assert!(!has_flags(none), "{none}");
        }
    }

    #[test]
    fn what_is_no_pattern_has_no_bound() {
        let long = r"\d".repeat(2000);
        let no_patterns = json!({
            "const": { "pattern": long },
            "examples": [{ "patternProperties": { long.clone(): 1 } }], "title": long,
            "properties": { "pattern": { "enum": [long] }, "patternProperties": {} }
        });
        assert_eq!(check(&no_patterns).map(|patterns| patterns.prices.len()).ok(), Some(0));
        assert!(super::super::DataSchema::compile(&no_patterns.to_string()).is_ok());
    }
}
