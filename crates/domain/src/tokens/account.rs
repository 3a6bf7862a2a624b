use std::time::Duration;

use jiff::Timestamp;

use super::{Grant, LEASE_LIFE, LEASE_SHARE, Limit, MAX_PAUSE, OWN_SHARE, OWN_WINDOW, PAUSE, fitting};

/// What one environment knows of one bucket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Account {
    /// When the next token of the environment's own share is free.
    own_next: Option<Timestamp>,
    /// Tokens that are left of the lease.
    leased: u32,
    /// When they are worth nothing any more.
    leased_until: Option<Timestamp>,
    /// The next free token of the bucket is not before that.
    next_free: Option<Timestamp>,
    /// The bucket is not asked before that.
    ask_from: Option<Timestamp>,
    /// How often in a row the bucket had too little.
    empty: u32,
    demand: Demand,
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It may go on.
    Admitted,
    /// The bucket has to be asked.
    Ask(Question),
    /// It may not go on before this time.
    Refused(Timestamp),
}

/// What the bucket is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question {
    /// As many tokens as the call takes.
    pub least: u32,
    /// With a lease.
    pub most: u32,
}

/// How many tokens are wanted in about a second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Demand {
    began: Option<Timestamp>,
    since_then: u32,
    the_second_before: u32,
}

impl Account {
    /// Whether a call that takes `count` tokens may go on.
    pub fn admit(&mut self, limit: Limit, count: u32, now: Timestamp) -> Admission {
        self.demand.add(count, now);
        if self.has_own(limit, count, now) {
            return Admission::Admitted;
        }
        let pause = self.ask_from.filter(|from| *from > now);
        match (limit.grant(self.next_free, count, count, now), pause) {
            (Grant::Tokens { .. }, None) => {
                let lease = self.demand.a_second().min(limit.per_second() / LEASE_SHARE);
                Admission::Ask(Question { least: count, most: count.max(lease) })
            }
            (Grant::Tokens { .. }, Some(from)) => self.refuse(from, now),
            (Grant::Later(at), pause) => self.refuse(pause.map_or(at, |from| from.max(at)), now),
        }
    }

    /// What becomes of the call for which the bucket was asked.
    pub fn settle(&mut self, limit: Limit, asked: Question, grant: Grant, now: Timestamp) -> Admission {
        match grant {
            Grant::Tokens { first, count } => {
                self.next_free = Some(first + limit.interval() * count);
                self.lease(asked, count, now);
                if count < asked.most {
                    self.ask_from = Some(now + PAUSE);
                } else {
                    (self.ask_from, self.empty) = (None, 0);
                }
                Admission::Admitted
            }
            Grant::Later(at) => {
                self.next_free = Some(at + limit.window() - limit.interval() * asked.least);
                // What the bucket said long ago says nothing of this refusal.
                if self.ask_from.is_some_and(|from| from + MAX_PAUSE <= now) {
                    self.empty = 0;
                }
                let pause = PAUSE.saturating_mul(2_u32.saturating_pow(self.empty)).min(MAX_PAUSE);
                self.empty = self.empty.saturating_add(1);
                self.ask_from = Some(now + pause);
                self.refuse(at.max(now + pause), now)
            }
        }
    }

    /// The bucket could not be asked. The call may go on, and so may those for which the lease would have been.
    pub fn go_on_unasked(&mut self, asked: Question, now: Timestamp) {
        self.lease(asked, asked.most, now);
    }

    /// Takes tokens for what a call has turned out to cost, and says how many of them have to be taken from the bucket. They are owed,
    /// whether the bucket has them or not.
    pub fn charge(&mut self, limit: Limit, count: u32, now: Timestamp) -> u32 {
        if self.has_own(limit, count, now) { 0 } else { count }
    }

    /// What was owed is taken, so this is when the next token is free.
    pub fn charged(&mut self, next_free: Timestamp) {
        self.next_free = Some(next_free);
    }

    /// Whether it can be forgotten without a difference.
    pub fn is_idle(&self, now: Timestamp) -> bool {
        [self.own_next, self.leased_until, self.next_free, self.ask_from].iter().flatten().all(|until| *until <= now)
    }

    /// Takes the tokens out of the lease or of the own share, if one of the two has them all.
    fn has_own(&mut self, limit: Limit, count: u32, now: Timestamp) -> bool {
        if self.leased_until.is_some_and(|until| until > now) && count <= self.leased {
            self.leased -= count;
            return true;
        }
        let interval = limit.interval() * OWN_SHARE;
        let first = self.own_next.map_or(now, |next| next.max(now));
        if count <= fitting(first, interval, OWN_WINDOW, now) {
            self.own_next = Some(first + interval * count);
            return true;
        }
        false
    }

    fn lease(&mut self, asked: Question, granted: u32, now: Timestamp) {
        if self.leased_until.is_none_or(|until| until <= now) {
            self.leased = 0;
        }
        self.leased += granted.saturating_sub(asked.least);
        self.leased_until = Some(now + LEASE_LIFE);
    }

    fn refuse(&mut self, until: Timestamp, now: Timestamp) -> Admission {
        self.own_next = Some(now + OWN_WINDOW);
        Admission::Refused(until)
    }
}

impl Demand {
    const SPAN: Duration = Duration::from_secs(1);

    fn add(&mut self, count: u32, now: Timestamp) {
        let age = self.began.map(|began| now.duration_since(began).unsigned_abs());
        if age.is_none_or(|age| age >= Self::SPAN) {
            let is_recent = age.is_some_and(|age| age < 2 * Self::SPAN);
            let the_second_before = if is_recent { self.since_then } else { 0 };
            *self = Self { began: Some(now), since_then: 0, the_second_before };
        }
        self.since_then = self.since_then.saturating_add(count);
    }

    fn a_second(self) -> u32 {
        self.since_then.max(self.the_second_before)
    }
}
