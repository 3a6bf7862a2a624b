//! The deliveries that wait in the table, counted by the reason why they wait.
//!
//! A count looks at a bounded number of items, so it may only know that there are at least so many.

use jiff::Timestamp;

use crate::endpoint::lane::State;

/// A number of things, or the number of those that were looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counted {
    /// The number.
    pub count: u64,
    /// True if there may be more, because not all were looked at.
    pub at_least: bool,
}

impl Counted {
    /// Adds those that were found at another place.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { count: self.count + other.count, at_least: self.at_least || other.at_least }
    }
}

/// The webhooks of one state, and what waits for them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backlogs {
    /// The webhooks.
    pub webhooks: Counted,
    /// The tasks in their backlogs.
    pub tasks: Counted,
}

impl Backlogs {
    fn add(&mut self, tasks: Counted) {
        self.webhooks.count += 1;
        self.tasks = self.tasks.and(tasks);
    }

    fn may_be_more(&mut self) {
        self.webhooks.at_least = true;
        self.tasks.at_least = true;
    }
}

/// Everything that waits in the table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Retries that are parked until they are due, by their tasks.
    pub retries: Counted,
    /// Deliveries that wait for the end of a run of a process.
    pub held: Counted,
    /// The earliest time at which one of these is due.
    pub first_due: Option<Timestamp>,
    /// The backlogs of webhooks whose rate limit makes them wait.
    pub limited: Backlogs,
    /// The backlogs of webhooks whose endpoints are slow.
    pub slow: Backlogs,
    /// The backlogs of webhooks whose endpoints keep timing out.
    pub sick: Backlogs,
    /// The backlogs of webhooks that are well again.
    pub recovering: Backlogs,
}

impl Waiting {
    /// Notes that something is due at this time.
    pub fn due(&mut self, at: Option<Timestamp>) {
        self.first_due = [self.first_due, at].into_iter().flatten().min();
    }

    /// Adds a webhook in this state, with what waits for it. What goes straight to its endpoint
    /// does not wait.
    pub fn webhook(&mut self, state: State, tasks: Counted) {
        match state {
            State::Healthy => {}
            State::Limited => self.limited.add(tasks),
            State::Slow => self.slow.add(tasks),
            State::Sick => self.sick.add(tasks),
            State::Recovering => self.recovering.add(tasks),
        }
    }

    /// Notes that there are webhooks which were not looked at, in a state that nobody knows.
    pub fn webhooks_left(&mut self) {
        for backlogs in [&mut self.limited, &mut self.slow, &mut self.sick, &mut self.recovering] {
            backlogs.may_be_more();
        }
    }

    /// Notes that there are sick webhooks which were not looked at.
    pub fn sick_left(&mut self) {
        self.sick.may_be_more();
    }

    /// The time since which the oldest delivery has been due, and for how many seconds; none if
    /// nothing is late.
    pub fn oldest_due(&self, now: Timestamp) -> Option<(Timestamp, u64)> {
        let due_at = self.first_due.filter(|due_at| *due_at < now)?;
        Some((due_at, u64::try_from(now.duration_since(due_at).as_secs()).unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    #[test]
    fn only_what_is_late_is_the_oldest_due() {
        let mut waiting = Waiting::default();
        assert_eq!(waiting.oldest_due(at(0)), None);
        for due_at in [Some(at(30)), None, Some(at(-70)), Some(at(-7))] {
            waiting.due(due_at);
        }
        assert_eq!(waiting.oldest_due(at(0)), Some((at(-70), 70)));
        assert_eq!(waiting.oldest_due(at(-70)), None, "it is due now");
    }

    #[test]
    fn webhooks_are_counted_by_their_state() {
        let mut waiting = Waiting::default();
        waiting.webhook(State::Healthy, Counted { count: 9, at_least: false });
        waiting.webhook(State::Slow, Counted { count: 3, at_least: false });
        waiting.webhook(State::Slow, Counted { count: 200, at_least: true });
        let slow = Backlogs {
            webhooks: Counted { count: 2, at_least: false },
            tasks: Counted { count: 203, at_least: true },
        };
        assert_eq!(waiting, Waiting { slow, ..Waiting::default() });
        waiting.sick_left();
        assert!(waiting.sick.webhooks.at_least && !waiting.limited.webhooks.at_least);
        waiting.webhooks_left();
        assert!(waiting.limited.tasks.at_least && waiting.slow.webhooks.at_least);
    }
}
