//! `/api/v1/workspace`

use posthaste_domain::{
    access::{api_key::Scope, workspace::Workspace},
    webhook::{
        defaults::{Catalogue, WorkspaceSettings},
        profile::Profile,
    },
};
use serde_json::{Value, json};
use utoipa::openapi::HttpMethod;

use super::{call::Call, example::shown, refusal::Refusal, webhooks};
use crate::WorkspaceAnswer;

const ONE: &str = "/api/v1/workspace";
const TAG: &str = "Workspace";
const SCOPE: Scope = Scope::WebhooksManage;

pub(super) fn calls() -> [Call; 2] {
    [show(), change()]
}

fn show() -> Call {
    Call::new(HttpMethod::Get, ONE, "getWorkspace", "Read the workspace's settings")
        .tag(TAG)
        .needs(SCOPE, "The workspace is that of the API key.")
        .answers::<WorkspaceAnswer>(
            200,
            "The workspace, with the settings in force.",
            [("asItBegan", answered(WorkspaceSettings::default()))],
        )
}

fn change() -> Call {
    let spectra = json!({ "defaultProfile": "spectra" });
    Call::new(HttpMethod::Patch, ONE, "changeWorkspace", "Change the workspace's settings")
        .tag(TAG)
        .needs(SCOPE, CHANGING)
        .takes::<WorkspaceSettings>([
            ("defaultProfile", Some(spectra)),
            ("closed", Some(json!({ "catalogue": "closed" }))),
            ("processTypes", Some(json!({ "processTypes": ["kyb", "periodic_review"] }))),
        ])
        .answers::<WorkspaceAnswer>(
            200,
            "The workspace as it is now.",
            [("defaultProfile", answered(of_spectra()))],
        )
        .refuses([
            Refusal::too_large_body(),
            Refusal::body(
                "unknown_field",
                "profile",
                r#"{"profile": "spectra"}"#,
                "profile is not a known field",
            ),
            Refusal::body(
                "invalid_catalogue",
                "catalogue",
                r#"{"catalogue": "shut"}"#,
                r#""shut" is not a catalogue; known are open, closed"#,
            ),
            Refusal::body(
                "invalid_process_type",
                "processTypes[0]",
                r#"{"processTypes": ["*"]}"#,
                r#""*" is a row of the filters, and no process type"#,
            ),
            webhooks::conflict(),
        ])
}

fn of_spectra() -> WorkspaceSettings {
    WorkspaceSettings {
        default_profile: Some(Profile::Spectra),
        catalogue: Catalogue::Open,
        process_types: Vec::new(),
    }
}

fn answered(settings: WorkspaceSettings) -> Option<Value> {
    let workspace = Workspace::parse("acme").ok()?;
    shown(WorkspaceAnswer::of(&workspace, settings, Profile::default()))
}

const CHANGING: &str = "\
A field that is absent stays, one that is `null` goes back to its default. Webhooks that are \
registered already keep their profile and their subscriptions. The catalogue's rule reaches events \
that are published from then on.";
