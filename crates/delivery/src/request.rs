//! Making one request.

use std::time::Duration;

use posthaste_domain::{
    Timestamp,
    attempt::{Attempt, Failure, asked_wait},
    lane,
    made::Made,
    request::WebhookRequest,
    sequence::{Carried, Sequence},
    trace::SpanId,
    webhook::Webhook,
};
use posthaste_runtime::{clock, random};
use posthaste_sender::{Outcome, Request, code};
use tracing::field::display;

use crate::{Client, Courier, metrics};

/// How often deliveries meet a fault that seems to be ours before the endpoint is charged with it: the name servers of its own host
/// can look like ours.
const MAX_OWN_FAULTS: u32 = 8;

/// How a request ended.
#[derive(Debug)]
pub enum Answered {
    /// It was an attempt.
    Attempt(Answer),
    /// A fault of ours kept it from being sent.
    OurFault,
}

/// An attempt, and what the endpoint asked for.
#[derive(Debug)]
pub struct Answer {
    /// The attempt.
    pub attempt: Attempt,
    /// How long the endpoint asked to be left alone.
    pub asked: Option<Duration>,
}

impl Answer {
    /// What a message says of an attempt.
    pub fn of(made: Made) -> Self {
        Self { attempt: made.attempt, asked: made.asked_seconds.map(Duration::from_secs) }
    }

    /// What it says about the endpoint's load.
    pub fn verdict(&self) -> lane::Answer {
        match (&self.attempt.error, self.attempt.http_status) {
            (Some(failure), _) if failure.code == code::TIMEOUT => lane::Answer::TimedOut,
            (Some(_), Some(429 | 500..)) => lane::Answer::Overloaded,
            _ => lane::Answer::Answered,
        }
    }
}

/// The host and the port of a webhook's endpoint.
pub fn host(webhook: &Webhook) -> String {
    webhook.settings.url.host()
}

impl Courier {
    /// Writes and signs the next request of a sequence, and takes what it carries out of it. None where it can't be written: that is
    /// a fault of ours.
    pub fn next_request(
        &self,
        client: &Client,
        sequence: &mut Sequence,
        began: Timestamp,
    ) -> Option<(WebhookRequest, Carried)> {
        let due: Vec<_> = sequence.left.iter().map(|pending| (pending.id, pending.event.as_ref())).collect();
        let written = random::bytes().map_err(anyhow::Error::from).and_then(|entropy| {
            let (webhook, secrets) = (&client.webhook, &client.credentials.secrets);
            Ok(WebhookRequest::new(webhook, secrets, &due, sequence.batch, (began, SpanId::new(entropy)))?)
        });
        match written {
            Ok(request) => {
                let carried = sequence.carry(request.deliveries, request.batch);
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
        let webhook = &client.webhook;
        let span = request.traceparent.map(|traceparent| display(traceparent.span));
        let own_headers = client.credentials.own_headers();
        let headers = WebhookRequest::headers_with(request.headers, &own_headers);
        let Outcome { duration, result } = self
            .sender
            .send(Request {
                url: &client.credentials.url,
                headers,
                body: request.body.into(),
                timeout: webhook.timeout(),
            })
            .await;
        let mut detail = None;
        let faults = carried.deliveries.iter().map(|pending| pending.faults + 1).max().unwrap_or(1);
        let answer = match result {
            Ok(response) => {
                let asked = asked_wait(response.status, response.retry_after.as_deref(), clock::now());
                let attempt = Attempt::answered(
                    webhook,
                    &client.credentials.url,
                    began,
                    duration,
                    response.status,
                    &response.body,
                );
                Answer { attempt, asked }
            }
            Err(error) if error.ours && faults < MAX_OWN_FAULTS => {
                tracing::error!(error.code = error.code, error.detail = %error.detail, "our own fault kept a request from being sent");
                return Answered::OurFault;
            }
            Err(error) => {
                detail = Some(error.detail);
                let failure = Failure { code: error.code.to_owned(), message: error.message };
                Answer { attempt: Attempt::unanswered(began, duration, failure), asked: None }
            }
        };
        let attempt = &answer.attempt;
        metrics::of_attempt(webhook, carried, attempt);
        let first = carried.deliveries.first();
        let (delivery, event) = (first.map(|one| display(one.id)), first.map(|one| display(one.event.id)));
        let deliveries = carried.deliveries.len();
        match &attempt.error {
            // How much goes well is in the metrics, and each delivery in the history.
            None => tracing::debug!(
                delivery.id = delivery,
                event.id = event,
                trace.id = traces(carried),
                span.id = span,
                deliveries,
                http.status = attempt.http_status,
                duration.ms = attempt.duration_ms,
                "attempted"
            ),
            Some(error) => tracing::info!(
                delivery.id = delivery,
                event.id = event,
                trace.id = traces(carried),
                span.id = span,
                deliveries,
                http.status = attempt.http_status,
                error.code = error.code,
                error.detail = detail,
                duration.ms = attempt.duration_ms,
                "attempted"
            ),
        }
        Answered::Attempt(answer)
    }
}

/// The traces of the deliveries that share a request, each once. The request's header can name only the first.
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
