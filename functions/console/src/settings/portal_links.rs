//! The portal links of the workspace: the list, the form that makes one, and deleting.

mod form;

use std::time::Duration;

use axum::{
    extract::{Path, Query},
    http::Method,
    response::{IntoResponse, Response},
};
use maud::{Markup, html};
use posthaste_domain::{
    Timestamp,
    id::{KeyId, PortalLinkId},
};
use posthaste_runtime::clock;
use serde::{Deserialize, de::IgnoredAny};

use crate::{
    control::Entered,
    form::Posted,
    layout::{Section, post_form},
    parts::{List, Tone, badge, complaint, heading, pager, time, visible, with_query},
    trouble::Trouble,
    visitor::{Note, Visitor},
};

const PATH: &str = "/console/settings/portal-links";

/// A link, as the API answers it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Link {
    id: PortalLinkId,
    scopes: Vec<String>,
    webhook_ids: Option<Vec<u64>>,
    return_url: Option<String>,
    theme: Option<Theme>,
    frame_origins: Vec<String>,
    created_at: Timestamp,
    created_by: KeyId,
    expires_at: Timestamp,
    session_seconds: u32,
    opened_at: Option<Timestamp>,
    /// The address that opens the link, only in the answer that made it.
    url: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Theme {
    name: Option<String>,
    logo_url: Option<String>,
    accent_color: Option<String>,
}

/// The state of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nobody has opened it, and it can be opened.
    Waiting,
    /// Nobody has opened it in its time.
    Expired,
    /// Its session lasts until this time.
    Open(Timestamp),
    /// Its session ended at this time.
    Over(Timestamp),
}

impl Link {
    fn state(&self, now: Timestamp) -> State {
        match self.opened_at {
            None if now < self.expires_at => State::Waiting,
            None => State::Expired,
            Some(opened_at) => {
                let end = opened_at + Duration::from_secs(u64::from(self.session_seconds));
                if now < end { State::Open(end) } else { State::Over(end) }
            }
        }
    }

