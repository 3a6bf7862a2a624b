//! Explains why there is no answer: with a stable code and a sentence for the customer, and apart
//! from these the detail for operators.
//!
//! The fault is ours when this process lacks something that sending to any endpoint takes: file
//! descriptors, memory, buffers, a free port, a network, a resolver that answers. Everything else
//! is the endpoint's fault, also a name that does not exist.

mod tls;

use std::{error::Error, io, time::Duration};

use posthaste_domain::endpoint::url::UrlError;

use crate::dns::DnsError;

/// A detail has at most this many bytes, so that a log line has room for it.
const MAX_DETAIL_BYTES: usize = 500;

/// The codes of a [`SendError`].
pub mod code {
    /// The host is, or resolves to, an address that is not public.
    pub const ADDRESS_NOT_ALLOWED: &str = "address_not_allowed";
    /// The URL is plain http, which this deployment does not allow.
    pub const NOT_HTTPS: &str = "not_https";
    /// The host's name has no address.
    pub const DNS_FAILED: &str = "dns_failed";
    /// No connection could be made.
    pub const CONNECT_FAILED: &str = "connect_failed";
    /// TLS could not be agreed on, or the certificate is not valid.
    pub const TLS_FAILED: &str = "tls_failed";
    /// The connection ended before the answer did.
    pub const CONNECTION_CLOSED: &str = "connection_closed";
    /// The answer is not HTTP.
    pub const INVALID_RESPONSE: &str = "invalid_response";
    /// The answer did not come, or did not end, in time.
    pub const TIMEOUT: &str = "timeout";
    /// A header can't be sent.
    pub const INVALID_HEADER: &str = "invalid_header";
    /// This process lacked something that sending takes.
    pub const OUR_FAULT: &str = "our_fault";
    /// Every code.
    pub const ALL: [&str; 10] = [
        ADDRESS_NOT_ALLOWED,
        NOT_HTTPS,
        DNS_FAILED,
        CONNECT_FAILED,
        TLS_FAILED,
        CONNECTION_CLOSED,
        INVALID_RESPONSE,
        TIMEOUT,
        INVALID_HEADER,
        OUR_FAULT,
    ];
}

/// The reason why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {detail}")]
pub struct SendError {
    /// One of the codes in [`code`].
    pub code: &'static str,
    /// A sentence for the customer.
    pub message: String,
    /// The chain of causes, for operators.
    pub detail: String,
    /// True if the fault seems to be ours, so that the receiver should not be charged an attempt.
    /// It can't be known: the resolver also fails to answer for a name whose own servers are
    /// broken, and no network leads to an endpoint that has only IPv6 where the deployment has
    /// none. A fault that stays "ours" over many tries is the receiver's, and
    /// [`message`](Self::message) is fit for it.
    pub ours: bool,
}

impl SendError {
    fn theirs(code: &'static str, message: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { code, message: message.into(), detail: detail.into(), ours: false }
    }

    fn ours(detail: impl Into<String>) -> Self {
        let message = "the request could not be sent".to_owned();
        Self { code: code::OUR_FAULT, message, detail: detail.into(), ours: true }
    }

    /// The error about a URL that the deployment's policy does not allow.
    pub(crate) fn refused(why: &UrlError) -> Self {
        match why {
            UrlError::NotHttps | UrlError::NeitherHttp => Self::theirs(
                code::NOT_HTTPS,
                "the URL has to begin with https://",
                "plain http is not allowed",
            ),
            _ => Self::not_public(why.to_string()),
        }
    }

    fn not_public(detail: String) -> Self {
        Self::theirs(code::ADDRESS_NOT_ALLOWED, "the URL does not lead to a public address", detail)
    }

    pub(crate) fn timeout(what: &str, timeout: Duration) -> Self {
        let message = format!("{what} within {} s", timeout.as_secs_f64());
        Self::theirs(code::TIMEOUT, message.clone(), message)
    }

