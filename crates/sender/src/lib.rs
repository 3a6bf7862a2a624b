//! The guarded HTTP client sends one POST, bounded in every direction, to a public address and no
//! other.
//!
//! It guarantees:
//! - **Nobody reaches inside.** The URL is checked against the policy at every attempt. The host is
//!   resolved here at every new connection, every answer is vetted, and the connection is made to a
//!   vetted address; one bad answer refuses them all.
//! - **Bounded.** Resolving, connecting, TLS, head and body all happen within the request's
//!   timeout. A connection that was made for a request which then took another one has to be ready
//!   soon, too. At most [`MAX_BODY_BYTES`] of the body are read; hyper bounds the head (100
//!   headers, about 400 KiB), the extensions between chunks (16 KiB) and the trailers (16 KiB).
//! - **Nothing implied.** HTTP/1.1 and nothing else. Redirects are answers, not instructions; no
//!   proxy, cookie or compression is used.
//! - **Kept alive, for a while.** Requests to one host share connections; of those that idle, ten a
//!   host are kept for ten seconds. A connection that died while the function was frozen is noticed
//!   by hyper before the request is written to it, and a new one is made. No look-up precedes a
//!   request on a kept-alive connection, nor has to: the connection leads where it led when it was
//!   vetted, whatever the name says since, the rules are the same as long as the process lives, and
//!   only requests to the same scheme, name and port share it.
//! - **Whose fault.** [`SendError::ours`] tells what kept this process from sending apart from what
//!   the endpoint did.
//!
//! TLS is rustls with ring and Mozilla's roots compiled in: no certificate file is read.

mod dns;
mod error;

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use posthaste_domain::{
    endpoint::url::{PublicUrl, UrlPolicy},
    webhook::MAX_TIMEOUT_SECONDS,
};
use reqwest::{
    Client,
    header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER},
    redirect,
};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use tokio::time::timeout_at;

pub use dns::Lookup;
pub use error::{SendError, code};

/// The most bytes of an answer's body that are read.
pub const MAX_BODY_BYTES: usize = 16 * 1024;

/// A longer Retry-After is no date and no number of seconds.
const MAX_RETRY_AFTER_BYTES: usize = 128;

/// The time for which an idle connection is kept. A Lambda function is frozen between invocations,
/// and after a longer time the other side has probably closed the connection: connections are for
/// the requests of one invocation and those that follow at once.
const POOL_IDLE: Duration = Duration::from_secs(10);

/// The longest time that a connection may take, TLS included; no request takes longer
/// (`MAX_TIMEOUT_SECONDS`). It bounds a connection whose request was served by another one that
/// became idle first: hyper goes on with it alone, and an endpoint that never finishes the
/// handshake would hold it for ever.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(MAX_TIMEOUT_SECONDS as u64);

/// The number of idle connections that are kept for one host: as many as a batch of ten messages
/// needs at once, so that a busy endpoint is not connected to anew for each batch.
const POOL_IDLE_PER_HOST: usize = 10;

/// The HTTP client. It holds the connections, so it is built once.
#[derive(Debug, Clone)]
pub struct Sender {
    client: Client,
    policy: UrlPolicy,
}

/// One request. Debug shows neither headers nor body.
pub struct Request<'a> {
    /// The address to which the request is sent.
    pub url: &'a PublicUrl,
    /// The headers, with names in lower case.
    pub headers: Vec<(&'a str, String)>,
    /// The exact bytes to be sent.
    pub body: Bytes,
    /// The time for all of it, from the look-up of the name to the last byte of the answer.
    pub timeout: Duration,
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("url", self.url)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// The result of a request.
#[derive(Debug)]
pub struct Outcome {
    /// The time that the request took.
    pub duration: Duration,
    /// The answer, or the reason why there is none.
    pub result: Result<Response, SendError>,
}

/// An endpoint's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status of the answer.
    pub status: u16,
    /// The body of the answer: at most its first [`MAX_BODY_BYTES`].
    pub body: Bytes,
    /// The first Retry-After header, unparsed: visible ASCII of at most 128 bytes. None if there is
    /// none, or if it is something else.
    pub retry_after: Option<String>,
}

impl Sender {
    /// Builds a client that follows this policy.
    pub fn new(policy: UrlPolicy, user_agent: &'static str) -> anyhow::Result<Self> {
        let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        Self::with(policy, user_agent, roots, dns::system())
    }

    /// Builds a client with its own trusted roots and its own way to look names up.
    pub fn with(
        policy: UrlPolicy,
        user_agent: &'static str,
        roots: RootCertStore,
        lookup: Lookup,
    ) -> anyhow::Result<Self> {
        let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .dns_resolver(Arc::new(dns::Vetted::new(policy.allowed.clone(), lookup)))
            .redirect(redirect::Policy::none())
            .no_proxy()
            .http1_only()
            .connect_timeout(CONNECT_TIMEOUT)
            .referer(false)
            .user_agent(user_agent)
            .pool_idle_timeout(POOL_IDLE)
            .pool_max_idle_per_host(POOL_IDLE_PER_HOST)
            .tcp_nodelay(true)
            .build()?;
        Ok(Self { client, policy })
    }

    /// Sends one POST. It always ends within the timeout, and with an outcome.
    pub async fn send(&self, request: Request<'_>) -> Outcome {
        let began = Instant::now();
        let result = self.exchange(request).await;
        Outcome { duration: began.elapsed(), result }
    }

    async fn exchange(&self, request: Request<'_>) -> Result<Response, SendError> {
        let Request { url, headers, body, timeout } = request;
        url.check(&self.policy).map_err(|why| SendError::refused(&why))?;
        let deadline = tokio::time::Instant::now() + timeout;
        let call =
            self.client.post(url.as_url().clone()).headers(header_map(headers)?).body(body).send();
        let mut answer = timeout_at(deadline, call)
            .await
            .map_err(|_| SendError::timeout("the endpoint did not answer", timeout))?
            .map_err(|error| SendError::of(&error.without_url()))?;
        let status = answer.status().as_u16();
        let retry_after = retry_after(answer.headers());
        let body = timeout_at(deadline, read_body(&mut answer))
            .await
            .map_err(|_| SendError::timeout("the endpoint's answer was not complete", timeout))?
            .map_err(|error| SendError::of(&error.without_url()))?;
        Ok(Response { status, body, retry_after })
    }
}

/// Reads the body up to the bound, and no further even if no more is to come. The unread rest
/// closes the connection.
async fn read_body(answer: &mut reqwest::Response) -> reqwest::Result<Bytes> {
    let mut body = BytesMut::new();
    while let Some(chunk) = answer.chunk().await? {
        let room = MAX_BODY_BYTES - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() >= room {
            break;
        }
    }
    Ok(body.freeze())
}

fn retry_after(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    (text.len() <= MAX_RETRY_AFTER_BYTES).then(|| text.to_owned())
}

fn header_map(headers: Vec<(&str, String)>) -> Result<HeaderMap, SendError> {
    let mut map = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        let unsendable = || SendError::bad_header(name);
        let mut value = HeaderValue::try_from(value).map_err(|_| unsendable())?;
        // It may be a credential: Debug does not show it, and HTTP/2 does not index it.
        value.set_sensitive(true);
        map.append(HeaderName::try_from(name).map_err(|_| unsendable())?, value);
    }
    Ok(map)
}
