//! The settings of a workspace: those that hold for all its webhooks and events.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    Invalid,
    input::{Fields, Optional, Shape, body, one_of},
    webhook::profile::Profile,
};

body! {
    /// The settings of a workspace. A field that is absent stays, and one that is `null` goes back
    /// to its default.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub struct WorkspaceSettings {
        /// The profile of webhooks that are registered without one.
        ///
        /// That of the deployment unless given. Webhooks keep the profile that they were registered
        /// with.
        pub default_profile: Option<Profile> as Optional<Profile>,
        /// The rule about event types that nobody has described: `open` takes them, `closed` refuses
        /// them.
        ///
        /// `open` unless given.
        #[serde(default)]
        pub catalogue: Catalogue = Catalogue::Open,
    }
}

impl WorkspaceSettings {
    /// Reads the body of a change and applies it.
    pub fn changed_by(&self, body: &[u8]) -> Result<Self, Invalid> {
        let mut fields = Fields::of_body(body)?;
        let changed = Self::take(&mut fields, Some(self))?;
        fields.finish()?;
        Ok(changed)
    }
}

/// A workspace's rule about event types that are neither built in nor its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Catalogue {
    /// Events of such a type are taken, and webhooks can subscribe to it. A subscription to a type
    /// of which no event was published yet is answered with a warning.
    #[default]
    Open,
    /// Such an event and such a subscription are refused.
    Closed,
}

impl Catalogue {
    /// Both rules, with the name that the API uses.
    pub const NAMES: [(&'static str, Self); 2] = [("open", Self::Open), ("closed", Self::Closed)];
}

impl Shape for Catalogue {
    type Value = Self;

    fn read(at: &str, json: &RawValue) -> Result<Self, Invalid> {
        one_of(at, json, &Self::NAMES, "invalid_catalogue")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANGED: WorkspaceSettings =
        WorkspaceSettings { default_profile: Some(Profile::Spectra), catalogue: Catalogue::Closed };

    #[test]
    fn names_are_what_serde_writes() {
        for (name, catalogue) in Catalogue::NAMES {
            assert_eq!(serde_json::to_value(catalogue).unwrap(), name);
        }
    }

    #[test]
    fn a_field_that_is_absent_stays_and_one_that_is_null_goes_back() {
        let default = WorkspaceSettings::default();
        let both = br#"{"defaultProfile":"spectra","catalogue":"closed"}"#;
        assert_eq!(default.changed_by(both).unwrap(), CHANGED);
        assert_eq!(CHANGED.changed_by(b"{}").unwrap(), CHANGED);
        let null = br#"{"defaultProfile":null,"catalogue":null}"#;
        assert_eq!(CHANGED.changed_by(null).unwrap(), default);
        assert_eq!(serde_json::from_str::<WorkspaceSettings>("{}").unwrap(), default);
    }

    #[test]
    fn wrong_fields_are_named() {
        for (body, code, field) in [
            (r#"{"defaultProfile":"stripe"}"#, "invalid_profile", Some("defaultProfile")),
            (r#"{"catalogue":"ajar"}"#, "invalid_catalogue", Some("catalogue")),
            (r#"{"catalog":"open"}"#, "unknown_field", Some("catalog")),
            ("[]", "malformed_json", None),
        ] {
            let invalid = CHANGED.changed_by(body.as_bytes()).unwrap_err();
            assert_eq!((invalid.code, invalid.field.as_deref()), (code, field), "{body}");
        }
    }
}
