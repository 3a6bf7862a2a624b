//! Who is calling: the API key of the `Authorization` header (RFC 6750).

use std::collections::BTreeSet;

use axum::{
    extract::{FromRef, FromRequestParts},
    http::{header, request::Parts},
};
use posthaste_domain::{
    api_key::{ApiKey, Scope},
    workspace::Workspace,
};
use tracing::{Span, field::display};

use crate::{api::ApiError, door::Door};

/// The caller, whose key exists and has calls left.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The key's workspace: the only one that this call can touch.
    pub workspace: Workspace,
    /// What the key may do.
    pub scopes: BTreeSet<Scope>,
}

impl Caller {
    /// Whether the key has a scope.
    pub fn needs(&self, scope: Scope) -> Result<(), ApiError> {
        if self.scopes.contains(&scope) { Ok(()) } else { Err(ApiError::Forbidden(scope)) }
    }
}

impl<S> FromRequestParts<S> for Caller
where
    Door: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let key = bearer(parts).map(ApiKey::presented).filter(ApiKey::is_well_formed).ok_or(ApiError::Unauthorized)?;
        let info = Door::from_ref(state).enter(&key).await?;
        Span::current().record("workspace", display(&info.workspace));
        Ok(Self { workspace: info.workspace, scopes: info.scopes })
    }
}

fn bearer(parts: &Parts) -> Option<&str> {
    let (scheme, token) = parts.headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
