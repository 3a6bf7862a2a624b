//! The rules for a webhook's URL. They are checked when it is registered, and again at every
//! attempt, because the policy may have changed since. The addresses behind a host's name are
//! checked by the sender at every connection.

use std::fmt;

use serde::{Deserialize, Serialize};
use url::{Host, Url};

use crate::{
    endpoint::address::{AllowedCidrs, NotPublic},
    webhook::headers::MASK,
};

mod stored;

pub use stored::StoredUrl;
pub(crate) use stored::UrlText;

const MAX_BYTES: usize = 2048;
/// The longest name by RFC 1035, 2.3.4, as written with dots.
const MAX_NAME_BYTES: usize = 253;
const MAX_LABEL_BYTES: usize = 63;

/// An absolute http or https URL, in the normal form of the WHATWG URL standard: a host in any
/// spelling (decimal, octal or hex IPv4, IPv6, IDNA) is in its one canonical form. Debug shows what
/// others may see.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicUrl(Url);

/// A deployment can allow more than https URLs that lead to public addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UrlPolicy {
    /// True if plain http is allowed.
    pub allow_http: bool,
    /// The addresses that are allowed although they are not public.
    pub allowed: AllowedCidrs,
}

/// A sentence that explains why a URL is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// It can't be parsed.
    #[error("url is not an absolute URL")]
    NotAUrl,
    /// It is too long.
    #[error("url takes at most {MAX_BYTES} bytes")]
    TooLong,
    /// It is not https.
    #[error("url has to begin with https://")]
    NotHttps,
    /// It is neither https nor http, which is allowed.
    #[error("url has to begin with https:// or http://")]
    NeitherHttp,
    /// It has a user or a password.
    #[error("url must not contain credentials")]
    Credentials,
    /// It has a fragment, which is never sent.
    #[error("url must not contain a fragment")]
    Fragment,
    /// Its port is 0.
    #[error("url must not have port 0")]
    Port,
    /// Its host is an address that is not public.
    #[error("url leads to {0}")]
    Address(#[from] NotPublic),
    /// Its host is neither an address nor a name that DNS can hold.
    #[error("url has a host that is no valid name")]
    InvalidName,
    /// Its host is a name that public DNS can't know.
    #[error("url has to name a public host, which {0:?} can't be")]
    LocalName(String),
    /// Its path is the mask that is shown instead of a URL that can't be read.
    #[error(
        "url has the path /{MASK}, which is shown instead of one that can't be read: give the \
         URL itself"
    )]
    Masked,
}

impl PublicUrl {
    /// Reads and checks a URL.
    pub fn parse(text: &str, policy: &UrlPolicy) -> Result<Self, UrlError> {
        if text.len() > MAX_BYTES {
            return Err(UrlError::TooLong);
        }
        let url = Url::parse(text).map_err(|_| UrlError::NotAUrl)?;
        policy.check(&url)?;
        if url.as_str().len() > MAX_BYTES {
            return Err(UrlError::TooLong);
        }
        as_it_is_written(text)?;
        if url.path().strip_prefix('/') == Some(MASK) {
            return Err(UrlError::Masked);
        }
        Ok(Self(url))
    }

    /// Checks a URL again that may have been stored under another policy.
    pub fn check(&self, policy: &UrlPolicy) -> Result<(), UrlError> {
        policy.check(&self.0)
    }

    /// The URL in its normal form.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The scheme, the host and, where it is not the scheme's own, the port, such as
    /// `https://example.com:8443`.
    pub fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }

    /// The part that others than the owner may see: the origin, and `/…` for the rest, which may be
    /// a credential.
    pub fn shown(&self) -> String {
        let is_bare = self.0.path() == "/" && self.0.query().is_none();
        if is_bare { self.origin() } else { format!("{}/…", self.origin()) }
    }

    /// The parsed form.
    pub fn as_url(&self) -> &Url {
        &self.0
    }
}

impl UrlPolicy {
    fn check(&self, url: &Url) -> Result<(), UrlError> {
        match (url.scheme(), self.allow_http) {
            ("https", _) | ("http", true) => {}
            (_, true) => return Err(UrlError::NeitherHttp),
            (_, false) => return Err(UrlError::NotHttps),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(UrlError::Credentials);
        }
        if url.fragment().is_some() {
            return Err(UrlError::Fragment);
        }
        if url.port() == Some(0) {
            return Err(UrlError::Port);
        }
        match url.host().ok_or(UrlError::NotAUrl)? {
            Host::Ipv4(ip) => Ok(self.allowed.check(ip.into())?),
            Host::Ipv6(ip) => Ok(self.allowed.check(ip.into())?),
            Host::Domain(name) => check_name(name),
        }
    }
}

/// Refuses a text that is a URL only because the URL standard is lenient: it takes a backslash for
/// a slash, leaves out tabs, line ends and empty credentials, and finds a host behind any number of
/// slashes. Other readers find other hosts in such a text.
fn as_it_is_written(text: &str) -> Result<(), UrlError> {
    if text.contains(|c: char| c == '\\' || c.is_control()) {
        return Err(UrlError::NotAUrl);
    }
    let behind_scheme = text
        .split_once(':')
        .and_then(|(_, rest)| rest.strip_prefix("//"))
        .ok_or(UrlError::NotAUrl)?;
    let authority = behind_scheme.split(['/', '?', '#']).next().unwrap_or_default();
    match authority {
        "" => Err(UrlError::NotAUrl),
        _ if authority.contains('@') => Err(UrlError::Credentials),
        _ => Ok(()),
    }
}

fn check_name(name: &str) -> Result<(), UrlError> {
    let bare = name.strip_suffix('.').unwrap_or(name);
    if bare.len() > MAX_NAME_BYTES || !bare.split('.').all(is_label) {
        return Err(UrlError::InvalidName);
    }
    if is_local_name(bare) { Err(UrlError::LocalName(name.to_owned())) } else { Ok(()) }
}

/// Tells whether DNS can hold this part of a name.
fn is_label(label: &str) -> bool {
    (1..=MAX_LABEL_BYTES).contains(&label.len())
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// Tells whether a name is never public: a single label, or in one of the domains that RFC 3172,
/// RFC 6761, RFC 6762, RFC 7686, RFC 9476 and ICANN keep for other uses. Lambda calls itself
/// `sandbox.localdomain`.
fn is_local_name(name: &str) -> bool {
    const TOPS: [&str; 9] = [
        "alt",
        "arpa",
        "internal",
        "invalid",
        "local",
        "localdomain",
        "localhost",
        "onion",
        "test",
    ];
    name.rsplit_once('.').is_none_or(|(_, top)| TOPS.contains(&top))
}

impl fmt::Debug for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl TryFrom<String> for PublicUrl {
    type Error = url::ParseError;

    /// Takes a stored text, which was checked when it was registered.
    fn try_from(text: String) -> Result<Self, url::ParseError> {
        Url::parse(&text).map(Self)
    }
}

impl From<PublicUrl> for String {
    fn from(url: PublicUrl) -> String {
        url.0.into()
    }
}

#[cfg(test)]
mod tests;
