//! How a system is started, and where it is then reached.

use std::{collections::BTreeMap, path::PathBuf};

use posthaste_local_lambda::LogSink;
use serde::Serialize;

use crate::faults::FaultSpec;

/// What runs the functions.
#[derive(Debug, Clone)]
pub enum Functions {
    /// Processes of these binaries, by name.
    Processes(BTreeMap<String, PathBuf>),
    /// Somebody else, at this base URL of Lambda's Invoke API: `cargo lambda watch`.
    External(String),
}

/// How to start a system.
#[derive(Debug, Clone)]
pub struct Options {
    /// The text of the SAM template.
    pub template: String,
    /// What runs the functions.
    pub functions: Functions,
    /// The most processes of one function. A function that a queue invokes has no more than the template's `MaximumConcurrency`.
    pub max_processes: usize,
    /// The API's port; 0 picks a free one.
    pub port: u16,
    /// Where DynamoDB's data and the secrets are kept; in memory unless given.
    pub data: Option<PathBuf>,
    /// Random faults.
    pub faults: FaultSpec,
    /// Parameters of the template, beside those that a local system needs.
    pub parameters: BTreeMap<String, String>,
    /// Takes what the functions write.
    pub log: LogSink,
    /// Where to write, before anything waits for functions that somebody else runs, what these need in their environment.
    pub environment_file: Option<PathBuf>,
}

impl Options {
    /// The most processes of one function unless another number is chosen.
    pub const MAX_PROCESSES: usize = 50;
}

/// Where a running system is reached: base URLs without a trailing slash.
#[derive(Debug, Clone, Serialize)]
pub struct Urls {
    /// The HTTP API.
    pub api: String,
    /// The receiver; requests go to `/inbox/<name>`.
    pub inbox: String,
    /// Figures and faults.
    pub admin: String,
    /// SQS.
    pub sqs: String,
    /// DynamoDB.
    pub dynamodb: String,
}
