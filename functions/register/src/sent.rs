//! The request of a delivery's last attempt, made again as it was sent. What is known of it is
//! decided in [`posthaste_domain::delivery::sent`].
//!
//! It costs one read of the settings, if they were changed since, one of the record that has the
//! other deliveries of the request, and one of up to 100 events, which have 2 MiB at most together.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use posthaste_api::SentRequest;
use posthaste_domain::{
    delivery::{
        attempt::{Attempt, Encoding},
        format::MAX_EVENTS,
        request::WebhookRequest,
        sent::{MadeWith, Missing},
        shared::{Shared, Whole},
    },
    endpoint::url::StoredUrl,
    event::Event,
    id::{BatchId, DeliveryId, EventId},
    webhook::{Settings, Webhook, headers::MASK},
};
use posthaste_runtime::{
    api::ApiError,
    keys::{Keys, KeysError},
};
use posthaste_store::{Deliveries, DeliveryRecord, Events, Registry};

/// The tables and keys that a request is made again with.
pub(crate) struct Archive<'a> {
    pub(crate) registry: &'a Registry,
    pub(crate) events: &'a Events,
    pub(crate) deliveries: &'a Deliveries,
    pub(crate) keys: &'a Keys,
    /// The webhook as it is now, or as it was when it was removed.
    pub(crate) webhook: &'a Webhook,
}

/// The deliveries that a request had, with the id that they shared.
struct Carried {
    batch: Option<BatchId>,
    deliveries: Vec<(DeliveryId, EventId)>,
}

