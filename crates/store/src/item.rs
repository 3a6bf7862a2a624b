//! Reading and writing single attributes.

use std::{collections::HashMap, str::FromStr};

use aws_sdk_dynamodb::types::AttributeValue;
use serde::de::DeserializeOwned;

use crate::StoreError;

pub(crate) type Item = HashMap<String, AttributeValue>;

pub(crate) const PK: &str = "pk";
pub(crate) const SK: &str = "sk";
/// The TTL attribute of every table: Unix seconds.
pub(crate) const EXPIRES_AT: &str = "expiresAt";

pub(crate) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub(crate) fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

pub(crate) fn key(pk: impl Into<String>, sk: impl Into<String>) -> Item {
    Item::from([(PK.to_owned(), text(pk)), (SK.to_owned(), text(sk))])
}

/// An item whose attributes are read with complaints that name it.
pub(crate) trait Read {
    /// A text attribute.
    fn text(&self, attribute: &'static str) -> Result<&str, StoreError>;
    /// A text attribute, parsed.
    fn parsed<T: FromStr>(&self, attribute: &'static str) -> Result<T, StoreError>;
    /// A number attribute.
    fn number<T: FromStr>(&self, attribute: &'static str) -> Result<T, StoreError>;
    /// A text attribute that holds JSON.
    fn json<T: DeserializeOwned>(&self, attribute: &'static str) -> Result<T, StoreError>;
    /// The complaint about an attribute.
    fn corrupt(&self, attribute: &'static str) -> StoreError;
}

impl Read for Item {
    fn text(&self, attribute: &'static str) -> Result<&str, StoreError> {
        self.get(attribute)
            .and_then(|value| value.as_s().ok())
            .map(String::as_str)
            .ok_or_else(|| self.corrupt(attribute))
    }

    fn parsed<T: FromStr>(&self, attribute: &'static str) -> Result<T, StoreError> {
        self.text(attribute)?.parse().map_err(|_| self.corrupt(attribute))
    }

    fn number<T: FromStr>(&self, attribute: &'static str) -> Result<T, StoreError> {
        let number = self.get(attribute).and_then(|value| value.as_n().ok()).and_then(|text| text.parse().ok());
        number.ok_or_else(|| self.corrupt(attribute))
    }

    fn json<T: DeserializeOwned>(&self, attribute: &'static str) -> Result<T, StoreError> {
        serde_json::from_str(self.text(attribute)?).map_err(|_| self.corrupt(attribute))
    }

    fn corrupt(&self, attribute: &'static str) -> StoreError {
        let key = self.get(SK).and_then(|value| value.as_s().ok()).cloned().unwrap_or_default();
        StoreError::Corrupt { key, attribute }
    }
}
