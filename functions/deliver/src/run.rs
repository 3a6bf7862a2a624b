//! Going through one lane: request after request, and what follows each.

use std::{collections::BTreeSet, time::Duration};

use futures::{StreamExt, stream};
use posthaste_domain::{
    Timestamp,
    attempt::{Attempt, Failure, Next, after_failure, asked_wait},
    health::{Gate, Health},
    id::BatchId,
    rate_limit::Slot,
    request::WebhookRequest,
    webhook::{Credentials, Webhook},
};
use posthaste_runtime::{
    batch::{Fate, Record},
    clock,
    deadline::Deadline,
};
use posthaste_sender::{Outcome, Request};
use posthaste_store::{Parking, Recorded, Reservation, Reserved, StoreError};

use crate::{
    deliver::Deliver,
    facts::Facts,
    lanes::{Lane, Pending},
};

/// The longest wait as a visibility timeout or a delay; what waits longer is parked.
pub(crate) const MAX_VISIBILITY_WAIT: Duration = Duration::from_secs(120);
/// The longest wait for a slot within the function, which costs its time.
const MAX_SLEEP: Duration = Duration::from_secs(1);
/// What has to be left after a request for recording it.
pub(crate) const AFTERMATH: Duration = Duration::from_secs(5);
/// How often a message meets a fault that seems to be ours before the endpoint is charged with it: the name servers of its own
/// host can look like ours.
const MAX_OWN_FAULTS: u32 = 8;
pub(crate) const CONCURRENT_WRITES: usize = 16;

/// The surroundings of a lane.
pub(crate) struct Run<'a> {
    pub(crate) deliver: &'a Deliver,
    pub(crate) records: &'a [Record],
    pub(crate) facts: &'a Facts,
    /// Unique to this lane and this invocation.
    pub(crate) attempt_id: String,
    pub(crate) deadline: Deadline,
}

/// What has become of a lane so far.
pub(crate) struct State<'a> {
    pub(crate) webhook: &'a Webhook,
    /// What is known of the endpoint by now.
    pub(crate) health: Health,
    /// Whether the next request is the one that a closed breaker lets through.
    pub(crate) is_probe: bool,
    /// Whether nothing has been done for the lane yet.
    pub(crate) is_fresh: bool,
    pub(crate) requests: usize,
    /// Records that have to come again, because something for them could not be done.
    pub(crate) unsettled: BTreeSet<usize>,
    /// The wait of the lane's only record, which comes again as it is.
    pub(crate) comes_again: Option<Duration>,
}

/// How a request ended.
enum Answer {
    Attempt(Attempt, Option<Duration>),
    OurFault,
}

