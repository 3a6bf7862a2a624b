//! Deliveries of one webhook that are made one request after the other, and what follows each
//! request.
//!
//! ```text
//!  Sequence ──next──▶ Request: the first of them ──carry──▶ Carried ──plan──▶ the records are written ──settle──▶ Settled
//!     ▲                                                                                                       │
//!     └────────────────────────────────────── the rest ───────────────────────────────────────────────────────┘
//! ```

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use jiff::Timestamp;

use crate::{
    delivery::{
        attempt::{Attempt, Next, after_failure},
        companions::Companions,
        task::Task,
    },
    endpoint::lane::Admission,
    event::Event,
    id::{BatchId, CauseKind, DeliveryId},
    webhook::{rate_limit::RateLimit, retry::RetrySchedule},
};

/// After a request this much time has to be left for recording it.
pub const AFTERMATH: Duration = Duration::from_secs(5);
/// Knowledge of the webhook and its lane may be this old when a request begins.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// The longest wait of a message that stays in flight: SQS takes a bounded number of those.
const MAX_IN_FLIGHT: Duration = Duration::from_secs(5);
/// The longest wait as the delay of a message. Deliveries that wait longer are parked.
const MAX_DELAYED: Duration = Duration::from_secs(120);
/// Deliveries are sent on from one message to the next at most this often. After that they wait as
/// the message that they are in.
pub const MAX_PASSES: u32 = 100;

/// A delivery that is to be made.
#[derive(Debug, Clone)]
pub struct Pending {
    /// The place, in its batch or page, of the message or the item that asks for the delivery.
    pub source: usize,
    /// The delivery's id.
    pub id: DeliveryId,
    /// The reason why the delivery exists.
    pub cause: CauseKind,
    /// The event that the delivery brings.
    pub event: Arc<Event>,
    /// True if it was sent back from the dead-letter queue.
    pub redriven: bool,
    /// The number of attempts that are known to be recorded.
    pub attempts: u32,
    /// The number of times that its request was divided, as far as it is known to be recorded.
    pub halvings: u32,
    /// The deliveries that it can share its next request with.
    pub companions: Companions,
    /// The time at which the last attempt, or the end of the delivery, was recorded; none where no
    /// record is known.
    pub recorded_at: Option<Timestamp>,
    /// The number of times that a fault of ours kept it from being sent.
    pub faults: u32,
}

impl Pending {
    /// Tells whether a dead letter is sent when no try is left. A delivery that came out of a dead
    /// letter goes back into one, even if its webhook keeps none by now: else sending a letter back
    /// could destroy it.
    pub fn leaves_a_letter(&self, webhook_keeps_letters: bool) -> bool {
        webhook_keeps_letters || self.redriven
    }
}

/// Deliveries of one webhook that are made in this order.
#[derive(Debug, Clone, Default)]
pub struct Sequence {
    /// The request that the first of them shared, which is made again.
    pub batch: Option<BatchId>,
    /// The deliveries that no request has carried yet.
    pub left: Vec<Pending>,
    /// True if nothing was ever done for them, so that others can join them.
    pub is_fresh: bool,
}

/// The facts that decide whether the next request may begin.
#[derive(Debug, Clone, Copy)]
pub struct Situation {
    /// False if the webhook is paused or disabled.
    pub is_enabled: bool,
    /// The decision of the webhook's lane about deliveries that arrive.
    pub admission: Admission,
    /// The time at which the webhook and its lane were read; none if they have to be read again.
    pub looked_at: Option<Timestamp>,
    /// The webhook's rate limit, if it has one.
    pub limit: Option<RateLimit>,
    /// The slot of the rate limit that is reserved for the next request.
    pub slot: Option<Timestamp>,
    /// The longest time that a request may take.
    pub timeout: Duration,
    /// The time that the invocation still has.
    pub time_left: Duration,
}

/// The next thing to do for a sequence.
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
    /// Leave what is left to another invocation: the endpoint would get less time than it is
    /// promised.
    NoTime,
    /// Read the webhook and its lane again.
    Look,
    /// Reserve a slot of the rate limit.
    Reserve(RateLimit),
    /// Make the next request, at this time.
    RequestAt(Timestamp),
}

