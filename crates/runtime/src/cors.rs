//! Decides which pages may call the API from a browser:
//! <https://fetch.spec.whatwg.org/#http-cors-protocol>. API Gateway could answer for this too, but
//! only for a list of origins that is never empty, and not in the local system.

use std::time::Duration;

use axum::Router;
use http::{HeaderName, HeaderValue, Method, header};
use tower_http::cors::{AllowOrigin, CorsLayer};

/// The time for which a browser may remember what it was allowed. None remembers it for longer than
/// two hours.
const MAX_AGE: Duration = Duration::from_secs(2 * 60 * 60);

/// Lets the pages of these origins call the routes; `*` stands for all origins.
pub(crate) fn allowing(routes: Router, origins: Vec<HeaderValue>) -> Router {
    if origins.is_empty() {
        return routes;
    }
    let origins = if origins.iter().any(|origin| origin == "*") {
        AllowOrigin::any()
    } else {
        origins.into()
    };
    let layer = CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            HeaderName::from_static("idempotency-key"),
            HeaderName::from_static("traceparent"),
        ])
        .expose_headers([header::RETRY_AFTER])
        .max_age(MAX_AGE);
    routes.layer(layer)
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, extract::Request, routing::get};
    use tower::ServiceExt;

    use super::*;

    async fn allowed(
        origins: &[&'static str],
        method: &str,
        origin: &str,
    ) -> (u16, Option<String>) {
        let routes = Router::new().route("/", get(async || "here"));
        let routes = allowing(
            routes,
            origins.iter().map(|origin| HeaderValue::from_static(origin)).collect(),
        );
        let request = Request::builder().method(method).uri("/").header("Origin", origin);
        let request =
            request.header("Access-Control-Request-Method", "PATCH").body(Body::empty()).unwrap();
        let response = routes.oneshot(request).await.unwrap();
        let header = response.headers().get(header::ACCESS_CONTROL_ALLOW_ORIGIN);
        (response.status().as_u16(), header.map(|origin| origin.to_str().unwrap().to_owned()))
    }

    #[tokio::test]
    async fn only_pages_of_the_origins_may_read_answers() {
        let ours = ["https://app.example.com", "https://other.example.com"];
        let app = Some("https://app.example.com".to_owned());
        assert_eq!(allowed(&ours, "GET", "https://app.example.com").await, (200, app.clone()));
        assert_eq!(allowed(&ours, "OPTIONS", "https://app.example.com").await, (200, app));
        assert_eq!(allowed(&ours, "GET", "https://evil.example.com").await, (200, None));
        assert_eq!(allowed(&ours, "OPTIONS", "https://evil.example.com").await, (200, None));
        assert_eq!(
            allowed(&["*"], "GET", "https://any.example.com").await,
            (200, Some("*".to_owned()))
        );
    }

    #[tokio::test]
    async fn without_origins_a_preflight_is_a_call_like_any_other() {
        assert_eq!(allowed(&[], "OPTIONS", "https://app.example.com").await, (405, None));
        assert_eq!(allowed(&[], "GET", "https://app.example.com").await, (200, None));
    }
}
