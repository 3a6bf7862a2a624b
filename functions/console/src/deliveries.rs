//! The pages about deliveries: the lists, one delivery, and replays.

pub(crate) mod body;
pub(crate) mod filter;
pub(crate) mod list;
mod one;
mod replay;
mod timeline;

use std::str::FromStr;

use axum::{
    Router,
    http::{Method, StatusCode},
    routing::{get, post},
};
use maud::{Markup, html};
use posthaste_domain::{
    Timestamp,
    delivery::attempt::{Attempt, Failure, Status},
    id::{CauseKind, WebhookId},
};
use serde::Deserialize;

use crate::{
    Console,
    api::Refusal,
    parts::{self, List, Tone, time, with_query},
    trouble::Trouble,
    visitor::Visitor,
    webhooks::Webhook,
};

pub(crate) fn routes() -> Router<Console> {
    const OF_WEBHOOK: &str = "/console/webhooks/{webhook}";
    let of_webhook = |rest: &str| format!("{OF_WEBHOOK}/{rest}");
    Router::new()
        .route("/console/deliveries", get(list::all))
        .route(&of_webhook("deliveries"), get(list::of_webhook))
        .route(&of_webhook("deliveries/{delivery}"), get(one::show))
        .route(&of_webhook("deliveries/{delivery}/replay"), post(one::replay))
        .route(&of_webhook("replay"), get(replay::form).post(replay::start))
        .route(&of_webhook("replay/{job}"), get(replay::show))
        .route(&of_webhook("replay/{job}/cancel"), post(replay::cancel))
}

/// A delivery, as the API answers it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Delivery {
    pub(crate) id: String,
    pub(crate) webhook_id: u64,
    pub(crate) event_id: String,
    pub(crate) event_type: String,
    pub(crate) cause: CauseKind,
    pub(crate) status: Status,
    pub(crate) http_status: Option<u16>,
    pub(crate) response_body: Option<String>,
    pub(crate) response_body_encoding: Option<String>,
    pub(crate) error: Option<Failure>,
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) attempt_count: u32,
    pub(crate) waiting: Option<Waiting>,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    pub(crate) request: Option<Request>,
    pub(crate) request_missing: Option<String>,
    pub(crate) webhook_removed_at: Option<Timestamp>,
}

/// The reason why a delivery waits.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Waiting {
    pub(crate) reason: String,
    pub(crate) since: Timestamp,
    pub(crate) until: Option<Timestamp>,
}

/// A request as it was sent, or as it would be.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Request {
    /// The number of the attempt, which a request that was not sent does not have.
    pub(crate) attempt: Option<u32>,
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) headers: std::collections::BTreeMap<String, String>,
    pub(crate) body: String,
    pub(crate) body_encoding: Option<String>,
}

impl Delivery {
    /// The address of the delivery's page.
    pub(crate) fn page(&self) -> String {
        format!("/console/webhooks/{}/deliveries/{}", self.webhook_id, self.id)
    }

    /// The badge of the delivery's status.
    pub(crate) fn badge(&self) -> Markup {
        parts::badge(tone(self.status), self.status.name())
    }

    /// Says whether something will still happen to the delivery.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.status, Status::Pending | Status::Waiting)
    }

    /// The meaning of the status, in a sentence or two.
    pub(crate) fn meaning(&self) -> Markup {
        let error = self.error.as_ref().map(|error| sentence(&error.message));
        html! {
            @match self.status {
                Status::Waiting => @if let Some(waiting) = &self.waiting { (waiting.why()) },
                Status::Succeeded => "The endpoint took it.",
                Status::Pending => "It is tried again.",
                Status::Exhausted => "The last attempt failed, and no other one follows.",
                Status::Skipped => "It was not sent.",
            }
            @if let Some(error) = error { " " (parts::visible(&error)) }
        }
    }
}

impl Waiting {
    /// The reason why the delivery waits, in a sentence.
    fn why(&self) -> Markup {
        html! {
            @match (self.reason.as_str(), self.until) {
                ("limited", _) => {
                    "More deliveries have come than the rate limit of the webhook allows. It goes \
                     out at the limit."
                }
                ("slow", _) => {
                    "The endpoint takes long to answer, so its deliveries go out a few at a time."
                }
                ("sick", Some(until)) => {
                    "The endpoint keeps timing out. Nothing is sent to it until " (time(until)) "."
                }
                ("sick", None) => {
                    "The endpoint keeps timing out. One delivery at a time finds out whether it is \
                     back."
                }
                ("processEnd", Some(until)) => {
                    "It is held until the run of its process ends, and until " (time(until))
                    " at the latest."
                }
                ("processEnd", None) => "It is held until the run of its process ends.",
                ("queued", _) => "It is on its way to its first attempt.",
                (_, _) => "It waits for its webhook.",
            }
        }
    }
}

