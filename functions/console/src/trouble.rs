//! The reasons for which a page can't be made, and the page that says so.

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use maud::html;
use posthaste_domain::metrics::Metric;
use posthaste_runtime::{keys::KeysError, telemetry};
use posthaste_store::StoreError;

use crate::{api::Refusal, layout};

/// The reason why a page can't be made.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// Nobody is signed in, or no longer. The page is shown after signing in.
    SignedOut {
        /// The path and query of the page.
        page: String,
    },
    /// The API has refused a call that the page needs.
    Refused(Refusal),
    /// There is no such page.
    NotFound,
    /// The form came from another site, or from a session that has ended.
    Forged,
    /// The form has more bytes than the API takes.
    TooLarge,
    /// The portal link does not lead to this page.
    Outside,
    /// The portal link's session is over, or somebody has taken the link back.
    LinkEnded {
        /// The page may stand in a frame.
        is_framed: bool,
    },
    /// Our fault. The cause is in the log.
    Internal,
}

impl Trouble {
    /// Logs an error that should not be, and takes the page for one that can't be made.
    pub(crate) fn bug(error: impl std::error::Error) -> Self {
        tracing::error!(%error, "a page could not be made");
        telemetry::count(Metric::Faults, 1);
        Self::Internal
    }

    fn shown(&self) -> (StatusCode, &'static str, String) {
        match self {
            Self::Refused(refusal) => {
                (refusal.status, heading(refusal.status), refusal.message.clone())
            }
            Self::NotFound | Self::SignedOut { .. } => {
                (StatusCode::NOT_FOUND, "Not found", "There is no such page.".to_owned())
            }
            Self::Forged => (
                StatusCode::FORBIDDEN,
                "The form is too old",
                "The form was not sent from this page, or its session has ended. Open the page \
                 again and repeat what you did."
                    .to_owned(),
            ),
            Self::TooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "The form is too large",
                "What the form says has too many bytes. Go back, make it shorter and send it again."
                    .to_owned(),
            ),
            Self::Outside => (
                StatusCode::NOT_FOUND,
                "Not found",
                "The link that you have opened does not lead to this page.".to_owned(),
            ),
            Self::LinkEnded { .. } => (
                StatusCode::GONE,
                "The session is over",
                "Go back to where you came from, and open the page from there again.".to_owned(),
            ),
            Self::Internal => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "Something went wrong",
                "Something went wrong on our side. Try it again in a moment.".to_owned(),
            ),
        }
    }
}

fn heading(status: StatusCode) -> &'static str {
    match status {
        StatusCode::NOT_FOUND => "Not found",
        StatusCode::FORBIDDEN => "Not allowed",
        StatusCode::TOO_MANY_REQUESTS => "Too many calls",
        status if status.is_server_error() => "Something went wrong",
        _ => "This can't be done",
    }
}

impl From<KeysError> for Trouble {
    fn from(error: KeysError) -> Self {
        Self::bug(error)
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::bug(error)
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        if let Self::SignedOut { page } = &self {
            let query = url::form_urlencoded::Serializer::new(String::new())
                .append_pair("next", page)
                .finish();
            let to = format!("/console/sign-in?{query}");
            return (StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response();
        }
        let (status, heading, message) = self.shown();
        let request_id = match &self {
            Self::Refused(refusal) => Some(&refusal.request_id),
            _ => None,
        };
        let content = html! {
            section.card.narrow {
                h1 { (heading) }
                p { (message) }
                @if let Some(id) = request_id.filter(|_| status.is_server_error()) {
                    p.quiet { "The log has it under the request id " code { (id) } "." }
                }
                @match self {
                    Self::LinkEnded { is_framed: true } => {}
                    Self::LinkEnded { .. } => {
                        p { a href="/console/sign-in" { "Sign in with an API key" } }
                    }
                    _ => p { a href="/console" { "Go to the first page" } },
                }
            }
        };
        (status, layout::alone(heading, content)).into_response()
    }
}
