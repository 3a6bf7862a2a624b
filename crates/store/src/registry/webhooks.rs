use aws_sdk_dynamodb::types::ReturnValue;
use posthaste_domain::{
    access::workspace::Workspace,
    fanout::subscription::Subscription,
    id::WebhookId,
    webhook::{Settings, Webhook, key::WebhookKey},
};

use super::{List, Replaced, RoutingIndex, Written, beginning_with, health, partition, revisions};
use crate::{
    Found, Page, StoreError,
    batch::{self, Reading},
    item::{Item, PK, SK, json, key, number, text},
    table::{Answer, Table},
    write::{Condition, Update, Write},
};

/// The webhooks of all workspaces. Each is written together with what the routing index says of it.
#[derive(Debug, Clone)]
pub struct Webhooks {
    pub(crate) table: Table,
    pub(super) routing: RoutingIndex,
}

/// All webhooks of one workspace.
#[derive(Debug, Clone, Default)]
pub struct AllWebhooks {
    /// Those that could be read, by id.
    pub webhooks: Vec<Webhook>,
    /// Those whose item is not what this version writes. Why is in the log.
    pub unreadable: Vec<WebhookId>,
}

pub(super) const SK_PREFIX: &str = "webhook#";

impl Webhooks {
    /// The next id. Numbers may be left out, when a registration dies before its webhook is stored,
    /// but never come twice.
    pub async fn next_id(&self) -> Result<WebhookId, StoreError> {
        let update = Update::at(key("counter", "webhook")).add("value", number(1));
        let counter = self.table.update_and_read(update, ReturnValue::UpdatedNew).await?.item();
        counter.number("value").map(WebhookId)
    }

    /// Stores a new webhook. Never over another one; when the SDK repeats a call whose answer got
    /// lost, it finds its own item. `most` is how many webhooks the workspace may have.
    pub async fn insert(&self, webhook: &Webhook, most: usize) -> Result<Written, StoreError> {
        let is_ours = Condition::Is("secrets", json(&webhook.secrets)?);
        let conditions = vec![Condition::Any(vec![Condition::no_item(), is_ours])];
        let put = Write::Put(write(webhook)?, conditions);
        let subscription = Subscription::of(webhook);
        self.write_with_index(&webhook.key, Some(&subscription), most, &[put]).await
    }

    /// Changes the revision that was read, which is kept for the history, and forgets what its
    /// endpoint did if `afresh`.
    pub async fn change(
        &self,
        webhook: &Webhook,
        was: Replaced<'_>,
        afresh: bool,
    ) -> Result<Written, StoreError> {
        let read = was.webhook.revision;
        let forgotten: &[&str] = if afresh { &health::FORGET } else { &[] };
        let update = Update::at(webhook_key(&webhook.key))
            .set("settings", json(&webhook.settings)?)
            .set("secrets", json(&webhook.secrets)?)
            .set("headers", json(&webhook.headers)?)
            .set("updatedAt", text(webhook.updated_at.to_string()))
            .set("revision", number(read + 1))
            .remove_all(forgotten)
            .only_if(Condition::Is("revision", number(read)));
        let subscription = Subscription::of(webhook);
        let writes = [Write::Update(update), revisions::kept(was)?];
        if subscription == Subscription::of(was.webhook) {
            // The routing index does not show this change.
            return self.write_without_index(&webhook.key, &writes).await;
        }
        self.write_with_index(&webhook.key, Some(&subscription), usize::MAX, &writes).await
    }

    /// One webhook, read strongly consistently.
    pub async fn get(&self, webhook: &WebhookKey) -> Result<Option<Webhook>, StoreError> {
        let item = self.table.get(webhook_key(webhook)).await?;
        item.as_ref().map(read).transpose()
    }

