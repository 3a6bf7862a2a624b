//! Going through one sequence: request after request, and what follows each.

use std::{collections::BTreeSet, time::Duration};

use posthaste_delivery::{Answer, Answered, Skipped, Standing};
use posthaste_domain::{
    Timestamp,
    delivery::sequence::{Carried, Move, Pending, Situation},
    endpoint::lane::{Admission, Reason},
    webhook::{Webhook, rate_limit::RateLimit},
};
use posthaste_queue::MAX_DELAY;
use posthaste_runtime::{
    batch::{Fate, Record},
    clock,
    deadline::Deadline,
};
use posthaste_store::{Reserved, StoreError};

use crate::{
    deliver::{Deliver, Fates, tell},
    watch::Scout,
    work::{Change, Work},
};

/// The invocation that a sequence runs in.
pub(crate) struct Surroundings<'a> {
    pub(crate) deliver: &'a Deliver,
    pub(crate) records: &'a [Record],
    /// Unique to this invocation.
    pub(crate) invocation: &'a str,
    pub(crate) deadline: Deadline,
}

/// The progress of a sequence so far.
#[derive(Default)]
pub(crate) struct Progress {
    requests: usize,
    /// Messages that have to come again, because something for them could not be done.
    pub(crate) unsettled: BTreeSet<usize>,
    /// The wait of the only message, if that comes again as it is.
    pub(crate) comes_again: Option<Duration>,
}

impl Progress {
    fn fate(&self, at: usize, record: &Record) -> Fate {
        match self.comes_again {
            _ if self.unsettled.contains(&at) => Fate::after_our_fault(record),
            Some(wait) => Fate::RetryIn(wait),
            None => Fate::Done,
        }
    }
}

