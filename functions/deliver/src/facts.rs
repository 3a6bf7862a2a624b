//! What has to be known before anything is sent: read for the whole batch, one call a table.

use std::collections::HashMap;

use posthaste_domain::{
    attempt::Progress,
    event::Event,
    id::{DeliveryId, WebhookId},
    task::{Content, Due, Task},
    webhook::{Credentials, Webhook},
    workspace::Workspace,
};
use posthaste_runtime::{batch::Record, keys::Keys};
use posthaste_store::{EventKey, Found};

use crate::deliver::Deliver;

/// What the tables say about the tasks of a batch.
#[derive(Default)]
pub(crate) struct Facts {
    pub(crate) webhooks: Found<(Workspace, WebhookId), Webhook>,
    /// Of the webhooks that exist.
    pub(crate) credentials: HashMap<WebhookId, Credentials>,
    pub(crate) events: Found<EventKey, Event>,
    pub(crate) progress: Found<DeliveryId, Progress>,
}

impl Facts {
    /// Reads the webhooks, the events that are not in their tasks, and the records of deliveries whose task came before. A task
    /// that comes for the first time has none, so none is read.
    pub(crate) async fn read(deliver: &Deliver, records: &[Record], tasks: &[(usize, Task<'_>)]) -> Self {
        let webhooks = tasks.iter().map(|(_, task)| (task.workspace.as_ref().clone(), task.webhook));
        let by_reference = tasks.iter().flat_map(|(_, task)| {
            let ids = task.deliveries.iter().filter_map(|due| match due.content {
                Content::Event(_) => None,
                Content::EventId(id) => Some(id),
            });
            ids.map(|id| (task.workspace.as_ref().clone(), id))
        });
        let seen = tasks.iter().filter(|(at, task)| !is_fresh(&records[*at], task));
        let seen = seen.flat_map(|(_, task)| {
            task.deliveries.iter().map(|due| (task.workspace.as_ref().clone(), task.webhook, due.id))
        });
        let (mut webhooks, events, progress, key) = tokio::join!(
            deliver.registry.webhooks_by_id(webhooks),
            deliver.events.get(by_reference),
            deliver.deliveries.progress(seen),
            deliver.keys.ready(),
        );
        let mut credentials = HashMap::new();
        match key {
            Ok(()) => credentials = open(&deliver.keys, &mut webhooks).await,
            Err(error) => {
                tracing::error!(%error, "the encryption key could not be read");
                webhooks.unread.extend(webhooks.items.drain().map(|(key, _)| key));
            }
        }
        Self { webhooks, credentials, events, progress }
    }

    /// Whether all that a task needs could be read. What does not exist has been read.
    pub(crate) fn know(&self, task: &Task<'_>) -> bool {
        let workspace = task.workspace.as_ref();
        !self.webhooks.unread.contains(&(workspace.clone(), task.webhook))
            && task.deliveries.iter().all(|due| {
                !self.progress.unread.contains(&due.id)
                    && !self.events.unread.contains(&(workspace.clone(), due.content.event_id()))
            })
    }

    /// The webhook of a task.
    pub(crate) fn webhook(&self, task: &Task<'_>) -> Option<&Webhook> {
        self.webhooks.items.get(&(task.workspace.as_ref().clone(), task.webhook))
    }

    /// The event of a delivery, wherever it is.
    pub(crate) fn event<'a>(&'a self, task: &Task<'_>, due: &'a Due<'_>) -> Option<&'a Event> {
        match &due.content {
            Content::Event(event) => Some(event),
            Content::EventId(id) => self.events.items.get(&(task.workspace.as_ref().clone(), *id)),
        }
    }
}

/// The credentials of these webhooks. One whose credentials do not open counts as unread: what is for it waits, as a fault of ours.
async fn open(keys: &Keys, webhooks: &mut Found<(Workspace, WebhookId), Webhook>) -> HashMap<WebhookId, Credentials> {
    let mut opened = HashMap::new();
    for (key, webhook) in &webhooks.items {
        match keys.open(webhook).await {
            Ok(credentials) => {
                opened.insert(webhook.id, credentials);
            }
            Err(error) => {
                tracing::error!(webhook.id = %webhook.id, %error, "a webhook's secrets can't be opened");
                webhooks.unread.insert(key.clone());
            }
        }
    }
    opened
}

/// Whether nothing can have been done yet for what a record asks.
pub(crate) fn is_fresh(record: &Record, task: &Task<'_>) -> bool {
    record.receives <= 1 && !record.redriven && !task.recorded
}
