//! Holding deliveries until the run of their process ends, and ending runs.
//!
//! The end of a run first writes its marker, then collects what is held, sends it with itself as the last, and only then forgets
//! it. A hold is refused once the marker is there. So an event of the run goes out together with the end, or by itself once the
//! end is known: never before that, and never not at all. An end is dealt with when it is some seconds old, so that what was
//! published in the same call is held by then.
//!
//! A run that is too long for one task goes out in parts, one after the other: the end is held as the last, the first part is sent,
//! and a message to this function asks for the rest. When the last delivery of a part has been attempted, or skipped, the next part
//! goes out. When that takes longer than deliveries are held, the rest goes out all the same.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, stream};
use posthaste_domain::{
    event::Event,
    id::EventId,
    share::Rest,
    task::{MAX_DELIVERIES, parts},
};
use posthaste_queue::{Message, Queue};
use posthaste_runtime::clock;
use posthaste_store::{Hold, Holding};

use crate::{
    fanout::{Fanout, Ledger},
    plan::{Continued, End, Owed, Run, rest_of_run, task_of_run},
};

/// How many runs are held for or ended side by side.
const CONCURRENT_RUNS: usize = 16;

impl Fanout {
    /// Holds come before ends, so that an end finds what came with it.
    pub(crate) async fn hold_and_end(
        &self,
        holds: BTreeMap<Run, BTreeSet<Owed>>,
        ends: BTreeMap<Run, End>,
        ledger: &Ledger,
    ) {
        let holds = stream::iter(holds).map(|(run, owed)| self.hold(run, owed, ledger));
        holds.buffer_unordered(CONCURRENT_RUNS).collect::<()>().await;
        let ends = stream::iter(ends).map(|(run, end)| self.end(run, end, ledger));
        ends.buffer_unordered(CONCURRENT_RUNS).collect::<()>().await;
    }

    /// Sends the next parts of runs whose part before has been attempted.
    pub(crate) async fn go_on(&self, rests: Vec<Continued>, ledger: &Ledger) {
        let rests = stream::iter(rests).map(async |continued| match self.go_on_with(&continued).await {
            Ok(()) => ledger.settle([continued.record]),
            Err(error) => failed(&continued.run, "a run could not go on", &error),
        });
        rests.buffer_unordered(CONCURRENT_RUNS).collect::<()>().await;
    }

    async fn hold(&self, run: Run, owed: BTreeSet<Owed>, ledger: &Ledger) {
        let holds = once_each(&owed);
        let held = async {
            let ended = self.deliveries.hold(holding(&run), &holds, self.hold_deadline).await?;
            for part in parts(&ended, |hold| hold.bytes) {
                send(&self.tasks, task_of_run(&run, part)?).await?;
            }
            anyhow::Ok(())
        };
        match held.await {
            Ok(()) => ledger.settle(owed.iter().map(|owed| owed.record)),
            Err(error) => failed(&run, "deliveries could not be held", &error),
        }
    }

    async fn end(&self, run: Run, End { event, records, wanted }: End, ledger: &Ledger) {
        let ended = async {
            self.deliveries.end(holding(&run), clock::now()).await?;
            self.send_part(&run, &event, None, &once_each(&wanted)).await
        };
        match ended.await {
            Ok(()) => ledger.settle(records),
            Err(error) => failed(&run, "a run could not be ended", &error),
        }
    }

    async fn go_on_with(&self, Continued { run, rest, tries, event, record: _ }: &Continued) -> anyhow::Result<()> {
        let progress = self.deliveries.progress([(run.workspace.clone(), run.webhook, rest.last)]).await;
        anyhow::ensure!(progress.unread.is_empty(), "a record could not be read");
        // Whoever holds an event longer than the deadline does not keep its order.
        let is_late = clock::now() > event.id.time() + self.hold_deadline;
        if progress.items.contains_key(&rest.last) || is_late {
            return self.send_part(run, event, Some(rest.after), &[]).await;
        }
        send(&self.shares, rest_of_run(run, *rest, event, tries + 1)?).await
    }

    /// Sends what is held behind this event, or as much as one task takes and a request for the rest. `ends` go last; they are not
    /// held yet.
    async fn send_part(&self, run: &Run, event: &Event, after: Option<EventId>, ends: &[Hold]) -> anyhow::Result<()> {
        let held = self.deliveries.held(holding(run), after, MAX_DELIVERIES + 1).await?;
        let known: BTreeSet<EventId> = held.iter().map(|hold| hold.event).collect();
        let new = ends.iter().filter(|end| !known.contains(&end.event)).copied();
        let all: Vec<Hold> = held.iter().copied().chain(new).collect();
        let parts = parts(&all, |hold| hold.bytes);
        let Some(part) = parts.first() else { return Ok(()) };
        if parts.len() > 1 {
            for end in ends {
                self.deliveries.hold_end(holding(run), *end, self.hold_deadline).await?;
            }
        }
        send(&self.tasks, task_of_run(run, part)?).await?;
        if let Some(last) = part.last().filter(|_| parts.len() > 1) {
            let rest = Rest { after: last.event, last: last.delivery };
            send(&self.shares, rest_of_run(run, rest, event, 0)?).await?;
        }
        Ok(self.deliveries.forget(holding(run), part).await?)
    }
}

async fn send(queue: &Queue, message: Message) -> anyhow::Result<()> {
    match queue.send(&[message]).await.pop() {
        None => Ok(()),
        Some((_, error)) => Err(error.into()),
    }
}

fn failed(run: &Run, what: &str, error: &anyhow::Error) {
    tracing::error!(webhook.id = %run.webhook, error = %format!("{error:#}"), "{what}");
}

fn holding(run: &Run) -> Holding<'_> {
    Holding { workspace: &run.workspace, webhook: run.webhook, context: &run.context }
}

/// Two messages can bring the same event, even with data of different lengths.
fn once_each(owed: &BTreeSet<Owed>) -> Vec<Hold> {
    let by_event: BTreeMap<EventId, Hold> = owed.iter().map(|owed| (owed.hold.event, owed.hold)).collect();
    by_event.into_values().collect()
}

#[cfg(test)]
mod tests {
    use posthaste_domain::id::{Cause, DeliveryId, WebhookId};

    use super::*;

    #[test]
    fn an_event_that_two_messages_bring_with_other_data_is_held_once() {
        let event: EventId = "01896b5d-3648-7000-8000-000000000001".parse().unwrap();
        let delivery = DeliveryId::derive(event, WebhookId(1), Cause::Published);
        let owed = |record, bytes| Owed { hold: Hold { is_end: false, event, delivery, bytes }, record };
        assert_eq!(once_each(&[owed(0, 10), owed(1, 12)].into()).len(), 1);
    }
}
