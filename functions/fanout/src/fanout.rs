//! Who gets an event.
//!
//! Actors: the poller hands over up to ten records; this stores their events, reads each workspace's webhooks once, sends a task
//! for what is due, holds what waits for the end of its process, and releases what an end was waited for.
//!
//! Guarantees: a record is done only when its event is stored and everything that it is owed is on the queue or held. Storing
//! comes first, since a task may refer to its event. When this dies or a call fails in between, the record comes again and all of
//! it is done again: delivery ids are the same, so the copies meet in one record. Each workspace and each record fails for
//! itself, and what is done by the deadline stays done. The registry is read strongly consistently and nothing is kept between
//! invocations, so a webhook that was registered before the event was accepted gets it, and one that was deleted before
//! does not. What a paused one would get is recorded by deliver as skipped.
//!
//! The end of a run first writes its marker, then collects what is held, sends it with itself as the last, and only then forgets
//! it. A hold is refused once the marker is there. So an event of the run goes out together with the end, or by itself once the
//! end is known: never before that, and never not at all. Up to 400 deliveries of a run go out in one task, in order.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use futures::{StreamExt, future::join_all, stream};
use posthaste_domain::{Invalid, catalogue, event, schema::DataSchema, workspace::Workspace};
use posthaste_queue::Queue;
use posthaste_runtime::{
    batch::{Fate, Record},
    clock,
    deadline::Deadline,
};
use posthaste_store::{Deliveries, Events, Hold, Holding, Registry, StoreError, Webhooks};

use tokio::time::error::Elapsed;

use crate::plan::{Arrived, End, Outgoing, Owed, Plan, Run, flush};

/// How many runs are held for or ended side by side.
const CONCURRENT_RUNS: usize = 16;
/// How long reading the webhooks of one workspace may take.
const REGISTRY_TIME: Duration = Duration::from_secs(10);

/// What fan-out works with.
#[derive(Debug)]
pub(crate) struct Fanout {
    pub(crate) registry: Registry,
    pub(crate) events: Events,
    pub(crate) deliveries: Deliveries,
    pub(crate) tasks: Queue,
    pub(crate) retention: Duration,
    /// How long a delivery waits for the end of its process.
    pub(crate) hold_deadline: Duration,
    /// Whose the events are that name no workspace.
    pub(crate) default_workspace: Workspace,
}

/// What is still owed to each record.
#[derive(Debug)]
struct Ledger(Mutex<Vec<usize>>);

