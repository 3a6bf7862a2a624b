//! What events mean for webhooks: which deliveries go out, which wait, and which runs end. Pure.

use std::collections::{BTreeMap, BTreeSet};

use posthaste_domain::{
    event::Event,
    id::{Cause, DeliveryId, EventId, WebhookId},
    process::Process,
    task::{Due, MAX_DELIVERIES, Task, parts},
    webhook::Route,
    workspace::Workspace,
};
use posthaste_queue::Message;
use posthaste_store::{Hold, Webhooks};

/// How many bytes of one event may travel inline in its tasks. What goes to more webhooks than that travels by reference.
const MAX_INLINE_BYTES: usize = 4 * 1024 * 1024;

/// An event and the record that brought it.
pub(crate) struct Arrived {
    pub(crate) record: usize,
    pub(crate) event: Event,
    /// Whether the record came before, so that its tasks may have been sent.
    pub(crate) again: bool,
}

/// A run of a process, for one webhook.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Run {
    pub(crate) workspace: Workspace,
    pub(crate) webhook: WebhookId,
    pub(crate) context: String,
}

/// A delivery, and the record that it is owed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Owed {
    pub(crate) hold: Hold,
    pub(crate) record: usize,
}

/// The end of a run: who says so, and the end events that are to be delivered themselves.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) records: BTreeSet<usize>,
    pub(crate) wanted: BTreeSet<Owed>,
}

/// A task message, and the records that are done when it is sent.
pub(crate) struct Outgoing {
    pub(crate) message: Message,
    pub(crate) records: Vec<usize>,
}

/// What is to be done.
#[derive(Default)]
pub(crate) struct Plan {
    pub(crate) tasks: Vec<Outgoing>,
    pub(crate) holds: BTreeMap<Run, BTreeSet<Owed>>,
    pub(crate) ends: BTreeMap<Run, End>,
}

impl Plan {
    /// The plan for the events of workspaces whose webhooks are known.
    pub(crate) fn new(arrived: &[Arrived], webhooks: &BTreeMap<Workspace, Webhooks>) -> serde_json::Result<Self> {
        let mut plan = Self::default();
        for (workspace, webhooks) in webhooks {
            let events: Vec<&Arrived> =
                arrived.iter().filter(|arrived| arrived.event.workspace == *workspace).collect();
            let by_reference: Vec<bool> = events
                .iter()
                .map(|arrived| is_too_much(&arrived.event, webhooks.webhooks.len()))
                .collect::<Result<_, _>>()?;
            let processes: Vec<Process> = events.iter().map(|arrived| Process::of(&arrived.event)).collect();
            for webhook in &webhooks.webhooks {
                let mut now = Vec::new();
                for (at, arrived) in events.iter().enumerate() {
                    let owed = owed(arrived, webhook.id);
                    let run = |context| Run { workspace: workspace.clone(), webhook: webhook.id, context };
                    match webhook.route(&arrived.event, &processes[at]) {
                        Route::Ignore => {}
                        Route::Now => {
                            let due = Due::of(owed.hold.delivery, &arrived.event);
                            now.push((if by_reference[at] { due.by_reference() } else { due }, arrived.record));
                        }
                        Route::Hold { context } => {
                            plan.holds.entry(run(context)).or_default().insert(owed);
                        }
                        Route::End { context, wanted } => {
                            let end = plan.ends.entry(run(context)).or_default();
                            end.records.insert(arrived.record);
                            end.wanted.extend(wanted.then_some(owed));
                        }
                    }
                }
                let together = if webhook.format().batches() { MAX_DELIVERIES } else { 1 };
                now.sort_by_key(|(due, _)| due.content.event_id());
                for chunk in now.chunks(together) {
                    let (mut deliveries, records): (Vec<Due<'_>>, Vec<usize>) = chunk.iter().cloned().unzip();
                    // Two messages can bring the same event.
                    deliveries.dedup_by_key(|due| due.id);
                    let recorded = events.iter().any(|arrived| arrived.again && records.contains(&arrived.record));
                    let message = message(&Task { recorded, ..Task::new(workspace, webhook.id, deliveries) })?;
                    plan.tasks.push(Outgoing { message, records });
                }
            }
            // Whether a webhook that can't be read wants an event is found out when it can be read again.
            for (webhook, arrived) in
                webhooks.unreadable.iter().flat_map(|id| events.iter().map(move |event| (*id, *event)))
            {
                let due = Due::of(owed(arrived, webhook).hold.delivery, &arrived.event).by_reference();
                let task = Task { unrouted: true, recorded: arrived.again, ..Task::new(workspace, webhook, vec![due]) };
                let message = message(&task)?;
                plan.tasks.push(Outgoing { message, records: vec![arrived.record] });
            }
        }
        Ok(plan)
    }

    /// How many things are owed to each record.
    pub(crate) fn open(&self, records: usize) -> Vec<usize> {
        let mut open = vec![0; records];
        let owed = self.tasks.iter().flat_map(|task| task.records.iter().copied());
        let held = self.holds.values().flatten().map(|owed| owed.record);
        let ended = self.ends.values().flat_map(|end| end.records.iter().copied());
        owed.chain(held).chain(ended).for_each(|record| open[record] += 1);
        open
    }
}

/// The tasks that bring held deliveries, in their order, after their run has ended or when nothing was to be held.
pub(crate) fn flush(run: &Run, holds: &[Hold]) -> serde_json::Result<Vec<Message>> {
    let due = |hold: &Hold| Due::of_stored(hold.delivery, hold.event, hold.bytes);
    let task = |holds: &[Hold]| Task {
        // So that it stays what it is: in order, and with nothing else in between.
        recorded: true,
        ..Task::new(&run.workspace, run.webhook, holds.iter().map(due).collect())
    };
    parts(holds, |hold| hold.bytes).into_iter().map(|holds| message(&task(holds))).collect()
}

fn owed(arrived: &Arrived, webhook: WebhookId) -> Owed {
    let event: EventId = arrived.event.id;
    let bytes = arrived.event.data.get().len() as u64;
    let delivery = DeliveryId::derive(event, webhook, Cause::Published);
    Owed { hold: Hold { event, delivery, bytes }, record: arrived.record }
}

/// The workspace is the message group, so that a tenant with many webhooks is one neighbour to SQS's fair queues.
fn message(task: &Task<'_>) -> serde_json::Result<Message> {
    Ok(Message::new(task.message()?, task.workspace.to_string()))
}

fn is_too_much(event: &Event, webhooks: usize) -> serde_json::Result<bool> {
    Ok(event.data.get().len().saturating_mul(webhooks) > MAX_INLINE_BYTES)
}

#[cfg(test)]
mod tests;
