//! The settings of a webhook as a form, to register one and to change one. What is written for
//! people becomes the body of a call here; the API alone decides whether that can be taken.

mod body;
mod fields;
mod view;

use axum::{
    http::{Method, StatusCode},
    response::{IntoResponse, Response},
};
use posthaste_domain::{
    endpoint::url::UrlPolicy,
    webhook::{Registration, profile::Profile},
};
use serde_json::{Value, json};

use self::{body::Texts, view::Shown};
use super::{InPath, Webhook};
use crate::{
    api::Refusal,
    form::Posted,
    layout::Section,
    trouble::Trouble,
    visitor::{Note, Visitor},
};

/// The workspace, as far as the form needs it.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Workspace {
    default_profile: String,
}

/// The form for a new webhook.
pub(crate) async fn new(visitor: Visitor) -> Result<Response, Trouble> {
    let profile = default_profile(&visitor).await?;
    let none = Texts::default();
    let shown =
        Shown { webhook: None, profile: &profile, texts: &none, before: &none, refusal: None };
    Ok(visitor.show(Section::Webhooks, "Register a webhook", view::page(&visitor, &shown)))
}

/// Registers the webhook of a form.
pub(crate) async fn register(Posted { visitor, fields }: Posted) -> Result<Response, Trouble> {
    let texts = Texts::sent(&fields);
    let body = texts.body(&Texts::default());
    match visitor.send::<Value>(Method::POST, "/webhooks", Some(&body)).await? {
        Ok(registered) => {
            let text = format!("The webhook is registered. {}{SECRET}", warnings(&registered));
            let secret = registered["secret"].as_str().map(str::to_owned);
            let to = format!("/console/webhooks/{}", registered["id"]);
            visitor.go_with(&to, Note { text, secret }).await
        }
        Err(refusal) => {
            let profile = default_profile(&visitor).await?;
            let shown = Shown {
                webhook: None,
                profile: &profile,
                texts: &texts,
                before: &Texts::default(),
                refusal: Some(&refusal),
            };
            Ok(again(&visitor, &refusal, &shown, "Register a webhook"))
        }
    }
}

/// The form for a webhook's settings.
pub(crate) async fn edit(visitor: Visitor, InPath(id): InPath) -> Result<Response, Trouble> {
    let (webhook, stored) = read(&visitor, id).await?;
    let texts = Texts::of(&stored, &defaults(&webhook.profile));
    let shown = Shown {
        webhook: Some(&webhook),
        profile: &webhook.profile,
        texts: &texts,
        before: &texts,
        refusal: None,
    };
    Ok(visitor.show(Section::Webhooks, "Settings", view::page(&visitor, &shown)))
}

/// Changes what the form says differently from the settings in force.
pub(crate) async fn change(
    InPath(id): InPath,
    Posted { visitor, fields }: Posted,
) -> Result<Response, Trouble> {
    let (webhook, _) = read(&visitor, id).await?;
    let (texts, before) = (Texts::sent(&fields), Texts::shown(&fields));
    let body = texts.body(&before);
    let sent =
        visitor.send::<Value>(Method::PATCH, &format!("/webhooks/{id}"), Some(&body)).await?;
    match sent {
        Ok(changed) => {
            let text = format!("The settings are saved. {}", warnings(&changed));
            visitor.go(&webhook.page(), text.trim()).await
        }
        Err(refusal) => {
            let shown = Shown {
                webhook: Some(&webhook),
                profile: &webhook.profile,
                texts: &texts,
                before: &before,
                refusal: Some(&refusal),
            };
            Ok(again(&visitor, &refusal, &shown, "Settings"))
        }
    }
}

const SECRET: &str = "Its requests are signed with this secret:";

fn again(visitor: &Visitor, refusal: &Refusal, shown: &Shown<'_>, title: &str) -> Response {
    let status = if refusal.status.is_client_error() {
        refusal.status
    } else {
        StatusCode::INTERNAL_SERVER_ERROR
    };
    (status, visitor.show(Section::Webhooks, title, view::page(visitor, shown))).into_response()
}

/// The warnings of the API, as sentences.
pub(super) fn warnings(answer: &Value) -> String {
    let warnings = answer["warnings"].as_array().into_iter().flatten();
    let messages = warnings.filter_map(|warning| warning["message"].as_str());
    messages.map(|message| format!("Look at this: {message}. ")).collect()
}

/// A webhook, as its pages show it and as the API answers it.
async fn read(visitor: &Visitor, id: u64) -> Result<(Webhook, Value), Trouble> {
    let stored: Value = visitor.get(&format!("/webhooks/{id}")).await?;
    let webhook = serde_json::from_value(stored.clone()).map_err(Trouble::bug)?;
    Ok((webhook, stored))
}

async fn default_profile(visitor: &Visitor) -> Result<String, Trouble> {
    Ok(visitor.get::<Workspace>("/workspace").await?.default_profile)
}

/// The settings that a webhook of this profile has where it leaves all to its profile.
fn defaults(profile: &str) -> Value {
    let body = json!({ "url": "https://example.com/", "events": ["*"], "profile": profile });
    let policy = UrlPolicy::default();
    let registration =
        Registration::parse(body.to_string().as_bytes(), &policy, Profile::default());
    // Each profile alone makes a registration that can be taken; what is none has no defaults.
    let settings = registration.map(|registration| registration.settings.in_force());
    settings.ok().and_then(|settings| serde_json::to_value(settings).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_has_defaults() {
        for (name, _) in Profile::NAMES {
            let defaults = defaults(name);
            assert_eq!(defaults["profile"], name);
            assert!(defaults["format"].is_string(), "{defaults}");
        }
    }

    #[test]
    fn warnings_become_sentences() {
        let answer =
            json!({ "warnings": [{ "code": "x", "message": "no such type", "field": null }] });
        assert_eq!(warnings(&answer), "Look at this: no such type. ");
        assert_eq!(warnings(&json!({})), "");
    }
}