impl Surroundings<'_> {
    pub(crate) fn our_fault(&self, at: usize, fates: &Fates) {
        tell(fates, at, Fate::after_our_fault(&self.records[at]));
    }

    /// Puts works of one webhook into its backlog, and tells the fates of their messages.
    pub(crate) async fn let_wait(&self, works: &mut [Work<'_>], fates: &Fates) {
        let mut progress = Progress::default();
        for work in works.iter_mut() {
            self.settle_the_rest(work, &mut progress).await;
        }
        let mut unsettled = self.deliver.let_wait(works, self).await;
        unsettled.extend(progress.unsettled);
        for at in works.iter().flat_map(|work| work.records.iter().copied()) {
            if unsettled.contains(&at) {
                self.our_fault(at, fates)
            } else {
                tell(fates, at, Fate::Done)
            }
        }
    }

    /// Goes through a sequence, and tells the fates of its messages.
    pub(crate) async fn run(
        &self,
        work: Work<'_>,
        looked_at: Timestamp,
        scout: Option<Scout>,
        fates: &Fates,
    ) {
        let records = work.records.clone();
        let Ok(progress) = tokio::time::timeout_at(
            self.deadline.instant(),
            self.go_through(work, looked_at, scout),
        )
        .await
        else {
            tracing::error!("a sequence ran out of time");
            records.into_iter().for_each(|at| self.our_fault(at, fates));
            return;
        };
        for at in records {
            tell(fates, at, progress.fate(at, &self.records[at]));
        }
    }

    async fn go_through(
        &self,
        mut work: Work<'_>,
        looked_at: Timestamp,
        mut scout: Option<Scout>,
    ) -> Progress {
        let is_whole = work.is_whole();
        let mut progress = Progress::default();
        self.settle_the_rest(&mut work, &mut progress).await;
        let webhook = &work.client.webhook;
        let mut situation = self.situation(&work, looked_at);
        loop {
            situation.time_left = self.deadline.left();
            match work.sequence.next(&situation, clock::now()) {
                Move::Over => return progress,
                Move::Skip => return self.skip(&mut work, Skipped::Disabled, progress).await,
                Move::Shed => return self.skip(&mut work, Skipped::BacklogFull, progress).await,
                Move::Wait => return self.wait(&mut work, progress).await,
                Move::NoTime if is_whole && progress.requests == 0 => {
                    progress.comes_again = Some(Duration::ZERO);
                    return progress;
                }
                Move::NoTime => return self.send_the_rest_on(&mut work, progress).await,
                Move::Look => match self.look(&mut work, &mut situation).await {
                    Ok(Change::None) => {}
                    Ok(Change::Paused) => situation.is_enabled = false,
                    Ok(Change::Gone) => {
                        tracing::info!("the webhook is gone");
                        return progress;
                    }
                    Ok(Change::Changed) => return self.send_the_rest_on(&mut work, progress).await,
                    Err(error) => return self.broken(&work, &error, progress),
                },
                Move::Reserve(limit) => match self.reserve(webhook, limit).await {
                    Ok(Reserved::Slots(slots)) => situation.slot = slots.first().copied(),
                    Ok(Reserved::Later(_)) => {
                        (situation.admission, work.reason) = (Admission::Wait, Reason::Limited)
                    }
                    Err(error) => return self.broken(&work, &error.into(), progress),
                },
                Move::RequestAt(at) => {
                    let wait = Duration::try_from(at.duration_since(clock::now()));
                    tokio::time::sleep(wait.unwrap_or_default()).await;
                    situation.slot = None;
                    match self.request(&mut work, is_whole, scout.take(), &mut progress).await {
                        None => return progress,
                        Some(Standing::Enabled) => {}
                        Some(Standing::Disabled) => situation.is_enabled = false,
                        Some(Standing::Unknown) => situation.looked_at = None,
                    }
                }
            }
        }
    }

    /// Puts what is left of a sequence into the backlog.
    async fn wait(&self, work: &mut Work<'_>, mut progress: Progress) -> Progress {
        // A half may have come in several messages, and has to stay one request. A message of its
        // own goes into the backlog as one item.
        if work.sequence.has_halves() && work.records.len() > 1 {
            return self.send_the_rest_on(work, progress).await;
        }
        progress.unsettled.extend(self.deliver.let_wait(std::slice::from_mut(work), self).await);
        progress
    }

    fn situation(&self, work: &Work<'_>, looked_at: Timestamp) -> Situation {
        let webhook = &work.client.webhook;
        Situation {
            is_enabled: webhook.is_enabled(),
            admission: work.admission,
            looked_at: Some(looked_at),
            limit: webhook.rate_limit(),
            slot: work.slot,
            timeout: webhook.timeout(),
            time_left: self.deadline.left(),
        }
    }

    /// Asks for a slot for the next request.
    async fn reserve(&self, webhook: &Webhook, limit: RateLimit) -> Result<Reserved, StoreError> {
        let slots = &self.deliver.courier.deliveries.slots;
        slots.reserve(&webhook.key, limit, 1, clock::now()).await
    }

    /// Sends what is left of a sequence on in a message of its own.
    async fn send_the_rest_on(&self, work: &mut Work<'_>, mut progress: Progress) -> Progress {
        let left = std::mem::take(&mut work.sequence.left);
        self.send_on(work, &left, Duration::ZERO, &mut progress).await;
        progress
    }

    /// Reads the webhook and its lane again: a pause or a removal reaches the requests that have
    /// not begun.
    async fn look(&self, work: &mut Work<'_>, situation: &mut Situation) -> anyhow::Result<Change> {
        let (courier, webhook) = (&self.deliver.courier, &work.client.webhook);
        let (webhooks, mut lanes) = courier
            .deliveries
            .lanes
            .with_webhooks(&courier.registry, std::slice::from_ref(&webhook.key))
            .await;
        if webhooks.unread.contains(&webhook.key) || lanes.unread.contains(&webhook.key) {
            anyhow::bail!("the webhook or its lane could not be read");
        }
        work.lane = lanes.items.remove(&webhook.key).unwrap_or_default();
        situation.admission = work.lane.admission();
        situation.looked_at = Some(clock::now());
        Ok(work.change(webhooks.items.get(&webhook.key)))
    }

    /// Does what the messages ask for beside attempts.
    async fn settle_the_rest(&self, work: &mut Work<'_>, progress: &mut Progress) {
        let courier = &self.deliver.courier;
        let (webhook, batch) = (&work.client.webhook, work.sequence.batch);
        progress.unsettled.extend(courier.skip(webhook, &work.skips, Skipped::Disabled).await);
        progress.unsettled.extend(courier.give_up(webhook, &work.exhausted, batch, None).await);
        progress.unsettled.extend(courier.bury_gone(webhook, &work.gone, batch).await);
        if let Some((made, deliveries)) = work.made.take() {
            let (attempt_id, answer) = (made.id.clone(), Answer::of(made));
            let concluding = self.concluding(work, &attempt_id, true);
            self.conclude(
                work,
                Carried { deliveries, batch },
                &answer,
                concluding,
                false,
                progress,
            )
            .await;
        }
        progress.unsettled.extend(courier.park_again(webhook, &work.parks).await);
        let Some(at) = work.later.iter().map(|(_, at)| *at).max() else { return };
        let later: Vec<Pending> =
            std::mem::take(&mut work.later).into_iter().map(|(pending, _)| pending).collect();
        let wait = Duration::try_from(at.duration_since(clock::now())).unwrap_or_default();
        self.send_on(work, &later, wait.min(MAX_DELAY), progress).await;
    }

    /// Makes the next request. Answers how the webhook stands after it; none when the sequence
    /// can't go on.
    async fn request(
        &self,
        work: &mut Work<'_>,
        is_whole: bool,
        scout: Option<Scout>,
        progress: &mut Progress,
    ) -> Option<Standing> {
        let courier = &self.deliver.courier;
        let began = clock::now();
        let Some((request, carried)) = courier.next_request(work.client, &mut work.sequence, began)
        else {
            progress.unsettled.extend(work.sequence.left.iter().map(|pending| pending.source));
            return None;
        };
        let sending = courier.send(work.client, request, &carried, began);
        let Answered::Attempt(answer) = self.watched(work, sending, scout).await else {
            self.after_our_fault(work, carried, progress).await;
            return None;
        };
        progress.requests += 1;
        let was_first = progress.requests == 1;
        // Two copies of a message in one batch make two attempts.
        let source = work.records.first().copied().unwrap_or_default();
        let attempt_id = format!("{}/{source}/{}", self.invocation, progress.requests);
        let is_all = is_whole && was_first && work.sequence.left.is_empty();
        let concluding = self.concluding(work, &attempt_id, false);
        self.conclude(work, carried, &answer, concluding, is_all, progress).await;
        Some(courier.note_health(&work.client.webhook, &answer.attempt).await)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_could_not_be_settled_is_surely_a_fault_of_ours() {
        let record = Record {
            message_id: "059f36b4-87a3-44ab-83d2-661975830a7d".to_owned(),
            receives: 2,
            ..Record::default()
        };
        let wait = Duration::from_secs(2);
        let mut progress = Progress { unsettled: [0].into(), ..Progress::default() };
        assert_eq!([0, 1].map(|at| progress.fate(at, &record)), [Fate::OurFault(wait), Fate::Done]);
        progress.comes_again = Some(Duration::ZERO);
        assert_eq!(progress.fate(1, &record), Fate::RetryIn(Duration::ZERO));
    }
}