impl Archive<'_> {
    /// The request of the last attempt, or the reason why it is not shown.
    pub(crate) async fn request(
        &self,
        record: &DeliveryRecord,
        attempt: &Attempt,
    ) -> Result<Result<SentRequest, Missing>, ApiError> {
        let webhook = match self.settings(attempt).await? {
            Ok(webhook) => webhook,
            Err(missing) => return Ok(Err(missing)),
        };
        let carried = match self.carried(record, attempt).await? {
            Ok(carried) => carried,
            Err(missing) => return Ok(Err(missing)),
        };
        let Some(events) = self.events_of(record, &carried).await? else {
            return Ok(Err(Missing::EventGone));
        };
        let ids = carried.deliveries.iter().map(|(id, _)| *id);
        let due: Vec<(DeliveryId, &Event)> = ids.zip(&events).collect();
        let made = match attempt.revision {
            Some(_) => WebhookRequest::sent(&webhook, &due, carried.batch, attempt.at)?,
            // The span of a version before is in its log alone.
            None => WebhookRequest::unsigned(&webhook, &due, carried.batch, attempt.at)?,
        };
        if made.delivery_count != due.len() {
            tracing::error!("a request can't be made again with all of its deliveries");
            return Ok(Err(Missing::SettingsUnknown));
        }
        Ok(Ok(shown(&webhook, made, record.attempt_count)))
    }

    /// The webhook with the settings that the request was made with, and with its URL opened.
    async fn settings(&self, attempt: &Attempt) -> Result<Result<Webhook, Missing>, ApiError> {
        let webhook = match attempt.made_with(self.webhook) {
            MadeWith::Present => self.webhook.clone(),
            MadeWith::Kept(revision) => {
                let Some(webhook) = self.revision(revision).await? else {
                    return Ok(Err(Missing::SettingsGone));
                };
                webhook
            }
            MadeWith::Unknown => return Ok(Err(Missing::SettingsUnknown)),
        };
        let url = match self.keys.open_url(&webhook).await {
            Ok(url) => StoredUrl::Open(url),
            // What is kept is not sealed anew when the encryption key is changed. Then the owner
            // sees the origin.
            Err(KeysError::Seal(error)) => {
                tracing::warn!(%error, "a URL of then does not open any more");
                webhook.settings.url.clone()
            }
            Err(error) => return Err(error.into()),
        };
        Ok(Ok(Webhook { settings: Settings { url, ..webhook.settings }, ..webhook }))
    }

    /// The webhook of another revision: an earlier one that was kept, or one that has come since the
    /// webhook was read.
    async fn revision(&self, revision: u64) -> Result<Option<Webhook>, ApiError> {
        if let Some(kept) = self.registry.revisions.get(&self.webhook.key, revision).await? {
            return Ok(Some(kept));
        }
        let present = self.registry.webhooks.get(&self.webhook.key).await?;
        Ok(present.filter(|webhook| webhook.revision == revision))
    }

    /// The deliveries that were in the request of the last attempt.
    async fn carried(
        &self,
        record: &DeliveryRecord,
        attempt: &Attempt,
    ) -> Result<Result<Carried, Missing>, ApiError> {
        let webhook = self.webhook.key.id;
        let Some(packed) = &record.shared else {
            let deliveries = vec![(record.id, record.event_id)];
            return Ok(Ok(Carried { batch: None, deliveries }));
        };
        let whole = match packed.read(webhook) {
            Some(Shared::Whole(whole)) => Some(whole),
            Some(Shared::With(first)) => {
                let first = self.deliveries.records.get(&self.webhook.key, first).await?;
                let first = first.filter(|first| {
                    first.attempts.last().is_some_and(|last| last.is_that_of(attempt))
                });
                match first.and_then(|first| first.shared).and_then(|packed| packed.read(webhook)) {
                    Some(Shared::Whole(whole)) => Some(whole),
                    _ => None,
                }
            }
            None => None,
        };
        let is_in = |whole: &Whole| whole.deliveries.iter().any(|(id, _)| *id == record.id);
        let Some(whole) = whole.filter(is_in) else { return Ok(Err(Missing::BatchChanged)) };
        if !whole.can_be_shown() || whole.deliveries.len() > MAX_EVENTS {
            return Ok(Err(Missing::TooLarge));
        }
        Ok(Ok(Carried { batch: Some(whole.batch), deliveries: whole.deliveries }))
    }

    /// The events of the request, in its order. None if one of them is no longer stored.
    async fn events_of(
        &self,
        record: &DeliveryRecord,
        carried: &Carried,
    ) -> Result<Option<Vec<Event>>, ApiError> {
        if let Some(event) = &record.event {
            return Ok(Some(vec![event.clone()]));
        }
        let workspace = &self.webhook.key.workspace;
        let mut keys = Vec::with_capacity(carried.deliveries.len());
        for (_, event) in &carried.deliveries {
            keys.push((workspace.clone(), *event));
        }
        let mut found = self.events.get(keys).await;
        let mut events: Vec<Event> = Vec::with_capacity(carried.deliveries.len());
        for (_, id) in &carried.deliveries {
            // Two deliveries of one request may bring the same event: one of them is a replay.
            let again = events.iter().find(|event| event.id == *id).cloned();
            let event = match again {
                Some(event) => Some(event),
                None => found.one(&(workspace.clone(), *id))?,
            };
            let Some(event) = event else { return Ok(None) };
            events.push(event);
        }
        Ok(Some(events))
    }
}

/// The request for an answer: own headers are named, and their values masked.
fn shown(webhook: &Webhook, made: WebhookRequest, attempt: u32) -> SentRequest {
    let mut own = Vec::new();
    for (name, _) in webhook.headers.iter() {
        own.push((name.in_lower_case(), MASK.to_owned()));
    }
    let mut headers = BTreeMap::new();
    for (name, value) in WebhookRequest::headers_with(made.headers, &own) {
        headers.insert(name.to_owned(), value);
    }
    let (body, body_encoding) = match String::from_utf8(made.body) {
        Ok(text) => (text, None),
        Err(error) => (STANDARD.encode(error.as_bytes()), Some(Encoding::Base64)),
    };
    let url = webhook.settings.url.text();
    SentRequest { attempt, method: "POST", url, headers, body, body_encoding }
}
