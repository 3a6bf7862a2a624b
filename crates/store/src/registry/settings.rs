//! The settings of workspaces.

use posthaste_domain::{access::workspace::Workspace, webhook::defaults::WorkspaceSettings};

use super::partition;
use crate::{
    StoreError,
    batch::{self, Found, Reading},
    item::{Item, json, key},
    table::{Outcome, Table},
    write::Condition,
};

const SETTINGS: &str = "settings";

/// The settings of all workspaces.
#[derive(Debug, Clone)]
pub struct Workspaces {
    pub(super) table: Table,
}

impl Workspaces {
    /// The settings of a workspace, read strongly consistently. One that has never changed them has
    /// the defaults.
    pub async fn settings(&self, workspace: &Workspace) -> Result<WorkspaceSettings, StoreError> {
        let item = self.table.get(settings_key(workspace)).await?;
        item.as_ref().map_or(Ok(WorkspaceSettings::default()), read)
    }

    /// The settings of those of these workspaces that have changed them.
    pub async fn settings_of(
        &self,
        workspaces: impl IntoIterator<Item = Workspace>,
    ) -> Found<Workspace, WorkspaceSettings> {
        let reading =
            Reading { table: &self.table, consistent: true, attributes: &[SETTINGS], read };
        let keys = workspaces.into_iter().map(|workspace| {
            let key = settings_key(&workspace);
            (workspace, key)
        });
        batch::get(reading, keys).await
    }

    /// Replaces the settings that were `read`. Returns false if they are others by now.
    pub async fn change_settings(
        &self,
        workspace: &Workspace,
        read: &WorkspaceSettings,
        changed: &WorkspaceSettings,
    ) -> Result<bool, StoreError> {
        let item = settings_key(workspace).with(SETTINGS, json(changed)?);
        // A write whose answer got lost is repeated, and finds what it has written.
        let conditions = [Condition::Any(vec![
            Condition::no_item(),
            Condition::Is(SETTINGS, json(read)?),
            Condition::Is(SETTINGS, json(changed)?),
        ])];
        Ok(matches!(self.table.put(item, &conditions).await?, Outcome::Done(_)))
    }
}

fn read(item: &Item) -> Result<WorkspaceSettings, StoreError> {
    item.json(SETTINGS)
}

fn settings_key(workspace: &Workspace) -> Item {
    key(partition(workspace), SETTINGS)
}
