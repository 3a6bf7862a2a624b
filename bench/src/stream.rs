//! A stream has the events of one workspace, numbered in the order of their publishing.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, ensure};
use clap::ValueEnum;
use posthaste_local::Sqs;
use serde_json::json;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::{clock, workspace::Workspace};

/// Events can come in by two ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Through {
    /// Straight to the events queue, with their ids, as `ingest` sends events.
    Queue,
    /// By POST /api/v1/events.
    Api,
}

impl Through {
    /// Tells how many events one call takes.
    fn events_a_call(self) -> usize {
        match self {
            Self::Queue => 10,
            Self::Api => 100,
        }
    }
}

/// An event that was published.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Published {
    /// The beginning of the call that published the event.
    pub(crate) at_us: u64,
    /// The event's id, once it is accepted.
    pub(crate) id: Option<Uuid>,
}

/// The events that were published for one workspace.
pub(crate) struct Stream {
    through: Through,
    workspace: Workspace,
    sqs: Sqs,
    queue_url: String,
    published: Mutex<Vec<Published>>,
    calls: Mutex<JoinSet<()>>,
}

impl Stream {
    pub(crate) fn new(
        workspace: Workspace,
        through: Through,
        sqs: Sqs,
        queue_url: String,
    ) -> Arc<Self> {
        let (published, calls) = (Mutex::default(), Mutex::default());
        Arc::new(Self { through, workspace, sqs, queue_url, published, calls })
    }

    /// Publishes this many events. It does not wait for calls of the API: [`Self::accepted`] does.
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

    /// Waits for the calls that are under way, and returns all events by their numbers.
    pub(crate) async fn accepted(&self) -> Vec<Published> {
        let calls = std::mem::take(&mut *lock(&self.calls));
        calls.join_all().await;
        lock(&self.published).clone()
    }

    /// Notes events whose call begins now, and returns the number of the first.
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
        let mut ids = Vec::new();
        let mut entries = Vec::new();
        for number in numbers {
            let id = event_id();
            let event = json!({
                "id": id, "workspace": name, "type": "order.created", "data": { "n": number },
            });
            let body = event.to_string();
            entries.push(
                json!({ "Id": number.to_string(), "MessageBody": body, "MessageGroupId": name }),
            );
            ids.push((number, id));
        }
        let call = json!({ "QueueUrl": self.queue_url, "Entries": entries }).to_string();
        let answer = self.sqs.call("SendMessageBatch", call.as_bytes()).await?;
        ensure!(
            answer["Failed"].as_array().is_none_or(Vec::is_empty),
            "events were refused: {answer}"
        );
        for (number, id) in ids {
            self.accept(number, id);
        }
        Ok(())
    }

    async fn post(&self, numbers: std::ops::Range<usize>) -> anyhow::Result<()> {
        let mut events = Vec::new();
        for number in numbers.clone() {
            events.push(json!({ "type": "order.created", "data": { "n": number } }));
        }
        let answer = self
            .workspace
            .call(reqwest::Method::POST, "/events", json!({ "events": events }))
            .await?;
        let accepted = answer["events"].as_array().context("the answer has no events")?;
        for (number, event) in numbers.zip(accepted) {
            self.accept(
                number,
                event["id"].as_str().context("an accepted event has no id")?.parse()?,
            );
        }
        Ok(())
    }
}

/// Makes a UUIDv7 of this moment.
pub(crate) fn event_id() -> Uuid {
    let since_1970 =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
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
