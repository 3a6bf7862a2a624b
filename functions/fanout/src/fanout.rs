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
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{FutureExt, StreamExt};
use posthaste_domain::{
    access::workspace::Workspace,
    event::{Event, process::Process},
    fanout::{
        recipients::Recipients,
        share::{Share, Shared},
    },
    id::EventId,
    message::dead_letter::DeadLetterReason,
    metrics::Metric,
};
use posthaste_queue::Queue;
use posthaste_runtime::{
    batch::{Fate, Record},
    checks::Checks,
    clock,
    deadline::Deadline,
    telemetry::count,
};
use posthaste_store::{Deliveries, EventToStore, Events, Registry};

use crate::{
    arrival::{self, Arrival},
    calls::Calls,
    completing::Taught,
    plan::{Arrived, Outgoing, Plan},
    published::Noted,
    routes::{RoutesOf, Routing},
};

/// All that fan-out works with.
#[derive(Debug)]
pub(crate) struct Fanout {
    pub(crate) registry: Registry,
    pub(crate) routing: Routing,
    pub(crate) events: Events,
    pub(crate) calls: Calls,
    pub(crate) deliveries: Deliveries,
    pub(crate) taught: Taught,
    pub(crate) tasks: Queue,
    /// The events queue, which shares come back by.
    pub(crate) shares: Queue,
    pub(crate) retention: Duration,
    /// A delivery waits for the end of its process for so long.
    pub(crate) hold_deadline: Duration,
    pub(crate) checks: Checks,
    pub(crate) noted: Noted,
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
        let mut ready = Vec::new();
        let mut unchecked = Vec::new();
        for (record, message) in records.iter().enumerate() {
            match arrival::read(message, &self.default_workspace) {
                Ok(Arrival::Share(shared)) => ready.push(of_share(record, shared, message)),
                Ok(Arrival::Event(read)) if read.unchecked => unchecked.push((record, read.event)),
                Ok(Arrival::Event(read)) => ready.push(of_event(record, read.event, message)),
                Err(fate) => fates[record] = fate,
            }
        }
        let mut workspaces: BTreeSet<Workspace> =
            ready.iter().map(|arrived| arrived.event.workspace.clone()).collect();
        workspaces.extend(unchecked.iter().map(|(_, event)| event.workspace.clone()));
        let routes = self.routing.routes(workspaces).map(Arc::new).shared();
        // A check may take long, and what needs none does not wait for it.
        let (done, checked) = tokio::join!(
            self.fan_out(ready, routes.clone(), deadline),
            self.check_and_fan_out(records, unchecked, routes.clone(), deadline)
        );
        for (record, fate) in done.into_iter().chain(checked) {
            fates[record] = fate;
        }
        fates
    }

    /// Fans out those events whose data fits its type's schema. Returns the fates that are known.
    async fn check_and_fan_out(
        &self,
        records: &[Record],
        unchecked: Vec<(usize, Event)>,
        routes: impl Future<Output = Arc<RoutesOf>> + Clone,
        deadline: Deadline,
    ) -> Vec<(usize, Fate)> {
        if unchecked.is_empty() {
            return Vec::new();
        }
        // What is checked has to be fanned out, too: a third of the time is for that.
        let checked_by = deadline.earlier(deadline.left() / 3).instant();
        let checked = self.checked(records, unchecked, checked_by).await;
        let mut arrived = Vec::new();
        let mut fates = Vec::new();
        for (record, checked) in checked {
            match checked {
                Ok(event) => arrived.push(of_event(record, event, &records[record])),
                Err(fate) => fates.push((record, fate)),
            }
        }
        fates.extend(self.fan_out(arrived, routes, deadline).await);
        fates
    }

    /// Fans events out, as far as there is time. Returns the fates of the records that are done.
    async fn fan_out(
        &self,
        arrived: Vec<Arrived>,
        routes: impl Future<Output = Arc<RoutesOf>> + Clone,
        deadline: Deadline,
    ) -> Vec<(usize, Fate)> {
        if arrived.is_empty() {
            return Vec::new();
        }
        let preparing = self.prepare(arrived, routes);
        let Ok(Some((plan, prepared))) =
            tokio::time::timeout_at(deadline.instant(), preparing).await
        else {
            tracing::error!("fan-out could not begin");
            return Vec::new();
        };
        let unreadable = plan.unreadable.clone();
        let records = prepared.iter().map(|arrived| arrived.record + 1).max().unwrap_or_default();
        let ledger = Ledger(Mutex::new(plan.open(records)));
        let carrying_out = async {
            tokio::join!(self.carry_out(plan, &ledger), self.noted.note(&self.registry, &prepared))
        };
        if tokio::time::timeout_at(deadline.instant(), carrying_out).await.is_err() {
            tracing::error!("fan-out ran out of time");
        }
        let mut fates = Vec::new();
        let mut events = 0;
        for arrived in prepared.iter().filter(|arrived| ledger.is_settled(arrived.record)) {
            if unreadable.contains(&arrived.record) {
                fates.push((arrived.record, unreadable_webhook(arrived.event.id)));
            } else {
                fates.push((arrived.record, Fate::Done));
                events += usize::from(!arrived.is_stored);
            }
        }
        count(Metric::FannedOut, events);
        fates
    }

    /// Stores the events and finds out what they mean. Returns the plan and the events that it is
    /// for.
    async fn prepare(
        &self,
        arrived: Vec<Arrived>,
        routes: impl Future<Output = Arc<RoutesOf>> + Clone,
    ) -> Option<(Plan, Vec<Arrived>)> {
        let mut arrived = self.completed(arrived, routes.clone()).await;
        let routes = routes.await;
        let owed: Vec<Option<Recipients>> =
            arrived.iter().map(|arrived| recipients(arrived, &routes)).collect();
        let mut new = Vec::new();
        for (Arrived { event, process, is_stored, .. }, recipients) in arrived.iter().zip(&owed) {
            if !is_stored {
                new.push(EventToStore { event, process, recipients: recipients.as_ref() });
            }
        }
        let putting = self.events.put(new, self.retention, clock::now());
        let (put, unlearned) = tokio::join!(putting, self.learn(&arrived));
        let failed =
            put.inspect_err(|error| tracing::error!(%error, "the events can't be stored")).ok()?;
        // A task may refer to its event, so what is not stored goes nowhere.
        arrived.retain(|Arrived { event, is_stored, .. }| {
            *is_stored || !failed.contains(&(event.workspace.clone(), event.id))
        });
        // A start whose lessons are not stored comes again.
        arrived.retain(|arrived| !unlearned.contains(&arrived.record));
        arrived.retain(|arrived| routes.contains_key(&arrived.event.workspace));
        let earlier = self.calls.earlier(&arrived).await;
        arrived.retain(|arrived| earlier.is_known_for(arrived));
        let plan = Plan::new(&arrived, &routes, &earlier);
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
        Some((plan, arrived))
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

/// The webhooks that an event is owed to, as its item says. None where they are not known.
fn recipients(arrived: &Arrived, routes: &RoutesOf) -> Option<Recipients> {
    // The parts of an event that is stored know nothing of the others.
    if arrived.is_stored {
        return None;
    }
    routes.get(&arrived.event.workspace)?.recipients(arrived)
}

fn of_event(record: usize, event: Event, message: &Record) -> Arrived {
    Arrived {
        record,
        process: Process::of(&event),
        event: Arc::new(event),
        is_stored: false,
        share: Share { before: message.before, ..Share::ALL },
        only: Vec::new(),
        again: may_have_come(message),
    }
}

fn of_share(record: usize, shared: Shared<'static>, message: &Record) -> Arrived {
    let Shared { share, only, event } = shared;
    Arrived {
        record,
        process: Process::of(&event),
        event: Arc::new(event.into_owned()),
        is_stored: true,
        share,
        only: only.into_owned(),
        again: share.again || may_have_come(message),
    }
}

/// Says whether something may have been done for a message: it was received before, or it was a
/// dead letter.
fn may_have_come(record: &Record) -> bool {
    record.receives > 1 || record.redriven
}

fn unreadable_webhook(event: EventId) -> Fate {
    let detail =
        "this version can't read the webhook's subscription, and could not for an hour".to_owned();
    Fate::DeadLetter {
        reason: DeadLetterReason::UnreadableWebhook,
        detail,
        event_id: Some(event.to_string()),
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

    #[test]
    fn a_share_that_is_sent_back_from_the_dead_letters_may_have_sent_its_tasks() {
        let body = r#"{"share":{"from":1,"to":9},"event":{"id":"01896b5d-3648-7000-8000-000000000001","type":"order.created","timestamp":"2023-07-18T15:32:13Z","workspace":"acme","data":{}}}"#;
        let again = |record: Record| {
            let shared = Shared::parse(body).unwrap().unwrap();
            of_share(0, shared, &Record { body: body.to_owned(), ..record }).again
        };
        let first = Record { receives: 1, ..Record::default() };
        assert!(!again(first.clone()));
        assert!(again(Record { redriven: true, ..first.clone() }));
        assert!(again(Record { receives: 2, ..first }));
    }
}
