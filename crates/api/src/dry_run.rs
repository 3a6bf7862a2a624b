use std::collections::BTreeMap;

use posthaste_domain::{
    Invalid, Timestamp,
    delivery::request::WebhookRequest,
    event::{
        Event,
        event_type::{EventPattern, EventType},
        process::Process,
    },
    fanout::forecast::{self, Forecast, Outcome, Reason},
    id::WebhookId,
    input::{Asked, Page, Source},
    webhook::{Webhook, filter::Rule, headers::MASK},
};
use serde::Serialize;
use utoipa::ToSchema;

/// The query of a publishing call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publishing {
    /// The page of webhooks that a dry run answers; none where the call publishes.
    pub dry_run: Option<Page<WebhookId>>,
}

impl Asked for Publishing {
    fn read(query: &mut impl Source) -> Result<Self, Invalid> {
        let about = "True publishes nothing: the answer says which webhooks would get the event, \
            when and why, and with which request. A dry run takes one event.";
        let is_dry_run = query.take::<bool>("dry_run", about)?.unwrap_or_default();
        // A call that publishes has no pages, and does not look at these two.
        let page = Page::read(query)?;
        Ok(Self { dry_run: is_dry_run.then_some(page) })
    }
}

/// The result that publishing an event would have. Nothing was published or stored.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = DryRun)]
pub struct DryRunAnswer {
    /// The event as it would be accepted.
    pub event: WouldBeEvent,
    /// A page of the workspace's webhooks, in the order of their ids, with those that would not get
    /// the event. The page can be shorter than asked for, although another one follows.
    pub webhooks: Vec<WebhookForecast>,
    /// The `cursor` of the next page; null on the last one.
    #[schema(required = true)]
    pub next: Option<String>,
}

/// An event as it would be accepted. It has no id, because none is given out.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = DryRunEvent)]
pub struct WouldBeEvent {
    /// The type of the event, without an alias.
    pub r#type: EventType,
    /// The time at which the event happened.
    #[schema(value_type = String, format = "date-time")]
    pub timestamp: Timestamp,
    /// The person or thing that the event is about.
    #[schema(required = true)]
    pub subject: Option<String>,
    /// The producer's own reference.
    #[schema(required = true)]
    pub reference: Option<String>,
    /// The process that the event belongs to, as far as it is known.
    pub process: KnownProcess,
}

/// The process that an event belongs to. What the event leaves out is known from the start of its
/// run; null is what nobody knows.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = DryRunProcess)]
pub struct KnownProcess {
    /// The type of the process.
    #[schema(required = true)]
    pub process_type: Option<String>,
    /// The id of the process.
    #[schema(required = true)]
    pub process_id: Option<String>,
    /// The id of the run.
    #[schema(required = true)]
    pub context_id: Option<String>,
}

/// The meaning of the event for one webhook.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = DryRunWebhook)]
pub struct WebhookForecast {
    /// The id of the webhook.
    #[schema(value_type = u64)]
    pub webhook: WebhookId,
    /// The result for this webhook.
    pub outcome: Outcome,
    /// A stable word for programs that says why.
    pub reason: Reason,
    /// A sentence for people that says why, or several.
    pub message: String,
    /// The closest of the webhook's `events` that names the type; null if none does.
    #[schema(required = true)]
    pub subscription: Option<EventPattern>,
    /// The cell of the webhook's `filters` that is about the event; null if none is, and the
    /// webhook's `timing` decides.
    #[schema(required = true)]
    pub cell: Option<DecidingCell>,
    /// The `contextId` of the run that the event is held for, or that it ends; null where there is
    /// none.
    #[schema(required = true)]
    pub run: Option<String>,
    /// The time until which the event is held at most, or until which nothing is sent to the
    /// endpoint; null where that is not known.
    #[schema(value_type = Option<String>, format = "date-time", required = true)]
    pub until: Option<Timestamp>,
    /// The request that would be made; null where none would be.
    #[schema(required = true)]
    pub request: Option<WouldBeRequest>,
}

/// A cell of a webhook's filters.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = DryRunCell)]
pub struct DecidingCell {
    /// The row of the cell: a process type, `*` or `no_process`.
    pub process_type: String,
    /// The column of the cell: an event type, a prefix or `*`.
    pub event_type: EventPattern,
    /// The rule in the cell.
    pub rule: Rule,
}

/// A request as it would be made now with this event alone.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = DryRunRequest)]
pub struct WouldBeRequest {
    /// Always `POST`.
    pub method: &'static str,
    /// The origin of the URL, and `***` for the rest of it.
    #[schema(format = "uri")]
    pub url: String,
    /// The headers, with names in lower case, and `***` for each signature and each value of the
    /// webhook's own headers.
    pub headers: BTreeMap<String, String>,
    /// The body of the request.
    pub body: String,
}

impl WouldBeEvent {
    /// Returns the answer for an event whose process this is.
    pub fn of(event: Event, process: Process) -> Self {
        let Event { event_type, timestamp, subject, reference, .. } = event;
        let Process { process_type, process_id, context_id, .. } = process;
        let process = KnownProcess { process_type, process_id, context_id };
        Self { r#type: event_type, timestamp, subject, reference, process }
    }
}

impl WebhookForecast {
    /// Returns the answer for a webhook.
    pub fn of(id: WebhookId, forecast: Forecast, request: Option<WouldBeRequest>) -> Self {
        let message = forecast.message();
        let Forecast { outcome, reason, subscription, cell, run, until, .. } = forecast;
        let cell = cell.map(|forecast::Cell { row, column, rule }| DecidingCell {
            process_type: row,
            event_type: column,
            rule,
        });
        let run = run.map(|run| match run {
            forecast::Run::HeldFor(context) | forecast::Run::Ended(context) => context,
        });
        Self { webhook: id, outcome, reason, message, subscription, cell, run, until, request }
    }
}

impl WouldBeRequest {
    /// Returns the answer for a request to a webhook, which has masks for its signatures. None if
    /// its body is no text, which no format writes.
    pub fn of(webhook: &Webhook, request: WebhookRequest) -> Option<Self> {
        let own: Vec<(String, String)> = webhook
            .headers
            .iter()
            .map(|(name, _)| (name.in_lower_case(), MASK.to_owned()))
            .collect();
        let headers = WebhookRequest::headers_with(request.headers, &own);
        Some(Self {
            method: "POST",
            url: webhook.settings.url.hidden(),
            headers: headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            body: String::from_utf8(request.body).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Publishing, Invalid> {
        let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Publishing::of(pairs.collect())
    }

    #[test]
    fn a_call_is_a_dry_run_only_where_it_says_so() {
        for publishes in [&[][..], &[("dry_run", "false")], &[("limit", "7")]] {
            assert_eq!(read(publishes), Ok(Publishing { dry_run: None }), "{publishes:?}");
        }
        let page = Page { limit: 7, after: Some(WebhookId(42)) };
        let asked = read(&[("dry_run", "true"), ("limit", "7"), ("cursor", "42")]);
        assert_eq!(asked, Ok(Publishing { dry_run: Some(page) }));
        for (name, value) in
            [("dry_run", "1"), ("dry_run", ""), ("dryrun", "true"), ("cursor", "x"), ("limit", "0")]
        {
            let refused = read(&[(name, value)]).unwrap_err();
            assert_eq!(refused.field.as_deref(), Some(name), "{name}={value}");
        }
    }
}
