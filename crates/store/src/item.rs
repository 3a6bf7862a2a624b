//! Items: attributes by name.

use std::{
    collections::{BTreeSet, HashMap},
    str::FromStr,
};

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};
use posthaste_domain::Timestamp;
use serde::{Serialize, de::DeserializeOwned};

use crate::StoreError;

pub(crate) const PK: &str = "pk";
pub(crate) const SK: &str = "sk";
/// The TTL attribute of every table: Unix seconds.
pub(crate) const EXPIRES_AT: &str = "expiresAt";

/// An item, or its key, which is an item of two attributes. Attributes are read with complaints
/// that name the item.
#[derive(Clone, Default, PartialEq)]
pub(crate) struct Item(pub(crate) HashMap<String, AttributeValue>);

/// It shows the names of the attributes and no value: some hold events and secrets.
impl std::fmt::Debug for Item {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys().collect::<BTreeSet<_>>()).finish()
    }
}

pub(crate) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub(crate) fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

pub(crate) fn bytes(value: impl Into<Vec<u8>>) -> AttributeValue {
    AttributeValue::B(Blob::new(value))
}

pub(crate) fn json(value: &impl Serialize) -> Result<AttributeValue, StoreError> {
    Ok(text(serde_json::to_string(value)?))
}

/// The attribute is written as NULL where there is no value.
pub(crate) fn or_null(value: Option<AttributeValue>) -> AttributeValue {
    value.unwrap_or(AttributeValue::Null(true))
}

pub(crate) fn key(pk: impl Into<String>, sk: impl Into<String>) -> Item {
    Item::default().with(PK, text(pk)).with(SK, text(sk))
}

impl Item {
    pub(crate) fn with(mut self, attribute: &str, value: AttributeValue) -> Self {
        self.0.insert(attribute.to_owned(), value);
        self
    }

    /// The attribute is left out where there is no value.
    pub(crate) fn with_some(self, attribute: &str, value: Option<AttributeValue>) -> Self {
        match value {
            Some(value) => self.with(attribute, value),
            None => self,
        }
    }

    pub(crate) fn get(&self, attribute: &str) -> Option<&AttributeValue> {
        self.0.get(attribute)
    }

    /// An attribute that is NULL counts as absent.
    pub(crate) fn has(&self, attribute: &str) -> bool {
        self.get(attribute).is_some_and(|value| !value.is_null())
    }

    pub(crate) fn text(&self, attribute: &'static str) -> Result<&str, StoreError> {
        let value = self.get(attribute).and_then(|value| value.as_s().ok());
        value.map(String::as_str).ok_or_else(|| self.corrupt(attribute))
    }

    /// A text attribute, parsed.
    pub(crate) fn parsed<T: FromStr>(&self, attribute: &'static str) -> Result<T, StoreError> {
        self.text(attribute)?.parse().map_err(|_| self.corrupt(attribute))
    }

    pub(crate) fn number<T: FromStr>(&self, attribute: &'static str) -> Result<T, StoreError> {
        let number = self
            .get(attribute)
            .and_then(|value| value.as_n().ok())
            .and_then(|text| text.parse().ok());
        number.ok_or_else(|| self.corrupt(attribute))
    }

    /// A number attribute that is a time in Unix milliseconds.
    pub(crate) fn time_ms(&self, attribute: &'static str) -> Result<Timestamp, StoreError> {
        Timestamp::from_millisecond(self.number(attribute)?).map_err(|_| self.corrupt(attribute))
    }

    pub(crate) fn flag(&self, attribute: &'static str) -> Result<bool, StoreError> {
        let flag = self.get(attribute).and_then(|value| value.as_bool().ok());
        flag.copied().ok_or_else(|| self.corrupt(attribute))
    }

    /// A binary attribute.
    pub(crate) fn bytes(&self, attribute: &'static str) -> Result<Vec<u8>, StoreError> {
        let value = self.get(attribute).and_then(|value| value.as_b().ok());
        value.map(|blob| blob.as_ref().to_vec()).ok_or_else(|| self.corrupt(attribute))
    }

    /// A text attribute that holds JSON.
    pub(crate) fn json<T: DeserializeOwned>(
        &self,
        attribute: &'static str,
    ) -> Result<T, StoreError> {
        serde_json::from_str(self.text(attribute)?).map_err(|_| self.corrupt(attribute))
    }

    /// Reads an attribute where the item has it.
    pub(crate) fn optional<T>(
        &self,
        attribute: &'static str,
        read: impl Fn(&Self, &'static str) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        if self.has(attribute) { read(self, attribute).map(Some) } else { Ok(None) }
    }

    /// The values of a list attribute; none where it is absent.
    pub(crate) fn list(&self, attribute: &str) -> &[AttributeValue] {
        self.get(attribute)
            .and_then(|value| value.as_l().ok())
            .map(Vec::as_slice)
            .unwrap_or_default()
    }

    /// The partition key and the sort key.
    pub(crate) fn key_texts(&self) -> Result<(String, String), StoreError> {
        Ok((self.text(PK)?.to_owned(), self.text(SK)?.to_owned()))
    }

    /// The complaint about an attribute.
    pub(crate) fn corrupt(&self, attribute: &'static str) -> StoreError {
        let key = self.get(SK).and_then(|value| value.as_s().ok()).cloned().unwrap_or_default();
        StoreError::Corrupt { key, attribute }
    }
}
