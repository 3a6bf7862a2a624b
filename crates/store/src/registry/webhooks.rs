use aws_sdk_dynamodb::types::{AttributeValue, Delete, Put, ReturnValue, TransactWriteItem, Update};
use posthaste_domain::{
    id::WebhookId,
    subscription::Subscription,
    webhook::{Settings, Webhook},
    workspace::Workspace,
};

use super::{Registry, Written, health, partition};
use crate::{
    Page, StoreError,
    item::{Item, PK, Read, SK, key, number, text},
};

/// The webhooks of a workspace.
#[derive(Debug, Clone, Default)]
pub struct Webhooks {
    /// Those that could be read, by id.
    pub webhooks: Vec<Webhook>,
    /// Those whose item is not what this version writes. Why is in the log.
    pub unreadable: Vec<WebhookId>,
}

/// Which version of a webhook was read, so that a change is made to just that version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revision(u64);

pub(super) const SK_PREFIX: &str = "webhook#";

impl Registry {
    /// The next id. Numbers may be left out, when a registration dies before its webhook is stored, but never come twice.
    pub async fn next_webhook_id(&self) -> Result<WebhookId, StoreError> {
        let answer = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key("counter", "webhook")))
            .update_expression("ADD #value :one")
            .expression_attribute_names("#value", "value")
            .expression_attribute_values(":one", number(1))
            .return_values(ReturnValue::UpdatedNew)
            .send()
            .await
            .map_err(StoreError::call("UpdateItem"))?;
        answer.attributes.unwrap_or_default().number("value").map(WebhookId)
    }

    /// Stores a new webhook. Never over another one; when the SDK repeats a call whose answer got lost, it finds its own item. `most`
    /// is how many webhooks the workspace may have.
    pub async fn insert_webhook(&self, webhook: &Webhook, most: usize) -> Result<Written, StoreError> {
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(write(webhook, Revision(1))?))
            .condition_expression("attribute_not_exists(pk) OR secrets = :secrets")
            .expression_attribute_values(":secrets", text(serde_json::to_string(&webhook.secrets)?))
            .build()
            .map_err(|error| StoreError::incomplete("TransactWriteItems", error))?;
        let put = TransactWriteItem::builder().put(put).build();
        let subscription = Subscription::of(webhook);
        self.write_with_index(&webhook.workspace, webhook.id, Some(&subscription), most, put).await
    }

    /// Changes the version that was read, and forgets what its endpoint did if `afresh`. `was` is what it subscribed to.
    pub async fn change_webhook(
        &self,
        webhook: &Webhook,
        read: Revision,
        was: &Subscription,
        afresh: bool,
    ) -> Result<Written, StoreError> {
        let forget = if afresh { format!(" REMOVE {}", health::FORGET) } else { String::new() };
        let expression = format!(
            "SET settings = :settings, secrets = :secrets, headers = :headers, updatedAt = :at, revision = :next{forget}"
        );
        let update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(webhook_key(&webhook.workspace, webhook.id)))
            .update_expression(expression)
            .condition_expression("revision = :read")
            .expression_attribute_values(":settings", text(serde_json::to_string(&webhook.settings)?))
            .expression_attribute_values(":secrets", text(serde_json::to_string(&webhook.secrets)?))
            .expression_attribute_values(":headers", text(serde_json::to_string(&webhook.headers)?))
            .expression_attribute_values(":at", text(webhook.updated_at.to_string()))
            .expression_attribute_values(":next", number(read.0 + 1))
            .expression_attribute_values(":read", number(read.0))
            .build()
            .map_err(|error| StoreError::incomplete("TransactWriteItems", error))?;
        let subscription = Subscription::of(webhook);
        if subscription == *was {
            return self.change_alone(update).await;
        }
        let update = TransactWriteItem::builder().update(update).build();
        self.write_with_index(&webhook.workspace, webhook.id, Some(&subscription), usize::MAX, update).await
    }

    /// A change that the routing index does not show.
    async fn change_alone(&self, update: Update) -> Result<Written, StoreError> {
        let update = self
            .client
            .update_item()
            .table_name(update.table_name)
            .set_key(Some(update.key))
            .update_expression(update.update_expression)
            .set_condition_expression(update.condition_expression)
            .set_expression_attribute_values(update.expression_attribute_values);
        let done = StoreError::unless_refused("UpdateItem", update.send().await)?;
        Ok(if done { Written::Done } else { Written::Stale })
    }

    /// One webhook, read strongly consistently.
    pub async fn webhook(
        &self,
        workspace: &Workspace,
        id: WebhookId,
    ) -> Result<Option<(Webhook, Revision)>, StoreError> {
        let get = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(webhook_key(workspace, id)))
            .consistent_read(true);
        let answer = get.send().await.map_err(StoreError::call("GetItem"))?;
        answer.item.map(|item| Ok((read(&item)?, Revision(item.number("revision")?)))).transpose()
    }

    /// All webhooks of a workspace, by id, read strongly consistently: what is registered before an event gets that event.
    pub async fn webhooks(&self, workspace: &Workspace) -> Result<Webhooks, StoreError> {
        let mut all = Webhooks::default();
        let mut items = self.beginning_with(workspace, SK_PREFIX, None).into_paginator().items().send();
        while let Some(item) = items.try_next().await.map_err(StoreError::call("Query"))? {
            match read(&item) {
                Ok(webhook) => all.webhooks.push(webhook),
                Err(error) => {
                    tracing::error!(%error, "a webhook can't be read");
                    all.unreadable.extend(id_of(&item));
                }
            }
        }
        Ok(all)
    }

    /// A page of a workspace's webhooks, by id.
    pub async fn webhooks_page(
        &self,
        workspace: &Workspace,
        limit: u16,
        after: Option<WebhookId>,
    ) -> Result<Page<Webhook, WebhookId>, StoreError> {
        let start = after.map(|id| webhook_key(workspace, id));
        // One more than is asked for tells whether there is another page.
        let query = self.beginning_with(workspace, SK_PREFIX, start).limit(i32::from(limit) + 1);
        let answer = query.send().await.map_err(StoreError::call("Query"))?;
        let mut items = answer.items().iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let more = answer.last_evaluated_key.is_some() || items.len() > usize::from(limit);
        items.truncate(usize::from(limit));
        let next = if more { items.last().map(|webhook| webhook.id) } else { None };
        Ok(Page { items, next })
    }

    /// Deletes a webhook; stale where there is none.
    pub async fn delete_webhook(&self, workspace: &Workspace, id: WebhookId) -> Result<Written, StoreError> {
        let delete = Delete::builder()
            .table_name(&self.table)
            .set_key(Some(webhook_key(workspace, id)))
            .condition_expression("attribute_exists(pk)")
            .build()
            .map_err(|error| StoreError::incomplete("TransactWriteItems", error))?;
        let delete = TransactWriteItem::builder().delete(delete).build();
        self.write_with_index(workspace, id, None, usize::MAX, delete).await
    }
}

