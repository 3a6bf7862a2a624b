//! The pages are made by calls of the API, in this process: the routes are those of the functions
//! `register`, `ingest`, `types` and `simulate`. So the pages follow the same rules, give the same
//! errors, and can do nothing that the API can't.

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
};
use lambda_http::lambda_runtime::Context;
use posthaste_runtime::auth::{Caller, KnownCaller};
use serde::{Deserialize, de::DeserializeOwned};
use tower::ServiceExt;

use crate::trouble::Trouble;

/// The beginning of every path of the API.
const BASE: &str = "/api/v1";
/// The most bytes of a path with its query.
const MAX_PATH: usize = 16 * 1024;
/// The most bytes of a cursor in it. Those of the API are far shorter.
const MAX_CURSOR: usize = 2 * 1024;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The API, as this process answers it.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    routes: Router,
}

/// A call that the API has refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The status that the API answers with.
    pub(crate) status: StatusCode,
    /// The word for programs.
    pub(crate) code: String,
    /// The sentence for people.
    pub(crate) message: String,
    /// The path of the field that is at fault.
    pub(crate) field: Option<String>,
    /// The id by which the log has the call.
    pub(crate) request_id: String,
}

/// The person whom calls of the API are made for.
#[derive(Debug)]
pub(crate) struct OnBehalfOf {
    pub(crate) caller: Caller,
    pub(crate) context: Context,
    /// The headers of the page's own request that calls need too.
    pub(crate) headers: HeaderMap,
}

/// A call of the API.
pub(crate) struct Call<'a> {
    pub(crate) method: Method,
    /// The path behind [`BASE`], with the query.
    pub(crate) path: &'a str,
    /// The body as JSON.
    pub(crate) body: Option<String>,
    /// The name that the call has however often it is made.
    pub(crate) idempotency_key: Option<&'a str>,
}

impl<'a> Call<'a> {
    /// A call that reads.
    pub(crate) fn get(path: &'a str) -> Self {
        Self { method: Method::GET, path, body: None, idempotency_key: None }
    }

    /// Says whether the call is longer than any that a page makes, whatever was asked for.
    fn is_too_long(&self) -> bool {
        let query = self.path.split_once('?').map_or("", |(_, query)| query);
        let mut cursors = query.split('&').filter(|part| part.starts_with("cursor="));
        self.path.len() > MAX_PATH || cursors.any(|cursor| cursor.len() > MAX_CURSOR)
    }
}

/// It is read in one step, so that JSON of somebody else stays as it was written.
#[derive(Deserialize)]
struct Envelope<T> {
    data: T,
}

#[derive(Deserialize)]
struct Failed {
    error: Complaint,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Complaint {
    code: String,
    message: String,
    #[serde(default)]
    field: Option<String>,
    request_id: String,
}

impl Api {
    /// The API with these routes, which are in the envelope of [`posthaste_runtime::api`].
    pub(crate) fn new(routes: Router) -> Self {
        Self { routes }
    }

    /// Makes a call for somebody. The outer result is an error where the answer can't
    /// be understood, which is a bug; the inner one where the API refuses.
    pub(crate) async fn call<T: DeserializeOwned>(
        &self,
        from: &OnBehalfOf,
        call: Call<'_>,
    ) -> Result<Result<T, Refusal>, Trouble> {
        if call.is_too_long() {
            return Err(Trouble::NotFound);
        }
        let body = call.body.map_or_else(Body::empty, Body::from);
        let mut request = Request::builder()
            .method(call.method)
            .uri(format!("{BASE}{}", call.path))
            .header(header::CONTENT_TYPE, "application/json")
            .body(body)
            .map_err(Trouble::bug)?;
        request.headers_mut().extend(from.headers.clone());
        if let Some(key) = call.idempotency_key {
            // Those of the pages can stand in a header.
            let key = HeaderValue::from_str(key).map_err(|_| Trouble::Forged)?;
            request.headers_mut().insert(IDEMPOTENCY_KEY, key);
        }
        request.extensions_mut().insert(KnownCaller(from.caller.clone()));
        request.extensions_mut().insert(from.context.clone());
        let Ok(answer) = self.routes.clone().oneshot(request).await;
        let status = answer.status();
        let body = to_bytes(answer.into_body(), usize::MAX).await.map_err(Trouble::bug)?;
        if status.is_success() { read(&body).map(Ok) } else { refusal(status, &body).map(Err) }
    }
}

fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Trouble> {
    let Envelope { data } = serde_json::from_slice(body).map_err(Trouble::bug)?;
    Ok(data)
}

fn refusal(status: StatusCode, body: &Bytes) -> Result<Refusal, Trouble> {
    let Failed { error } = serde_json::from_slice(body).map_err(Trouble::bug)?;
    let Complaint { code, message, field, request_id } = error;
    Ok(Refusal { status, code, message, field, request_id })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_address_is_too_long_for_an_answer() {
        let is_too_long = |path: &str| Call::get(path).is_too_long();
        let x = |count| "x".repeat(count);
        assert!(!is_too_long(&format!("/events?subject={}&cursor={}", x(3072), x(200))));
        assert!(is_too_long(&format!("/events?limit=1&cursor={}", x(2048))));
        assert!(is_too_long(&format!("/events?subject={}", x(70_000))));
    }
}
