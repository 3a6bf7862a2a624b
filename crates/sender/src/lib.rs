//! The guarded HTTP client: one POST, bounded in every direction, to nobody but a public address.
//!
//! What it guarantees:
//! - **Nobody reaches inside.** The URL is checked against the policy at every attempt. The host is resolved here at every new
//!   connection, every answer is vetted, and the connection is made to a vetted address; one bad answer refuses them all.
//! - **Bounded.** Resolving, connecting, TLS, head and body all happen within the request's timeout, and a connection that is made
//!   for a request which took another one has to be there soon, too. At most [`MAX_BODY_BYTES`] of the body are read; hyper
//!   bounds the head (100 headers, about 400 KiB), what comes between chunks (16 KiB) and the trailers (16 KiB).
//! - **Nothing implied.** HTTP/1.1 and nothing else. Redirects are answers, not instructions; no proxy, cookie or compression is
//!   used.
//! - **Kept alive, for a while.** Requests to one host share connections; of those that idle, two a host are kept for ten seconds. A
//!   connection that died while the function was frozen is noticed by hyper before the request is written to it, and a new one is
//!   made. No look-up precedes a request on a kept-alive connection, nor has to: the connection leads where it led when it was
//!   vetted, whatever the name says since, the rules are the same as long as the process lives, and only requests to the same
//!   scheme, name and port share it.
//! - **Whose fault.** [`SendError::ours`] tells what kept this process from sending apart from what the endpoint did.
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
    url::{PublicUrl, UrlPolicy},
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

/// How much of an answer's body is read.
pub const MAX_BODY_BYTES: usize = 16 * 1024;

/// A longer Retry-After is no date and no number of seconds.
const MAX_RETRY_AFTER_BYTES: usize = 128;

/// A Lambda function is frozen between invocations, and what has idled longer has probably been closed by the other side meanwhile:
/// connections are for the requests of one invocation and those that follow at once.
const POOL_IDLE: Duration = Duration::from_secs(10);

/// How long a connection may take, TLS included; no request takes longer (`MAX_TIMEOUT_SECONDS`). It is there for the connection
/// whose request was served by another one that became idle first: hyper goes on with it alone, and an endpoint that never
/// finishes the handshake would hold it for ever.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(MAX_TIMEOUT_SECONDS as u64);

/// A batch may send many requests to one host at once; their connections need not all outlive it.
const POOL_IDLE_PER_HOST: usize = 2;

/// The client. To be built once, as it holds the connections.
#[derive(Debug, Clone)]
pub struct Sender {
    client: Client,
    policy: UrlPolicy,
}

/// One request. Debug shows neither headers nor body.
pub struct Request<'a> {
    /// Where to.
    pub url: &'a PublicUrl,
    /// Names in lower case, and values.
    pub headers: Vec<(&'a str, String)>,
    /// The exact bytes to be sent.
    pub body: Bytes,
    /// The time for all of it.
    pub timeout: Duration,
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("url", self.url).field("body_bytes", &self.body.len()).finish_non_exhaustive()
    }
}

/// How a request ended.
#[derive(Debug)]
pub struct Outcome {
    /// How long it took.
    pub duration: Duration,
    /// The answer, or why there is none.
    pub result: Result<Response, SendError>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Its status.
    pub status: u16,
    /// Its body, at most [`MAX_BODY_BYTES`] of it.
    pub body: Bytes,
    /// Its first Retry-After header, unparsed: visible ASCII of at most 128 bytes. None when there is none, or something else.
    pub retry_after: Option<String>,
}

impl Sender {
    /// A client that follows this policy.
    pub fn new(policy: UrlPolicy, user_agent: &'static str) -> anyhow::Result<Self> {
        let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        Self::with(policy, user_agent, roots, dns::system())
    }

    /// A client with its own trusted roots and its own way to look names up.
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

    /// Sends one POST. However it ends, it ends within the timeout and as an outcome.
    pub async fn send(&self, request: Request<'_>) -> Outcome {
        let began = Instant::now();
        let result = self.exchange(request).await;
        Outcome { duration: began.elapsed(), result }
    }

    async fn exchange(&self, request: Request<'_>) -> Result<Response, SendError> {
        let Request { url, headers, body, timeout } = request;
        url.check(&self.policy).map_err(|why| SendError::refused(&why))?;
        let deadline = tokio::time::Instant::now() + timeout;
        let call = self.client.post(url.as_url().clone()).headers(header_map(headers)?).body(body).send();
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

/// Reads no further than what is wanted, even if no more is to come. What is left unread closes the connection.
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
    let entry = |(name, value): (&str, String)| {
        let unsendable = || SendError::bad_header(name);
        let mut value = HeaderValue::try_from(value).map_err(|_| unsendable())?;
        // It may be a credential: Debug does not show it, and HTTP/2 does not index it.
        value.set_sensitive(true);
        Ok((HeaderName::try_from(name).map_err(|_| unsendable())?, value))
    };
    headers.into_iter().map(entry).collect()
}