    /// Tells which of these webhooks a workspace has, read strongly with one call for up to 100.
    pub async fn existing(&self, workspace: &Workspace, ids: &[WebhookId]) -> Found<WebhookId, ()> {
        let reading = Reading {
            table: &self.table,
            consistent: true,
            attributes: &["revision"],
            read: |_| Ok(()),
        };
        let keys = ids
            .iter()
            .map(|id| (*id, webhook_key(&WebhookKey { workspace: workspace.clone(), id: *id })));
        batch::get(reading, keys).await
    }

    /// All webhooks of a workspace, by id, read strongly consistently: what is registered before an
    /// event gets that event.
    pub async fn all(&self, workspace: &Workspace) -> Result<AllWebhooks, StoreError> {
        let mut all = AllWebhooks::default();
        let mut start = None;
        loop {
            let answer =
                Answer::to(beginning_with(&self.table, workspace, SK_PREFIX, start)).await?;
            for item in &answer.items {
                match read(item) {
                    Ok(webhook) => all.webhooks.push(webhook),
                    Err(error) => {
                        tracing::error!(%error, "a webhook can't be read");
                        all.unreadable.extend(id_of(item));
                    }
                }
            }
            start = answer.next;
            if start.is_none() {
                return Ok(all);
            }
        }
    }

    /// A page of a workspace's webhooks, by id.
    pub async fn page(
        &self,
        workspace: &Workspace,
        limit: u16,
        after: Option<WebhookId>,
    ) -> Result<Page<Webhook, WebhookId>, StoreError> {
        let start = after.map(|id| webhook_key(&WebhookKey { workspace: workspace.clone(), id }));
        List { workspace, prefix: SK_PREFIX, start, limit }
            .page(&self.table, read, |webhook| webhook.key.id)
            .await
    }

    /// Deletes the revision that was read, which is kept for the history. Without one, whatever
    /// there is of the webhook is deleted, for its item can't be read.
    pub async fn delete(
        &self,
        webhook: &WebhookKey,
        was: Option<Replaced<'_>>,
    ) -> Result<Written, StoreError> {
        let delete = |condition| Write::Delete(webhook_key(webhook), vec![condition]);
        let writes = match was {
            Some(was) => {
                let read = Condition::Is("revision", number(was.webhook.revision));
                vec![delete(read), revisions::removed(was)?]
            }
            None => vec![delete(Condition::some_item())],
        };
        self.write_with_index(webhook, None, usize::MAX, &writes).await
    }
}

pub(crate) fn webhook_key(webhook: &WebhookKey) -> Item {
    key(partition(&webhook.workspace), format!("{SK_PREFIX}{:020}", webhook.id.0))
}

fn write(webhook: &Webhook) -> Result<Item, StoreError> {
    Ok(webhook_key(&webhook.key)
        .with("settings", json(&webhook.settings)?)
        .with("secrets", json(&webhook.secrets)?)
        .with("headers", json(&webhook.headers)?)
        .with("createdAt", text(webhook.created_at.to_string()))
        .with("updatedAt", text(webhook.updated_at.to_string()))
        .with("revision", number(webhook.revision)))
}

pub(super) fn id_of(item: &Item) -> Option<WebhookId> {
    item.text(SK).ok()?.strip_prefix(SK_PREFIX)?.parse().ok()
}

pub(crate) fn read(item: &Item) -> Result<Webhook, StoreError> {
    let workspace =
        item.text(PK)?.strip_prefix("workspace#").and_then(|name| Workspace::parse(name).ok());
    Ok(Webhook {
        key: WebhookKey {
            id: id_of(item).ok_or_else(|| item.corrupt(SK))?,
            workspace: workspace.ok_or_else(|| item.corrupt(PK))?,
        },
        settings: item.json::<Settings>("settings")?,
        secrets: item.json("secrets")?,
        headers: item.json("headers")?,
        created_at: item.parsed("createdAt")?,
        updated_at: item.parsed("updatedAt")?,
        health: health::read(item)?,
        revision: item.number("revision")?,
    })
}
