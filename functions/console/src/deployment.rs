//! The pages for operators: the figures of the whole deployment, and its dead letters. They are
//! about all workspaces, so the API answers them in live mode alone.

mod figures;
mod letter;
mod letters;
mod reason;
mod redrives;

use axum::{
    Router,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use maud::{Markup, html};
use posthaste_domain::deployment::LetterQueue;

use crate::{
    Console,
    layout::{Section, post_form},
    parts::heading,
    trouble::Trouble,
    visitor::Visitor,
};

const PATH: &str = "/console/deployment";
/// The API's word for a call that a test key may not make.
const LIVE_MODE_ONLY: &str = "live_mode_only";

pub(crate) fn routes() -> Router<Console> {
    Router::new()
        .route("/console/deployment", get(figures::show))
        .route("/console/deployment/dead-letters", get(letters::show))
        .route("/console/deployment/redrives", post(redrives::start))
        .route("/console/deployment/redrives/{queue}/cancel", post(redrives::cancel))
}

/// The page, or the one that offers live mode where the API asks for that.
fn or_switch(visitor: &Visitor, page: Result<Response, Trouble>) -> Result<Response, Trouble> {
    match page {
        Err(Trouble::Refused(refusal)) if refusal.code == LIVE_MODE_ONLY => {
            let page = visitor.show(Section::Deployment, "Deployment", switch(visitor));
            Ok((StatusCode::FORBIDDEN, page).into_response())
        }
        page => page,
    }
}

fn switch(visitor: &Visitor) -> Markup {
    html! {
        (heading("Deployment", html! {}))
        div.card {
            p {
                "The deployment is shown in live mode alone: its figures and dead letters are \
                 those of all workspaces, and test mode reaches nothing that is live."
            }
            @if visitor.portal.is_none() {
                (post_form(visitor, "/console/mode", html! {
                    button.primary type="submit" { "Switch to live mode" }
                }))
            }
        }
    }
}

/// The address of the page about the dead letters of a queue.
fn letters_page(queue: LetterQueue) -> String {
    format!("{PATH}/dead-letters?queue={}", queue.name())
}

/// Words that say which letters a queue has.
fn about(queue: LetterQueue) -> &'static str {
    match queue {
        LetterQueue::Events => {
            "Messages of the events queue that are no events, or could not be fanned out."
        }
        LetterQueue::Deliveries => "Deliveries that a fault of ours keeps from being made.",
        LetterQueue::Turns => {
            "Turns of webhooks that could not be read. No delivery is lost with one."
        }
        LetterQueue::Replay => "Pages of replays that could not be made for hours.",
        LetterQueue::Exhausted => "Deliveries whose attempts have all failed.",
    }
}
