//! Looks names up, so that no address is dialled that was not vetted.

mod getaddrinfo;

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use futures::future::BoxFuture;
use posthaste_domain::endpoint::address::{AllowedCidrs, NotPublic};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// The number of addresses of each family that are dialled, so that a name with thousands of them
/// can't make one attempt knock on as many doors.
const MAX_DIALLED: usize = 4;

/// A way to look a name up: the system's, or a test's.
pub type Lookup = Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> + Send + Sync>;

/// The system's resolver (getaddrinfo).
pub(crate) fn system() -> Lookup {
    Arc::new(|name| {
        Box::pin(async move {
            Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect())
        })
    })
}

/// A resolver that gives out addresses only when all of a name's addresses may be reached.
pub(crate) struct Vetted {
    allowed: AllowedCidrs,
    lookup: Lookup,
}

/// The reason why a name gives no address.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DnsError {
    #[error("the name leads to {0}")]
    NotPublic(NotPublic),
    #[error("the name can't be resolved")]
    Failed(#[source] io::Error),
    /// Nobody could tell whether the name exists.
    #[error("the resolver does not answer")]
    Unanswered(#[source] io::Error),
    #[error("the name has no address")]
    NoAddress,
}

impl Vetted {
    pub(crate) fn new(allowed: AllowedCidrs, lookup: Lookup) -> Self {
        Self { allowed, lookup }
    }
}

impl Resolve for Vetted {
    fn resolve(&self, name: Name) -> Resolving {
        let (allowed, answer) = (self.allowed.clone(), (self.lookup)(name.as_str().to_owned()));
        Box::pin(async move {
            let addresses = answer.await.map_err(|error| {
                if getaddrinfo::found_out_nothing(&error) {
                    DnsError::Unanswered(error)
                } else {
                    DnsError::Failed(error)
                }
            })?;
            if addresses.is_empty() {
                return Err(DnsError::NoAddress.into());
            }
            for ip in &addresses {
                allowed.check(*ip).map_err(DnsError::NotPublic)?;
            }
            // hyper dials the first address's family first, then the other, and reports the last
            // failure. A deployment without IPv6 fails at once with IPv6, so the reported failure
            // is that of the endpoint's IPv4 address.
            let (v4, v6): (Vec<_>, Vec<_>) = addresses.into_iter().partition(IpAddr::is_ipv4);
            let dialled =
                [v6, v4].into_iter().flat_map(|family| family.into_iter().take(MAX_DIALLED));
            // The port is the URL's: reqwest replaces a port of 0.
            Ok(Box::new(dialled.map(|ip| SocketAddr::new(ip, 0))) as Addrs)
        })
    }
}
