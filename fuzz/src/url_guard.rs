//! The URLs that a webhook may have.

use std::net::IpAddr;

use posthaste_domain::endpoint::url::{PublicUrl, UrlPolicy};
use url::{Host, Url};

use crate::address::is_closed;

/// What is accepted is https, leads to no closed address in any notation, is what `url` reads, and
/// is accepted again in its normal form.
pub(crate) fn leads_to_public_hosts_only(input: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(input) else { return false };
    let wide = UrlPolicy {
        allow_http: true,
        allowed: "10.0.0.0/8,169.254.0.0/16,fd00::/8".parse().expect("three ranges"),
    };
    let by_wide = PublicUrl::parse(text, &wide);
    if let Ok(url) = &by_wide {
        assert!(!leads_to_metadata(url.as_url()), "{url} leads to metadata");
    }
    let Ok(accepted) = PublicUrl::parse(text, &UrlPolicy::default()) else {
        return by_wide.is_ok();
    };
    assert_eq!(by_wide.as_ref(), Ok(&accepted), "a wider policy refuses less");

    let read = Url::parse(text).expect("an accepted text is a URL");
    assert_eq!(read.as_str(), accepted.as_str());
    assert_eq!(read.scheme(), "https");
    assert!(read.username().is_empty() && read.password().is_none(), "{read} has credentials");
    assert!(read.fragment().is_none() && read.port() != Some(0), "{read}");
    match read.host().expect("an accepted URL has a host") {
        Host::Ipv4(ip) => assert!(!is_closed(ip.into()), "{text:?} leads to {ip}"),
        Host::Ipv6(ip) => assert!(!is_closed(ip.into()), "{text:?} leads to {ip}"),
        Host::Domain(name) => check_name(name),
    }
    // A reader that looks for the host by itself has to find the one that was judged.
    let behind = text.split_once("//").map(|(_, behind)| behind).expect("two slashes");
    let authority = behind.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    assert!(!authority.contains('@'), "{text:?} has two hosts");

    let normal = PublicUrl::parse(accepted.as_str(), &UrlPolicy::default());
    assert_eq!(normal.as_ref(), Ok(&accepted), "its normal form is accepted");
    let stored = PublicUrl::try_from(String::from(accepted.clone())).expect("a stored URL");
    assert_eq!(stored, accepted);
    assert_eq!(stored.check(&UrlPolicy::default()), Ok(()));
    assert!(accepted.shown().starts_with(&accepted.origin()));
    assert!(accepted.as_str().starts_with(&accepted.origin()));
    true
}

/// Checks that a name is none that a resolver reads as an address, or knows without DNS.
fn check_name(name: &str) {
    let bare = name.strip_suffix('.').unwrap_or(name);
    let top = bare.rsplit('.').next().unwrap_or_default();
    assert!(bare.contains('.'), "{name} is a single label");
    assert!(bare.parse::<IpAddr>().is_err(), "{name} is an address");
    let digits = top.strip_prefix("0x").or_else(|| top.strip_prefix("0X")).unwrap_or(top);
    let is_hex = digits.len() < top.len() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_decimal = top.bytes().all(|byte| byte.is_ascii_digit());
    assert!(!is_hex && !is_decimal, "inet_aton may read {name} as an address");
    for local in ["localhost", "local", "internal", "localdomain"] {
        assert!(!top.eq_ignore_ascii_case(local), "{name} is a local name");
    }
}

fn leads_to_metadata(url: &Url) -> bool {
    let metadata: [IpAddr; 2] =
        [[169, 254, 169, 254].into(), [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254].into()];
    match url.host() {
        Some(Host::Ipv4(ip)) => metadata.contains(&ip.into()),
        Some(Host::Ipv6(ip)) => metadata.contains(&IpAddr::from(ip).to_canonical()),
        _ => false,
    }
}
