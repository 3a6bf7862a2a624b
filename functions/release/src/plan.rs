//! Which of the things that are due share a task. Pure.

use std::{collections::BTreeMap, time::Duration};

use posthaste_domain::{
    Timestamp,
    id::{BatchId, WebhookId},
    task::{Content, Due, MAX_DELIVERIES, Task},
    workspace::Workspace,
};
use posthaste_queue::Message;
use posthaste_store::DueDelivery;

/// A task message, and what is no longer waiting when it is sent.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) message: Message,
    pub(crate) due: Vec<DueDelivery>,
}

/// What goes out together: what shared a request, and what was held for the same run. Anything else goes alone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Together {
    Batch(BatchId),
    Run(String),
    Alone(usize),
}

/// The tasks that bring what is due, each at its time, in the order of the events.
pub(crate) fn plan(due: Vec<DueDelivery>, now: Timestamp) -> serde_json::Result<Vec<Outgoing>> {
    let mut groups: BTreeMap<(Workspace, WebhookId, Together), Vec<DueDelivery>> = BTreeMap::new();
    for (nth, due) in due.into_iter().enumerate() {
        let together = match (&due.batch, &due.held_for) {
            (_, Some(run)) => Together::Run(run.clone()),
            (Some(batch), None) => Together::Batch(*batch),
            (None, None) => Together::Alone(nth),
        };
        groups.entry((due.workspace.clone(), due.webhook, together)).or_default().push(due);
    }
    let mut tasks = Vec::new();
    for ((workspace, webhook, _), mut due) in groups {
        due.sort_unstable_by_key(|due| due.event);
        for due in due.chunks(MAX_DELIVERIES) {
            tasks.push(outgoing(&workspace, webhook, due, now)?);
        }
    }
    Ok(tasks)
}

fn outgoing(
    workspace: &Workspace,
    webhook: WebhookId,
    due: &[DueDelivery],
    now: Timestamp,
) -> serde_json::Result<Outgoing> {
    let deliveries = due.iter().map(|due| Due { id: due.delivery, content: Content::EventId(due.event) }).collect();
    let batch = due.first().and_then(|due| due.batch);
    let task = Task { batch, recorded: true, ..Task::new(workspace, webhook, deliveries) };
    let last = due.iter().map(|due| due.due_at).max().unwrap_or(now);
    let delay = Duration::try_from(last.duration_since(now)).unwrap_or_default();
    let message = Message { delay, ..Message::new(task.message()?, webhook.to_string()) };
    Ok(Outgoing { message, due: due.to_vec() })
}
