//! The end-to-end tests share a system of real function processes on free ports, and a client of
//! its API.
//!
//! Everything is asserted here rather than returned: a test that can't go on has failed.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "this package is only for tests")]

mod api;
mod lanes;
mod parked;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::{Duration, Instant},
};

pub use api::Api;
pub use lanes::now_ms;
pub use posthaste_local::{
    Action, Aim, Aimed, Calls, FaultSpec, Received,
    inbox::{Answer, Arrived, Settings},
};
use posthaste_local::{Functions, LogSink, Options, System, binaries};
use reqwest::{Method, header::HeaderMap};
use serde_json::{Value, json};

/// A test waits this long for what takes a second or two when nothing else runs. Only a test that
/// fails waits so long, so there is room for a machine that is slow and busy. It is less than the
/// 60 s after which the queues bring back what nobody answered for.
pub const SOON: Duration = Duration::from_secs(50);
/// Anything with many parts may take this long.
pub const LATER: Duration = Duration::from_secs(240);

/// The operation by which `deliver` and `drain` write new records of deliveries.
pub const RECORD: &str = "dynamodb:BatchExecuteStatement";

/// The functions that read queues, and the outputs with these queues' URLs.
const QUEUES: [(&str, &str); 4] = [
    ("fanout", "EventsQueueUrl"),
    ("deliver", "DeliveriesQueueUrl"),
    ("drain", "TurnsQueueUrl"),
    ("replay", "ReplayQueueUrl"),
];

fn functions() -> BTreeMap<String, PathBuf> {
    static BUILT: OnceLock<BTreeMap<String, PathBuf>> = OnceLock::new();
    BUILT.get_or_init(|| binaries::build(false).expect("the functions can be built")).clone()
}

/// A system of its own for a test. Dropping it ends its last process.
pub struct Posthaste {
    /// The running local system.
    pub system: System,
    /// A client of the API with the first key.
    pub api: Api,
    lines: Lines,
}

/// The lines that the functions have written, each with its function's name.
type Lines = Arc<Mutex<Vec<(String, String)>>>;

impl Posthaste {
    /// Starts a system.
    pub async fn start() -> Self {
        Self::with_faults("").await
    }

    /// Starts a system with random faults.
    pub async fn with_faults(faults: &str) -> Self {
        let posthaste = Self::with_template(binaries::template().unwrap()).await;
        posthaste.system.faults().set(faults.parse().unwrap());
        posthaste
    }

    /// Starts the system that another template declares.
    pub async fn with_template(template: String) -> Self {
        // A workspace that makes the calls of a whole test is not to be refused.
        Self::with_call_limit(template, 100_000).await
    }

    /// Starts a system whose template has these values of parameters.
    pub async fn with_parameters<const N: usize>(parameters: [(&str, &str); N]) -> Self {
        let limit = [("CallRateLimit", "100000")];
        Self::begin(binaries::template().unwrap(), limit.into_iter().chain(parameters)).await
    }

    /// Starts the system that a template declares, with this many calls a second for each
    /// workspace.
    pub async fn with_call_limit(template: String, per_second: u32) -> Self {
        Self::begin(template, [("CallRateLimit", per_second.to_string().as_str())]).await
    }

