//! Fan-out decides who gets an event.
//!
//! Actors: the poller hands over up to ten records; this stores their events, looks their
//! workspaces' webhooks up, sends a task for what is due, holds what waits for the end of its
//! process, and releases what an end was waited for. An event of a workspace with many webhooks
//! goes on in shares, which come back here: see [`posthaste_domain::fanout::share`].
//!
//! Guarantees: a record is done only when its event is stored and everything that it is owed is on
//! a queue or held. Storing comes first, since a task may refer to its event. When this dies or a
//! call fails in between, the record comes again and all of it is done again: delivery ids are the
//! same, so the copies meet in one record. Each workspace and each record fails for itself, and
//! what is done by the deadline stays done. The root of a workspace's routing index is read
//! strongly consistently for each batch, so a webhook that was registered before the event was
//! accepted gets it, and one that was deleted before does not. What a paused one would get is
//! recorded by deliver as skipped.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use futures::StreamExt;
use posthaste_domain::{
    access::workspace::Workspace, fanout::share::Shared, id::EventId,
    message::dead_letter::DeadLetterReason, metrics::Metric,
};
use posthaste_queue::Queue;
use posthaste_runtime::{
    batch::{Fate, Record},
    checks::Checks,
    clock,
    deadline::Deadline,
    telemetry::count,
};
use posthaste_store::{Deliveries, Events, Registry};

use crate::{
    arrival,
    plan::{Arrived, Outgoing, Plan},
    routes::Routing,
};

/// All that fan-out works with.
#[derive(Debug)]
pub(crate) struct Fanout {
    pub(crate) registry: Registry,
    pub(crate) routing: Routing,
    pub(crate) events: Events,
    pub(crate) deliveries: Deliveries,
    pub(crate) tasks: Queue,
    /// The events queue, which shares come back by.
    pub(crate) shares: Queue,
    pub(crate) retention: Duration,
    /// A delivery waits for the end of its process for so long.
    pub(crate) hold_deadline: Duration,
    pub(crate) checks: Checks,
    /// The workspace of events that name none.
    pub(crate) default_workspace: Workspace,
}

/// The number of things that are still owed to each record.
#[derive(Debug)]
pub(crate) struct Ledger(Mutex<Vec<usize>>);

impl Ledger {
    pub(crate) fn settle(&self, records: impl IntoIterator<Item = usize>) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for record in records {
            open[record] = open[record].saturating_sub(1);
        }
    }

    fn is_settled(&self, record: usize) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)[record] == 0
    }
}

impl Fanout {
    /// Handles records, and says what becomes of each. What is not over by the deadline comes
    /// again.
    pub(crate) async fn handle(&self, records: &[Record], deadline: Deadline) -> Vec<Fate> {
        let mut fates: Vec<Fate> = records.iter().map(Fate::after_our_fault).collect();
        let mut arrived = Vec::new();
        let mut shared = Vec::new();
        for (record, message) in records.iter().enumerate() {
            if let Some(read) = Shared::parse(&message.body) {
                match read {
                    Ok(read) => shared.push(of_share(record, read, message)),
                    Err(why) => {
                        fates[record] = Fate::of_unreadable(
                            message,
                            &why,
                            DeadLetterReason::UnreadableEvent,
                            clock::now(),
                        )
                    }
                }
                continue;
            }
            match arrival::read(message, &self.default_workspace) {
                Ok(read) => arrived.push((record, read)),
                Err(fate) => fates[record] = fate,
            }
        }
        // Only shares are for webhooks that may have to be given up.
        let ids: BTreeMap<usize, EventId> =
            shared.iter().map(|shared| (shared.record, shared.event.id)).collect();
        let ready = tokio::time::timeout_at(deadline.instant(), async {
            let arrived = self.checked(records, arrived, &mut fates).await;
            self.prepare(arrived, shared).await
        });
        let Ok(Some((plan, prepared))) = ready.await else {
            tracing::error!("fan-out could not begin");
            return fates;
        };
        let unreadable = plan.unreadable.clone();
        let ledger = Ledger(Mutex::new(plan.open(records.len())));
        if tokio::time::timeout_at(deadline.instant(), self.carry_out(plan, &ledger)).await.is_err()
        {
            tracing::error!("fan-out ran out of time");
        }
        let mut events = 0;
        for record in prepared.into_iter().filter(|record| ledger.is_settled(*record)) {
            let is_unreadable = unreadable.contains(&record);
            fates[record] =
                if is_unreadable { unreadable_webhook(ids.get(&record)) } else { Fate::Done };
            events += usize::from(!is_unreadable && !ids.contains_key(&record));
        }
        count(Metric::FannedOut, events);
        fates
    }

