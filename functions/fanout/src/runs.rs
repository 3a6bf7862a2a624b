//! Holding deliveries until the run of their process ends, and ending runs.
//!
//! The end of a run first writes its marker, then collects what is held, sends it with itself as
//! the last, and only then forgets it. A hold is refused once the marker is there. So an event of
//! the run goes out together with the end, or by itself once the end is known: never before that,
//! and never not at all.
//!
//! Events that were published in the same call go before the end. Their messages may be handled in
//! any order, so an end is dealt with some seconds after it was received, and only when each event
//! that its call has before it is stored, and is held or made where the webhook holds it. It is
//! looked for two minutes whether that is so.
//!
//! A run can have more than one end, and the message of an end can come twice. Another end waits
//! until the first one has been attempted, or two minutes, so that it does not overtake what went
//! out with that.
//!
//! A run that is too long for one task goes out in parts, one after the other: the end is held as
//! the last, the first part is sent, and a message to this function asks for the rest. When the
//! last delivery of a part has been attempted, or skipped, the next part goes out. When that takes
//! longer than deliveries are held, the rest goes out all the same.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, stream};
use posthaste_domain::{
    delivery::{
        attempt::Progress,
        task::{MAX_DELIVERIES, parts},
    },
    event::Event,
    fanout::share::Rest,
    id::{Cause, DeliveryId, EventId},
    webhook::key::WebhookKey,
};
use posthaste_queue::{Message, Queue};
use posthaste_runtime::{clock, random};
use posthaste_store::{Found, Hold, HoldAt, Holding, Within};

use crate::{
    fanout::{Fanout, Ledger},
    plan::{Continued, End, Owed, Run, end_again, rest_of_run, task_of_run},
};

/// So many runs are held for or ended side by side.
const CONCURRENT_RUNS: usize = 16;
/// It is looked so often whether what goes before an end is held, or attempted: after 5, 10, 20, 40
/// and 60 s more.
const END_TRIES: u32 = 5;
/// So many holds are read that are among those of one call: as many as a call has events, with room
/// for those of others.
const MAX_HELD: usize = 1_000;

impl Fanout {
    /// Holds come before ends, so that an end finds what came with it.
    pub(crate) async fn hold_and_end(
        &self,
        holds: BTreeMap<Run, BTreeSet<Owed>>,
        ends: BTreeMap<(Run, EventId), End>,
        ledger: &Ledger,
    ) {
        // One record's after the other's, so that records are done even if there is no time for
        // all.
        let mut holds: Vec<_> = holds.into_iter().collect();
        holds.sort_by_key(|(_, owed)| owed.iter().map(|owed| owed.record).min());
        let holds = stream::iter(holds).map(|(run, owed)| self.hold(run, owed, ledger));
        holds.buffer_unordered(CONCURRENT_RUNS).collect::<()>().await;
        let mut ends: Vec<End> = ends.into_values().collect();
        ends.sort_by_key(|end| end.records.first().copied());
        let ends = stream::iter(ends).map(|end| self.end(end, ledger));
        ends.buffer_unordered(CONCURRENT_RUNS).collect::<()>().await;
    }

    /// Sends the next parts of runs whose part before has been attempted.
    pub(crate) async fn go_on(&self, rests: Vec<Continued>, ledger: &Ledger) {
        let rests =
            stream::iter(rests).map(async |continued| match self.go_on_with(&continued).await {
                Ok(()) => ledger.settle([continued.record]),
                Err(error) => failed(&continued.run, "a run could not go on", &error),
            });
        rests.buffer_unordered(CONCURRENT_RUNS).collect::<()>().await;
    }

