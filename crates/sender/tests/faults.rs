//! Tells whose fault it is that nothing was sent.
#![cfg(test)]

use std::{io, net::TcpListener, sync::Arc, time::Duration};

use posthaste_domain::endpoint::url::{PublicUrl, UrlPolicy};
use posthaste_sender::{Lookup, Request, SendError, Sender, code};
use rustls::RootCertStore;

/// The result of sending to a name whose look-up ends like this. Nobody listens there.
async fn failure(
    look_up: impl Fn() -> io::Result<Vec<&'static str>> + Send + Sync + 'static,
) -> SendError {
    let policy = UrlPolicy {
        allow_http: true,
        allowed: "127.0.0.0/8,224.0.0.0/4,ff00::/8".parse().unwrap(),
    };
    let lookup: Lookup = Arc::new(move |_| {
        let answer = look_up()
            .map(|addresses| addresses.into_iter().map(|ip| ip.parse().unwrap()).collect());
        Box::pin(async { answer })
    });
    let sender = Sender::with(policy, "Posthaste/test", RootCertStore::empty(), lookup).unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = PublicUrl::try_from(format!("http://hook.example.com:{port}/")).unwrap();
    let request =
        Request { url: &url, headers: vec![], body: "{}".into(), timeout: Duration::from_secs(5) };
    sender.send(request).await.result.unwrap_err()
}

fn assert_ours(error: &SendError, detail: &str) {
    assert_eq!((error.code, error.ours), (code::OUR_FAULT, true), "{error}");
    assert_eq!(error.message, "the request could not be sent");
    assert!(error.detail.contains(detail), "{error}");
}

#[tokio::test]
async fn what_this_process_lacks_is_our_fault() {
    for errno in [
        libc::EMFILE,
        libc::ENFILE,
        libc::ENOBUFS,
        libc::ENOMEM,
        libc::EADDRNOTAVAIL,
        libc::ENETUNREACH,
    ] {
        let error = failure(move || Err(io::Error::from_raw_os_error(errno))).await;
        assert_ours(&error, &format!("os error {errno}"));
    }
}

#[cfg(any(target_env = "gnu", target_os = "macos"))]
#[tokio::test]
async fn a_resolver_that_does_not_answer_is_our_fault() {
    let text = "failed to lookup address information: Temporary failure in name resolution";
    assert_ours(&failure(move || Err(io::Error::other(text))).await, text);
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_theirs() {
    let failures = [
        || Err(io::Error::other("failed to lookup address information: Name or service not known")),
        || {
            Err(io::Error::other(
                "failed to lookup address information: No address associated with hostname",
            ))
        },
        || Err(io::Error::from_raw_os_error(libc::ECONNREFUSED)),
        || Ok(vec![]),
    ];
    for look_up in failures {
        let error = failure(look_up).await;
        assert_eq!((error.code, error.ours), (code::DNS_FAILED, false), "{error}");
    }
}

/// Linux gives ENETUNREACH to who wants a TCP connection with a multicast address, whatever
/// networks there are.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn no_way_to_the_only_address_is_our_fault() {
    assert_ours(&failure(|| Ok(vec!["224.0.0.1"])).await, "unreachable");
}

#[tokio::test]
async fn an_endpoint_that_refuses_connections_is_not_excused_by_our_lack_of_ipv6() {
    for addresses in [["127.0.0.1", "ff0e::1"], ["ff0e::1", "127.0.0.1"]] {
        let error = failure(move || Ok(addresses.to_vec())).await;
        assert_eq!((error.code, error.ours), (code::CONNECT_FAILED, false), "{error}");
        assert!(error.detail.contains("refused"), "{error}");
    }
}
