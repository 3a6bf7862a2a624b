//! The settings of workspaces.

use aws_sdk_dynamodb::types::AttributeValue;
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

/// Settings as they were read, with the text that another version may have written otherwise.
#[derive(Debug, Clone, Default)]
pub struct StoredSettings {
    /// The settings.
    pub settings: WorkspaceSettings,
    text: Option<AttributeValue>,
}

impl Workspaces {
    /// The settings of a workspace, read strongly consistently. One that has never changed them has
    /// the defaults.
    pub async fn settings(&self, workspace: &Workspace) -> Result<WorkspaceSettings, StoreError> {
        Ok(self.stored(workspace).await?.settings)
    }

    /// The same, to be changed.
    pub async fn stored(&self, workspace: &Workspace) -> Result<StoredSettings, StoreError> {
        let Some(item) = self.table.get(settings_key(workspace)).await? else {
            return Ok(StoredSettings::default());
        };
        Ok(StoredSettings { settings: read(&item)?, text: item.get(SETTINGS).cloned() })
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
        read: &StoredSettings,
        changed: &WorkspaceSettings,
    ) -> Result<bool, StoreError> {
        let item = settings_key(workspace).with(SETTINGS, json(changed)?);
        // A write whose answer got lost is repeated, and finds what it has written.
        let is_as_read =
            read.text.clone().map_or(Condition::no_item(), |text| Condition::Is(SETTINGS, text));
        let conditions =
            [Condition::Any(vec![is_as_read, Condition::Is(SETTINGS, json(changed)?)])];
        Ok(matches!(self.table.put(item, &conditions).await?, Outcome::Done(_)))
    }
}

fn read(item: &Item) -> Result<WorkspaceSettings, StoreError> {
    item.json(SETTINGS)
}

fn settings_key(workspace: &Workspace) -> Item {
    key(partition(workspace), SETTINGS)
}
