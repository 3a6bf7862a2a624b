//! AWS clients: one HTTP client with one TLS stack for all of them.
//!
//! TLS is rustls with ring, and the trusted roots are the five that AWS's endpoints chain to,
//! embedded: reading the system's certificate files would be most of a cold start. `AWS_CA_BUNDLE`
//! names a file of others, for a network that intercepts TLS.

mod http;

use std::{sync::Arc, time::Duration};

use anyhow::Context;
pub use aws_config::SdkConfig;
use aws_config::{
    BehaviorVersion, Region, environment::EnvironmentVariableCredentialsProvider,
    retry::RetryConfig, stalled_stream_protection::StalledStreamProtectionConfig,
    timeout::TimeoutConfig,
};
use aws_credential_types::provider::SharedCredentialsProvider;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};

use self::http::Http;

use crate::read_units::CountReadUnits;

/// Amazon Root CA 1 to 4 and Starfield Services Root CA - G2,
/// <https://www.amazontrust.com/repository/>.
const AMAZON_ROOTS: &[u8] = include_bytes!("aws/amazon-roots.pem");

/// Returns the configuration that every client shares. To be called once, at the start.
///
/// Lambda gives a function its region and its credentials in the environment, and they are read
/// from nowhere else: the SDK's own search through profiles, containers and instance metadata would
/// be a tenth of a function's code. `AWS_ENDPOINT_URL` leads the calls to a stand-in for AWS.
pub fn load() -> anyhow::Result<SdkConfig> {
    let roots = match std::env::var_os("AWS_CA_BUNDLE") {
        Some(path) => std::fs::read(&path)
            .with_context(|| format!("AWS_CA_BUNDLE names {}", path.display()))?,
        None => AMAZON_ROOTS.to_vec(),
    };
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(trusted(&roots).context("the trusted roots can't be read")?)
        .with_no_client_auth();
    // A call that has not answered after three seconds is given up and repeated: DynamoDB and SQS
    // answer in milliseconds.
    let timeouts = TimeoutConfig::builder()
        .operation_attempt_timeout(Duration::from_secs(3))
        .operation_timeout(Duration::from_secs(7))
        .build();
    let retries = RetryConfig::standard()
        .with_max_attempts(5)
        .with_initial_backoff(Duration::from_millis(50));
    let mut sdk = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(std::env::var("AWS_REGION").context("AWS_REGION")?))
        .credentials_provider(SharedCredentialsProvider::new(
            EnvironmentVariableCredentialsProvider::new(),
        ))
        .http_client(Http::new(tls)?)
        .timeout_config(timeouts)
        // The timeouts bound every call, so nobody has to watch how fast its bytes come.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .retry_config(retries);
    sdk.set_endpoint_url(std::env::var("AWS_ENDPOINT_URL").ok());
    Ok(sdk.build())
}

fn trusted(pem: &[u8]) -> anyhow::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        roots.add(certificate?)?;
    }
    anyhow::ensure!(!roots.is_empty(), "there is no certificate");
    Ok(roots)
}

/// A client for DynamoDB.
pub fn dynamodb(sdk: &SdkConfig) -> aws_sdk_dynamodb::Client {
    let config = aws_sdk_dynamodb::config::Builder::from(sdk).interceptor(CountReadUnits).build();
    aws_sdk_dynamodb::Client::from_conf(config)
}

/// A client for SQS.
pub fn sqs(sdk: &SdkConfig) -> aws_sdk_sqs::Client {
    aws_sdk_sqs::Client::new(sdk)
}

/// A client for Secrets Manager.
pub fn secrets_manager(sdk: &SdkConfig) -> aws_sdk_secretsmanager::Client {
    aws_sdk_secretsmanager::Client::new(sdk)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_five_roots_of_amazon_are_trusted() {
        assert_eq!(trusted(AMAZON_ROOTS).unwrap().len(), 5);
    }

    #[test]
    fn a_file_without_certificates_is_no_set_of_roots() {
        assert!(trusted(b"").is_err());
        assert!(
            trusted(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").is_err()
        );
    }
}
