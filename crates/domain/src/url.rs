//! placeholder until the URL rules land
use serde::{Deserialize, Serialize};
use crate::address::AllowedCidrs;
/// A URL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PublicUrl(String);
/// Policy.
#[derive(Debug, Clone, Default)]
pub struct UrlPolicy {
    /// http.
    pub allow_http: bool,
    /// Ranges.
    pub allowed: AllowedCidrs,
}
/// No.
#[derive(Debug, thiserror::Error)]
#[error("bad")]
pub struct UrlError;
impl PublicUrl {
    /// Parse.
    pub fn parse(text: &str, policy: &UrlPolicy) -> Result<Self, UrlError> {
        if text.starts_with("https://") || policy.allow_http { Ok(Self(text.into())) } else { Err(UrlError) }
    }
}
