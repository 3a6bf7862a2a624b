//! Checks the statements that must hold at every moment.

use super::{
    mutations::Mutation,
    plan::{MINUTE, SECOND},
    sim::Group,
    violation::Kind,
    world::{World, Writer, ms, names},
};
use crate::{
    delivery::task::Task,
    endpoint::lane::{Attr, FIRST_PROOF, LONGEST_PROOF, Lane, Phase, Reason, Seen},
    id::DeliveryId,
    webhook::rate_limit::RateLimit,
};

/// The age of knowledge about a webhook when a request begins, and the time that a slot is waited
/// for, at most.
const KNOWN_FOR: i64 = 2 * SECOND + SECOND + 10;

/// The facts about a webhook that only the model can know.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// The number of times that its lane was opened.
    pub(super) opening: u64,
    /// The time since which arrivals have to wait.
    pub(super) held_since: Option<i64>,
    /// The time since which it gets nothing.
    pub(super) off_since: Option<i64>,
    /// The invocation that works its backlog off.
    pub(super) working: Option<Group>,
    /// The number of times that the turn was taken from an invocation that was alive.
    pub(super) taken_over: u32,
    /// The times at which requests began.
    pub(super) begins: Vec<i64>,
    /// The number of requests under way, by invocation of `drain`.
    pub(super) under_way: std::collections::BTreeMap<Group, u32>,
    /// The facts that the turn has read about the webhook.
    pub(super) seen: Option<Seen>,
    /// The number of quick answers in a row that its turns have got since it was sidelined.
    pub(super) quick: u32,
    pub(super) expected: Vec<Expected>,
}

/// An event that has to happen until a time, unless nothing waits any more.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected {
    until: i64,
    kind: Kind,
    /// True if the beginning of a request is enough.
    is_begin: bool,
}

/// A request that is about to begin.
pub(super) struct Begin<'a> {
    pub(super) webhook: usize,
    pub(super) deliveries: &'a [DeliveryId],
    /// The turn that makes it: its invocation, when that ends, how many requests it may have under
    /// way.
    pub(super) turn: Option<(Group, i64, u32)>,
}

impl World {
    /// Tells whether nothing goes wrong in this run but the order of things.
    pub(super) fn is_calm(&self) -> bool {
        self.plan.faults.are_none()
            && self.plan.skew == 0
            && self.plan.stalls == 0
            && self.plan.queueing == 0
            && self.deaths == 0
    }

    /// 2: as long as something waits, the lane has a time at which `release` looks after it, or the
    /// message that brought it is there.
    pub(super) fn check_watched(&mut self, webhook: usize) {
        let lane = &self.lanes[webhook];
        if lane.get(Attr::DueAt).is_some() && lane.get(Attr::DueShard).is_some() {
            return;
        }
        // A function may die before it opens the lane, and its message go another way; and a copy
        // of a message that ended long ago may put what is over. Nobody waits for such items.
        let is_over = |id: &DeliveryId| {
            let delivery = &self.deliveries[id];
            delivery.holders > 1 || delivery.record.is_some_and(|record| record.is_final())
        };
        let leaves_items = self.plan.faults.leave_items();
        let has_message = |source| self.tasks.messages.contains_key(source);
        let is_needed =
            |task: &Task<'_>| !leaves_items || !task.deliveries.iter().all(|due| is_over(&due.id));
        let mut waiting = self.backlog[webhook].values();
        let forgotten =
            waiting.find(|stored| !has_message(&stored.source) && is_needed(&stored.task));
        if let Some(names) = forgotten.map(|stored| names(&stored.task)) {
            self.violate(Kind::Forgotten, || format!("{names} waits in a lane without a watchdog"));
        }
    }

    pub(super) fn check_write(
        &mut self,
        webhook: usize,
        writer: &Writer,
        before: &Lane,
        after: &Lane,
    ) {
        let is_held = |lane: &Lane| matches!(lane.phase, Some(Phase::Held | Phase::Idle));
        let now = self.now();
        let is_forced = self.plan.mutation == Some(Mutation::TwoTurns);
        let watch = &mut self.watch[webhook];
        watch.held_since = if is_held(after) { watch.held_since.or(Some(now)) } else { None };
        match writer {
            Writer::Append => {
                watch.opening += 1;
                if before.phase.is_none() {
                    watch.quick = 0;
                }
                self.expect_an_attempt(webhook, before);
            }
            Writer::Claim { group, opening } => {
                let expected = watch.opening;
                let other = watch
                    .working
                    .replace(*group)
                    .filter(|other| other != group && self.sim.is_alive(*other));
                watch.taken_over += u32::from(other.is_some());
                if let Some(other) = other.filter(|_| !is_forced) {
                    self.violate(Kind::TwoTurns, || {
                        format!("{group} takes the turn that {other} has")
                    });
                }
                if *opening != expected {
                    self.violate(Kind::WrongOpening, || {
                        format!("a message of opening {opening} claims {expected}")
                    });
                }
            }
            Writer::Turn { group, me } => {
                if after.lease_until.is_none() && watch.working == Some(*group) {
                    watch.working = None;
                }
                if before.turn.as_deref() != Some(me) {
                    self.violate(Kind::ForeignWrite, || {
                        format!("{me} writes the turn of {:?}", before.turn)
                    });
                }
                self.check_flap(webhook, before, after);
                if after.lease_until.is_none() {
                    self.expect_a_wake(webhook, after);
                }
            }
            Writer::Strike if before.opened_at != after.opened_at => watch.quick = 0,
            Writer::Strike | Writer::Release | Writer::Owner => {}
        }
        if after.due_at.is_none() {
            self.check_watched(webhook);
        }
    }

