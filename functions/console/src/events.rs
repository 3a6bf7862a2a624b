//! The pages about events: the log, one event, and publishing by hand.

mod dry_run;
mod list;
mod one;
mod publish;

use axum::{Router, routing::get};
use maud::{Markup, html};
use posthaste_domain::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    Console,
    parts::{self, Tone},
};

pub(crate) fn routes() -> Router<Console> {
    Router::new()
        .route("/console/events", get(list::show))
        .route("/console/events/publish", get(publish::form).post(publish::send))
        .route("/console/events/{event}", get(one::show))
}

/// An event, as the API answers it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    id: String,
    r#type: String,
    timestamp: Timestamp,
    subject: Option<String>,
    reference: Option<String>,
    delivered: Option<bool>,
    /// The place where the look for `delivered` goes on, if one call was not enough.
    next: Option<String>,
    accepted_at: Timestamp,
    /// The producer's JSON, byte for byte.
    data: Box<RawValue>,
}

impl Event {
    fn page(&self) -> String {
        format!("/console/events/{}", self.id)
    }

    /// The address of the form that publishes another event like this one.
    fn again(&self) -> String {
        format!("/console/events/publish?event={}", self.id)
    }

    /// A word with its colour that says whether every webhook has the event.
    fn badge(&self) -> Markup {
        match self.delivered {
            Some(true) => parts::badge(Tone::Good, "delivered"),
            Some(false) => parts::badge(Tone::Bad, "not delivered"),
            None => parts::badge(Tone::Plain, "open"),
        }
    }

    /// The meaning of the word in the badge.
    fn meaning(&self) -> &'static str {
        match self.delivered {
            Some(true) => "Every webhook that wants it has it.",
            Some(false) => {
                "One webhook that wants it does not have it: its delivery is between attempts, \
                 exhausted or skipped."
            }
            None if self.next.is_some() => "Not all webhooks were looked at yet.",
            None => {
                "No webhook wants it, or one of its deliveries was not attempted yet, or is held."
            }
        }
    }
}

/// Somebody's own text within a line. Marks that turn its direction do not reach beyond it.
fn own_text(text: &str) -> Markup {
    html! { bdi { (parts::visible(text)) } }
}
