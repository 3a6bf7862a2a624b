//! The stand-ins for AWS speak plain HTTP. This door before them speaks TLS, with a certificate of
//! an authority that was made a moment ago.

use std::{
    io::Write as _,
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use anyhow::{Context, anyhow};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use tempfile::NamedTempFile;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

/// A name has to be looked up, as that of AWS's own address has to.
const HOST: &str = "localhost";

/// The door. It is closed when this is dropped.
pub(super) struct Door {
    port: u16,
    authority: NamedTempFile,
    handshakes: Arc<AtomicU64>,
    serving: JoinHandle<()>,
}

impl Door {
    /// Opens a door to the address of a URL such as `http://127.0.0.1:8081`.
    pub(super) async fn open(behind: &str) -> anyhow::Result<Self> {
        let behind: SocketAddr = behind
            .strip_prefix("http://")
            .and_then(|address| address.parse().ok())
            .with_context(|| format!("{behind} is no address"))?;
        let (authority, config) = certificates()?;
        let mut file = NamedTempFile::new()?;
        file.write_all(authority.as_bytes())?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let handshakes = Arc::<AtomicU64>::default();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let serving = tokio::spawn(serve(listener, acceptor, behind, handshakes.clone()));
        Ok(Self { port, authority: file, handshakes, serving })
    }

    pub(super) fn url(&self) -> String {
        format!("https://{HOST}:{}", self.port)
    }

    /// The file with the authority's certificate, for `AWS_CA_BUNDLE`.
    pub(super) fn authority(&self) -> &Path {
        self.authority.path()
    }

    /// Counts the connections whose handshake is done.
    pub(super) fn handshakes(&self) -> u64 {
        self.handshakes.load(Ordering::Relaxed)
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    behind: SocketAddr,
    handshakes: Arc<AtomicU64>,
) {
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, handshakes) = (acceptor.clone(), handshakes.clone());
        tokio::spawn(async move {
            if let Err(error) = pass(stream, acceptor, behind, &handshakes).await {
                tracing::debug!("a connection over TLS ended: {error:#}");
            }
        });
    }
}

async fn pass(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    behind: SocketAddr,
    handshakes: &AtomicU64,
) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let mut inside = acceptor.accept(stream).await?;
    handshakes.fetch_add(1, Ordering::Relaxed);
    let mut outside = TcpStream::connect(behind).await?;
    outside.set_nodelay(true)?;
    copy_bidirectional(&mut inside, &mut outside).await?;
    Ok(())
}

/// Makes an authority, and a certificate of it for the door. The authority's is in PEM.
fn certificates() -> anyhow::Result<(String, ServerConfig)> {
    let authority_key = KeyPair::generate()?;
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let pem = authority.self_signed(&authority_key)?.pem();
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(vec![HOST.to_owned()])?.signed_by(&key, &issuer)?;
    let chain = vec![CertificateDer::from(certificate)];
    let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(|error| anyhow!(error))?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    Ok((pem, config))
}