impl Ledger {
    fn settle(&self, records: impl IntoIterator<Item = usize>) {
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
    /// What becomes of each record. What is not over by the deadline comes again.
    pub(crate) async fn handle(&self, records: &[Record], deadline: Deadline) -> Vec<Fate> {
        let mut fates: Vec<Fate> = records.iter().map(Fate::after_our_fault).collect();
        let mut arrived = Vec::new();
        for (record, message) in records.iter().enumerate() {
            match event::Arrived::parse(&message.body, &message.message_id, message.sent, &self.default_workspace) {
                Ok(read) => arrived.push((record, read)),
                Err(invalid) => fates[record] = refused("unreadable_event", &invalid),
            }
        }
        let ready = tokio::time::timeout_at(deadline.instant(), async {
            let arrived = self.checked(records, arrived, &mut fates).await;
            self.prepare(arrived).await
        });
        let Ok(Some((plan, prepared))) = ready.await else {
            tracing::error!("fan-out could not begin");
            return fates;
        };
        let ledger = Ledger(Mutex::new(plan.open(records.len())));
        if tokio::time::timeout_at(deadline.instant(), self.carry_out(plan, &ledger)).await.is_err() {
            tracing::error!("fan-out ran out of time");
        }
        for record in prepared.into_iter().filter(|record| ledger.is_settled(*record)) {
            fates[record] = Fate::Done;
        }
        fates
    }

    /// Those whose data fits its type's schema. What came through the API has been checked there.
    async fn checked(
        &self,
        records: &[Record],
        arrived: Vec<(usize, event::Arrived)>,
        fates: &mut [Fate],
    ) -> Vec<Arrived> {
        let own = arrived.iter().filter(|(_, read)| read.unchecked);
        let own = own.filter(|(_, read)| catalogue::find(read.event.event_type.as_str()).is_none());
        let own = own.map(|(_, read)| (read.event.workspace.clone(), read.event.event_type.clone()));
        let own = self.registry.types_by_name(own.collect::<HashSet<_>>()).await;
        let schemas: BTreeMap<_, DataSchema> =
            own.items.iter().filter_map(|(key, own)| Some((key.clone(), own.compile()?))).collect();
        let mut good = Vec::new();
        for (record, event::Arrived { event, unchecked }) in arrived {
            let key = (event.workspace.clone(), event.event_type.clone());
            if unchecked && own.unread.contains(&key) {
                continue;
            }
            match if unchecked { event.check(schemas.get(&key)) } else { Ok(()) } {
                Ok(()) => good.push(Arrived { record, event, again: records[record].receives > 1 }),
                Err(invalid) => fates[record] = refused("invalid_event", &invalid),
            }
        }
        good
    }

    /// Stores the events and finds out what they mean. Returns the plan and the records that it is for.
    async fn prepare(&self, arrived: Vec<Arrived>) -> Option<(Plan, BTreeSet<usize>)> {
        let stored = self.events.put(arrived.iter().map(|arrived| &arrived.event), self.retention);
        let (stored, webhooks) = tokio::join!(stored, self.webhooks(&arrived));
        let failed = stored.inspect_err(|error| tracing::error!(%error, "the events can't be stored")).ok()?;
        let is_ready = |arrived: &Arrived| {
            let event = &arrived.event;
            webhooks.contains_key(&event.workspace) && !failed.contains(&(event.workspace.clone(), event.id))
        };
        let arrived: Vec<Arrived> = arrived.into_iter().filter(is_ready).collect();
        let plan = Plan::new(&arrived, &webhooks);
        let plan = plan.inspect_err(|error| tracing::error!(%error, "a task can't be written")).ok()?;
        for Arrived { event, .. } in &arrived {
            tracing::info!(event.id = %event.id, event.r#type = %event.event_type, workspace = %event.workspace, "fanning out");
        }
        Some((plan, arrived.iter().map(|arrived| arrived.record).collect()))
    }

    /// The webhooks of every workspace that could be read.
    async fn webhooks(&self, arrived: &[Arrived]) -> BTreeMap<Workspace, Webhooks> {
        let workspaces: BTreeSet<&Workspace> = arrived.iter().map(|arrived| &arrived.event.workspace).collect();
        let queries = workspaces.into_iter().map(async |workspace| {
            // One workspace that takes long does not take the others' time.
            (workspace, tokio::time::timeout(REGISTRY_TIME, self.registry.webhooks(workspace)).await)
        });
        let read = |(workspace, webhooks): (&Workspace, Result<Result<Webhooks, StoreError>, Elapsed>)| match webhooks {
            Ok(Ok(webhooks)) => Some((workspace.clone(), webhooks)),
            Ok(Err(error)) => {
                tracing::error!(%workspace, %error, "a workspace's webhooks could not be read");
                None
            }
            Err(_) => {
                tracing::error!(%workspace, "a workspace's webhooks could not be read in time");
                None
            }
        };
        join_all(queries).await.into_iter().filter_map(read).collect()
    }

    /// Holds come before ends, so that an end finds what came with it.
    async fn carry_out(&self, plan: Plan, ledger: &Ledger) {
        let Plan { tasks, holds, ends } = plan;
        let waiting = async {
            let holds = stream::iter(holds).map(|(run, owed)| self.hold(run, owed, ledger));
            holds.buffer_unordered(CONCURRENT_RUNS).collect::<()>().await;
            let ends = stream::iter(ends).map(|(run, end)| self.end(run, end, ledger));
            ends.buffer_unordered(CONCURRENT_RUNS).collect::<()>().await;
        };
        tokio::join!(self.send(tasks, ledger), waiting);
    }

    async fn send(&self, tasks: Vec<Outgoing>, ledger: &Ledger) {
        let (messages, records): (Vec<_>, Vec<_>) =
            tasks.into_iter().map(|Outgoing { message, records }| (message, records)).unzip();
        let mut calls = std::pin::pin!(self.tasks.send_in_calls(&messages));
        while let Some(sent) = calls.next().await {
            let failed: BTreeMap<_, _> = sent.failed.into_iter().collect();
            for at in sent.messages {
                match failed.get(&at) {
                    None => ledger.settle(records[at].iter().copied()),
                    Some(error) => tracing::error!(%error, "a task could not be sent"),
                }
            }
        }
    }

    async fn hold(&self, run: Run, owed: BTreeSet<Owed>, ledger: &Ledger) {
        // Two messages can bring the same event.
        let holds: Vec<Hold> = owed.iter().map(|owed| owed.hold).collect::<BTreeSet<_>>().into_iter().collect();
        let held = async {
            let ended = self.deliveries.hold(holding(&run), &holds, self.hold_deadline).await?;
            self.flush(&run, &ended).await
        };
        match held.await {
            Ok(()) => ledger.settle(owed.iter().map(|owed| owed.record)),
            Err(error) => tracing::error!(webhook.id = %run.webhook, %error, "deliveries could not be held"),
        }
    }

    async fn end(&self, run: Run, End { records, wanted }: End, ledger: &Ledger) {
        let ended = async {
            self.deliveries.end(holding(&run), clock::now()).await?;
            let held = self.deliveries.held(holding(&run)).await?;
            let last: BTreeSet<Hold> = wanted.iter().map(|owed| owed.hold).collect();
            let all: Vec<Hold> = held.iter().copied().chain(last).collect();
            self.flush(&run, &all).await?;
            self.deliveries.forget(holding(&run), &held).await?;
            Ok::<_, anyhow::Error>(())
        };
        match ended.await {
            Ok(()) => ledger.settle(records),
            Err(error) => {
                tracing::error!(webhook.id = %run.webhook, error = %format!("{error:#}"), "a run could not be ended")
            }
        }
    }

    async fn flush(&self, run: &Run, holds: &[Hold]) -> anyhow::Result<()> {
        let messages = flush(run, holds)?;
        match self.tasks.send(&messages).await.pop() {
            None => Ok(()),
            Some((_, error)) => Err(error.into()),
        }
    }
}

fn holding(run: &Run) -> Holding<'_> {
    Holding { workspace: &run.workspace, webhook: run.webhook, context: &run.context }
}

fn refused(reason: &'static str, invalid: &Invalid) -> Fate {
    Fate::DeadLetter { reason, detail: invalid.to_string() }
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
