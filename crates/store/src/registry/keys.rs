use posthaste_domain::{
    access::{
        api_key::{KeyHash, KeyInfo},
        workspace::Workspace,
    },
    id::KeyId,
};

use super::{List, partition};
use crate::{
    Page, StoreError,
    item::{Item, json, key, text},
    table::Table,
    write::Write,
};

const SK_PREFIX: &str = "key#";

/// The API keys of all workspaces.
#[derive(Debug, Clone)]
pub struct ApiKeys {
    pub(super) table: Table,
}

impl ApiKeys {
    /// Stores a key under its hash and in its workspace's list. Storing the same key again changes
    /// nothing.
    pub async fn insert(&self, hash: &KeyHash, info: &KeyInfo) -> Result<(), StoreError> {
        let by_hash = hash_key(hash).with("info", json(info)?);
        let listed = list_key(&info.reach(), info.id)
            .with("info", json(info)?)
            .with("hash", text(hash.as_str()));
        self.table.transact_whole(&[Write::Put(by_hash, vec![]), Write::Put(listed, vec![])]).await
    }

    /// Reads what is known of the key with this hash, strongly consistently: a deleted key is
    /// refused from then on.
    pub async fn get(&self, hash: &KeyHash) -> Result<Option<KeyInfo>, StoreError> {
        self.table.get(hash_key(hash)).await?.as_ref().map(read).transpose()
    }

    /// A page of a workspace's keys, by the time they were made.
    pub async fn page(
        &self,
        workspace: &Workspace,
        limit: u16,
        after: Option<KeyId>,
    ) -> Result<Page<KeyInfo, KeyId>, StoreError> {
        let start = after.map(|id| list_key(workspace, id));
        List { workspace, prefix: SK_PREFIX, start, limit }
            .page(&self.table, read, |info| info.id)
            .await
    }

    /// The key with this id, and its hash, if the workspace has one, read strongly consistently.
    pub async fn listed(
        &self,
        workspace: &Workspace,
        id: KeyId,
    ) -> Result<Option<(KeyInfo, KeyHash)>, StoreError> {
        let Some(item) = self.table.get(list_key(workspace, id)).await? else { return Ok(None) };
        Ok(Some((read(&item)?, KeyHash::from(item.text("hash")?.to_owned()))))
    }

    /// Deletes a key, which this workspace lists. Deleting one that is gone changes nothing.
    pub async fn delete(
        &self,
        workspace: &Workspace,
        id: KeyId,
        hash: &KeyHash,
    ) -> Result<(), StoreError> {
        let listed = list_key(workspace, id);
        self.table
            .transact_whole(&[Write::Delete(hash_key(hash), vec![]), Write::Delete(listed, vec![])])
            .await
    }
}

fn read(item: &Item) -> Result<KeyInfo, StoreError> {
    item.json("info")
}

fn hash_key(hash: &KeyHash) -> Item {
    key(format!("key#{}", hash.as_str()), "key")
}

fn list_key(workspace: &Workspace, id: KeyId) -> Item {
    key(partition(workspace), format!("{SK_PREFIX}{id}"))
}
