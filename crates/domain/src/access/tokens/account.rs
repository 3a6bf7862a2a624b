use std::time::Duration;

use jiff::Timestamp;

use super::{
    Grant, LEASE_LIFE, LEASE_SHARE, Limit, MAX_PAUSE, OWN_SHARE, OWN_WINDOW, PAUSE, fitting,
};

/// The knowledge that one environment has of one bucket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Account {
    /// The time at which the next token of the environment's own share is free.
    own_next: Option<Timestamp>,
    /// The tokens that are left of the lease.
    leased: u32,
    /// The end of the lease. Tokens that are left then are worth nothing.
    leased_until: Option<Timestamp>,
    /// The earliest time at which the bucket's next token can be free.
    next_free: Option<Timestamp>,
    /// The time from which the bucket may be asked again.
    ask_from: Option<Timestamp>,
    /// The number of times in a row that the bucket had too little.
    empty: u32,
    demand: Demand,
}

/// The answer to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It may go on.
    Admitted,
    /// The bucket has to be asked first.
    Ask(Question),
    /// It may not go on before this time.
    Refused(Timestamp),
}

/// The tokens that the bucket is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question {
    /// The number of tokens that the call takes.
    pub least: u32,
    /// The number of tokens with a lease.
    pub most: u32,
}

/// The number of tokens that are wanted in about a second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Demand {
    began: Option<Timestamp>,
    since_then: u32,
    the_second_before: u32,
}

impl Account {
    /// Decides whether a call that takes `count` tokens may go on.
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

    /// Decides about the call for which the bucket was asked.
    pub fn settle(
        &mut self,
        limit: Limit,
        asked: Question,
        grant: Grant,
        now: Timestamp,
    ) -> Admission {
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
                // If the bucket was found empty long ago, that has nothing to do with this refusal.
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

    /// Notes that the bucket could not be asked. The call may go on, and so may those for which the
    /// lease would have been.
    pub fn go_on_unasked(&mut self, asked: Question, now: Timestamp) {
        self.lease(asked, asked.most, now);
    }

    /// Takes the tokens that a call has turned out to cost, and returns how many of them have to be
    /// taken from the bucket. They are owed, whether the bucket has them or not.
    pub fn charge(&mut self, limit: Limit, count: u32, now: Timestamp) -> u32 {
        if self.has_own(limit, count, now) { 0 } else { count }
    }

    /// Notes that owed tokens are taken, so the next one is free at this time.
    pub fn charged(&mut self, next_free: Timestamp) {
        self.next_free = Some(next_free);
    }

    /// Tells whether the account can be forgotten without a difference.
    pub fn is_idle(&self, now: Timestamp) -> bool {
        [self.own_next, self.leased_until, self.next_free, self.ask_from]
            .iter()
            .flatten()
            .all(|until| *until <= now)
    }

    /// Takes tokens out of the lease or of the own share, if one of the two has them all.
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
