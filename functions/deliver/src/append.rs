//! Putting deliveries into their webhook's backlog, and giving its lane a turn.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use posthaste_delivery::{SendOn, task};
use posthaste_domain::{
    delivery::{
        sequence::{MAX_PASSES, Pending},
        task::Task,
    },
    endpoint::{
        backlog::Waiting,
        lane::{Append, AppendStep, Attr, Lane, Outcome, Reason, Strike, TurnMessage, due_shard},
    },
    metrics::{Labels, Metric},
    webhook::Webhook,
};
use posthaste_queue::Message;
use posthaste_runtime::{
    batch::Record,
    clock, random,
    telemetry::{count, measure},
};
use posthaste_store::Backlog;

use crate::{deliver::Deliver, work::Work};

/// A delivery that the table could not take waits for so long: a backlog takes about 1,000 writes a
/// second.
const PUT_OFF: Duration = Duration::from_secs(60);
/// A strike is tried so often when others strike at the same time.
const STRIKE_TRIES: u32 = 3;

impl Deliver {
    /// Puts what is left of some works of one webhook into its backlog. Answers the records that
    /// have to come again: the same message puts the same items.
    pub(crate) async fn let_wait(
        &self,
        works: &mut [Work<'_>],
        records: &[Record],
    ) -> BTreeSet<usize> {
        let Some(first) = works.first() else { return BTreeSet::new() };
        let (webhook, reason) = (&first.client.webhook, first.reason);
        let mut waiting = Vec::new();
        for work in works.iter_mut() {
            let batch = work.sequence.batch.take();
            let recorded = !work.sequence.is_fresh || batch.is_some();
            let mut by_record: BTreeMap<usize, Vec<Pending>> = BTreeMap::new();
            for pending in std::mem::take(&mut work.sequence.left) {
                by_record.entry(pending.source).or_default().push(pending);
            }
            for (at, deliveries) in by_record {
                let faults = deliveries.iter().map(|pending| pending.faults).max().unwrap_or(0);
                let how = SendOn {
                    batch,
                    recorded,
                    passes: work.passes,
                    faults,
                    delay: Default::default(),
                };
                waiting.extend(items(at, &task(webhook, &deliveries, how), records));
            }
        }
        self.append(webhook, reason, waiting).await
    }

    /// Puts tasks of one webhook into its backlog as they came.
    pub(crate) async fn let_tasks_wait(
        &self,
        webhook: &Webhook,
        reason: Reason,
        tasks: &[(usize, Task<'_>)],
        records: &[Record],
    ) -> BTreeSet<usize> {
        let mut waiting = Vec::new();
        for (at, task) in tasks {
            let came_before = records[*at].receives > 1 || records[*at].redriven;
            let redriven = task.redriven || records[*at].redriven;
            // Something may have been done for a message that came before: its records are looked
            // at when it has its turn.
            let task = Task { recorded: task.recorded || came_before, redriven, ..task.clone() };
            waiting.extend(items(*at, &task, records));
        }
        self.append(webhook, reason, waiting).await
    }

    async fn append(
        &self,
        webhook: &Webhook,
        reason: Reason,
        waiting: Vec<(usize, Waiting)>,
    ) -> BTreeSet<usize> {
        let Webhook { workspace, id, .. } = webhook;
        // Two copies of a message have the same keys, which one call must not have twice.
        let mut by_key = BTreeMap::new();
        let mut sources: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
        for (at, item) in waiting {
            sources.entry(item.key.clone()).or_default().insert(at);
            by_key.entry(item.key.clone()).or_insert(item);
        }
        let backlog = Backlog { workspace, webhook: *id };
        let puts: Vec<_> = by_key.into_values().map(|item| (backlog, item)).collect();
        let failed = match self.courier.deliveries.backlogs.put(&puts).await {
            Ok(failed) => failed,
            Err(error) => {
                tracing::error!(%error, "deliveries could not be put into the backlog");
                return sources.into_values().flatten().collect();
            }
        };
        if failed.len() < puts.len()
            && let Err(error) = self.open(webhook, reason).await
        {
            tracing::error!(error = %format!("{error:#}"), "a lane could not be opened");
            return sources.into_values().flatten().collect();
        }
        tracing::debug!(deliveries = puts.len(), reason = reason.name(), "deliveries wait");
        let put = puts.iter().enumerate().filter(|(at, _)| !failed.contains(at));
        let deliveries: usize = put.map(|(_, (_, item))| item.task.deliveries.len()).sum();
        let labels = Labels { reason: Some(reason.name()), ..Labels::default() };
        measure(Metric::Waiting, labels, deliveries as u64);
        let mut unsettled = BTreeSet::new();
        for at in failed {
            let item = &puts[at].1;
            if !self.put_off(webhook, item).await {
                unsettled.extend(sources[&item.key].iter().copied());
            }
        }
        unsettled
    }

    /// Sends an item that the table did not take back to the queue for a while: as a new message it
    /// is not in flight, of which SQS takes a bounded number for all webhooks together.
    async fn put_off(&self, webhook: &Webhook, item: &Waiting) -> bool {
        let task = Task { passes: item.task.passes + 1, ..item.task.clone() };
        task.passes < MAX_PASSES && self.courier.send_task(webhook, &task, PUT_OFF).await
    }

    /// Sees to it that the backlog, which has something in it by now, has a turn.
    async fn open(&self, webhook: &Webhook, reason: Reason) -> anyhow::Result<()> {
        let Webhook { workspace, id, .. } = webhook;
        let token = token()?;
        let mut append = Append::new(reason, token, due_shard(id.0));
        append.put();
        loop {
            match append.next() {
                AppendStep::Put | AppendStep::Look => {
                    let lane = self.courier.deliveries.lanes.get(workspace, *id).await?;
                    append.looked(&lane, clock::now());
                }
                AppendStep::Open(write, _) => {
                    let outcome =
                        self.courier.deliveries.lanes.write(workspace, *id, &write).await?;
                    append.opened(&outcome, clock::now());
                }
                AppendStep::Send { token, delay } => {
                    let turn = TurnMessage { workspace: workspace.clone(), webhook: *id, token };
                    let body = serde_json::to_string(&turn)?;
                    let message = Message { delay, ..Message::new(body, workspace.to_string()) };
                    if let Err(error) = self.turns.send_all(&[message]).await {
                        count(Metric::Faults, 1);
                        tracing::error!(%error, "a turn could not be sent; release will see to it");
                    }
                    append.sent();
                }
                AppendStep::Done => return Ok(()),
            }
        }
    }

    /// Counts a strike against a webhook. One that can't be counted is worth no delivery.
    pub(crate) async fn strike(&self, webhook: &Webhook, strike: Strike, mut lane: Lane) {
        let Webhook { workspace, id, .. } = webhook;
        for _ in 0..STRIKE_TRIES {
            let Some(write) = lane.strike(strike, clock::now()) else { return };
            match self.courier.deliveries.lanes.write(workspace, *id, &write).await {
                Ok(Outcome::Done(_)) if write.sets(Attr::Phase) => {
                    tracing::warn!("an endpoint is slow: its deliveries take turns");
                    return;
                }
                Ok(Outcome::Done(_)) => return,
                Ok(Outcome::Refused(now)) => lane = now,
                Err(error) => {
                    tracing::warn!(%error, "a strike could not be counted");
                    return;
                }
            }
        }
    }

    /// Writes down that an endpoint has answered quickly: what others doubted of it is forgotten.
    pub(crate) async fn trust(&self, webhook: &Webhook, lane: &Lane) {
        let Some(write) = lane.trust() else { return };
        if let Err(error) =
            self.courier.deliveries.lanes.write(&webhook.workspace, webhook.id, &write).await
        {
            tracing::warn!(%error, "a doubt could not be forgotten");
        }
    }
}

fn items(at: usize, task: &Task<'_>, records: &[Record]) -> Vec<(usize, Waiting)> {
    let items = Waiting::of(task, &records[at].message_id, clock::now());
    items.into_iter().map(|item| (at, item)).collect()
}

/// A name for one opening of a lane, that nothing else has.
fn token() -> anyhow::Result<String> {
    Ok(random::bytes::<12>()?.iter().map(|byte| format!("{byte:02x}")).collect())
}
