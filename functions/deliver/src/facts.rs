//! What has to be known before anything is sent: read for the whole batch, one call a table.

use std::collections::HashMap;

use posthaste_domain::{
    attempt::Progress,
    event::Event,
    id::{DeliveryId, EventId, WebhookId},
    task::{Content, Task},
    webhook::Webhook,
    workspace::Workspace,
};
use posthaste_runtime::batch::Record;
use posthaste_store::StoreError;

use crate::deliver::Deliver;

/// What the tables say about the tasks of a batch.
#[derive(Default)]
pub(crate) struct Facts {
    pub(crate) webhooks: HashMap<(Workspace, WebhookId), Webhook>,
    pub(crate) events: HashMap<EventId, Event>,
    pub(crate) progress: HashMap<DeliveryId, Progress>,
}

impl Facts {
    /// Reads the webhooks, the events that are not in their tasks, and the records of deliveries whose message came before. A
    /// message that comes for the first time has no record, so its record is not read.
    pub(crate) async fn read(
        deliver: &Deliver,
        records: &[Record],
        tasks: &[(usize, Task<'_>)],
    ) -> Result<Self, StoreError> {
        let webhooks = tasks.iter().map(|(_, task)| (task.workspace.as_ref(), task.webhook));
        let by_reference = tasks.iter().filter_map(|(_, task)| match &task.content {
            Content::Event(_) => None,
            Content::EventId(id) => Some((task.workspace.as_ref().clone(), *id)),
        });
        let by_reference: Vec<(Workspace, EventId)> = by_reference.collect();
        let seen = tasks.iter().filter(|(at, _)| records[*at].receives > 1 || records[*at].redriven);
        let (webhooks, events, progress) = tokio::try_join!(
            deliver.registry.webhooks_by_id(webhooks),
            deliver.events.get(&by_reference),
            deliver.deliveries.progress(seen.map(|(_, task)| (task.webhook, task.delivery))),
        )?;
        Ok(Self { webhooks, events, progress })
    }

    /// The event of a task, wherever it is.
    pub(crate) fn event<'a>(&'a self, task: &'a Task<'_>) -> Option<&'a Event> {
        match &task.content {
            Content::Event(event) => Some(event),
            Content::EventId(id) => self.events.get(id),
        }
    }
}
