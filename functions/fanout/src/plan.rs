//! A plan says what events mean for webhooks: which deliveries go out, which wait, and which runs
//! end. Pure.

mod messages;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use posthaste_domain::{
    access::workspace::Workspace,
    delivery::task::{Due, MAX_DELIVERIES, Task},
    event::{Event, process::Process},
    fanout::{
        share::{MAX_WEBHOOKS, Rest, Share, Shared},
        subscription::{Route, Subscription},
    },
    id::{Cause, DeliveryId, EventId, WebhookId},
    webhook::key::WebhookKey,
};
use posthaste_queue::Message;
use posthaste_store::Hold;

pub(crate) use messages::{end_again, rest_of_run, task_of_run};

use crate::{calls::Earlier, routes::Routes};
use messages::message;

/// So many bytes of one event may travel inline in its tasks. What goes to more webhooks than that
/// travels by reference.
const MAX_INLINE_BYTES: usize = 4 * 1024 * 1024;
/// After how long the end of a run is dealt with, so that what was published with it is held by
/// then. It is looked at again if that is not so, each time after twice as long, and at last after
/// [`LONGEST_WAIT`].
const END_WAIT: Duration = Duration::from_secs(5);
/// It is tried so often, and after this wait, to read a subscription that this version can't read:
/// for an hour.
const UNREADABLE_TRIES: u32 = 60;
const UNREADABLE_WAIT: Duration = Duration::from_secs(60);
/// The longest wait until it is looked again whether a run can go on.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// An event, the record that brought it, and the webhooks that it brings it to.
pub(crate) struct Arrived {
    pub(crate) record: usize,
    pub(crate) event: Arc<Event>,
    /// The process that the event belongs to, as far as is known.
    pub(crate) process: Process,
    /// It says whether the event is stored, as that of a share is.
    pub(crate) is_stored: bool,
    pub(crate) share: Share,
    /// The only webhooks of the share that are left to be done; empty if all of them are.
    pub(crate) only: Vec<WebhookId>,
    /// It says whether the record came before, so that its tasks may have been sent.
    pub(crate) again: bool,
}

/// A run of a process, for one webhook.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Run {
    pub(crate) webhook: WebhookKey,
    pub(crate) context: String,
}

/// A delivery, and the record that it is owed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Owed {
    pub(crate) hold: Hold,
    pub(crate) record: usize,
}

/// An event that ends a run.
#[derive(Debug, Clone)]
pub(crate) struct End {
    pub(crate) run: Run,
    pub(crate) event: Arc<Event>,
    pub(crate) share: Share,
    /// The events of its call that have to be held first; none where it is not known yet which
    /// these are.
    pub(crate) expected: Option<BTreeSet<EventId>>,
    pub(crate) records: BTreeSet<usize>,
    /// It says whether a record came before: whoever had it then is over.
    pub(crate) again: bool,
    /// Its own delivery; none where the webhook does not want it.
    pub(crate) wanted: Option<Hold>,
}

/// The rest of a run, which goes out when the part before it has been attempted.
#[derive(Debug, Clone)]
pub(crate) struct Continued {
    pub(crate) run: Run,
    pub(crate) rest: Rest,
    pub(crate) tries: u32,
    /// The end of the run.
    pub(crate) event: Arc<Event>,
    pub(crate) record: usize,
}

/// Events with the same group are fanned out to the same webhooks in the same way.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Group<'a> {
    workspace: &'a Workspace,
    from: WebhookId,
    to: WebhookId,
    only: &'a [WebhookId],
    ends: bool,
}

/// A message, and the records that are done when it is sent.
pub(crate) struct Outgoing {
    pub(crate) message: Message,
    pub(crate) records: Vec<usize>,
}

/// All that is to be done.
#[derive(Default)]
pub(crate) struct Plan {
    /// Tasks for the deliveries queue. What several records wait for comes first, and then one
    /// record's after the other's, so that records are done even if there is no time for all.
    pub(crate) tasks: Vec<Outgoing>,
    /// Shares for the events queue.
    pub(crate) shares: Vec<Outgoing>,
    pub(crate) holds: BTreeMap<Run, BTreeSet<Owed>>,
    /// By run and event: two messages can bring the same event, and two events can end the same
    /// run.
    pub(crate) ends: BTreeMap<(Run, EventId), End>,
    pub(crate) rests: Vec<Continued>,
    /// Records whose webhook could not be read for too long.
    pub(crate) unreadable: BTreeSet<usize>,
}