    /// 12: a webhook that was sidelined is left only when it has proven itself, or is not served
    /// any more.
    fn check_flap(&mut self, webhook: usize, before: &Lane, after: &Lane) {
        let is_served = matches!(self.watch[webhook].seen, Some(Seen::Enabled(_)));
        let was_sidelined = before.phase.is_some_and(|phase| phase != Phase::Pouring)
            && matches!(before.reason, Some(Reason::Slow | Reason::Sick));
        let is_left = matches!(after.phase, None | Some(Phase::Pouring));
        let (Some(opened), true) = (before.opened_at, is_served && was_sidelined && is_left) else {
            return;
        };
        let proof = FIRST_PROOF.saturating_mul(1 << before.relapses.min(10)).min(LONGEST_PROOF);
        let earliest = ms(opened) + i64::try_from(proof.as_millis()).unwrap() - 2 * self.plan.skew;
        // One that became limited had proven itself before its last requests.
        let counts = self.is_calm() && after.reason != Some(Reason::Limited);
        let quick = self.watch[webhook].quick;
        if self.now() < earliest || (counts && quick < 20) {
            self.violate(Kind::Flap, || {
                format!("left {:?} after {quick} quick answers", before.reason)
            });
        }
    }

    /// 11: what comes to an idle lane begins within 2 s, or 10 s if the lane is just being closed.
    fn expect_an_attempt(&mut self, webhook: usize, before: &Lane) {
        let is_bound = self.webhooks[webhook].limit.is_some() || before.sick_until.is_some();
        let is_undisturbed = self.is_calm() && self.plan.acts.is_empty() && self.plan.latency <= 20;
        if before.phase != Some(Phase::Idle) || is_bound || !is_undisturbed {
            return;
        }
        let within = if before.lease_until.is_some() { 11 * SECOND + 500 } else { 2 * SECOND };
        self.expect(webhook, within, Kind::Late, true);
    }

    fn expect(&mut self, webhook: usize, within: i64, kind: Kind, is_begin: bool) {
        let until = self.now() + within;
        self.watch[webhook].expected.push(Expected { until, kind, is_begin });
    }

    /// 13: what waits is attempted soon after its webhook was changed, or is skipped when it is
    /// off.
    pub(super) fn expect_after_nudge(&mut self, webhook: usize) {
        if self.is_calm() && self.plan.latency <= 100 && self.webhooks[webhook].limit.is_none() {
            let is_on = self.watch[webhook].off_since.is_none();
            self.expect(webhook, 3 * MINUTE, Kind::NotNudged, is_on);
        }
    }

    /// A lane that was told to wake at a time does so.
    fn expect_a_wake(&mut self, webhook: usize, lane: &Lane) {
        let Some(wake_at) = lane.wake_at.filter(|at| lane.due_at == Some(*at)) else { return };
        let is_undisturbed =
            self.is_calm() && self.plan.latency <= 100 && self.webhooks[webhook].limit.is_none();
        // One that sleeps for less than a minute may meet the minute of `release`.
        if is_undisturbed && self.plan.webhooks.len() == 1 {
            let within = (ms(wake_at) - self.now()).max(MINUTE) + 10 * SECOND;
            self.expect(webhook, within, Kind::Late, true);
        }
    }

    /// Checks that everything has begun that was expected by now.
    pub(super) fn check_expected(&mut self) {
        let now = self.now();
        for webhook in 0..self.watch.len() {
            let has_something = !self.backlog[webhook].is_empty();
            let expected = &mut self.watch[webhook].expected;
            if expected.is_empty() {
                continue;
            }
            let missed =
                expected.iter().find(|expected| has_something && expected.until < now).copied();
            expected.retain(|expected| expected.until >= now && has_something);
            if let Some(missed) = missed {
                self.violate(missed.kind, || format!("nothing of {webhook} moved: {missed:?}"));
            }
        }
    }

