//! `/api/v1/keys`

use posthaste_domain::{
    access::{
        api_key::{ApiKey, KeyInfo, NewKey, Scope},
        workspace::Environment,
    },
    id::KeyId,
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
use crate::KeyAnswer;

const ALL: &str = "/api/v1/keys";
const TAG: &str = "API keys";

pub(super) fn calls() -> [Call; 3] {
    [create(), list(), remove()]
}

fn create() -> Call {
    let scopes = Scope::ALL.map(Scope::name).join(", ");
    let elsewhere = json!({
        "name": "globex, first key",
        "workspace": "globex",
        "scopes": ["webhooks:manage", "events:publish", "keys:manage"]
    });
    Call::new(HttpMethod::Post, ALL, "createKey", "Make an API key")
        .tag(TAG)
        .needs(Scope::KeysManage, CREATING)
        .takes::<NewKey>([
            ("ownWorkspace", Some(publisher())),
            ("otherWorkspace", Some(elsewhere.clone())),
        ])
        .answers::<KeyAnswer>(
            201,
            "The key, which no later call answers.",
            [
                ("ownWorkspace", made(&publisher(), true)),
                ("otherWorkspace", made(&elsewhere, true)),
            ],
        )
        .leads_to(["removeKey"], [("id", "$response.body#/data/id")])
        .refuses([Refusal::too_large_body()])
        .refuses([
            Refusal::body("missing_field", "scopes", "{}", "scopes is required"),
            Refusal::body(
                "wrong_type",
                "scopes",
                r#"{"scopes": ["all"]}"#,
                format!("scopes has to be a list of scopes, of {scopes}"),
            ),
            Refusal::body(
                "unknown_field",
                "scope",
                r#"{"scopes": ["events:read"], "scope": "events:read"}"#,
                "scope is not a known field; did you mean scopes?",
            ),
        ])
}

fn list() -> Call {
    Call::new(HttpMethod::Get, ALL, "listKeys", "List API keys")
        .tag(TAG)
        .needs(
            Scope::KeysManage,
            "The keys of the workspace in the order in which they were made. The keys themselves \
             are not answered, because they are not stored.",
        )
        .pages::<Page<KeyId>>()
        .answers_page::<KeyAnswer>("The keys.", example::list(made(&publisher(), false)))
}

fn remove() -> Call {
    Call::new(HttpMethod::Delete, "/api/v1/keys/{id}", "removeKey", "Revoke an API key")
        .tag(TAG)
        .needs(Scope::KeysManage, REVOKING)
        .names("id", "API key with this id", webhooks::id())
        .removes(webhooks::id(), example::removed(key_id()))
}

fn publisher() -> Value {
    json!({ "name": "ci", "scopes": ["events:publish", "events:read"], "environment": "test" })
}

fn made(body: &Value, revealed: bool) -> Option<Value> {
    let asked = NewKey::parse(body.to_string().as_bytes()).ok()?;
    let environment = asked.environment_for(Environment::Live).ok()?;
    let key = ApiKey::new(environment, b"no key: it stands in examples...");
    let info = KeyInfo {
        id: key_id(),
        workspace: asked.workspace.or_else(example::workspace)?,
        name: asked.name,
        scopes: asked.scopes,
        environment,
        created_at: NOW,
    };
    shown(KeyAnswer { info, key: revealed.then(|| key.reveal().to_owned()) })
}

fn key_id() -> KeyId {
    KeyId::new(NOW, &[0x0b, 0x7d, 0x44, 0xe9, 0x12, 0x5a, 0x8c, 0x3f, 0xd0, 0x21])
}

const REVOKING: &str = "\
Within 5 seconds the key is of no use any more. Nobody can revoke what they could not give: a key \
with a scope that the caller's key lacks is refused with 403.";

const CREATING: &str = "\
Nobody can give more than they have: a scope that the caller's key lacks is refused with 403. A \
key for another workspace, which is how a workspace comes to be, needs the scope \
`workspaces:manage` too.";
