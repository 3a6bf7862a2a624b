//! The settings of the workspace: its defaults, and its API keys.

mod defaults;
mod keys;
mod portal_links;

use axum::{
    Router,
    extract::Query,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use maud::html;
use posthaste_domain::access::api_key::Scope;
use serde::Deserialize;

use crate::{
    Console,
    control::Entered,
    layout::Section,
    parts::{complaint, heading},
    trouble::Trouble,
    visitor::Visitor,
};

const PATH: &str = "/console/settings";

pub(crate) fn routes() -> Router<Console> {
    Router::new()
        .route("/console/settings", get(show))
        .route("/console/settings/workspace", post(defaults::change))
        .route("/console/settings/keys", post(keys::make))
        .route("/console/settings/keys/{id}/revoke", post(keys::revoke))
        .route("/console/settings/portal-links", get(portal_links::show).post(portal_links::make))
        .route("/console/settings/portal-links/{id}/delete", post(portal_links::delete))
}

#[derive(Debug, Deserialize)]
struct Asked {
    /// The place in the list of keys.
    #[serde(default)]
    cursor: String,
}

/// The texts that were entered in the forms of the page.
#[derive(Debug, Default)]
struct Forms {
    /// The form of the workspace's defaults; none where it shows what holds.
    defaults: Option<Entered>,
    key: Entered,
    cursor: String,
}

async fn show(
    visitor: Visitor,
    Query(Asked { cursor }): Query<Asked>,
) -> Result<Response, Trouble> {
    page(&visitor, Forms { cursor, ..Forms::default() }).await
}

/// The page with these forms. Its status is that of the form that was refused.
async fn page(visitor: &Visitor, forms: Forms) -> Result<Response, Trouble> {
    let Forms { defaults, key, cursor } = forms;
    let refused = defaults.as_ref().unwrap_or(&key);
    let status = refused.status();
    let defaults_card = if visitor.may(Scope::WebhooksManage) {
        Some(defaults::card(visitor, defaults.as_ref()).await?)
    } else {
        None
    };
    let keys_cards = if visitor.may(Scope::KeysManage) {
        Some(keys::cards(visitor, &key, &cursor).await?)
    } else {
        None
    };
    let content = html! {
        (heading("Settings", html! {}))
        @if let Some(refusal) = &refused.refusal { (complaint(refusal)) }
        @if defaults_card.is_none() && keys_cards.is_none() {
            p {
                "Your key may not change settings: that needs the scope " code { "webhooks:manage" }
                " or " code { "keys:manage" } "."
            }
        }
        @if let Some(card) = defaults_card { (card) }
        @if let Some(cards) = keys_cards {
            (cards)
            (portal_links::card())
        }
    };
    Ok((status, visitor.show(Section::Settings, "Settings", content)).into_response())
}
