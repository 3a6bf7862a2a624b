//! Attempts, and what comes after them.
//!
//! Actors: the poller hands over up to ten tasks; this reads their webhooks and lanes with one
//! call, puts what can't go into its webhook's backlog, makes the requests of each sequence one
//! after the other and the sequences side by side, records each attempt with each delivery that it
//! carried, and gives each message its fate as soon as it is known, so a slow endpoint does not
//! hold up the retry of another.
//!
//! Guarantees, wherever the function dies: those of [`posthaste_delivery`]. What waits is first in
//! the backlog, parked, or sent as a task of its own, and only then taken from the old message.
//!
//! Isolation: messages are grouped by workspace, so SQS hands out those of quiet workspaces first
//! (fair queues). An endpoint that takes longer than a second gets a strike while its request is
//! still under way; the third within a minute sidelines its webhook
//! ([`posthaste_domain::endpoint::lane`]), and from then on its deliveries wait in its backlog,
//! worked off by another function. A webhook that this environment has not seen answer quickly gets
//! one request of the batch first: if that is slow, the others wait.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use aws_lambda_events::event::sqs::SqsBatchResponse;
use futures::{
    StreamExt,
    channel::mpsc::{self, UnboundedSender},
    future::{join, join_all, join3},
    stream::FuturesUnordered,
};
use posthaste_delivery::{Client, Courier, Sent, duties};
use posthaste_domain::{
    delivery::{sequence::faults_of, task::Task},
    endpoint::lane::{Admission, Evidence, Lane, Reason},
    id::WebhookId,
    message::dead_letter::DeadLetterReason,
    webhook::{Webhook, key::WebhookKey},
};
use posthaste_queue::Queue;
use posthaste_runtime::{
    batch::{Batch, Fate, Record},
    clock,
    deadline::Deadline,
};
use posthaste_store::Reserved;
use tokio::sync::oneshot;
use tracing::{Instrument, Span};

use crate::{
    facts::{FACTS_TIME, Facts, Known},
    run::Surroundings,
    work::{Work, add},
};

/// A task with more deliveries than this is read and handled by itself, so that it does not take
/// the others' time.
const FEW: usize = 40;

/// The others of a batch whose first request is slow wait for so long.
const AFTER_SLOW_SCOUT: Duration = Duration::from_secs(2);

/// All that deliver works with.
pub(crate) struct Deliver {
    pub(crate) courier: Courier,
    pub(crate) batch: Batch,
    /// The queue by which turns are asked for.
    pub(crate) turns: Queue,
    /// The answers that this environment has seen of its endpoints.
    pub(crate) evidence: Mutex<Evidence>,
}

/// The channel that the fates of messages go to.
pub(crate) type Fates = UnboundedSender<(usize, Fate)>;

/// The tasks of a webhook whose lane is held.
struct Held<'f> {
    webhook: &'f Webhook,
    reason: Reason,
    tasks: Vec<(usize, Task<'static>)>,
}

/// A task that may go the fast way.
struct Admitted<'f> {
    at: usize,
    task: Task<'static>,
    client: &'f Client,
    lane: Lane,
    is_fresh: bool,
}

impl Deliver {
    /// Handles a batch to its end. `invocation` is unique to this run.
    pub(crate) async fn handle(
        &self,
        records: &[Record],
        invocation: &str,
        deadline: Deadline,
    ) -> SqsBatchResponse {
        let (fates, told) = mpsc::unbounded();
        let work = async {
            // The channel closes with the last of them.
            let fates = fates;
            let mut tasks = Vec::new();
            for (at, record) in records.iter().enumerate() {
                match Task::parse(&record.body) {
                    Ok(task) => tasks.push((at, task)),
                    Err(error) => tell(
                        &fates,
                        at,
                        Fate::of_unreadable(
                            record,
                            &error,
                            DeadLetterReason::UnreadableTask,
                            clock::now(),
                        ),
                    ),
                }
            }
            self.go_through(
                tasks,
                &Surroundings { deliver: self, records, invocation, deadline },
                &fates,
            )
            .await;
        };
        let ((), response) = join(work, self.batch.settle(records, told)).await;
        response
    }

