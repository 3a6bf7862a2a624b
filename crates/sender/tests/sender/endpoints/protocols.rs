//! Versions of TLS, and servers that do not keep to it.

use std::sync::{Arc, atomic::Ordering};

use posthaste_sender::{Lookup, Sender};
use rustls::{
    RootCertStore, ServerConfig, SupportedProtocolVersion,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer},
    server::WebPkiClientVerifier,
    version::{TLS12, TLS13},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::{
    endpoints::{
        case::{Case, answer},
        certificates::{Authority, NAME, showing},
        framing::HTTP_2,
    },
    server::{LAST_OK, OK, accepting, local, read_request, until_closed},
};

/// A certificate with what leads to its root, and its key.
pub(crate) struct Shown {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
}

/// A sender with these roots, for which every name leads to this machine.
fn trusting(roots: RootCertStore) -> Sender {
    let lookup: Lookup = Arc::new(|_| Box::pin(async { Ok(vec![[127, 0, 0, 1].into()]) }));
    Sender::with(local(), "Posthaste/test", roots, lookup).unwrap()
}

/// A server with these settings, which answers 200, and a sender that trusts these roots.
pub(crate) async fn serving(does: &str, config: ServerConfig, roots: RootCertStore) -> Case {
    speaking(does, config, roots, |mut stream| async move {
        let _ = stream.write_all(LAST_OK).await;
        let _ = stream.shutdown().await;
        until_closed(&mut stream).await;
    })
    .await
}

/// A server that does something with each connection after its handshake and its first request.
async fn speaking<F>(
    does: &str,
    config: ServerConfig,
    roots: RootCertStore,
    then: impl Fn(TlsStream<TcpStream>) -> F + Send + Sync + 'static,
) -> Case
where
    F: Future<Output = ()> + Send + 'static,
{
    let (acceptor, then) = (TlsAcceptor::from(Arc::new(config)), Arc::new(then));
    let case = Case::new(does, String::new(), trusting(roots));
    let arrived = case.arrived.clone();
    let address = accepting("127.0.0.1:0", move |stream| {
        let (acceptor, then, arrived) = (acceptor.clone(), then.clone(), arrived.clone());
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            if read_request(&mut stream).await.is_some() {
                arrived.fetch_add(1, Ordering::SeqCst);
                then(stream).await;
            }
        }
    })
    .await;
    Case { url: format!("https://{NAME}:{}/", address.port()), ..case }
}

/// A server that says these bytes when a handshake begins, and waits.
async fn saying(does: &str, bytes: &[u8]) -> Case {
    let bytes: Arc<[u8]> = bytes.into();
    let address = accepting("127.0.0.1:0", move |mut stream| {
        let bytes = bytes.clone();
        async move {
            let mut hello = [0; 4096];
            let _ = stream.read(&mut hello).await;
            let _ = stream.write_all(&bytes).await;
            if !bytes.is_empty() {
                until_closed(&mut stream).await;
            }
        }
    })
    .await;
    let url = format!("https://{NAME}:{}/", address.port());
    Case::new(does, url, trusting(RootCertStore::empty()))
}

pub(crate) async fn cases() -> Vec<Case> {
    let ours = Authority::new("Ours");
    let mut cases = versions(&ours).await;
    cases.extend(other_protocols(&ours).await);
    cases.extend(ends(&ours).await);
    cases
}

async fn versions(ours: &Authority) -> Vec<Case> {
    let mut cases = Vec::new();
    for (does, version) in [("TLS 1.3 alone", &TLS13), ("TLS 1.2 alone", &TLS12)] {
        cases.push(serving(does, with_version(ours, version), ours.roots()).await);
    }
    for (does, version) in [("TLS 1.1 alone", 2), ("TLS 1.0 alone", 1)] {
        cases.push(saying(does, &server_hello(version)).await.because("ServerDoesNotSupport"));
    }
    let refused = [0x15, 3, 3, 0, 2, 2, 70];
    cases.push(saying("refuses TLS 1.2 and 1.3 with an alert", &refused).await.because("Protocol"));
    let refused = [0x15, 3, 3, 0, 2, 2, 40];
    cases.push(saying("has no cipher in common", &refused).await.because("HandshakeFailure"));
    cases
}

fn with_version(ours: &Authority, version: &'static SupportedProtocolVersion) -> ServerConfig {
    let shown = ours.certify(&[NAME], |_| {});
    ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(shown.chain, shown.key)
        .unwrap()
}

/// The ServerHello of TLS 1.0 or 1.1 (RFC 4346, section 7.4.1.3), with
/// TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA.
fn server_hello(minor: u8) -> Vec<u8> {
    let hello = [&[3, minor][..], &[7; 32], &[0, 0xc0, 0x13, 0]].concat();
    let length = u8::try_from(hello.len()).unwrap();
    [&[0x16, 3, minor, 0, length + 4, 2, 0, 0, length][..], &hello].concat()
}

async fn other_protocols(ours: &Authority) -> Vec<Case> {
    let certified = || showing(ours.certify(&[NAME], |_| {}));
    let mut both = certified();
    both.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let mut only = certified();
    only.alpn_protocols = vec![b"h2".to_vec()];
    let in_http_2 = speaking("HTTP/2 alone", only, ours.roots(), |mut stream| async move {
        let _ = stream.write_all(HTTP_2).await;
        until_closed(&mut stream).await;
    });
    let encrypted = serving("TLS, where the URL says http", certified(), ours.roots()).await;
    vec![
        serving("HTTP/2 or HTTP/1.1, as the client likes (ALPN)", both, ours.roots()).await,
        in_http_2.await.because("invalid HTTP version"),
        saying("plain HTTP, where the URL says https", OK).await.because("corrupt message"),
        Case { url: encrypted.url.replace("https:", "http:"), ..encrypted },
    ]
}

async fn ends(ours: &Authority) -> Vec<Case> {
    let certified = || showing(ours.certify(&[NAME], |_| {}));
    let mut cases = vec![saying("closes in the handshake", b"").await.because("eof")];
    for (does, version) in [
        ("wants a client certificate (TLS 1.3)", &TLS13),
        ("wants a client certificate (TLS 1.2)", &TLS12),
    ] {
        cases.push(serving(does, with_client(ours, version), ours.roots()).await);
    }
    let no_goodbye = "closes without saying so in TLS, after the whole answer";
    let whole = answer("200 OK", "connection: close\r\n", "ok");
    cases.push(cut(no_goodbye, certified(), ours, whole).await);
    let no_length = "closes without saying so in TLS, after an answer without a length";
    let open = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nok".to_owned();
    cases.push(cut(no_length, certified(), ours, open).await);
    cases
}

fn with_client(ours: &Authority, version: &'static SupportedProtocolVersion) -> ServerConfig {
    let provider = Arc::new(ring::default_provider());
    let shown = ours.certify(&[NAME], |_| {});
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(ours.roots()), provider.clone());
    ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(shown.chain, shown.key)
        .unwrap()
}

/// A server that answers with these bytes, and then closes the connection below TLS.
async fn cut(does: &str, config: ServerConfig, ours: &Authority, answer: String) -> Case {
    let answer: Arc<str> = answer.into();
    speaking(does, config, ours.roots(), move |mut stream| {
        let answer = answer.clone();
        async move {
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.flush().await;
        }
    })
    .await
}