    async fn begin<'p>(
        template: String,
        parameters: impl IntoIterator<Item = (&'p str, &'p str)>,
    ) -> Self {
        let parameters = parameters.into_iter();
        let lines = Lines::default();
        let log = LogSink::new({
            let lines = lines.clone();
            move |line| kept(&lines).push((line.function.to_owned(), line.text.to_owned()))
        });
        let options = Options {
            // The tests run eight systems side by side.
            max_processes: 10,
            parameters: parameters
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            log,
            ..Options::new(template, Functions::Processes(functions()))
        };
        let system = System::start(options).await.expect("the system starts");
        let (base, key) = (system.urls().api.clone(), system.first_key().to_owned());
        let api = Api { base, key, headers: HeaderMap::new(), http: reqwest::Client::new() };
        Self { system, api, lines }
    }

    /// Returns the lines that a function has written so far.
    pub fn lines(&self, function: &str) -> Vec<String> {
        kept(&self.lines)
            .iter()
            .filter(|(of, _)| of == function)
            .map(|(_, line)| line.clone())
            .collect()
    }

    /// Returns the URL of an inbox.
    pub fn inbox_url(&self, name: &str) -> String {
        format!("{}/inbox/{name}", self.system.urls().inbox)
    }

    /// Registers an inbox for these events, and tells it the secret.
    pub async fn register(&self, inbox: &str, events: &[&str]) -> Value {
        let webhook = self
            .api
            .ok(
                Method::POST,
                "/webhooks",
                json!({ "url": self.inbox_url(inbox), "events": events }),
            )
            .await;
        let secret = webhook["secret"].as_str().map(str::to_owned);
        self.system.inbox().set(inbox, Settings { secret, ..Settings::default() });
        webhook
    }

    /// Registers an inbox for everything, with these further settings.
    pub async fn register_with(&self, inbox: &str, settings: Value) -> Value {
        let mut body = json!({ "url": self.inbox_url(inbox), "events": ["*"] });
        body.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        self.api.ok(Method::POST, "/webhooks", body).await
    }

    /// Registers an inbox that answers this status this often, and then 200. The webhook gets three
    /// retries, a second apart.
    pub async fn register_failing(
        &self,
        inbox: &str,
        events: &[&str],
        status: u16,
        times: u32,
    ) -> Value {
        let webhook = self
            .register_with(inbox, json!({ "events": events, "retrySchedule": [1, 1, 1] }))
            .await;
        let responses = [Answer { body: "no".to_owned(), ..Answer::status(status, times) }].into();
        self.system.inbox().set(inbox, Settings { responses, ..Settings::default() });
        webhook
    }

    /// Waits until an inbox has this many requests, and returns them all.
    pub async fn arrived(&self, inbox: &str, count: usize) -> Vec<Arrived> {
        self.arrived_within(inbox, count, SOON).await
    }

    /// Waits until an inbox has this many requests, for as long as `bound`, and returns them all.
    pub async fn arrived_within(&self, inbox: &str, count: usize, bound: Duration) -> Vec<Arrived> {
        let arrived =
            self.system.inbox().wait(inbox, |arrived| arrived.len() >= count, bound).await;
        arrived.unwrap_or_else(|| {
            panic!(
                "{inbox} got {} requests and not {count}",
                self.system.inbox().arrived(inbox).len()
            )
        })
    }

    /// Waits until the webhook's history has this many deliveries of a status, and returns them,
    /// the newest first.
    pub async fn deliveries(&self, webhook: &Value, status: &str, count: usize) -> Vec<Value> {
        let path = format!("/webhooks/{}/deliveries?status={status}&limit=100", webhook["id"]);
        eventually(&format!("{count} deliveries are {status}"), async || {
            let page = self.api.ok(Method::GET, &path, Value::Null).await;
            let items = page["items"].as_array().unwrap().clone();
            (items.len() >= count).then_some(items)
        })
        .await
    }

    /// Returns the name of a queue, which the template tells by an output with the queue's URL.
    pub fn queue(&self, output: &str) -> String {
        self.system.stack().outputs[output].rsplit('/').next().unwrap().to_owned()
    }

    /// Sends messages straight to a queue with one call.
    pub async fn send(&self, queue_output: &str, bodies: &[String]) {
        let entries: Vec<Value> = bodies
            .iter()
            .enumerate()
            .map(|(at, body)| json!({ "Id": at.to_string(), "MessageBody": body }))
            .collect();
        let call =
            json!({ "QueueUrl": self.system.stack().outputs[queue_output], "Entries": entries });
        let answer =
            self.system.sqs().call("SendMessageBatch", call.to_string().as_bytes()).await.unwrap();
        assert_eq!(answer["Successful"].as_array().unwrap().len(), bodies.len(), "{answer}");
    }

    /// Waits until no message of a queue can be received. Messages that are left are delayed.
    pub async fn drained_of_visible(&self, queue_output: &str) {
        let name = self.queue(queue_output);
        eventually(&format!("{name} has nothing for now"), async || {
            let depth = self.system.metrics().queues[&name];
            (depth.visible + depth.in_flight == 0).then_some(())
        })
        .await;
    }

    /// Receives a message from a queue, and waits for it.
    pub async fn receive(&self, queue_output: &str) -> Received {
        let received = self.system.sqs().receive(&self.queue(queue_output), 1, SOON).await.unwrap();
        received.into_iter().next().unwrap_or_else(|| panic!("{queue_output} is empty"))
    }

    /// Sends dead letters back with the command that docs/operations.md prints for their queue.
    pub async fn redrive(&self, letters: &str) {
        const RUNBOOK: &str = include_str!("../../docs/operations.md");
        let source = format!("--source-arn \"$(output {letters}Arn)\"");
        let command = RUNBOOK
            .lines()
            .find(|line| line.contains(&source))
            .expect("the runbook has no redrive from this queue");
        let (_, destination) = command
            .split_once("--destination-arn \"$(output ")
            .expect("SQS would not know where to");
        let destination = destination.split(')').next().unwrap_or_default();
        let outputs = &self.system.stack().outputs;
        let source_arn = &outputs[&format!("{letters}Arn")];
        let task = json!({ "SourceArn": source_arn, "DestinationArn": outputs[destination] });
        self.system.sqs().call("StartMessageMoveTask", task.to_string().as_bytes()).await.unwrap();
    }

    /// Waits until everything that was published has been fanned out, every replay is through, and
    /// all that is due has been delivered.
    pub async fn idle(&self) {
        self.drained("EventsQueueUrl").await;
        self.drained("ReplayQueueUrl").await;
        // A turn hands deliveries back to the queue, and what comes from there may ask for a turn.
        for _ in 0..2 {
            self.drained("DeliveriesQueueUrl").await;
            self.drained("TurnsQueueUrl").await;
        }
    }

    /// Waits until a queue holds nothing: no message waits, is under way or is delayed.
    pub async fn drained(&self, queue_output: &str) {
        let name = self.queue(queue_output);
        eventually(&format!("{name} is empty"), async || {
            let depth = self.system.metrics().queues[&name];
            (depth.visible + depth.in_flight + depth.delayed == 0).then_some(())
        })
        .await;
    }

    /// Lets the messages that a killed function held come again now, instead of after the queue's
    /// visibility timeout. Messages that a function works on do not come again, so this can be
    /// called again and again: on a busy machine nothing would come to an end otherwise.
    pub fn hurry(&self) {
        for (function, output) in QUEUES {
            if !self.is_working(function) {
                self.system.sqs().expire_in_flight(&self.queue(output));
            }
        }
    }

    /// Lets every message that is in flight come again now.
    pub fn come_again(&self) {
        for (_, output) in QUEUES {
            self.system.sqs().expire_in_flight(&self.queue(output));
        }
    }

    /// Tells if an invocation of a function is under way.
    pub fn is_working(&self, function: &str) -> bool {
        self.system.metrics().functions[function].under_way > 0
    }

    /// Lets deliver record this many deliveries of the next request, and none after that.
    pub fn record_only(&self, count: usize) -> Throttled {
        let deliver = |operation, action| Aim::at("deliver", operation, action);
        let first = deliver(RECORD, Action::FailEntries((count..25).collect()));
        let later = deliver(RECORD, Action::Fail).or("dynamodb:UpdateItem").times(100_000);
        Throttled([first, later].map(|aim| self.system.faults().aim(aim)))
    }

    /// Counts the calls of a function to an operation.
    pub fn calls(&self, function: &str, operation: &str) -> u64 {
        self.system.metrics().count(function, operation)
    }
}

/// Writes of records that are throttled.
pub struct Throttled([Aimed; 2]);

impl Throttled {
    /// Lets all writes pass again.
    pub fn end(&self) {
        self.0.iter().for_each(Aimed::end);
    }
}

fn kept(lines: &Lines) -> std::sync::MutexGuard<'_, Vec<(String, String)>> {
    lines.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Looks until there is something to see, and panics when that takes too long.
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(began.elapsed() < SOON, "it did not come true that {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
