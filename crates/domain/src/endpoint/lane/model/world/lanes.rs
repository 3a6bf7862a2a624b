//! The model's webhooks and lanes, as functions read and write them, and the index of the lanes.

use std::collections::VecDeque;

use super::{Webhook, World, Writer, ms};
use crate::{
    endpoint::lane::{Lane, Outcome, Seen, Terms, Write},
    webhook::rate_limit::{Grant, RateLimit},
};

impl World {
    pub(in super::super) fn lane(&mut self, webhook: usize) -> Lane {
        self.lanes[webhook].lane().unwrap()
    }

    /// Carries one UpdateItem out.
    pub(in super::super) fn write_lane(
        &mut self,
        webhook: usize,
        write: &Write,
        writer: &Writer,
    ) -> Outcome {
        let before = self.lane(webhook);
        if !write.applies_to(&self.lanes[webhook]) {
            self.note(|| format!("{writer:?} is refused"));
            return Outcome::Refused(before);
        }
        self.lanes[webhook] = write.apply(&self.lanes[webhook]);
        let after = self.lane(webhook);
        self.note(|| format!("{writer:?} sets {:?}, removes {:?}", write.set, write.remove));
        if before.due_at != after.due_at {
            let lag = self.plan.index_lag;
            let shown = self.now() + self.dice.between(0, lag);
            let shown = self.index[webhook].back().map_or(shown, |(last, _)| shown.max(*last));
            self.index[webhook].push_back((shown, after.due_at.map(ms)));
        }
        self.check_write(webhook, writer, &before, &after);
        Outcome::Done(before)
    }

    /// The webhooks whose lanes the index shows as due by then.
    pub(in super::super) fn due_lanes(&mut self, until: i64) -> Vec<usize> {
        let now = self.now();
        let is_due = |history: &mut VecDeque<(i64, Option<i64>)>| {
            while history.get(1).is_some_and(|(shown, _)| *shown <= now) {
                history.pop_front();
            }
            history
                .front()
                .is_some_and(|(shown, due)| *shown <= now && due.is_some_and(|due| due <= until))
        };
        self.index
            .iter_mut()
            .enumerate()
            .filter_map(|(webhook, history)| is_due(history).then_some(webhook))
            .collect()
    }

    /// Reserves slots by the clock of whoever asks.
    pub(in super::super) fn reserve(
        &mut self,
        webhook: usize,
        limit: RateLimit,
        count: u32,
        now: jiff::Timestamp,
    ) -> Grant {
        let grant = limit.grant(self.slots[webhook], count, now);
        if let Grant::Slots { first, count } = grant {
            self.slots[webhook] = Some(first + limit.interval() * count);
        }
        grant
    }

    pub(in super::super) fn seen(&self, webhook: usize) -> Seen {
        let plan = &self.plan.webhooks[webhook];
        match &self.webhooks[webhook] {
            Webhook { is_gone: true, .. } => Seen::Gone,
            Webhook { is_enabled: false, .. } => Seen::Disabled,
            Webhook { limit, .. } => Seen::Enabled(Terms {
                limit: *limit,
                full_request: plan.full_request,
                timeout: plan.timeout,
            }),
        }
    }
}
