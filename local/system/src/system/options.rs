//! The options of a system are set before it starts. It answers with its addresses.

use std::{collections::BTreeMap, path::PathBuf};

use posthaste_local_lambda::LogSink;
use serde::Serialize;

use crate::faults::FaultSpec;

/// The functions run as processes of the system, or outside of it.
#[derive(Debug, Clone)]
pub enum Functions {
    /// The system starts processes of these binaries, which are named after their functions.
    Processes(BTreeMap<String, PathBuf>),
    /// Something else runs the functions, for example `cargo lambda watch`. This is the base URL of
    /// its Invoke API.
    External(String),
}

/// The settings of a system that is to be started.
#[derive(Debug, Clone)]
pub struct Options {
    /// The text of the SAM template.
    pub template: String,
    /// The way in which the functions run.
    pub functions: Functions,
    /// The most processes of one function. A function that a queue invokes has no more than the
    /// template's `MaximumConcurrency`.
    pub max_processes: usize,
    /// The API's port; 0 picks a free one.
    pub port: u16,
    /// The directory for DynamoDB's data and the secrets. Without one they are in memory.
    pub data: Option<PathBuf>,
    /// Random faults, from the moment at which the system serves requests.
    pub faults: FaultSpec,
    /// Parameters of the template, beside those that a local system needs.
    pub parameters: BTreeMap<String, String>,
    /// The sink that takes the functions' output.
    pub log: LogSink,
    /// A file for the environment that functions outside of the system need. It is written before
    /// anything waits for these functions.
    pub environment_file: Option<PathBuf>,
}

impl Options {
    /// The most processes of one function unless another number is chosen.
    pub const MAX_PROCESSES: usize = 50;

    /// Makes the options of a plain system: a free port, everything in memory, no faults, and the
    /// functions' output as messages of `tracing`.
    pub fn new(template: String, functions: Functions) -> Self {
        Self {
            template,
            functions,
            max_processes: Self::MAX_PROCESSES,
            port: 0,
            data: None,
            faults: FaultSpec::default(),
            parameters: BTreeMap::new(),
            log: LogSink::tracing(),
            environment_file: None,
        }
    }
}

/// The addresses of a running system: base URLs without a trailing slash.
#[derive(Debug, Clone, Serialize)]
pub struct Urls {
    /// The HTTP API. Its paths begin with `/api/v1`.
    pub api: String,
    /// The receiver. Requests go to `/inbox/<name>`.
    pub inbox: String,
    /// The admin address, for figures, faults and schedules.
    pub admin: String,
    /// The endpoint for AWS's SQS clients.
    pub sqs: String,
    /// The endpoint for AWS's DynamoDB clients.
    pub dynamodb: String,
}
