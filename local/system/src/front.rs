//! The front is where all AWS calls arrive. It knows the caller by its credentials, checks its
//! role, counts the call and injects faults.
//!
//! A function's process signs with the access key id `<function>.<instance>`. Any other caller is a
//! developer's tool: it is called `external`, may do everything and meets no fault.

mod call;
mod entries;
mod metered;
mod trace;

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use posthaste_local_lambda::Function;
use posthaste_local_sqs::{ErrorKind, Sqs, SqsError};
use posthaste_local_template as template;
use serde_json::json;

use crate::{
    bill::Meter,
    faults::{Action, Aimed, Faults},
    metrics::Counters,
    secrets::Secrets,
    serve,
};
use call::{Call, Service};

/// The services that the front passes calls on to, and those that it tells of them.
pub(crate) struct Parts {
    pub(crate) sqs: Sqs,
    pub(crate) dynamodb_url: String,
    pub(crate) secrets: Secrets,
    pub(crate) faults: Faults,
    pub(crate) meter: Arc<Meter>,
    /// The name of the table whose new items are events.
    pub(crate) events_table: Option<String>,
}

/// The front answers to the one address that everybody has for AWS.
pub(crate) struct Front {
    parts: Parts,
    pub(crate) counters: Counters,
    /// The functions of the template by name, with their roles.
    pub(crate) declared: BTreeMap<String, template::Function>,
    /// The functions by name. It is set once they run, which needs the front's address.
    pub(crate) running: OnceLock<BTreeMap<String, Function>>,
    pub(crate) names: call::Names,
    http: Client<HttpConnector, Full<Bytes>>,
}

/// The process of a function that makes a call.
struct Caller {
    function: String,
    instance: u64,
}

