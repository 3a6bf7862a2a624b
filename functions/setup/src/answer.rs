//! The answer to CloudFormation: a PUT to the URL that its request names.
//! <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-responses.html>

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use reqwest::Client;
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use serde::Serialize;

/// The answer that CloudFormation is told.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Answer<'a> {
    pub(crate) status: &'static str,
    pub(crate) reason: String,
    pub(crate) physical_resource_id: String,
    pub(crate) stack_id: &'a str,
    pub(crate) request_id: &'a str,
    pub(crate) logical_resource_id: &'a str,
}

/// An HTTP client for Amazon S3, where the URL leads.
pub(crate) fn client() -> anyhow::Result<Client> {
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let client = Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .timeout(Duration::from_secs(10))
        .build()?;
    Ok(client)
}

impl Answer<'_> {
    /// Sends it. S3 signed the URL for a request without a content type.
    pub(crate) async fn send(&self, http: &Client, url: &str) -> anyhow::Result<()> {
        let body = serde_json::to_vec(self)?;
        // The URL is signed, and whoever has it can answer.
        let answer = http.put(url).body(body).send().await.map_err(reqwest::Error::without_url);
        let answer = answer.context("CloudFormation's response URL did not answer")?;
        let accepted = answer.error_for_status().map_err(reqwest::Error::without_url);
        accepted.context("CloudFormation's response URL refused the answer")?;
        Ok(())
    }
}
