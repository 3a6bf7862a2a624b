//! `/api/v1/portal-links`

use posthaste_domain::{
    access::{
        api_key::{ApiKey, Scope},
        portal_link::{NewPortalLink, PortalLink, PortalToken},
        workspace::Environment,
    },
    id::{KeyId, PortalLinkId},
    input::Page,
};
use serde_json::{Value, json};
use utoipa::openapi::HttpMethod;

use super::{
    call::Call,
    example::{self, NOW, shown},
    refusal::Refusal,
    webhooks,
};
use crate::PortalLinkAnswer;

const ALL: &str = "/api/v1/portal-links";
const ONE: &str = "/api/v1/portal-links/{id}";
const TAG: &str = "Portal links";
const SCOPE: Scope = Scope::KeysManage;

pub(super) fn calls() -> [Call; 3] {
    [create(), list(), remove()]
}

fn create() -> Call {
    Call::new(HttpMethod::Post, ALL, "createPortalLink", "Make a portal link")
        .tag(TAG)
        .needs(SCOPE, CREATING)
        .takes::<NewPortalLink>([("everything", Some(everything())), ("simple", Some(simple()))])
        .answers::<PortalLinkAnswer>(
            201,
            "The link, with the address that no later call answers.",
            [("everything", made(&everything(), true)), ("simple", made(&simple(), true))],
        )
        .leads_to(["removePortalLink"], [("id", "$response.body#/data/id")])
        .refuses([Refusal::too_large_body()])
        .refuses([
            Refusal::body("missing_field", "scopes", "{}", "scopes is required"),
            Refusal::body(
                "unbounded_scope",
                "scopes",
                r#"{"scopes": ["keys:manage"], "webhookIds": [42]}"#,
                "a link with webhookIds can't have the scope keys:manage, which reaches every \
                 webhook",
            ),
            Refusal::body(
                "out_of_range",
                "expiresInSeconds",
                r#"{"scopes": ["webhooks:manage"], "expiresInSeconds": 604800}"#,
                "expiresInSeconds is 1 to 86400",
            ),
            Refusal::body(
                "wrong_count",
                "webhookIds",
                r#"{"scopes": ["webhooks:manage"], "webhookIds": []}"#,
                "webhookIds takes 1 to 100 ids of webhooks",
            ),
            unknown_webhook(),
            Refusal::body(
                "invalid_url",
                "returnUrl",
                r#"{"scopes": ["webhooks:manage"], "returnUrl": "http://shop.example.com"}"#,
                "returnUrl has to begin with https://, or with http:// and a loopback host",
            ),
            Refusal::body(
                "invalid_origin",
                "frameOrigins[0]",
                r#"{"scopes": ["webhooks:manage"], "frameOrigins": ["https://*.example.com"]}"#,
                "frameOrigins[0] has to be an origin such as https://shop.example.com: https, or \
                 http on a loopback host, with no path and no wildcard",
            ),
            Refusal::body(
                "invalid_color",
                "theme.accentColor",
                r#"{"scopes": ["webhooks:manage"], "theme": {"accentColor": "green"}}"#,
                "theme.accentColor has to be # and six hex digits, such as #36a64f",
            ),
        ])
}

fn unknown_webhook() -> Refusal {
    let message = "there is no webhook 43 in this workspace";
    let body = r#"{"scopes": ["webhooks:manage"], "webhookIds": [43]}"#;
    Refusal { status: 409, ..Refusal::body("unknown_webhook", "webhookIds[0]", body, message) }
}

fn list() -> Call {
    Call::new(HttpMethod::Get, ALL, "listPortalLinks", "List portal links")
        .tag(TAG)
        .needs(SCOPE, LISTING)
        .pages::<Page<PortalLinkId>>()
        .answers_page::<PortalLinkAnswer>("The links.", example::list(made(&everything(), false)))
}

fn remove() -> Call {
    Call::new(HttpMethod::Delete, ONE, "removePortalLink", "Delete a portal link")
        .tag(TAG)
        .needs(SCOPE, REMOVING)
        .names("id", "portal link with this id", webhooks::id())
        .removes(webhooks::id(), example::removed(id()))
}

fn simple() -> Value {
    json!({ "scopes": ["webhooks:manage", "events:read"] })
}

fn everything() -> Value {
    json!({
        "scopes": ["webhooks:manage"],
        "expiresInSeconds": 300,
        "sessionSeconds": 3600,
        "webhookIds": [42],
        "returnUrl": "https://shop.example.com/settings",
        "theme": {
            "name": "Example Shop",
            "logoUrl": "https://shop.example.com/logo.svg",
            "accentColor": "#36a64f"
        },
        "frameOrigins": ["https://shop.example.com"]
    })
}

fn made(body: &Value, revealed: bool) -> Option<Value> {
    let asked = NewPortalLink::parse(body.to_string().as_bytes()).ok()?;
    let key = ApiKey::new(Environment::Live, b"no key: it stands in examples...");
    let maker = (KeyId::new(NOW, &[0x5e; 10]), key.hash());
    let link = PortalLink::new(id(), example::workspace()?, asked, maker, NOW);
    let token = PortalToken::new(b"no token: it stands in examples.");
    let url = format!("https://hooks.example.com/console/enter?link={}", token.reveal());
    shown(PortalLinkAnswer { url: revealed.then_some(url), ..PortalLinkAnswer::of(link) })
}

fn id() -> PortalLinkId {
    PortalLinkId::new(NOW, &[0x2a, 0x91, 0x70, 0x0d, 0xe3, 0x48, 0xb5, 0x1c, 0x66, 0x0f])
}

const CREATING: &str = "\
Makes the address of a page of the console, which a product sends its own customer to, or shows \
in a frame. It opens once, until `expiresAt`, and begins a session that may do what `scopes` say, \
in the workspace of the caller's key. Nobody can give more than they have: a scope that the \
caller's key lacks is refused with 403. Pages of other origins than `frameOrigins` can't show the \
session in a frame. The address is of the host that the call was made to.";

const LISTING: &str = "\
The portal links of the workspace, the newest first, those that were opened or \
have expired too. A link is listed until 7 days after the last session that it can have opened. \
The addresses are not answered, because their tokens are not stored.";

const REMOVING: &str = "\
The link can't be opened any more, and a session that it has opened ends with its next page. \
Nobody can take away what they could not give: a link with a scope that the caller's key lacks is \
refused with 403.";
