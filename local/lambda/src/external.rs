//! Invocations can be carried out by something else, which serves Lambda's Invoke API as `cargo
//! lambda watch` does.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use http::{Method, Request, Response, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::sync::watch;

use crate::error::{ErrorBody, InvokeError, StartError};
use crate::stats::Stats;

#[derive(Debug)]
pub(crate) struct External {
    uri: Uri,
    client: Client<HttpConnector, Full<Bytes>>,
    stopped: watch::Sender<bool>,
    stats: Mutex<Stats>,
}

impl External {
    pub(crate) fn new(invoke_url: &str) -> Result<Self, StartError> {
        let uri = invoke_url
            .parse::<Uri>()
            .ok()
            .filter(|uri| uri.scheme_str() == Some("http") && uri.host().is_some());
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Ok(Self {
            uri: uri.ok_or_else(|| StartError::InvokeUrl(invoke_url.to_owned()))?,
            client: Client::builder(TokioExecutor::new()).build(connector),
            stopped: watch::Sender::new(false),
            stats: Mutex::default(),
        })
    }

    pub(crate) async fn invoke(
        &self,
        payload: Bytes,
        trace_id: &str,
    ) -> Result<Bytes, InvokeError> {
        let mut stopped = self.stopped.subscribe();
        let started = Instant::now();
        let result = tokio::select! {
            biased;
            _ = stopped.wait_for(|stopped| *stopped) => Err(InvokeError::Stopped),
            result = self.post(payload, trace_id) => result,
        };
        let mut stats = self.lock();
        stats.invocations += 1;
        stats.errors += u64::from(result.is_err());
        stats.bill(started.elapsed());
        result
    }

    pub(crate) fn stats(&self) -> Stats {
        self.lock().clone()
    }

    pub(crate) fn stop(&self) {
        self.stopped.send_replace(true);
    }

    async fn post(&self, payload: Bytes, trace_id: &str) -> Result<Bytes, InvokeError> {
        let mut request = Request::new(Full::new(payload));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        request
            .headers_mut()
            .insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
        // Only a function's name could have characters that a header can't, and then there is no
        // header.
        if let Ok(trace_id) = http::HeaderValue::try_from(trace_id) {
            request.headers_mut().insert("x-amzn-trace-id", trace_id);
        }
        let response =
            self.client.request(request).await.map_err(|error| InvokeError::InitFailed {
                error_type: "External.Unreachable".to_owned(),
                message: format!("{}: {}", self.uri, innermost(&error)),
            })?;
        let (head, body) = response.into_parts();
        let body = body
            .collect()
            .await
            .map_err(|error| InvokeError::Crashed { status: error.to_string() })?
            .to_bytes();
        read(&Response::from_parts(head, body))
    }

    fn lock(&self) -> MutexGuard<'_, Stats> {
        self.stats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads the answer to an invocation. If the function failed, AWS answers 200 with the header
/// `X-Amz-Function-Error`, but `cargo lambda watch` answers 500 without it.
fn read(response: &Response<Bytes>) -> Result<Bytes, InvokeError> {
    if response.status().is_success() && !response.headers().contains_key("x-amz-function-error") {
        return Ok(response.body().clone());
    }
    let error = ErrorBody::read(response.body());
    Err(InvokeError::FunctionError { error_type: error.error_type(), message: error.error_message })
}

fn innermost(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), innermost)
}
