//! Putting deliveries into their webhook's backlog, and giving its lane a turn.

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::pin,
    time::Duration,
};

use futures::StreamExt;
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
    clock,
    deadline::Deadline,
    random,
    telemetry::{count, measure},
};
use tokio::time::{Instant, timeout_at};

use crate::{deliver::Deliver, run::Surroundings, work::Work};

/// A delivery that the table could not take waits for so long: a backlog takes about 1,000 writes a
/// second.
const PUT_OFF: Duration = Duration::from_secs(60);
/// So many items are put with calls that go on side by side.
const PUT_TOGETHER: usize = 100;
/// The time that is kept for opening the lane and for putting off what the table did not take.
const OPEN_AND_PUT_OFF: Duration = Duration::from_secs(3);
/// A strike is tried so often when others strike at the same time.
const STRIKE_TRIES: u32 = 3;

/// The items of an append, by what became of them.
#[derive(Debug, Default)]
struct Put {
    /// They are in the backlog.
    there: Vec<Waiting>,
    /// The table is too busy for them.
    refused: Vec<Waiting>,
    /// Nobody knows whether they are there: a call failed, or did not end in time.
    failed: Vec<Waiting>,
}

impl Deliver {
    /// Puts what is left of some works of one webhook into its backlog. Answers the records that
    /// have to come again: the same message puts the same items.
    pub(crate) async fn let_wait(
        &self,
        works: &mut [Work<'_>],
        around: &Surroundings<'_>,
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
                waiting.extend(items(at, &task(webhook, &deliveries, how), around.records));
            }
        }
        self.append(webhook, reason, waiting, around.deadline).await
    }

    /// Puts tasks of one webhook into its backlog as they came.
    pub(crate) async fn let_tasks_wait(
        &self,
        webhook: &Webhook,
        reason: Reason,
        tasks: &[(usize, Task<'_>)],
        around: &Surroundings<'_>,
    ) -> BTreeSet<usize> {
        let mut waiting = Vec::new();
        for (at, task) in tasks {
            let record = &around.records[*at];
            let came_before = record.receives > 1 || record.redriven;
            let redriven = task.redriven || record.redriven;
            // Something may have been done for a message that came before: its records are looked
            // at when it has its turn.
            let task = Task { recorded: task.recorded || came_before, redriven, ..task.clone() };
            waiting.extend(items(*at, &task, around.records));
        }
        self.append(webhook, reason, waiting, around.deadline).await
    }

    /// Puts items into a webhook's backlog and sees to it that it has a turn. Answers the records
    /// that have to come again. It is done by the deadline.
    async fn append(
        &self,
        webhook: &Webhook,
        reason: Reason,
        waiting: Vec<(usize, Waiting)>,
        deadline: Deadline,
    ) -> BTreeSet<usize> {
        // Two copies of a message have the same keys, which one call must not have twice.
        let mut by_key = BTreeMap::new();
        let mut sources: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
        for (at, item) in waiting {
            sources.entry(item.key.clone()).or_default().insert(at);
            by_key.entry(item.key.clone()).or_insert(item);
        }
        let items: Vec<Waiting> = by_key.into_values().collect();
        let opening_from = deadline.earlier(OPEN_AND_PUT_OFF).instant();
        let Put { there, refused, failed } = self.put(webhook, items, opening_from).await;
        if !there.is_empty() {
            match timeout_at(deadline.instant(), self.open(webhook, reason)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::error!(error = %format!("{error:#}"), "a lane could not be opened");
                    return sources.into_values().flatten().collect();
                }
                Err(_) => {
                    tracing::error!("a lane could not be opened in time");
                    return sources.into_values().flatten().collect();
                }
            }
        }
        let deliveries: usize = there.iter().map(|item| item.task.deliveries.len()).sum();
        tracing::debug!(deliveries, reason = reason.name(), "deliveries wait");
        let labels = Labels { reason: Some(reason.name()), ..Labels::default() };
        measure(Metric::Waiting, labels, deliveries as u64);
        let mut unsettled = BTreeSet::new();
        for item in failed.iter().chain(self.put_off(webhook, &refused, deadline).await) {
            unsettled.extend(sources[&item.key].iter().copied());
        }
        unsettled
    }

    /// Puts items into a webhook's backlog, as long as there is time. The rest count as refused.
    async fn put(&self, webhook: &Webhook, items: Vec<Waiting>, until: Instant) -> Put {
        let mut all = Put::default();
        let mut left = items.into_iter();
        while left.len() > 0 && Instant::now() < until {
            let puts: Vec<_> = left.by_ref().take(PUT_TOGETHER).collect();
            let putting = self.courier.deliveries.backlogs.put(&webhook.key, &puts);
            let places = match timeout_at(until, putting).await {
                Ok(Ok(places)) => places,
                Ok(Err(error)) => {
                    tracing::error!(%error, "deliveries could not be put into the backlog");
                    all.failed.extend(puts);
                    continue;
                }
                Err(_) => {
                    all.failed.extend(puts);
                    break;
                }
            };
            for (place, item) in puts.into_iter().enumerate() {
                if places.contains(&place) { all.refused.push(item) } else { all.there.push(item) }
            }
        }
        all.refused.extend(left);
        all
    }

    /// Sends items that the table did not take back to the queue for a while: as new messages they
    /// are not in flight, of which SQS takes a bounded number for all webhooks together. Answers
    /// those that could not be sent by the deadline.
    async fn put_off<'i>(
        &self,
        webhook: &Webhook,
        items: &'i [Waiting],
        deadline: Deadline,
    ) -> Vec<&'i Waiting> {
        let (mut left, mut sending, mut messages) = (Vec::new(), Vec::new(), Vec::new());
        for item in items {
            let task = Task { passes: item.task.passes + 1, ..item.task.clone() };
            match task.message() {
                Ok(body) if task.passes < MAX_PASSES => {
                    let message = Message::new(body, webhook.key.workspace.to_string());
                    messages.push(Message { delay: PUT_OFF, ..message });
                    sending.push(Some(item));
                }
                _ => left.push(item),
            }
        }
        let mut calls = pin!(self.courier.tasks.send_in_calls(&messages));
        while let Ok(Some(sent)) = timeout_at(deadline.instant(), calls.next()).await {
            let failed: BTreeSet<usize> = sent.failed.iter().map(|(place, _)| *place).collect();
            for (_, error) in sent.failed.iter().take(1) {
                tracing::error!(%error, "deliveries could not be put off");
            }
            for place in sent.messages.filter(|place| !failed.contains(place)) {
                sending[place] = None;
            }
        }
        left.extend(sending.into_iter().flatten());
        left
    }

    /// Sees to it that the backlog, which has something in it by now, has a turn.
    async fn open(&self, webhook: &Webhook, reason: Reason) -> anyhow::Result<()> {
        let key = &webhook.key;
        let token = token()?;
        let mut append = Append::new(reason, token, due_shard(key.id.0));
        append.put();
        loop {
            match append.next() {
                AppendStep::Put | AppendStep::Look => {
                    let lane = self.courier.deliveries.lanes.get(key).await?;
                    append.looked(&lane, clock::now());
                }
                AppendStep::Open(write, _) => {
                    let outcome = self.courier.deliveries.lanes.write(key, &write).await?;
                    append.opened(&outcome, clock::now());
                }
                AppendStep::Send { token, delay } => {
                    let turn = TurnMessage { webhook: key.clone(), token };
                    let body = serde_json::to_string(&turn)?;
                    let message =
                        Message { delay, ..Message::new(body, key.workspace.to_string()) };
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
        for _ in 0..STRIKE_TRIES {
            let Some(write) = lane.strike(strike, clock::now()) else { return };
            match self.courier.deliveries.lanes.write(&webhook.key, &write).await {
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
        if let Err(error) = self.courier.deliveries.lanes.write(&webhook.key, &write).await {
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
