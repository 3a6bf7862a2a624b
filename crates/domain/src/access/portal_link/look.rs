//! The look of a portal's pages, and where they may be shown. These values get into pages and into
//! their headers, so each is checked here and kept in its one normal form.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use url::{Host, Url};

use crate::{
    Invalid,
    input::{Optional, Shape, body, text},
};

/// The most bytes of an address.
const MAX_URL_BYTES: usize = 2048;
/// The most characters of a name.
const MAX_NAME_CHARS: usize = 64;

body! {
    /// The look of a portal's pages.
    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub struct PortalTheme {
        /// The name of the product, 1 to 64 characters.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub name: Option<String> as Optional<Name>,
        /// The address of the product's logo: https, at most 2,048 bytes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub logo_url: Option<LogoUrl> as Optional<LogoUrl>,
        /// The colour of buttons and links, such as `#36a64f`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub accent_color: Option<AccentColor> as Optional<AccentColor>,
    }
}

/// Declares a text that was checked when a client sent it.
macro_rules! checked_text {
    ($(#[doc = $about:literal])+ $Text:ident) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $Text(String);

        impl $Text {
            /// The text in its normal form.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
    };
}

checked_text! {
    /// An address that a person goes back to.
    ReturnUrl
}
checked_text! {
    /// The address of a picture, which a browser loads.
    LogoUrl
}
checked_text! {
    /// A colour, as `#` and six hex digits in lower case.
    AccentColor
}
checked_text! {
    /// The origin of a page: a scheme, a host and, where it is not the scheme's own, a port.
    FrameOrigin
}

impl LogoUrl {
    /// The origin that a browser loads the picture from.
    pub fn origin(&self) -> Option<String> {
        Url::parse(&self.0).ok().map(|url| url.origin().ascii_serialization())
    }
}

impl Shape for ReturnUrl {
    type Value = Self;
    const NAMED: bool = false;

    fn read(at: &str, json: &RawValue) -> Result<Self, Invalid> {
        let url = address(at, &text(at, json)?)?;
        if url.scheme() != "https" && !is_http_on_loopback(&url) {
            let message = "has to begin with https://, or with http:// and a loopback host";
            return Err(refused(at, message));
        }
        Ok(Self(url.into()))
    }
}

impl Shape for LogoUrl {
    type Value = Self;
    const NAMED: bool = false;

    fn read(at: &str, json: &RawValue) -> Result<Self, Invalid> {
        let url = address(at, &text(at, json)?)?;
        if url.scheme() != "https" {
            return Err(refused(at, "has to begin with https://"));
        }
        Ok(Self(url.into()))
    }
}

impl Shape for AccentColor {
    type Value = Self;
    const NAMED: bool = false;

    fn read(at: &str, json: &RawValue) -> Result<Self, Invalid> {
        let color = text(at, json)?;
        let digits = color.strip_prefix('#').unwrap_or_default();
        if digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            Ok(Self(color.to_ascii_lowercase()))
        } else {
            let message = format!("{at} has to be # and six hex digits, such as #36a64f");
            Err(Invalid::field(at, "invalid_color", message))
        }
    }
}

impl Shape for FrameOrigin {
    type Value = Self;

    /// Takes an origin and nothing behind it. A header of the pages names it, in which `*`, spaces
    /// and semicolons mean something else, and which knows no IPv6 address.
    fn read(at: &str, json: &RawValue) -> Result<Self, Invalid> {
        const SHAPE: &str = "has to be an origin such as https://shop.example.com: https, or http \
            on a loopback host, with no path and no wildcard";
        let written = text(at, json)?;
        let wrong = || Invalid::field(at, "invalid_origin", format!("{at} {SHAPE}"));
        let (_, behind) = written.split_once("://").ok_or_else(wrong)?;
        if behind.contains(['/', '?', '#']) {
            return Err(wrong());
        }
        let url = address(at, &written).map_err(|_| wrong())?;
        let is_secure = url.scheme() == "https" || is_http_on_loopback(&url);
        if !is_secure || matches!(url.host(), None | Some(Host::Ipv6(_))) {
            return Err(wrong());
        }
        Ok(Self(url.origin().ascii_serialization()))
    }
}

/// A shape that takes a name that people read.
struct Name;

impl Shape for Name {
    type Value = String;
    const NAMED: bool = false;

    fn read(at: &str, json: &RawValue) -> Result<String, Invalid> {
        let name = text(at, json)?;
        match name.chars().count() {
            0 => {
                let message = format!("{at} has 1 to {MAX_NAME_CHARS} characters");
                Err(Invalid::field(at, "too_short", message))
            }
            1..=MAX_NAME_CHARS => Ok(name),
            _ => {
                let message = format!("{at} takes at most {MAX_NAME_CHARS} characters");
                Err(Invalid::field(at, "too_long", message))
            }
        }
    }
}

/// Reads an address that a browser may be sent to. Its host is an IP address, or a name of letters,
/// digits, hyphens, underscores and dots: others could end a part of a header.
fn address(at: &str, text: &str) -> Result<Url, Invalid> {
    if text.len() > MAX_URL_BYTES {
        let message = format!("{at} takes at most {MAX_URL_BYTES} bytes");
        return Err(Invalid::field(at, "too_long", message));
    }
    let url = Url::parse(text).map_err(|_| refused(at, "is not an absolute URL"))?;
    let behind_scheme = text.split_once("://").map(|(_, behind)| behind);
    let authority = behind_scheme.and_then(|behind| behind.split(['/', '?', '#']).next());
    let is_lenient = text.contains(|c: char| c == '\\' || c.is_control() || c == ' ');
    if is_lenient || authority.is_none_or(str::is_empty) {
        return Err(refused(at, "is not an absolute URL"));
    }
    if authority.is_some_and(|authority| authority.contains('@')) {
        return Err(refused(at, "must not contain credentials"));
    }
    let is_named = match url.host() {
        Some(Host::Domain(name)) => name.split('.').all(is_label),
        Some(Host::Ipv4(_) | Host::Ipv6(_)) => true,
        None => false,
    };
    if !is_named {
        return Err(refused(at, "has a host that is no valid name"));
    }
    if url.as_str().len() > MAX_URL_BYTES {
        let message = format!("{at} takes at most {MAX_URL_BYTES} bytes in its normal form");
        return Err(Invalid::field(at, "too_long", message));
    }
    Ok(url)
}

fn is_label(label: &str) -> bool {
    !label.is_empty()
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// Tells whether an address is that of a program on the reader's own machine, for trying out.
fn is_http_on_loopback(url: &Url) -> bool {
    let is_loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    url.scheme() == "http" && is_loopback
}

fn refused(at: &str, message: &str) -> Invalid {
    Invalid::field(at, "invalid_url", format!("{at} {message}"))
}

#[cfg(feature = "openapi")]
mod document {
    use utoipa::{PartialSchema, ToSchema};

    use super::{
        AccentColor, FrameOrigin, LogoUrl, MAX_NAME_CHARS, MAX_URL_BYTES, Name, ReturnUrl,
    };
    use crate::input::openapi::{Described, described, formatted, text};

    /// The usual origins; a host may have further letters.
    const ORIGIN: &str = concat!(
        r"^(https://[a-z][a-z0-9]*(-[a-z0-9]+)*(\.[a-z][a-z0-9]*(-[a-z0-9]+)*)+|http://localhost)",
        r"(:([1-9][0-9]{0,3}|[1-5][0-9]{4}))?$"
    );

    described!(
        FrameOrigin,
        "FrameOrigin",
        "The origin of a page: https, or http on a loopback host, with no path and no wildcard.",
        text().pattern(Some(ORIGIN)).max_length(Some(MAX_URL_BYTES))
    );

    impl PartialSchema for ReturnUrl {
        fn schema() -> Described {
            formatted("uri").max_length(Some(MAX_URL_BYTES)).into()
        }
    }

    impl PartialSchema for LogoUrl {
        fn schema() -> Described {
            formatted("uri").max_length(Some(MAX_URL_BYTES)).into()
        }
    }

    impl PartialSchema for AccentColor {
        fn schema() -> Described {
            text().pattern(Some("^#[0-9A-Fa-f]{6}$")).into()
        }
    }

    impl PartialSchema for Name {
        fn schema() -> Described {
            text().min_length(Some(1)).max_length(Some(MAX_NAME_CHARS)).into()
        }
    }

    impl ToSchema for ReturnUrl {}
    impl ToSchema for LogoUrl {}
    impl ToSchema for AccentColor {}
    impl ToSchema for Name {}
}
