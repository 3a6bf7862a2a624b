//! New items that go to a table together: one BatchExecuteStatement inserts up to 25.
//!
//! A new item goes at once where no call is under way. Those that come in the meantime go together
//! when it ends, or after [`PATIENCE`]. So nothing waits in a quiet process, and a busy one makes
//! one call for many items.
//!
//! An insert never changes an item that exists, so one that comes late or twice does no harm, and a
//! caller that was told nothing can write the item in another way. So a call is made once, and not
//! waited for long.

use std::{
    collections::{BTreeSet, HashSet},
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use aws_sdk_dynamodb::{
    Client,
    config::{retry::RetryConfig, timeout::TimeoutConfig},
    types::{
        BatchStatementErrorCodeEnum, BatchStatementRequest, BatchStatementResponse,
        builders::BatchStatementRequestBuilder,
    },
};
use tokio::{sync::oneshot, time::timeout};
use tracing::Instrument;

use crate::{
    StoreError,
    item::{Item, PK},
    table::Table,
};

/// The most statements of one call, by the API reference.
const MAX_TOGETHER: usize = 25;
/// An item waits so long for the call before it, and goes beside it then.
const PATIENCE: Duration = Duration::from_millis(20);
/// A call may take so long. DynamoDB answers in milliseconds, and each item can be written alone.
const CALL_TIME: Duration = Duration::from_secs(1);
const OPERATION: &str = "BatchExecuteStatement";

/// The new items of a table. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Inserts(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    client: Client,
    table: String,
    line: Mutex<Line>,
}

/// The items that have not gone yet, and the number of tasks that send them.
#[derive(Debug, Default)]
struct Line {
    waiting: Vec<Waiting>,
    tickets: u64,
    senders: usize,
}

#[derive(Debug)]
struct Waiting {
    ticket: u64,
    item: Item,
    tell: oneshot::Sender<Inserted>,
}

/// The outcome of an insert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Inserted {
    /// The item is new and stored.
    Done,
    /// There is an item of this key, which is left as it is.
    Exists,
    /// Nobody knows whether the item is stored, or will be.
    Unknown,
}

impl Inserts {
    pub(crate) fn new(table: &Table) -> Self {
        let time = TimeoutConfig::builder().operation_timeout(CALL_TIME).build();
        let config = table.client.config().to_builder();
        let config = config.retry_config(RetryConfig::disabled()).timeout_config(time);
        let client = Client::from_conf(config.build());
        Self(Arc::new(Inner { client, table: table.name.clone(), line: Mutex::default() }))
    }

    /// Inserts an item. The insert goes on if nobody waits for it any more.
    pub(crate) async fn insert(&self, item: Item) -> Inserted {
        let (tell, told) = oneshot::channel();
        let (ticket, is_first) = {
            let mut line = self.0.line();
            line.tickets += 1;
            let ticket = line.tickets;
            line.waiting.push(Waiting { ticket, item, tell });
            (ticket, line.senders == 0)
        };
        if is_first {
            self.0.clone().send();
        }
        let mut told = pin!(told);
        let answer = match timeout(PATIENCE, &mut told).await {
            Ok(answer) => answer,
            Err(_) => {
                self.hurry(ticket);
                told.await
            }
        };
        answer.unwrap_or(Inserted::Unknown)
    }

    /// Sends beside the calls that are under way if the item of this ticket is in none of them.
    fn hurry(&self, ticket: u64) {
        let is_waiting = self.0.line().waiting.iter().any(|waiting| waiting.ticket == ticket);
        if is_waiting {
            self.0.clone().send();
        }
    }
}

impl Inner {
    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes calls as long as something waits. The first one begins as soon as the tasks that run
    /// now have come to a stop, so that what they insert goes with it.
    fn send(self: Arc<Self>) {
        self.line().senders += 1;
        let sender = Sender(self);
        let sending = async move {
            while let Some(together) = sender.next() {
                let (items, tell): (Vec<_>, Vec<_>) =
                    together.into_iter().map(|Waiting { item, tell, .. }| (item, tell)).unzip();
                let outcomes = sender.0.insert_all(items).await;
                for (tell, outcome) in tell.into_iter().zip(outcomes) {
                    // Who asked may have given up.
                    let _ = tell.send(outcome);
                }
            }
        };
        tokio::spawn(sending.in_current_span());
    }

