//! A visitor: who looks at a page, and what they may see of the API.

use std::{fmt, time::Duration};

use axum::{
    extract::{FromRef, FromRequestParts},
    http::{HeaderMap, HeaderName, HeaderValue, Method, header, request::Parts},
    response::{IntoResponse, Response},
};
use lambda_http::RequestExt;
use maud::Markup;
use posthaste_domain::access::{
    api_key::{KeyHash, KeyInfo, Scope},
    portal_link::PortalLink,
    session::{Pass, Session},
    workspace::{Environment, Workspace},
};
use posthaste_runtime::{auth::Caller, clock, keys::Keys};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    Console,
    api::{Api, Call, OnBehalfOf, Refusal},
    cookie::{self, Cookie, Kept, is_loopback},
    layout::{self, Section},
    portal::allowances,
    reach::{Reach, cut, reach},
    secure::Allowed,
    trouble::Trouble,
};

/// A note waits so long for the next page.
const NOTE_LASTS: Duration = Duration::from_secs(60);

/// The words that the next page says first.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Note {
    /// A sentence for people.
    pub(crate) text: String,
    /// A secret that is shown this once.
    pub(crate) secret: Option<String>,
}

impl fmt::Debug for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Note").field("text", &self.text).finish_non_exhaustive()
    }
}

/// A browser drops a cookie of more than 4,096 bytes, and the note's secret with it.
const MOST_NOTE_BYTES: usize = 1_500;

/// The text, as far as it fits into a cookie.
fn bounded(mut text: String) -> String {
    if text.len() > MOST_NOTE_BYTES {
        text.truncate(text.floor_char_boundary(MOST_NOTE_BYTES));
        text.push('…');
    }
    text
}

/// Somebody who is signed in.
#[derive(Debug)]
pub(crate) struct Visitor {
    pub(crate) session: Session,
    /// The key that the session stands on: the visitor's own, or the one that made the link.
    pub(crate) key: KeyInfo,
    /// The portal link that the visitor has opened; none where they have shown a key.
    pub(crate) portal: Option<PortalLink>,
    pub(crate) caller: Caller,
    /// The note that the page before has left.
    pub(crate) note: Option<Note>,
    /// The address of the deployment, as `https://hooks.example.com`.
    pub(crate) origin: String,
    /// The way in which the browser keeps cookies of this session.
    pub(crate) kept: Kept,
    from: OnBehalfOf,
    api: Api,
    keys: Keys,
}

impl Visitor {
    /// Says whether the visitor may do what needs this scope.
    pub(crate) fn may(&self, scope: Scope) -> bool {
        self.caller.scopes.contains(&scope)
    }

    /// Says whether the visitor works in test mode.
    pub(crate) fn is_in_test_mode(&self) -> bool {
        self.session.mode == Environment::Test
    }

    /// Says whether the visitor has opened a portal link for some webhooks, and sees no others.
    pub(crate) fn is_restricted(&self) -> bool {
        self.portal.as_ref().is_some_and(|link| link.webhook_ids.is_some())
    }

    /// Reads from the API. What it refuses keeps the page from being made.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Trouble> {
        self.call(Call::get(path)).await?.map_err(Trouble::Refused)
    }

    /// Makes a call of the API that a form asks for. The inner error is for the form.
    pub(crate) async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Result<T, Refusal>, Trouble> {
        let body = body.map(Value::to_string);
        self.call(Call { method, path, body, idempotency_key: None }).await
    }

    /// Makes a call as [`Self::send`] does, with a body that is JSON already and stays as it is
    /// written.
    pub(crate) async fn send_text<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: String,
    ) -> Result<Result<T, Refusal>, Trouble> {
        self.call(Call { method, path, body: Some(body), idempotency_key: None }).await
    }

    /// Makes a call as [`Self::send_text`] does, which counts once however often it is made with
    /// this key.
    pub(crate) async fn send_once<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: String,
        key: &str,
    ) -> Result<Result<T, Refusal>, Trouble> {
        self.call(Call { method, path, body: Some(body), idempotency_key: Some(key) }).await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        call: Call<'_>,
    ) -> Result<Result<T, Refusal>, Trouble> {
        let reach = self.portal.as_ref().map(|link| (link, reach(link, &call.method, call.path)));
        match reach {
            None | Some((_, Reach::Whole)) => self.api.call(&self.from, call).await,
            Some((_, Reach::Nothing)) => Err(Trouble::Outside),
            Some((link, Reach::Part(member))) => {
                let list = match self.api.call::<Value>(&self.from, call).await? {
                    Ok(list) => cut(link, member, list),
                    Err(refusal) => return Ok(Err(refusal)),
                };
                serde_json::from_value(list).map(Ok).map_err(Trouble::bug)
            }
        }
    }

    /// A page with this content. It says what the page before has left, which is forgotten then.
    pub(crate) fn show(&self, section: Section, title: &str, content: Markup) -> Response {
        let mut response = layout::page(self, section, title, content).into_response();
        if self.note.is_some()
            && let Ok(cookies) = Cookie::Note.forget(self.kept)
        {
            cookie::add(&mut response, cookies);
        }
        response
    }

    /// Leads to another page, which says this first.
    pub(crate) async fn go(&self, to: &str, text: impl Into<String>) -> Result<Response, Trouble> {
        self.go_with(to, Note { text: text.into(), secret: None }).await
    }

    /// Leads to another page, which shows this note first.
    pub(crate) async fn go_with(&self, to: &str, note: Note) -> Result<Response, Trouble> {
        let kept = Kept { seconds: NOTE_LASTS.as_secs(), ..self.kept };
        let note = Note { text: bounded(note.text), ..note };
        let cookies = Cookie::Note.set(&note, kept, &self.keys).await?;
        let mut response = layout::redirect(to)?;
        cookie::add(&mut response, cookies);
        Ok(response)
    }

    /// The headers that make the browser keep another session.
    pub(crate) async fn keep(&self, session: &Session) -> Result<[HeaderValue; 2], Trouble> {
        let left = Duration::try_from(session.until.duration_since(clock::now()));
        let kept = Kept { seconds: left.unwrap_or_default().as_secs(), ..self.kept };
        Cookie::Session.set(session, kept, &self.keys).await
    }
}

