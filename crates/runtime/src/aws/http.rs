//! The HTTP client that the SDK sends with: the one that sends webhooks, too. The SDK's own brings
//! HTTP/2, which neither DynamoDB, SQS nor Secrets Manager needs, and which would be a twelfth of a
//! function's code.

use std::time::Duration;

use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        http::{
            HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings,
            SharedHttpConnector,
        },
        orchestrator::{HttpRequest, HttpResponse},
        result::ConnectorError,
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::body::SdkBody;
use reqwest::{Body, Client, redirect};
use rustls::ClientConfig;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Clones share its connections.
#[derive(Debug, Clone)]
pub(super) struct Http {
    client: Client,
}

impl Http {
    pub(super) fn new(tls: ClientConfig) -> reqwest::Result<Self> {
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .http1_only()
            .redirect(redirect::Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .build()?;
        Ok(Self { client })
    }
}

/// The settings are timeouts, and all clients have the same: [`CONNECT_TIMEOUT`], and those that
/// the SDK keeps itself.
impl HttpClient for Http {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Http {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let client = self.client.clone();
        HttpConnectorFuture::new(async move {
            let request = request.try_into_http1x().map_err(unsendable)?.map(Body::wrap);
            let request = request.try_into().map_err(|error: reqwest::Error| unsendable(error))?;
            let answer = client.execute(request).await.map_err(failed)?;
            let answer = http::Response::<Body>::from(answer).map(SdkBody::from_body_1_x);
            HttpResponse::try_from(answer)
                .map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

fn unsendable(error: impl Into<BoxError>) -> ConnectorError {
    ConnectorError::user(error.into())
}

/// The SDK repeats a call after both kinds.
fn failed(error: reqwest::Error) -> ConnectorError {
    match error.is_timeout() {
        true => ConnectorError::timeout(error.into()),
        false => ConnectorError::io(error.into()),
    }
}
