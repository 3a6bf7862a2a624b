//! The frame of every page: the head, the navigation and the mode.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use posthaste_domain::access::{
    api_key::Scope,
    portal_link::{AccentColor, PortalLink},
};

use crate::{
    accent, assets, form,
    parts::visible,
    portal,
    trouble::Trouble,
    visitor::{Note, Visitor},
};

/// The parts of the console that the navigation leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    Webhooks,
    Deliveries,
    Events,
    EventTypes,
    Simulations,
    Settings,
    Deployment,
}

impl Section {
    const ALL: [Self; 7] = [
        Self::Webhooks,
        Self::Deliveries,
        Self::Events,
        Self::EventTypes,
        Self::Simulations,
        Self::Settings,
        Self::Deployment,
    ];

    fn title(self) -> &'static str {
        match self {
            Self::Webhooks => "Webhooks",
            Self::Deliveries => "Deliveries",
            Self::Events => "Events",
            Self::EventTypes => "Event types",
            Self::Simulations => "Simulations",
            Self::Settings => "Settings",
            Self::Deployment => "Deployment",
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::Webhooks => "/console/webhooks",
            Self::Deliveries => "/console/deliveries",
            Self::Events => "/console/events",
            Self::EventTypes => "/console/event-types",
            Self::Simulations => "/console/simulations",
            Self::Settings => "/console/settings",
            Self::Deployment => "/console/deployment",
        }
    }

    /// Says whether the visitor can do anything there.
    fn is_open_to(self, visitor: &Visitor) -> bool {
        match self {
            Self::Webhooks | Self::Deliveries => visitor.may(Scope::WebhooksManage),
            Self::Events => visitor.may(Scope::EventsRead) || visitor.may(Scope::EventsPublish),
            Self::EventTypes => visitor.may(Scope::EventsRead),
            Self::Simulations => visitor.may(Scope::EventsPublish) && visitor.is_in_test_mode(),
            Self::Settings => {
                !visitor.is_restricted()
                    && (visitor.may(Scope::WebhooksManage) || visitor.may(Scope::KeysManage))
            }
            Self::Deployment => visitor.may(Scope::WorkspacesManage) && visitor.portal.is_none(),
        }
    }
}

/// The name of the product, where no theme gives it another one.
const NAME: &str = "Posthaste";

/// The first page that the visitor can do anything on.
pub(crate) fn first_page(visitor: &Visitor) -> &'static str {
    let first = Section::ALL.into_iter().find(|section| section.is_open_to(visitor));
    first.map_or("/console/settings", Section::path)
}

/// A page of somebody who is signed in.
pub(crate) fn page(visitor: &Visitor, section: Section, title: &str, content: Markup) -> Response {
    let mode = if visitor.is_in_test_mode() { "test" } else { "live" };
    let body = html! {
        a.skip href="#content" { "Skip to the content" }
        @if visitor.is_in_test_mode() {
            aside.mode-bar aria-label="Mode" {
                strong { "Test mode." }
                " Nothing here is live: test webhooks get test events only."
            }
        }
        header.top {
            (brand(visitor))
            div.who {
                @match &visitor.portal {
                    None => {
                        span.workspace title="The workspace" { (visitor.caller.workspace.name()) }
                        (mode_switch(visitor, mode))
                        (post_form(visitor, "/console/sign-out", html! {
                            button.link type="submit" { "Sign out" }
                        }))
                    }
                    Some(link) => (way_back(link)),
                }
            }
        }
        nav.sections aria-label="Sections" {
            ul {
                @for entry in Section::ALL.into_iter().filter(|entry| entry.is_open_to(visitor)) {
                    li {
                        a href=(entry.path()) aria-current=[(entry == section).then_some("page")] {
                            (entry.title())
                        }
                    }
                }
            }
        }
        main id="content" tabindex="-1" {
            @if let Some(note) = &visitor.note { (note_card(note)) }
            (content)
        }
    };
    let theme = visitor.portal.as_ref().and_then(|link| link.theme.as_ref());
    let accent = theme.and_then(|theme| theme.accent_color.as_ref()).map(AccentColor::as_str);
    let name = theme.and_then(|theme| theme.name.as_deref()).map(visible);
    let name = name.as_deref().unwrap_or(NAME);
    document(&Head { title: &format!("{} · {mode}", visible(title)), mode, name, accent }, body)
}

