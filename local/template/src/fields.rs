//! Objects are read so that nothing in them is overlooked: an entry that nobody took is an error.

use std::{fmt::Display, ops::RangeInclusive};

use serde_json::{Map, Value};

use crate::error::{Result, at, join, not_supported};

/// The entries of an object that nobody has taken yet.
#[derive(Debug)]
pub(crate) struct Fields {
    path: String,
    entries: Map<String, Value>,
}

/// An entry of an object whose keys are names.
pub(crate) struct Entry {
    pub(crate) path: String,
    pub(crate) name: String,
    pub(crate) value: Value,
}

impl Fields {
    /// Reads the object at `path`. Null stands for one that is not there, and has no entries.
    pub(crate) fn of(value: Value, path: impl Into<String>) -> Result<Self> {
        let path = path.into();
        match value {
            Value::Object(entries) => Ok(Self { path, entries }),
            Value::Null => Ok(Self { path, entries: Map::new() }),
            _ => Err(at(path, "has to be an object")),
        }
    }

    /// Returns the path of the object.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Returns the path of the entry `key`.
    pub(crate) fn path_of(&self, key: impl Display) -> String {
        join(&self.path, key)
    }

    /// Lists the keys of the entries that nobody has taken yet.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.entries.keys().cloned().collect()
    }

    pub(crate) fn take(&mut self, key: &str) -> Option<Value> {
        self.entries.remove(key)
    }

    /// Takes the object at `key`. One that is not there has no entries.
    pub(crate) fn object(&mut self, key: &str) -> Result<Self> {
        let path = self.path_of(key);
        Self::of(self.take(key).unwrap_or_default(), path)
    }

    /// Takes the items of the list at `key`, with their paths. There are none if there is no list.
    pub(crate) fn list(&mut self, key: &str) -> Result<Vec<(String, Value)>> {
        let path = self.path_of(key);
        match self.take(key) {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) => {
                Ok(items.into_iter().enumerate().map(|(i, item)| (join(&path, i), item)).collect())
            }
            Some(_) => Err(at(path, "has to be a list")),
        }
    }

    /// Takes the texts at `key`, which may be one text or a list of them, as in an IAM policy.
    pub(crate) fn texts(&mut self, key: &str) -> Result<Vec<String>> {
        match self.entries.get(key) {
            Some(Value::Array(_)) => {
                let items = self.list(key)?;
                items
                    .into_iter()
                    .map(|(path, item)| scalar(&item).ok_or_else(|| at(path, "has to be a text")))
                    .collect()
            }
            _ => Ok(self.text(key)?.into_iter().collect()),
        }
    }

    /// Takes the texts at `key`, of which there has to be one at least.
    pub(crate) fn some_texts(&mut self, key: &str) -> Result<Vec<String>> {
        let texts = self.texts(key)?;
        if texts.is_empty() { Err(at(self.path_of(key), "is missing")) } else { Ok(texts) }
    }

    pub(crate) fn text(&mut self, key: &str) -> Result<Option<String>> {
        let value = self.take(key);
        value
            .map(|value| scalar(&value).ok_or_else(|| at(self.path_of(key), "has to be a text")))
            .transpose()
    }

    pub(crate) fn required_text(&mut self, key: &str) -> Result<String> {
        self.text(key)?.ok_or_else(|| at(self.path_of(key), "is missing"))
    }

    /// Takes a whole number inside `range`. CloudFormation takes `"5"` for 5, and the value of a
    /// parameter is always a text.
    pub(crate) fn number(&mut self, key: &str, range: RangeInclusive<u64>) -> Result<Option<u64>> {
        let Some(text) = self.text(key)? else { return Ok(None) };
        let number = text.parse().ok().filter(|number| range.contains(number));
        if number.is_none() {
            let problem =
                format!("{text} is no whole number from {} to {}", range.start(), range.end());
            return Err(at(self.path_of(key), problem));
        }
        Ok(number)
    }

    pub(crate) fn flag(&mut self, key: &str) -> Result<Option<bool>> {
        let Some(text) = self.text(key)? else { return Ok(None) };
        text.parse()
            .map(Some)
            .map_err(|_| at(self.path_of(key), format!("{text} is neither true nor false")))
    }

    /// Takes the text at `key`, which has to be `expected`.
    pub(crate) fn exactly(&mut self, key: &str, expected: &str) -> Result<()> {
        let text = self.required_text(key)?;
        if text != expected {
            let problem = format!("the local system supports only {expected}, not {text}");
            return Err(at(self.path_of(key), problem));
        }
        Ok(())
    }

    /// Takes the text at `key`, which has to be `expected` where it is given.
    pub(crate) fn at_most(&mut self, key: &str, expected: &str) -> Result<()> {
        if self.entries.contains_key(key) { self.exactly(key, expected) } else { Ok(()) }
    }

    /// Leaves `keys` out, which mean nothing locally. Every caller says why.
    pub(crate) fn ignore(&mut self, keys: &[&str]) {
        self.entries.retain(|key, _| !keys.contains(&key.as_str()));
    }

    /// Takes all entries that are left, of an object whose keys are names.
    pub(crate) fn rest(self) -> impl Iterator<Item = Entry> {
        let Self { path, entries } = self;
        entries.into_iter().map(move |(name, value)| Entry {
            path: join(&path, &name),
            name,
            value,
        })
    }

    /// Refuses an entry that nobody took, because it is not supported.
    pub(crate) fn finish(self) -> Result<()> {
        match self.entries.keys().next() {
            Some(left) => Err(not_supported(self.path_of(left))),
            None => Ok(()),
        }
    }
}

/// Turns a scalar into a text, as CloudFormation does.
pub(crate) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}
