//! `/api/v1/webhooks`

mod answers;

use posthaste_domain::{
    access::api_key::Scope,
    delivery::format::Format,
    endpoint::lane::Lane,
    id::WebhookId,
    input::{
        Page,
        openapi::{formatted, integer},
    },
    webhook::{ChangeWebhook, RegisterWebhook, profile::Profile, rotation::RotateSecret},
};
use serde::Serialize;
use serde_json::json;
use utoipa::openapi::{HttpMethod, ObjectBuilder};

pub(super) use self::answers::history;
use self::answers::{answered, changed, registered, rotated, timing_out, warned};
pub(super) use self::answers::{deliveries_of_two_events, waiting};
use super::{
    call::Call,
    example::{self, NOW, shown},
    refusal::Refusal,
};
use crate::{DeliveryAnswer, ListDeliveries, WebhookAnswer};

const ALL: &str = "/api/v1/webhooks";
const ONE: &str = "/api/v1/webhooks/{id}";
pub(super) const TAG: &str = "Webhooks";
pub(super) const SCOPE: Scope = Scope::WebhooksManage;
pub(super) const NO_WEBHOOK: &str = "webhook with this id";

/// The operations that need no more than a webhook's id.
const OF_ONE: [&str; 7] = [
    "getWebhook",
    "changeWebhook",
    "removeWebhook",
    "rotateSecret",
    "listDeliveries",
    "sendTest",
    "startReplay",
];

pub(super) fn calls() -> [Call; 7] {
    [register(), list(), show(), change(), remove(), rotate(), deliveries()]
}

fn register() -> Call {
    let body = json!({ "url": "https://example.com/webhooks", "events": ["*"] });
    Call::new(HttpMethod::Post, ALL, "registerWebhook", "Register a webhook")
        .tag(TAG)
        .needs(SCOPE, &registering())
        .takes::<RegisterWebhook>([
            ("everyEvent", Some(body)),
            ("spectra", Some(example::spectra())),
            ("spektr", Some(example::spektr())),
            ("dataspike", Some(example::dataspike())),
            ("slack", Some(example::slack())),
            ("unknownType", Some(example::of_unknown_types())),
            ("everySetting", Some(example::everything())),
        ])
        .answers::<WebhookAnswer>(
            201,
            "The webhook, with its `secret`, which no later call answers.",
            [
                ("spectra", registered(&example::spectra())),
                ("spektr", registered(&example::spektr())),
                ("withAWarning", warned()),
            ],
        )
        .leads_to(OF_ONE, [("id", "$response.body#/data/id")])
        .refuses([Refusal::too_large_body(), unknown_field()])
        .refuses(refused_registrations())
}

fn refused_registrations() -> [Refusal; 9] {
    [
        Refusal::body("missing_field", "url", "{}", "url is required"),
        Refusal::body(
            "invalid_url",
            "url",
            r#"{"url": "http://example.com", "events": ["*"]}"#,
            "url has to begin with https://",
        ),
        Refusal::body(
            "forbidden_header",
            "headers.Host",
            r#"{"url": "https://example.com", "events": ["*"], "headers": {"Host": "example.org"}}"#,
            "Host can't be set: Posthaste or the connection sets it, or proxies and servers \
             trust it",
        ),
        Refusal::body(
            "unknown_event_type",
            "events[0]",
            r#"{"url": "https://example.com", "events": ["order.create"]}"#,
            r#""order.create" is not a known event type; did you mean order.created?"#,
        ),
        Refusal::body(
            "invalid_path",
            "slackTemplates.order.created.fields[0].path",
            r#"{"url": "https://example.com", "events": ["*"], "method": "slack", "slackTemplates": {"order.created": {"fields": [{"label": "Token", "path": "data.token"}]}}}"#,
            "slackTemplates.order.created.fields[0].path: \"data.token\" names a credential, \
             which no message shows",
        ),
        Refusal::new(
            409,
            "too_many_webhooks",
            "the workspace has 1000 webhooks; it can have 1000 at most",
        ),
        too_many_subscriptions(),
        too_many_operational_webhooks(),
        conflict(),
    ]
}

