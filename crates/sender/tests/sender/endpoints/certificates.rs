//! Certificates that are as they should be, and others. The test trusts an authority of its own.
//!
//! The certificates in `weak/` were made with OpenSSL, because nothing that Rust offers makes such
//! ones any more: `sha-1.der` is signed with SHA-1, and `rsa-1024.der` by a key of 1,024 bits. Both
//! are for `leaf.key.der`, and each is signed by its root. `openssl verify -auth_level 0` finds
//! nothing wrong with them.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CrlDistributionPoint,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, SerialNumber, date_time_ymd,
};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer},
};

use crate::{
    endpoints::{
        case::Case,
        protocols::{Shown, serving},
    },
    server::accepting,
};

/// The name in the URL of each case.
pub(crate) const NAME: &str = "hook.example.com";

/// An authority that the sender trusts, if it is told to.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(authority(name), key).unwrap())
    }

    /// An authority whose own certificate is signed by this one.
    fn intermediate(&self) -> Self {
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::signed_by(authority("Intermediate"), key, &self.0).unwrap())
    }

    /// A certificate for these names with its key.
    pub(crate) fn certify(
        &self,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> Shown {
        let key = KeyPair::generate().unwrap();
        let params = certificate(names, change);
        Shown {
            chain: vec![params.signed_by(&key, &self.0).unwrap().der().clone()],
            key: der(&key),
        }
    }

    pub(crate) fn certificate(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    /// The roots that have this authority alone.
    pub(crate) fn roots(&self) -> RootCertStore {
        trusting(self.certificate())
    }
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

fn certificate(names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    change(&mut params);
    params
}

fn der(key: &KeyPair) -> PrivateKeyDer<'static> {
    PrivateKeyDer::try_from(key.serialize_der()).unwrap()
}

fn trusting(root: CertificateDer<'static>) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add(root).unwrap();
    roots
}

/// The settings of a server that shows this certificate.
pub(crate) fn showing(shown: Shown) -> ServerConfig {
    ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(shown.chain, shown.key)
        .unwrap()
}

pub(crate) async fn cases() -> Vec<Case> {
    let ours = Authority::new("Ours");
    let mut cases = names(&ours).await;
    cases.extend(times_and_purposes(&ours).await);
    cases.extend(chains(&ours).await);
    cases.extend(weak().await);
    cases.push(revoked(&ours).await.0);
    cases
}

/// The case of a server that shows this certificate to a sender that trusts our authority.
async fn shows(does: &str, ours: &Authority, shown: Shown) -> Case {
    serving(does, showing(shown), ours.roots()).await
}

async fn names(ours: &Authority) -> Vec<Case> {
    let mut cases = Vec::new();
    for (does, names) in [
        ("for the name, by an authority that is trusted", [NAME]),
        ("for `*.example.com`", ["*.example.com"]),
    ] {
        cases.push(shows(does, ours, ours.certify(&names, |_| {})).await);
    }
    for (does, names) in [
        ("for another name", ["other.example.com"]),
        ("for `*.com`", ["*.com"]),
        ("for the address instead of the name", ["127.0.0.1"]),
    ] {
        let case = shows(does, ours, ours.certify(&names, |_| {})).await;
        cases.push(case.because("certificate not valid for name"));
    }
    let only_common = ours.certify(&[], |params| {
        params.distinguished_name.push(rcgen::DnType::CommonName, NAME);
    });
    cases.push(shows("with the name as its common name alone", ours, only_common).await);
    cases
}

async fn times_and_purposes(ours: &Authority) -> Vec<Case> {
    let expired = ours.certify(&[NAME], |params| {
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
    });
    let early = ours.certify(&[NAME], |params| {
        params.not_before = date_time_ymd(4001, 1, 1);
        params.not_after = date_time_ymd(4002, 1, 1);
    });
    let for_clients = ours.certify(&[NAME], |params| {
        params.insert_extended_key_usage(ExtendedKeyUsagePurpose::ClientAuth);
    });
    vec![
        shows("that has expired", ours, expired).await.because("certificate expired"),
        shows("that is not valid yet", ours, early).await.because("not valid yet"),
        shows("that is for clients and not for servers", ours, for_clients).await,
    ]
}

async fn chains(ours: &Authority) -> Vec<Case> {
    let key = KeyPair::generate().unwrap();
    let itself = certificate(&[NAME], |_| {}).self_signed(&key).unwrap();
    let itself = Shown { chain: vec![itself.der().clone()], key: der(&key) };
    let other = Authority::new("Another").certify(&[NAME], |_| {});
    let intermediate = ours.intermediate();
    let alone = intermediate.certify(&[NAME], |_| {});
    let mut whole = intermediate.certify(&[NAME], |_| {});
    whole.chain.push(intermediate.certificate());
    vec![
        shows("that is signed by itself", ours, itself).await,
        shows("by an authority that is not trusted", ours, other).await.because("UnknownIssuer"),
        shows("by an intermediate authority, which it comes with", ours, whole).await,
        shows("by an intermediate authority, which is missing", ours, alone)
            .await
            .because("UnknownIssuer"),
    ]
}

async fn weak() -> Vec<Case> {
    let mut cases = Vec::new();
    for (does, because, certificate, root) in [
        (
            "that is signed with SHA-1",
            "UnsupportedSignatureAlgorithm",
            &include_bytes!("weak/sha-1.der")[..],
            &include_bytes!("weak/sha-1.root.der")[..],
        ),
        (
            "that is signed with an RSA key of 1,024 bits",
            "BadSignature",
            include_bytes!("weak/rsa-1024.der"),
            include_bytes!("weak/rsa-1024.root.der"),
        ),
    ] {
        let key = PrivateKeyDer::try_from(&include_bytes!("weak/leaf.key.der")[..]).unwrap();
        let shown = Shown { chain: vec![CertificateDer::from(certificate)], key };
        let case = serving(does, showing(shown), trusting(CertificateDer::from(root))).await;
        cases.push(case.because(because));
    }
    cases
}

/// The case of a certificate that names a list of revoked ones, and the calls of that list.
async fn revoked(ours: &Authority) -> (Case, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    let list = accepting("127.0.0.1:0", move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        async {}
    })
    .await;
    let shown = ours.certify(&[NAME], |params| {
        params.serial_number = Some(SerialNumber::from(7));
        let uris = vec![format!("http://{list}/revoked.crl")];
        params.crl_distribution_points = vec![CrlDistributionPoint { uris }];
    });
    (shows("that was revoked: nobody asks", ours, shown).await, asked)
}

#[tokio::test]
async fn nobody_asks_whether_a_certificate_was_revoked() {
    let (case, asked) = revoked(&Authority::new("Ours")).await;
    assert_eq!(case.send().await.result.unwrap().status, 200);
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}