/// The colour of a status.
fn tone(status: Status) -> Tone {
    match status {
        Status::Succeeded => Tone::Good,
        Status::Exhausted => Tone::Bad,
        Status::Pending | Status::Waiting => Tone::Waiting,
        Status::Skipped => Tone::Plain,
    }
}

/// A message of the API as a sentence of its own.
pub(crate) fn sentence(message: &str) -> String {
    let mut signs = message.chars();
    let Some(first) = signs.next() else { return String::new() };
    let end = if message.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{}{}{end}", first.to_uppercase(), signs.as_str())
}

/// The address, the headers and the body of a request. The name and the id tell it from other
/// requests on the page.
pub(crate) fn request_parts(request: &Request, name: &str, id: &str) -> Markup {
    html! {
        p.url { bdi { (request.method) " " (parts::visible(&request.url)) } }
        div.scroll tabindex="0" role="region" aria-label={ "Headers of the " (name) } {
            table {
                thead { tr { th scope="col" { "Header" } th scope="col" { "Value" } } }
                tbody {
                    @for (name, value) in &request.headers {
                        tr { th scope="row" { (name) } td { (parts::visible(value)) } }
                    }
                }
            }
        }
        (body::Body {
            name: &format!("Body of the {name}"),
            id: &format!("{id}-body"),
            text: &request.body,
            encoding: request.body_encoding.as_deref(),
        }.show())
    }
}

/// A restricted visitor's page of deliveries looks at so many pages of the API's list at most.
const READ_PAGES: usize = 5;

/// A page of a list of deliveries behind a cursor. What a restricted visitor sees of a page can be
/// nothing, with more of theirs behind it, so the next ones are read until something is there.
pub(crate) async fn read_on(
    visitor: &Visitor,
    path: &str,
    query: &[(&str, &str)],
    cursor: &str,
) -> Result<Result<List<Delivery>, Refusal>, Trouble> {
    let (mut cursor, mut left) = (cursor.to_owned(), READ_PAGES);
    loop {
        let path = with_query(path, query, &[("cursor", &cursor)]);
        let page: List<Delivery> = match visitor.send(Method::GET, &path, None).await? {
            Ok(page) => page,
            Err(refusal) => return Ok(Err(refusal)),
        };
        left -= 1;
        match &page.next {
            Some(next) if page.items.is_empty() && visitor.is_restricted() && left > 0 => {
                cursor.clone_from(next);
            }
            _ => return Ok(Ok(page)),
        }
    }
}

/// The webhook of a page; none if it was removed, or never was.
async fn find_webhook(visitor: &Visitor, id: WebhookId) -> Result<Option<Webhook>, Trouble> {
    match visitor.send(Method::GET, &format!("/webhooks/{id}"), None).await? {
        Ok(webhook) => Ok(Some(webhook)),
        Err(refusal) if refusal.status == StatusCode::NOT_FOUND => Ok(None),
        Err(refusal) => Err(Trouble::Refused(refusal)),
    }
}

/// An id in an address. One that is no id leads to no page.
pub(crate) fn id<T: FromStr>(text: &str) -> Result<T, Trouble> {
    text.parse().map_err(|_| Trouble::NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_becomes_a_sentence() {
        assert_eq!(sentence("the endpoint timed out"), "The endpoint timed out.");
        assert_eq!((sentence(""), sentence("Done.")), (String::new(), "Done.".to_owned()));
    }

    #[test]
    fn every_reason_to_wait_has_its_own_sentence() {
        let why = |reason: &str, until| {
            let waiting =
                Waiting { reason: reason.to_owned(), since: Timestamp::UNIX_EPOCH, until };
            waiting.why().into_string()
        };
        let mut sentences: Vec<_> = ["limited", "slow", "sick", "processEnd", "queued", "new"]
            .into_iter()
            .flat_map(|reason| [why(reason, None), why(reason, Some(Timestamp::UNIX_EPOCH))])
            .collect();
        sentences.sort();
        sentences.dedup();
        assert_eq!(sentences.len(), 8, "{sentences:#?}");
    }
}
