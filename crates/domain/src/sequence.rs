//! Deliveries of one webhook that are made one request after the other, and what follows each request.
//!
//! ```text
//!  Sequence ──next──▶ Request: the first of them ──carry──▶ Carried ──plan──▶ the records are written ──settle──▶ Settled
//!     ▲                                                                                                       │
//!     └────────────────────────────────────── the rest ───────────────────────────────────────────────────────┘
//! ```

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use jiff::Timestamp;

use crate::{
    attempt::{Attempt, Next, after_failure},
    event::Event,
    id::{BatchId, CauseKind, DeliveryId},
    lane::Admission,
    rate_limit::RateLimit,
    retry::RetrySchedule,
};

/// What has to be left after a request for recording it.
pub const AFTERMATH: Duration = Duration::from_secs(5);
/// How old what is known of the webhook and its lane may be when a request begins.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// The longest wait of a message that is in flight: SQS takes a bounded number of those.
const MAX_IN_FLIGHT: Duration = Duration::from_secs(5);
/// The longest wait as the delay of a message; what waits longer is parked.
const MAX_DELAYED: Duration = Duration::from_secs(120);
/// How often deliveries are sent on from one message to the next. What has come so far waits as the message that it is.
pub const MAX_HOPS: u32 = 100;

/// A delivery that is to be made.
#[derive(Debug, Clone)]
pub struct Pending {
    /// The place of the message, or of the item of a backlog, that asks for it.
    pub source: usize,
    /// Its id.
    pub id: DeliveryId,
    /// Why it exists.
    pub cause: CauseKind,
    /// The event it brings.
    pub event: Arc<Event>,
    /// Whether it was sent back from the dead-letter queue.
    pub redriven: bool,
    /// How many attempts are known to be recorded.
    pub attempts: u32,
    /// When the last one was recorded, or what has become of the delivery since; none where nothing is known to be recorded.
    pub recorded_at: Option<Timestamp>,
    /// How often a fault of ours kept it from being sent.
    pub faults: u32,
}

/// Deliveries that go in this order.
#[derive(Debug, Clone, Default)]
pub struct Sequence {
    /// The request that the first ones shared: it is made again.
    pub batch: Option<BatchId>,
    /// What has not been carried by a request.
    pub left: Vec<Pending>,
    /// Whether nothing was ever done for them, so that others can join them.
    pub is_fresh: bool,
}

/// What is known when the next request may begin.
#[derive(Debug, Clone, Copy)]
pub struct Situation {
    /// Whether the webhook gets anything.
    pub is_enabled: bool,
    /// What its lane says.
    pub admission: Admission,
    /// When the webhook and its lane were read.
    pub looked_at: Timestamp,
    /// Its rate limit.
    pub limit: Option<RateLimit>,
    /// A slot that was reserved for the next request.
    pub slot: Option<Timestamp>,
    /// How long a request may take.
    pub timeout: Duration,
    /// How long the invocation lasts.
    pub time_left: Duration,
}

/// What is to be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    /// Nothing: no delivery is left.
    Over,
    /// Record what is left as skipped: the webhook was paused or disabled.
    Skip,
    /// Record what is left as skipped: the backlog is full.
    Shed,
    /// Put what is left into the backlog.
    Wait,
    /// Leave what is left to another invocation: the endpoint would get less time than it is promised.
    NoTime,
    /// Read the webhook and its lane again.
    Look,
    /// Reserve a slot of the rate limit.
    Reserve(RateLimit),
    /// Make the next request, at this time.
    RequestAt(Timestamp),
}

impl Sequence {
    /// What is to be done next.
    pub fn next(&self, situation: &Situation, now: Timestamp) -> Move {
        let lateness = situation.limit.map_or(Duration::ZERO, RateLimit::lateness);
        let slot = situation.slot.filter(|slot| now <= *slot + lateness);
        let wait = slot.map_or(Duration::ZERO, |slot| Duration::try_from(slot.duration_since(now)).unwrap_or_default());
        if self.left.is_empty() {
            return Move::Over;
        }
        match situation.admission {
            _ if !situation.is_enabled => return Move::Skip,
            Admission::Shed => return Move::Shed,
            Admission::Wait => return Move::Wait,
            Admission::Go => {}
        }
        if situation.time_left < situation.timeout + AFTERMATH + wait {
            return Move::NoTime;
        }
        if now > situation.looked_at + LOOK_EVERY {
            return Move::Look;
        }
        match (situation.limit, slot) {
            (None, _) => Move::RequestAt(now),
            (Some(limit), None) => Move::Reserve(limit),
            (Some(_), Some(slot)) => Move::RequestAt(slot.max(now)),
        }
    }

    /// Takes the first so many out, for the request that carries them. Only the first request of a sequence can be one that was made
    /// before.
    pub fn carry(&mut self, count: usize, batch: Option<BatchId>) -> Carried {
        self.batch = None;
        self.is_fresh = false;
        let rest = self.left.split_off(count.min(self.left.len()));
        Carried { deliveries: std::mem::replace(&mut self.left, rest), batch }
    }
}

/// What one request has carried.
#[derive(Debug, Clone)]
pub struct Carried {
    /// The deliveries in it.
    pub deliveries: Vec<Pending>,
    /// The id that they share; none for one delivery that never shared a request.
    pub batch: Option<BatchId>,
}

