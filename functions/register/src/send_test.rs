//! Sending a test event now, and answering what the endpoint said. A test has one attempt, which
//! is recorded when it is over: a call that dies before that leaves no trace.

use std::time::Duration;

use axum::{body::Bytes, extract::State, http::StatusCode, response::Response};
use posthaste_api::TestAnswer;
use posthaste_domain::{
    access::workspace::Workspace,
    delivery::{
        attempt::{Attempt, Failure},
        request::WebhookRequest,
    },
    event::{
        Event, catalogue,
        event_type::{EventPattern, EventType},
        own_type::OwnEventType,
        sample::{self, SendTest},
    },
    id::{Cause, CauseKind, DeliveryId, EventId},
    trace::SpanId,
    webhook::{Credentials, Webhook, key::WebhookKey},
};
use posthaste_runtime::{
    api::{ApiError, success},
    clock,
    keys::Keys,
    random,
};
use posthaste_sender::{Outcome, Request, Sender};
use posthaste_store::{Deliveries, NewAttempt, Registry, Subject};

use crate::path::NamedWebhook;

/// API Gateway waits 30 s for an answer, in which the attempt has to be recorded too.
const MAX_TIMEOUT: Duration = Duration::from_secs(20);

/// The things that a test takes besides the tables and the keys.
#[derive(Debug, Clone)]
pub(crate) struct Tester {
    pub(crate) sender: Sender,
    /// The time for which a record is kept.
    pub(crate) retention: Duration,
}

pub(crate) async fn send(
    named: NamedWebhook,
    State(registry): State<Registry>,
    State(deliveries): State<Deliveries>,
    State(Tester { sender, retention }): State<Tester>,
    State(keys): State<Keys>,
    body: Bytes,
) -> Result<Response, ApiError> {
    let asked = SendTest::parse(&body)?;
    let webhook = named.read(&registry).await?;
    let event = event(&registry, &webhook, asked).await?;
    let nonce = random::bytes()?;
    let delivery = DeliveryId::derive(event.id, webhook.key.id, Cause::Test(nonce));
    let attempt = attempt(&sender, &webhook, &keys.open(&webhook).await?, delivery, &event).await?;
    let subject = Subject {
        delivery,
        webhook: &webhook.key,
        event: &event,
        cause: CauseKind::Test,
        retention,
    };
    let id = delivery.to_string();
    let new = NewAttempt {
        attempt: &attempt,
        id: &id,
        known: 0,
        retry: None,
        shared: None,
        follows: None,
    };
    deliveries.records.record_attempt(subject, new, clock::now()).await?;
    tracing::info!(
        delivery.id = %delivery,
        http.status = attempt.http_status,
        error.code = attempt.error.as_ref().map(|error| error.code.as_str()),
        duration.ms = attempt.duration_ms,
        "sent a test"
    );
    Ok(success(StatusCode::OK, TestAnswer::of(delivery, &event, attempt)))
}

/// A fresh event of the type that is asked for, or of the first that the webhook subscribes to.
async fn event(registry: &Registry, webhook: &Webhook, asked: SendTest) -> Result<Event, ApiError> {
    let Webhook { key: WebhookKey { workspace, .. }, settings, .. } = webhook;
    let event_type = match asked.r#type {
        Some(asked) => asked,
        None => {
            let patterns = || settings.events.iter().cloned();
            let mut own = registry.types.matching(workspace, patterns()).await?;
            own.extend(registry.published.matching(workspace, patterns()).await?);
            let default = sample::default_type(settings.profile, &settings.events, &own);
            default.ok_or(ApiError::Internal)?
        }
    };
    let is_built_in = catalogue::find(event_type.as_str()).is_some();
    let own = if is_built_in { None } else { own(registry, workspace, &event_type).await? };
    let own = match own {
        None if !is_built_in && is_used(registry, webhook, &event_type).await? => {
            Some(OwnEventType::undescribed(event_type.clone()))
        }
        own => own,
    };
    let is_known = own.is_some() || is_built_in;
    let known = if is_known { Vec::new() } else { registry.types.some_names(workspace).await? };
    let now = clock::now();
    let id = EventId::new(now, &random::bytes()?);
    let sample = sample::event(&event_type, own.as_ref(), &known, id, workspace.clone(), now)?;
    Ok(Event { data: asked.data.unwrap_or(sample.data), ..sample })
}

/// Says whether a type that nobody has described is none the less one of the workspace's: the
/// webhook names it, or events of it were published.
async fn is_used(
    registry: &Registry,
    webhook: &Webhook,
    event_type: &EventType,
) -> Result<bool, ApiError> {
    let name = EventPattern::Exactly(event_type.clone());
    if webhook.settings.events.contains(&name) {
        return Ok(true);
    }
    let published = registry.published.matching(&webhook.key.workspace, [name]).await?;
    Ok(!published.is_empty())
}

async fn own(
    registry: &Registry,
    workspace: &Workspace,
    event_type: &EventType,
) -> Result<Option<OwnEventType>, ApiError> {
    let key = (workspace.clone(), event_type.clone());
    Ok(registry.types.by_name([key.clone()]).await.one(&key)?)
}

async fn attempt(
    sender: &Sender,
    webhook: &Webhook,
    credentials: &Credentials,
    delivery: DeliveryId,
    event: &Event,
) -> Result<Attempt, ApiError> {
    let began = clock::now();
    let span = SpanId::of_attempt(delivery, began);
    let request = WebhookRequest::new(
        webhook,
        &credentials.secrets,
        &[(delivery, event)],
        None,
        (began, span),
    )?;
    let own = credentials.own_headers();
    let headers = WebhookRequest::headers_with(request.headers, &own);
    let request = Request {
        url: &credentials.url,
        headers,
        body: request.body.into(),
        timeout: webhook.timeout().min(MAX_TIMEOUT),
    };
    let Outcome { duration, result } = sender.send(request).await;
    Ok(match result {
        Ok(response) => Attempt::answered(
            webhook,
            &credentials.url,
            began,
            duration,
            response.status,
            &response.body,
        ),
        Err(error) => {
            tracing::info!(error.code = error.code, error.detail = %error.detail, "no answer");
            let failure = Failure { code: error.code.to_owned(), message: error.message };
            Attempt::unanswered(webhook, began, duration, failure)
        }
    })
}
