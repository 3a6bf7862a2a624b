//! The request that an attempt sends: its body, headers and signatures.

use std::fmt;

use jiff::Timestamp;

use crate::{
    delivery::signature,
    event::{
        Event,
        loops::{HOPS_HEADER, SIGNATURE_HEADERS},
    },
    id::{BatchId, DeliveryId},
    trace::{self, SpanId, TraceParent},
    webhook::{
        Webhook, headers::MASK, policy::RotationSignature, rotation::Secrets, secret::Secret,
    },
};

/// A request to an endpoint, which is sent by POST. Debug shows no header value and no body.
pub struct WebhookRequest {
    /// Posthaste's own headers, with names in lower case. [`WebhookRequest::headers_with`] adds the
    /// owner's.
    pub headers: Vec<(&'static str, String)>,
    /// The exact bytes that were signed.
    pub body: Vec<u8>,
    /// The id that several deliveries share; none for a single delivery that never shared a
    /// request.
    pub batch: Option<BatchId>,
    /// The number of deliveries in the request. They are the first ones of those given.
    pub delivery_count: usize,
    /// The trace of the first event, and the span that this request is in it; none for a request
    /// that is only shown.
    pub traceparent: Option<TraceParent>,
}

/// The value of `User-Agent`.
pub const USER_AGENT: &str = concat!("Posthaste/", env!("CARGO_PKG_VERSION"));
/// The header of requests in test mode. Live requests are without it.
const ENVIRONMENT_HEADER: &str = "webhook-environment";
/// The value of `X-Webhook-Event` for events of several types.
const SEVERAL_TYPES: &str = "batch";

impl WebhookRequest {
    /// Writes and signs the request for one attempt, made `now`, for as many of the first
    /// deliveries as the webhook's format puts into one request. `webhook-id` is the same on every
    /// retry: the event's id, or that of the `batch`, which a retry names. If the deliveries do not
    /// all fit into the request, it gets an id of its own. Every secret that is valid `now` signs.
    /// `x-webhook-signature` takes one signature only: that of the newest secret, or of the one
    /// before it if the webhook says so. The request becomes the `span` in the trace of its first
    /// event.
    pub fn new(
        webhook: &Webhook,
        secrets: &Secrets<Secret>,
        deliveries: &[(DeliveryId, &Event)],
        batch: Option<BatchId>,
        (now, span): (Timestamp, SpanId),
    ) -> serde_json::Result<Self> {
        let (mut request, id) = Self::write(webhook, deliveries, batch, now)?;
        request.join_trace(deliveries, span);
        let signature =
            signature::standard(secrets.signing(now), &id, now.as_second(), &request.body);
        let signer = match webhook.settings.rotation_signature() {
            RotationSignature::New => &secrets.current,
            RotationSignature::Old => secrets.outgoing(now),
        };
        request.headers.push(("x-webhook-signature", signature::spectra(signer, &request.body)));
        request.headers.push(("webhook-signature", signature));
        Ok(request)
    }

    /// Writes the request without signatures and without a span, for showing it to someone without
    /// a secret at hand.
    pub fn unsigned(
        webhook: &Webhook,
        deliveries: &[(DeliveryId, &Event)],
        batch: Option<BatchId>,
        now: Timestamp,
    ) -> serde_json::Result<Self> {
        Self::write(webhook, deliveries, batch, now).map(|(request, _)| request)
    }

    /// Writes the request as [`new`](Self::new) does, with a mask in place of each signature. It
    /// shows what would be sent to someone who may not have a secret.
    pub fn masked(
        webhook: &Webhook,
        deliveries: &[(DeliveryId, &Event)],
        (now, span): (Timestamp, SpanId),
    ) -> serde_json::Result<Self> {
        let mut request = Self::unsigned(webhook, deliveries, None, now)?;
        request.traceparent =
            deliveries.first().map(|(_, event)| TraceParent { trace: event.trace(), span });
        let traceparent = request.traceparent.map(|of| (trace::HEADER, of.to_string()));
        request.headers.extend(traceparent);
        request.headers.extend(SIGNATURE_HEADERS.map(|name| (name, MASK.to_owned())));
        Ok(request)
    }

