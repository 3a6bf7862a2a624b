//! The cookies of the console: the session, and a note from one page to the next. Both are sealed
//! with the deployment's key, so a browser can neither read nor change them.

use axum::{
    http::{HeaderMap, HeaderValue, header},
    response::Response,
};
use posthaste_domain::webhook::secret::Sealed;
use posthaste_runtime::keys::Keys;
use serde::{Serialize, de::DeserializeOwned};

use crate::trouble::Trouble;

/// A cookie of the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cookie {
    /// The session of somebody who has signed in.
    Session,
    /// The words that the next page says first.
    Note,
}

/// The way in which a browser keeps a cookie.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kept {
    /// Only https may carry it. It is false on a loopback address, where there is no https.
    pub(crate) is_secure: bool,
    /// Pages in a frame of another site have it. Such a page shares it with no other site.
    pub(crate) is_framed: bool,
    /// For so many seconds.
    pub(crate) seconds: u64,
}

impl Cookie {
    /// The name. Browsers take one with `__Host-` only from https, from the host itself and for all
    /// of its paths, so no neighbouring host can plant one
    /// (<https://www.rfc-editor.org/rfc/rfc6265>, and its revision's section 4.1.3). What a frame
    /// keeps has another name than what a page keeps, or both could be there at once.
    fn name(self, is_secure: bool, is_framed: bool) -> String {
        let host = if is_secure { "__Host-" } else { "" };
        let framed = if is_framed { "-framed" } else { "" };
        format!("{host}posthaste-{}{framed}", self.purpose())
    }

    /// The purpose for which the cookie is sealed.
    fn purpose(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Note => "note",
        }
    }

    /// Opens the cookie of a request. It is none where there is none that this deployment sealed.
    pub(crate) async fn read<T: DeserializeOwned>(
        self,
        headers: &HeaderMap,
        keys: &Keys,
    ) -> Result<Option<T>, Trouble> {
        let is_secure = !is_loopback(headers);
        for is_framed in [true, false] {
            let name = self.name(is_secure, is_framed);
            let Some(sealed) = value(headers, &name) else { continue };
            let opened = keys.open_cookie(self.purpose(), &Sealed(sealed.to_owned())).await?;
            if let Some(read) = opened.and_then(|text| serde_json::from_str(&text).ok()) {
                return Ok(Some(read));
            }
        }
        Ok(None)
    }

    /// The headers that make the browser keep this value, and nothing else of this kind.
    pub(crate) async fn set(
        self,
        value: &impl Serialize,
        kept: Kept,
        keys: &Keys,
    ) -> Result<[HeaderValue; 2], Trouble> {
        let text = serde_json::to_string(value).map_err(Trouble::bug)?;
        let Sealed(sealed) = keys.seal_cookie(self.purpose(), &text).await?;
        let other = Kept { is_framed: !kept.is_framed, seconds: 0, ..kept };
        Ok([self.header("", other)?, self.header(&sealed, kept)?])
    }

    /// The headers that make the browser forget it.
    pub(crate) fn forget(self, kept: Kept) -> Result<[HeaderValue; 2], Trouble> {
        let of = |is_framed| self.header("", Kept { is_framed, seconds: 0, ..kept });
        Ok([of(true)?, of(false)?])
    }

    fn header(self, value: &str, kept: Kept) -> Result<HeaderValue, Trouble> {
        let Kept { is_secure, is_framed, seconds } = kept;
        let name = self.name(is_secure, is_framed);
        let site = if is_framed { "None; Partitioned" } else { "Lax" };
        // A browser takes a cookie for a frame of another site only with Secure. It counts a
        // loopback address as safe enough for that.
        let secure = if is_secure || is_framed { "; Secure" } else { "" };
        let text =
            format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite={site}{secure}");
        HeaderValue::try_from(text).map_err(Trouble::bug)
    }
}

/// Adds headers that set cookies to a response.
pub(crate) fn add(response: &mut Response, cookies: [HeaderValue; 2]) {
    for cookie in cookies {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}

/// The value of a cookie in a request.
fn value<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.split_once('='));
    pairs.find(|(found, _)| found.trim() == name).map(|(_, value)| value.trim())
}

/// Says whether the request came to a loopback address, which has no https.
pub(crate) fn is_loopback(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host
        .rsplit_once(':')
        .filter(|(_, port)| !port.contains(']'))
        .map_or(host, |(name, _)| name);
    name == "localhost"
        || name == "[::1]"
        || name.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (name.parse::<header::HeaderName>().unwrap(), HeaderValue::from_static(value))
            })
            .collect()
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        let headers = headers(&[("cookie", "a=1; posthaste-session=v1.x.y=; b=2")]);
        assert_eq!(value(&headers, "posthaste-session"), Some("v1.x.y="));
        assert_eq!(value(&headers, "session"), None);
    }

    #[test]
    fn only_loopback_addresses_do_without_https() {
        for host in
            ["localhost", "localhost:8080", "127.0.0.1:8080", "127.1.2.3", "[::1]:80", "[::1]"]
        {
            assert!(is_loopback(&headers(&[("host", host)])), "{host}");
        }
        for host in
            ["example.com", "localhost.example.com", "128.0.0.1", "127.0.0.1.example.com", ""]
        {
            assert!(!is_loopback(&headers(&[("host", host)])), "{host}");
        }
    }

    #[test]
    fn a_browser_keeps_cookies_as_strictly_as_it_can() {
        let text = |is_secure, is_framed| {
            let kept = Kept { is_secure, is_framed, seconds: 60 };
            Cookie::Session.header("sealed", kept).unwrap().to_str().unwrap().to_owned()
        };
        assert_eq!(
            text(true, false),
            "__Host-posthaste-session=sealed; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure"
        );
        assert_eq!(
            text(false, false),
            "posthaste-session=sealed; Path=/; Max-Age=60; HttpOnly; SameSite=Lax"
        );
        assert_eq!(
            text(true, true),
            "__Host-posthaste-session-framed=sealed; Path=/; Max-Age=60; HttpOnly; \
             SameSite=None; Partitioned; Secure"
        );
    }
}
