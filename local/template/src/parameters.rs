//! Parameters have declarations, defaults and overrides, which are held against each other.
//! <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/parameters-section-structure.html>

use std::collections::BTreeMap;

use regex_lite::Regex;
use serde_json::Value;

use crate::{
    error::{Result, at, join, not_supported},
    fields::{Entry, Fields},
};

/// Works out the value of every parameter in `section`, which is a text or a list of them.
pub(crate) fn resolve(
    section: Fields,
    overrides: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, Value>> {
    let path = section.path().to_owned();
    let mut values = BTreeMap::new();
    for Entry { path, name, value } in section.rest() {
        let value = check(Fields::of(value, path)?, overrides.get(&name))?;
        values.insert(name, value);
    }
    if let Some(unknown) = overrides.keys().find(|name| !values.contains_key(*name)) {
        let known: Vec<_> = values.into_keys().collect();
        return Err(at(
            join(&path, unknown),
            format!("no such parameter; there are {}", known.join(", ")),
        ));
    }
    Ok(values)
}

/// Works out the value of one parameter, and holds it against its declaration.
fn check(mut declaration: Fields, given: Option<&String>) -> Result<Value> {
    let path = declaration.path().to_owned();
    let default = declaration.text("Default")?;
    let value =
        given.cloned().or(default).ok_or_else(|| at(&path, "has no default and was not given"))?;
    let kind = declaration.required_text("Type")?;
    if let Some(problem) = problem(&mut declaration, &kind, &value)? {
        return Err(at(&path, format!("{value:?} {problem}")));
    }
    // These are for the person who deploys.
    declaration.ignore(&["ConstraintDescription", "Description", "NoEcho"]);
    declaration.finish()?;
    Ok(match kind.as_str() {
        "CommaDelimitedList" => value.split(',').map(|item| Value::from(item.trim())).collect(),
        _ => value.into(),
    })
}

/// Says which part of its declaration a value does not keep to.
fn problem(declaration: &mut Fields, kind: &str, value: &str) -> Result<Option<String>> {
    let path = declaration.path().to_owned();
    let number = match kind {
        "String" | "CommaDelimitedList" => None,
        "Number" => match value.parse::<f64>() {
            Ok(number) => Some(number),
            Err(_) => return Ok(Some("is no number".to_owned())),
        },
        _ => return Err(not_supported(format!("{path}.Type: {kind}"))),
    };
    let allowed = declaration.texts("AllowedValues")?;
    if !allowed.is_empty() && !allowed.iter().any(|other| other == value) {
        return Ok(Some(format!("is none of the allowed values {}", allowed.join(", "))));
    }
    if let Some(pattern) = declaration.text("AllowedPattern")? {
        // The pattern has to match the whole value, with or without its own anchors.
        let whole = Regex::new(&format!("^(?:{pattern})$"));
        let whole =
            whole.map_err(|error| at(format!("{path}.AllowedPattern"), error.to_string()))?;
        if !whole.is_match(value) {
            return Ok(Some(format!("does not match {pattern}")));
        }
    }
    for (bound, holds) in [("MinValue", f64::ge as fn(&f64, &f64) -> bool), ("MaxValue", f64::le)] {
        let Some(limit) = declaration.text(bound)? else { continue };
        let limit_number =
            limit.parse().map_err(|_| at(format!("{path}.{bound}"), "has to be a number"))?;
        if !number.is_some_and(|number| holds(&number, &limit_number)) {
            return Ok(Some(format!("is outside {bound} {limit}")));
        }
    }
    let shortest = declaration.number("MinLength", 0..=u64::MAX)?.unwrap_or(0);
    let longest = declaration.number("MaxLength", 0..=u64::MAX)?.unwrap_or(u64::MAX);
    let length = value.chars().count() as u64;
    if !(shortest..=longest).contains(&length) {
        return Ok(Some(format!("has {length} characters, not {shortest} to {longest}")));
    }
    Ok(None)
}