/// How a failed delivery waits for its next attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// When the next attempt is due.
    pub due_at: Timestamp,
    /// The request that it shared.
    pub batch: Option<BatchId>,
}

/// What an attempt comes to, for those that it carried.
#[derive(Debug, Clone, Default)]
pub struct Settled {
    /// They are tried again, together.
    pub again: Vec<Pending>,
    /// How long the schedule lets these wait, by the attempts that each has had: as long as the one that has to wait longest.
    pub own_wait: Duration,
    /// No try is left for them.
    pub exhausted: Vec<Pending>,
    /// Their record could not be written, or that of another one that has to be tried again together with them.
    pub unrecorded: Vec<Pending>,
}

/// What recording an attempt told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// The delivery has had this many attempts now.
    Counted(u32),
    /// Another copy has succeeded before: this failure is not recorded.
    AlreadySucceeded,
    /// It was recorded before, and another copy has gone on from there.
    Overtaken,
    /// The delivery has had this many attempts, which is not what this copy knew: nothing is recorded.
    Stale(u32),
    /// The record could not be written.
    Failed,
}

impl Carried {
    /// How long they wait after a failure, together: as long as the one that has to wait longest, and not before the circuit closes.
    pub fn wait(
        &self,
        schedule: &RetrySchedule,
        asked: Option<Duration>,
        circuit: Option<Timestamp>,
        now: Timestamp,
    ) -> Duration {
        let waits = self
            .deliveries
            .iter()
            .filter_map(|pending| self.next(pending, pending.attempts + 1, schedule, asked).wait());
        let until = circuit.and_then(|until| Duration::try_from(until.duration_since(now)).ok()).unwrap_or_default();
        waits.max().unwrap_or_default().max(until)
    }

    /// How a delivery waits for its next attempt, which is written with its record: as long as its schedule says, and not less than
    /// the others. None where the attempt succeeded, or was the last one.
    pub fn plan_for(
        &self,
        pending: &Pending,
        attempt: &Attempt,
        wait: Duration,
        schedule: &RetrySchedule,
        now: Timestamp,
    ) -> Option<Retry> {
        let own = self.next(pending, pending.attempts + 1, schedule, None).wait().filter(|_| !attempt.succeeded())?;
        Some(Retry { due_at: now + wait.max(own), batch: self.batch })
    }

    /// What follows, now that the attempt is recorded with each delivery.
    pub fn settle(self, attempt: &Attempt, schedule: &RetrySchedule, recorded: &[Recorded]) -> Settled {
        let mut settled = Settled::default();
        let seed = self.batch;
        let is_unrecorded = |recorded: &Recorded| matches!(recorded, Recorded::Failed | Recorded::Stale(_));
        // What shared a request is tried again together, when all of it is recorded.
        let all_are_recorded = !recorded.iter().any(is_unrecorded);
        for (pending, recorded) in self.deliveries.into_iter().zip(recorded) {
            match recorded {
                Recorded::Failed | Recorded::Stale(_) => settled.unrecorded.push(pending),
                Recorded::AlreadySucceeded | Recorded::Overtaken => {}
                Recorded::Counted(_) if attempt.succeeded() => {}
                // Another copy of the message may have taken an attempt in the meantime.
                Recorded::Counted(attempts) => match next(seed, &pending, *attempts, schedule, None) {
                    Next::RetryIn(wait) if all_are_recorded => {
                        settled.own_wait = settled.own_wait.max(wait);
                        settled.again.push(pending);
                    }
                    Next::RetryIn(_) => settled.unrecorded.push(pending),
                    Next::Exhausted => settled.exhausted.push(Pending { attempts: *attempts, ..pending }),
                },
            }
        }
        settled
    }

    fn next(&self, pending: &Pending, attempts: u32, schedule: &RetrySchedule, asked: Option<Duration>) -> Next {
        next(self.batch, pending, attempts, schedule, asked)
    }
}

/// The deliveries of a batch have to wait equally long, so the batch spreads them.
fn next(
    batch: Option<BatchId>,
    pending: &Pending,
    attempts: u32,
    schedule: &RetrySchedule,
    asked: Option<Duration>,
) -> Next {
    let seed = batch.map_or_else(|| pending.id.to_string(), |batch| batch.to_string());
    after_failure(schedule, attempts, &seed, asked)
}

/// What is sent on of deliveries that are tried again: not what comes again as it is, because something else for its source could not
/// be settled. Else there would be two of it.
pub fn sent_on(mut again: Vec<Pending>, unsettled: &BTreeSet<usize>) -> Vec<Pending> {
    again.retain(|pending| !unsettled.contains(&pending.source));
    again
}

/// How deliveries wait that are due after a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// As the message that they are in, hidden by its visibility timeout: it counts as in flight for as long.
    InFlight,
    /// As a new message with a delay, which is not in flight.
    Delayed,
    /// As a due item of the table.
    Parked,
}

/// How deliveries wait. `is_whole` says that they are all that their message asks for.
pub fn way(wait: Duration, is_whole: bool) -> Way {
    match wait {
        wait if wait > MAX_DELAYED => Way::Parked,
        wait if wait > MAX_IN_FLIGHT || !is_whole => Way::Delayed,
        _ => Way::InFlight,
    }
}

#[cfg(test)]
mod tests;