    /// Checks a request that begins.
    pub(super) fn begin(&mut self, begin: &Begin<'_>) {
        let Begin { webhook, deliveries, turn } = *begin;
        let now = self.now();
        self.note(|| {
            let names: Vec<_> = deliveries.iter().map(|id| super::world::name(*id)).collect();
            format!(
                "request of {} to {webhook} by {}",
                names.join(" "),
                if turn.is_some() { "turn" } else { "deliver" }
            )
        });
        let watch = &mut self.watch[webhook];
        watch.begins.push(now);
        watch.expected.retain(|expected| !expected.is_begin);
        let (off_since, held_since) = (watch.off_since, watch.held_since);
        let skew = self.plan.skew;
        if off_since.is_some_and(|since| now > since + KNOWN_FOR + self.slowest()) {
            self.violate(Kind::Paused, || format!("since {off_since:?}"));
        }
        if let Some((group, ends, room)) = turn {
            let under_way = self.watch[webhook].under_way.entry(group).or_default();
            *under_way += 1;
            let under_way = *under_way;
            let timeout = i64::try_from(self.plan.webhooks[webhook].timeout.as_millis()).unwrap();
            if now + timeout > ends + skew {
                self.violate(Kind::PastDeadline, || format!("its invocation ends at {ends}"));
            }
            if under_way > room {
                self.violate(Kind::UnderWay, || format!("{under_way} and not {room}"));
            }
        } else if held_since.is_some_and(|since| now > since + KNOWN_FOR + self.slowest()) {
            self.violate(Kind::PastLane, || format!("held since {held_since:?}"));
        }
        if self.is_calm() {
            self.check_time(deliveries);
        }
    }

    /// 10: in a run where nothing goes wrong, no attempt is before its time, and none follows a
    /// success or the last one.
    fn check_time(&mut self, deliveries: &[DeliveryId]) {
        for id in deliveries {
            let Some(record) = self.record_of(*id) else { continue };
            // What is over is only made again with another one that shares the request.
            if record.is_final() || self.now() + 500 < record.not_before {
                let now = self.now();
                self.violate(Kind::TooEarly, || {
                    format!("{} at {now}: {record:?}", super::world::name(*id))
                });
            }
        }
    }

    /// The longest time that a call may take, with all its tries.
    fn slowest(&self) -> i64 {
        self.plan.latency * 6
            + if self.stalls > 0 || self.plan.stalls > 0 { 15 * SECOND } else { 0 }
    }

    /// A message meets the lease that its own turn before has not given up, though the function
    /// lives.
    pub(super) fn check_handover(&mut self, webhook: usize) {
        if self.watch[webhook].working.is_some_and(|group| self.sim.is_alive(group)) {
            self.violate(Kind::Handover, || format!("the turn of {webhook} meets its own lease"));
        }
    }

    /// 14: each function leads to the next one only a bounded number of times.
    pub(super) fn check_depth(&mut self, task: &Task<'_>, depth: u32) {
        let attempts = task
            .deliveries
            .iter()
            .filter_map(|due| self.record_of(due.id))
            .map(|record| record.attempts);
        let bound = 3 + 2 * attempts.max().unwrap_or_default() + 2 * self.openings();
        if depth > bound {
            self.violate(Kind::Lineage, || {
                format!("{depth} functions in a row for {}", names(task))
            });
        }
    }

    fn openings(&self) -> u32 {
        u32::try_from(self.watch.iter().map(|watch| watch.opening).sum::<u64>()).unwrap()
    }

    /// 4: messages that nobody needs go away.
    pub(super) fn check_messages(&mut self) {
        let old = self.now() - 5 * MINUTE - self.plan.queueing;
        let count = self
            .turns
            .messages
            .values()
            .filter(|message| message.sent < old && message.receives > 0)
            .count();
        if count > self.webhooks.len() && self.is_calm() {
            self.violate(Kind::Messages, || format!("{count} old messages are on the turns queue"));
        }
    }

    /// 11: what waits is worked off in time, and a webhook that is well has its lane closed.
    pub(super) fn check_goal(&mut self) {
        let Some(goal) =
            self.plan.goal.filter(|goal| goal.at <= self.now() && self.now() < goal.at + SECOND)
        else {
            return;
        };
        let (waiting, phase) = (self.backlog[0].len(), self.lane(0).phase);
        if waiting > goal.waiting || (goal.is_closed && phase.is_some()) {
            self.violate(Kind::NotRecovered, || {
                format!("{waiting} are waiting, and the lane is {phase:?}")
            });
        }
    }

    /// 6: no period gets more than the limit and the burst.
    pub(super) fn check_limit(&mut self, webhook: usize, limit: RateLimit) {
        let period =
            i64::try_from(limit.interval().as_millis() * u128::from(limit.requests)).unwrap();
        let interval = limit.interval().as_secs_f64();
        let most = limit.requests as usize + ((0.5 / interval) as usize).max(1) + 1;
        let mut begins = self.watch[webhook].begins.clone();
        begins.sort_unstable();
        if let Some(window) =
            begins.windows(most + 1).find(|window| window[most] - window[0] < period)
        {
            let text = format!("{} requests from {} to {}", most + 1, window[0], window[most]);
            self.violate(Kind::OverLimit, || text);
        }
    }
}