pub(crate) fn webhook_key(workspace: &Workspace, id: WebhookId) -> Item {
    key(partition(workspace), format!("{SK_PREFIX}{:020}", id.0))
}

fn write(webhook: &Webhook, revision: Revision) -> Result<Item, StoreError> {
    let mut item = webhook_key(&webhook.workspace, webhook.id);
    let attributes: [(&str, AttributeValue); 6] = [
        ("settings", text(serde_json::to_string(&webhook.settings)?)),
        ("secrets", text(serde_json::to_string(&webhook.secrets)?)),
        ("headers", text(serde_json::to_string(&webhook.headers)?)),
        ("createdAt", text(webhook.created_at.to_string())),
        ("updatedAt", text(webhook.updated_at.to_string())),
        ("revision", number(revision.0)),
    ];
    item.extend(attributes.map(|(name, value)| (name.to_owned(), value)));
    Ok(item)
}

pub(super) fn id_of(item: &Item) -> Option<WebhookId> {
    item.text(SK).ok()?.strip_prefix(SK_PREFIX)?.parse().ok()
}

pub(crate) fn read(item: &Item) -> Result<Webhook, StoreError> {
    let workspace = item.text(PK)?.strip_prefix("workspace#").and_then(|name| Workspace::parse(name).ok());
    Ok(Webhook {
        id: id_of(item).ok_or_else(|| item.corrupt(SK))?,
        workspace: workspace.ok_or_else(|| item.corrupt(PK))?,
        settings: item.json::<Settings>("settings")?,
        secrets: item.json("secrets")?,
        headers: item.json("headers")?,
        created_at: item.parsed("createdAt")?,
        updated_at: item.parsed("updatedAt")?,
        health: health::read(item)?,
    })
}
