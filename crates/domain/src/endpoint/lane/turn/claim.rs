//! A message of the turns queue claims the turn of its webhook.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Attr, Condition, Lane, Outcome, Turn, Write};

/// The lease ends this long after the invocation's own deadline.
const LEASE_MARGIN: Duration = Duration::from_secs(10);
/// A message may come this early: delays and visibility timeouts are whole seconds.
const EARLY: Duration = Duration::from_secs(1);
/// The longest wait for a lease to end, in one go. Most leases that a message meets belong to turns
/// that are closing the lane, which takes milliseconds, and the next turn of a busy webhook must
/// not be late.
const LONGEST_LEASE_WAIT: Duration = Duration::from_secs(2);

/// A message of the turns queue, as it was received.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Its SQS id.
    pub id: String,
    /// The token that the message brings.
    pub token: String,
    /// The number of times that it was received.
    pub receives: u32,
    /// The time at which it was sent.
    pub sent: Timestamp,
}

/// A message that wants the turn.
#[derive(Debug, Clone)]
pub struct Claiming {
    message: Message,
    me: String,
    /// The time by which work has to be over, so that the turn can be ended.
    until: Timestamp,
    /// The time at which the invocation is killed.
    ends: Timestamp,
}

/// The result of a claim.
#[derive(Debug)]
pub enum Claim {
    /// This message has the turn.
    Mine(Box<Turn>),
    /// The message is void: the lane was closed, or another message has the turn.
    Done,
    /// The turn can't be had yet.
    RetryIn(Duration),
}

impl Claiming {
    /// Prepares the claim of a message. `me` is a random name for this taking of the turn. Work has
    /// to be over `until`; the invocation itself ends when it `ends`.
    pub fn new(message: Message, me: String, until: Timestamp, ends: Timestamp) -> Self {
        Self { message, me, until, ends }
    }

    /// The write that takes the turn.
    pub fn write(&self, now: Timestamp) -> Write {
        let holder = Condition::is(Attr::Holder, self.message.id.as_str());
        let before_now = Condition::AtMost(Attr::LeaseUntil, now.as_millisecond() - 1);
        Write::default()
            .only_if(Condition::is(Attr::Token, self.message.token.as_str()))
            // Of several messages with the token, the one that came first keeps the turn.
            .only_if(Condition::Any(vec![Condition::Absent(Attr::Holder), holder]))
            .only_if(Condition::Any(vec![Condition::Absent(Attr::LeaseUntil), before_now]))
            .only_if(Condition::AtMost(Attr::WakeAt, (now + EARLY).as_millisecond()))
            .set(Attr::Turn, self.me.as_str())
            .set(Attr::Holder, self.message.id.as_str())
            .set(Attr::LeaseUntil, self.ends + LEASE_MARGIN)
    }

    /// Reads the result of that write. A claim whose answer got lost is refused when it is
    /// repeated, but the lane then has its name.
    pub fn outcome(self, outcome: Outcome, now: Timestamp) -> Claim {
        let (mut lane, is_unclean) = match outcome {
            Outcome::Done(before) => {
                let is_unclean = before.lease_until.is_some();
                (before, is_unclean)
            }
            Outcome::Refused(lane) if lane.turn.as_deref() == Some(&self.me) => (lane, true),
            Outcome::Refused(lane) => return self.refused(&lane, now),
        };
        lane.turn = Some(self.me.clone());
        lane.holder = Some(self.message.id.clone());
        Claim::Mine(Box::new(Turn::new(lane, self.me, self.message, now, self.until, is_unclean)))
    }

    /// Decides what a message does that was not given the turn.
    fn refused(&self, lane: &Lane, now: Timestamp) -> Claim {
        let is_held_by_another =
            lane.holder.as_ref().is_some_and(|holder| *holder != self.message.id);
        if lane.token.as_deref() != Some(&self.message.token) || is_held_by_another {
            return Claim::Done;
        }
        if let Some(lease) = lane.lease_until.filter(|lease| *lease >= now) {
            let left = Duration::try_from(lease.duration_since(now)).unwrap_or_default();
            return Claim::RetryIn((left + Duration::from_secs(1)).min(LONGEST_LEASE_WAIT));
        }
        let wake_at = lane.wake_at.unwrap_or(now);
        // The lane sleeps until `release` wakes it with another message.
        if wake_at > now + EARLY && lane.due_at == Some(wake_at) {
            return Claim::Done;
        }
        Claim::RetryIn(Duration::try_from(wake_at.duration_since(now)).unwrap_or_default())
    }
}