    pub(crate) fn bad_header(name: &str) -> Self {
        Self::theirs(code::INVALID_HEADER, format!("the header {name} can't be sent"), name)
    }

    /// Finds out what went wrong, by the types in the chain of causes.
    pub(crate) fn of(error: &reqwest::Error) -> Self {
        let causes = causes_of(error);
        let detail = detail_of(&causes);
        let mut io_errors = causes.iter().filter_map(|cause| cause.downcast_ref::<io::Error>());
        if io_errors
            .any(|io| is_lack_of_resources(io) || error.is_connect() && is_lack_of_network(io))
        {
            return Self::ours(detail);
        }
        if let Some(dns) = causes.iter().find_map(|cause| cause.downcast_ref::<DnsError>()) {
            return Self::of_dns(dns, detail);
        }
        if let Some(error) = causes.iter().find_map(|cause| cause.downcast_ref::<rustls::Error>()) {
            Self::theirs(code::TLS_FAILED, tls::sentence(error), detail)
        } else if error.is_connect() && error.is_timeout() {
            Self::theirs(
                code::TIMEOUT,
                "no connection could be made to the endpoint in time",
                detail,
            )
        } else if error.is_connect() {
            Self::theirs(
                code::CONNECT_FAILED,
                "no connection could be made to the endpoint",
                detail,
            )
        } else if causes.iter().any(|cause| is_too_large(*cause)) {
            Self::theirs(
                code::INVALID_RESPONSE,
                "the head of the endpoint's answer is too large, or has more than 100 headers",
                detail,
            )
        } else if causes.iter().any(|cause| is_not_http(*cause)) {
            Self::theirs(
                code::INVALID_RESPONSE,
                "the endpoint's answer is not valid HTTP/1.1",
                detail,
            )
        } else {
            Self::theirs(
                code::CONNECTION_CLOSED,
                "the endpoint closed the connection before its answer was complete",
                detail,
            )
        }
    }

    fn of_dns(error: &DnsError, detail: String) -> Self {
        match error {
            DnsError::NotPublic(_) => Self::not_public(detail),
            DnsError::Unanswered(_) => Self::ours(detail),
            DnsError::NoAddress | DnsError::Failed(_) => {
                Self::theirs(code::DNS_FAILED, "the URL's host could not be resolved", detail)
            }
        }
    }
}

/// Tells whether a cause is a head that is beyond hyper's bounds.
fn is_too_large(cause: &(dyn Error + 'static)) -> bool {
    cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse_too_large)
}

/// Tells whether a cause is an answer that is not HTTP: hyper reports a head that can't be read as
/// a kind of error, and chunks and trailers as I/O errors.
fn is_not_http(cause: &(dyn Error + 'static)) -> bool {
    let io_kind = cause.downcast_ref::<io::Error>().map(io::Error::kind);
    cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse)
        || matches!(io_kind, Some(io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput))
}

/// Joins all causes to one text. It can have the names of a certificate, which the endpoint
/// chooses.
fn detail_of(causes: &[&(dyn Error + 'static)]) -> String {
    let mut detail = causes.iter().map(ToString::to_string).collect::<Vec<_>>().join(": ");
    detail.truncate(detail.floor_char_boundary(MAX_DETAIL_BYTES));
    detail
}

fn is_lack_of_resources(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM))
}

/// Tells whether there was no port to connect from, or no way to the address's network.
fn is_lack_of_network(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EADDRNOTAVAIL | libc::ENETUNREACH))
}

/// An error and everything that caused it. An `io::Error` passes over the error that it wraps, so
/// that one is looked into.
fn causes_of<'a>(error: &'a (dyn Error + 'static)) -> Vec<&'a (dyn Error + 'static)> {
    let mut causes = Vec::new();
    let mut next = Some(error);
    while let Some(cause) = next {
        causes.push(cause);
        let wrapped = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => cause.source(),
        };
    }
    causes
}
