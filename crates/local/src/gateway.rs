//! The HTTP API: routes a request to its function as API Gateway's payload format 2.0, and the answer back.

use std::{collections::BTreeMap, net::Ipv4Addr, time::SystemTime};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use posthaste_local_lambda::{
    Function, InvokeError,
    http_event::{HttpRequest, error_response, to_event, to_response},
    route::Routes,
};

/// The routes, and the functions that they lead to.
pub(crate) struct Gateway {
    pub(crate) routes: Routes<String>,
    pub(crate) functions: BTreeMap<String, Function>,
}

impl Gateway {
    pub(crate) async fn answer(&self, request: Request<Bytes>) -> Response<Bytes> {
        let (head, body) = request.into_parts();
        let Some(found) = self.routes.find(&head.method, head.uri.path()) else {
            return error_response(StatusCode::NOT_FOUND);
        };
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
        let Ok(event) = to_event(&request) else { return error_response(StatusCode::PAYLOAD_TOO_LARGE) };
        match function.invoke(event).await {
            Ok(answer) => to_response(&answer),
            Err(InvokeError::RequestTooLarge { .. }) => error_response(StatusCode::PAYLOAD_TOO_LARGE),
            Err(error) => {
                tracing::warn!(function = %found.target, %error, "an HTTP request failed");
                error_response(StatusCode::INTERNAL_SERVER_ERROR)
            }
        }
    }
}