impl Plan {
    /// The plan for the events of workspaces whose webhooks are known.
    pub(crate) fn new(
        arrived: &[Arrived],
        routes: &BTreeMap<Workspace, Routes>,
        earlier: &Earlier,
    ) -> serde_json::Result<Self> {
        let mut plan = Self::default();
        let mut groups: BTreeMap<Group<'_>, Vec<&Arrived>> = BTreeMap::new();
        for arrived in arrived {
            if let Some(rest) = arrived.share.rest {
                plan.rests.extend(continued(arrived, rest));
                continue;
            }
            groups.entry(Group::of(arrived)).or_default().push(arrived);
        }
        for (Group { workspace, .. }, events) in groups {
            let Some(routes) = routes.get(workspace) else { continue };
            let webhooks = routes.for_which(events[0]).count();
            if webhooks > MAX_WEBHOOKS {
                plan.divide(&events, routes)?;
            } else {
                plan.add(workspace, &events, routes, webhooks, earlier)?;
            }
        }
        plan.tasks.sort_by_key(|task| {
            if task.records.len() > 1 { None } else { task.records.first().copied() }
        });
        Ok(plan)
    }

    /// Each event goes on in shares.
    fn divide(&mut self, events: &[&Arrived], routes: &Routes) -> serde_json::Result<()> {
        let ids: Vec<WebhookId> = routes.for_which(events[0]).map(|(id, _)| *id).collect();
        for arrived in events {
            for part in ids.chunks(MAX_WEBHOOKS) {
                let share = arrived.share.part(part[0], part[part.len() - 1]);
                self.share(arrived, share, &arrived.only, Duration::ZERO)?;
            }
        }
        Ok(())
    }

    fn share(
        &mut self,
        arrived: &Arrived,
        share: Share,
        only: &[WebhookId],
        delay: Duration,
    ) -> serde_json::Result<()> {
        let share = Share { again: arrived.again || share.again, ..share };
        let body = Shared::message(share, only, &arrived.event)?;
        let message = Message { delay, ..Message::new(body, arrived.event.workspace.to_string()) };
        self.shares.push(Outgoing { message, records: vec![arrived.record] });
        Ok(())
    }

    fn add(
        &mut self,
        workspace: &Workspace,
        events: &[&Arrived],
        routes: &Routes,
        webhooks: usize,
        earlier: &Earlier,
    ) -> serde_json::Result<()> {
        let mut early: BTreeMap<usize, Vec<WebhookId>> = BTreeMap::new();
        let mut unreadable = Vec::new();
        for (id, subscription) in routes.for_which(events[0]) {
            let Some(subscription) = subscription else {
                unreadable.push(*id);
                continue;
            };
            let webhook = WebhookKey { workspace: workspace.clone(), id: *id };
            let mut due = Vec::new();
            for (at, arrived) in events.iter().enumerate() {
                let ends = arrived.share.ends;
                match subscription.route(&arrived.event.event_type, &arrived.process) {
                    Route::End { .. } if !ends => {
                        early.entry(at).or_default().push(*id);
                    }
                    Route::End { context, wanted } => {
                        let expected = earlier.held_for(subscription, &context, arrived);
                        let run = Run { webhook: webhook.clone(), context };
                        self.end(arrived, run, expected, wanted);
                    }
                    Route::Ignore => {}
                    _ if ends => {}
                    Route::Now => due.push((*arrived, owed(arrived, *id))),
                    Route::Hold { context } => {
                        let run = Run { webhook: webhook.clone(), context };
                        self.holds.entry(run).or_default().insert(owed(arrived, *id));
                    }
                }
            }
            self.send(&webhook, subscription, due, webhooks)?;
        }
        for (at, ended) in early {
            // A webhook that can't be read asks for the end by itself, once it can be read.
            let ended = if unreadable.is_empty() { &[] } else { ended.as_slice() };
            self.put_end_off(events[at], ended)?;
        }
        self.put_off(events, &unreadable)
    }

    /// The end of a run is dealt with later: for all webhooks of its share, or for these only.
    fn put_end_off(&mut self, arrived: &Arrived, only: &[WebhookId]) -> serde_json::Result<()> {
        let share = Share { ends: true, tries: 0, unread: 0, ..arrived.share };
        match (only.first(), only.last()) {
            (Some(first), Some(last)) => {
                self.share(arrived, share.part(*first, *last), only, END_WAIT)
            }
            _ => self.share(arrived, share, &arrived.only, END_WAIT),
        }
    }

