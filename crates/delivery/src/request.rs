//! Makes one request.

use std::time::Duration;

use posthaste_domain::{
    Timestamp,
    delivery::{
        attempt::{Attempt, Failure, asked_wait},
        halving::Upcoming,
        made::Made,
        request::WebhookRequest,
        sequence::{Carried, Sequence},
        shared::Packed,
    },
    endpoint::lane,
    trace::SpanId,
    webhook::Webhook,
};
use posthaste_runtime::clock;
use posthaste_sender::{Outcome, Request, code};
use tracing::field::display;

use crate::{Client, Courier, metrics};

/// Deliveries meet a fault that seems to be ours at most this often before the endpoint is charged
/// with it: broken name servers of its own host can look like ours.
const MAX_OWN_FAULTS: u32 = 8;

/// The result of making a request.
#[derive(Debug)]
pub enum Answered {
    /// The request was an attempt.
    Attempt(Answer),
    /// A fault of ours kept the request from being sent.
    OurFault,
}

/// An attempt, and the wait that the endpoint asked for.
#[derive(Debug)]
pub struct Answer {
    /// The attempt that was made.
    pub attempt: Attempt,
    /// The time for which the endpoint asked to be left alone.
    pub asked: Option<Duration>,
    /// The deliveries of the request, if they shared it.
    pub shared: Option<Packed>,
}

impl Answer {
    /// Takes back the result of an attempt from the message that carries it.
    pub fn of(made: Made) -> Self {
        Self {
            attempt: made.attempt,
            asked: made.asked_seconds.map(Duration::from_secs),
            shared: made.shared,
        }
    }

    /// The sign of load that the answer gives to the webhook's turn.
    pub fn verdict(&self) -> lane::Verdict {
        match (&self.attempt.error, self.attempt.http_status) {
            (Some(failure), _) if failure.code == code::TIMEOUT => lane::Verdict::TimedOut,
            (Some(_), Some(429 | 500..)) => lane::Verdict::Overloaded,
            _ => lane::Verdict::Answered,
        }
    }
}

/// The host and the port of a webhook's endpoint.
pub fn host(webhook: &Webhook) -> String {
    webhook.settings.url.host()
}

impl Courier {
    /// Writes and signs the next request of a sequence, and takes the deliveries that it carries
    /// out of the sequence. None if it can't be written, which is a fault of ours.
    pub fn next_request(
        &self,
        client: &Client,
        sequence: &mut Sequence,
        began: Timestamp,
    ) -> Option<(WebhookRequest, Carried)> {
        let Upcoming { deliveries, batch } = sequence.upcoming();
        let due: Vec<_> =
            deliveries.iter().map(|pending| (pending.id, pending.event.as_ref())).collect();
        let (first, _) = due.first()?;
        let (webhook, secrets) = (&client.webhook, &client.credentials.secrets);
        let step = (began, SpanId::of_attempt(*first, began));
        match WebhookRequest::new(webhook, secrets, &due, batch, step) {
            Ok(request) => {
                let carried = sequence.carry(request.delivery_count, request.batch);
                Some((request, carried))
            }
            Err(error) => {
                tracing::error!(%error, "a request can't be written");
                None
            }
        }
    }

    /// Sends a request that carries these deliveries.
    pub async fn send(
        &self,
        client: &Client,
        request: WebhookRequest,
        carried: &Carried,
        began: Timestamp,
    ) -> Answered {
        let span = request.traceparent.map(|traceparent| traceparent.span);
        let own_headers = client.credentials.own_headers();
        let outcome = self
            .sender
            .send(Request {
                url: &client.credentials.url,
                headers: WebhookRequest::headers_with(request.headers, &own_headers),
                body: request.body.into(),
                timeout: client.webhook.timeout(),
            })
            .await;
        let faults = carried.deliveries.iter().map(|pending| pending.faults + 1).max().unwrap_or(1);
        if let Err(error) = &outcome.result
            && error.ours
            && faults < MAX_OWN_FAULTS
        {
            tracing::error!(
                error.code = error.code, error.detail = %error.detail,
                "our own fault kept a request from being sent"
            );
            return Answered::OurFault;
        }
        let detail = outcome.result.as_ref().err().map(|error| error.detail.clone());
        let answer = answer_of(client, carried, outcome, began);
        metrics::of_attempt(&client.webhook, carried, &answer.attempt);
        log_attempt(&answer.attempt, carried, span, detail);
        Answered::Attempt(answer)
    }
}

/// Describes how a request ended as an attempt.
fn answer_of(client: &Client, carried: &Carried, outcome: Outcome, began: Timestamp) -> Answer {
    let Outcome { duration, result } = outcome;
    let webhook = &client.webhook;
    let deliveries = carried.deliveries.iter().map(|pending| (pending.id, pending.event.as_ref()));
    let shared = Packed::of(webhook.key.id, carried.batch, deliveries);
    match result {
        Ok(response) => {
            let url = &client.credentials.url;
            let retry_after = response.retry_after.as_deref();
            let asked = asked_wait(webhook, response.status, retry_after, clock::now());
            let attempt =
                Attempt::answered(webhook, url, began, duration, response.status, &response.body);
            Answer { attempt: attempt.with_events(carried.deliveries.len()), asked, shared }
        }
        Err(error) => {
            let failure = Failure { code: error.code.to_owned(), message: error.message };
            let attempt = Attempt::unanswered(webhook, began, duration, failure);
            Answer { attempt, asked: None, shared }
        }
    }
}

fn log_attempt(attempt: &Attempt, carried: &Carried, span: Option<SpanId>, detail: Option<String>) {
    let first = carried.deliveries.first();
    let delivery = first.map(|pending| display(pending.id));
    let event = first.map(|pending| display(pending.event.id));
    let deliveries = carried.deliveries.len();
    match &attempt.error {
        // Successes are counted by the metrics, and each delivery is in the history.
        None => tracing::debug!(
            delivery.id = delivery,
            event.id = event,
            trace.id = traces(carried),
            span.id = span.map(display),
            deliveries,
            http.status = attempt.http_status,
            duration.ms = attempt.duration_ms,
            "attempted"
        ),
        Some(error) => tracing::info!(
            delivery.id = delivery,
            event.id = event,
            trace.id = traces(carried),
            span.id = span.map(display),
            deliveries,
            http.status = attempt.http_status,
            error.code = error.code,
            error.detail = detail,
            duration.ms = attempt.duration_ms,
            "attempted"
        ),
    }
}

/// The traces of the deliveries that share a request, each once. The request's header can name only
/// the first.
fn traces(carried: &Carried) -> String {
    let mut traces: Vec<String> = Vec::new();
    for pending in &carried.deliveries {
        let trace = pending.event.trace().to_string();
        if !traces.contains(&trace) {
            traces.push(trace);
        }
    }
    traces.join(" ")
}
