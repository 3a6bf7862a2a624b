//! The requests that endpoints get: one for each format, made by the code that makes requests.

use posthaste_domain::{
    delivery::{format::Format, request::WebhookRequest},
    id::{Cause, DeliveryId},
    trace::SpanId,
    webhook::rotation::Secrets,
};
use serde_json::{Value, json};
use utoipa::openapi::{
    ObjectBuilder, Ref, RefOr, Required, ResponseBuilder, Type,
    path::{Operation, Parameter, ParameterBuilder, ParameterIn},
    request_body::RequestBodyBuilder,
};

use super::{
    call::content,
    events,
    example::{self, NOW},
};

/// That of the examples.
const SPAN: SpanId = SpanId::new([0x9c, 0x1f, 0x3a, 0x50, 0x7d, 0x2b, 0x66, 0xe4]);

const TAG: &str = "Requests to webhooks";
/// The only header that not every request has.
const ENVIRONMENT: &str = "webhook-environment";

/// The headers, with what they say. Those of the body's type are OpenAPI's own business.
const HEADERS: [(&str, &str); 9] = [
    ("User-Agent", "`Posthaste/` and a version."),
    ("X-Webhook-Event", "The type of the events in the body; `batch` if they have several."),
    (
        "X-Webhook-Signature",
        "`sha256=` and the hex HMAC-SHA256 of the body, keyed with a secret's text as it was shown: \
         the newest secret, or the one before it, as the webhook's `rotationSignature` says.",
    ),
    (
        "traceparent",
        "The trace that the event belongs to (W3C Trace Context): that of its publishing call, or \
         one of its own. Each attempt is another span of it. Of several events it is the \
         first one's.",
    ),
    (ENVIRONMENT, "`test`, in test mode alone: live requests are without it."),
    (
        "webhook-hops",
        "The number of events that led to this one, one because of the other. A service that \
         publishes because of a request hands the number on with its call.",
    ),
    (
        "webhook-id",
        "The event's id, or the id of several that share the request. It is the same on every \
         retry.",
    ),
    ("webhook-timestamp", "The time of this attempt, in Unix seconds."),
    (
        "webhook-signature",
        "`v1,` and the base64 HMAC-SHA256 of `<webhook-id>.<webhook-timestamp>.<body>`, keyed with \
         the bytes that the secret is the base64 of (Standard Webhooks). There is one for each \
         valid secret, the newest first, separated by spaces, and one of them has to match.",
    ),
];

/// One for each format, by its name.
pub(super) fn all() -> Vec<(&'static str, Operation)> {
    Format::NAMES.into_iter().map(|(name, format)| (name, operation(name, format))).collect()
}

/// The headers of each, by their names.
pub(super) fn headers() -> impl Iterator<Item = (String, RefOr<Parameter>)> {
    HEADERS.iter().map(|(name, says)| ((*name).to_owned(), RefOr::T(header(name, says))))
}

fn operation(name: &str, format: Format) -> Operation {
    let sent = sent(name, format);
    let content_type = sent.as_ref().map_or(super::JSON, |(content_type, _)| content_type.as_str());
    let example = sent.as_ref().map(|(_, body)| body.clone());
    let body = RequestBodyBuilder::new()
        .content(content_type, content(format.schema_of_bodies(), [("sent", example)]))
        .required(Some(Required::True));
    let mut operation = Operation::new();
    operation.tags = Some(vec![TAG.to_owned()]);
    operation.operation_id = Some(format!("{name}Request"));
    // No API key: signatures say who sends it.
    operation.security = Some(Vec::new());
    operation.summary = Some(format!("The format {name}"));
    let headers =
        HEADERS.iter().map(|(name, _)| Ref::new(format!("#/components/parameters/{name}")));
    operation.parameters = Some(headers.map(RefOr::Ref).collect());
    operation.request_body = Some(RefOr::T(body.build()));
    let taken = "A status of the webhook's `successStatuses`, within its `timeoutSeconds`: the \
        endpoint has the events.";
    let refused = "Any other answer, or none: the delivery is tried again after the next wait of \
        the webhook's `retrySchedule`, if one is left. A 410 disables the webhook instead, unless \
        its `disableOn410` is false.";
    for (status, says) in [("2XX", taken), ("default", refused)] {
        let response = ResponseBuilder::new().description(says).build();
        operation.responses.responses.insert(status.to_owned(), RefOr::T(response));
    }
    operation
}

fn header(name: &str, says: &str) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(if name == ENVIRONMENT { Required::False } else { Required::True })
        .description(Some(says))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
        .build()
}

/// The request that carries these published events to a webhook with the profile of this name.
pub(super) fn request(profile: &str, published: &Value) -> Option<WebhookRequest> {
    let registration =
        json!({ "url": "https://example.com/webhooks", "events": ["*"], "profile": profile });
    let webhook = example::webhook(42, &registration)?;
    let events = example::events(published);
    let ids =
        events.iter().map(|event| DeliveryId::derive(event.id, webhook.key.id, Cause::Published));
    let due: Vec<_> = ids.zip(&events).collect();
    WebhookRequest::new(&webhook, &Secrets::new(example::secret()), &due, None, (NOW, SPAN)).ok()
}

/// The type and the body of a request in this format.
fn sent(name: &str, format: Format) -> Option<(String, Value)> {
    let event_type = match format {
        Format::Spektr | Format::SpektrV1 => "process_run_start",
        Format::Dataspike => "AML_SCREENING",
        Format::Slack => "alert_created",
        Format::Standard | Format::Spectra | Format::CloudEvents => "order.created",
    };
    let request = request(name, &events::sample(event_type)?)?;
    let (_, content_type) = request.headers.iter().find(|(name, _)| *name == "content-type")?;
    Some((content_type.clone(), serde_json::from_slice(&request.body).ok()?))
}
