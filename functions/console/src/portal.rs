//! Opening a portal link, which makes a session of it.

use std::time::Duration;

use axum::{
    Extension,
    body::Bytes,
    extract::{RawQuery, State},
    http::{HeaderMap, Method, StatusCode},
    response::{IntoResponse, Response},
};
use maud::{Markup, html};
use posthaste_domain::access::{
    portal_link::{LogoUrl, NotOpened, PortalLink, PortalToken},
    session::{Pass, Session},
};
use posthaste_runtime::{clock, random};
use url::Url;

use crate::{
    Console,
    cookie::{self, Cookie, Kept, is_loopback},
    form::{Fields, comes_from_here},
    layout,
    parts::visible,
    secure::{Allowances, Allowed},
    sign_in::form_token,
    trouble::Trouble,
};

/// The browser keeps a session for so long after its end, so that its pages can say that it is
/// over.
const REMAINS: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Leads from a link to its session. A browser that somebody is signed in with is asked first: a
/// link could lead them to the workspace of somebody else.
pub(crate) async fn enter(
    State(console): State<Console>,
    allowed: Extension<Allowed>,
    method: Method,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Trouble> {
    let fields = Fields::parse(query.unwrap_or_default().as_bytes());
    let Some((token, link)) = find(&console, &allowed, fields.text("link")).await? else {
        return Ok(refused(NotOpened::Missing));
    };
    // A program that only looks does not open it.
    if method != Method::GET {
        return Ok(refused(NotOpened::Missing));
    }
    match session(&console, &headers).await? {
        Some(session) if session.pass == pass(&link) => layout::redirect("/console"),
        Some(session) if is_of_other(&session, &link) => {
            Ok(layout::alone("Open the link", question(&token, &link)))
        }
        _ => open(&console, &headers, &token).await,
    }
}

/// Opens a link after its question.
pub(crate) async fn agree(
    State(console): State<Console>,
    allowed: Extension<Allowed>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Trouble> {
    comes_from_here(&headers)?;
    let fields = Fields::parse(&body);
    match find(&console, &allowed, fields.text("link")).await? {
        Some((token, _)) => open(&console, &headers, &token).await,
        None => Ok(refused(NotOpened::Missing)),
    }
}

/// The link with this token, if there is one and the key that made it. From then on the answer may
/// stand in the link's frames, whatever it says.
async fn find(
    console: &Console,
    allowed: &Allowed,
    token: &str,
) -> Result<Option<(PortalToken, PortalLink)>, Trouble> {
    let token = PortalToken::presented(token);
    if !token.is_well_formed() {
        return Ok(None);
    }
    let Some(link) = console.registry.portal_links.find(&token.hash()).await? else {
        return Ok(None);
    };
    allowed.set(allowances(&link));
    let maker = console.door.look_up(link.key_hash.clone()).await;
    Ok(maker.map_err(|_| Trouble::Internal)?.map(|_| (token, link)))
}

/// Opens a link, which can be done once, and makes a session of it.
async fn open(
    console: &Console,
    headers: &HeaderMap,
    token: &PortalToken,
) -> Result<Response, Trouble> {
    let opening = random::bytes().map_err(Trouble::bug)?;
    let opened = console.registry.portal_links.open(&token.hash(), opening, clock::now()).await?;
    let link = match opened {
        Ok(link) => link,
        Err(reason) => return Ok(refused(reason)),
    };
    let ends_at = link.session_ends_at().ok_or(Trouble::Internal)?;
    let session =
        Session::of_link(link.workspace.clone(), link.id.to_string(), form_token()?, ends_at);
    let kept = Kept {
        is_secure: !is_loopback(headers),
        is_framed: !link.frame_origins.is_empty(),
        seconds: u64::from(link.session_seconds) + REMAINS.as_secs(),
    };
    tracing::info!(link.id = %link.id, workspace = %link.workspace, "a portal link was opened");
    let mut response = layout::redirect("/console")?;
    cookie::add(&mut response, Cookie::Session.set(&session, kept, &console.keys).await?);
    Ok(response)
}

/// The session that the browser has, if it has not ended.
async fn session(console: &Console, headers: &HeaderMap) -> Result<Option<Session>, Trouble> {
    let session: Option<Session> = Cookie::Session.read(headers, &console.keys).await?;
    Ok(session.filter(|session| session.is_open(clock::now())))
}

fn pass(link: &PortalLink) -> Pass {
    Pass::Link { workspace: link.workspace.clone(), id: link.id.to_string() }
}

/// Says whether the link would end a session that is no link's of the same workspace. A product
/// shows its customers a new link with each visit.
fn is_of_other(session: &Session, link: &PortalLink) -> bool {
    !matches!(&session.pass, Pass::Link { workspace, .. } if *workspace == link.workspace)
}

fn question(token: &PortalToken, link: &PortalLink) -> Markup {
    let theme = link.theme.as_ref().and_then(|theme| theme.name.as_deref());
    html! {
        section.card.narrow {
            h1 { "Open this link?" }
            p {
                "This browser has a session already, which ends when you open the link. It leads \
                 to the workspace " strong { (link.workspace.name()) }
                @if let Some(name) = theme { ", which calls itself " strong { (visible(name)) } }
                "."
            }
            form method="post" action="/console/enter" {
                input type="hidden" name="link" value=(token.reveal());
                div.actions {
                    button.primary type="submit" { "Open the link" }
                    a.button href="/console" { "Stay" }
                }
            }
        }
    }
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
    (StatusCode::GONE, layout::alone("Link", content)).into_response()
}

/// The allowances that the pages of a link's session have.
pub(crate) fn allowances(link: &PortalLink) -> Allowances {
    let logo = link.theme.as_ref().and_then(|theme| theme.logo_url.as_ref());
    Allowances {
        frames: link.frame_origins.iter().map(|origin| origin.as_str().to_owned()).collect(),
        logo: logo.and_then(LogoUrl::origin),
    }
}

/// The host that a return link leads to, for its text.
pub(crate) fn host(url: &str) -> String {
    let host = Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned));
    host.unwrap_or_else(|| url.to_owned())
}
