//! Which of the things that are due share a task. Pure.

use std::{collections::BTreeMap, time::Duration};

use posthaste_domain::{
    Timestamp,
    id::{BatchId, WebhookId},
    task::{Due, Task, parts},
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
        for due in parts(&due, |due| due.bytes) {
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
    let deliveries =
        due.iter().map(|due| Due::of_stored(due.delivery, due.event, due.bytes).because(due.cause)).collect();
    let batch = due.first().and_then(|due| due.batch);
    let task = Task { batch, recorded: true, ..Task::new(workspace, webhook, deliveries) };
    let last = due.iter().map(|due| due.due_at).max().unwrap_or(now);
    let delay = Duration::try_from(last.duration_since(now)).unwrap_or_default();
    let message = Message { delay, ..Message::new(task.message()?, workspace.to_string()) };
    Ok(Outgoing { message, due: due.to_vec() })
}

#[cfg(test)]
mod tests {
    use posthaste_domain::id::{Cause, CauseKind, DeliveryId, EventId};

    use super::*;

    fn now() -> Timestamp {
        Timestamp::from_second(1_700_000_000).unwrap()
    }

    fn due(webhook: u64, nth: u8, seconds: i64) -> DueDelivery {
        let event: EventId = format!("01896b5d-3648-7000-8000-0000000000{nth:02x}").parse().unwrap();
        DueDelivery {
            workspace: Workspace::parse("acme").unwrap(),
            webhook: WebhookId(webhook),
            delivery: DeliveryId::derive(event, WebhookId(webhook), Cause::Published),
            event,
            cause: CauseKind::Published,
            batch: None,
            due_at: Timestamp::from_second(1_700_000_000 + seconds).unwrap(),
            held_for: None,
            bytes: 0,
            key: (String::new(), String::new()),
        }
    }

    /// The last digits of the events of each task, and its delay.
    fn tasks(due: Vec<DueDelivery>) -> Vec<(String, u64)> {
        let tasks = plan(due, now()).unwrap();
        let describe = |outgoing: &Outgoing| {
            let task = Task::parse(&outgoing.message.body).unwrap();
            assert!(task.recorded && outgoing.due.len() == task.deliveries.len());
            let events = task.deliveries.iter().map(|due| due.content.event_id().to_string()[34..].to_owned());
            (events.collect::<Vec<_>>().join(" "), outgoing.message.delay.as_secs())
        };
        let mut tasks: Vec<_> = tasks.iter().map(describe).collect();
        tasks.sort();
        tasks
    }

    #[test]
    fn each_parked_delivery_goes_alone_at_its_time() {
        let described = tasks(vec![due(1, 1, -5), due(1, 2, 30), due(2, 3, 0)]);
        assert_eq!(described, [("01".into(), 0), ("02".into(), 30), ("03".into(), 0)]);
    }

    #[test]
    fn what_shared_a_request_shares_it_again() {
        let batch = BatchId::derive(&[due(1, 1, 0).delivery, due(1, 2, 0).delivery]);
        let with = |due| DueDelivery { batch, ..due };
        let out = plan(vec![with(due(1, 2, 7)), due(1, 3, 7), with(due(1, 1, 7))], now()).unwrap();
        let shared = out.iter().find(|outgoing| outgoing.due.len() == 2).unwrap();
        assert_eq!(Task::parse(&shared.message.body).unwrap().batch, batch);
        assert_eq!(shared.message.delay, Duration::from_secs(7));
    }

    #[test]
    fn what_was_held_for_a_run_goes_together_in_order() {
        let held = |webhook, nth, run: &str| DueDelivery { held_for: Some(run.to_owned()), ..due(webhook, nth, 0) };
        let described = tasks(vec![held(1, 3, "a"), held(1, 1, "a"), held(1, 2, "b"), held(2, 1, "a")]);
        assert_eq!(described, [("01".into(), 0), ("01 03".into(), 0), ("02".into(), 0)]);
    }
}
