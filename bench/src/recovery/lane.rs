//! The owner of a webhook sees its lane, which is watched here from one moment on.

use std::{convert::Infallible, time::Duration};

use serde::Serialize;
use tokio::time::{Instant, sleep};

use crate::{account::Target, clock, system::Bench, workspace::Workspace};

const LOOK_EVERY: Duration = Duration::from_millis(250);

/// The state of a webhook whose lane is closed: nothing waits, and new deliveries go the fast way.
const CLOSED: &str = "healthy";

/// A state of the webhook, and the time at which it was first seen.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Seen {
    /// The seconds since the beginning.
    seconds: f64,
    /// `slow` or `sick` while the lane is held, `recovering` while it pours.
    state: String,
}

/// A lane that is watched.
pub(super) struct Lane<'a> {
    bench: &'a Bench,
    workspace: Workspace,
    webhook: String,
    began_us: u64,
    skips_proof: bool,
    seen: Vec<Seen>,
}

impl<'a> Lane<'a> {
    /// Begins to watch. Seconds count from `began_us`. With `skips_proof` the lane is made to look
    /// as if it had been opened long ago.
    pub(super) fn of(target: &Target, bench: &'a Bench, began_us: u64, skips_proof: bool) -> Self {
        let (workspace, webhook) = (target.workspace.clone(), target.webhook.clone());
        Self { bench, workspace, webhook, began_us, skips_proof, seen: Vec::new() }
    }

    /// Looks again and again, for as long as it is polled.
    pub(super) async fn watch(&mut self) -> anyhow::Result<Infallible> {
        loop {
            self.look().await?;
            sleep(LOOK_EVERY).await;
        }
    }

    /// Looks until the lane is closed, but no longer than this.
    pub(super) async fn watch_until_closed(&mut self, bound: Duration) -> anyhow::Result<()> {
        let began = Instant::now();
        self.look().await?;
        while !self.is_closed() && began.elapsed() < bound {
            sleep(LOOK_EVERY).await;
            self.look().await?;
        }
        Ok(())
    }

    async fn look(&mut self) -> anyhow::Result<()> {
        let state = self.workspace.state(&self.webhook).await?;
        if self.skips_proof && state != CLOSED {
            self.bench.opened_long_ago(&self.workspace, &self.webhook).await?;
        }
        if self.seen.last().is_none_or(|last| last.state != state) {
            self.seen.push(Seen {
                seconds: clock::now_us().saturating_sub(self.began_us) as f64 / 1e6,
                state,
            });
        }
        Ok(())
    }

    /// Tells if the lane was closed when it was looked at last.
    pub(super) fn is_closed(&self) -> bool {
        self.seen.last().is_some_and(|last| last.state == CLOSED)
    }

    /// Lists all states in their order.
    pub(super) fn seen(&self) -> &[Seen] {
        &self.seen
    }

    /// Puts the states into one line for people.
    pub(super) fn line(&self) -> String {
        let states: Vec<String> = self
            .seen
            .iter()
            .map(|seen| format!("{} from {:.1} s on", seen.state, seen.seconds))
            .collect();
        format!("the webhook was {}.", states.join(", "))
    }
}
