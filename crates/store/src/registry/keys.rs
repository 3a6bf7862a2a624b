use aws_sdk_dynamodb::types::{Delete, Put, TransactWriteItem};
use posthaste_domain::{
    api_key::{KeyHash, KeyInfo},
    id::KeyId,
    workspace::Workspace,
};

use super::{Registry, partition};
use crate::{
    Page, StoreError,
    item::{Item, Read, key, text},
};

const SK_PREFIX: &str = "key#";

impl Registry {
    /// Stores a key under its hash and in its workspace's list. Storing the same key again changes nothing.
    pub async fn insert_key(&self, hash: &KeyHash, info: &KeyInfo) -> Result<(), StoreError> {
        let json = text(serde_json::to_string(info)?);
        let put = |mut item: Item, extra: Option<&KeyHash>| {
            item.insert("info".to_owned(), json.clone());
            item.extend(extra.map(|hash| ("hash".to_owned(), text(hash.as_str()))));
            let put = Put::builder().table_name(&self.table).set_item(Some(item)).build();
            put.map(|put| TransactWriteItem::builder().put(put).build())
                .map_err(|error| StoreError::incomplete("TransactWriteItems", error))
        };
        let by_hash = put(hash_key(hash), None)?;
        let listed = put(list_key(&info.workspace, info.id), Some(hash))?;
        let write = self.client.transact_write_items().transact_items(by_hash).transact_items(listed);
        write.send().await.map_err(StoreError::call("TransactWriteItems"))?;
        Ok(())
    }

    /// What is known of the key with this hash, read strongly consistently: a deleted key is refused from then on.
    pub async fn key(&self, hash: &KeyHash) -> Result<Option<KeyInfo>, StoreError> {
        let get = self.client.get_item().table_name(&self.table).set_key(Some(hash_key(hash))).consistent_read(true);
        let answer = get.send().await.map_err(StoreError::call("GetItem"))?;
        answer.item.map(|item| item.json("info")).transpose()
    }

    /// A page of a workspace's keys, by the time they were made.
    pub async fn keys_page(
        &self,
        workspace: &Workspace,
        limit: u16,
        after: Option<KeyId>,
    ) -> Result<Page<KeyInfo, KeyId>, StoreError> {
        let start = after.map(|id| list_key(workspace, id));
        // One more than is asked for tells whether there is another page.
        let query = self.beginning_with(workspace, SK_PREFIX, start).limit(i32::from(limit) + 1);
        let answer = query.send().await.map_err(StoreError::call("Query"))?;
        let mut items: Vec<KeyInfo> = answer.items().iter().map(|item| item.json("info")).collect::<Result<_, _>>()?;
        let more = answer.last_evaluated_key.is_some() || items.len() > usize::from(limit);
        items.truncate(usize::from(limit));
        let next = if more { items.last().map(|info| info.id) } else { None };
        Ok(Page { items, next })
    }

    /// The key with this id, and its hash, if the workspace has one, read strongly consistently.
    pub async fn listed_key(&self, workspace: &Workspace, id: KeyId) -> Result<Option<(KeyInfo, KeyHash)>, StoreError> {
        let listed = list_key(workspace, id);
        let get = self.client.get_item().table_name(&self.table).set_key(Some(listed)).consistent_read(true);
        let answer = get.send().await.map_err(StoreError::call("GetItem"))?;
        answer.item.map(|item| Ok((item.json("info")?, KeyHash::from(item.text("hash")?.to_owned())))).transpose()
    }

    /// Deletes a key. Deleting one that is gone changes nothing.
    pub async fn delete_key(&self, info: &KeyInfo, hash: &KeyHash) -> Result<(), StoreError> {
        let listed = list_key(&info.workspace, info.id);
        let delete = |key: Item| {
            let delete = Delete::builder().table_name(&self.table).set_key(Some(key)).build();
            delete
                .map(|delete| TransactWriteItem::builder().delete(delete).build())
                .map_err(|error| StoreError::incomplete("TransactWriteItems", error))
        };
        let write =
            self.client.transact_write_items().transact_items(delete(hash_key(hash))?).transact_items(delete(listed)?);
        write.send().await.map_err(StoreError::call("TransactWriteItems"))?;
        Ok(())
    }
}

fn hash_key(hash: &KeyHash) -> Item {
    key(format!("key#{}", hash.as_str()), "key")
}

fn list_key(workspace: &Workspace, id: KeyId) -> Item {
    key(partition(workspace), format!("{SK_PREFIX}{id}"))
}
