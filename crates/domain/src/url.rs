//! Where a webhook may send: checked when it is registered. What a name resolves to is checked again at every connection.

use std::{fmt, net::IpAddr};

use serde::{Deserialize, Serialize};
use url::{Host, Url};

use crate::address::{AllowedCidrs, NotPublic};

const MAX_BYTES: usize = 2048;

/// An absolute http or https URL, in the normal form of the WHATWG URL standard: a host in any spelling (decimal, octal or hex
/// IPv4, IPv6, IDNA) is in its one canonical form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicUrl(Url);

/// What a deployment allows beyond public https addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UrlPolicy {
    /// Plain http.
    pub allow_http: bool,
    /// Addresses that are not public.
    pub allowed: AllowedCidrs,
}

/// Why a URL is refused, as a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// It can't be parsed.
    #[error("url is not an absolute URL")]
    NotAUrl,
    /// It is too long.
    #[error("url takes at most {MAX_BYTES} bytes")]
    TooLong,
    /// It is neither https nor, where that is allowed, http.
    #[error("url has to begin with https://")]
    NotHttps,
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
    /// Its host is a name that public DNS can't know.
    #[error("url has to name a public host, which {0:?} can't be")]
    LocalName(String),
}

impl PublicUrl {
    /// Checks a URL.
    pub fn parse(text: &str, policy: &UrlPolicy) -> Result<Self, UrlError> {
        if text.len() > MAX_BYTES {
            return Err(UrlError::TooLong);
        }
        let url = Url::parse(text).map_err(|_| UrlError::NotAUrl)?;
        if url.scheme() != "https" && !(url.scheme() == "http" && policy.allow_http) {
            return Err(UrlError::NotHttps);
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
        match url.host() {
            Some(Host::Ipv4(ip)) => policy.allowed.check(ip.into())?,
            Some(Host::Ipv6(ip)) => policy.allowed.check(ip.into())?,
            Some(Host::Domain(name)) if is_local_name(name) => return Err(UrlError::LocalName(name.to_owned())),
            Some(Host::Domain(_)) => {}
            None => return Err(UrlError::NotAUrl),
        }
        Ok(Self(url))
    }

    /// The normal form.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The parsed form.
    pub fn as_url(&self) -> &Url {
        &self.0
    }

    /// The host, when it is an address and not a name.
    pub fn ip(&self) -> Option<IpAddr> {
        match self.0.host()? {
            Host::Ipv4(ip) => Some(ip.into()),
            Host::Ipv6(ip) => Some(ip.into()),
            Host::Domain(_) => None,
        }
    }
}

/// Names that are never public: a single label, and the domains that RFC 6761, RFC 6762, RFC 8375 and ICANN keep for local use.
fn is_local_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    match name.rsplit_once('.') {
        None => true,
        Some((rest, top)) => {
            matches!(top, "localhost" | "local" | "internal" | "test" | "invalid" | "onion")
                || (top == "arpa" && (rest == "home" || rest.ends_with(".home")))
        }
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl TryFrom<String> for PublicUrl {
    type Error = url::ParseError;

    /// Reads back what was stored, which was checked when it was registered.
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
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<String, UrlError> {
        PublicUrl::parse(text, &UrlPolicy::default()).map(String::from)
    }

    #[test]
    fn public_https_urls_are_accepted_in_their_normal_form() {
        assert_eq!(parse("https://myapp.com/spectra-webhook").unwrap(), "https://myapp.com/spectra-webhook");
        assert_eq!(parse("HTTPS://MyApp.com:443?a=1").unwrap(), "https://myapp.com/?a=1");
        assert_eq!(parse("https://bücher.example.org:8443/x").unwrap(), "https://xn--bcher-kva.example.org:8443/x");
        assert_eq!(parse("https://134744072/").unwrap(), "https://8.8.8.8/");
        assert_eq!(parse("https://[2606:4700:4700::1111]/").unwrap(), "https://[2606:4700:4700::1111]/");
    }

    #[test]
    fn what_is_wrong_with_a_url_is_said() {
        for text in [
            "",
            "example.com",
            "/hook",
            "https://",
            "https://exa mple.com",
            "https://[fe80::1%25eth0]/",
            "https://1.2.3.4.5/",
        ] {
            assert_eq!(parse(text), Err(UrlError::NotAUrl), "{text}");
        }
        for text in ["http://example.com", "ftp://example.com", "file:///etc/passwd", "javascript:alert(1)", "data:,x"]
        {
            assert_eq!(parse(text), Err(UrlError::NotHttps), "{text}");
        }
        for text in [
            "https://user@example.com/",
            "https://user:pass@example.com/",
            "https://:pass@example.com/",
            "https://example.com@127.0.0.1/",
        ] {
            assert_eq!(parse(text), Err(UrlError::Credentials), "{text}");
        }
        assert_eq!(parse("https://example.com/#x"), Err(UrlError::Fragment));
        assert_eq!(parse("https://example.com:0/"), Err(UrlError::Port));
        assert_eq!(parse(&format!("https://example.com/{}", "x".repeat(2029))), Err(UrlError::TooLong));
    }

    #[test]
    fn an_address_that_is_not_public_is_refused_in_every_spelling() {
        let loopback = [
            "127.0.0.1",
            "2130706433",
            "0x7f000001",
            "0177.0.0.1",
            "0x7f.1",
            "127.1",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[0:0:0:0:0:ffff:7f00:1]",
            "127.0.0.1.",
            "①②⑦.0.0.1",
        ];
        for host in loopback {
            assert_eq!(parse(&format!("https://{host}/")), Err(UrlError::Address(NotPublic::Loopback)), "{host}");
        }
        for host in ["169.254.169.254", "2852039166", "0xa9fea9fe", "[::ffff:a9fe:a9fe]"] {
            assert_eq!(parse(&format!("https://{host}/")), Err(UrlError::Address(NotPublic::LinkLocal)), "{host}");
        }
    }

    #[test]
    fn a_name_that_public_dns_can_not_know_is_refused() {
        for host in [
            "localhost",
            "localhost.",
            "a.localhost",
            "LOCALHOST",
            "printer.local",
            "db.internal",
            "metadata.google.internal",
            "router.home.arpa",
            "intranet",
            "x.test",
        ] {
            let name = host.to_lowercase();
            assert_eq!(parse(&format!("https://{host}/")), Err(UrlError::LocalName(name)), "{host}");
        }
    }

    #[test]
    fn a_deployment_can_allow_http_and_addresses() {
        let policy = UrlPolicy { allow_http: true, allowed: "127.0.0.0/8".parse().unwrap() };
        assert_eq!(
            PublicUrl::parse("http://127.0.0.1:9000/inbox/a", &policy).unwrap().as_str(),
            "http://127.0.0.1:9000/inbox/a"
        );
        assert_eq!(PublicUrl::parse("http://10.0.0.1/", &policy), Err(UrlError::Address(NotPublic::Private)));
        assert_eq!(PublicUrl::parse("http://localhost/", &policy), Err(UrlError::LocalName("localhost".into())));
    }

    #[test]
    fn a_stored_url_is_read_back() {
        let url: PublicUrl = serde_json::from_str(r#""http://127.0.0.1:9/a""#).unwrap();
        assert_eq!(serde_json::to_string(&url).unwrap(), r#""http://127.0.0.1:9/a""#);
        assert_eq!(url.ip(), Some("127.0.0.1".parse().unwrap()));
    }
}