    /// Writes the request of an attempt again, as it was sent at this time, but for its signatures.
    /// The webhook has the settings of then, and the deliveries are those that were in it.
    pub fn sent(
        webhook: &Webhook,
        deliveries: &[(DeliveryId, &Event)],
        batch: Option<BatchId>,
        at: Timestamp,
    ) -> serde_json::Result<Self> {
        let mut request = Self::unsigned(webhook, deliveries, batch, at)?;
        if let Some((first, _)) = deliveries.first() {
            request.join_trace(deliveries, SpanId::of_attempt(*first, at));
        }
        Ok(request)
    }

    /// Makes the request a step in the trace of its first event.
    fn join_trace(&mut self, deliveries: &[(DeliveryId, &Event)], span: SpanId) {
        self.traceparent =
            deliveries.first().map(|(_, event)| TraceParent { trace: event.trace(), span });
        let header = self.traceparent.map(|traceparent| (trace::HEADER, traceparent.to_string()));
        self.headers.extend(header);
    }

    /// Joins our headers and the owner's. If a webhook was registered with a `traceparent` of its
    /// own, only that one is sent: a receiver ignores two of them.
    pub fn headers_with<'o>(
        ours: Vec<(&'static str, String)>,
        own: &'o [(String, String)],
    ) -> Vec<(&'o str, String)> {
        let is_replaced = own.iter().any(|(name, _)| name == trace::HEADER);
        let sent = ours.into_iter().filter(|(name, _)| !(is_replaced && *name == trace::HEADER));
        sent.chain(own.iter().map(|(name, value)| (name.as_str(), value.clone()))).collect()
    }

    /// Writes the request before it is signed, and returns it with its `webhook-id`.
    fn write(
        webhook: &Webhook,
        deliveries: &[(DeliveryId, &Event)],
        batch: Option<BatchId>,
        now: Timestamp,
    ) -> serde_json::Result<(Self, String)> {
        let events: Vec<&Event> = deliveries.iter().map(|(_, event)| *event).collect();
        let uuid = webhook.key.id.uuid(webhook.created_at);
        let templates = webhook.settings.slack_templates.as_ref();
        let body = webhook.format().write(uuid, &events, webhook.request_bounds(), templates)?;
        let carried = &deliveries[..body.event_count];
        let ids: Vec<DeliveryId> = carried.iter().map(|(id, _)| *id).collect();
        // Bounds may be smaller than when the batch was sent first. Then its deliveries go out in
        // several requests, and a receiver that drops known ids would drop all but one of these.
        let named = batch.filter(|_| carried.len() == deliveries.len());
        let shared = named.or_else(|| if ids.len() > 1 { BatchId::derive(&ids) } else { None });
        let id = match (shared, carried.first()) {
            (Some(batch), _) => batch.to_string(),
            (None, Some((_, event))) => event.id.to_string(),
            (None, None) => String::new(),
        };
        let hops = carried.iter().map(|(_, event)| event.hops).max();
        let mut headers = vec![
            ("content-type", body.content_type.to_owned()),
            ("user-agent", USER_AGENT.to_owned()),
            ("x-webhook-event", event_header(&events[..body.event_count])),
            ("webhook-id", id.clone()),
            ("webhook-timestamp", now.as_second().to_string()),
            (HOPS_HEADER, hops.unwrap_or_default().to_string()),
        ];
        if let Some(environment) = webhook.key.workspace.named_environment() {
            headers.push((ENVIRONMENT_HEADER, environment.name().to_owned()));
        }
        Ok((
            Self {
                headers,
                body: body.bytes,
                batch: shared,
                delivery_count: body.event_count,
                traceparent: None,
            },
            id,
        ))
    }
}

fn event_header(events: &[&Event]) -> String {
    match events {
        [first, rest @ ..] if rest.iter().all(|event| event.event_type == first.event_type) => {
            first.event_type.to_string()
        }
        _ => SEVERAL_TYPES.to_owned(),
    }
}

impl fmt::Debug for WebhookRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("WebhookRequest")
            .field("headers", &names)
            .field("body_bytes", &self.body.len())
            .field("batch", &self.batch)
            .field("deliveries", &self.delivery_count)
            .finish()
    }
}

#[cfg(test)]
mod tests;
