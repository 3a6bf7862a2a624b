//! The gateway is the HTTP API: it hands a request to its function in API Gateway's payload format
//! 2.0, and hands the answer back.
//!
//! Some answers are API Gateway's own, `{"message": …}`: 404 where there is no route, 429 where a
//! route is called too often, 413 for what is larger than API Gateway or Lambda takes, 503 for a
//! function that has not answered in time or that Lambda has no room for, and 500 for one that has
//! failed.

mod throttle;

use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use posthaste_local_lambda::{
    Function, InvokeError,
    http_event::{HttpRequest, error_response, to_event, to_response},
    route::Routes,
};
use tokio::time::{Instant, timeout};

use crate::Faults;

pub(crate) use throttle::Throttles;

/// An HTTP API waits for a function for this long. The function itself goes on.
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html>
const INTEGRATION_TIMEOUT: Duration = Duration::from_secs(30);

/// The routes, with the functions that they lead to.
pub(crate) struct Gateway {
    pub(crate) routes: Routes<String>,
    pub(crate) functions: BTreeMap<String, Function>,
    pub(crate) throttles: Throttles,
    pub(crate) faults: Faults,
}

impl Gateway {
    pub(crate) async fn answer(&self, request: Request<Bytes>) -> Response<Bytes> {
        let (head, body) = request.into_parts();
        let Some(found) = self.routes.find(&head.method, head.uri.path()) else {
            return error_response(StatusCode::NOT_FOUND);
        };
        if !self.throttles.admits(found.route_key, Instant::now()) {
            return error_response(StatusCode::TOO_MANY_REQUESTS);
        }
        let Some(function) = self.functions.get(found.target) else {
            return error_response(StatusCode::INTERNAL_SERVER_ERROR);
        };
        let request = HttpRequest {
            method: head.method,
            path: head.uri.path().to_owned(),
            query: head.uri.query().unwrap_or_default().to_owned(),
            headers: head.headers,
            body,
            route_key: found.route_key.to_owned(),
            path_parameters: found.path_parameters,
            source_ip: Ipv4Addr::LOCALHOST.into(),
            request_id: uuid::Uuid::new_v4().to_string(),
            time: SystemTime::now(),
        };
        let Ok(event) = to_event(&request) else {
            return error_response(StatusCode::PAYLOAD_TOO_LARGE);
        };
        if self.faults.is_busy() {
            return error_response(StatusCode::SERVICE_UNAVAILABLE);
        }
        match timeout(INTEGRATION_TIMEOUT, function.invoke(event)).await {
            Ok(Ok(answer)) => to_response(&answer),
            Ok(Err(InvokeError::RequestTooLarge { .. })) => {
                error_response(StatusCode::PAYLOAD_TOO_LARGE)
            }
            Ok(Err(error)) => {
                tracing::warn!(function = %found.target, %error, "an HTTP request failed");
                error_response(StatusCode::INTERNAL_SERVER_ERROR)
            }
            Err(_) => {
                tracing::warn!(function = %found.target, "an HTTP request took too long");
                error_response(StatusCode::SERVICE_UNAVAILABLE)
            }
        }
    }
}

#[cfg(test)]
mod tests;
