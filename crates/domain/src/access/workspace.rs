//! A workspace is the tenant that every key, webhook, event and delivery belongs to.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    Invalid,
    input::{Shape, parsed},
};

/// The name of a workspace: 1 to 64 of `A-Z a-z 0-9 _ . -`, beginning with a letter or a digit.
///
/// The alphabet leaves out `#`, so a workspace can't forge a part of a DynamoDB key, and fits an
/// SQS `MessageGroupId`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Workspace(String);

/// The error about a text that is no workspace name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a workspace is 1 to 64 of A-Z a-z 0-9 _ . - and begins with a letter or a digit")]
pub struct BadWorkspace;

impl Workspace {
    /// Reads a name.
    pub fn parse(text: impl Into<String>) -> Result<Self, BadWorkspace> {
        let text = text.into();
        let starts_well = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        let all_allowed =
            text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
        if starts_well && all_allowed && text.len() <= 64 {
            Ok(Self(text))
        } else {
            Err(BadWorkspace)
        }
    }

    /// The name as a text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Shape for Workspace {
    type Value = Self;

    fn read(at: &str, json: &RawValue) -> Result<Self, Invalid> {
        parsed(at, json, "a workspace: 1 to 64 of A-Z a-z 0-9 _ . -")
    }
}

#[cfg(feature = "openapi")]
crate::input::openapi::described!(
    Workspace,
    "Workspace",
    "The name of a workspace.",
    crate::input::openapi::text()
        .pattern(Some("^[A-Za-z0-9][A-Za-z0-9_.-]*$"))
        .max_length(Some(64))
);

impl fmt::Display for Workspace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Workspace {
    type Error = BadWorkspace;

    fn try_from(text: String) -> Result<Self, BadWorkspace> {
        Self::parse(text)
    }
}

impl From<Workspace> for String {
    fn from(workspace: Workspace) -> String {
        workspace.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        for good in ["acme", "559ae2249db800a7b0fa02ad58b196ae", "A.b_c-9", &"x".repeat(64)] {
            assert_eq!(Workspace::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "-acme", ".a", "a#b", "a b", "ä", "a/b", &"x".repeat(65)] {
            assert_eq!(Workspace::parse(bad), Err(BadWorkspace), "{bad:?}");
        }
    }
}
