use jiff::Timestamp;

use super::{Grant, OWN_SHARE, OWN_WINDOW, PublishLimit, fitting};

/// What one environment knows of what one workspace publishes.
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
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It may publish.
    Admitted,
    /// The bucket has to be asked for `least` tokens, or up to `most`.
    Ask {
        /// As many as the call has events.
        least: u32,
        /// With a lease.
        most: u32,
    },
    /// It may not, before this time.
    Refused(Timestamp),
}

impl Account {
    /// Whether a call of `count` events may publish.
    pub fn admit(&mut self, limit: PublishLimit, count: u32, now: Timestamp) -> Admission {
        if self.leased_until.is_none_or(|until| until <= now) {
            self.leased = 0;
        }
        let interval = limit.interval() * OWN_SHARE;
        let own_first = self.own_next.map_or(now, |next| next.max(now));
        if count <= fitting(own_first, interval, OWN_WINDOW, now) {
            self.own_next = Some(own_first + interval * count);
            return Admission::Admitted;
        }
        if count <= self.leased {
            self.leased -= count;
            return Admission::Admitted;
        }
        match limit.grant(self.next_free, count, count, now) {
            Grant::Later(at) => Admission::Refused(at),
            Grant::Tokens { .. } => Admission::Ask { least: count, most: limit.lease(count) },
        }
    }

    /// What becomes of a call of `count` events for which the bucket was asked.
    pub fn settle(&mut self, limit: PublishLimit, count: u32, grant: Grant, now: Timestamp) -> Admission {
        match grant {
            Grant::Tokens { first, count: granted } => {
                self.next_free = Some(first + limit.interval() * granted);
                self.leased += granted.saturating_sub(count);
                self.leased_until = Some(now + std::time::Duration::from_secs(1));
                Admission::Admitted
            }
            Grant::Later(at) => {
                self.next_free = Some(at + limit.window() - limit.interval() * count);
                Admission::Refused(at)
            }
        }
    }

    /// Whether it can be forgotten without a difference.
    pub fn is_idle(&self, now: Timestamp) -> bool {
        [self.own_next, self.leased_until, self.next_free].iter().flatten().all(|until| *until <= now)
    }
}
