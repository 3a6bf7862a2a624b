//! Events are published at a steady pace, by turns with calls of the API and straight to the events
//! queue. A call that fails is repeated with its idempotency key until it is accepted.

use std::{
    fmt::Write as _,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};
use uuid::Uuid;

use super::{
    cast::Team,
    event::{Kind, Mark, PLAIN_TYPES, Published},
};
use crate::{stream::event_id, system::Bench, workspace::Workspace};

/// SQS takes this many messages with a call.
const QUEUE_BATCH: usize = 10;
/// A call of the API publishes this many events at most.
const MOST_EVENTS: usize = 100;
/// The events at the end of a call that belong to a run, with its end as the last one.
const RUN: usize = 6;
/// A call that is refused is repeated after this time.
const AGAIN_AFTER: Duration = Duration::from_millis(250);

/// The events of all workspaces.
pub(super) struct Book {
    pages: Vec<Mutex<Vec<Published>>>,
}

impl Book {
    pub(super) fn new(workspaces: usize) -> Self {
        Self { pages: (0..workspaces).map(|_| Mutex::default()).collect() }
    }

    /// Returns the events of a workspace in the order of their numbers.
    pub(super) fn page(&self, workspace: usize) -> Vec<Published> {
        lock(&self.pages[workspace]).clone()
    }

    /// Notes events that are about to be published. The last ones are a run, if there are enough.
    fn begin(&self, workspace: usize, count: usize) -> Vec<Published> {
        let mut page = lock(&self.pages[workspace]);
        let first = page.len();
        for place in 0..count {
            let number = first + place;
            let run = first + count.saturating_sub(RUN);
            let kind = match count - place {
                1 if count > 2 * RUN => Kind::End { run },
                2..=RUN if count > 2 * RUN => Kind::Step { run },
                _ => Kind::Plain((number % usize::from(PLAIN_TYPES)) as u8),
            };
            page.push(Published { mark: Mark { workspace, number }, kind, id: None });
        }
        page[first..].to_vec()
    }

    fn accept(&self, mark: Mark, id: Uuid) {
        if let Some(published) = lock(&self.pages[mark.workspace]).get_mut(mark.number) {
            published.id = Some(id);
        }
    }
}

/// Publishes this many events over this time.
pub(super) async fn steadily(
    bench: &Bench,
    teams: &[Team],
    book: &Arc<Book>,
    events: usize,
    time: Duration,
) -> anyhow::Result<()> {
    let calls = (events.div_ceil(MOST_EVENTS)).max(teams.len() * 8).min(events.max(1));
    let mut accepted = JoinSet::new();
    let began = Instant::now();
    let mut done = 0;
    for call in 0..calls {
        sleep_until(began + time.mul_f64(call as f64 / calls as f64)).await;
        let until = events * (call + 1) / calls;
        let place = call % teams.len();
        let batch = book.begin(place, until - done);
        done = until;
        let workspace = teams[place].workspace.clone();
        if (call / teams.len()).is_multiple_of(2) {
            let (book, key) = (book.clone(), format!("chaos-{call}"));
            accepted.spawn(async move { post(&workspace, &book, &batch, &key).await });
        } else {
            send(bench, &workspace, book, &batch).await?;
        }
    }
    sleep_until(began + time).await;
    while let Some(call) = accepted.join_next().await {
        call??;
    }
    Ok(())
}

/// Publishes with one call of the API, as often as it takes.
async fn post(
    workspace: &Workspace,
    book: &Book,
    batch: &[Published],
    key: &str,
) -> anyhow::Result<()> {
    const PATIENCE: Duration = Duration::from_secs(300);
    let mut body = String::from(r#"{"events":["#);
    for event in batch {
        let comma = if body.ends_with('[') { "" } else { "," };
        let _ =
            write!(body, r#"{comma}{{"type":"{}","data":{}}}"#, event.event_type(), event.data());
    }
    body.push_str("]}");
    let began = Instant::now();
    loop {
        let answer = workspace
            .http
            .post(format!("{}/events", workspace.api))
            .bearer_auth(&workspace.key)
            .header("idempotency-key", key)
            .body(body.clone())
            .send()
            .await?;
        let (status, text) = (answer.status(), answer.text().await?);
        if status.is_success() {
            let answer: Value = serde_json::from_str(&text)?;
            let accepted = answer["data"]["events"].as_array().context("no events are named")?;
            ensure!(accepted.len() == batch.len(), "the answer has {} events", accepted.len());
            for (event, accepted) in batch.iter().zip(accepted) {
                let id = accepted["id"].as_str().context("an event has no id")?.parse()?;
                book.accept(event.mark, id);
            }
            return Ok(());
        }
        let is_for_good =
            status.is_client_error() && status.as_u16() != 429 && status.as_u16() != 409;
        if is_for_good || began.elapsed() > PATIENCE {
            bail!("events were not accepted: {status} {text}");
        }
        sleep(AGAIN_AFTER).await;
    }
}

/// Sends straight to the events queue, with ids, as `ingest` does.
async fn send(
    bench: &Bench,
    workspace: &Workspace,
    book: &Book,
    batch: &[Published],
) -> anyhow::Result<()> {
    let system = bench.system();
    let queue = system.stack().outputs.get("EventsQueueUrl").context("there is no events queue")?;
    for events in batch.chunks(QUEUE_BATCH) {
        let mut entries = Vec::new();
        for event in events {
            let id = event_id();
            // A run's events have to come with their own bytes, so the message is put together here.
            let message = format!(
                r#"{{"id":"{id}","workspace":"{}","type":"{}","data":{}}}"#,
                workspace.name,
                event.event_type(),
                event.data()
            );
            entries.push(json!({
                "Id": event.mark.number.to_string(), "MessageBody": message,
                "MessageGroupId": workspace.name,
            }));
            book.accept(event.mark, id);
        }
        let call = json!({ "QueueUrl": queue, "Entries": entries }).to_string();
        let answer = system.sqs().call("SendMessageBatch", call.as_bytes()).await?;
        ensure!(
            answer["Failed"].as_array().is_none_or(Vec::is_empty),
            "events were refused: {answer}"
        );
    }
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_events_of_a_call_are_a_run() {
        let book = Book::new(1);
        book.begin(0, 3);
        let kinds: Vec<Kind> = book.begin(0, 20).iter().map(|event| event.kind).collect();
        assert_eq!(kinds[13], Kind::Plain((3 + 13) % 7));
        assert_eq!(kinds[14..19], [Kind::Step { run: 17 }; 5]);
        assert_eq!(kinds[19], Kind::End { run: 17 });
        assert_eq!(book.page(0).len(), 23);
    }
}
