//! The events of one workspace, numbered in the order of their publishing.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, ensure};
use clap::ValueEnum;
use posthaste_local::Sqs;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::{clock, system::Workspace};

/// The way in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Through {
    /// Straight to the events queue, as `ingest` sends events: with their ids.
    Queue,
    /// POST /api/v1/events.
    Api,
}

impl Through {
    /// How many events one call takes.
    fn events_a_call(self) -> usize {
        match self {
            Self::Queue => 10,
            Self::Api => 100,
        }
    }
}

/// One event.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Published {
    /// When the call that published it began.
    pub(crate) at_us: u64,
    /// Its id, once it is accepted.
    pub(crate) id: Option<Uuid>,
}

/// All events that were published for one workspace.
pub(crate) struct Stream {
    through: Through,
    workspace: Workspace,
    sqs: Sqs,
    queue_url: String,
    published: Mutex<Vec<Published>>,
    calls: Mutex<JoinSet<()>>,
}

impl Stream {
    pub(crate) fn new(workspace: Workspace, through: Through, sqs: Sqs, queue_url: String) -> Arc<Self> {
        let (published, calls) = (Mutex::default(), Mutex::default());
        Arc::new(Self { through, workspace, sqs, queue_url, published, calls })
    }

    /// Publishes this many events. A call of the API is not waited for: see [`Self::accepted`].
    pub(crate) async fn publish(self: &Arc<Self>, count: usize) -> anyhow::Result<()> {
        let mut left = count;
        while left > 0 {
            let count = left.min(self.through.events_a_call());
            left -= count;
            let first = self.begin(count);
            let numbers = first..first + count;
            match self.through {
                Through::Queue => self.send(numbers).await?,
                Through::Api => {
                    let stream = self.clone();
                    let call = async move {
                        if let Err(error) = stream.post(numbers).await {
                            eprintln!("events were not accepted: {error:#}");
                        }
                    };
                    lock(&self.calls).spawn(call);
                }
            }
        }
        Ok(())
    }

    /// Waits for the calls that are under way: all events, by their numbers.
    pub(crate) async fn accepted(&self) -> Vec<Published> {
        let calls = std::mem::take(&mut *lock(&self.calls));
        calls.join_all().await;
        lock(&self.published).clone()
    }

    /// Notes events whose call begins now; the number of the first.
    fn begin(&self, count: usize) -> usize {
        let at_us = clock::now_us();
        let mut published = lock(&self.published);
        let first = published.len();
        published.resize(first + count, Published { at_us, id: None });
        first
    }

    fn accept(&self, number: usize, id: Uuid) {
        if let Some(published) = lock(&self.published).get_mut(number) {
            published.id = Some(id);
        }
    }

    async fn send(&self, numbers: std::ops::Range<usize>) -> anyhow::Result<()> {
        let name = &self.workspace.name;
        let ids: Vec<(usize, Uuid)> = numbers.map(|number| (number, event_id())).collect();
        let entry = |(number, id): &(usize, Uuid)| {
            let event = json!({ "id": id, "workspace": name, "type": "order.created", "data": { "n": number } });
            json!({ "Id": number.to_string(), "MessageBody": event.to_string(), "MessageGroupId": name })
        };
        let entries: Vec<Value> = ids.iter().map(entry).collect();
        let call = json!({ "QueueUrl": self.queue_url, "Entries": entries }).to_string();
        let answer = self.sqs.call("SendMessageBatch", call.as_bytes()).await?;
        ensure!(answer["Failed"].as_array().is_none_or(Vec::is_empty), "events were refused: {answer}");
        for (number, id) in ids {
            self.accept(number, id);
        }
        Ok(())
    }

    async fn post(&self, numbers: std::ops::Range<usize>) -> anyhow::Result<()> {
        let event = |number| json!({ "type": "order.created", "data": { "n": number } });
        let events: Vec<Value> = numbers.clone().map(event).collect();
        let answer = self.workspace.call(reqwest::Method::POST, "/events", json!({ "events": events })).await?;
        let accepted = answer["events"].as_array().context("the answer has no events")?;
        for (number, event) in numbers.zip(accepted) {
            self.accept(number, event["id"].as_str().context("an accepted event has no id")?.parse()?);
        }
        Ok(())
    }
}

/// A UUIDv7 of now.
fn event_id() -> Uuid {
    let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let mut bytes = Uuid::new_v4().into_bytes();
    bytes[..6].copy_from_slice(&(since_1970.as_millis() as u64).to_be_bytes()[2..]);
    bytes[6] = 0x70 | (bytes[6] & 0x0f);
    Uuid::from_bytes(bytes)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_id_is_a_uuid_v7() {
        assert_eq!(event_id().get_version_num(), 7);
    }
}
