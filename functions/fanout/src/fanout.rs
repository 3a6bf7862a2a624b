//! Who gets an event.
//!
//! Actors: the poller hands over up to ten records; this stores their events, reads each workspace's webhooks once, and sends a
//! task for every webhook that wants an event.
//!
//! Guarantees: an event is done only when it is stored and every one of its tasks is on the queue. Storing comes first, since
//! a task may refer to its event. When this dies or a call fails in between, the record comes again and all its tasks are sent
//! again: their delivery ids are the same, so the copies meet in one record. Each workspace and each record fails for itself.
//! The registry is read strongly consistently and nothing is kept between invocations, so a webhook that was registered before
//! the event was accepted gets it, and one that was deleted or paused before does not.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures::future::join_all;
use posthaste_domain::{
    event::Event,
    id::{Cause, DeliveryId},
    task::Task,
    webhook::Webhook,
    workspace::Workspace,
};
use posthaste_queue::{Message, Queue};
use posthaste_runtime::{
    batch::{Fate, Record},
    deadline::Deadline,
};
use posthaste_store::{Events, Registry, StoreError};

/// What fan-out works with.
#[derive(Debug)]
pub(crate) struct Fanout {
    pub(crate) registry: Registry,
    pub(crate) events: Events,
    pub(crate) deliveries: Queue,
    pub(crate) retention: Duration,
}

/// An event and the record that brought it.
struct Arrived {
    record: usize,
    event: Event,
}

impl Fanout {
    /// What becomes of each record. What is not over by the deadline comes again.
    pub(crate) async fn handle(&self, records: &[Record], deadline: Deadline) -> Vec<Fate> {
        let mut fates: Vec<Fate> = records.iter().map(Fate::after_our_fault).collect();
        let mut arrived = Vec::new();
        for (record, message) in records.iter().enumerate() {
            match Event::from_message(&message.body, &message.message_id, message.sent) {
                Ok(event) => arrived.push(Arrived { record, event }),
                Err(invalid) => {
                    fates[record] = Fate::DeadLetter { reason: "unreadable_event", detail: invalid.to_string() }
                }
            }
        }
        match tokio::time::timeout_at(deadline.instant(), self.fan_out(&arrived)).await {
            Ok(done) => done.into_iter().for_each(|record| fates[record] = Fate::Done),
            Err(_) => tracing::error!("fan-out ran out of time"),
        }
        fates
    }

    /// Returns the records whose events are stored and whose tasks are all sent.
    async fn fan_out(&self, arrived: &[Arrived]) -> BTreeSet<usize> {
        if arrived.is_empty() {
            return BTreeSet::new();
        }
        let stored = self.events.put(arrived.iter().map(|arrived| &arrived.event), self.retention);
        let (stored, webhooks) = tokio::join!(stored, self.webhooks(arrived));
        if let Err(error) = stored {
            tracing::error!(%error, "the events could not be stored");
            return BTreeSet::new();
        }
        let mut done = BTreeSet::new();
        let mut tasks = Vec::new();
        for Arrived { record, event } in arrived {
            let Some(webhooks) = webhooks.get(&event.workspace) else { continue };
            match tasks_of(event, webhooks) {
                Ok(messages) => {
                    tracing::info!(event.id = %event.id, event.r#type = %event.event_type, workspace = %event.workspace, deliveries = messages.len(), "fanned out");
                    tasks.extend(messages.into_iter().map(|message| (*record, message)));
                    done.insert(*record);
                }
                Err(error) => tracing::error!(event.id = %event.id, %error, "a task can't be written"),
            }
        }
        let (records, messages): (Vec<usize>, Vec<Message>) = tasks.into_iter().unzip();
        for (at, error) in self.deliveries.send(&messages).await {
            tracing::error!(%error, "a task could not be sent");
            done.remove(&records[at]);
        }
        done
    }

    /// The webhooks of every workspace that could be read.
    async fn webhooks(&self, arrived: &[Arrived]) -> BTreeMap<Workspace, Vec<Webhook>> {
        let workspaces: BTreeSet<&Workspace> = arrived.iter().map(|arrived| &arrived.event.workspace).collect();
        let queries =
            workspaces.into_iter().map(async |workspace| (workspace, self.registry.webhooks(workspace).await));
        let read = |(workspace, webhooks): (&Workspace, Result<Vec<Webhook>, StoreError>)| match webhooks {
            Ok(webhooks) => Some((workspace.clone(), webhooks)),
            Err(error) => {
                tracing::error!(%workspace, %error, "a workspace's webhooks could not be read");
                None
            }
        };
        join_all(queries).await.into_iter().filter_map(read).collect()
    }
}

/// The webhook is the message group, so that no webhook's backlog delays another's deliveries.
fn tasks_of(event: &Event, webhooks: &[Webhook]) -> serde_json::Result<Vec<Message>> {
    let message = |webhook: &Webhook| {
        let delivery = DeliveryId::derive(event.id, webhook.id, Cause::Published);
        let body = Task::message(event, webhook.id, delivery)?;
        Ok(Message { body, group: Some(webhook.id.to_string()), attributes: Vec::new() })
    };
    webhooks.iter().filter(|webhook| webhook.wants(event)).map(message).collect()
}
