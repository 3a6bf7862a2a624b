//! Opening a portal link, which makes a session of it.

use axum::{
    extract::{Query, State},
    http::{HeaderMap, Method, header},
    response::{IntoResponse, Response},
};
use maud::html;
use posthaste_domain::access::{
    portal_link::{NotOpened, PortalLink, PortalToken},
    session::{Pass, Session},
};
use posthaste_runtime::{clock, random};
use serde::Deserialize;
use url::Url;

use crate::{
    Console,
    cookie::{Cookie, Kept, is_loopback},
    layout,
    secure::Allowances,
    sign_in::form_token,
    trouble::Trouble,
};

#[derive(Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    link: String,
}

/// Opens a link, which can be done once. The browser that has opened it may come again with it: a
/// page in a frame is loaded anew with its first address.
pub(crate) async fn enter(
    State(console): State<Console>,
    method: Method,
    headers: HeaderMap,
    Query(Asked { link }): Query<Asked>,
) -> Result<Response, Trouble> {
    let token = PortalToken::presented(&link);
    if !token.is_well_formed() {
        return Ok(refused(NotOpened::Missing));
    }
    let links = &console.registry.portal_links;
    let known = links.find(&token.hash()).await?;
    let Some(known) = known.filter(|_| method == Method::GET) else {
        return Ok(refused(NotOpened::Missing));
    };
    let maker = console.door.look_up(known.key_hash.clone()).await;
    if maker.map_err(|_| Trouble::Internal)?.is_none() {
        return Ok(refused(NotOpened::Missing));
    }
    if has_opened(&console, &headers, &known).await? {
        return layout::redirect("/console");
    }
    let opening = random::bytes().map_err(Trouble::bug)?;
    let link = match links.open(&token.hash(), opening, clock::now()).await? {
        Ok(link) => link,
        Err(reason) => return Ok(refused(reason)),
    };
    let ends_at = link.session_ends_at().ok_or(Trouble::Internal)?;
    let session =
        Session::of_link(link.workspace.clone(), link.id.to_string(), form_token()?, ends_at);
    let kept = Kept {
        is_secure: !is_loopback(&headers),
        is_framed: !link.frame_origins.is_empty(),
        seconds: u64::from(link.session_seconds),
    };
    tracing::info!(link.id = %link.id, workspace = %link.workspace, "a portal link was opened");
    let mut response = layout::redirect("/console")?;
    let cookie = Cookie::Session.set(&session, kept, &console.keys).await?;
    response.headers_mut().append(header::SET_COOKIE, cookie);
    Ok(response)
}

/// Says whether this browser has a session of the link, which goes on.
async fn has_opened(
    console: &Console,
    headers: &HeaderMap,
    link: &PortalLink,
) -> Result<bool, Trouble> {
    let session: Option<Session> = Cookie::Session.read(headers, &console.keys).await?;
    let session = session.filter(|session| session.is_open(clock::now()));
    Ok(session.is_some_and(|session| {
        session.pass == Pass::Link { workspace: link.workspace.clone(), id: link.id.to_string() }
    }))
}

fn refused(reason: NotOpened) -> Response {
    let why = match reason {
        NotOpened::Missing => "There is no such link. Perhaps it was taken back.",
        NotOpened::Used => "The link was opened before, and each link opens the console once.",
        NotOpened::Expired => "The link is too old.",
    };
    let content = html! {
        section.card.narrow {
            h1 { "This link can't be opened" }
            p { (why) " Go back to where you found it, and ask for another one." }
        }
    };
    (axum::http::StatusCode::GONE, layout::alone("Link", content)).into_response()
}

/// What the pages of a link's session may do beside.
pub(crate) fn allowances(link: &PortalLink) -> Allowances {
    let logo = link.theme.as_ref().and_then(|theme| theme.logo_url.as_ref());
    Allowances {
        frames: link.frame_origins.iter().map(|origin| origin.as_str().to_owned()).collect(),
        logo: logo.and_then(posthaste_domain::access::portal_link::LogoUrl::origin),
    }
}

/// The host that a return link leads to, for its text.
pub(crate) fn host(url: &str) -> String {
    let host = Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned));
    host.unwrap_or_else(|| url.to_owned())
}
