//! Everything that is stored and queued, in memory. Each method is one call that is carried out
//! whole.

mod lanes;

use std::{
    collections::{BTreeMap, VecDeque},
    rc::Rc,
    time::Duration,
};

use super::{
    check::Watch,
    dice::Dice,
    plan::{Faults, Plan},
    queue::{Body, Message, Queue},
    sim::{Group, Sim},
    violation::{Kind, Violation},
};
use crate::{
    delivery::{
        attempt::Status,
        task::{Due, Task},
    },
    endpoint::{
        backlog::Waiting,
        lane::{Attributes, Evidence},
    },
    id::{Cause, DeliveryId, EventId},
    testing::{self, webhook_key},
    webhook::rate_limit::RateLimit,
};

/// The time at which a run begins.
const BEGINNING: i64 = 1_700_000_000_000;

pub(super) fn at(ms: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_millisecond(BEGINNING + ms).unwrap()
}

pub(super) fn ms(time: jiff::Timestamp) -> i64 {
    time.as_millisecond() - BEGINNING
}

/// The record of a delivery.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record {
    pub(super) status: Status,
    pub(super) attempts: u32,
    pub(super) not_before: i64,
}

impl Record {
    pub(super) fn is_final(&self) -> bool {
        self.status != Status::Pending
    }
}

/// An item of a backlog, with the message that brought it.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) task: Task<'static>,
    pub(super) source: u64,
    /// As the clock of whoever put it says.
    pub(super) since: jiff::Timestamp,
}

#[derive(Debug, Clone)]
pub(super) struct Webhook {
    pub(super) is_enabled: bool,
    pub(super) is_gone: bool,
    pub(super) limit: Option<RateLimit>,
}

pub(super) struct World {
    pub(super) sim: Rc<Sim>,
    pub(super) plan: Rc<Plan>,
    pub(super) dice: Dice,
    pub(super) faults: Faults,
    pub(super) stalls: u64,
    /// The number of invocations that have died, of a fault or because their time was over.
    pub(super) deaths: u64,
    pub(super) deliveries: BTreeMap<DeliveryId, Delivery>,
    pub(super) tasks: Queue,
    pub(super) turns: Queue,
    pub(super) lanes: Vec<Attributes>,
    pub(super) backlog: Vec<BTreeMap<String, Stored>>,
    pub(super) parked: BTreeMap<(i64, u64), Task<'static>>,
    pub(super) slots: Vec<Option<jiff::Timestamp>>,
    pub(super) webhooks: Vec<Webhook>,
    /// The states that the index will show, with the times from which it does.
    index: Vec<VecDeque<(i64, Option<i64>)>>,
    pub(super) evidence: Vec<Evidence>,
    pub(super) watch: Vec<Watch>,
    pub(super) calls: u64,
    pub(super) violation: Option<Violation>,
    pub(super) trace: Option<Vec<String>>,
}

#[derive(Debug, Default)]
pub(super) struct Delivery {
    /// The number of messages, items and parked retries that hold it.
    pub(super) holders: u32,
    pub(super) record: Option<Record>,
}

/// The writer of a lane.
#[derive(Debug, Clone)]
pub(super) enum Writer {
    Append,
    Strike,
    Claim { group: Group, opening: u64 },
    Turn { group: Group, me: String },
    Release,
    Owner,
}

impl World {
    pub(super) fn new(sim: Rc<Sim>, plan: Rc<Plan>, is_traced: bool) -> Self {
        let count = plan.webhooks.len();
        let webhook = |nth: usize| Webhook {
            is_enabled: true,
            is_gone: false,
            limit: plan.webhooks[nth].limit,
        };
        Self {
            sim,
            dice: Dice::new(plan.seed ^ 0xabcd),
            faults: plan.faults,
            stalls: plan.stalls,
            deaths: 0,
            deliveries: BTreeMap::new(),
            tasks: Queue::default(),
            turns: Queue::default(),
            lanes: vec![Attributes::default(); count],
            backlog: vec![BTreeMap::new(); count],
            parked: BTreeMap::new(),
            slots: vec![None; count],
            webhooks: (0..count).map(webhook).collect(),
            index: vec![VecDeque::new(); count],
            evidence: vec![Evidence::default(); 3],
            watch: (0..count).map(|_| Watch::default()).collect(),
            calls: 0,
            violation: None,
            trace: is_traced.then(Vec::new),
            plan,
        }
    }

