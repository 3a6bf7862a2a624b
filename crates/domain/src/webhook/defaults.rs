//! The settings of a workspace: those that hold for all its webhooks and events.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    Invalid,
    input::{Fields, Optional, Shape, body, one_of, parsed},
    webhook::{
        filter::{EVERY_OTHER, MAX_PROCESS_TYPE_BYTES, NO_PROCESS},
        profile::Profile,
    },
};

/// A workspace declares at most this many process types.
const MAX_PROCESS_TYPES: usize = 100;

body! {
    /// The settings of a workspace. A field that is absent stays, and one that is `null` goes back
    /// to its default.
    #[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
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
        /// The process types that the workspace has, beside those that the documents name: up to
        /// 100, of 1 to 128 bytes each. A row of a webhook's filters for one of them is no cause
        /// for a warning, also before its first run.
        ///
        /// None unless given.
        #[serde(default)]
        pub process_types: Vec<String> as ProcessTypes = Vec::new(),
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

/// The process types that a workspace declares.
pub(crate) struct ProcessTypes;

impl Shape for ProcessTypes {
    type Value = Vec<String>;
    const NAMED: bool = false;

    fn read(at: &str, json: &RawValue) -> Result<Vec<String>, Invalid> {
        let types: Vec<String> = parsed(at, json, "a list of texts")?;
        if types.len() > MAX_PROCESS_TYPES {
            let message = format!("{at} takes at most {MAX_PROCESS_TYPES} process types");
            return Err(Invalid::field(at, "wrong_count", message));
        }
        for (nth, name) in types.iter().enumerate() {
            let at = format!("{at}[{nth}]");
            if name.is_empty() || name.len() > MAX_PROCESS_TYPE_BYTES {
                let message = format!("a process type has 1 to {MAX_PROCESS_TYPE_BYTES} bytes");
                return Err(Invalid::field(at, "invalid_process_type", message));
            }
            if [EVERY_OTHER, NO_PROCESS].contains(&name.as_str()) {
                let message = format!("{name:?} is a row of the filters, and no process type");
                return Err(Invalid::field(at, "invalid_process_type", message));
            }
        }
        Ok(types)
    }
}

#[cfg(feature = "openapi")]
mod document {
    use utoipa::{PartialSchema, ToSchema, openapi::ArrayBuilder};

    use super::{MAX_PROCESS_TYPE_BYTES, MAX_PROCESS_TYPES, ProcessTypes};
    use crate::input::openapi::{Described, text};

    impl PartialSchema for ProcessTypes {
        fn schema() -> Described {
            let name = text().min_length(Some(1)).max_length(Some(MAX_PROCESS_TYPE_BYTES));
            ArrayBuilder::new().items(name).max_items(Some(MAX_PROCESS_TYPES)).into()
        }
    }

    impl ToSchema for ProcessTypes {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed() -> WorkspaceSettings {
        WorkspaceSettings {
            default_profile: Some(Profile::Spectra),
            catalogue: Catalogue::Closed,
            process_types: vec!["kyb".to_owned()],
        }
    }

    #[test]
    fn names_are_what_serde_writes() {
        for (name, catalogue) in Catalogue::NAMES {
            assert_eq!(serde_json::to_value(catalogue).unwrap(), name);
        }
    }

    #[test]
    fn a_field_that_is_absent_stays_and_one_that_is_null_goes_back() {
        let default = WorkspaceSettings::default();
        let all = br#"{"defaultProfile":"spectra","catalogue":"closed","processTypes":["kyb"]}"#;
        assert_eq!(default.changed_by(all).unwrap(), changed());
        assert_eq!(changed().changed_by(b"{}").unwrap(), changed());
        let null = br#"{"defaultProfile":null,"catalogue":null,"processTypes":null}"#;
        assert_eq!(changed().changed_by(null).unwrap(), default);
        assert_eq!(serde_json::from_str::<WorkspaceSettings>("{}").unwrap(), default);
    }

    #[test]
    fn a_workspace_declares_a_hundred_process_types() {
        let of = |count: usize| {
            let names: Vec<String> = (0..count).map(|nth| format!("\"p-{nth}\"")).collect();
            let body = format!(r#"{{"processTypes":[{}]}}"#, names.join(","));
            WorkspaceSettings::default().changed_by(body.as_bytes())
        };
        assert_eq!(of(100).unwrap().process_types.len(), 100);
        assert_eq!(of(101).unwrap_err().code, "wrong_count");
    }

    #[test]
    fn wrong_fields_are_named() {
        for (body, code, field) in [
            (r#"{"defaultProfile":"stripe"}"#, "invalid_profile", Some("defaultProfile")),
            (r#"{"catalogue":"ajar"}"#, "invalid_catalogue", Some("catalogue")),
            (r#"{"catalog":"open"}"#, "unknown_field", Some("catalog")),
            (r#"{"processTypes":"kyb"}"#, "wrong_type", Some("processTypes")),
            (r#"{"processTypes":["kyb",""]}"#, "invalid_process_type", Some("processTypes[1]")),
            (r#"{"processTypes":["*"]}"#, "invalid_process_type", Some("processTypes[0]")),
            ("[]", "malformed_json", None),
        ] {
            let invalid = changed().changed_by(body.as_bytes()).unwrap_err();
            assert_eq!((invalid.code, invalid.field.as_deref()), (code, field), "{body}");
        }
    }
}
