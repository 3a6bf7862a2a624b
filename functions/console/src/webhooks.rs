//! The pages about webhooks.

mod changes;
mod first_steps;
mod list;
mod matrix;
mod overview;
mod recent;
mod settings;

use axum::{
    Router,
    extract::{FromRequestParts, Path},
    http::request::Parts,
    routing::{get, post},
};
use maud::{Markup, html};
use posthaste_domain::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{
    Console,
    parts::{self, Tone},
    trouble::Trouble,
};

pub(crate) fn routes() -> Router<Console> {
    Router::new()
        .route("/console/webhooks", get(list::show))
        .route("/console/webhooks/new", get(settings::new).post(settings::register))
        .route("/console/webhooks/{id}", get(overview::show))
        .route("/console/webhooks/{id}/settings", get(settings::edit).post(settings::change))
        .route("/console/webhooks/{id}/matrix", get(matrix::show).post(matrix::change))
        .route("/console/webhooks/{id}/pause", post(changes::pause))
        .route("/console/webhooks/{id}/resume", post(changes::resume))
        .route("/console/webhooks/{id}/rotate", post(changes::rotate))
        .route("/console/webhooks/{id}/remove", post(changes::remove))
}

/// The pages about one webhook, which stand side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tab {
    Overview,
    Deliveries,
    Matrix,
    Settings,
    Test,
    Replay,
}

impl Tab {
    const ALL: [(Self, &'static str, &'static str); 6] = [
        (Self::Overview, "Overview", ""),
        (Self::Deliveries, "Deliveries", "/deliveries"),
        (Self::Matrix, "Matrix", "/matrix"),
        (Self::Settings, "Settings", "/settings"),
        (Self::Test, "Send test", "/test"),
        (Self::Replay, "Replay", "/replay"),
    ];
}

/// The id of a webhook in the path of a page. There is no page for what is no id.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InPath(pub(crate) u64);

impl<S: Send + Sync> FromRequestParts<S> for InPath {
    type Rejection = Trouble;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Trouble> {
        let id = Path::<String>::from_request_parts(parts, state).await;
        let id = id.ok().and_then(|Path(id)| id.parse().ok());
        id.map(Self).ok_or(Trouble::NotFound)
    }
}

/// The frame of the pages about one webhook.
pub(crate) fn frame(webhook: &Webhook, tab: Tab, content: Markup) -> Markup {
    let page = webhook.page();
    html! {
        p.crumbs { a href="/console/webhooks" { "Webhooks" } }
        div.heading { h1 { (webhook.name()) " " (webhook.badge()) } }
        p.url { (webhook.url) }
        nav aria-label="This webhook" {
            ul.tabs {
                @for (entry, title, path) in Tab::ALL {
                    li {
                        a href={ (page) (path) } aria-current=[(entry == tab).then_some("page")] {
                            (title)
                        }
                    }
                }
            }
        }
        (content)
    }
}

/// A webhook, as the API answers it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Webhook {
    pub(crate) id: u64,
    pub(crate) url: String,
    pub(crate) description: Option<String>,
    pub(crate) events: Vec<String>,
    pub(crate) profile: String,
    pub(crate) enabled: bool,
    pub(crate) health: Health,
    pub(crate) previous_secrets_until: Option<Timestamp>,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    /// The other settings, by their names.
    #[serde(flatten)]
    pub(crate) settings: Map<String, Value>,
}

/// The health of a webhook's endpoint.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Health {
    pub(crate) state: String,
    pub(crate) state_reason: Option<String>,
    pub(crate) waits_until: Option<Timestamp>,
    pub(crate) failing_since: Option<Timestamp>,
    pub(crate) last_success_at: Option<Timestamp>,
    pub(crate) last_failure_at: Option<Timestamp>,
    pub(crate) disabled_at: Option<Timestamp>,
    pub(crate) disabled_reason: Option<String>,
}

impl Webhook {
    /// The address of the webhook's page.
    pub(crate) fn page(&self) -> String {
        format!("/console/webhooks/{}", self.id)
    }

    /// The name under which people know the webhook.
    pub(crate) fn name(&self) -> String {
        let described = self.description.as_deref().map(str::trim).filter(|text| !text.is_empty());
        described.map_or_else(|| format!("Webhook {}", self.id), parts::visible)
    }

    /// The state of the webhook, in a word or two with its colour, and in a sentence.
    pub(crate) fn state(&self) -> (Tone, &'static str, Option<String>) {
        let health = &self.health;
        if health.disabled_at.is_some() {
            let why = match health.disabled_reason.as_deref() {
                Some("gone") => "Its endpoint answered 410, which asks for no more requests.",
                _ => "Its endpoint has failed for days.",
            };
            return (Tone::Bad, "disabled", Some(why.to_owned()));
        }
        if !self.enabled {
            return (
                Tone::Plain,
                "paused",
                Some("Nothing is sent until it is resumed.".to_owned()),
            );
        }
        let reason = || health.state_reason.clone();
        match health.state.as_str() {
            "sick" => (Tone::Bad, "timing out", reason()),
            "slow" => (Tone::Waiting, "slow", reason()),
            "limited" => (Tone::Waiting, "limited", reason()),
            _ if health.failing_since.is_some() => {
                (Tone::Bad, "failing", Some("Its last requests have failed.".to_owned()))
            }
            _ if health.last_success_at.is_some() => (Tone::Good, "healthy", None),
            _ => (Tone::Plain, "new", Some("Nothing was sent to it yet.".to_owned())),
        }
    }

    /// The badge of the webhook's state.
    pub(crate) fn badge(&self) -> maud::Markup {
        let (tone, text, _) = self.state();
        parts::badge(tone, text)
    }
}