    pub(super) fn now(&self) -> i64 {
        self.sim.now()
    }

    pub(super) fn note(&mut self, line: impl FnOnce() -> String) {
        let now = self.now();
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>9.3} s  {}", now as f64 / 1000.0, line()));
        }
    }

    pub(super) fn violate(&mut self, kind: Kind, text: impl FnOnce() -> String) {
        if self.violation.is_none() {
            let text = text();
            self.note(|| format!("!! {kind:?}: {text}"));
            self.violation = Some(Violation { kind, text });
        }
    }

    /// New deliveries are accepted: from now on they must not get lost.
    pub(super) fn publish(&mut self, webhook: usize, count: usize) {
        let key = webhook_key(webhook as u64);
        let deliveries = (0..count).map(|_| {
            let number = self.sim.next_id();
            let mut entropy = [0; 10];
            entropy[2..].copy_from_slice(&number.to_be_bytes());
            let event = EventId::new(at(self.now()), &entropy);
            Due::of_stored(DeliveryId::derive(event, key.id, Cause::Published), event, 100)
        });
        let deliveries: Vec<_> = deliveries.collect();
        for due in &deliveries {
            self.deliveries.insert(due.id, Delivery::default());
        }
        let task = Task::new(&key, Vec::new()).with(deliveries);
        self.note(|| format!("publishes {} for {webhook}", names(&task)));
        self.send_task(task, 0, 0);
    }

    pub(super) fn record_of(&self, id: DeliveryId) -> Option<Record> {
        self.deliveries[&id].record
    }

    fn hold(&mut self, task: &Task<'_>) {
        for due in &task.deliveries {
            self.deliveries.get_mut(&due.id).unwrap().holders += 1;
        }
    }

    fn let_go(&mut self, task: &Task<'_>, by: &str) {
        for due in &task.deliveries {
            let delivery = self.deliveries.get_mut(&due.id).unwrap();
            delivery.holders -= 1;
            if delivery.holders == 0 && !delivery.record.is_some_and(|record| record.is_final()) {
                self.violate(Kind::Lost, || format!("{} is lost by {by}", name(due.id)));
            }
        }
    }

    pub(super) fn send_task(&mut self, task: Task<'static>, delay: i64, depth: u32) -> u64 {
        self.hold(&task);
        self.check_depth(&task, depth);
        let number = self.sim.next_id();
        self.note(|| format!("sends task {number} of {} in {delay} ms", names(&task)));
        let message = self.message(number, Body::Task(Box::new(task)), delay, depth);
        self.tasks.messages.insert(number, message);
        number
    }

    pub(super) fn send_turn(
        &mut self,
        webhook: usize,
        token: String,
        opening: u64,
        delay: i64,
        depth: u32,
    ) {
        let number = self.sim.next_id();
        self.note(|| format!("sends turn {number} of {webhook} in {delay} ms"));
        let body = Body::Turn { webhook, token, opening };
        let message = self.message(number, body, delay + self.plan.queueing, depth);
        self.turns.messages.insert(number, message);
    }

    fn message(&self, number: u64, body: Body, delay: i64, depth: u32) -> Message {
        Message {
            number,
            body,
            sent: self.now(),
            visible_at: self.now() + delay,
            receives: 0,
            depth,
        }
    }

    pub(super) fn delete_task(&mut self, number: u64) {
        // Once in a while a message that was deleted comes once more.
        if self.faults.copies > 0 && self.dice.once_in(self.faults.copies * 4) {
            return;
        }
        let Some(message) = self.tasks.messages.remove(&number) else { return };
        let Body::Task(task) = message.body else { return };
        self.let_go(&task, "the end of its message");
        self.note(|| format!("ends task {number}"));
        self.check_watched(webhook_of(&task));
    }

    /// A message comes again after a wait.
    pub(super) fn hide_task(&mut self, number: u64, wait: i64) {
        let visible_at = self.now() + wait;
        if let Some(message) = self.tasks.messages.get_mut(&number) {
            message.visible_at = visible_at;
        }
    }

    pub(super) fn hide_turn(&mut self, number: u64, wait: i64) {
        let visible_at = self.now() + wait;
        if let Some(message) = self.turns.messages.get_mut(&number) {
            message.visible_at = visible_at;
        }
    }

    pub(super) fn put(&mut self, items: &[Waiting], source: u64) {
        for item in items {
            let webhook = webhook_of(&item.task);
            self.note(|| format!("puts {} as {}", names(&item.task), short(&item.key)));
            self.hold(&item.task);
            let stored = Stored { task: item.task.clone(), source, since: item.since };
            if let Some(before) = self.backlog[webhook].insert(item.key.clone(), stored) {
                self.let_go(&before.task, "a put over it");
            }
        }
    }

    /// Deletes an item that was disposed of, as it was read.
    pub(super) fn delete_item(&mut self, webhook: usize, key: &str, disposed: &Stored) {
        let Some(stored) = self.backlog[webhook].remove(key) else { return };
        self.note(|| format!("deletes {}", short(key)));
        let is_disposed = |id: DeliveryId| disposed.task.deliveries.iter().any(|due| due.id == id);
        let is_over = |id: DeliveryId| self.record_of(id).is_some_and(|record| record.is_final());
        let has_more =
            stored.task.deliveries.iter().any(|due| !is_disposed(due.id) && !is_over(due.id));
        if stored.source != disposed.source || has_more {
            self.violate(Kind::WrongResidency, || {
                format!("{} of task {}", names(&stored.task), stored.source)
            });
        }
        self.let_go(&stored.task, "the delete of an item");
    }

    /// Leaves the rest of an item, if it is still there.
    pub(super) fn shorten(&mut self, webhook: usize, key: &str, rest: &Task<'static>) {
        let Some(stored) = self.backlog[webhook].get_mut(key) else { return };
        let before = std::mem::replace(&mut stored.task, rest.clone());
        self.hold(rest);
        self.let_go(&before, "the shortening of an item");
    }

    pub(super) fn park(&mut self, due: i64, task: Task<'static>) {
        self.hold(&task);
        self.note(|| format!("parks {} until {due}", names(&task)));
        self.parked.insert((due, self.sim.next_id()), task);
    }

    pub(super) fn unpark(&mut self, key: (i64, u64)) {
        if let Some(task) = self.parked.remove(&key) {
            self.let_go(&task, "the end of its parking");
        }
    }

    /// Records what came of an attempt; answers how many there were. A success is never
    /// overwritten.
    pub(super) fn record(&mut self, id: DeliveryId, status: Status, wait: Option<Duration>) {
        let now = self.now();
        let delivery = self.deliveries.get_mut(&id).unwrap();
        let before = delivery.record.unwrap_or(Record {
            status: Status::Pending,
            attempts: 0,
            not_before: 0,
        });
        if before.status == Status::Succeeded || (status == Status::Skipped && before.is_final()) {
            return;
        }
        let wait = i64::try_from(wait.unwrap_or_default().as_millis()).unwrap();
        let attempts = before.attempts + u32::from(status != Status::Skipped);
        delivery.record = Some(Record { status, attempts, not_before: now + wait });
        self.note(|| format!("records {} as {status:?} after {attempts} attempts", name(id)));
    }
}

/// An event for whatever needs one.
pub(super) fn any_event() -> crate::event::Event {
    testing::event(1, "order.created", "{}")
}

pub(super) fn webhook_of(task: &Task<'_>) -> usize {
    usize::try_from(task.webhook.id.0).unwrap()
}

/// The end of an id, for the trace.
pub(super) fn name(id: DeliveryId) -> String {
    id.to_string()[32..].to_owned()
}

pub(super) fn names(task: &Task<'_>) -> String {
    task.deliveries.iter().map(|due| name(due.id)).collect::<Vec<_>>().join(" ")
}

fn short(key: &str) -> &str {
    &key[key.len().saturating_sub(14)..]
}
