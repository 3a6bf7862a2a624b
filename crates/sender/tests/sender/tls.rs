//! Tests whom the client believes to be the endpoint.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use posthaste_sender::{Lookup, Sender, code};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::{RootCertStore, ServerConfig, crypto::ring, pki_types::PrivateKeyDer};
use tokio::{io::AsyncWriteExt, net::TcpStream, sync::mpsc::unbounded_channel};
use tokio_rustls::TlsAcceptor;

use crate::server::{LAST_OK, OK, accepting, code_of, local, post, read_request, until_closed};

const NAME: &str = "hook.example.com";

/// A certificate of its own making for [`NAME`], with its key, and the roots that trust it.
fn certificate(change: impl FnOnce(&mut CertificateParams)) -> (TlsAcceptor, RootCertStore) {
    let mut params = CertificateParams::new([NAME.to_owned()]).unwrap();
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let mut roots = RootCertStore::empty();
    roots.add(certificate.der().clone()).unwrap();
    (TlsAcceptor::from(Arc::new(config)), roots)
}

/// A server that shows this certificate and answers one request a connection.
async fn tls_server(acceptor: TlsAcceptor) -> SocketAddr {
    accepting("127.0.0.1:0", move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            assert_eq!(stream.get_ref().1.alpn_protocol(), None, "nothing but HTTP/1.1 is offered");
            if read_request(&mut stream).await.is_some() {
                stream.write_all(LAST_OK).await.unwrap();
                stream.shutdown().await.unwrap();
            }
        }
    })
    .await
}

fn trusting(roots: RootCertStore) -> Sender {
    let lookup: Lookup = Arc::new(|_| Box::pin(async { Ok(vec![[127, 0, 0, 1].into()]) }));
    Sender::with(local(), "Posthaste/test", roots, lookup).unwrap()
}

fn url(name: &str, address: SocketAddr) -> String {
    format!("https://{name}:{}/", address.port())
}

#[tokio::test]
async fn a_certificate_has_to_be_trusted_and_for_the_name() {
    let (acceptor, roots) = certificate(|_| {});
    let address = tls_server(acceptor).await;
    let sender = trusting(roots);
    assert_eq!(post(&sender, &url(NAME, address)).await.result.unwrap().status, 200);
    for other in ["other.example.com", "example.com", "a.hook.example.com", "127.0.0.1"] {
        assert_eq!(code_of(post(&sender, &url(other, address)).await), code::TLS_FAILED, "{other}");
    }
    let public_roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    assert_eq!(
        code_of(post(&trusting(public_roots), &url(NAME, address)).await),
        code::TLS_FAILED,
        "self-signed"
    );
}

#[tokio::test]
async fn a_certificate_counts_in_its_time() {
    for (from, to) in [(2001, 2002), (4001, 4002)] {
        let (acceptor, roots) = certificate(|params| {
            params.not_before = date_time_ymd(from, 1, 1);
            params.not_after = date_time_ymd(to, 1, 1);
        });
        let error = post(&trusting(roots), &url(NAME, tls_server(acceptor).await))
            .await
            .result
            .unwrap_err();
        assert_eq!((error.code, error.ours), (code::TLS_FAILED, false), "{from}: {error}");
    }
}

#[tokio::test]
async fn the_names_of_a_certificate_fill_no_log() {
    let (acceptor, roots) = certificate(|params| {
        let names = (0..500).map(|n| format!("a-long-name-that-nobody-asked-for-{n}.example.com"));
        *params = CertificateParams::new(names.collect::<Vec<_>>()).unwrap();
    });
    let error =
        post(&trusting(roots), &url(NAME, tls_server(acceptor).await)).await.result.unwrap_err();
    assert_eq!(error.code, code::TLS_FAILED);
    assert!(error.detail.len() <= 500, "{}", error.detail.len());
}

#[tokio::test]
async fn what_is_no_tls_is_said() {
    for said in [
        OK,
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x15\x03\x03\x00\x02\x02\x28",
        b"SSH-2.0-OpenSSH_9.2\r\n",
    ] {
        let address = accepting("127.0.0.1:0", move |mut stream| async move {
            let _ = stream.write_all(said).await;
            until_closed(&mut stream).await;
        })
        .await;
        let error =
            post(&trusting(RootCertStore::empty()), &url(NAME, address)).await.result.unwrap_err();
        assert_eq!((error.code, error.ours), (code::TLS_FAILED, false), "{error}");
    }
    let silent = accepting("127.0.0.1:0", |_| async {}).await;
    let error =
        post(&trusting(RootCertStore::empty()), &url(NAME, silent)).await.result.unwrap_err();
    assert_eq!((error.code, error.ours), (code::CONNECT_FAILED, false), "{error}");
}

/// The second of two requests at once takes the first one's connection when that is free first, and
/// hyper goes on making the other connection by itself.
#[tokio::test]
async fn a_handshake_that_nobody_waits_for_any_more_ends() {
    let (acceptor, roots) = certificate(|_| {});
    let (arrived, mut arrivals) = unbounded_channel::<TcpStream>();
    let address = accepting("127.0.0.1:0", move |stream| {
        arrived.send(stream).unwrap();
        async {}
    })
    .await;
    let (sender, url) = (trusting(roots), url(NAME, address));
    let requests = async { tokio::join!(post(&sender, &url), post(&sender, &url)) };
    let server = async {
        let mut first = acceptor.accept(arrivals.recv().await.unwrap()).await.unwrap();
        read_request(&mut first).await.unwrap();
        let stalled = arrivals.recv().await.unwrap();
        first.write_all(OK).await.unwrap();
        read_request(&mut first).await.unwrap();
        first.write_all(OK).await.unwrap();
        stalled
    };
    let both = async { tokio::join!(requests, server) };
    let (answers, mut stalled) =
        tokio::time::timeout(Duration::from_secs(30), both).await.expect("both are answered");
    assert_eq!((answers.0.result.unwrap().status, answers.1.result.unwrap().status), (200, 200));
    tokio::time::pause();
    tokio::time::timeout(Duration::from_secs(60), until_closed(&mut stalled))
        .await
        .expect("it is closed");
}