impl Front {
    pub(crate) fn new(parts: Parts, functions: &[template::Function], names: call::Names) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self {
            parts,
            counters: Counters::default(),
            declared: functions
                .iter()
                .map(|function| (function.name.clone(), function.clone()))
                .collect(),
            running: OnceLock::new(),
            names,
            http: Client::builder(TokioExecutor::new()).build(connector),
        }
    }

    /// Answers a call. It returns nothing when the answer is to be lost.
    pub(crate) async fn answer(
        self: Arc<Self>,
        request: Request<Bytes>,
    ) -> Option<Response<Bytes>> {
        let Some(mut call) = Call::of(request.headers(), request.body()) else {
            return Some(serve::text(
                StatusCode::BAD_REQUEST,
                "an AWS call needs an X-Amz-Target of DynamoDB, SQS or Secrets Manager",
            ));
        };
        let caller = self.caller(request.headers());
        let name = caller.as_ref().map_or("external", |caller| caller.function.as_str());
        let bytes_in = request.body().len();
        let request = trace::keep(&mut call, request);
        let answer = match self.refusal(caller.as_ref(), &call) {
            Some(refusal) => Some(refusal),
            None => self.with_faults(caller.as_ref(), &call, request).await,
        };
        let told =
            answer.as_ref().map(|answer| (answer.status().is_success(), answer.body().len()));
        self.counters.add(name, &call.operation(), bytes_in, told);
        answer
    }

    fn caller(&self, headers: &HeaderMap) -> Option<Caller> {
        let authorization = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        let (_, credential) = authorization.split_once("Credential=")?;
        let (function, instance) = credential.split('/').next()?.split_once('.')?;
        let function = self.declared.get(function)?.name.clone();
        Some(Caller { function, instance: instance.parse().ok()? })
    }

    /// Refuses a call that the caller's role does not permit.
    fn refusal(&self, caller: Option<&Caller>, call: &Call) -> Option<Response<Bytes>> {
        let function = self.declared.get(&caller?.function)?;
        let keys = call.leading_keys();
        let mut needed = call.permissions(&self.names).into_iter();
        let (action, resource) =
            needed.find(|(action, arn)| !function.allows(action, arn, &keys))?;
        let message = format!(
            "User: {} is not authorized to perform: {action} on resource: {resource}",
            function.name
        );
        tracing::error!("{message}");
        Some(forbidden(&message))
    }

    async fn with_faults(
        &self,
        caller: Option<&Caller>,
        call: &Call,
        request: Request<Bytes>,
    ) -> Option<Response<Bytes>> {
        let fault = caller.and_then(|caller| {
            self.parts.faults.for_call(&caller.function, &call.operation(), &call.body)
        });
        let Some((action, aimed)) = fault else {
            return Some(self.carry_out(caller, call, request).await);
        };
        match action {
            Action::KillBefore => {
                self.kill(caller).await;
                None
            }
            Action::KillAfter => {
                self.carry_out(caller, call, request).await;
                self.kill(caller).await;
                None
            }
            Action::Fail => Some(throttled(call)),
            Action::Forbid => Some(forbidden("an injected fault")),
            Action::Lose => {
                self.carry_out(caller, call, request).await;
                None
            }
            Action::Delay(time) => {
                tokio::time::sleep(time).await;
                Some(self.carry_out(caller, call, request).await)
            }
            Action::Pause => {
                wait_for(aimed).await;
                Some(self.carry_out(caller, call, request).await)
            }
            Action::FailEntries(indices) => {
                Some(self.without_entries(caller, call, request, &indices).await)
            }
        }
    }

    async fn kill(&self, caller: Option<&Caller>) {
        let (Some(caller), Some(running)) = (caller, self.running.get()) else { return };
        if let Some(function) = running.get(&caller.function) {
            function.kill_instance(caller.instance).await;
        }
    }

    async fn carry_out(
        &self,
        caller: Option<&Caller>,
        call: &Call,
        request: Request<Bytes>,
    ) -> Response<Bytes> {
        let answer = match call.service {
            Service::Sqs => self.parts.sqs.respond(&call.action, request.into_body()).await,
            Service::SecretsManager => self.parts.secrets.respond(&call.action, &call.body),
            Service::DynamoDb => self
                .dynamodb(metered::asking_for_units(call, request))
                .await
                .unwrap_or_else(|problem| {
                    tracing::error!("DynamoDB did not answer: {problem:#}");
                    error(
                        StatusCode::INTERNAL_SERVER_ERROR,
                        "InternalServerError",
                        "the embedded DynamoDB did not answer",
                    )
                }),
        };
        let who = caller.map_or("external", |caller| caller.function.as_str());
        metered::count(&self.parts, who, call, &answer);
        answer
    }

    async fn without_entries(
        &self,
        caller: Option<&Caller>,
        call: &Call,
        request: Request<Bytes>,
        indices: &[usize],
    ) -> Response<Bytes> {
        let (kept, left_out) = entries::part(call, indices);
        let (mut head, _) = request.into_parts();
        head.headers.remove(header::CONTENT_LENGTH);
        let mut answer = match kept {
            Some(kept) => {
                self.carry_out(caller, call, Request::from_parts(head, kept.to_string().into()))
                    .await
            }
            None => serve::json(StatusCode::OK, &json!({})),
        };
        if answer.status().is_success() {
            let body = entries::report(call, answer.body(), left_out);
            answer.headers_mut().remove(header::CONTENT_LENGTH);
            answer.headers_mut().remove("x-amz-crc32");
            *answer.body_mut() = body.into();
        }
        answer
    }

    async fn dynamodb(&self, request: Request<Bytes>) -> anyhow::Result<Response<Bytes>> {
        let (head, body) = request.into_parts();
        let mut forwarded = Request::post(&self.parts.dynamodb_url).body(Full::new(body))?;
        *forwarded.headers_mut() = head.headers;
        forwarded.headers_mut().remove(header::HOST);
        forwarded.headers_mut().remove(header::CONTENT_LENGTH);
        let (head, body) = self.http.request(forwarded).await?.into_parts();
        Ok(Response::from_parts(head, body.collect().await?.to_bytes()))
    }
}

async fn wait_for(aimed: Option<Aimed>) {
    if let Some(aimed) = aimed {
        aimed.released().await;
    }
}

fn forbidden(message: &str) -> Response<Bytes> {
    error(StatusCode::BAD_REQUEST, "AccessDeniedException", message)
}

fn throttled(call: &Call) -> Response<Bytes> {
    match call.service {
        Service::DynamoDb => error(
            StatusCode::BAD_REQUEST,
            "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException",
            "an injected fault",
        ),
        Service::Sqs => SqsError::new(ErrorKind::RequestThrottled, "an injected fault").response(),
        Service::SecretsManager => {
            error(StatusCode::INTERNAL_SERVER_ERROR, "InternalServiceError", "an injected fault")
        }
    }
}

fn error(status: StatusCode, kind: &str, message: &str) -> Response<Bytes> {
    let mut response = serve::json(status, &json!({ "__type": kind, "message": message }));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.0"));
    response
}

pub(crate) use call::Names;
