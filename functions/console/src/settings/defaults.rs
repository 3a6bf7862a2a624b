//! The defaults of the workspace, and the form that changes them.

use axum::{http::Method, response::Response};
use maud::{Markup, html};
use posthaste_domain::webhook::profile::Profile;
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Map, Value, json};

use super::{Forms, PATH, page};
use crate::{
    control::Entered,
    form::{Fields, Posted},
    layout::post_form,
    trouble::Trouble,
    visitor::Visitor,
};

const NAMES: [&str; 3] = ["defaultProfile", "catalogue", "processTypes"];
/// The choice that goes back to the deployment's profile.
const DEPLOYMENT: &str = "deployment";
/// The field with the profile that the form showed first.
const SHOWN_PROFILE: &str = "shownProfile";

/// The settings in force.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Workspace {
    name: String,
    environment: String,
    default_profile: String,
    catalogue: String,
    process_types: Vec<String>,
}

/// The card with the form, which shows what holds unless something was entered.
pub(super) async fn card(visitor: &Visitor, entered: Option<&Entered>) -> Result<Markup, Trouble> {
    let workspace: Workspace = visitor.get("/workspace").await?;
    let fresh = Entered::fresh(Fields::of([
        ("defaultProfile", workspace.default_profile.clone()),
        ("catalogue", workspace.catalogue.clone()),
        ("processTypes", workspace.process_types.join("\n")),
        (SHOWN_PROFILE, workspace.default_profile.clone()),
    ]));
    let entered = entered.unwrap_or(&fresh);
    Ok(html! {
        section.card aria-labelledby="workspace-title" {
            h2 id="workspace-title" {
                "Workspace " (workspace.name) " in " (workspace.environment) " mode"
            }
            (post_form(visitor, &format!("{PATH}/workspace"), controls(entered)))
        }
    })
}

fn controls(entered: &Entered) -> Markup {
    let field = |name, label, hint| entered.control(name, label, hint);
    let profiles = Profile::NAMES.into_iter().map(|(name, _)| (name, name));
    let deployment = (DEPLOYMENT, "back to the deployment’s default");
    let catalogues = [
        ("open", "open: types that nobody has described are taken"),
        ("closed", "closed: only described types are taken"),
    ];
    html! {
        input type="hidden" name=(SHOWN_PROFILE) value=(entered.fields.text(SHOWN_PROFILE));
        (field(
            "defaultProfile",
            "Default profile",
            "The profile of webhooks that are registered without one. Webhooks keep the profile \
                that they have.",
        ).choice(profiles.chain([deployment])))
        (field(
            "catalogue",
            "Catalogue",
            "Whether events and subscriptions of unknown types are taken.",
        ).choice(catalogues.into_iter()))
        (field(
            "processTypes",
            "Process types",
            "The process types that the workspace has beside those of the documents: one in a \
                line, up to 100.",
        ).area(5))
        button.primary type="submit" { "Save" span.sr { " the settings of the workspace" } }
    }
}

/// Changes the settings.
pub(super) async fn change(Posted { visitor, fields }: Posted) -> Result<Response, Trouble> {
    let body = body(&fields);
    match visitor.send::<IgnoredAny>(Method::PATCH, "/workspace", Some(&body)).await? {
        Ok(_) => visitor.go(PATH, "The settings of the workspace were saved.").await,
        Err(refusal) => {
            let defaults = Some(Entered::refused(fields, refusal, &NAMES));
            page(&visitor, Forms { defaults, ..Forms::default() }).await
        }
    }
}

/// The body of the call. The profile that was shown may be the deployment's, so it becomes the
/// workspace's own only where somebody has chosen it.
fn body(fields: &Fields) -> Value {
    let mut body = Map::new();
    let profile = fields.text("defaultProfile");
    if profile == DEPLOYMENT {
        body.insert("defaultProfile".to_owned(), Value::Null);
    } else if profile != fields.text(SHOWN_PROFILE) {
        body.insert("defaultProfile".to_owned(), json!(profile));
    }
    if fields.has("catalogue") {
        body.insert("catalogue".to_owned(), json!(fields.text("catalogue")));
    }
    if fields.has("processTypes") {
        let lines = fields.text("processTypes").lines().map(str::trim);
        let types: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
        body.insert("processTypes".to_owned(), json!(types));
    }
    Value::Object(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(form: &str) -> Value {
        body(&Fields::parse(form.as_bytes()))
    }

    #[test]
    fn a_form_names_what_it_changes() {
        assert_eq!(
            of("shownProfile=standard&defaultProfile=spektr&catalogue=closed\
                    &processTypes=kyb%0D%0A%0D%0A+b+"),
            json!({
                "defaultProfile": "spektr", "catalogue": "closed", "processTypes": ["kyb", "b"]
            })
        );
        assert_eq!(of("defaultProfile=deployment"), json!({ "defaultProfile": null }));
        assert_eq!(
            of("shownProfile=standard&defaultProfile=standard&processTypes="),
            json!({ "processTypes": [] }),
            "the deployment's profile does not become the workspace's"
        );
    }
}