    /// The outcome of each of these items, with one call.
    async fn insert_all(&self, items: Vec<Item>) -> Vec<Inserted> {
        let count = items.len();
        let mut statements = Vec::with_capacity(count);
        for item in items {
            let statement = self.statement(item);
            match statement.build() {
                Ok(statement) => statements.push(statement),
                Err(error) => {
                    let error = StoreError::incomplete(OPERATION, error);
                    tracing::error!(%error, "new items can't be inserted");
                    return vec![Inserted::Unknown; count];
                }
            }
        }
        let call = self.client.batch_execute_statement().set_statements(Some(statements));
        let answer = match call.send().await {
            Ok(answer) => answer.responses.unwrap_or_default(),
            Err(error) => {
                let error = StoreError::call(OPERATION)(error);
                tracing::warn!(%error, items = count, "new items are not inserted together");
                Vec::new()
            }
        };
        let refused: BTreeSet<String> = answer.iter().filter_map(trouble).collect();
        if !refused.is_empty() {
            tracing::warn!(?refused, items = count, "new items are not all inserted together");
        }
        let mut outcomes: Vec<_> = answer.iter().map(outcome).collect();
        outcomes.resize(count, Inserted::Unknown);
        outcomes
    }

    /// The statement that inserts an item. Its partition key comes first, where the policies of the
    /// local system look for it.
    fn statement(&self, item: Item) -> BatchStatementRequestBuilder {
        let mut attributes: Vec<_> = item.0.into_iter().collect();
        attributes.sort_unstable_by(|(one, _), (other, _)| {
            (one != PK, one.as_str()).cmp(&(other != PK, other.as_str()))
        });
        let mut names = Vec::with_capacity(attributes.len());
        let mut request = BatchStatementRequest::builder();
        for (name, value) in attributes {
            names.push(format!("'{name}': ?"));
            request = request.parameters(value);
        }
        let (table, names) = (&self.table, names.join(", "));
        request.statement(format!("INSERT INTO \"{table}\" VALUE {{{names}}}"))
    }
}

/// One of those that send.
struct Sender(Arc<Inner>);

impl Sender {
    /// Takes out what goes with the next call; none if nothing waits, and then it has to end.
    fn next(&self) -> Option<Vec<Waiting>> {
        Some(self.0.line().next()).filter(|together| !together.is_empty())
    }
}

/// However it ends, nobody waits for the last one in vain: who is still in line is told that nothing
/// is known.
impl Drop for Sender {
    fn drop(&mut self) {
        let mut line = self.0.line();
        line.senders -= 1;
        let left = if line.senders == 0 { std::mem::take(&mut line.waiting) } else { Vec::new() };
        drop(line);
        drop(left);
    }
}

impl Line {
    /// Takes out what goes with the next call. One call can't have two items of the same key.
    fn next(&mut self) -> Vec<Waiting> {
        let (mut together, mut left) = (Vec::new(), Vec::new());
        let mut keys = HashSet::new();
        for waiting in self.waiting.drain(..) {
            let has_room = together.len() < MAX_TOGETHER;
            let is_next = has_room && keys.insert(waiting.item.key_texts().ok());
            if is_next { together.push(waiting) } else { left.push(waiting) }
        }
        self.waiting = left;
        together
    }
}

fn outcome(response: &BatchStatementResponse) -> Inserted {
    match response.error() {
        None => Inserted::Done,
        Some(error) if error.code() == Some(&BatchStatementErrorCodeEnum::DuplicateItem) => {
            Inserted::Exists
        }
        Some(_) => Inserted::Unknown,
    }
}

/// The code of an error that nobody expects.
fn trouble(response: &BatchStatementResponse) -> Option<String> {
    if outcome(response) != Inserted::Unknown {
        return None;
    }
    let code = response.error().and_then(|error| error.code());
    Some(code.map_or("none", |code| code.as_str()).to_owned())
}
