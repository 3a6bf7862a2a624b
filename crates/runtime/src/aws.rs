//! AWS clients: one HTTP client with one TLS stack for all of them.
//!
//! TLS is rustls with ring, and the trusted roots are the five that AWS's endpoints chain to, embedded: reading the system's
//! certificate files would be most of a cold start. `AWS_CA_BUNDLE` names a file of others, for a network that intercepts TLS.

use std::time::Duration;

use anyhow::Context;
pub use aws_config::SdkConfig;
use aws_config::{BehaviorVersion, retry::RetryConfig, timeout::TimeoutConfig};
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode},
};

use crate::read_units::CountReadUnits;

/// Amazon Root CA 1 to 4 and Starfield Services Root CA - G2, <https://www.amazontrust.com/repository/>.
const AMAZON_ROOTS: &[u8] = include_bytes!("aws/amazon-roots.pem");

/// Loads the SDK's configuration. To be called once, at the start.
pub async fn load() -> anyhow::Result<SdkConfig> {
    let roots = match std::env::var_os("AWS_CA_BUNDLE") {
        Some(path) => std::fs::read(&path).with_context(|| format!("AWS_CA_BUNDLE names {}", path.display()))?,
        None => AMAZON_ROOTS.to_vec(),
    };
    let trust = TrustStore::empty().with_pem_certificate(roots);
    let http = Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .tls_context(TlsContext::builder().with_trust_store(trust).build().context("the trusted roots can't be read")?)
        .build_https();
    // A call that has not answered after three seconds is given up and repeated: DynamoDB and SQS answer in milliseconds.
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(1))
        .operation_attempt_timeout(Duration::from_secs(3))
        .operation_timeout(Duration::from_secs(7))
        .build();
    let retries = RetryConfig::standard().with_max_attempts(5).with_initial_backoff(Duration::from_millis(50));
    Ok(aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        .timeout_config(timeouts)
        .retry_config(retries)
        .load()
        .await)
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
