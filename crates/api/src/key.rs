use posthaste_domain::api_key::KeyInfo;
use serde::Serialize;

/// An API key.
#[derive(Debug, Clone, Serialize)]
pub struct KeyAnswer {
    /// What is known of it.
    #[serde(flatten)]
    pub info: KeyInfo,
    /// The key itself, only in the answer that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}