impl Run<'_> {
    /// The fates of the lane's records.
    pub(crate) async fn lane(self, lane: Lane<'_>) -> Vec<(usize, Fate)> {
        let lane_records = lane.records.clone();
        let fate = |at: &usize| Fate::after_our_fault(&self.records[*at]);
        match tokio::time::timeout_at(self.deadline.instant(), self.go_through(lane)).await {
            Ok(State { comes_again: Some(wait), unsettled, .. }) if unsettled.is_empty() => {
                lane_records.into_iter().map(|at| (at, Fate::RetryIn(wait))).collect()
            }
            Ok(state) => lane_records
                .into_iter()
                .map(|at| if state.unsettled.contains(&at) { (at, fate(&at)) } else { (at, Fate::Done) })
                .collect(),
            Err(_) => {
                tracing::error!("a lane ran out of time");
                lane_records.into_iter().map(|at| (at, fate(&at))).collect()
            }
        }
    }

    async fn go_through<'a>(&self, lane: Lane<'a>) -> State<'a> {
        let Lane { records, webhook, mut batch, mut slot, sends, skips, exhausted, gone, is_fresh } = lane;
        let health = webhook.health.clone();
        let mut state = State {
            webhook,
            health,
            is_probe: false,
            is_fresh,
            requests: 0,
            unsettled: BTreeSet::new(),
            comes_again: None,
        };
        self.skip(&skips, &mut state).await;
        self.give_up(&exhausted, batch, None, &mut state).await;
        self.bury_gone(&gone, batch, &mut state).await;
        let alone = records.len() == 1 && skips.is_empty() && exhausted.is_empty() && gone.is_empty();
        let mut left = sends.as_slice();
        while !left.is_empty() {
            let Some(gate) = self.passes(left, batch, slot, &mut state).await else { break };
            let wait = match self.wait(webhook, slot.take(), gate).await {
                Ok(wait) => wait,
                Err(error) => {
                    tracing::error!(webhook.id = %webhook.id, %error, "a slot could not be reserved");
                    self.give_back(left, batch, &mut state).await;
                    break;
                }
            };
            match wait {
                Wait::Now if gate == Gate::Probe && !self.claim(left, batch, &mut state).await => break,
                Wait::Now => {}
                Wait::NoTime if state.requests == 0 && alone => {
                    state.comes_again = Some(Duration::ZERO);
                    break;
                }
                Wait::NoTime => {
                    self.send_on(left, batch, None, Duration::ZERO, &mut state).await;
                    break;
                }
                Wait::Until(at, slot) => {
                    self.postpone(left, batch, at, slot, &mut state).await;
                    break;
                }
            }
            let began = clock::now();
            let due: Vec<_> = left.iter().map(|pending| (pending.id, pending.event)).collect();
            let Some(credentials) = self.facts.credentials.get(&webhook.id) else {
                state.fail(left);
                break;
            };
            // Only the first request is one that was made before.
            let Ok(request) = WebhookRequest::new(webhook, &credentials.secrets, &due, batch.take(), began) else {
                tracing::error!(webhook.id = %webhook.id, "a request can't be written");
                state.fail(left);
                break;
            };
            let (now, later) = left.split_at(request.deliveries);
            let shared = request.batch;
            match self.send(webhook, credentials, request, began, now).await {
                Answer::OurFault => {
                    self.give_back(left, shared, &mut state).await;
                    break;
                }
                Answer::Attempt(attempt, asked) => {
                    state.requests += 1;
                    state.is_fresh = false;
                    let whole = alone && state.requests == 1 && later.is_empty();
                    self.conclude(now, shared, &attempt, asked, whole, &mut state).await;
                    self.note_health(&attempt, &mut state).await;
                }
            }
            left = later;
        }
        state
    }

    /// Whether the next request can be made. Sleeps a short while for its slot.
    async fn wait(&self, webhook: &Webhook, slot: Option<Slot>, gate: Gate) -> Result<Wait, StoreError> {
        let enough = webhook.timeout() + AFTERMATH;
        if self.deadline.left() < enough {
            // The endpoint would get less time than it is promised.
            return Ok(Wait::NoTime);
        }
        let Some(limit) = webhook.rate_limit() else { return Ok(Wait::Now) };
        let at = match slot.filter(|slot| slot.is_good(limit, clock::now())) {
            Some(slot) => slot.at,
            None => {
                // What others can join has no slot of its own while it waits, and neither has a probe, or slots would be used up
                // by those who find out that another one probes.
                let within = (webhook.format().batches() || gate == Gate::Probe).then_some(MAX_SLEEP);
                match self.deliver.reserve(webhook, Reservation { limit, count: 1, within }).await? {
                    Reserved::Slots(slots) => slots.first().copied().unwrap_or_else(clock::now),
                    Reserved::Later(next) => return Ok(Wait::Until(next, None)),
                }
            }
        };
        let wait = Duration::try_from(at.duration_since(clock::now())).unwrap_or_default();
        if wait > MAX_SLEEP || self.deadline.left() < enough + wait {
            return Ok(Wait::Until(at, Some(Slot { at, limit })));
        }
        tokio::time::sleep(wait).await;
        Ok(Wait::Now)
    }

    async fn send(
        &self,
        webhook: &Webhook,
        credentials: &Credentials,
        request: WebhookRequest,
        began: Timestamp,
        carried: &[Pending<'_>],
    ) -> Answer {
        let own = credentials.own_headers();
        let mut headers = request.headers;
        headers.extend(own.iter().map(|(name, value)| (name.as_str(), value.clone())));
        let Outcome { duration, result } = self
            .deliver
            .sender
            .send(Request {
                url: &webhook.settings.url,
                headers,
                body: request.body.into(),
                timeout: webhook.timeout(),
            })
            .await;
        // A message also comes again for each attempt.
        let faults = |pending: &Pending<'_>| self.records[pending.record].receives.saturating_sub(pending.attempts);
        let faults = carried.iter().map(faults).max().unwrap_or(1);
        let (attempt, asked) = match result {
            Ok(response) => {
                let asked = asked_wait(response.status, response.retry_after.as_deref(), clock::now());
                (Attempt::answered(webhook, began, duration, response.status, &response.body), asked)
            }
            Err(error) if error.ours && faults < MAX_OWN_FAULTS => {
                tracing::error!(webhook.id = %webhook.id, error.code = error.code, error.detail = %error.detail, "our own fault kept a request from being sent");
                return Answer::OurFault;
            }
            Err(error) => {
                tracing::info!(webhook.id = %webhook.id, error.code = error.code, error.detail = %error.detail, "no answer");
                let failure = Failure { code: error.code.to_owned(), message: error.message };
                (Attempt::unanswered(began, duration, failure), None)
            }
        };
        tracing::info!(
            webhook.id = %webhook.id,
            workspace = %webhook.workspace,
            delivery.id = carried.first().map(|pending| tracing::field::display(pending.id)),
            event.id = carried.first().map(|pending| tracing::field::display(pending.event.id)),
            deliveries = carried.len(),
            http.status = attempt.http_status,
            error.code = attempt.error.as_ref().map(|error| error.code.as_str()),
            duration.ms = attempt.duration_ms,
            "attempted"
        );
        Answer::Attempt(attempt, asked)
    }

    /// Records an attempt with each delivery that it carried, and decides what comes next for them.
    async fn conclude(
        &self,
        carried: &[Pending<'_>],
        batch: Option<BatchId>,
        attempt: &Attempt,
        asked: Option<Duration>,
        whole: bool,
        state: &mut State<'_>,
    ) {
        let attempt_id = format!("{}/{}", self.attempt_id, state.requests);
        let schedule = state.webhook.retry_schedule();
        let next = |pending: &Pending<'_>, attempts| {
            let seed = batch.map_or_else(|| pending.id.to_string(), |batch| batch.to_string());
            after_failure(&schedule, attempts, &seed, asked)
        };
        let wait = carried.iter().map(|pending| next(pending, pending.attempts + 1));
        let wait = wait.filter_map(Next::wait).max().unwrap_or_default();
        let is_parked = attempt.error.is_some() && wait > MAX_VISIBILITY_WAIT;
        let parking = is_parked.then(|| Parking { due_at: clock::now() + wait, batch });
        let records = stream::iter(carried)
            .map(async |pending| {
                let parking = parking.filter(|_| next(pending, pending.attempts + 1).wait().is_some());
                (*pending, self.record(pending, attempt, &attempt_id, parking, state.webhook).await)
            })
            .buffered(CONCURRENT_WRITES);
        let recorded: Vec<(Pending<'_>, Result<Recorded, StoreError>)> = records.collect().await;
        let (mut again, mut exhausted) = (Vec::new(), Vec::new());
        for (pending, recorded) in recorded {
            match (&attempt.error, recorded) {
                (_, Err(error)) => {
                    tracing::error!(delivery.id = %pending.id, %error, "an attempt could not be recorded");
                    state.unsettled.insert(pending.record);
                }
                (None, _) | (_, Ok(Recorded::AlreadySucceeded)) => {}
                // Another copy of the message may have taken an attempt in the meantime.
                (Some(_), Ok(Recorded::Counted(attempts))) => match next(&pending, attempts) {
                    Next::RetryIn(_) => again.push(pending),
                    Next::Exhausted => exhausted.push(Pending { attempts, ..pending }),
                },
            }
        }
        // What comes again with its record is not sent on as well.
        again.retain(|pending| !state.unsettled.contains(&pending.record));
        if let Some(failure) = &attempt.error {
            self.give_up(&exhausted, batch, Some(failure), state).await;
        }
        if again.is_empty() || is_parked {
            return;
        }
        if whole && again.len() == carried.len() {
            state.comes_again = Some(wait);
        } else {
            self.send_on(&again, batch, None, wait, state).await;
        }
    }
}

/// When the next request can be made.
enum Wait {
    Now,
    /// In another invocation.
    NoTime,
    /// At this time, at this slot if it has one.
    Until(Timestamp, Option<Slot>),
}

impl State<'_> {
    pub(crate) fn fail(&mut self, deliveries: &[Pending<'_>]) {
        self.unsettled.extend(deliveries.iter().map(|pending| pending.record));
    }

    pub(crate) fn note(&mut self, results: Vec<(usize, Result<(), StoreError>)>, complaint: &'static str) {
        for (record, result) in results {
            if let Err(error) = result {
                tracing::error!(webhook.id = %self.webhook.id, %error, "{complaint}");
                self.unsettled.insert(record);
            }
        }
    }
}
