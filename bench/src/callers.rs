//! Callers publish events through the API as services do. They run on a thread of their own, so
//! that the work of the local system delays no call, and their processor time can be told apart.

use std::{
    ops::Range,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::Context;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::{
    sync::oneshot,
    task::JoinSet,
    time::{Instant, sleep_until},
};

use crate::{clock, cpu::Thread, stream::Published, workspace::Workspace};

/// The callers of one workspace.
#[derive(Clone)]
pub(crate) struct Callers {
    pub(crate) workspace: Workspace,
    /// The data of an event has this many bytes of text, beside its number.
    pub(crate) bytes: usize,
}

/// The events of some calls, in the order of their numbers.
pub(crate) struct Called {
    pub(crate) events: Vec<Published>,
    /// The processor time of the callers' thread.
    pub(crate) cpu: Duration,
    /// The longest time by which a call began too late, where calls have their times.
    pub(crate) late: Duration,
}

impl Callers {
    /// Publishes events in calls of their own. Each of the callers makes one call after the other.
    pub(crate) async fn one_by_one(
        &self,
        numbers: Range<usize>,
        callers: usize,
    ) -> anyhow::Result<Called> {
        self.on_a_thread(numbers, async move |calls: Calls| {
            let mut running = JoinSet::new();
            for _ in 0..callers {
                let calls = calls.clone();
                running.spawn(async move {
                    while let Some(number) = calls.take() {
                        calls.call(number, clock::now_us()).await;
                    }
                });
            }
            running.join_all().await;
            Duration::ZERO
        })
        .await
    }

    /// Publishes so many events a second in calls of their own, and waits for no answer before the
    /// next call. The time of an event is that at which its call had to begin, so a call that
    /// begins too late makes its event late.
    pub(crate) async fn on_time(&self, numbers: Range<usize>, rate: f64) -> anyhow::Result<Called> {
        self.on_a_thread(numbers, async move |calls: Calls| {
            let mut running = JoinSet::new();
            let (began, began_us) = (Instant::now(), clock::now_us());
            let mut late = Duration::ZERO;
            while let Some(number) = calls.take() {
                let due = Duration::from_secs_f64((number - calls.first) as f64 / rate);
                sleep_until(began + due).await;
                late = late.max(began.elapsed().saturating_sub(due));
                let due_us = began_us + u64::try_from(due.as_micros()).unwrap_or(u64::MAX);
                let calls = calls.clone();
                running.spawn(async move { calls.call(number, due_us).await });
            }
            running.join_all().await;
            late
        })
        .await
    }

    async fn on_a_thread(
        &self,
        numbers: Range<usize>,
        work: impl AsyncFnOnce(Calls) -> Duration + Send + 'static,
    ) -> anyhow::Result<Called> {
        let (done, called) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let callers = self.clone();
        std::thread::Builder::new().name("callers".to_owned()).spawn(move || {
            let calls = Calls::new(callers, numbers);
            let late = runtime.block_on(work(calls.clone()));
            let called = Thread::current().and_then(|thread| thread.cpu()).map(|cpu| Called {
                events: calls.events(),
                cpu,
                late,
            });
            let _ = done.send(called);
        })?;
        called.await.context("the thread of the callers has failed")?
    }
}

/// Calls that share their numbers.
#[derive(Clone)]
struct Calls {
    workspace: Workspace,
    text: Arc<str>,
    first: usize,
    end: usize,
    next: Arc<AtomicUsize>,
    events: Arc<Mutex<Vec<Published>>>,
}

impl Calls {
    fn new(callers: Callers, numbers: Range<usize>) -> Self {
        let unpublished = Published { at_us: 0, id: None };
        Self {
            // Connections belong to the thread.
            workspace: Workspace { http: reqwest::Client::new(), ..callers.workspace },
            text: "x".repeat(callers.bytes).into(),
            first: numbers.start,
            end: numbers.end,
            next: Arc::new(AtomicUsize::new(numbers.start)),
            events: Arc::new(Mutex::new(vec![unpublished; numbers.len()])),
        }
    }

    /// Takes the number of the next event, unless there is none left.
    fn take(&self) -> Option<usize> {
        Some(self.next.fetch_add(1, Ordering::Relaxed)).filter(|number| *number < self.end)
    }

    /// Publishes the event of this number. One that is refused has no id.
    async fn call(&self, number: usize, at_us: u64) {
        let data = json!({ "n": number, "text": &*self.text });
        let event = json!({ "events": [{ "type": "order.created", "data": data }] });
        let id = match self.workspace.call(Method::POST, "/events", event).await {
            Ok(answer) => id(&answer),
            Err(error) => {
                eprintln!("an event was not accepted: {error:#}");
                None
            }
        };
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(published) = events.get_mut(number - self.first) {
            *published = Published { at_us, id };
        }
    }

    fn events(&self) -> Vec<Published> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Reads the id of the only event of a call.
fn id(answer: &Value) -> Option<uuid::Uuid> {
    answer["events"][0]["id"].as_str()?.parse().ok()
}
