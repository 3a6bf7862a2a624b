use aws_sdk_dynamodb::types::ReturnValue;
use posthaste_domain::{event_type::EventType, own_type::OwnEventType, workspace::Workspace};

use super::{Registry, partition};
use crate::{
    Page, StoreError,
    batch::{self, Found, Reading},
    item::{Item, Read, SK, key, text},
};

const SK_PREFIX: &str = "type#";
const TYPE: &str = "type";

/// One type of one workspace.
pub type OwnType = (Workspace, EventType);

impl Registry {
    /// Stores a type of a workspace's own, or replaces it.
    pub async fn put_type(&self, workspace: &Workspace, own: &OwnEventType) -> Result<(), StoreError> {
        let mut item = type_key(workspace, &own.name);
        item.insert(TYPE.to_owned(), text(serde_json::to_string(own)?));
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item));
        put.send().await.map_err(StoreError::call("PutItem"))?;
        Ok(())
    }

    /// Deletes a type. False when there is none.
    pub async fn delete_type(&self, workspace: &Workspace, name: &EventType) -> Result<bool, StoreError> {
        let delete = self
            .client
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(type_key(workspace, name)))
            .return_values(ReturnValue::AllOld);
        let answer = delete.send().await.map_err(StoreError::call("DeleteItem"))?;
        Ok(answer.attributes.is_some())
    }

    /// Those of these types that exist.
    pub async fn types_by_name(&self, wanted: impl IntoIterator<Item = OwnType>) -> Found<OwnType, OwnEventType> {
        let reading = Reading { client: &self.client, table: &self.table, consistent: true, attributes: &[TYPE] };
        let keys = wanted.into_iter().map(|(workspace, name)| {
            let key = type_key(&workspace, &name);
            ((workspace, name), key)
        });
        batch::get(reading, keys, |item| item.json(TYPE)).await
    }

    /// A page of a workspace's types, by name.
    pub async fn types(
        &self,
        workspace: &Workspace,
        limit: u16,
        after: Option<&EventType>,
    ) -> Result<Page<OwnEventType, EventType>, StoreError> {
        let start = after.map(|name| type_key(workspace, name));
        // One more than is asked for tells whether there is another page.
        let query = self.beginning_with(workspace, SK_PREFIX, start).limit(i32::from(limit) + 1);
        let answer = query.send().await.map_err(StoreError::call("Query"))?;
        let mut items: Vec<OwnEventType> =
            answer.items().iter().map(|item| item.json(TYPE)).collect::<Result<_, _>>()?;
        let more = answer.last_evaluated_key.is_some() || items.len() > usize::from(limit);
        items.truncate(usize::from(limit));
        let next = if more { items.last().map(|own| own.name.clone()) } else { None };
        Ok(Page { items, next })
    }

    /// The names of all types of a workspace.
    pub async fn type_names(&self, workspace: &Workspace) -> Result<Vec<EventType>, StoreError> {
        let mut names = Vec::new();
        let mut items =
            self.beginning_with(workspace, SK_PREFIX, None).projection_expression(SK).into_paginator().items().send();
        while let Some(item) = items.try_next().await.map_err(StoreError::call("Query"))? {
            let name = item.text(SK)?.strip_prefix(SK_PREFIX).and_then(|name| EventType::parse(name).ok());
            names.push(name.ok_or_else(|| item.corrupt(SK))?);
        }
        Ok(names)
    }
}

fn type_key(workspace: &Workspace, name: &EventType) -> Item {
    key(partition(workspace), format!("{SK_PREFIX}{name}"))
}
