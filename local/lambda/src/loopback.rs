//! An address of this machine may be called by programs on it, and by web pages that it serves
//! itself.
//!
//! A browser sends what any web page wants, to a loopback address too. It names the page's site in
//! `Origin`; and where the page's own name was made to lead to this machine (DNS rebinding), it
//! names that in `Host`. For an image, a frame or a link it sends no `Origin`, but `Sec-Fetch-Site`
//! says `cross-site` then. A page can forge none of them. Most of what is served here asks for no
//! credentials, so all are looked at before anything else.

use http::{
    HeaderMap, HeaderName, HeaderValue, Uri,
    header::{HOST, ORIGIN, REFERER},
    uri::Authority,
};

/// A browser says in this header if a page of the same site asks ([Fetch
/// Metadata](https://www.w3.org/TR/fetch-metadata/#sec-fetch-site-header)).
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Returns a sentence that says why a request with these headers is refused, and nothing if it may
/// be answered. Hosts of this machine are `localhost`, names below it ([RFC 6761, section
/// 6.3](https://www.rfc-editor.org/rfc/rfc6761#section-6.3)), and loopback addresses, on any port.
pub fn refusal(headers: &HeaderMap) -> Option<&'static str> {
    if !headers.get_all(HOST).iter().all(is_host_here) {
        return Some(
            "the Host has to be localhost or a loopback address: this is a local system, for \
             programs on this machine",
        );
    }
    if !headers.get_all(ORIGIN).iter().all(is_origin_here) {
        return Some(
            "the Origin has to be localhost or a loopback address: no web page of elsewhere may \
             call this local system",
        );
    }
    // `localhost` and `127.0.0.1` are two sites, so an `Origin` that is here says more. A page that
    // follows a link or shows a frame sends none; its `Referer` says where it is. A page can leave
    // that out, and can't forge it.
    let is_from_here =
        headers.contains_key(ORIGIN) || headers.get(REFERER).is_some_and(is_origin_here);
    if !is_from_here && headers.get_all(FETCH_SITE).iter().any(|site| site == "cross-site") {
        return Some(
            "Sec-Fetch-Site is cross-site: no web page of elsewhere may call this local system",
        );
    }
    None
}

fn is_host_here(value: &HeaderValue) -> bool {
    let authority = value.to_str().ok().and_then(|text| text.parse::<Authority>().ok());
    authority.is_some_and(|authority| is_here(&authority))
}

fn is_origin_here(value: &HeaderValue) -> bool {
    let Some(uri) = value.to_str().ok().and_then(|text| text.parse::<Uri>().ok()) else {
        return false;
    };
    matches!(uri.scheme_str(), Some("http" | "https")) && uri.authority().is_some_and(is_here)
}

fn is_here(authority: &Authority) -> bool {
    let host = authority.host().to_ascii_lowercase();
    if let Some(address) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        return address.parse::<std::net::Ipv6Addr>().is_ok_and(|address| address.is_loopback());
    }
    let name = host.strip_suffix('.').unwrap_or(&host);
    name == "localhost"
        || name.ends_with(".localhost")
        || host.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_refused(name: HeaderName, value: &str) -> bool {
        refusal(&HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])).is_some()
    }

    #[test]
    fn hosts_of_this_machine_are_served() {
        assert_eq!(refusal(&HeaderMap::new()), None, "a browser always sends a Host");
        for host in [
            "127.0.0.1",
            "127.0.0.1:8080",
            "127.9.9.9:1",
            "localhost",
            "LocalHost.:80",
            "api.localhost:3000",
            "[::1]:80",
        ] {
            assert!(!is_refused(HOST, host), "{host}");
            assert!(!is_refused(ORIGIN, &format!("http://{host}")), "{host}");
            assert!(!is_refused(ORIGIN, &format!("https://{host}")), "{host}");
        }
    }

    #[test]
    fn a_page_of_this_machine_may_show_another_one_in_a_frame() {
        let of = |referer: &'static str| {
            let site = (FETCH_SITE, HeaderValue::from_static("cross-site"));
            refusal(&HeaderMap::from_iter([site, (REFERER, HeaderValue::from_static(referer))]))
        };
        assert_eq!(of("http://localhost:3000/page"), None);
        assert!(of("https://evil.example/").is_some() && of("").is_some());
    }

    #[test]
    fn hosts_of_elsewhere_are_not() {
        for host in [
            "",
            "evil.example",
            "evil.example:8080",
            "localhost.evil.example",
            "evillocalhost",
            "127.0.0.1.evil.example",
            "127.1",
            "2130706433",
            "0.0.0.0",
            "10.0.0.1",
            "169.254.169.254",
            "[::ffff:10.0.0.1]",
            "[::]",
            "127.0.0.1@evil.example",
        ] {
            assert!(is_refused(HOST, host), "{host}");
            assert!(is_refused(ORIGIN, &format!("http://{host}")), "{host}");
        }
        for origin in [
            "null",
            "file://",
            "localhost",
            "ftp://localhost",
            "chrome-extension://localhost",
            "//localhost",
        ] {
            assert!(is_refused(ORIGIN, origin), "{origin}");
        }
    }

    #[test]
    fn a_page_of_elsewhere_that_names_no_origin_is_not_served() {
        let from = |site: &'static str, origin: Option<&'static str>| {
            let mut headers =
                HeaderMap::from_iter([(HOST, HeaderValue::from_static("127.0.0.1:8080"))]);
            headers.append(FETCH_SITE, HeaderValue::from_static(site));
            headers.extend(origin.map(|origin| (ORIGIN, HeaderValue::from_static(origin))));
            refusal(&headers).is_some()
        };
        assert!(from("cross-site", None), "an image that a page of elsewhere wants");
        for site in ["none", "same-origin", "same-site"] {
            assert!(!from(site, None), "{site}");
        }
        assert!(
            !from("cross-site", Some("http://localhost:3000")),
            "localhost and 127.0.0.1 are two sites"
        );
        assert!(from("cross-site", Some("https://evil.example")));
    }

    #[test]
    fn one_good_host_does_not_excuse_another() {
        let mut headers = HeaderMap::from_iter([(HOST, HeaderValue::from_static("localhost"))]);
        headers.append(HOST, HeaderValue::from_static("evil.example"));
        assert!(refusal(&headers).is_some());
    }
}