    /// Stores the events and finds out what they mean. Returns the plan and the records that it is
    /// for.
    async fn prepare(
        &self,
        new: Vec<Arrived>,
        shared: Vec<Arrived>,
    ) -> Option<(Plan, BTreeSet<usize>)> {
        let workspaces =
            new.iter().chain(&shared).map(|arrived| arrived.event.workspace.clone()).collect();
        let putting =
            self.events.put(new.iter().map(|arrived| &arrived.event), self.retention, clock::now());
        let (put, routes) = tokio::join!(putting, self.routing.routes(workspaces));
        let failed =
            put.inspect_err(|error| tracing::error!(%error, "the events can't be stored")).ok()?;
        // A task may refer to its event, so what is not stored goes nowhere.
        let stored = new
            .into_iter()
            .filter(|new| !failed.contains(&(new.event.workspace.clone(), new.event.id)));
        let mut arrived: Vec<Arrived> = stored.chain(shared).collect();
        arrived.retain(|arrived| routes.contains_key(&arrived.event.workspace));
        let plan = Plan::new(&arrived, &routes, &self.earlier(&arrived).await);
        let plan =
            plan.inspect_err(|error| tracing::error!(%error, "a task can't be written")).ok()?;
        for Arrived { event, .. } in &arrived {
            tracing::debug!(
                event.id = %event.id,
                event.r#type = %event.event_type,
                workspace = %event.workspace,
                trace.id = %event.trace(),
                "fanning out"
            );
        }
        Some((plan, arrived.iter().map(|arrived| arrived.record).collect()))
    }

    async fn carry_out(&self, plan: Plan, ledger: &Ledger) {
        let Plan { tasks, shares, holds, ends, rests, unreadable: _ } = plan;
        tokio::join!(
            send(&self.tasks, tasks, ledger),
            send(&self.shares, shares, ledger),
            self.hold_and_end(holds, ends, ledger),
            self.go_on(rests, ledger)
        );
    }
}

/// Sends messages, and settles what is owed as they go out.
async fn send(queue: &Queue, outgoing: Vec<Outgoing>, ledger: &Ledger) {
    let (messages, records): (Vec<_>, Vec<_>) =
        outgoing.into_iter().map(|Outgoing { message, records }| (message, records)).unzip();
    let mut calls = std::pin::pin!(queue.send_in_calls(&messages));
    while let Some(sent) = calls.next().await {
        let failed: BTreeMap<_, _> = sent.failed.into_iter().collect();
        for at in sent.messages {
            match failed.get(&at) {
                None => ledger.settle(records[at].iter().copied()),
                Some(error) => tracing::error!(%error, "a message could not be sent"),
            }
        }
    }
}

fn of_share(record: usize, shared: Shared<'static>, message: &Record) -> Arrived {
    let Shared { share, event } = shared;
    Arrived {
        record,
        event: event.into_owned(),
        share,
        again: share.again || may_have_come(message),
    }
}

/// Says whether something may have been done for a message: it was received before, or it was a
/// dead letter.
pub(crate) fn may_have_come(record: &Record) -> bool {
    record.receives > 1 || record.redriven
}

fn unreadable_webhook(event: Option<&EventId>) -> Fate {
    let detail =
        "this version can't read the webhook's subscription, and could not for an hour".to_owned();
    Fate::DeadLetter {
        reason: DeadLetterReason::UnreadableWebhook,
        detail,
        event_id: event.map(EventId::to_string),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_settled_when_nothing_is_owed_to_it() {
        let ledger = Ledger(Mutex::new(vec![2, 0, 1]));
        assert_eq!([0, 1, 2].map(|record| ledger.is_settled(record)), [false, true, false]);
        ledger.settle([0, 2]);
        assert_eq!([0, 1, 2].map(|record| ledger.is_settled(record)), [false, true, true]);
        ledger.settle([0]);
        assert!(ledger.is_settled(0));
    }
}