impl Sequence {
    /// Decides what to do next.
    pub fn next(&self, situation: &Situation, now: Timestamp) -> Move {
        let lateness = situation.limit.map_or(Duration::ZERO, RateLimit::lateness);
        // A slot that was not used in time is lost, and another one has to be reserved.
        let slot = situation.slot.filter(|slot| now <= *slot + lateness);
        let wait = slot.map_or(Duration::ZERO, |slot| {
            Duration::try_from(slot.duration_since(now)).unwrap_or_default()
        });
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
        if situation.looked_at.is_none_or(|at| now > at + LOOK_EVERY) {
            return Move::Look;
        }
        match (situation.limit, slot) {
            (None, _) => Move::RequestAt(now),
            (Some(limit), None) => Move::Reserve(limit),
            (Some(_), Some(slot)) => Move::RequestAt(slot.max(now)),
        }
    }

    /// Takes the first `count` deliveries out, for the request that carries them. `batch` belongs
    /// to a retry, and only the first request of a sequence can be a retry.
    pub fn carry(&mut self, count: usize, batch: Option<BatchId>) -> Carried {
        self.batch = None;
        self.is_fresh = false;
        let rest = self.left.split_off(count.min(self.left.len()));
        Carried { deliveries: std::mem::replace(&mut self.left, rest), batch }
    }
}

/// The deliveries that one request has carried.
#[derive(Debug, Clone)]
pub struct Carried {
    /// The deliveries in the request.
    pub deliveries: Vec<Pending>,
    /// The id that they share; none for a single delivery that never shared a request.
    pub batch: Option<BatchId>,
}

/// The wait of a failed delivery for its next attempt, as its record keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// The time at which the next attempt is due.
    pub due_at: Timestamp,
    /// The request that the delivery shared, and shares again.
    pub batch: Option<BatchId>,
}

/// The consequences of an attempt for the deliveries that it carried.
#[derive(Debug, Clone, Default)]
pub struct Settled {
    /// Deliveries that are tried again, together.
    pub again: Vec<Pending>,
    /// The wait of these by their schedule alone: that of the one that has to wait longest.
    pub own_wait: Duration,
    /// Deliveries whose request was too large, in two halves: these are tried again at once.
    pub halves: Vec<Pending>,
    /// Deliveries that have no try left.
    pub exhausted: Vec<Pending>,
    /// Deliveries whose record could not be written, or that share a request with one whose record
    /// could not be written and are to be tried again together with it.
    pub unrecorded: Vec<Pending>,
}

/// The result of recording an attempt with one delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// The attempt is recorded, and the delivery has had this many now. Halvings are counted apart
    /// from other attempts.
    Counted(u32),
    /// Another copy of the message has ended the delivery before, so nothing follows this failure.
    AlreadyOver,
    /// The attempt was recorded before, and another copy of the message has gone on from there.
    Overtaken,
    /// The delivery has had this many attempts, which is not what this copy of the message knew.
    /// Nothing is recorded.
    Stale(u32),
    /// The record could not be written.
    Failed,
}

impl Carried {
    /// The wait of all of them after a failure: that of the one that has to wait longest, and at
    /// least until the circuit closes.
    pub fn wait(
        &self,
        schedule: &RetrySchedule,
        asked: Option<Duration>,
        circuit: Option<Timestamp>,
        now: Timestamp,
    ) -> Duration {
        let mut longest = Duration::ZERO;
        for pending in &self.deliveries {
            let own = self.next(pending, pending.attempts + 1, schedule, asked).wait();
            longest = longest.max(own.unwrap_or_default());
        }
        let until_closed =
            circuit.and_then(|until| Duration::try_from(until.duration_since(now)).ok());
        longest.max(until_closed.unwrap_or_default())
    }

