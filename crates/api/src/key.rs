use posthaste_domain::access::api_key::KeyInfo;
use serde::Serialize;
use utoipa::ToSchema;

/// An API key.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Key)]
pub struct KeyAnswer {
    /// The stored information about the key.
    #[serde(flatten)]
    #[schema(inline)]
    pub info: KeyInfo,
    /// The key itself, only in the answer that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, pattern = "^spk_(live|test)_[A-Za-z0-9]{43}$")]
    pub key: Option<String>,
}

impl KeyAnswer {
    /// Returns the answer for a key, without the key itself.
    pub fn of(info: KeyInfo) -> Self {
        Self { info: info.shown(), key: None }
    }
}
