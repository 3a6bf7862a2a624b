//! The `Parameters` section: defaults, overrides and their checks.
//! <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/parameters-section-structure.html>

use std::collections::BTreeMap;

use regex_lite::Regex;
use serde_json::Value;

use crate::{
    error::{Result, at, join, not_supported},
    fields::Fields,
};

/// The value of every parameter in `section`: a text, or a list of them.
pub(crate) fn resolve(section: Fields, overrides: &BTreeMap<String, String>) -> Result<BTreeMap<String, Value>> {
    let path = section.path().to_owned();
    let values = section.rest().map(|(path, name, value)| {
        let value = check(Fields::of(value, path)?, overrides.get(&name))?;
        Ok((name, value))
    });
    let values: BTreeMap<_, _> = values.collect::<Result<_>>()?;
    if let Some(unknown) = overrides.keys().find(|name| !values.contains_key(*name)) {
        let known: Vec<_> = values.into_keys().collect();
        return Err(at(join(&path, unknown), format!("no such parameter; there are {}", known.join(", "))));
    }
    Ok(values)
}

/// The value of one parameter, held against its declaration.
fn check(mut declaration: Fields, given: Option<&String>) -> Result<Value> {
    let path = declaration.path().to_owned();
    let default = declaration.text("Default")?;
    let value = given.cloned().or(default).ok_or_else(|| at(&path, "has no default and was not given"))?;
    let refuse = |rule: String| Err(at(&path, format!("{value:?} {rule}")));

    let length = value.chars().count() as u64;
    let kind = declaration.required_text("Type")?;
    let number = match kind.as_str() {
        "String" | "CommaDelimitedList" => None,
        "Number" => match value.parse::<f64>() {
            Ok(number) => Some(number),
            Err(_) => return refuse("is no number".to_owned()),
        },
        _ => return Err(not_supported(format!("{path}.Type: {kind}"))),
    };
    let allowed = declaration.texts("AllowedValues")?;
    if !allowed.is_empty() && !allowed.contains(&value) {
        return refuse(format!("is none of the allowed values {}", allowed.join(", ")));
    }
    if let Some(pattern) = declaration.text("AllowedPattern")? {
        // The pattern has to match the whole value, with or without its own anchors.
        let whole = Regex::new(&format!("^(?:{pattern})$"));
        let whole = whole.map_err(|error| at(format!("{path}.AllowedPattern"), error.to_string()))?;
        if !whole.is_match(&value) {
            return refuse(format!("does not match {pattern}"));
        }
    }
    for (bound, holds) in [("MinValue", f64::ge as fn(&f64, &f64) -> bool), ("MaxValue", f64::le)] {
        let Some(limit) = declaration.text(bound)? else { continue };
        let limit_number = limit.parse().map_err(|_| at(format!("{path}.{bound}"), "has to be a number"))?;
        if !number.is_some_and(|number| holds(&number, &limit_number)) {
            return refuse(format!("is outside {bound} {limit}"));
        }
    }
    let shortest = declaration.number("MinLength", 0..=u64::MAX)?.unwrap_or(0);
    let longest = declaration.number("MaxLength", 0..=u64::MAX)?.unwrap_or(u64::MAX);
    if !(shortest..=longest).contains(&length) {
        return refuse(format!("has {length} characters, not {shortest} to {longest}"));
    }
    // These are for the person who deploys.
    declaration.ignore(&["ConstraintDescription", "Description", "NoEcho"]);
    declaration.finish()?;
    Ok(match kind.as_str() {
        "CommaDelimitedList" => value.split(',').map(|item| Value::from(item.trim())).collect(),
        _ => value.into(),
    })
}
