//! The mixed load of a soak: events one by one and in batches, for webhooks of several formats, for
//! one that fails and one that is slow, and beside them replays and calls that read.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::{
    receiver::{Behaviour, Hook},
    system::Bench,
    workspace::Workspace,
};

/// The webhooks do not want to know which deliveries were given up.
const EVENTS: [&str; 1] = ["order.*"];
/// The formats that the healthy webhooks have.
const FORMATS: [&str; 4] = ["standard", "spektr", "spectra", "cloudevents"];
/// A batch has this many events.
const BATCH: usize = 20;
const BATCH_EVERY: Duration = Duration::from_secs(4);
const READ_EVERY: Duration = Duration::from_millis(500);
const REPLAY_EVERY: Duration = Duration::from_secs(15);
/// A replay takes the failed deliveries of this time.
const REPLAYED: Duration = REPLAY_EVERY;
/// The slow endpoint takes this long.
const SLOW: Duration = Duration::from_millis(1500);

/// The webhooks, and whoever uses the API.
pub(super) struct Load {
    workspace: Workspace,
    healthy: Vec<Arc<Hook>>,
    /// The id of one healthy webhook, and that of the one that fails.
    healthy_webhook: String,
    failing_webhook: String,
    next: AtomicUsize,
    accepted: Mutex<Vec<usize>>,
    refused: AtomicUsize,
    reads: AtomicUsize,
    replays: AtomicUsize,
}

/// The things that the load has done.
#[derive(Debug, Clone, Copy, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Done {
    pub(super) events: usize,
    pub(super) refused: usize,
    pub(super) reads: usize,
    pub(super) replays: usize,
    /// Events that a healthy webhook of any format did not get, once for each.
    pub(super) missing: usize,
}

impl Load {
    pub(super) async fn prepare(bench: &Bench) -> anyhow::Result<Self> {
        let workspace = bench.workspace("soak").await?;
        let mut healthy = Vec::new();
        let mut healthy_webhook = String::new();
        for format in FORMATS {
            let hook = bench.receiver.hook(&format!("soak/{format}"), Behaviour::Well);
            healthy_webhook = workspace
                .register(hook.url(), json!({ "format": format, "events": EVENTS }))
                .await?;
            healthy.push(hook);
        }
        let failing = bench.receiver.hook("soak/failing", Behaviour::Fail);
        let settings = json!({ "retrySchedule": [1, 2], "events": EVENTS });
        let failing_webhook = workspace.register(failing.url(), settings).await?;
        let slow = bench.receiver.hook("soak/slow", Behaviour::Slow(SLOW));
        workspace.register(slow.url(), json!({ "events": EVENTS })).await?;
        Ok(Self {
            workspace,
            healthy,
            healthy_webhook,
            failing_webhook,
            next: Default::default(),
            accepted: Default::default(),
            refused: Default::default(),
            reads: Default::default(),
            replays: Default::default(),
        })
    }

    /// Uses the API until a moment, with so many single events a second.
    pub(super) async fn run_until(&self, end: Instant, rate: f64) {
        let single = Duration::from_secs_f64(1.0 / rate);
        tokio::join!(
            every(single, end, async || self.publish(1).await),
            every(BATCH_EVERY, end, async || self.publish(BATCH).await),
            every(READ_EVERY, end, async || self.read().await),
            every(REPLAY_EVERY, end, async || self.replay().await),
        );
    }

    async fn publish(&self, events: usize) {
        let first = self.next.fetch_add(events, Ordering::Relaxed);
        let numbers = first..first + events;
        let events: Vec<Value> = numbers
            .clone()
            .map(|number| {
                let data = json!({ "n": number, "text": "x".repeat(300) });
                json!({ "type": "order.created", "subject": "customer-1", "data": data })
            })
            .collect();
        let call = json!({ "events": events });
        match self.workspace.call(Method::POST, "/events", call).await {
            Ok(_) => {
                self.accepted.lock().unwrap_or_else(PoisonError::into_inner).extend(numbers);
            }
            Err(error) => {
                eprintln!("events were not accepted: {error:#}");
                self.refused.fetch_add(numbers.len(), Ordering::Relaxed);
            }
        }
    }

    /// Reads one of the lists, each in turn.
    async fn read(&self) {
        let turn = self.reads.fetch_add(1, Ordering::Relaxed);
        let path = match turn % 6 {
            0 => "/events?limit=20".to_owned(),
            1 => format!("/webhooks/{}/deliveries?limit=20", self.failing_webhook),
            2 => "/deliveries?limit=20".to_owned(),
            3 => format!("/webhooks/{}", self.healthy_webhook),
            4 => "/event-types".to_owned(),
            _ => "/webhooks".to_owned(),
        };
        if let Err(error) = self.workspace.call(Method::GET, &path, Value::Null).await {
            eprintln!("nothing was read: {error:#}");
        }
    }

    /// Replays what failed a moment ago. Another replay may still be running.
    async fn replay(&self) {
        let since = Timestamp::now() - REPLAYED;
        let path = format!("/webhooks/{}/replay", self.failing_webhook);
        let call = json!({ "since": since.to_string() });
        if self.workspace.call(Method::POST, &path, call).await.is_ok() {
            self.replays.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn events(&self) -> usize {
        self.accepted.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    pub(super) fn done(&self) -> Done {
        let accepted = self.accepted.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let end = accepted.iter().max().map_or(0, |last| last + 1);
        let mut missing = 0;
        for hook in &self.healthy {
            let arrivals = hook.first_arrivals(end);
            missing += accepted.iter().filter(|number| arrivals[**number].is_none()).count();
        }
        Done {
            events: accepted.len(),
            refused: self.refused.load(Ordering::Relaxed),
            reads: self.reads.load(Ordering::Relaxed),
            replays: self.replays.load(Ordering::Relaxed),
            missing,
        }
    }
}

/// Does something again and again until a moment. What takes longer than the pause is not made up
/// for.
async fn every(pause: Duration, end: Instant, mut work: impl AsyncFnMut()) {
    let mut ticks = interval(pause);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while ticks.tick().await < end {
        work().await;
    }
}
