//! The decisions about lanes, one by one. How they go together is what `model` checks.

mod append;
mod claim;
mod close;
mod end;
mod evidence;
mod health;
mod send;
mod strike;
mod wake;

use super::*;
use crate::webhook::rate_limit::{Period, RateLimit};

/// A time, in milliseconds.
fn at(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(1_700_000_000_000 + ms).unwrap()
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn quick() -> Duration {
    Duration::from_millis(50)
}

/// The item of a lane, as the table has it.
#[derive(Debug, Clone, Default)]
struct Item(Attributes);

impl Item {
    fn new(attributes: impl IntoIterator<Item = (Attr, Value)>) -> Self {
        Self(attributes.into_iter().collect())
    }

    /// A lane with a turn that wakes now.
    fn held(reason: Reason) -> Self {
        Self::new([
            (Attr::Phase, Phase::Held.into()),
            (Attr::Reason, reason.into()),
            (Attr::OpenedAt, at(0).into()),
            (Attr::Token, "token".into()),
            (Attr::WakeAt, at(0).into()),
            (Attr::DueAt, at(120_000).into()),
            (Attr::DueShard, "L3".into()),
        ])
    }

    fn with(mut self, attribute: Attr, value: impl Into<Value>) -> Self {
        self.0.0.insert(attribute, value.into());
        self
    }

    fn without(mut self, attribute: Attr) -> Self {
        self.0.0.remove(&attribute);
        self
    }

    fn lane(&self) -> Lane {
        self.0.lane().unwrap()
    }

    fn has(&self, attribute: Attr) -> bool {
        self.0.get(attribute).is_some()
    }

    fn write(&mut self, write: &Write) -> Outcome {
        let before = self.lane();
        if !write.applies_to(&self.0) {
            return Outcome::Refused(before);
        }
        self.0 = write.apply(&self.0);
        Outcome::Done(before)
    }
}

fn message(id: &str) -> Message {
    Message { id: id.to_owned(), token: "token".to_owned(), receives: 1, sent: at(0) }
}

/// A claim of an invocation that ends a minute from now.
fn claiming(message: Message, now: Timestamp) -> Claiming {
    Claiming::new(message, "me".to_owned(), now + seconds(58), now + seconds(60))
}

fn terms() -> Terms {
    Terms { limit: None, full_request: 1, timeout: seconds(5) }
}

fn limited(requests: u32, per: Period) -> Terms {
    Terms { limit: Some(RateLimit { requests, per }), ..terms() }
}

/// A turn at work on an item.
struct Work {
    item: Item,
    turn: Turn,
    seen: Seen,
}

impl Work {
    /// The turn of a lane, taken now, that has seen the webhook.
    fn begin(mut item: Item, seen: Seen, now: Timestamp) -> Self {
        let claiming = claiming(message("m"), now);
        let outcome = item.write(&claiming.write(now));
        let Claim::Mine(turn) = claiming.outcome(outcome, now) else {
            panic!("the turn can't be had")
        };
        let mut work = Self { item, turn: *turn, seen };
        assert_eq!(work.turn.next(now), Step::Look);
        work.look(now);
        work
    }

    /// The same, with so many items at hand and none beside them.
    fn with_ready(item: Item, seen: Seen, ready: usize, now: Timestamp) -> Self {
        let mut work = Self::begin(item, seen, now);
        work.read(ready, now);
        work
    }

    fn look(&mut self, now: Timestamp) {
        self.turn.looked(self.seen.clone(), self.item.lane(), now);
    }

    fn read(&mut self, ready: usize, now: Timestamp) {
        assert_eq!(self.turn.next(now), Step::Read(100));
        self.turn.read(ready, true, now);
    }

    /// The next step that says something: looks and reads of a backlog without anything new are
    /// carried out.
    fn next(&mut self, now: Timestamp) -> Step {
        loop {
            match self.turn.next(now) {
                Step::Look => self.look(now),
                Step::Read(_) => self.turn.read(0, true, now),
                step => return step,
            }
        }
    }

    /// Carries out the write that has to come next.
    fn write(&mut self, now: Timestamp) -> Outcome {
        let Step::Write(write) = self.next(now) else { panic!("no write") };
        let outcome = self.item.write(&write);
        self.turn.wrote(outcome.clone(), now);
        outcome
    }

    /// Makes the request that has to come next.
    fn request(&mut self, answer: Verdict, took: Duration, now: Timestamp) {
        self.begins(now);
        self.turn.answered(answer, took, 0, now);
    }

    fn begins(&mut self, now: Timestamp) {
        assert_eq!(self.next(now), Step::Send);
        self.turn.began(1);
    }

    /// The number of requests that may begin now.
    fn room(&mut self, now: Timestamp) -> u32 {
        let mut room = 0;
        while self.next(now) == Step::Send {
            self.turn.began(1);
            room += 1;
        }
        room
    }
}
