//! Attempts, and what comes after them.
//!
//! Actors: the poller hands over up to ten tasks; this reads what they need with one call a table, sorts their deliveries into
//! lanes, makes the requests of each lane one after the other and the lanes side by side, records each attempt with each delivery
//! that it carried, and gives each record its fate as soon as it is known, so a slow endpoint does not hold up the retry of another.
//!
//! States: those of [`posthaste_domain::attempt`]. They are kept in the delivery's record; a task carries ids, and what the
//! deliveries of one request have to keep together when it is made again.
//!
//! Guarantees, wherever the function dies: before the request, nothing has happened and the message comes again. Between the
//! request and its records, the attempt is made again: the endpoint may get the events twice, with the same ids. Between the
//! records and the end of the message, the records say what is left to do: nothing after a success, the rest of the schedule
//! after a failure, the dead letter after the last one. What waits is first sent as a task of its own, or parked, and only then
//! taken from the old message. A fault of our own (DynamoDB, the encryption key, no time left) costs no attempt.
//!
//! Isolation: messages are grouped by webhook, so SQS hands out those of quiet webhooks first (fair queues). Within a batch a webhook
//! has at most as many requests at a time as it has tasks, ten, and each ends within the webhook's timeout; none of another
//! webhook's waits for them. An endpoint that times out five times in a row gets no more than one request at a time, at growing
//! distances, until it answers ([`posthaste_domain::health`]); its deliveries wait outside the function, not in flight.

use std::{collections::BTreeMap, time::Duration};

use aws_lambda_events::event::sqs::SqsBatchResponse;
use futures::{StreamExt, stream, stream::FuturesUnordered};
use posthaste_domain::{health::Gate, id::WebhookId, rate_limit::Slot, task::Task, webhook::Webhook};
use posthaste_queue::Queue;
use posthaste_runtime::{
    batch::{Batch, Fate, Record},
    clock,
    deadline::Deadline,
    keys::Keys,
};
use posthaste_sender::Sender;
use posthaste_store::{Deliveries, Events, Registry, Reservation, Reserved, StoreError};

use crate::{
    facts::Facts,
    lanes::{Lane, sort},
    run::Run,
};

/// How long reading may take: the rest of the time is the endpoints'.
const FACTS_TIME: Duration = Duration::from_secs(5);

/// What deliver works with.
pub(crate) struct Deliver {
    pub(crate) registry: Registry,
    pub(crate) events: Events,
    pub(crate) deliveries: Deliveries,
    pub(crate) keys: Keys,
    pub(crate) sender: Sender,
    pub(crate) batch: Batch,
    /// Where operational events go.
    pub(crate) events_queue: Queue,
    pub(crate) retention: Duration,
    /// How long nothing but failures may go on.
    pub(crate) disable_after: Duration,
}

impl Deliver {
    /// The queue of tasks.
    pub(crate) fn tasks(&self) -> &Queue {
        &self.batch.queue
    }

    /// Handles a batch to its end. `invocation` is unique to this run.
    pub(crate) async fn handle(&self, records: &[Record], invocation: &str, deadline: Deadline) -> SqsBatchResponse {
        let mut fates = Vec::new();
        let mut tasks = Vec::new();
        for (at, record) in records.iter().enumerate() {
            match Task::parse(&record.body) {
                Ok(task) => tasks.push((at, task)),
                Err(error) => {
                    fates.push((at, Fate::DeadLetter { reason: "unreadable_task", detail: error.to_string() }));
                }
            }
        }
        let Ok(facts) = tokio::time::timeout(FACTS_TIME, Facts::read(self, records, &tasks)).await else {
            tracing::error!("what the tasks need could not be read in time");
            fates.extend(tasks.iter().map(|(at, _)| (*at, Fate::after_our_fault(&records[*at]))));
            return self.batch.settle(records, stream::iter(fates)).await;
        };
        let sorted = sort(records, &tasks, &facts, clock::now());
        fates.extend(sorted.done.into_iter().map(|at| (at, Fate::Done)));
        fates.extend(sorted.unknown.into_iter().map(|at| (at, Fate::after_our_fault(&records[at]))));
        let mut lanes = sorted.lanes;
        self.reserve_slots(&mut lanes).await;
        let running: FuturesUnordered<_> = lanes
            .into_iter()
            .enumerate()
            .map(|(nth, lane)| {
                Run { deliver: self, records, facts: &facts, attempt_id: format!("{invocation}/{nth}"), deadline }
                    .lane(lane)
            })
            .collect();
        self.batch.settle(records, stream::iter(fates).chain(running.flat_map(stream::iter))).await
    }

    /// Reserves a slot for the first request of each lane that needs one, with one call a webhook. A lane for which that fails asks
    /// again when it begins, and so does one whose format takes several events: what waits there is joined by what comes in the same batch.
    async fn reserve_slots(&self, lanes: &mut [Lane<'_>]) {
        let now = clock::now();
        let needs = |lane: &Lane<'_>| {
            let waits = lane.slot.is_none() && !lane.sends.is_empty() && !lane.webhook.format().batches();
            waits && lane.webhook.health.gate(now) == Gate::Open
        };
        let mut waiting: BTreeMap<WebhookId, Vec<&mut Lane<'_>>> = BTreeMap::new();
        for lane in lanes.iter_mut().filter(|lane| needs(lane)) {
            waiting.entry(lane.webhook.id).or_default().push(lane);
        }
        for lanes in waiting.into_values() {
            let Some(webhook) = lanes.first().map(|lane| lane.webhook) else { continue };
            let Some(limit) = webhook.rate_limit() else { continue };
            let count = u32::try_from(lanes.len()).unwrap_or(u32::MAX);
            match self.reserve(webhook, Reservation { limit, count, within: None }).await {
                Ok(Reserved::Slots(slots)) => {
                    lanes.into_iter().zip(slots).for_each(|(lane, at)| lane.slot = Some(Slot { at, limit }));
                }
                Ok(Reserved::Later(_)) => {}
                Err(error) => tracing::error!(webhook.id = %webhook.id, %error, "slots could not be reserved"),
            }
        }
    }

    /// Reserves slots of a webhook.
    pub(crate) async fn reserve(&self, webhook: &Webhook, reservation: Reservation) -> Result<Reserved, StoreError> {
        self.deliveries.reserve_slots(&webhook.workspace, webhook.id, reservation, clock::now()).await
    }
}