    async fn go_through(
        &self,
        tasks: Vec<(usize, Task<'static>)>,
        around: &Surroundings<'_>,
        fates: &Fates,
    ) {
        let Some(facts) = Facts::read(&self.courier, &tasks).await else {
            tasks.iter().for_each(|(at, _)| around.our_fault(*at, fates));
            return;
        };
        let mut waiting: BTreeMap<WebhookId, Held<'_>> = BTreeMap::new();
        let mut shares: Vec<Vec<Admitted<'_>>> = vec![Vec::new()];
        for (at, task) in tasks {
            let (client, lane) = match facts.of(&task) {
                Known::Nothing => {
                    around.our_fault(at, fates);
                    continue;
                }
                Known::Gone => {
                    tracing::info!(
                        workspace = %task.webhook.workspace, webhook.id = %task.webhook.id,
                        "the webhook is gone"
                    );
                    tell(fates, at, Fate::Done);
                    continue;
                }
                Known::Here(client, lane) => (client, *lane),
            };
            let webhook = &client.webhook;
            // Whether an unrouted event is wanted has to be known before it waits. What is only to
            // be recorded need not wait.
            let can_wait = !task.unrouted && task.made.is_none();
            if webhook.is_enabled() && lane.admission() == Admission::Wait && can_wait {
                let reason = lane.waiting_reason().unwrap_or(Reason::Slow);
                let held = waiting.entry(webhook.key.id).or_insert(Held {
                    webhook,
                    reason,
                    tasks: Vec::new(),
                });
                held.tasks.push((at, task));
                continue;
            }
            let record = &around.records[at];
            let is_fresh = record.receives <= 1 && !record.redriven && !task.recorded;
            let is_large = task.deliveries.len() > FEW;
            let admitted = Admitted { at, task, client, lane, is_fresh };
            if is_large { shares.push(vec![admitted]) } else { shares[0].push(admitted) }
        }
        let waiting = waiting.into_values().map(|held| self.hold(held, around, fates));
        let shares =
            shares.into_iter().map(|share| self.share(share, facts.read_at, around, fates));
        join3(join_all(waiting), join_all(shares), self.tell_news(&facts, around)).await;
    }

    /// Puts tasks whose lane is held into its backlog.
    async fn hold(&self, held: Held<'_>, around: &Surroundings<'_>, fates: &Fates) {
        let Held { webhook, reason, tasks } = held;
        let putting = self.let_tasks_wait(webhook, reason, &tasks, around);
        let unsettled = putting.instrument(span_of(webhook)).await;
        for (at, _) in tasks {
            if unsettled.contains(&at) {
                around.our_fault(at, fates)
            } else {
                tell(fates, at, Fate::Done)
            }
        }
    }

    /// Publishes the news of webhooks that a function has disabled and died before it could tell.
    async fn tell_news(&self, facts: &Facts, around: &Surroundings<'_>) {
        let telling = facts.webhooks().map(|webhook| self.courier.tell_untold_disabling(webhook));
        if tokio::time::timeout_at(around.deadline.instant(), join_all(telling)).await.is_err() {
            tracing::warn!("the disabling of a webhook could not be told in time");
        }
    }

    /// Reads what the deliveries of some tasks need, and makes them.
    async fn share(
        &self,
        share: Vec<Admitted<'_>>,
        looked_at: posthaste_domain::Timestamp,
        around: &Surroundings<'_>,
        fates: &Fates,
    ) {
        let wanted = share.iter().map(|admitted| (&admitted.task, !admitted.is_fresh));
        let Ok(details) = tokio::time::timeout(FACTS_TIME, self.courier.details(wanted)).await
        else {
            tracing::error!("what some tasks need could not be read in time");
            share.iter().for_each(|admitted| around.our_fault(admitted.at, fates));
            return;
        };
        let mut works = Vec::new();
        for Admitted { at, task, client, lane, is_fresh } in share {
            let record = &around.records[at];
            let sent = Sent { source: at, redriven: record.redriven };
            let task = Task { faults: faults_of(&task, record.receives), ..task };
            let about = task.with(Vec::new());
            let duties = details
                .know_records_of(&task)
                .then(|| duties(task, sent, &client.webhook, &details, clock::now()));
            let Some(duties) = duties.flatten() else {
                around.our_fault(at, fates);
                continue;
            };
            add(&mut works, Work::of(at, &about, duties, is_fresh, client, lane));
        }
        let mut by_webhook: BTreeMap<WebhookId, Vec<Work<'_>>> = BTreeMap::new();
        for work in works {
            by_webhook.entry(work.client.webhook.key.id).or_default().push(work);
        }
        let groups: FuturesUnordered<_> = by_webhook
            .into_values()
            .map(|works| {
                let span =
                    works.first().map_or_else(Span::none, |work| span_of(&work.client.webhook));
                self.group(works, looked_at, around, fates).instrument(span)
            })
            .collect();
        groups.collect::<()>().await;
    }

    /// Makes the deliveries of one webhook.
    async fn group(
        &self,
        mut works: Vec<Work<'_>>,
        looked_at: posthaste_domain::Timestamp,
        around: &Surroundings<'_>,
        fates: &Fates,
    ) {
        self.reserve_slots(&mut works).await;
        let mut going = Vec::new();
        let mut waiting = Vec::new();
        for work in works {
            // What is shed is recorded as skipped where it would be sent.
            let goes = work.admission != Admission::Wait || work.sequence.left.is_empty();
            if goes { going.push(work) } else { waiting.push(work) }
        }
        let Some(first) = going.first() else { return around.let_wait(&mut waiting, fates).await };
        let webhook = &first.client.webhook;
        let needs_scout = going.len() > 1
            && webhook.rate_limit().is_none()
            && !self.evidence().was_quick(&webhook.key, clock::now());
        let waits = around.let_wait(&mut waiting, fates);
        if !needs_scout {
            let all =
                join_all(going.into_iter().map(|work| around.run(work, looked_at, None, fates)));
            join(all, waits).await;
            return;
        }
        let scout = going.remove(0);
        let (tell_others, told) = oneshot::channel();
        let others = async move {
            match told.await {
                // The scout is quick, or has had nothing to send.
                Ok(true) | Err(_) => {
                    join_all(
                        going.into_iter().map(|work| around.run(work, looked_at, None, fates)),
                    )
                    .await;
                }
                // They come again in a moment. By then the strikes of all environments say whether
                // the webhook is sidelined.
                Ok(false) => {
                    for at in going.iter().flat_map(|work| work.records.iter().copied()) {
                        tell(fates, at, Fate::RetryIn(AFTER_SLOW_SCOUT));
                    }
                }
            }
        };
        join(join(around.run(scout, looked_at, Some(tell_others), fates), others), waits).await;
    }

    /// Reserves slots for the first requests of a limited webhook with one call. What gets none
    /// within a second waits.
    async fn reserve_slots(&self, works: &mut [Work<'_>]) {
        let Some(webhook) = works.first().map(|work| &work.client.webhook) else { return };
        let Some(limit) = webhook.rate_limit().filter(|_| webhook.is_enabled()) else { return };
        let mut needing: Vec<&mut Work<'_>> = works
            .iter_mut()
            .filter(|work| work.admission == Admission::Go && !work.sequence.left.is_empty())
            .collect();
        if needing.is_empty() {
            return;
        }
        let count = u32::try_from(needing.len()).unwrap_or(u32::MAX);
        let slots = match self
            .courier
            .deliveries
            .slots
            .reserve(&webhook.key, limit, count, clock::now())
            .await
        {
            Ok(Reserved::Slots(slots)) => slots,
            Ok(Reserved::Later(_)) => Vec::new(),
            Err(error) => {
                // They wait for their turn, which reserves slots by itself.
                tracing::warn!(%error, "slots could not be reserved");
                Vec::new()
            }
        };
        let mut slots = slots.into_iter();
        for work in &mut needing {
            match slots.next() {
                Some(slot) => work.slot = Some(slot),
                None if work.lane.full => work.admission = Admission::Shed,
                None => (work.admission, work.reason) = (Admission::Wait, Reason::Limited),
            }
        }
    }

    pub(crate) fn evidence(&self) -> MutexGuard<'_, Evidence> {
        self.evidence.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The lines about a webhook's deliveries say whose they are.
fn span_of(webhook: &Webhook) -> Span {
    let WebhookKey { workspace, id } = &webhook.key;
    tracing::error_span!("webhook", webhook.id = %id, %workspace)
}

/// Tells the fate of a message.
pub(crate) fn tell(fates: &Fates, at: usize, fate: Fate) {
    // The receiver lives as long as all that is done.
    let _ = fates.unbounded_send((at, fate));
}
