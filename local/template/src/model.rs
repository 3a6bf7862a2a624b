//! What a template declares, in plain types: all names, ARNs and values are final.

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;
use serde_json::Value;

use crate::role::Statement;

/// All that the local system runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stack {
    /// DynamoDB tables, by logical id.
    pub tables: Vec<Table>,
    /// SQS queues, in an order in which they can be created: a dead-letter queue comes before the queues that name it.
    pub queues: Vec<Queue>,
    /// Lambda functions, by logical id.
    pub functions: Vec<Function>,
    /// Routes of the HTTP API, by path and method.
    pub routes: Vec<Route>,
    /// How many requests each route takes; none is as many as come.
    pub throttling: Option<Throttling>,
    /// Secrets of Secrets Manager, by logical id.
    pub secrets: Vec<Secret>,
    /// Custom resources, by logical id.
    pub custom_resources: Vec<CustomResource>,
    /// The stack's outputs.
    pub outputs: BTreeMap<String, String>,
}

/// A DynamoDB table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Table {
    /// Its key in `Resources`.
    pub logical_id: String,
    /// The table's name.
    pub name: String,
    /// The table's ARN.
    pub arn: String,
    /// The body of the CreateTable request that makes it.
    pub create_request: Value,
    /// The attribute for UpdateTimeToLive.
    pub ttl_attribute: Option<String>,
}

/// An SQS queue.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Queue {
    /// Its key in `Resources`.
    pub logical_id: String,
    /// The queue's name.
    pub name: String,
    /// The queue's ARN.
    pub arn: String,
    /// The queue's URL.
    pub url: String,
    /// The attributes as CreateQueue takes them.
    pub attributes: BTreeMap<String, String>,
}

/// A Lambda function.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Function {
    /// Its key in `Resources`.
    pub logical_id: String,
    /// Its binary, by which the local system knows it.
    pub name: String,
    /// The function's ARN.
    pub arn: String,
    /// How long an invocation may take.
    pub timeout: Duration,
    /// The function's memory.
    pub memory_mb: u32,
    /// The environment variables that the template sets.
    pub environment: BTreeMap<String, String>,
    /// What the function's role may do.
    pub statements: Vec<Statement>,
    /// How often an asynchronous invocation that failed is repeated.
    pub async_retries: usize,
    /// Whether Lambda goes on when it finds the function in a loop (`RecursiveLoop: Allow`), instead of stopping the loop.
    pub allows_recursion: bool,
    /// The queues whose messages invoke it.
    pub queues: Vec<QueueMapping>,
    /// The schedules that invoke it.
    pub schedules: Vec<Schedule>,
}

/// An event source mapping of a queue.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct QueueMapping {
    /// The queue.
    pub queue_arn: String,
    /// The most records of one invocation.
    pub batch_size: usize,
    /// How long the poller collects records for a batch.
    pub window: Duration,
    /// The most invocations at once.
    pub max_concurrency: Option<usize>,
    /// Whether the function says which records failed; if not, an error fails all.
    pub report_batch_item_failures: bool,
    /// Whether the poller runs.
    pub enabled: bool,
}

/// A schedule that invokes a function.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Schedule {
    /// The ARN of EventBridge's rule, or of EventBridge Scheduler's schedule.
    pub arn: String,
    /// The time between two invocations.
    pub period: Duration,
    /// Whether it runs.
    pub enabled: bool,
    /// The event that the function gets instead of the scheduler's own, as JSON text.
    pub input: Option<String>,
}

/// A route of the HTTP API.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Route {
    /// The HTTP method, or `ANY`.
    pub method: String,
    /// The path with its `{parameters}`, or `$default`.
    pub path: String,
    /// The name of the function that answers.
    pub function: String,
    /// The route key of API Gateway: `GET /path` or `$default`.
    pub route_key: String,
}

/// How many requests API Gateway lets pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Throttling {
    /// How many a second.
    pub rate: u64,
    /// How many at once.
    pub burst: u64,
}

/// A secret whose value Secrets Manager makes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Secret {
    /// Its key in `Resources`.
    pub logical_id: String,
    /// The secret's name.
    pub name: String,
    /// The secret's ARN.
    pub arn: String,
    /// How the value is made.
    pub generate: GenerateSecret,
}

/// How Secrets Manager makes a value.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GenerateSecret {
    /// The number of characters.
    pub length: usize,
    /// Letters and digits only.
    pub exclude_punctuation: bool,
    /// A JSON object that the generated text is put into, if the value is one.
    pub template: Option<String>,
    /// The key of the generated text in `template`.
    pub key: Option<String>,
}

/// A resource that a function of the stack makes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CustomResource {
    /// Its key in `Resources`.
    pub logical_id: String,
    /// `Custom::…`.
    pub resource_type: String,
    /// The name of the function that makes it.
    pub function: String,
    /// The request's `ResourceProperties`. CloudFormation makes every scalar in them a text.
    pub properties: Value,
    /// How long CloudFormation waits for the answer.
    pub timeout: Duration,
}