    async fn hold(&self, run: Run, owed: BTreeSet<Owed>, ledger: &Ledger) {
        let holds = once_each(&owed);
        let held = async {
            let ended =
                self.deliveries.holds.hold(holding(&run), &holds, self.hold_deadline).await?;
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

    async fn end(&self, end: End, ledger: &Ledger) {
        let run = &end.run;
        let ended = async {
            if end.share.tries < END_TRIES && !self.is_held(&end).await? {
                return send(&self.shares, end_again(&end)?).await;
            }
            let own = end.wanted.map(|hold| hold.delivery);
            let token = format!("{:032x}", u128::from_be_bytes(random::bytes()?));
            let Some(first) =
                self.deliveries.holds.end(holding(run), own, &token, clock::now()).await?
            else {
                return self.send_part(run, &end.event, None, end.wanted).await;
            };
            let progress = self.deliveries.records.progress([(run.webhook.clone(), first)]).await;
            anyhow::ensure!(progress.unread.is_empty(), "a record could not be read");
            let is_attempted = has_had_its_turn(&progress, first);
            let waits = !is_attempted && !comes_again(&end, first);
            if waits && end.share.tries < END_TRIES {
                return send(&self.shares, end_again(&end)?).await;
            }
            let wanted = end.wanted.filter(|end| !(is_attempted && end.delivery == first));
            self.send_part(run, &end.event, None, wanted).await
        };
        match ended.await {
            Ok(()) => ledger.settle(end.records.iter().copied()),
            Err(error) => failed(run, "a run could not be ended", &error),
        }
    }

    /// Says whether everything is held, or was made, that goes before the end; also where the run
    /// has ended before, and nothing is held for it any more.
    async fn is_held(&self, end: &End) -> anyhow::Result<bool> {
        let (run, Some(expected)) = (&end.run, &end.expected) else { return Ok(false) };
        let (Some(first), Some(last)) = (expected.first(), expected.last()) else {
            return Ok(true);
        };
        let from = HoldAt { is_end: false, event: *first };
        let until = HoldAt { is_end: false, event: *last };
        let between = Within { after: None, from: Some(from), until: Some(until) };
        let held = self.deliveries.holds.held(holding(run), between, MAX_HELD).await?;
        let held: BTreeSet<EventId> = held.iter().map(|hold| hold.event).collect();
        let missing: Vec<_> = expected
            .difference(&held)
            .map(|event| {
                let delivery = DeliveryId::derive(*event, run.webhook.id, Cause::Published);
                (run.webhook.clone(), delivery)
            })
            .collect();
        if missing.is_empty() || self.deliveries.holds.has_ended(holding(run)).await? {
            return Ok(true);
        }
        let made = self.deliveries.records.progress(missing.iter().cloned()).await;
        anyhow::ensure!(made.unread.is_empty(), "a record could not be read");
        Ok(missing.iter().all(|(_, delivery)| has_had_its_turn(&made, *delivery)))
    }

    async fn go_on_with(
        &self,
        Continued { run, rest, tries, event, record: _ }: &Continued,
    ) -> anyhow::Result<()> {
        let progress = self.deliveries.records.progress([(run.webhook.clone(), rest.last)]).await;
        anyhow::ensure!(progress.unread.is_empty(), "a record could not be read");
        // Whoever holds an event longer than the deadline does not keep its order.
        let is_late = clock::now() > event.id.time() + self.hold_deadline;
        if !has_had_its_turn(&progress, rest.last) && !is_late {
            return send(&self.shares, rest_of_run(run, *rest, event, tries + 1)?).await;
        }
        let after = HoldAt { is_end: rest.is_end, event: rest.after };
        let done = Within { until: Some(after), ..Within::default() };
        let done = self.deliveries.holds.held(holding(run), done, MAX_DELIVERIES).await?;
        self.deliveries.holds.forget(holding(run), &done).await?;
        self.send_part(run, event, Some(after), None).await
    }

    /// Sends what is held behind this event, or as much as one task takes and a request for the
    /// rest. `end` goes last; it is not held yet.
    ///
    /// What is sent in parts is held until it has been attempted: a copy of the message that asks
    /// for the first part, or for the rest, sends the same part again and not the next one.
    async fn send_part(
        &self,
        run: &Run,
        event: &Event,
        after: Option<HoldAt>,
        end: Option<Hold>,
    ) -> anyhow::Result<()> {
        let within = Within { after, ..Within::default() };
        let held = self.deliveries.holds.held(holding(run), within, MAX_DELIVERIES + 1).await?;
        let end = end.filter(|end| held.iter().all(|hold| hold.at() != end.at()));
        let all: Vec<Hold> = held.into_iter().chain(end).collect();
        let parts = parts(&all, |hold| hold.bytes);
        let Some(part) = parts.first() else { return Ok(()) };
        let last = part.last().filter(|_| parts.len() > 1);
        if let (Some(end), true) = (end, last.is_some()) {
            self.deliveries.holds.hold_end(holding(run), end, self.hold_deadline).await?;
        }
        send(&self.tasks, task_of_run(run, part)?).await?;
        match last {
            Some(last) => {
                let rest = Rest { after: last.event, is_end: last.is_end, last: last.delivery };
                send(&self.shares, rest_of_run(run, rest, event, 0)?).await
            }
            None => Ok(self.deliveries.holds.forget(holding(run), part).await?),
        }
    }
}

/// Says whether a delivery was attempted or skipped, so that what comes after it may go out.
fn has_had_its_turn(found: &Found<DeliveryId, Progress>, delivery: DeliveryId) -> bool {
    found.items.get(&delivery).is_some_and(Progress::has_had_its_turn)
}

/// Says whether this end is the first one itself, whose message has come before. It may have died
/// before it sent anything, so nothing else will be attempted. A further end waits for the first
/// one however often it comes: else it could overtake what goes out with that.
fn comes_again(end: &End, first: DeliveryId) -> bool {
    end.again && end.wanted.is_some_and(|own| own.delivery == first)
}

async fn send(queue: &Queue, message: Message) -> anyhow::Result<()> {
    Ok(queue.send_all(&[message]).await?)
}

fn failed(run: &Run, what: &str, error: &anyhow::Error) {
    let WebhookKey { workspace, id } = &run.webhook;
    tracing::error!(
        webhook.id = %id, %workspace, error = %format!("{error:#}"), "{what}"
    );
}

fn holding(run: &Run) -> Holding<'_> {
    Holding { webhook: &run.webhook, context: &run.context }
}

/// Two messages can bring the same event, even with data of different lengths.
fn once_each(owed: &BTreeSet<Owed>) -> Vec<Hold> {
    let by_event: BTreeMap<EventId, Hold> =
        owed.iter().map(|owed| (owed.hold.event, owed.hold)).collect();
    by_event.into_values().collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use posthaste_domain::{fanout::share::Share, id::WebhookId, testing};

    use super::*;

    #[test]
    fn only_the_first_end_goes_on_when_it_comes_again() {
        let event = testing::event(1, "process_run_end", r#"{"contextId":"1"}"#);
        let webhook = testing::webhook_key(1);
        let delivery = DeliveryId::derive(event.id, webhook.id, Cause::Published);
        let other = DeliveryId::derive(event.id, WebhookId(2), Cause::Published);
        let mut end = End {
            run: Run { webhook, context: "1".to_owned() },
            wanted: Some(Hold { is_end: true, event: event.id, delivery, bytes: 1 }),
            event: Arc::new(event),
            share: Share::ALL,
            expected: None,
            records: BTreeSet::from([0]),
            again: true,
        };
        assert!(comes_again(&end, delivery), "it may have died before it sent anything");
        assert!(!comes_again(&end, other), "a further end waits for the first one");
        end.again = false;
        assert!(!comes_again(&end, delivery), "a copy of a message that is being handled");
    }

    #[test]
    fn an_event_that_two_messages_bring_with_other_data_is_held_once() {
        let event: EventId = "01896b5d-3648-7000-8000-000000000001".parse().unwrap();
        let delivery = DeliveryId::derive(event, WebhookId(1), Cause::Published);
        let owed =
            |record, bytes| Owed { hold: Hold { is_end: false, event, delivery, bytes }, record };
        assert_eq!(once_each(&[owed(0, 10), owed(1, 12)].into()).len(), 1);
    }
}
