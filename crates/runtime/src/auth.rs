//! Finds out who is calling, by the API key of the `Authorization` header (RFC 6750).

use std::{collections::BTreeSet, marker::PhantomData, ops::Deref};

use axum::{
    extract::{FromRef, FromRequestParts},
    http::{header, request::Parts},
};
use posthaste_domain::{
    access::{
        api_key::{ApiKey, KeyHash, Scope},
        workspace::Workspace,
    },
    id::KeyId,
};
use tracing::{Span, field::display};

use crate::{api::ApiError, door::Door};

/// The caller, whose key exists and whose workspace has calls left.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The key's workspace in the key's environment: the only one that this call can touch.
    pub workspace: Workspace,
    /// The scopes of the key, which say what it may do.
    pub scopes: BTreeSet<Scope>,
    /// The id of the key.
    pub key: KeyId,
    /// The hash of the key, by which whatever the call makes can depend on it.
    pub key_hash: KeyHash,
}

/// A caller whom a function knows already: an extension of a request that it makes to routes of its
/// own. No request from outside has extensions.
#[derive(Debug, Clone)]
pub struct KnownCaller(pub Caller);

impl Caller {
    /// Refuses the call if the key lacks the scope.
    pub fn needs(&self, scope: Scope) -> Result<(), ApiError> {
        if self.scopes.contains(&scope) { Ok(()) } else { Err(ApiError::Forbidden(scope)) }
    }
}

/// A scope as a type, so that the arguments of a handler say what its caller may do.
pub trait Needed {
    /// The scope that the type stands for.
    const SCOPE: Scope;
}

/// The scopes as types.
pub mod scope {
    use posthaste_domain::access::api_key::Scope;

    use super::Needed;

    macro_rules! scopes {
        ($($name:ident),+) => {$(
            #[doc = concat!("The scope [`Scope::", stringify!($name), "`].")]
            #[derive(Debug, Clone, Copy)]
            pub enum $name {}

            impl Needed for $name {
                const SCOPE: Scope = Scope::$name;
            }
        )+};
    }

    scopes!(WebhooksManage, EventsPublish, EventsRead, EventsManage, KeysManage, WorkspacesManage);
}

/// A caller whose key has this scope.
#[derive(Debug, Clone)]
pub struct Allowed<N> {
    caller: Caller,
    scope: PhantomData<N>,
}

impl<N> Deref for Allowed<N> {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.caller
    }
}

impl<N: Needed, S> FromRequestParts<S> for Allowed<N>
where
    Door: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, state).await?;
        caller.needs(N::SCOPE)?;
        Ok(Self { caller, scope: PhantomData })
    }
}

impl<S> FromRequestParts<S> for Caller
where
    Door: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        if let Some(KnownCaller(caller)) = parts.extensions.remove() {
            Span::current().record("workspace", display(&caller.workspace));
            Door::from_ref(state).count_for_page(&caller.workspace).await?;
            return Ok(caller);
        }
        let key = bearer(parts)
            .map(ApiKey::presented)
            .filter(ApiKey::is_well_formed)
            .ok_or(ApiError::Unauthorized)?;
        let info = Door::from_ref(state).enter(&key).await?;
        let workspace = info.reach();
        Span::current().record("workspace", display(&workspace));
        Ok(Self { workspace, scopes: info.scopes, key: info.id, key_hash: key.hash() })
    }
}

fn bearer(parts: &Parts) -> Option<&str> {
    let (scheme, token) =
        parts.headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
