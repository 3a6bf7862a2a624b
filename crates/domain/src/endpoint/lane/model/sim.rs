//! A small executor: tasks that wait for simulated time, one after the other, in an order that a
//! seed decides. Each wait is a point where others act, and where a task can be killed.

use std::{
    cell::{Cell, RefCell},
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, VecDeque},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use super::dice::Dice;

/// The tasks of one invocation: they die together.
pub(super) type Group = u64;
type Future = Pin<Box<dyn std::future::Future<Output = ()>>>;

struct Task {
    group: Group,
    /// None while it is polled.
    future: Option<Future>,
}

pub(super) struct Sim {
    now: Cell<i64>,
    last_id: Cell<u64>,
    current: Cell<u64>,
    /// The times at which tasks go on. Tasks of the same millisecond go on in a random order.
    alarms: RefCell<BinaryHeap<Reverse<(i64, u64, u64)>>>,
    tasks: RefCell<BTreeMap<u64, Task>>,
    alive: RefCell<BTreeMap<Group, usize>>,
    dice: RefCell<Dice>,
}

impl Sim {
    pub(super) fn new(dice: Dice) -> Rc<Self> {
        Rc::new(Self {
            now: Cell::new(0),
            last_id: Cell::new(0),
            current: Cell::new(0),
            alarms: RefCell::default(),
            tasks: RefCell::default(),
            alive: RefCell::default(),
            dice: RefCell::new(dice),
        })
    }

    pub(super) fn now(&self) -> i64 {
        self.now.get()
    }

    pub(super) fn next_id(&self) -> u64 {
        self.last_id.set(self.last_id.get() + 1);
        self.last_id.get()
    }

    pub(super) fn spawn(
        &self,
        group: Group,
        future: impl std::future::Future<Output = ()> + 'static,
    ) {
        let id = self.next_id();
        self.tasks.borrow_mut().insert(id, Task { group, future: Some(Box::pin(future)) });
        *self.alive.borrow_mut().entry(group).or_default() += 1;
        self.wake_at(id, self.now());
    }

    fn wake_at(&self, task: u64, at: i64) {
        let tie = self.dice.borrow_mut().next();
        self.alarms.borrow_mut().push(Reverse((at, tie, task)));
    }

    pub(super) fn next_alarm(&self) -> Option<i64> {
        self.alarms.borrow().peek().map(|Reverse((at, ..))| *at)
    }

    pub(super) fn advance(&self, now: i64) {
        self.now.set(self.now().max(now));
    }

    /// The group of the task that goes on next. A task that is dead has none.
    pub(super) fn next_group(&self) -> Option<Group> {
        let alarms = self.alarms.borrow();
        let Reverse((_, _, task)) = alarms.peek()?;
        self.tasks.borrow().get(task).map(|task| task.group)
    }

    /// Lets the next task go on until it waits again.
    pub(super) fn step(&self) {
        let Some(Reverse((at, _, id))) = self.alarms.borrow_mut().pop() else { return };
        self.advance(at);
        let Some(mut future) =
            self.tasks.borrow_mut().get_mut(&id).and_then(|task| task.future.take())
        else {
            return;
        };
        self.current.set(id);
        match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending => {
                if let Some(task) = self.tasks.borrow_mut().get_mut(&id) {
                    task.future = Some(future);
                }
            }
            Poll::Ready(()) => {
                drop(future);
                let task = self.tasks.borrow_mut().remove(&id);
                if let Some(task) = task {
                    self.leave(task.group);
                }
            }
        }
    }

    fn leave(&self, group: Group) {
        let mut alive = self.alive.borrow_mut();
        let count = alive.get_mut(&group).unwrap();
        *count -= 1;
        if *count == 0 {
            alive.remove(&group);
        }
    }

    pub(super) fn is_alive(&self, group: Group) -> bool {
        self.alive.borrow().contains_key(&group)
    }

    pub(super) fn kill(&self, group: Group) {
        let dead: Vec<_> =
            self.tasks.borrow_mut().extract_if(.., |_, task| task.group == group).collect();
        self.alive.borrow_mut().remove(&group);
        drop(dead);
    }

    pub(super) async fn sleep_until(&self, at: i64) {
        let mut is_set = false;
        std::future::poll_fn(|_| {
            if self.now() >= at {
                return Poll::Ready(());
            }
            if !std::mem::replace(&mut is_set, true) {
                self.wake_at(self.current.get(), at);
            }
            Poll::Pending
        })
        .await;
    }
}

/// The mails that the requests of a turn send to it.
pub(super) struct Mailbox<T> {
    mails: RefCell<VecDeque<T>>,
    reader: Cell<Option<u64>>,
}

impl<T> Mailbox<T> {
    pub(super) fn new() -> Rc<Self> {
        Rc::new(Self { mails: RefCell::default(), reader: Cell::new(None) })
    }

    pub(super) fn post(&self, sim: &Sim, mail: T) {
        self.mails.borrow_mut().push_back(mail);
        if let Some(reader) = self.reader.take() {
            sim.wake_at(reader, sim.now());
        }
    }

    pub(super) fn take(&self) -> Option<T> {
        self.mails.borrow_mut().pop_front()
    }

    /// Waits until there is a mail, at most until this time.
    pub(super) async fn wait_until(&self, sim: &Sim, at: i64) {
        let mut is_set = false;
        std::future::poll_fn(|_| {
            if sim.now() >= at || !self.mails.borrow().is_empty() {
                return Poll::Ready(());
            }
            self.reader.set(Some(sim.current.get()));
            if !std::mem::replace(&mut is_set, true) {
                sim.wake_at(sim.current.get(), at);
            }
            Poll::Pending
        })
        .await;
    }
}