impl<S> FromRequestParts<S> for Visitor
where
    Console: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Trouble;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Trouble> {
        let console = Console::from_ref(state);
        let page = page(parts);
        let signed_out = || Trouble::SignedOut { page: page.clone() };
        let session: Option<Session> = Cookie::Session.read(&parts.headers, &console.keys).await?;
        let session = session.ok_or_else(signed_out)?;
        let (caller, key, portal) = match &session.pass {
            Pass::Key(_) if !session.is_open(clock::now()) => return Err(signed_out()),
            Pass::Key(hash) => of_key(&console, &session, hash).await?.ok_or_else(signed_out)?,
            Pass::Link { workspace, id } => {
                let allowed = parts.extensions.get::<Allowed>().cloned().unwrap_or_default();
                of_link(&console, &allowed, workspace, id).await?
            }
        };
        let is_framed = portal.as_ref().is_some_and(|link| !link.frame_origins.is_empty());
        let kept = Kept { is_secure: !is_loopback(&parts.headers), is_framed, seconds: 0 };
        let note = Cookie::Note.read(&parts.headers, &console.keys).await?;
        let context = parts.lambda_context_ref().cloned().unwrap_or_default();
        let origin = origin(&parts.headers);
        let from =
            OnBehalfOf { caller: caller.clone(), context, headers: forwarded(&parts.headers) };
        let Console { api, keys, .. } = console;
        Ok(Self { session, key, portal, caller, note, origin, kept, from, api, keys })
    }
}

/// The evidence of a session, if that still holds.
type Standing = Option<(Caller, KeyInfo, Option<PortalLink>)>;

async fn of_key(console: &Console, session: &Session, hash: &str) -> Result<Standing, Trouble> {
    let key_hash = KeyHash::from(hash.to_owned());
    let known = console.door.look_up(key_hash.clone()).await.map_err(|_| Trouble::Internal)?;
    let reached = known.and_then(|key| session.reach(&key).map(|workspace| (key, workspace)));
    Ok(reached.map(|(key, workspace)| {
        (Caller { workspace, scopes: key.scopes.clone(), key: key.id, key_hash }, key, None)
    }))
}

async fn of_link(
    console: &Console,
    allowed: &Allowed,
    workspace: &Workspace,
    id: &str,
) -> Result<(Caller, KeyInfo, Option<PortalLink>), Trouble> {
    let over = Trouble::LinkEnded { is_framed: false };
    let Ok(id) = id.parse() else { return Err(over) };
    let link = console.registry.portal_links.get(workspace, id).await?;
    let Some(link) = link else { return Err(over) };
    // Also what says that the session is over has to be seen in a frame.
    allowed.set(allowances(&link));
    let over = Trouble::LinkEnded { is_framed: !link.frame_origins.is_empty() };
    let known = console.door.look_up(link.key_hash.clone()).await;
    let Some(key) = known.map_err(|_| Trouble::Internal)? else { return Err(over) };
    if link.session_ends_at().is_none_or(|end| end <= clock::now()) {
        return Err(over);
    }
    let caller = Caller {
        workspace: link.workspace.clone(),
        scopes: link.scopes.intersection(&key.scopes).copied().collect(),
        key: key.id,
        key_hash: link.key_hash.clone(),
    };
    Ok((caller, key, Some(link)))
}

/// The headers of a request that calls of the API need, which make addresses of their own.
fn forwarded(headers: &HeaderMap) -> HeaderMap {
    let names = [header::HOST, HeaderName::from_static("x-forwarded-proto")];
    let found =
        names.into_iter().filter_map(|name| headers.get(&name).cloned().map(|value| (name, value)));
    found.collect()
}

/// The address that the request came to. Only a loopback address does without https.
fn origin(headers: &HeaderMap) -> String {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let scheme = if is_loopback(headers) { "http" } else { "https" };
    format!("{scheme}://{host}")
}

/// The path and query of a request, where it can be asked for again; otherwise the first page.
fn page(parts: &Parts) -> String {
    let path = parts.uri.path_and_query().map_or("/console", |path| path.as_str());
    if parts.method == Method::GET { path } else { "/console" }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_never_too_long_for_its_cookie() {
        let long = bounded("ü".repeat(4_000));
        assert!(long.len() <= MOST_NOTE_BYTES + 3 && long.ends_with('…'), "{}", long.len());
        assert_eq!(bounded("It is saved.".to_owned()), "It is saved.");
    }

    #[test]
    fn a_secret_is_not_printed() {
        let note = Note { text: "new".to_owned(), secret: Some("whsec_x".to_owned()) };
        assert_eq!(format!("{note:?}"), "Note { text: \"new\", .. }");
    }
}
