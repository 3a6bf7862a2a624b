//! Forms: their fields, and the proof that the console's own page has sent them.

use std::fmt;

use axum::{
    body::Bytes,
    extract::{FromRef, FromRequest, FromRequestParts, Request},
    http::{HeaderMap, StatusCode, header},
};
use subtle::ConstantTimeEq;

use crate::{Console, trouble::Trouble, visitor::Visitor};

/// The name of the field with the session's form token.
pub(crate) const TOKEN: &str = "form_token";

/// The fields of a form, in the order in which they were sent.
#[derive(Clone, Default)]
pub(crate) struct Fields(Vec<(String, String)>);

impl fmt::Debug for Fields {
    /// Values can be secrets, as the key at signing in.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl Fields {
    /// Reads the body of a form.
    pub(crate) fn parse(body: &[u8]) -> Self {
        Self(url::form_urlencoded::parse(body).into_owned().collect())
    }

    /// The fields of a form that nobody has sent yet.
    pub(crate) fn of(
        fields: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>,
    ) -> Self {
        Self(fields.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }

    /// The value of a field without the spaces around it; empty if the form has no such field.
    pub(crate) fn text<'f>(&'f self, name: &'f str) -> &'f str {
        self.all(name).next().unwrap_or_default().trim()
    }

    /// The values of all fields with this name.
    pub(crate) fn all<'f>(&'f self, name: &'f str) -> impl Iterator<Item = &'f str> {
        self.0.iter().filter(move |(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// Says whether the form has this field, as that of a button which was pressed.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.all(name).next().is_some()
    }

    /// Every field with its value.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// A form that a visitor has sent from a page of their session.
#[derive(Debug)]
pub(crate) struct Posted {
    pub(crate) visitor: Visitor,
    pub(crate) fields: Fields,
}

impl<S> FromRequest<S> for Posted
where
    Console: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Trouble;

    async fn from_request(request: Request, state: &S) -> Result<Self, Trouble> {
        let (mut parts, body) = request.into_parts();
        comes_from_here(&parts.headers)?;
        let visitor = Visitor::from_request_parts(&mut parts, state).await?;
        let body = Bytes::from_request(Request::from_parts(parts, body), state).await;
        let fields = Fields::parse(&body.map_err(|error| unread(error.status()))?);
        let token = fields.all(TOKEN).next().unwrap_or_default();
        let is_known = token.as_bytes().ct_eq(visitor.session.form_token.as_bytes());
        if bool::from(is_known) { Ok(Self { visitor, fields }) } else { Err(Trouble::Forged) }
    }
}

/// The trouble with a form whose body could not be read.
fn unread(status: StatusCode) -> Trouble {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => Trouble::TooLarge,
        _ => Trouble::Forged,
    }
}

/// Refuses a form that another site has sent. Browsers say whose page has sent a form
/// (<https://fetch.spec.whatwg.org/#origin-header>).
pub(crate) fn comes_from_here(headers: &HeaderMap) -> Result<(), Trouble> {
    let text = |name| headers.get(name).and_then(|value: &_| value.to_str().ok());
    let host = text(header::HOST).unwrap_or_default();
    let Some(origin) = text(header::ORIGIN) else { return Ok(()) };
    let is_own = origin.split_once("://").is_some_and(|(_, origin)| origin == host);
    if is_own { Ok(()) } else { Err(Trouble::Forged) }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn what_was_entered_is_not_printed() {
        assert_eq!(format!("{:?}", Fields::parse(b"key=spk_live_x")), "[\"key\"]");
    }

    #[test]
    fn fields_are_decoded_and_kept_in_order() {
        let fields = Fields::parse(b"events=order.*&events=a%20b&name=+x+&save=");
        assert_eq!(fields.all("events").collect::<Vec<_>>(), ["order.*", "a b"]);
        assert_eq!((fields.text("name"), fields.text("none")), ("x", ""));
        assert!(fields.has("save") && !fields.has("preview"));
    }

    #[test]
    fn a_form_that_is_too_large_is_not_called_too_old() {
        assert!(matches!(unread(StatusCode::PAYLOAD_TOO_LARGE), Trouble::TooLarge));
        assert!(matches!(unread(StatusCode::BAD_REQUEST), Trouble::Forged));
    }

    #[test]
    fn a_form_of_another_site_is_refused() {
        let from = |origin: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static("hooks.example.com"));
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
            }
            comes_from_here(&headers).is_ok()
        };
        assert!(from(Some("https://hooks.example.com")) && from(None));
        for other in [
            "https://evil.example",
            "null",
            "https://hooks.example.com.evil.example",
            "https://hooks.example.com:444",
            "hooks.example.com",
        ] {
            assert!(!from(Some(other)), "{other}");
        }
    }
}