    /// The retry of a delivery, which is written together with its attempt: after the wait of its
    /// own schedule, and not before the others. None if the attempt succeeded, or was the last one.
    /// The halves of a request that was too large are due at once.
    pub fn plan_for(
        &self,
        pending: &Pending,
        attempt: &Attempt,
        wait: Duration,
        schedule: &RetrySchedule,
        now: Timestamp,
    ) -> Option<Retry> {
        if attempt.is_halving() {
            return Some(Retry { due_at: now, batch: pending.companions.batch() });
        }
        let own = self
            .next(pending, pending.attempts + 1, schedule, None)
            .wait()
            .filter(|_| !attempt.succeeded())?;
        Some(Retry { due_at: now + wait.max(own), batch: self.batch })
    }

    /// Sorts the deliveries by what follows, after the attempt was recorded with each of them.
    pub fn settle(
        self,
        attempt: &Attempt,
        schedule: &RetrySchedule,
        recorded: &[Recorded],
    ) -> Settled {
        let mut settled = Settled::default();
        let seed = self.batch;
        // Deliveries that shared a request are tried again together, and only when all of them are
        // recorded.
        let all_are_recorded = !recorded
            .iter()
            .any(|recorded| matches!(recorded, Recorded::Failed | Recorded::Stale(_)));
        for (pending, recorded) in self.deliveries.into_iter().zip(recorded) {
            match recorded {
                Recorded::Failed | Recorded::Stale(_) => settled.unrecorded.push(pending),
                Recorded::AlreadyOver => {}
                Recorded::Counted(_) | Recorded::Overtaken if attempt.succeeded() => {}
                // The other copy may wait in the same message, which must not be deleted. When it
                // comes again, the record says what is left to do.
                Recorded::Overtaken => settled.again.push(pending),
                Recorded::Counted(halvings) if attempt.is_halving() => {
                    let list = if all_are_recorded {
                        &mut settled.halves
                    } else {
                        &mut settled.unrecorded
                    };
                    list.push(Pending { halvings: *halvings, ..pending });
                }
                // The count comes from the record: another copy of the message may have made an
                // attempt in the meantime.
                Recorded::Counted(attempts) => {
                    match next(seed, &pending, *attempts, schedule, None) {
                        Next::RetryIn(wait) if all_are_recorded => {
                            settled.own_wait = settled.own_wait.max(wait);
                            settled.again.push(pending);
                        }
                        Next::RetryIn(_) => settled.unrecorded.push(pending),
                        Next::Exhausted => {
                            settled.exhausted.push(Pending { attempts: *attempts, ..pending })
                        }
                    }
                }
            }
        }
        settled
    }

    fn next(
        &self,
        pending: &Pending,
        attempts: u32,
        schedule: &RetrySchedule,
        asked: Option<Duration>,
    ) -> Next {
        next(self.batch, pending, attempts, schedule, asked)
    }
}

/// Decides what follows a failure. The deliveries of a batch have to wait equally long, so its id
/// is the seed that spreads the wait.
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

/// Leaves out the deliveries whose message, or item, comes again as it is because something else in
/// it could not be settled. Otherwise there would be two copies of them.
pub fn sent_on(mut again: Vec<Pending>, unsettled: &BTreeSet<usize>) -> Vec<Pending> {
    again.retain(|pending| !unsettled.contains(&pending.source));
    again
}

/// Counts the faults of ours that the deliveries of a message have met, when it is received for the
/// time `receives`. A message that was sent on too often is not replaced by one with a higher
/// count, so each of its receives counts as a fault.
pub fn faults_of(task: &Task<'_>, receives: u32) -> u32 {
    if task.passes < MAX_PASSES {
        task.faults
    } else {
        task.faults.saturating_add(receives.saturating_sub(1))
    }
}

/// The way in which deliveries wait that are due after a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// In the message that they are in, hidden by its visibility timeout. It counts as in flight
    /// for as long.
    InFlight,
    /// In a new message with a delay, which does not count as in flight.
    Delayed,
    /// In a due item of the table.
    Parked,
}

/// Chooses the way to wait. `is_whole` says that these are all the deliveries that their message
/// asks for.
pub fn way(wait: Duration, is_whole: bool) -> Way {
    if wait > MAX_DELAYED {
        Way::Parked
    } else if wait > MAX_IN_FLIGHT || !is_whole {
        Way::Delayed
    } else {
        Way::InFlight
    }
}

#[cfg(test)]
mod tests;
