//! The API keys of the workspace: the list, the form that makes one, and revoking.

use axum::{extract::Path, http::Method, response::Response};
use maud::{Markup, html};
use posthaste_domain::{Timestamp, access::api_key::Scope, id::KeyId};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Map, Value, json};

use super::{Forms, PATH, page};
use crate::{
    control::Entered,
    cookie::{self, Cookie},
    form::{Fields, Posted},
    layout::{self, post_form},
    parts::{List, Tone, badge, pager, time, visible, with_query},
    trouble::Trouble,
    visitor::{Note, Visitor},
};

const NAMES: [&str; 4] = ["name", "scopes", "environment", "workspace"];

/// A key, as the API answers it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Key {
    id: String,
    workspace: String,
    name: Option<String>,
    scopes: Vec<String>,
    environment: String,
    created_at: Timestamp,
    /// The key itself, only in the answer that made it.
    key: Option<String>,
}

impl Key {
    /// The name under which people know the key.
    fn name(&self) -> String {
        let named = self.name.as_deref().map(str::trim).filter(|name| !name.is_empty());
        named.map_or_else(|| "Key without a name".to_owned(), visible)
    }
}

/// The list of keys and the form for another one.
pub(super) async fn cards(
    visitor: &Visitor,
    entered: &Entered,
    cursor: &str,
) -> Result<Markup, Trouble> {
    let query = with_query("/keys", &[("limit", "50"), ("cursor", cursor)], &[]);
    let List { items, next }: List<Key> = visitor.get(&query).await?;
    let mode = if visitor.is_in_test_mode() { "test" } else { "live" };
    Ok(html! {
        section aria-labelledby="keys" {
            h2 id="keys" { "API keys of " (mode) " mode" }
            @if items.is_empty() {
                p { "There is no key of this mode yet. Make one below." }
            } @else {
                ul.rows { @for key in &items { (row(visitor, key)) } }
                (pager(PATH, &[], next.as_deref()))
            }
        }
        section.card aria-labelledby="new-key" {
            h2 id="new-key" { "Make an API key" }
            (post_form(visitor, &format!("{PATH}/keys"), controls(visitor, entered)))
        }
    })
}

fn row(visitor: &Visitor, key: &Key) -> Markup {
    let is_own = key.id == visitor.key.id.to_string();
    html! {
        li.row {
            div.main {
                h3 {
                    (key.name())
                    @if is_own { " " (badge(Tone::Good, "you are signed in with it")) }
                }
                p.quiet {
                    @for (nth, scope) in key.scopes.iter().enumerate() {
                        @if nth > 0 { ", " } code { (scope) }
                    }
                }
                p.quiet { "Made " (time(key.created_at)) ", id " code { (key.id) } }
            }
            details {
                summary { "Revoke" span.sr { " the key " (key.name()) } }
                p {
                    "Calls with it are refused after 5 seconds at the latest."
                    @if is_own { strong { " You are signed in with it, so this ends your \
                        session." } }
                }
                (post_form(visitor, &format!("{PATH}/keys/{}/revoke", key.id), html! {
                    button.danger type="submit" {
                        "Revoke" span.sr { " the key " (key.name()) }
                        @if is_own { " and sign out" }
                    }
                }))
            }
        }
    }
}

fn controls(visitor: &Visitor, entered: &Entered) -> Markup {
    let field = |name, label, hint| entered.control(name, label, hint);
    let scopes = Scope::ALL.into_iter().filter(|scope| visitor.may(*scope));
    let chosen = |name: &str| entered.fields.all("scopes").any(|chosen| chosen == name);
    let environments = [("live", "live"), ("test", "test")];
    html! {
        (field("name", "Name", "A note about who uses it, up to 256 bytes.").line(false))
        (field("scopes", "Scopes", "What the key may do: at least one, and nothing that your own \
            key may not.")
            .choices(scopes.map(|scope| (scope.name(), about(scope))), chosen))
        @if !visitor.is_in_test_mode() {
            (field("environment", "Mode", "A test key reaches test mode alone, and begins with \
                spk_test_.")
                .choice(environments.into_iter()))
        }
        @if visitor.may(Scope::WorkspacesManage) {
            (field("workspace", "Workspace", "This workspace unless another is given. A new name \
                makes a new workspace.")
                .line(false))
        }
        button.primary type="submit" { "Make the key" }
    }
}

fn about(scope: Scope) -> &'static str {
    match scope {
        Scope::WebhooksManage => "webhooks, their history and replays",
        Scope::EventsPublish => "publishing events, and simulations",
        Scope::EventsRead => "reading events and event types",
        Scope::EventsManage => "the workspace’s own event types",
        Scope::KeysManage => "API keys of this workspace",
        Scope::WorkspacesManage => "keys of other workspaces",
    }
}

/// Makes a key, which the next page shows once.
pub(super) async fn make(Posted { visitor, fields }: Posted) -> Result<Response, Trouble> {
    let body = body(&fields);
    match visitor.send::<Key>(Method::POST, "/keys", Some(&body)).await? {
        Ok(made) => {
            let Key { key, workspace, environment, .. } = made;
            let name = workspace.strip_suffix("~test").unwrap_or(&workspace);
            let text = format!("The key was made. It is for {name} in {environment} mode.");
            visitor.go_with(PATH, Note { text, secret: key }).await
        }
        Err(refusal) => {
            let key = Entered::refused(fields, refusal, &NAMES);
            page(&visitor, Forms { key, ..Forms::default() }).await
        }
    }
}

/// The body of the call. What is left empty is left to the API.
fn body(fields: &Fields) -> Value {
    let scopes: Vec<&str> = fields.all("scopes").collect();
    let mut body = Map::new();
    body.insert("scopes".to_owned(), json!(scopes));
    for name in ["name", "environment", "workspace"] {
        let text = fields.text(name);
        if !text.is_empty() {
            body.insert(name.to_owned(), json!(text));
        }
    }
    Value::Object(body)
}

/// Revokes a key. That of the visitor ends the session.
pub(super) async fn revoke(
    Path(id): Path<String>,
    Posted { visitor, .. }: Posted,
) -> Result<Response, Trouble> {
    let id: KeyId = id.parse().map_err(|_| Trouble::NotFound)?;
    let path = format!("/keys/{id}");
    let revoked = visitor.send::<IgnoredAny>(Method::DELETE, &path, None).await?;
    revoked.map_err(Trouble::Refused)?;
    if id != visitor.key.id {
        return visitor.go(PATH, "The key was revoked.").await;
    }
    let mut response = layout::redirect("/console/sign-in")?;
    cookie::add(&mut response, Cookie::Session.forget(visitor.kept)?);
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_empty_is_left_to_the_api() {
        let of = |form: &str| body(&Fields::parse(form.as_bytes()));
        assert_eq!(
            of("name=+shop+&scopes=events%3Apublish&scopes=events%3Aread\
                    &environment=test&workspace="),
            json!({
                "name": "shop", "scopes": ["events:publish", "events:read"], "environment": "test"
            })
        );
        assert_eq!(of("name="), json!({ "scopes": [] }));
    }
}