/// The name of the product: that of the portal link's theme, or ours.
fn brand(visitor: &Visitor) -> Markup {
    let theme = visitor.portal.as_ref().and_then(|link| link.theme.as_ref());
    let name = theme.and_then(|theme| theme.name.as_deref());
    let logo = theme.and_then(|theme| theme.logo_url.as_ref());
    html! {
        a.brand href="/console" {
            @match (logo, name) {
                (Some(logo), name) => {
                    img src=(logo.as_str()) alt="" referrerpolicy="no-referrer";
                    span { (name.map_or_else(|| "Webhooks".to_owned(), visible)) }
                }
                (None, Some(name)) => span { (visible(name)) },
                (None, None) => { (icon()) span { (NAME) } },
            }
        }
    }
}

/// The link that leads out of a portal. In a frame it leads the whole window.
fn way_back(link: &PortalLink) -> Markup {
    html! {
        @if let Some(url) = &link.return_url {
            a href=(url.as_str()) target="_top" { "Back to " (portal::host(url.as_str())) }
        }
    }
}

/// A page of nobody in particular: signing in, and what went wrong.
pub(crate) fn alone(title: &str, content: Markup) -> Response {
    let body = html! {
        header.top { a.brand href="/console" { (icon()) span { (NAME) } } }
        main id="content" { (content) }
    };
    document(&Head { title, mode: "live", name: NAME, accent: None }, body)
}

/// Leads the browser to another page of the console with a GET.
pub(crate) fn redirect(to: &str) -> Result<Response, Trouble> {
    let to = HeaderValue::try_from(to).map_err(Trouble::bug)?;
    Ok((StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response())
}

/// A form that changes something, with the proof that a page of this session has sent it.
pub(crate) fn post_form(visitor: &Visitor, action: &str, content: Markup) -> Markup {
    html! {
        form method="post" action=(action) {
            (token(visitor))
            (content)
        }
    }
}

/// The hidden field that proves where a form comes from.
pub(crate) fn token(visitor: &Visitor) -> Markup {
    html! { input type="hidden" name=(form::TOKEN) value=(visitor.session.form_token); }
}

/// The facts that a page states about itself.
struct Head<'a> {
    title: &'a str,
    mode: &'a str,
    /// The name of the product.
    name: &'a str,
    /// The colour of a theme.
    accent: Option<&'a str>,
}

fn document(Head { title, mode, name, accent }: &Head<'_>, body: Markup) -> Response {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                title { (title) " · " (name) }
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                link rel="icon" href=(assets::address("icon.svg")) type="image/svg+xml";
                link rel="stylesheet" href=(assets::address("console.css"));
                @if let Some(colour) = accent {
                    link rel="stylesheet" href=(assets::address(&accent::file_name(colour)));
                }
                script type="module" src=(assets::address("console.js")) {}
            }
            body data-mode=(mode) { (body) }
        }
    };
    let head = [(header::CONTENT_TYPE, "text/html; charset=utf-8")];
    (head, page.into_string()).into_response()
}

fn mode_switch(visitor: &Visitor, mode: &str) -> Markup {
    let other = if mode == "test" { "live" } else { "test" };
    post_form(
        visitor,
        "/console/mode",
        html! {
            span.mode-name { span.sr { "Mode: " } (mode) }
            button.small type="submit" { "Switch to " (other) }
        },
    )
}

fn note_card(note: &Note) -> Markup {
    html! {
        div.note role="status" {
            p { (note.text) }
            @if let Some(secret) = &note.secret {
                p.copied {
                    code.secret id="secret" { (secret) }
                    " " button.small type="button" data-copy="secret" hidden { "Copy" }
                }
                p.quiet { "It is shown this once. Keep it where your other secrets are." }
            }
        }
    }
}

fn icon() -> Markup {
    PreEscaped(include_str!("../assets/icon.svg").to_owned())
}
