//! Taking the turn.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Attr, Condition, Outcome, Turn, Write};

/// How long after the invocation's own deadline nobody else may take the turn.
const LEASE_MARGIN: Duration = Duration::from_secs(10);
/// How early a message may come: delays and visibility timeouts are whole seconds.
const EARLY: Duration = Duration::from_secs(1);
/// The longest wait for a lease to end, in one go. Most leases that a message meets are those of turns that are closing the lane, which
/// takes milliseconds, and a busy webhook's next turn must not be late.
const LONGEST_LEASE_WAIT: Duration = Duration::from_secs(2);

/// A message of the turns queue, as it was received.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Its SQS id.
    pub id: String,
    /// The token that it brings.
    pub token: String,
    /// How often it was received.
    pub receives: u32,
    /// When it was sent.
    pub sent: Timestamp,
}

/// A message that wants the turn.
#[derive(Debug, Clone)]
pub struct Claiming {
    message: Message,
    me: String,
    /// When work has to be over, so that the turn can be settled.
    until: Timestamp,
    /// When the invocation is killed.
    ends: Timestamp,
}

/// What became of a claim.
#[derive(Debug)]
pub enum Claim {
    /// The turn is this one's.
    Mine(Box<Turn>),
    /// The message has nothing to say any more: the lane was closed, or another message has the turn.
    Done,
    /// The turn can't be had yet.
    RetryIn(Duration),
}

impl Claiming {
    /// `me` is random. Work has to be over `until`; the invocation itself ends when it `ends`.
    pub fn new(message: Message, me: String, until: Timestamp, ends: Timestamp) -> Self {
        Self { message, me, until, ends }
    }

    /// The write that takes the turn.
    pub fn write(&self, now: Timestamp) -> Write {
        let holder = Condition::is(Attr::Holder, self.message.id.as_str());
        let before_now = Condition::AtMost(Attr::LeaseUntil, now.as_millisecond() - 1);
        Write::default()
            .only_if(Condition::is(Attr::Token, self.message.token.as_str()))
            .only_if(Condition::Any(vec![Condition::Absent(Attr::Holder), holder]))
            .only_if(Condition::Any(vec![Condition::Absent(Attr::LeaseUntil), before_now]))
            .only_if(Condition::AtMost(Attr::WakeAt, (now + EARLY).as_millisecond()))
            .set(Attr::Turn, self.me.as_str())
            .set(Attr::Holder, self.message.id.as_str())
            .set(Attr::LeaseUntil, self.ends + LEASE_MARGIN)
    }

    /// What became of it. A claim that was made, but whose answer got lost, is refused when it is repeated.
    pub fn outcome(self, outcome: Outcome, now: Timestamp) -> Claim {
        let (mut lane, is_unclean) = match outcome {
            Outcome::Done(before) => {
                let is_unclean = before.lease_until.is_some();
                (before, is_unclean)
            }
            Outcome::Refused(lane) if lane.turn.as_deref() == Some(&self.me) => (lane, true),
            Outcome::Refused(lane) => {
                let is_other = |holder: &String| *holder != self.message.id;
                if lane.token.as_deref() != Some(&self.message.token) || lane.holder.as_ref().is_some_and(is_other) {
                    return Claim::Done;
                }
                if let Some(lease) = lane.lease_until.filter(|lease| *lease >= now) {
                    let left = Duration::try_from(lease.duration_since(now)).unwrap_or_default();
                    return Claim::RetryIn((left + Duration::from_secs(1)).min(LONGEST_LEASE_WAIT));
                }
                let wake_at = lane.wake_at.unwrap_or(now);
                // It sleeps until `release` wakes it.
                if wake_at > now + EARLY && lane.due_at == Some(wake_at) {
                    return Claim::Done;
                }
                return Claim::RetryIn(Duration::try_from(wake_at.duration_since(now)).unwrap_or_default());
            }
        };
        lane.turn = Some(self.me.clone());
        lane.holder = Some(self.message.id.clone());
        Claim::Mine(Box::new(Turn::new(lane, self.me, self.message, now, self.until, is_unclean)))
    }
}
