//! The model is what a template declares, in plain types. All names, ARNs and values are final.

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;
use serde_json::Value;

use crate::role::Statement;

/// A stack has all that the local system runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stack {
    /// The DynamoDB tables in the order of their logical ids.
    pub tables: Vec<Table>,
    /// The SQS queues in an order in which they can be created: a dead-letter queue comes before
    /// the queues that name it.
    pub queues: Vec<Queue>,
    /// The Lambda functions in the order of their logical ids.
    pub functions: Vec<Function>,
    /// The routes of the HTTP API in the order of path and method.
    pub routes: Vec<Route>,
    /// The limit of each route. Without one, API Gateway takes as many requests as come.
    pub throttling: Option<Throttling>,
    /// The secrets of Secrets Manager in the order of their logical ids.
    pub secrets: Vec<Secret>,
    /// The custom resources in the order of their logical ids.
    pub custom_resources: Vec<CustomResource>,
    /// The values of the stack's outputs, by name.
    pub outputs: BTreeMap<String, String>,
}

/// A table of DynamoDB.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Table {
    /// The table's key in `Resources`.
    pub logical_id: String,
    /// The name that calls use.
    pub name: String,
    /// The ARN that policies name.
    pub arn: String,
    /// The body of the CreateTable request that makes it.
    pub create_request: Value,
    /// The attribute for UpdateTimeToLive, if the table's items expire.
    pub ttl_attribute: Option<String>,
}

/// A queue of SQS.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Queue {
    /// The queue's key in `Resources`.
    pub logical_id: String,
    /// The last part of the queue's URL and ARN.
    pub name: String,
    /// The ARN that policies and mappings name.
    pub arn: String,
    /// The URL that calls use.
    pub url: String,
    /// The attributes in the form that CreateQueue takes.
    pub attributes: BTreeMap<String, String>,
}

/// A function of Lambda.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Function {
    /// The function's key in `Resources`.
    pub logical_id: String,
    /// The name of the function's binary, by which the local system knows the function.
    pub name: String,
    /// The ARN that policies and other resources name.
    pub arn: String,
    /// An invocation may take this long.
    pub timeout: Duration,
    /// The function's memory in MB.
    pub memory_mb: u32,
    /// The environment variables that the template sets.
    pub environment: BTreeMap<String, String>,
    /// The statements of the function's role.
    pub statements: Vec<Statement>,
    /// A failed asynchronous invocation is repeated this often.
    pub async_retries: usize,
    /// `RecursiveLoop: Allow`: Lambda goes on when it finds the function in a loop, and does not
    /// stop the loop.
    pub allows_recursion: bool,
    /// The queues whose messages invoke the function.
    pub queues: Vec<QueueMapping>,
    /// The schedules that invoke the function.
    pub schedules: Vec<Schedule>,
}

/// An event source mapping: messages of a queue invoke a function.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct QueueMapping {
    /// The ARN of the queue.
    pub queue_arn: String,
    /// An invocation has at most this many messages.
    pub batch_size: usize,
    /// The poller collects messages for a batch for this long.
    pub window: Duration,
    /// The mapping makes at most this many invocations at once.
    pub max_concurrency: Option<usize>,
    /// The function says which messages failed. If it does not, an error fails all of them.
    pub report_batch_item_failures: bool,
    /// Only an enabled mapping has a poller.
    pub enabled: bool,
}

/// A schedule that invokes a function.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Schedule {
    /// The ARN of EventBridge's rule, or of EventBridge Scheduler's schedule.
    pub arn: String,
    /// The time between two invocations.
    pub period: Duration,
    /// Only an enabled schedule runs.
    pub enabled: bool,
    /// The event that the function gets instead of the scheduler's own, as JSON text.
    pub input: Option<String>,
}

/// A route of the HTTP API leads to a function.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Route {
    /// The HTTP method, or `ANY`.
    pub method: String,
    /// The path, perhaps with `{parameters}`, or `$default`.
    pub path: String,
    /// The name of the function that the route leads to.
    pub function: String,
    /// The route key of API Gateway, such as `GET /path` or `$default`.
    pub route_key: String,
}

/// API Gateway's limit for the requests of each route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Throttling {
    /// The bucket gets this many tokens a second, and a request takes one.
    pub rate: u64,
    /// The bucket holds this many tokens.
    pub burst: u64,
}

/// A secret whose value Secrets Manager makes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Secret {
    /// The secret's key in `Resources`.
    pub logical_id: String,
    /// The name that people see.
    pub name: String,
    /// The ARN that calls and policies use.
    pub arn: String,
    /// The form of the value.
    pub generate: GenerateSecret,
}

/// The settings of the value that Secrets Manager makes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GenerateSecret {
    /// The number of characters that are generated.
    pub length: usize,
    /// The text has letters and digits only.
    pub exclude_punctuation: bool,
    /// A JSON object that the generated text is put into. Without one the text itself is the value.
    pub template: Option<String>,
    /// The key of the generated text in `template`.
    pub key: Option<String>,
}

/// A resource that a function of the stack makes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CustomResource {
    /// The resource's key in `Resources`.
    pub logical_id: String,
    /// The type, which begins with `Custom::`, or is `AWS::CloudFormation::CustomResource`.
    pub resource_type: String,
    /// The name of the function that makes it.
    pub function: String,
    /// The `ResourceProperties` of the request. CloudFormation makes every scalar in them a text.
    pub properties: Value,
    /// CloudFormation waits this long for the answer.
    pub timeout: Duration,
}