fn too_many_subscriptions() -> Refusal {
    let message =
        "events and filters of all the workspace's webhooks take at most 4194304 bytes together";
    Refusal { field: Some("events"), ..Refusal::new(409, "too_many_subscriptions", message) }
}

fn too_many_operational_webhooks() -> Refusal {
    let message = "10 webhooks of the workspace name operational events; no more can";
    Refusal { field: Some("events"), ..Refusal::new(409, "too_many_operational_webhooks", message) }
}

pub(super) fn conflict() -> Refusal {
    let message =
        "it was changed by another call at the same time: read it again and repeat the change";
    Refusal::new(409, "conflict", message)
}

fn list() -> Call {
    Call::new(HttpMethod::Get, ALL, "listWebhooks", "List webhooks")
        .tag(TAG)
        .needs(
            SCOPE,
            "The workspace's webhooks in the order of their registration, without their secrets.",
        )
        .pages::<Page<WebhookId>>()
        .answers_page::<WebhookAnswer>("A page of webhooks.", {
            let webhooks =
                [(42, example::spectra()), (43, example::spektr()), (44, example::slack())];
            let webhooks = webhooks.iter().filter_map(|(id, body)| example::webhook(*id, body));
            example::list(
                webhooks.map(|webhook| WebhookAnswer::of(&webhook, &Lane::default(), NOW)),
            )
        })
        .leads_to(OF_ONE, [("id", "$response.body#/data/items/0/id")])
}

fn show() -> Call {
    Call::new(HttpMethod::Get, ONE, "getWebhook", "Read a webhook")
        .tag(TAG)
        .needs(
            SCOPE,
            "The answer has the settings that are in force, without the secret, and the health of \
             the endpoint.",
        )
        .names("id", NO_WEBHOOK, number())
        .answers::<WebhookAnswer>(
            200,
            "The webhook.",
            [("spektr", answered(&example::spektr(), &Lane::default())), ("sick", timing_out())],
        )
}

fn change() -> Call {
    let pause = json!({ "enabled": false });
    Call::new(HttpMethod::Patch, ONE, "changeWebhook", "Change or pause a webhook")
        .tag(TAG)
        .needs(SCOPE, CHANGING)
        .names("id", NO_WEBHOOK, number())
        .takes::<ChangeWebhook>([
            ("pause", Some(pause.clone())),
            (
                "defaults",
                Some(json!({ "rateLimit": null, "retrySchedule": null, "filters": null })),
            ),
            (
                "move",
                Some(json!({
                    "url": "https://example.com/spektr/v2", "profile": "standard",
                    "timeoutSeconds": 30,
                })),
            ),
        ])
        .answers::<WebhookAnswer>(200, "The webhook as it is now.", [("paused", changed(&pause))])
        .refuses([Refusal::too_large_body(), unknown_field()])
        .refuses([
            Refusal::body(
                "out_of_range",
                "timeoutSeconds",
                r#"{"timeoutSeconds": 31}"#,
                "timeoutSeconds is 1 to 30",
            ),
            too_many_subscriptions(),
            too_many_operational_webhooks(),
            conflict(),
        ])
}

fn remove() -> Call {
    Call::new(HttpMethod::Delete, ONE, "removeWebhook", "Remove a webhook")
        .tag(TAG)
        .needs(SCOPE, REMOVING)
        .names("id", NO_WEBHOOK, number())
        .removes(number(), example::removed(42))
        .refuses([conflict()])
}

fn rotate() -> Call {
    Call::new(
        HttpMethod::Post,
        "/api/v1/webhooks/{id}/secret/rotate",
        "rotateSecret",
        "Rotate a webhook's secret",
    )
    .tag(TAG)
    .needs(SCOPE, ROTATING)
    .names("id", NO_WEBHOOK, number())
    .takes::<RotateSecret>([("anHour", Some(json!({ "overlapSeconds": 3600 })))])
    .optionally()
    .answers::<WebhookAnswer>(
        200,
        "The webhook, with its new `secret`, which no later call answers.",
        [("rotated", rotated())],
    )
    .refuses([
        Refusal::too_large_body(),
        Refusal::body(
            "unknown_field",
            "overlap",
            r#"{"overlap": 3600}"#,
            "overlap is not a known field; did you mean overlapSeconds?",
        ),
        Refusal::body(
            "out_of_range",
            "overlapSeconds",
            r#"{"overlapSeconds": 604801}"#,
            "overlapSeconds is 0 to 604800",
        ),
        conflict(),
    ])
}

