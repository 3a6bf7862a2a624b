//! What is due goes out.
//!
//! Actors: a schedule calls this once a minute. It looks a little ahead, so that what is due before the next call goes out now, with
//! the rest of its wait as a delay of its message.
//!
//! Guarantees: first the task is sent, then the table forgets that it waits. So when this dies between, it is sent again: a
//! delivery comes twice, with one id, and is made once if the first copy has succeeded by then. Without faults each is sent once
//! for each time that it is due: a call ends before the next one begins. A shard that can't be read stays for the next call. The turns
//! of webhooks are woken beside that: see [`crate::lanes`].

use std::time::Duration;

use futures::{
    StreamExt,
    future::{self, join_all},
    stream,
};
use posthaste_domain::Timestamp;
use posthaste_queue::Queue;
use posthaste_runtime::{clock, deadline::Deadline};
use posthaste_store::{Deliveries, DueDelivery, StoreError};

use crate::plan::{Outgoing, plan};

/// How far it looks ahead: until the next call, and some seconds for its start. Holds are left until they are due, as the end that
/// they wait for may come before.
pub(crate) const AHEAD: Duration = Duration::from_secs(75);
/// The time that a round may take: none begins with less.
const ROUND: Duration = Duration::from_secs(15);
pub(crate) const CONCURRENT_WRITES: usize = 16;

/// What release works with.
#[derive(Debug)]
pub(crate) struct Release {
    pub(crate) deliveries: Deliveries,
    pub(crate) tasks: Queue,
    pub(crate) turns: Queue,
    /// How many invocations of `drain` may run at once.
    pub(crate) places: u32,
}

impl Release {
    /// Sends what is due on every shard. An error says that a shard could not be emptied; the others were.
    pub(crate) async fn handle(&self, deadline: Deadline) -> anyhow::Result<()> {
        let until = clock::now() + AHEAD;
        let shards = Deliveries::due_shards().map(|shard| self.empty(shard, until, deadline));
        let all = future::join(join_all(shards), self.wake_lanes());
        let Ok((results, woken)) = tokio::time::timeout_at(deadline.instant(), all).await else {
            tracing::warn!("not all could be released in time; the rest follows with the next call");
            return Ok(());
        };
        let released: usize = results.iter().filter_map(|result| result.as_ref().ok()).sum();
        tracing::info!(deliveries = released, turns = woken.as_ref().ok(), "released");
        results.into_iter().chain([woken]).find_map(Result::err).map_or(Ok(()), Err)
    }

    /// Goes on until nothing is left or a round gets nothing done. Returns how many deliveries went out.
    async fn empty(&self, shard: u8, until: Timestamp, deadline: Deadline) -> anyhow::Result<usize> {
        let mut released = 0;
        loop {
            let due = self.deliveries.due(shard, clock::now(), until).await?;
            if due.is_empty() || deadline.left() < ROUND {
                return Ok(released);
            }
            let round = self.send(plan(due, clock::now())?).await?;
            if round == 0 {
                anyhow::bail!("nothing that is due could be sent");
            }
            released += round;
        }
    }

    /// Returns how many went out. What one call sent is forgotten before the next one's is waited for.
    async fn send(&self, tasks: Vec<Outgoing>) -> Result<usize, StoreError> {
        let (messages, due): (Vec<_>, Vec<_>) =
            tasks.into_iter().map(|Outgoing { message, due }| (message, due)).unzip();
        let mut released = 0;
        let mut calls = std::pin::pin!(self.tasks.send_in_calls(&messages));
        while let Some(call) = calls.next().await {
            for (_, error) in &call.failed {
                tracing::error!(%error, "a task could not be sent");
            }
            let sent = call.messages.filter(|at| !call.failed.iter().any(|(failed, _)| failed == at));
            let sent: Vec<&DueDelivery> = sent.flat_map(|at| due[at].iter()).collect();
            let forget = sent.iter().map(|due| self.deliveries.released(due));
            let results: Vec<_> = stream::iter(forget).buffered(CONCURRENT_WRITES).collect().await;
            results.into_iter().collect::<Result<(), _>>()?;
            released += sent.len();
        }
        Ok(released)
    }
}
