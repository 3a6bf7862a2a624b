//! A workspace is the tenant that every key, webhook, event and delivery belongs to. It has a test
//! mode, which is a workspace beside it: what belongs to the one never meets what belongs to the
//! other.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    Invalid,
    input::{Shape, parsed, wrong_type},
};

/// The end of the text of a workspace in test mode.
const TEST: &str = "~test";
/// The shape of a workspace's name, for complaints.
const SHAPE: &str = "a workspace: 1 to 64 of A-Z a-z 0-9 _ . -";

/// A workspace in one environment. Its text is its name, 1 to 64 of `A-Z a-z 0-9 _ . -`, beginning
/// with a letter or a digit; and behind it `~test` in test mode.
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

/// The environment that a key, and all that it can reach, belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Environment {
    /// The key is for live use, and begins with `spk_live_`.
    #[default]
    Live,
    /// The key is for tests, and begins with `spk_test_`.
    Test,
}

impl Environment {
    /// The name that the API uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Test => "test",
        }
    }
}

impl Workspace {
    /// Reads a text that [`Self::as_str`] wrote.
    pub fn parse(text: impl Into<String>) -> Result<Self, BadWorkspace> {
        let text = text.into();
        let name = text.strip_suffix(TEST).unwrap_or(&text);
        let starts_well = name.starts_with(|c: char| c.is_ascii_alphanumeric());
        let all_allowed =
            name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
        if starts_well && all_allowed && name.len() <= 64 {
            Ok(Self(text))
        } else {
            Err(BadWorkspace)
        }
    }

    /// Reads the workspace of a message straight to the queue: its sender may name either
    /// environment.
    pub(crate) fn of_message(at: &str, json: &RawValue) -> Result<Self, Invalid> {
        parsed(at, json, SHAPE)
    }

    /// The workspace as a text, which says its environment.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name alone, which is the same in both environments.
    pub fn name(&self) -> &str {
        self.0.strip_suffix(TEST).unwrap_or(&self.0)
    }

    /// The environment of the workspace.
    pub fn environment(&self) -> Environment {
        if self.0.ends_with(TEST) { Environment::Test } else { Environment::Live }
    }

    /// The environment for a payload, which names no other than test mode.
    pub fn named_environment(&self) -> Option<Environment> {
        Some(self.environment()).filter(|environment| *environment == Environment::Test)
    }

    /// The workspace of this name in an environment.
    #[must_use]
    pub fn in_environment(&self, environment: Environment) -> Self {
        match environment {
            Environment::Live => Self(self.name().to_owned()),
            Environment::Test => Self(format!("{}{TEST}", self.name())),
        }
    }
}

impl Shape for Workspace {
    type Value = Self;

    fn read(at: &str, json: &RawValue) -> Result<Self, Invalid> {
        let workspace: Self = parsed(at, json, SHAPE)?;
        match workspace.environment() {
            Environment::Live => Ok(workspace),
            // The key says the environment, and nothing else does.
            Environment::Test => Err(wrong_type(at, SHAPE)),
        }
    }
}

impl Shape for Environment {
    type Value = Self;

    fn read(at: &str, json: &RawValue) -> Result<Self, Invalid> {
        parsed(at, json, "live or test")
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
    fn an_environment_has_the_name_of_the_api() {
        assert_eq!([Environment::Live, Environment::Test].map(Environment::name), ["live", "test"]);
    }

    #[test]
    fn names_are_checked() {
        for good in ["acme", "559ae2249db800a7b0fa02ad58b196ae", "A.b_c-9", &"x".repeat(64)] {
            assert_eq!(Workspace::parse(good).unwrap().as_str(), good);
        }
        for bad in [
            "~test",
            "a~live",
            "a~test~test",
            "~acme",
            "",
            "-acme",
            ".a",
            "a#b",
            "a b",
            "ä",
            "a/b",
            &"x".repeat(65),
        ] {
            assert_eq!(Workspace::parse(bad), Err(BadWorkspace), "{bad:?}");
        }
    }

    #[test]
    fn test_mode_is_a_workspace_beside_the_live_one() {
        let live = Workspace::parse("acme").unwrap();
        let test = live.in_environment(Environment::Test);
        assert_eq!(Workspace::parse("acme~test"), Ok(test.clone()));
        assert_eq!((test.name(), test.environment()), ("acme", Environment::Test));
        assert_eq!((live.name(), live.environment()), ("acme", Environment::Live));
        assert_ne!(live, test);
        assert_eq!(test.in_environment(Environment::Live), live);
        assert_eq!(test.in_environment(Environment::Test), test);
        assert!(Workspace::parse(format!("{}~test", "x".repeat(64))).is_ok());
    }

    #[test]
    fn a_client_names_no_environment_with_a_workspace() {
        let read = |json: &str| {
            Workspace::read("workspace", &RawValue::from_string(json.to_owned()).unwrap())
        };
        assert!(read(r#""acme""#).is_ok());
        let refused = read(r#""acme~test""#).unwrap_err();
        assert_eq!((refused.code, refused.field.as_deref()), ("wrong_type", Some("workspace")));
    }
}
