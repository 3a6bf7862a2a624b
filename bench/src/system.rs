//! Each measurement has a local system of its own, with a receiver and workspaces.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, ensure};
use posthaste_local::{
    Aim, Depth, DynamoDbError, Functions, Inbox, LogLine, LogSink, Metrics, Options, Stack, System,
    bill::{Terms, Usage},
};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::{
    options::Subject,
    receiver::Receiver,
    stream::{Stream, Through},
    workspace::Workspace,
};

/// Everything counts as taken in when the queues have been quiet for this long.
const CALM: Duration = Duration::from_millis(500);

/// Chooses the parameters of a measurement, which calls the API as often as it likes unless it is
/// told otherwise. The template of an earlier version has no such limits.
fn parameters(subject: &Subject) -> BTreeMap<String, String> {
    let concurrency = subject.concurrency.to_string();
    let limits = [("CallRateLimit", "0"), ("ApiRateLimit", "10000"), ("ApiBurstLimit", "5000")];
    let known =
        limits.into_iter().filter(|(name, _)| subject.template.contains(&format!("  {name}:")));
    let mut parameters = subject.parameters.clone();
    for (name, value) in known.chain([("DeliverMaximumConcurrency", concurrency.as_str())]) {
        parameters.entry(name.to_owned()).or_insert(value.to_owned());
    }
    parameters
}

/// A running system, with what measurements need beside it.
pub(crate) struct Bench {
    system: System,
    pub(crate) receiver: Receiver,
    http: reqwest::Client,
    through: Through,
    /// The number of log lines that tell of an error.
    errors: Arc<AtomicU64>,
    /// All log lines of the functions, by function and message.
    logged: Arc<Mutex<BTreeMap<String, Logged>>>,
}

/// The log lines of one kind.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Logged {
    pub(crate) lines: u64,
    pub(crate) bytes: u64,
}

