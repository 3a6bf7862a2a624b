use posthaste_domain::{
    access::workspace::{Environment, Workspace},
    webhook::{defaults::WorkspaceSettings, profile::Profile},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::openapi::schema;

/// A workspace with the settings that are in force.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = WorkspaceDetails)]
pub struct WorkspaceAnswer {
    /// The name of the workspace.
    pub name: String,
    /// The environment of the API key. Each of the two has settings of its own.
    pub environment: Environment,
    /// The settings in force.
    #[serde(flatten)]
    #[schema(value_type = schema::WorkspaceInForce, inline)]
    pub settings: WorkspaceSettings,
}

impl WorkspaceAnswer {
    /// Returns the answer for a workspace, in a deployment with this default profile.
    pub fn of(workspace: &Workspace, settings: WorkspaceSettings, default: Profile) -> Self {
        let default_profile = Some(settings.default_profile.unwrap_or(default));
        Self {
            name: workspace.name().to_owned(),
            environment: workspace.environment(),
            settings: WorkspaceSettings { default_profile, ..settings },
        }
    }
}
