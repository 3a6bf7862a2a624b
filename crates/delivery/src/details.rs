//! The facts about single deliveries that the tables have: their events, where they travel by
//! reference, and their records.

use std::sync::Arc;

use posthaste_domain::{
    access::workspace::Workspace,
    delivery::{
        attempt::Progress,
        task::{Content, Task},
    },
    event::Event,
    id::DeliveryId,
};
use posthaste_store::{EventKey, Found};

use crate::Courier;

/// The event of a delivery, as far as is known.
pub(crate) enum Stored {
    /// It is in its task or was read.
    Here(Arc<Event>),
    /// It is not stored any more.
    Gone,
    /// It could not be read.
    Unread,
}

/// The facts about the deliveries of some tasks.
#[derive(Debug, Default)]
pub struct Details {
    /// The events that are not in their tasks.
    pub events: Found<EventKey, Arc<Event>>,
    /// The records of the deliveries that may have been attempted.
    pub progress: Found<DeliveryId, Progress>,
}

impl Courier {
    /// Reads the events that are not in their tasks, and the records of the tasks that are marked,
    /// for which something may have been done. A task that comes for the first time has no record,
    /// so none is read.
    pub async fn details<'t>(
        &self,
        tasks: impl IntoIterator<Item = (&'t Task<'t>, bool)>,
    ) -> Details {
        let (mut events, mut records) = (Vec::new(), Vec::new());
        for (task, has_records) in tasks {
            for due in &task.deliveries {
                if let Content::EventId(id) = due.content {
                    events.push((task.webhook.workspace.clone(), id));
                }
                if has_records {
                    records.push((task.webhook.as_ref().clone(), due.id));
                }
            }
        }
        let (events, progress) =
            tokio::join!(self.events.get(events), self.deliveries.records.progress(records));
        let items = events.items.into_iter().map(|(key, event)| (key, Arc::new(event))).collect();
        Details {
            events: Found { items, unread: events.unread, read_units: events.read_units },
            progress,
        }
    }
}

impl Details {
    pub(crate) fn event(&self, workspace: &Workspace, content: Content<'static>) -> Stored {
        let id = match content {
            Content::Event(event) => return Stored::Here(Arc::new(event.into_owned())),
            Content::EventId(id) => id,
        };
        let key = (workspace.clone(), id);
        match self.events.items.get(&key) {
            Some(event) => Stored::Here(Arc::clone(event)),
            None if self.events.unread.contains(&key) => Stored::Unread,
            None => Stored::Gone,
        }
    }

    /// Tells whether the records that a task needs could be read. A record that does not exist
    /// counts as read.
    pub fn know_records_of(&self, task: &Task<'_>) -> bool {
        task.deliveries.iter().all(|due| !self.progress.unread.contains(&due.id))
    }
}