    /// An event ends a run. Two messages can bring the same one.
    fn end(
        &mut self,
        arrived: &Arrived,
        run: Run,
        expected: Option<BTreeSet<EventId>>,
        wanted: bool,
    ) {
        let own = Hold { is_end: true, ..owed(arrived, run.webhook.id).hold };
        let end = self.ends.entry((run.clone(), arrived.event.id)).or_insert_with(|| End {
            event: Arc::clone(&arrived.event),
            share: arrived.share.part(run.webhook.id, run.webhook.id),
            run,
            expected,
            records: BTreeSet::new(),
            again: false,
            wanted: wanted.then_some(own),
        });
        end.records.insert(arrived.record);
        end.again |= arrived.again;
    }

    /// Whether webhooks that can't be read want an event is found out when they can be read again.
    /// One message asks for all of them, so that an event takes no more than that one a minute.
    fn put_off(&mut self, events: &[&Arrived], webhooks: &[WebhookId]) -> serde_json::Result<()> {
        let (Some(first), Some(last)) = (webhooks.first(), webhooks.last()) else { return Ok(()) };
        for arrived in events {
            if arrived.share.unread >= UNREADABLE_TRIES {
                self.unreadable.insert(arrived.record);
                continue;
            }
            let share = Share {
                unread: arrived.share.unread + 1,
                // The version before does all webhooks of the range, and some of them were done.
                again: true,
                ..arrived.share.part(*first, *last)
            };
            self.share(arrived, share, webhooks, UNREADABLE_WAIT)?;
        }
        Ok(())
    }

    /// The tasks that bring one webhook what is due.
    fn send(
        &mut self,
        webhook: &WebhookKey,
        subscription: &Subscription,
        mut due: Vec<(&Arrived, Owed)>,
        webhooks: usize,
    ) -> serde_json::Result<()> {
        due.sort_by_key(|(_, owed)| owed.hold.event);
        let parts: Vec<_> = if subscription.batches {
            due.chunks(MAX_DELIVERIES).collect()
        } else {
            due.chunk_by(|(_, owed), (_, next)| owed.hold.delivery == next.hold.delivery).collect()
        };
        for part in parts {
            let mut deliveries: Vec<Due<'_>> = Vec::new();
            for (arrived, owed) in part {
                // Two messages can bring the same event.
                if deliveries.last().is_none_or(|last| last.id != owed.hold.delivery) {
                    let due = Due::of(owed.hold.delivery, &arrived.event);
                    deliveries.push(if is_too_much(&arrived.event, webhooks) {
                        due.by_reference()
                    } else {
                        due
                    });
                }
            }
            let recorded = part.iter().any(|(arrived, _)| arrived.again);
            let message = message(&Task { recorded, ..Task::new(webhook, deliveries) })?;
            self.tasks.push(Outgoing {
                message,
                records: part.iter().map(|(arrived, _)| arrived.record).collect(),
            });
        }
        Ok(())
    }

    /// Counts the things that are owed to each record.
    pub(crate) fn open(&self, records: usize) -> Vec<usize> {
        let mut open = vec![0; records];
        let sent = self
            .tasks
            .iter()
            .chain(&self.shares)
            .flat_map(|outgoing| outgoing.records.iter().copied());
        let held = self.holds.values().flatten().map(|owed| owed.record);
        let ended = self.ends.values().flat_map(|end| end.records.iter().copied());
        let continued = self.rests.iter().map(|continued| continued.record);
        sent.chain(held).chain(ended).chain(continued).for_each(|record| open[record] += 1);
        open
    }
}

impl<'a> Group<'a> {
    fn of(arrived: &'a Arrived) -> Self {
        let Share { from, to, ends, .. } = arrived.share;
        Self { workspace: &arrived.event.workspace, from, to, only: &arrived.only, ends }
    }
}

/// None where the event is no end of a run, which nobody sends.
fn continued(arrived: &Arrived, rest: Rest) -> Option<Continued> {
    let context = arrived.process.context_id.clone()?;
    let webhook = WebhookKey { workspace: arrived.event.workspace.clone(), id: arrived.share.from };
    let (run, tries) = (Run { webhook, context }, arrived.share.tries);
    Some(Continued { run, rest, tries, event: Arc::clone(&arrived.event), record: arrived.record })
}

fn owed(arrived: &Arrived, webhook: WebhookId) -> Owed {
    let event: EventId = arrived.event.id;
    let bytes = arrived.event.data.get().len() as u64;
    let delivery = DeliveryId::derive(event, webhook, Cause::Published);
    Owed { hold: Hold { is_end: false, event, delivery, bytes }, record: arrived.record }
}

fn is_too_much(event: &Event, webhooks: usize) -> bool {
    event.data.get().len().saturating_mul(webhooks) > MAX_INLINE_BYTES
}

#[cfg(test)]
pub(crate) mod tests;
