//! The headers that every answer has, and the compression of pages.
//!
//! A page runs the console's own script and no other, loads nothing from elsewhere, and stands in no
//! frame but those that its portal link names: <https://www.w3.org/TR/CSP3/>.

use std::sync::{Arc, OnceLock};

use axum::{
    body::to_bytes,
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, header},
    middleware::Next,
    response::Response,
};

use crate::assets;

/// The further things that a portal link lets its pages do.
#[derive(Debug, Clone, Default)]
pub(crate) struct Allowances {
    /// The origins whose frames may show the page.
    pub(crate) frames: Vec<String>,
    /// The origin of the logo.
    pub(crate) logo: Option<String>,
}

/// The place where the allowances of a request are put down as soon as its session is known: an
/// extension of the request. So they hold for its answer even if that is an error.
#[derive(Debug, Clone, Default)]
pub(crate) struct Allowed(Arc<OnceLock<Allowances>>);

impl Allowed {
    /// Puts the allowances of the session down.
    pub(crate) fn set(&self, allowances: Allowances) {
        let _ = self.0.set(allowances);
    }
}

/// A layer: adds the headers, and compresses what is a page.
pub(crate) async fn answer(mut request: Request, next: Next) -> Response {
    let asked = request.headers().clone();
    let allowed = Allowed::default();
    request.extensions_mut().insert(allowed.clone());
    let mut response = next.run(request).await;
    add(response.headers_mut(), &allowed.0.get().cloned().unwrap_or_default());
    if response.headers().contains_key(header::CACHE_CONTROL) {
        return response;
    }
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let (parts, body) = response.into_parts();
    // What the pages answer is in memory already, so nothing breaks off here.
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    assets::compressed(&asked, Response::from_parts(parts, axum::body::Body::empty()), body)
}

fn add(headers: &mut HeaderMap, allowances: &Allowances) {
    let policy = policy(allowances);
    let fixed = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
        (HeaderName::from_static("x-robots-tag"), "noindex"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // A redirect says nothing, because what it says would hold for the page that has asked: with a
    // frame, another site's.
    if !headers.contains_key(header::LOCATION) {
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    }
    if let Ok(policy) = HeaderValue::try_from(policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    if allowances.frames.is_empty() {
        headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    }
}

fn policy(Allowances { frames, logo }: &Allowances) -> String {
    let frames = if frames.is_empty() { "'none'".to_owned() } else { frames.join(" ") };
    let logo = logo.as_ref().map(|origin| format!(" {origin}")).unwrap_or_default();
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'{logo}; \
         connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors {frames}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_stand_in_no_frame_and_load_nothing_from_elsewhere() {
        assert_eq!(
            policy(&Allowances::default()),
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
             connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        );
    }

    #[test]
    fn a_portal_link_adds_its_frames_and_the_place_of_its_logo() {
        let policy = policy(&Allowances {
            frames: vec!["https://app.example.com".to_owned(), "https://b.example".to_owned()],
            logo: Some("https://cdn.example.com".to_owned()),
        });
        assert!(policy.contains("img-src 'self' https://cdn.example.com; "), "{policy}");
        assert!(
            policy.ends_with("frame-ancestors https://app.example.com https://b.example"),
            "{policy}"
        );
    }
}