impl Bench {
    pub(crate) async fn start(subject: &Subject) -> anyhow::Result<Self> {
        let errors = Arc::<AtomicU64>::default();
        let counted = errors.clone();
        let logged = Arc::<Mutex<BTreeMap<String, Logged>>>::default();
        let noted = logged.clone();
        let options = Options {
            max_processes: subject.concurrency,
            parameters: parameters(subject),
            log: LogSink::new(move |line| {
                note(&noted, &line);
                if line.text.contains(r#""level":"ERROR""#)
                    && counted.fetch_add(1, Ordering::Relaxed) == 0
                {
                    eprintln!("the first error that was logged: {}", line.text);
                }
            }),
            ..Options::new(subject.template.clone(), Functions::Processes(subject.binaries.clone()))
        };
        let system = System::start(options).await?;
        let receiver = Receiver::start()?;
        Ok(Self {
            system,
            receiver,
            http: reqwest::Client::new(),
            through: subject.through,
            errors,
            logged,
        })
    }

    /// Returns the workspace of the first key.
    pub(crate) fn first_workspace(&self) -> Workspace {
        Workspace {
            name: "default".to_owned(),
            api: format!("{}/api/v1", self.system.urls().api),
            key: self.system.first_key().to_owned(),
            http: self.http.clone(),
        }
    }

    /// Makes a workspace with a key of its own.
    pub(crate) async fn workspace(&self, name: &str) -> anyhow::Result<Workspace> {
        let first = Workspace { name: name.to_owned(), ..self.first_workspace() };
        let scopes = ["webhooks:manage", "events:publish", "events:read"];
        let answer = first
            .call(Method::POST, "/keys", json!({ "workspace": name, "scopes": scopes }))
            .await?;
        Ok(Workspace {
            key: answer["key"].as_str().context("the key is missing")?.to_owned(),
            ..first
        })
    }

    /// Makes a stream for a workspace, by the way that was chosen.
    pub(crate) fn stream(&self, workspace: &Workspace) -> anyhow::Result<Arc<Stream>> {
        self.stream_through(workspace, self.through)
    }

    /// Makes a stream straight to the events queue, for many events at once.
    pub(crate) fn bulk_stream(&self, workspace: &Workspace) -> anyhow::Result<Arc<Stream>> {
        self.stream_through(workspace, Through::Queue)
    }

    fn stream_through(
        &self,
        workspace: &Workspace,
        through: Through,
    ) -> anyhow::Result<Arc<Stream>> {
        let queue = self
            .system
            .stack()
            .outputs
            .get("EventsQueueUrl")
            .context("the template names no events queue")?;
        Ok(Stream::new(workspace.clone(), through, self.system.sqs().clone(), queue.clone()))
    }

    /// Returns the receiver of the local system, and the URL of an inbox there.
    pub(crate) fn inbox(&self, name: &str) -> (&Inbox, String) {
        (self.system.inbox(), format!("{}/inbox/{name}", self.system.urls().inbox))
    }

    /// Counts as AWS would have counted until now.
    pub(crate) async fn usage(&self) -> anyhow::Result<Usage> {
        Ok(self.system.usage().await?)
    }

    /// Invokes a function once for each of its schedules.
    pub(crate) async fn tick(&self, function: &str) -> anyhow::Result<()> {
        Ok(self.system.tick(function).await?)
    }

    /// Returns the base URL of the stand-ins for AWS.
    pub(crate) fn aws_url(&self) -> &str {
        &self.system.urls().dynamodb
    }

    /// Returns the resources that the template declares.
    pub(crate) fn stack(&self) -> &Stack {
        self.system.stack()
    }

    pub(crate) fn terms(&self) -> anyhow::Result<Terms> {
        self.system.terms()
    }

    /// Returns the local system itself.
    pub(crate) fn system(&self) -> &System {
        &self.system
    }

    /// Aims a fault at calls of a function.
    pub(crate) fn aim(&self, aim: Aim) {
        self.system.faults().aim(aim);
    }

    /// Returns the functions' log lines until now, by function and message.
    pub(crate) fn logged(&self) -> BTreeMap<String, Logged> {
        self.logged.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until no queue has a message that brings something.
    pub(crate) async fn empty(&self, bound: Duration) -> anyhow::Result<()> {
        let began = Instant::now();
        while self.messages() > 0 {
            ensure!(began.elapsed() < bound, "the queues did not become empty in time");
            sleep(Duration::from_millis(2)).await;
        }
        Ok(())
    }

    pub(crate) fn metrics(&self) -> Metrics {
        self.system.metrics()
    }

    /// Counts the errors that the functions have logged.
    pub(crate) fn errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }

    /// Counts the messages that bring events, deliveries or replays, whatever they wait for. A
    /// turn's message brings nothing: the turn's work is in the backlog.
    pub(crate) fn messages(&self) -> usize {
        let queues = self.metrics().queues.into_iter().filter(|(name, _)| brings(name));
        queues.map(|(_, depth)| depth.visible + depth.in_flight + depth.delayed).sum()
    }

    /// Waits until all events are fanned out and nobody works at a delivery: each is made, waits in
    /// a backlog, or waits for its retry. Returns the time that this took, or nothing if the bound
    /// was reached first.
    pub(crate) async fn taken_in(&self, bound: Duration) -> Option<Duration> {
        self.quiet(bound, |queue, depth| {
            depth.visible + depth.in_flight == 0 && (!is_events(queue) || depth.delayed == 0)
        })
        .await
    }

    /// Waits until all events are fanned out, whatever becomes of their deliveries. Returns the
    /// time that this took, or nothing if the bound was reached first.
    pub(crate) async fn fanned_out(&self, bound: Duration) -> Option<Duration> {
        self.quiet(bound, |queue, depth| {
            !is_events(queue) || depth.visible + depth.in_flight + depth.delayed == 0
        })
        .await
    }

    /// Waits until each queue that brings something has been quiet for a while.
    async fn quiet(
        &self,
        bound: Duration,
        is_quiet: impl Fn(&str, Depth) -> bool,
    ) -> Option<Duration> {
        let began = Instant::now();
        let mut busy = began;
        while began.elapsed() < bound {
            sleep(Duration::from_millis(50)).await;
            let queues = self.metrics().queues;
            if !queues
                .iter()
                .filter(|(name, _)| brings(name))
                .all(|(name, depth)| is_quiet(name, *depth))
            {
                busy = Instant::now();
            } else if busy.elapsed() >= CALM {
                return Some(busy - began);
            }
        }
        None
    }

    /// Makes a lane look as if it had been opened long ago, so that an endpoint needs no further
    /// time to prove that it is well.
    pub(crate) async fn opened_long_ago(
        &self,
        workspace: &Workspace,
        webhook: &str,
    ) -> anyhow::Result<()> {
        let table = self
            .system
            .stack()
            .outputs
            .get("DeliveriesTable")
            .context("the template names no deliveries table")?;
        let update = json!({
            "TableName": table,
            "Key": {
                "pk": { "S": format!("#lane#{}#{webhook}", workspace.name) }, "sk": { "S": "lane" },
            },
            "UpdateExpression": "SET openedAt = :past",
            "ExpressionAttributeValues": { ":past": { "N": "1000" } },
            "ConditionExpression": "attribute_exists(openedAt)",
        });
        match self.system.dynamodb().call("UpdateItem", &update).await {
            Err(DynamoDbError::Refused { kind, .. })
                if kind == "ConditionalCheckFailedException" =>
            {
                Ok(())
            }
            updated => updated.map(drop).context("the lane can't be changed"),
        }
    }

    /// Invokes a function and waits for its end.
    pub(crate) async fn invoke(&self, function: &str, event: Value) -> anyhow::Result<()> {
        let function = self.system.function(function).context("there is no such function")?;
        function.invoke(event.to_string().into()).await?;
        Ok(())
    }

    /// Reads an item of the Registry.
    pub(crate) async fn registry_item(&self, key: Value) -> anyhow::Result<Value> {
        let table = self
            .system
            .stack()
            .outputs
            .get("RegistryTable")
            .context("the template names no registry table")?;
        let mut answer = self
            .system
            .dynamodb()
            .call("GetItem", &json!({ "TableName": table, "Key": key }))
            .await?;
        Ok(answer["Item"].take())
    }

    /// Carries out an operation of DynamoDB that is counted nowhere.
    pub(crate) async fn dynamodb(&self, operation: &str, call: &Value) -> anyhow::Result<Value> {
        Ok(self.system.dynamodb().call(operation, call).await?)
    }

    /// Reads an output of the template.
    pub(crate) fn output(&self, name: &str) -> anyhow::Result<String> {
        let output = self.system.stack().outputs.get(name).cloned();
        output.with_context(|| format!("the template has no output {name}"))
    }

    /// Counts the messages on the events queue, delayed ones too.
    pub(crate) fn events_on_the_queue(&self) -> usize {
        self.depth_of(is_events)
    }

    /// Counts the messages on the deliveries queue.
    pub(crate) fn tasks_on_the_queue(&self) -> usize {
        self.depth_of(|queue| queue.ends_with("-DeliveriesQueue"))
    }

    fn depth_of(&self, is_it: impl Fn(&str) -> bool) -> usize {
        let queues = self.metrics().queues.into_iter().filter(|(name, _)| is_it(name));
        queues.map(|(_, depth)| depth.visible + depth.in_flight + depth.delayed).sum()
    }

    /// Carries out writes of the Deliveries table with one call.
    pub(crate) async fn write_deliveries(&self, writes: Vec<Value>) -> anyhow::Result<()> {
        let table = self
            .system
            .stack()
            .outputs
            .get("DeliveriesTable")
            .context("the template names no deliveries table")?;
        self.system
            .dynamodb()
            .call("BatchWriteItem", &json!({ "RequestItems": { table: writes } }))
            .await?;
        Ok(())
    }

    pub(crate) async fn stop(self) {
        self.system.stop().await;
    }
}

/// Takes out of the template what reads the deliveries queue, so that its messages can be counted
/// there.
pub(crate) fn without_delivering(template: &str) -> anyhow::Result<String> {
    const QUEUE: &str = "            Queue: !GetAtt DeliveriesQueue.Arn\n";
    ensure!(template.contains(QUEUE), "the template has no such mapping");
    Ok(template.replace(QUEUE, &format!("{QUEUE}            Enabled: false\n")))
}

/// Takes out of the template what invokes functions every minute.
pub(crate) fn without_schedules(template: &str) -> anyhow::Result<String> {
    const MINUTE: &str = "            Schedule: rate(1 minute)\n";
    ensure!(template.contains(MINUTE), "the template has no such schedule");
    Ok(template.replace(MINUTE, &format!("{MINUTE}            Enabled: false\n")))
}

/// Adds a line to those of its kind.
fn note(logged: &Mutex<BTreeMap<String, Logged>>, line: &LogLine<'_>) {
    let message = line.text.split_once(r#""message":""#).and_then(|(_, rest)| rest.split_once('"'));
    let kind = format!(
        "{}: {}",
        line.function,
        message.map_or("a line without a message", |(message, _)| message)
    );
    let mut logged = logged.lock().unwrap_or_else(PoisonError::into_inner);
    let of_kind = logged.entry(kind).or_default();
    of_kind.lines += 1;
    of_kind.bytes += line.text.len() as u64;
}

fn is_events(queue: &str) -> bool {
    queue.ends_with("-EventsQueue")
}

/// Tells if messages of this queue bring something to deliver.
fn brings(queue: &str) -> bool {
    !queue.ends_with("DeadLetterQueue") && !queue.ends_with("-TurnsQueue")
}