    /// The name under which people know the link: that of its product, and where it was made.
    fn name(&self) -> String {
        let named = self.theme.as_ref().and_then(|theme| theme.name.as_deref());
        named.map_or_else(|| "Portal link".to_owned(), |name| visible(name.trim()))
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    /// The place in the list.
    #[serde(default)]
    cursor: String,
}

/// Shows the links and the form for another one.
pub(super) async fn show(
    visitor: Visitor,
    Query(Asked { cursor }): Query<Asked>,
) -> Result<Response, Trouble> {
    page(&visitor, &form::fresh(), &cursor).await
}

/// Makes a link, whose address the next page shows once.
pub(super) async fn make(Posted { visitor, fields }: Posted) -> Result<Response, Trouble> {
    let body = form::body(&fields);
    match visitor.send::<Link>(Method::POST, "/portal-links", Some(&body)).await? {
        Ok(Link { url, .. }) => {
            let text = "The portal link was made. It opens once: whoever opens it first has the \
                session.";
            visitor.go_with(PATH, Note { text: text.to_owned(), secret: url }).await
        }
        Err(refusal) => {
            let entered = Entered::refused(fields, refusal, &form::NAMES);
            page(&visitor, &entered, "").await
        }
    }
}

/// Deletes a link, and with it the session that it has opened.
pub(super) async fn delete(
    Path(id): Path<String>,
    Posted { visitor, .. }: Posted,
) -> Result<Response, Trouble> {
    let id: PortalLinkId = id.parse().map_err(|_| Trouble::NotFound)?;
    let path = format!("/portal-links/{id}");
    let deleted = visitor.send::<IgnoredAny>(Method::DELETE, &path, None).await?;
    deleted.map_err(Trouble::Refused)?;
    visitor.go(PATH, "The portal link was deleted, and its session with it.").await
}

/// The card on the page of settings that leads here.
pub(super) fn card() -> Markup {
    html! {
        section.card aria-labelledby="portal-links" {
            h2 id="portal-links" { "Portal links" }
            p {
                "A portal link shows your own customers their webhooks here, without an API key \
                 and in the look of your product."
            }
            p { a href=(PATH) { "See and make portal links" } }
        }
    }
}

async fn page(visitor: &Visitor, entered: &Entered, cursor: &str) -> Result<Response, Trouble> {
    let query = with_query("/portal-links", &[("limit", "20"), ("cursor", cursor)], &[]);
    let List { items, next }: List<Link> = visitor.get(&query).await?;
    let content = html! {
        p.crumbs { a href="/console/settings" { "Settings" } }
        (heading("Portal links", html! {}))
        p {
            "A portal link opens this console once, for a customer of yours and without an API \
             key. Your product makes one at the moment at which the customer asks for the page: "
            code { "POST /portal-links" } ". Here you see them, and make one by hand."
        }
        @if let Some(refusal) = &entered.refusal { (complaint(refusal)) }
        (list(visitor, &items, clock::now()))
        (pager(PATH, &[], next.as_deref()))
        section.card aria-labelledby="new-link" {
            h2 id="new-link" { "Make a portal link" }
            (post_form(visitor, PATH, form::controls(visitor, entered)))
        }
    };
    let page = visitor.show(Section::Settings, "Portal links", content);
    Ok((entered.status(), page).into_response())
}

/// The list. It changes by itself as long as a link can be opened.
fn list(visitor: &Visitor, links: &[Link], now: Timestamp) -> Markup {
    let is_waiting = links.iter().any(|link| link.state(now) == State::Waiting);
    html! {
        section aria-labelledby="links-title" {
            h2.sr id="links-title" { "The links" }
            @if links.is_empty() {
                p { "There is no link yet. Make one below." }
            } @else {
                ul.rows id="links" data-live=[is_waiting.then_some("5")] {
                    @for link in links { (row(visitor, link, now)) }
                }
            }
        }
    }
}

fn row(visitor: &Visitor, link: &Link, now: Timestamp) -> Markup {
    let delete = format!("{PATH}/{}/delete", link.id);
    let is_open = matches!(link.state(now), State::Open(_));
    html! {
        li.row id={ "link-" (link.id) } {
            div.main { (facts(link, now, &visitor.key.id)) }
            details {
                summary { "Delete" span.sr { " the link made " (time(link.created_at)) } }
                p {
                    "It can't be opened any more."
                    @if is_open { strong { " Its session ends at once." } }
                }
                (post_form(visitor, &delete, html! {
                    button.danger type="submit" {
                        "Delete" span.sr { " the link made " (time(link.created_at)) }
                    }
                }))
            }
        }
    }
}

fn facts(link: &Link, now: Timestamp, own: &KeyId) -> Markup {
    html! {
        h3 { bdi { (link.name()) } " " (state_badge(link.state(now))) }
        p { (state(link, now)) }
        p.quiet {
            "May use "
            @for (nth, scope) in link.scopes.iter().enumerate() {
                @if nth > 0 { ", " } code { (scope) }
            }
            @match &link.webhook_ids {
                None => { ", for all webhooks" }
                Some(ids) => {
                    ", for the webhooks "
                    @for (nth, id) in ids.iter().enumerate() {
                        @if nth > 0 { ", " } a href={ "/console/webhooks/" (id) } { (id) }
                    }
                }
            }
        }
        @if let Some(url) = &link.return_url { p.quiet { "Leads back to " (visible(url)) } }
        @if let Some(theme) = &link.theme { (look(theme)) }
        @if !link.frame_origins.is_empty() {
            p.quiet { "In frames of " (visible(&link.frame_origins.join(", "))) }
        }
        p.quiet {
            "Made " (time(link.created_at)) " by "
            @if link.created_by == *own { "your key " } @else { "the key " }
            code { (link.created_by) } ", id " code { (link.id) }
        }
    }
}

fn look(theme: &Theme) -> Markup {
    html! {
        @if let Some(url) = &theme.logo_url { p.quiet { "Logo " (visible(url)) } }
        @if let Some(colour) = &theme.accent_color { p.quiet { "Colour " code { (colour) } } }
    }
}

fn state_badge(state: State) -> Markup {
    match state {
        State::Waiting => badge(Tone::Waiting, "not opened yet"),
        State::Expired => badge(Tone::Plain, "expired"),
        State::Open(_) => badge(Tone::Good, "open"),
        State::Over(_) => badge(Tone::Plain, "session over"),
    }
}

fn state(link: &Link, now: Timestamp) -> Markup {
    html! {
        @if let Some(opened_at) = link.opened_at { "Opened at " (time(opened_at)) ". " }
        @match link.state(now) {
            State::Waiting => { "It can be opened until " (time(link.expires_at)) "." }
            State::Expired => { "Nobody has opened it until " (time(link.expires_at)) "." }
            State::Open(end) => { "Its session lasts until " (time(end)) "." }
            State::Over(end) => { "Its session ended at " (time(end)) "." }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(text: &str) -> Timestamp {
        format!("2026-01-15T{text}Z").parse().unwrap()
    }

    fn link(opened_at: Option<&str>) -> Link {
        let id = "019bc0fd-89c0-7c10-9e27-b34de8610af4";
        let link = json!({
            "id": id,
            "scopes": ["webhooks:manage", "events:read"],
            "webhookIds": [7, 9],
            "returnUrl": "https://shop.example.com/?a=\u{202e}",
            "theme": {
                "name": "<b>Shop</b>", "logoUrl": "https://shop.example.com/logo.svg",
                "accentColor": "#36a64f",
            },
            "frameOrigins": ["https://shop.example.com"],
            "createdAt": at("08:00:00"),
            "createdBy": id,
            "expiresAt": at("08:15:00"),
            "sessionSeconds": 3_600,
            "openedAt": opened_at.map(at),
        });
        serde_json::from_value(link).unwrap()
    }

    #[test]
    fn a_link_waits_or_expires_and_its_session_ends() {
        let (fresh, used) = (link(None), link(Some("08:10:00")));
        assert_eq!(fresh.state(at("08:14:59")), State::Waiting);
        assert_eq!(fresh.state(at("08:15:00")), State::Expired);
        assert_eq!(used.state(at("09:09:59")), State::Open(at("09:10:00")));
        assert_eq!(used.state(at("09:10:00")), State::Over(at("09:10:00")));
    }

    #[test]
    fn a_row_says_what_a_link_may_do_and_nothing_of_it_is_markup() {
        let link = link(Some("08:10:00"));
        let shown = facts(&link, at("08:20:00"), &link.created_by).into_string();
        assert!(!shown.contains("<b>"), "{shown}");
        insta::assert_snapshot!(shown);
    }
}