fn deliveries() -> Call {
    Call::new(
        HttpMethod::Get,
        "/api/v1/webhooks/{id}/deliveries",
        "listDeliveries",
        "List a webhook's deliveries",
    )
    .tag(TAG)
    .needs(SCOPE, LISTING)
    .names("id", NO_WEBHOOK, number())
    .pages::<ListDeliveries>()
    .answers_page::<DeliveryAnswer>("A page of deliveries.", history())
    .leads_to(
        ["getDelivery", "replayDelivery"],
        [("id", "$request.path.id"), ("delivery", "$response.body#/data/items/0/id")],
    )
    .leads_to(["getEvent"], [("id", "$response.body#/data/items/0/eventId")])
}

fn unknown_field() -> Refusal {
    let body = r#"{"url": "https://example.com", "events": ["*"], "evnets": ["*"]}"#;
    Refusal::body(
        "unknown_field",
        "evnets",
        body,
        "evnets is not a known field; did you mean events?",
    )
}

pub(super) fn number() -> ObjectBuilder {
    integer().minimum(Some(0))
}

/// A pattern that every UUID fits.
pub(super) fn id() -> ObjectBuilder {
    formatted("uuid")
}

/// Describes what the profiles stand for, and what is shown only once.
fn registering() -> String {
    let mut text =
        "The webhook gets the events whose types match one of `events`. A type or a prefix that is \
         not known is taken with a warning, and refused where the workspace's catalogue is \
         closed.\n\n\
         A profile is a bundle of defaults, any of which the registration can replace. `retries` \
         are the waits, in seconds, after the first try and after each retry; those beyond 10 s are spread by up to \
        20 %.\n\n\
        | profile | format | success | retries | rate |\n|---|---|---|---|---|\n"
            .to_owned();
    for (name, profile) in Profile::NAMES {
        let format = Format::NAMES
            .iter()
            .find(|(_, format)| *format == profile.format())
            .map_or("", |(name, _)| name);
        let success = in_json(profile.success_statuses());
        let retries = in_json(profile.retry_schedule());
        let rate = profile
            .rate_limit()
            .map_or_else(|| "no limit".to_owned(), |limit| format!("`{}`", in_json(limit)));
        text += &format!("| `{name}` | `{format}` | `{success}` | `{retries}` | {rate} |\n");
    }
    text + "\nThe endpoint of the profile `slack` has to answer `ok` in its body too.\n\n\
        Every request is signed with the webhook's secret, which is in this answer and in no \
        later one."
}

fn in_json(value: impl Serialize) -> String {
    shown(value).unwrap_or_default().to_string()
}

const LISTING: &str = "\
The delivery with the newest activity comes first, and each has all its attempts. What happens \
within a minute of an event's acceptance is listed at the time of the acceptance, and everything \
later, such as a retry or a replay, at its own time. A delivery that was not attempted yet is in \
the list with the status `waiting` and the reason. One that is on its way to its first attempt \
(`queued`) may be missing here, where its workspace has published very much a moment ago; the \
list of its event's deliveries has it. Deliveries that wait together, as those of a run, are \
listed at the time of the first one's event. The history of a removed webhook can be read \
as long as it is kept.";

const REMOVING: &str = "\
The webhook gets nothing any more, not even deliveries that are under way. Its history can be read \
as long as it is kept.";

const CHANGING: &str = "\
A field that is absent stays, one that is `null` goes back to its default. `\"enabled\": false` \
pauses the webhook: what is published meanwhile is not delivered.";

const ROTATING: &str = "\
The new secret signs from now on, and the one before it too until the overlap ends: \
`webhook-signature` has a signature of each, the newest first, so that an endpoint can take the \
new one whenever it is ready. `X-Webhook-Signature` has room for one: the newest's, or that of the \
one before it until its overlap ends, as the webhook's `rotationSignature` says. Up to three older \
secrets can be valid at once; while they are, `overlapSeconds` has to be 0 (else 409, \
`too_many_secrets`). With 0 the present secret signs no more: the way to end one that has leaked.";
