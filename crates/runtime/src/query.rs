//! Reading the query of a call.

use axum::{
    extract::{self, FromRequestParts},
    http::request::Parts,
    response::{IntoResponse, Response},
};
use posthaste_domain::input::Asked;

use crate::api::ApiError;

/// The parameters of a call's query, which is refused if one of them is unknown, repeated or not
/// what it has to be.
#[derive(Debug, Clone, Copy)]
pub struct Query<A>(pub A);

impl<A: Asked, S: Send + Sync> FromRequestParts<S> for Query<A> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let extract::Query(parameters) = extract::Query::from_request_parts(parts, state)
            .await
            .map_err(IntoResponse::into_response)?;
        A::of(parameters).map(Self).map_err(|invalid| ApiError::from(invalid).into_response())
    }
}
